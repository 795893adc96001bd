"""What an engine says of itself: plain values, for logs, status commands and a bot's own checks."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, frozen

from engine.markets import MarketPhase
from engine.signals import FeedState, SignalType


@frozen(kw_only=True)
class MarketHealth:
    """One followed target.

    ``start_ns`` is when it opens (epoch ns, ``None``: not known), ``actor`` the supervisor's word for its actor,
    ``opening_gap_s`` the measured seconds between a slot's opening and its first live data (``None``: not opened yet,
    or followed only later).
    """

    target: str
    series: str | None
    slug: str | None
    condition_id: str | None
    start_ns: int | None
    phase: MarketPhase
    feed_state: FeedState
    actor: str
    restarts: int
    epoch: int
    last_fault: str | None
    opening_gap_s: float | None
    signal_type: SignalType | None
    coverage: float | None


@frozen(kw_only=True)
class RecorderHealth:
    """The recorder: lines written and lost since it started, bytes that wait, and the word for the fault, if any.

    ``records`` and ``losses`` are those of each market of late, by key; what was lost is not among the first.
    """

    written: int
    lost: int
    waiting_bytes: int
    fault: str | None
    records: Mapping[str, int] = Factory(dict)
    losses: Mapping[str, int] = Factory(dict)


@frozen(kw_only=True)
class EngineHealth:
    """The whole engine at ``as_of_ns``.

    ``rollovers`` counts slots that opened while already followed, ``worst_rollover_gap_s`` the longest opening gap seen
    so far. ``dropped`` counts signals lost to slow subscribers, ``late`` those that missed their aggregate.
    ``problems`` are the open troubles of discovery by target. ``recorder`` is ``None`` when nothing is recorded.
    """

    as_of_ns: int
    started_ns: int
    markets: tuple[MarketHealth, ...]
    signals: int
    aggregates: int
    dropped: int
    late: int
    rollovers: int
    worst_rollover_gap_s: float | None
    problems: Mapping[str, str]
    recorder: RecorderHealth | None = None

    @property
    def ready(self) -> bool:
        """At least one followed market is live."""
        return any(market.feed_state is FeedState.LIVE for market in self.markets)
