"""``MarketMicrostructureService``: what a bot calls, on asyncio, on trio or in plain synchronous code."""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any

from attrs import asdict

from actors.faults import excerpt
from actors.service.background import BackgroundEngine
from actors.service.collection import Collected
from actors.service.desk import Desk, refusal
from actors.service.door import DoorClosed
from actors.service.reach import Far, Near, Reach, refuse_on_a_loop
from actors.service.settings import settings_of
from actors.service.tokens import TokenLookup
from actors.service.waiting import Closing, Opened
from actors.system import Engine
from engine import original
from engine.followbook import follow_named
from engine.markets import ASSET_ID_PATTERN, CONDITION_ID_PATTERN, Outcome
from engine.settings import FollowSettings
from engine.signals import MarketSignals

Trades = Sequence[Mapping[str, Any]]


class ServiceClosed(RuntimeError):
    """A call on a service that is closed."""


class MarketMicrostructureService(Opened):
    """Scores of one market at a time, from an engine that stays warm.

    ``settings`` are ours, the path of a TOML file, ``None``, or any object of the bot's own. ``condition_id`` (or a
    slug) names the market, ``token_ids`` (YES, NO) stand in when it is not known; a bot that calls ``follow`` needs
    neither. Without ``engine`` the service runs one of its own, started by the first call, ``start`` or a ``with``
    block; a ``BackgroundEngine`` can be shared by many services, and an ``Engine`` is used by code on its own trio
    loop.

    Whatever happens to the venue, a call answers with a record: ``MARKET_UNAVAILABLE`` when there is no connection or
    no data, ``MARKET_CLOSED`` for a closed or unknown market, both with score 0, confidence 0 and a ``reason``. Wrong
    use raises: ``ValueError`` for an id that can be none, ``ServiceClosed`` after ``close``.
    """

    def __init__(
        self,
        settings: object = None,
        condition_id: str | None = None,
        token_ids: Sequence[str] | None = None,
        *,
        engine: BackgroundEngine | Engine | None = None,
    ) -> None:
        self.condition_id = condition_id
        self.settings = settings_of(settings) if engine is None or settings is not None else engine.settings
        self._token_ids = token_ids or ()
        self._outcomes: dict[str, Outcome] = dict(zip(self._token_ids, Outcome, strict=False))
        self._closed = self._begun = False
        self._market: FollowSettings | TokenLookup | None = None
        own = engine is None
        given = BackgroundEngine(self.settings) if engine is None else engine
        self._reach: Reach = Near(given) if isinstance(given, Engine) else Far(given, own=own)
        self._desk = Desk(self._reach.home, given.settings)
        self._forgotten = weakref.finalize(self, self._reach.post, self._desk.leave)
        self._forgotten.atexit = False

    # ------------------------------------------------------------------------------------------------------- the score

    async def get_market_score(self, *, max_wait_s: float | None = None) -> MarketSignals:
        """The signal of the market, with the 13 fields of a bot's record among its own.

        It waits until the window is covered, at most its length, as a fresh collection would; on an engine that is
        warm it answers at once. ``max_wait_s`` (seconds, at least 0) waits no longer than that: 0 answers with what is
        known now, and with the confidence that deserves. Cancelling the call leaves nothing behind.
        """
        self._begin(max_wait_s)
        try:
            return self._learned(await self._reach.call(self._desk.score, max_wait_s, shared=True))
        except DoorClosed:
            return self._left_alone()

    def score(self, *, max_wait_s: float | None = None) -> MarketSignals:
        """``get_market_score`` for synchronous code. Raises ``RuntimeError`` inside a running loop."""
        refuse_on_a_loop("get_market_score()")
        self._begin(max_wait_s)
        try:
            return self._learned(self._reach.call_blocking(self._desk.score, max_wait_s))
        except DoorClosed:
            return self._left_alone()

    async def collect_market_data(
        self, condition_id: str | None = None, duration_seconds: float = 120
    ) -> dict[str, Any]:
        """The events of a market during the next seconds, received by the engine, as plain data.

        ``trades``, ``book_snapshots`` and ``price_changes`` are lists of dictionaries in order of arrival, prices in
        USDC, sizes in shares; ``collection_duration`` is the time that was truly covered, in seconds. Without
        ``condition_id`` it is the market of this service. A collection ends early when the market is closed.
        """
        self._ready()
        return await self._collected(_follow_settings(condition_id) if condition_id else None, duration_seconds)

    async def collect_market_data_with_token_ids(
        self, token_ids: Sequence[str], duration_seconds: float = 120
    ) -> dict[str, Any]:
        """The same for the market of these token ids; which is YES and which NO is the venue's to say."""
        self._ready()
        return await self._collected(_token_lookup(token_ids), duration_seconds)

    # --------------------------------------------------------------------------------------------------- which market

    def set_market(self, condition_id: str) -> None:
        """Look at another market (condition id or slug) from now on; returns at once.

        The market before goes on answering until the window of the new one is covered, or until it is itself closed or
        unavailable.
        """
        self._switch(condition_id)

    def follow(self, name: str) -> None:
        """Look at a rolling series such as ``btc-15m``, which rolls over by itself, or at one market; returns at once.

        The market before goes on answering as with ``set_market``.
        """
        self._switch(name)

    # ------------------------------------------------------------------------------------------ the original formulas

    def calculate_momentum_score(self, trades: Trades) -> float:
        """Of the first and last YES price, −1..+1: ``engine.original.momentum_score``."""
        return original.momentum_score(trades, self._outcome_of)

    def calculate_volume_flow_score(self, trades: Trades) -> float:
        """Of the traded sizes by token, −1..+1: ``engine.original.volume_flow_score``."""
        return original.volume_flow_score(trades, self._outcome_of)

    def calculate_whale_activity_score(self, trades: Trades, whale_threshold: float = 1000) -> float:
        """Of the trades larger than so many shares by token, −1..+1: ``engine.original.whale_activity_score``."""
        return original.whale_activity_score(trades, self._outcome_of, whale_threshold=whale_threshold)

    def calculate_market_score(self, momentum: float, volume_flow: float, whale: float) -> float:
        """``0.40·momentum + 0.35·volume_flow + 0.25·whale``, −1..+1: ``engine.original.market_score``."""
        return original.market_score(momentum, volume_flow, whale)

    def calculate_confidence(self, data: Mapping[str, Any]) -> float:
        """Of the number of trades and the seconds collected, 0..1: ``engine.original.confidence``."""
        return original.confidence(data, window_s=self._desk.settings.scoring.window_s)

    # ------------------------------------------------------------------------------------------------ begin and end

    def start(self) -> None:
        """Start the engine and follow the market, so that it is warm when it is asked for; returns at once."""
        self._ready()
        if not self._begun:
            self._market = self._first()
            if isinstance(self._market, TokenLookup):
                self._reach.post(self._desk.find, self._market)
            elif self._market is not None:
                self._reach.post(self._desk.switch, self._market)
            self._reach.warm(self._desk)
            self._begun = True  # not sooner: a second thread would ask before the market is named

    def close(self) -> Closing:
        """Let go of the market, and end the engine unless it was handed over. Idempotent.

        In synchronous code it returns when the engine's thread is gone; inside a running loop it returns at once, and
        ``await service.close()`` waits for that.
        """
        self._closed = True
        self._forgotten()
        return self._reach.close()

    # --------------------------------------------------------------------------------------------------------- inside

    def _ready(self) -> None:
        if self._closed:
            raise ServiceClosed("the service is closed")
        if self._reach.closed:
            raise ServiceClosed("the engine of the service is closed")

    def _begin(self, max_wait_s: float | None) -> None:
        self._ready()
        if max_wait_s is not None and not max_wait_s >= 0:
            raise ValueError(f"max_wait_s must be 0 or more, not {max_wait_s!r}")
        self.start()
        self._named()

    def _named(self) -> FollowSettings | TokenLookup:
        if self._market is None:
            raise ValueError("no market: pass condition_id or token_ids, or call set_market() or follow()")
        return self._market

    def _first(self) -> FollowSettings | TokenLookup | None:
        """What the constructor named, or the one market that the settings do."""
        if self.condition_id is not None:
            return _follow_settings(self.condition_id)
        if self._token_ids:
            return _token_lookup(self._token_ids)
        follow = self._desk.settings.follow
        return follow[0] if len(follow) == 1 else None

    def _switch(self, name: str) -> None:
        self._ready()
        follow = _follow_settings(name)
        self._reach.post(self._desk.switch, follow)
        self._reach.warm(self._desk)
        self._market, self._begun = follow, True
        self.condition_id = follow.condition_id

    async def _collected(self, other: FollowSettings | TokenLookup | None, duration_s: float) -> dict[str, Any]:
        """From the market of this service, or from another one."""
        if not 0 <= duration_s < inf:
            raise ValueError(f"duration_seconds must be 0 or more, not {duration_s!r}")
        if other is None:
            self.start()
        else:
            self._reach.warm(self._desk)
        collected = Collected()
        with suppress(DoorClosed):
            collected = await self._reach.call(self._desk.collect, other or self._named(), float(duration_s))
        self._ready()
        return asdict(collected, recurse=False)

    def _learned(self, signal: MarketSignals) -> MarketSignals:
        """The answer, its token ids kept for the lists that name them."""
        self._ready()
        for asset_id, outcome in ((signal.yes_asset_id, Outcome.UP), (signal.no_asset_id, Outcome.DOWN)):
            if asset_id is not None:
                self._outcomes[asset_id] = outcome
        return signal

    def _left_alone(self) -> MarketSignals:
        """The answer when the loop ended during the call."""
        self._ready()
        named = self._market if isinstance(self._market, FollowSettings) else None
        return refusal(self._desk.settings, named, "engine_down")

    def _outcome_of(self, asset_id: str) -> Outcome | None:
        outcome = self._outcomes.get(asset_id)
        return original.named_outcome(asset_id) if outcome is None else outcome


def _follow_settings(name: str) -> FollowSettings:
    """Read a name; what begins like a condition id must be one, and hexadecimal digits may be in capitals."""
    if not isinstance(name, str):
        raise ValueError(f"a market is named by a text, not {name!r}")
    plain = name.strip().lower()
    if plain.startswith("0x") and not re.fullmatch(CONDITION_ID_PATTERN, plain):
        raise ValueError(f"not a condition id (0x and 64 hexadecimal digits): {excerpt(name)!r}")
    return follow_named(plain)


def _token_lookup(token_ids: Sequence[Any]) -> TokenLookup:
    if isinstance(token_ids, str):
        raise ValueError(f"token_ids are a list of texts, not one text: {excerpt(token_ids)!r}")
    for token_id in token_ids:
        if not isinstance(token_id, str) or not re.fullmatch(ASSET_ID_PATTERN, token_id):
            raise ValueError(f"not a token id (decimal digits): {excerpt(str(token_id))!r}")
    if not token_ids:
        raise ValueError("no token ids")
    return TokenLookup(tuple(token_ids))
