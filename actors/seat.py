"""The seat of a market: what stays while its actor crashes, is restarted or sits in quarantine.

A seat keeps the promise that every due deadline yields exactly one signal. Whoever occupies it, actor or understudy,
emits through it; a deadline is taken once, and deadlines nobody was there for are made up for, as unavailable.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.clock import Clock
from engine.markets import Market, Target
from engine.pipeline import first_deadline, neutral_signal
from engine.settings import ScoringSettings
from engine.signals import FeedState, MarketSignals, PresetStamp
from engine.units import to_ns

Publish = Callable[[MarketSignals], None]


class Seat:
    """One followed target from ``followed_ns`` on."""

    def __init__(
        self,
        target: Target,
        *,
        followed_ns: int,
        clock: Clock,
        scoring: ScoringSettings,
        stamp: PresetStamp,
        publish: Publish,
    ) -> None:
        self.target = target
        self.followed_ns = followed_ns
        self.left_ns: int | None = None
        self.market: Market | None = None
        self.answered = False
        self.lookup_failure: str | None = None
        self.epoch = 0
        self.latest: MarketSignals | None = None
        self.opening_gap_s: float | None = None
        self.last_fault: str | None = None
        self._clock = clock
        self._scoring = scoring
        self._stamp = stamp
        self._publish = publish
        self._cadence_ns = to_ns(scoring.cadence_s)
        self.first_deadline_ns = first_deadline(followed_ns, self._cadence_ns)
        self._due_ns = self.first_deadline_ns
        self._occupied = False

    def succeed(self, other: Seat) -> None:
        """Be followed from when another seat of the same target was left on, if that was later: not at once with it."""
        if other.left_ns is not None and other.left_ns > self.followed_ns:
            self.followed_ns = other.left_ns
            self.first_deadline_ns = self._due_ns = first_deadline(other.left_ns, self._cadence_ns)

    def occupy(self, now_ns: int) -> int:
        """Take the seat; answers from when on the new occupant speaks, what came before being made up for."""
        if not self._occupied:
            self._occupied = True
            return self.followed_ns
        self.make_up(now_ns, "actor_down", FeedState.CONNECTING)
        return now_ns

    def learn(self, market: Market | None) -> None:
        """Keep what the venue's metadata say; ``None`` means that the venue was asked and does not know the market."""
        self.answered, self.lookup_failure = True, None
        if market is not None:
            self.market = market

    def lookup_failed(self, reason: str) -> None:
        """Keep why the venue's metadata could not be had, until it answers."""
        self.lookup_failure = reason

    def emit(self, signal: MarketSignals) -> None:
        """Publish the signal of the next due deadline; deadlines skipped before it are made up for.

        A deadline that was emitted already is not emitted again.
        """
        if signal.as_of_ns < self._due_ns:
            return
        self.make_up(signal.as_of_ns - 1, "actor_down", FeedState.BACKOFF)
        self._send(signal)

    def make_up(self, now_ns: int, reason: str, feed_state: FeedState) -> None:
        """Publish an unavailable signal for every deadline up to ``now_ns`` that nobody emitted."""
        while self._due_ns <= now_ns:
            self._send(self.neutral(self._due_ns, reason, feed_state))

    def neutral(self, as_of_ns: int, reason: str, feed_state: FeedState = FeedState.BACKOFF) -> MarketSignals:
        """The unavailable signal of this market at any instant."""
        return neutral_signal(
            self.target,
            self.market,
            as_of_ns,
            reason=reason,
            scoring=self._scoring,
            stamp=self._stamp,
            feed_state=feed_state,
        )

    async def understudy(self) -> None:
        """Play the market's part while it is quarantined: one unavailable signal per deadline, until cancelled."""
        while True:
            self.make_up(self._clock.now_ns(), "quarantined", FeedState.QUARANTINED)
            await self._clock.sleep_until(self._due_ns)

    def _send(self, signal: MarketSignals) -> None:
        self._due_ns = signal.as_of_ns + self._cadence_ns
        self.latest = signal
        self._publish(signal)
