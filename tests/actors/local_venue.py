"""An engine and the stand-in venue in one process, in memory, on a mock clock: hours pass in seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import structlog
import trio
from attrs import define, evolve, field

from actors.clock import Clock
from actors.ports import Ports
from actors.system import Engine, open_engine
from actors.venue import Venue, VenueOptions
from engine.records import Record
from engine.scoring import ScorerFactory
from engine.settings import FollowSettings, Settings, VenueSettings
from engine.signals import AggregateSignal, MarketSignals
from engine.units import NS_PER_S

QUARTER_S = 1_790_001_000
"""A full quarter of an hour: btc-5m and btc-15m roll here."""

NOWHERE = VenueSettings(
    websocket_url="ws://127.0.0.1:1/ws/market", gamma_url="http://127.0.0.1:1", clob_url="http://127.0.0.1:1"
)
QUIET = VenueOptions(message_rate=1.0, hashes=False)


@define
class Rig:
    """One running engine with its venue, and everything that was emitted and recorded."""

    clock: Clock
    venue: Venue
    engine: Engine
    signals: list[MarketSignals] = field(factory=list)
    aggregates: list[AggregateSignal] = field(factory=list)
    lateness_s: dict[str, list[float]] = field(factory=dict)
    tape: list[tuple[str, Record]] = field(factory=list)

    async def collect(self) -> None:
        async for signal in self.engine.signals():
            self.signals.append(signal)
            late_ns = self.clock.now_ns() - signal.as_of_ns
            self.lateness_s.setdefault(signal.target, []).append(late_ns / NS_PER_S)

    async def collect_aggregates(self) -> None:
        async for aggregate in self.engine.aggregates():
            self.aggregates.append(aggregate)

    def of(self, target: str) -> list[MarketSignals]:
        return [signal for signal in self.signals if signal.target == target]

    def seconds(self, signal: MarketSignals | AggregateSignal) -> float:
        """When a signal was due, in seconds from the quarter."""
        return signal.as_of_ns / NS_PER_S - QUARTER_S


def ports(clock: Clock, venue: Venue) -> Ports:
    return Ports(clock=clock, dial=venue.dial, http_transport=venue.http_transport, rng=Random(3))


def follow(*names: str, **changes: Any) -> Settings:
    settings = Settings(follow=tuple(FollowSettings(series=name) for name in names), venue=NOWHERE)
    return evolve(settings, **changes)


@asynccontextmanager
async def rig(
    settings: Settings,
    *,
    seconds: float = 0.0,
    options: VenueOptions = QUIET,
    scorers: Mapping[str, ScorerFactory] | None = None,
) -> AsyncIterator[Rig]:
    """Start everything that many seconds after (before, if negative) the quarter."""
    clock = Clock.anchored(round((QUARTER_S + seconds) * NS_PER_S))
    venue = Venue(clock, options)
    tape: list[tuple[str, Record]] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        async with open_engine(
            settings,
            ports=ports(clock, venue),
            scorers=scorers,
            tape=lambda key, record: tape.append((key, record)),
            log=structlog.get_logger(),
        ) as engine:
            running = Rig(clock=clock, venue=venue, engine=engine, tape=tape)
            nursery.start_soon(running.collect)
            nursery.start_soon(running.collect_aggregates)
            yield running
        nursery.cancel_scope.cancel()


def every_deadline(signals: Sequence[MarketSignals], running: Rig, first: float, last: float) -> bool:
    """Whether the signals are exactly those of the deadlines from ``first`` to ``last`` seconds after the quarter."""
    return [running.seconds(it) for it in signals] == [first + 5.0 * n for n in range(int((last - first) / 5) + 1)]
