"""The drop-in service for bots on asyncio, on trio or on no loop at all, over an engine that stays warm."""

from actors.service.background import BackgroundEngine, World
from actors.service.service import MarketMicrostructureService, ServiceClosed

__all__ = ["BackgroundEngine", "MarketMicrostructureService", "ServiceClosed", "World"]
