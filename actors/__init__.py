"""The side of updown that touches the world: sockets, files, clocks, random numbers and tasks, on trio.

``from actors import open_engine`` is all that a bot on trio needs. The names below are loaded when they are first used,
so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.health import EngineHealth, MarketHealth
    from actors.hub import Subscription
    from actors.ports import Ports
    from actors.rehearsal import RehearsalEngine
    from actors.service import BackgroundEngine, MarketMicrostructureService, ServiceClosed
    from actors.system import Engine, open_engine
    from actors.venue import Venue, VenueOptions

__all__ = [
    "BackgroundEngine",
    "Engine",
    "EngineHealth",
    "MarketHealth",
    "MarketMicrostructureService",
    "Ports",
    "RehearsalEngine",
    "ServiceClosed",
    "Subscription",
    "Venue",
    "VenueOptions",
    "open_engine",
]

_HOMES = {
    "BackgroundEngine": "actors.service",
    "MarketMicrostructureService": "actors.service",
    "RehearsalEngine": "actors.rehearsal",
    "ServiceClosed": "actors.service",
    "Engine": "actors.system",
    "EngineHealth": "actors.health",
    "MarketHealth": "actors.health",
    "Ports": "actors.ports",
    "Subscription": "actors.hub",
    "Venue": "actors.venue",
    "VenueOptions": "actors.venue",
    "open_engine": "actors.system",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
