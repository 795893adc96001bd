"""The desk of one service on the engine's loop: which market it looks at, and what it answers when."""

from __future__ import annotations

from typing import Final, Protocol

import trio
from attrs import evolve

from actors.clock import wall_ns
from actors.crash import summary
from actors.leases import Hold
from actors.logs import default_logger
from actors.service.collection import Collected, Collection
from actors.service.tokens import UNKNOWN, TokenLookup
from actors.system import Engine
from engine.markets import Target
from engine.pipeline import neutral_signal, stamp_of
from engine.presets import choose_preset
from engine.settings import FollowSettings, Settings
from engine.signals import REFUSALS, FeedState, MarketSignals, SignalType
from engine.units import to_ns

PATIENCE_S: Final = 10.0
"""A market that is unavailable is given so long from when it was first followed."""

APPEAR_S: Final = 1.0
APPEAR_LOOKS: Final = 100
ABSENT: Final = ("not_followed", "actor_down")
"""A market that was named just now has a seat within a few turns of the engine's loop."""

LOOK_AGAIN_S: Final = 0.25

CONNECTED: Final = (FeedState.SUBSCRIBED, FeedState.LIVE, FeedState.STALE)


class Home(Protocol):
    """Where the engine is; ``EngineLoop`` is one."""

    async def engine(self) -> Engine | None:
        """The engine, ``None`` while there is none."""


class _Watched:
    """One market the desk looks at; followed again whenever the engine was replaced."""

    def __init__(self, follow: FollowSettings) -> None:
        self.follow = follow
        self._engine: Engine | None = None
        self._hold: Hold | None = None
        self._held_ns = 0

    def hold(self, engine: Engine) -> None:
        """Have it followed, and so warmed."""
        if engine is not self._engine:
            self._engine, self._hold, self._held_ns = engine, engine.hold(self.follow), engine.clock.now_ns()

    async def ask(self, engine: Engine) -> MarketSignals:
        """The signal of this instant."""
        self.hold(engine)
        until_ns = self._held_ns + to_ns(APPEAR_S)
        while True:
            signal = await engine.get_market_score(self.follow.name)
            if signal.reason not in ABSENT or signal.as_of_ns >= until_ns:
                return signal
            await trio.sleep(APPEAR_S / APPEAR_LOOKS)

    def settled(self, engine: Engine, signal: MarketSignals) -> bool:
        """Whether a collection that began when this market was first followed would be over by now."""
        since_ns = engine.followed_ns(self.follow.name)
        age_ns = signal.as_of_ns - (self._held_ns if since_ns is None else since_ns)
        if signal.signal_type in REFUSALS:
            return signal.signal_type is SignalType.MARKET_CLOSED or age_ns >= to_ns(PATIENCE_S)
        return signal.window.coverage >= 1.0 or age_ns >= to_ns(engine.settings.scoring.window_s)

    def release(self) -> None:
        """Look no more."""
        if self._hold is not None:
            self._hold.release()


class Desk:
    """What one service asks; on the engine's loop only.

    ``settings`` are for the answer when there is no engine. While a market that was switched to is not warm, the old
    one goes on answering, unless it is closed or unavailable.
    """

    def __init__(self, home: Home, settings: Settings, tokens: TokenLookup | None = None) -> None:
        self._home = home
        self.settings = settings
        self._tokens = tokens
        self._current: _Watched | None = None
        self._incoming: _Watched | None = None

    def switch(self, follow: FollowSettings) -> None:
        """Look at another market, as soon as it is warm; at once if there is none yet."""
        newest = self._incoming or self._current
        if newest is not None and newest.follow == follow:
            return
        if self._incoming is not None:
            self._incoming.release()
            self._incoming = None
        if self._current is None:
            self._current = _Watched(follow)
        elif self._current.follow != follow:
            self._incoming = _Watched(follow)

    async def warm(self) -> None:
        """Have what is looked at followed, without asking anything yet."""
        engine = await self._home.engine()
        if engine is not None:
            self.warm_on(engine)

    def warm_on(self, engine: Engine) -> None:
        """The same, with the engine at hand."""
        for watched in (self._current, self._incoming):
            if watched is not None:
                watched.hold(engine)

    def leave(self) -> None:
        """Look at nothing any more."""
        for watched in (self._current, self._incoming):
            if watched is not None:
                watched.release()
        self._current = self._incoming = self._tokens = None

    async def score(self, max_wait_s: float | None) -> MarketSignals:
        """The signal of the market, once its window is covered or the time is up, ``window_s`` at most."""
        try:
            return await self._score(max_wait_s)
        except Exception as error:  # noqa: BLE001 - a bug of ours; the bot gets a record all the same
            default_logger().exception("service.failed", error_type=type(error).__name__, error=summary(error))
            return refusal(self.settings, None if self._current is None else self._current.follow, "internal_error")

    async def _score(self, max_wait_s: float | None) -> MarketSignals:
        window_s = self.settings.scoring.window_s
        until = trio.current_time() + (window_s if max_wait_s is None else min(max_wait_s, window_s))
        while True:
            signal, settled = await self._look()
            left_s = until - trio.current_time()
            if settled or left_s <= 0:
                return signal
            await trio.sleep(min(LOOK_AGAIN_S, left_s))

    async def _look(self) -> tuple[MarketSignals, bool]:
        engine = await self._home.engine()
        if engine is None:
            return refusal(self.settings, None if self._current is None else self._current.follow, "engine_down"), True
        current = self._current or await self._identified(engine)
        if isinstance(current, str):
            tired = self._tokens is None or self._tokens.asked_for_s() >= PATIENCE_S
            return refusal(self.settings, None, current), tired or current == UNKNOWN
        incoming = self._incoming
        if incoming is not None:
            fresh = await incoming.ask(engine)
            signal = await current.ask(engine)
            if signal.signal_type not in REFUSALS and not incoming.settled(engine, fresh):
                return signal, current.settled(engine, signal)
            self._promote(incoming)
            return fresh, incoming.settled(engine, fresh)
        signal = await current.ask(engine)
        return signal, current.settled(engine, signal)

    async def _identified(self, engine: Engine) -> _Watched | str:
        """The market of the token ids, followed from now on, or why it cannot be."""
        found = "no_market" if self._tokens is None else await self._tokens.find(engine)
        if not isinstance(found, str):
            self.switch(found)
        return self._current or str(found)

    def _promote(self, incoming: _Watched) -> None:
        if self._incoming is incoming and self._current is not None:
            self._current.release()
            self._current, self._incoming = incoming, None

    async def collect(self, what: FollowSettings | TokenLookup, duration_s: float) -> Collected:
        """The events of a market from now on, for so long or until it is closed."""
        engine = await self._home.engine()
        follow = await what.find(engine) if isinstance(what, TokenLookup) and engine is not None else what
        if engine is None or not isinstance(follow, FollowSettings):
            return Collected()
        return await self._collect(engine, follow, duration_s)

    async def _until_closed(self, engine: Engine, watched: _Watched) -> None:
        while True:
            signal = await watched.ask(engine)
            if signal.signal_type is SignalType.MARKET_CLOSED:
                return
            await trio.sleep(LOOK_AGAIN_S)

    async def _collect(self, engine: Engine, follow: FollowSettings, duration_s: float) -> Collected:
        watched = _Watched(follow)
        try:
            signal = await watched.ask(engine)
            collection = Collection(engine, follow.name, connected=signal.quality.feed_state in CONNECTED)
            stop = engine.tap(collection.take)
            try:
                with trio.move_on_after(duration_s):
                    await self._until_closed(engine, watched)
            finally:
                stop()
            return collection.collected(engine.clock.now_ns())
        finally:
            watched.release()


def refusal(settings: Settings, follow: FollowSettings | None, reason: str) -> MarketSignals:
    """The neutral signal of a market about which nothing can be asked."""
    signal = neutral_signal(
        _target(follow),
        None,
        wall_ns(),
        reason=reason,
        scoring=settings.scoring,
        stamp=stamp_of(choose_preset(settings.scoring, (settings.scoring.preset,)), settings.scoring),
        feed_state=FeedState.CLOSED,
    )
    return evolve(signal, signal_type=SignalType.MARKET_CLOSED) if reason == UNKNOWN else signal


def _target(follow: FollowSettings | None) -> Target:
    if follow is None:
        return Target(key="none", underlying="OTHER")
    return Target(key=follow.name, series=follow.series, slug=follow.slug, condition_id=follow.condition_id)
