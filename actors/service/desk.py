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


class Home(Protocol):
    """Where the engine is; ``EngineLoop`` is one."""

    async def engine(self) -> Engine | None:
        """The engine, ``None`` while there is none."""


class _Watched:
    """One market the desk looks at; followed again whenever the engine was replaced.

    The engine may know the market by another name already. What speaks for it is held, too, lest it go when whoever
    named it that way does, and the window with it.
    """

    def __init__(self, follow: FollowSettings) -> None:
        self.follow = follow
        self._engine: Engine | None = None
        self._holds: dict[str, Hold] = {}
        self._held_ns = 0
        self._released = False

    def hold(self, engine: Engine) -> None:
        """Have it followed, and so warmed, unless it was released already."""
        if engine is not self._engine and not self._released:
            self._engine, self._held_ns = engine, engine.clock.now_ns()
            self._holds = {self.follow.name: engine.hold(self.follow)}

    def _hold_speaker(self, engine: Engine, key: str) -> None:
        if self.follow.series is None and key not in self._holds and not self._released:
            self._holds[key] = engine.hold(key)

    async def ask(self, engine: Engine) -> MarketSignals:
        """The signal of this instant."""
        self.hold(engine)
        until_ns = self._held_ns + to_ns(APPEAR_S)
        while True:
            signal = await engine.get_market_score(self.follow.name)
            if engine.key_of(self.follow.name) not in (signal.target, None):
                continue  # the series rolled over meanwhile
            if signal.reason not in ABSENT or signal.as_of_ns >= until_ns:
                self._hold_speaker(engine, signal.target)
                return signal
            await trio.sleep(APPEAR_S / APPEAR_LOOKS)

    def warm(self, engine: Engine, signal: MarketSignals) -> bool:
        """Whether a collection that began when this market was first followed would be over by now."""
        closed = signal.signal_type is SignalType.MARKET_CLOSED
        return closed or self._age_ns(engine, signal) >= to_ns(engine.settings.scoring.window_s)

    def settled(self, engine: Engine, signal: MarketSignals) -> bool:
        """Whether waiting longer is not worth it: it is warm, or has been unavailable for long enough."""
        unavailable = signal.signal_type is SignalType.MARKET_UNAVAILABLE
        tired = unavailable and self._age_ns(engine, signal) >= to_ns(PATIENCE_S)
        return tired or self.warm(engine, signal)

    def _age_ns(self, engine: Engine, signal: MarketSignals) -> int:
        since_ns = engine.followed_ns(self.follow.name)
        return signal.as_of_ns - (self._held_ns if since_ns is None else since_ns)

    def release(self) -> None:
        """Look no more."""
        self._released = True
        for hold in self._holds.values():
            hold.release()


class Desk:
    """What one service asks; on the engine's loop only.

    ``settings`` are for the answer when there is no engine. While a market that was switched to is not warm, the old
    one goes on answering, unless it is closed or unavailable.
    """

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self.settings = settings
        self._tokens: TokenLookup | None = None
        self._current: _Watched | None = None
        self._incoming: _Watched | None = None
        self._left = False

    def find(self, tokens: TokenLookup) -> None:
        """Look at the market of these token ids, unless another one is named."""
        self._tokens = tokens

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
            if self._current is None:
                await self._identified(engine)
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
        self._left = True

    async def score(self, max_wait_s: float | None) -> MarketSignals:
        """The signal of the market, once its window is covered or the time is up, ``window_s`` at most."""
        try:
            return await self._score(max_wait_s)
        except Exception as error:  # noqa: BLE001 - a bug of ours; the bot gets a record all the same
            _tell(error)
            return self._refusal("internal_error")

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
            return self._refusal("engine_down"), True
        current = self._current or await self._identified(engine)
        if isinstance(current, str):
            tired = self._tokens is None or self._tokens.asked_for_s() >= PATIENCE_S
            return self._refusal(current), tired or current == UNKNOWN
        incoming = self._incoming
        if incoming is not None:
            fresh = await incoming.ask(engine)
            signal = await current.ask(engine)
            if signal.signal_type not in REFUSALS and not incoming.warm(engine, fresh):
                return signal, current.settled(engine, signal)
            self._promote(incoming)
            return fresh, incoming.settled(engine, fresh)
        signal = await current.ask(engine)
        return signal, current.settled(engine, signal)

    async def _identified(self, engine: Engine) -> _Watched | str:
        """The market of the token ids, followed from now on, or why it cannot be."""
        found = "no_market" if self._tokens is None else await self._tokens.find(engine)
        # Meanwhile another market may have been named, or everything been left.
        if isinstance(found, FollowSettings) and self._current is None and not self._left:
            self._current = _Watched(found)
        return self._current or str(found)

    def _refusal(self, reason: str) -> MarketSignals:
        return refusal(self.settings, None if self._current is None else self._current.follow, reason)

    def _promote(self, incoming: _Watched) -> None:
        if self._incoming is incoming and self._current is not None:
            self._current.release()
            self._current, self._incoming = incoming, None

    async def collect(self, what: FollowSettings | TokenLookup, duration_s: float) -> Collected:
        """The events of a market from now on, for so long or until it is closed."""
        try:
            engine = await self._home.engine()
            return Collected() if engine is None else await self._collect(engine, what, duration_s)
        except Exception as error:  # noqa: BLE001 - as above; nothing was collected that could be relied on
            _tell(error)
            return Collected()

    async def _collect(self, engine: Engine, what: FollowSettings | TokenLookup, duration_s: float) -> Collected:
        with trio.move_on_after(duration_s) as scope:
            follow = await self._named(engine, what)
        if scope.cancelled_caught or follow is None:
            return Collected()
        watched, collection = _Watched(follow), Collection(engine, follow.name)
        stop = engine.tap(collection.take)
        try:
            with trio.move_on_at(scope.deadline):
                await self._until_closed(engine, watched)
        finally:
            stop()
            watched.release()
        return collection.collected(engine.clock.now_ns())

    async def _named(self, engine: Engine, what: FollowSettings | TokenLookup) -> FollowSettings | None:
        """The market that is meant, asked for until the venue tells; ``None`` if there is no such market."""
        while isinstance(what, TokenLookup) and not self._left:
            found = await what.find(engine)
            if isinstance(found, FollowSettings) or found == UNKNOWN:
                return found if isinstance(found, FollowSettings) else None
            await trio.sleep(LOOK_AGAIN_S)
        return what if isinstance(what, FollowSettings) else None

    async def _until_closed(self, engine: Engine, watched: _Watched) -> None:
        while not self._left:
            signal = await watched.ask(engine)
            if signal.signal_type is SignalType.MARKET_CLOSED:
                return
            await trio.sleep(LOOK_AGAIN_S)


def _tell(error: Exception) -> None:
    default_logger().exception("service.failed", error_type=type(error).__name__, error=summary(error))


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
