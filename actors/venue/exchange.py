"""The markets that somebody follows: who gets which message, when, and how a market ends.

Only a market with a subscriber has a task. One that was merely asked for over REST is brought up to date on each
question, and both are dropped: at resolution, or when nobody has cared for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import trio
from attrs import define, field, frozen

from actors.clock import Clock
from actors.venue.faults import Cut, Faults, Freeze, Resolution, Void
from actors.venue.listing import Listing
from actors.venue.options import VenueOptions
from actors.venue.render import Message, arrays, market_resolved, new_market
from actors.venue.source import Source, Tape
from engine.markets import Outcome
from engine.units import NS_PER_MS, NS_PER_S

LATE_NS: Final = 3_600 * NS_PER_S
LINGER_NS: Final = 600 * NS_PER_S
REJOIN_NS: Final = 300 * NS_PER_S
"""A tape left alone for longer is started anew instead of played to the present."""

STALE_NS: Final = 60 * NS_PER_S
FRESH_TICK: Final = 100

LONGEST_NAP_NS: Final = NS_PER_S
"""A market looks up at least this often, so that switches are noticed."""


class Subscriber(Protocol):
    """One connection as the exchange sees it."""

    assets: set[str]
    custom: bool

    def offer(self, text: str) -> None:
        """Queue a frame."""

    def cut(self, cut: Cut) -> None:
        """End the connection."""


@frozen(kw_only=True)
class MarketReport:
    """One market that is held in memory: its subscribers and the messages told so far."""

    slug: str
    subscribers: int
    messages: int


@define(eq=False)
class LiveMarket:
    """A market held in memory."""

    listing: Listing
    tape: Tape
    used_ns: int
    subscribers: dict[Subscriber, None] = field(factory=dict)
    scope: trio.CancelScope | None = None
    held: list[Message] = field(factory=list)
    crossed: tuple[int, int] | None = None
    messages: int = 0


class Exchange:
    """All markets of a ``source``, as far as somebody cares."""

    def __init__(self, clock: Clock, source: Source, options: VenueOptions, faults: Faults) -> None:
        self._clock = clock
        self._source = source
        self._options = options
        self._faults = faults
        self._live: dict[str, LiveMarket] = {}
        self._assets: dict[str, LiveMarket] = {}
        self._connected: dict[Subscriber, None] = {}
        self._nursery: trio.Nursery | None = None
        faults.on_cut.append(self._cut)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the markets' tasks and announce new markets, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await self._announce()

    def markets(self) -> tuple[MarketReport, ...]:
        """The markets held in memory."""
        return tuple(
            MarketReport(slug=slug, subscribers=len(market.subscribers), messages=market.messages)
            for slug, market in self._live.items()
        )

    # -- connections -------------------------------------------------------------------------------------------------

    def join(self, subscriber: Subscriber) -> None:
        """A connection is there."""
        self._connected[subscriber] = None

    def leave(self, subscriber: Subscriber) -> None:
        """A connection is gone."""
        self._connected.pop(subscriber, None)
        self.unsubscribe(subscriber, tuple(subscriber.assets))

    def subscribe(self, subscriber: Subscriber, asset_ids: Iterable[str], *, dump: bool) -> list[str]:
        """Add tokens to a connection; returns the frames of their first books.

        Unknown and closed tokens are taken without a word; if there is nothing else the answer is ``[]``. Nobody gets
        first books while the connection holds more tokens than allowed. A muted token is taken for subscribed by the
        client alone.
        """
        found = [(market, asset_id) for asset_id in asset_ids if (market := self._taken(subscriber, asset_id))]
        heard = [(market, asset_id) for market, asset_id in found if not self._faults.muted(market.listing, asset_id)]
        for market, asset_id in heard:
            subscriber.assets.add(asset_id)
            self._attach(market, subscriber)
        if not dump or len(subscriber.assets) > self._options.assets_per_connection:
            return []
        books = [self._first_book(market, asset_id) for market, asset_id in sorted(heard, key=lambda pair: pair[1])]
        told = [book for book in books if book is not None]
        return arrays(told, self._options.frame_bytes) if told or not found else []

    def _taken(self, subscriber: Subscriber, asset_id: str) -> LiveMarket | None:
        market = self.market_of(asset_id)
        if market is None:
            subscriber.assets.add(asset_id)
        return market

    def _first_book(self, market: LiveMarket, asset_id: str) -> str | None:
        if self._faults.frozen(market.listing, asset_id):
            return None
        tape = market.tape
        if self._faults.stale_snapshot:
            tape = self._source.tape(market.listing, self._clock.now_ns() - STALE_NS)
        book = tape.initial_book(market.listing.outcome_of(asset_id))
        return None if book is None else self._faults.shaped(book)

    def unsubscribe(self, subscriber: Subscriber, asset_ids: Iterable[str]) -> None:
        """Remove tokens from a connection."""
        for asset_id in asset_ids:
            subscriber.assets.discard(asset_id)
            market = self._assets.get(asset_id)
            if market is not None and subscriber.assets.isdisjoint(market.listing.asset_ids):
                self._detach(market, subscriber)

    def _attach(self, market: LiveMarket, subscriber: Subscriber) -> None:
        market.subscribers[subscriber] = None
        if market.scope is None and self._nursery is not None:
            market.scope = trio.CancelScope()
            self._nursery.start_soon(self._play, market, market.scope)

    def _detach(self, market: LiveMarket, subscriber: Subscriber) -> None:
        market.subscribers.pop(subscriber, None)
        if not market.subscribers and market.scope is not None:
            market.scope.cancel()
            market.scope = None

    def _cut(self, cut: Cut) -> None:
        market = None if cut.target is None else self._live.get(cut.target)
        for subscriber in tuple(self._connected if market is None else market.subscribers):
            if cut.target is None or market is not None or cut.target in subscriber.assets:
                subscriber.cut(cut)

    # -- markets -----------------------------------------------------------------------------------------------------

    def resolves_ns(self, listing: Listing) -> int | None:
        """When a market is decided, ``None`` for never."""
        match self._faults.resolution(listing.slug):
            case Resolution.NEVER:
                return None
            case Resolution.LATE:
                return listing.end_ns + LATE_NS
            case _:
                return listing.resolves_ns

    def closed(self, listing: Listing) -> bool:
        """Whether a market is decided by now."""
        resolves_ns = self.resolves_ns(listing)
        return resolves_ns is not None and self._clock.now_ns() >= resolves_ns

    def winner(self, listing: Listing) -> Outcome | None:
        """The outcome of a decided market, ``None`` while it is open, or when it shows none."""
        if not self.closed(listing) or self._faults.voided(listing.slug) is not None:
            return None
        return self._source.winner(listing)

    def void(self, listing: Listing) -> Void | None:
        """How a decided market shows no winner; ``None`` while it is open, or when it shows one."""
        return self._faults.voided(listing.slug) if self.closed(listing) else None

    def tick(self, listing: Listing) -> int:
        """The price step of a market as far as it is held in memory, else that of a fresh one."""
        market = self._live.get(listing.slug)
        return FRESH_TICK if market is None else market.tape.tick

    def market_of(self, asset_id: str) -> LiveMarket | None:
        """The open market of a token, up to date; ``None`` when there is none."""
        now_ns = self._clock.now_ns()
        held = self._assets.get(asset_id)
        listing = self._source.by_asset(asset_id, now_ns) if held is None else held.listing
        return None if listing is None else self.market(listing)

    def market(self, listing: Listing) -> LiveMarket | None:
        """The market of a listing, up to date; ``None`` when it is closed."""
        now_ns = self._clock.now_ns()
        market = self._live.get(listing.slug)
        if self.closed(listing):
            if market is not None and not market.subscribers:
                self._drop(market)
            return None
        if market is None:
            self._prune(now_ns)
            market = LiveMarket(listing, self._source.tape(listing, now_ns), now_ns)
            self._live[listing.slug] = market
            self._assets.update(dict.fromkeys(listing.asset_ids, market))
        if market.scope is None:
            self._catch_up(market, now_ns)
        market.used_ns = now_ns
        return market

    def _catch_up(self, market: LiveMarket, now_ns: int) -> None:
        if now_ns - market.used_ns > REJOIN_NS:
            market.tape = self._source.tape(market.listing, now_ns)
        tape = market.tape
        while tape.next_ns is not None and tape.next_ns <= now_ns:
            tape.skip()

    def _prune(self, now_ns: int) -> None:
        unfollowed = [market for market in self._live.values() if not market.subscribers]
        for market in unfollowed:
            if now_ns - market.used_ns > LINGER_NS or self.closed(market.listing):
                self._drop(market)

    def _drop(self, market: LiveMarket) -> None:
        self._live.pop(market.listing.slug, None)
        for asset_id in market.listing.asset_ids:
            self._assets.pop(asset_id, None)

    # -- time --------------------------------------------------------------------------------------------------------

    async def _play(self, market: LiveMarket, scope: trio.CancelScope) -> None:
        with scope:
            while not self.closed(market.listing):
                await self._clock.sleep_until(self._due_ns(market))
                self._tell_due(market, self._clock.now_ns())
            self._finish(market)

    def _due_ns(self, market: LiveMarket) -> int:
        nap = self._clock.now_ns() + LONGEST_NAP_NS
        due = (market.tape.next_ns, self.resolves_ns(market.listing), nap)
        return min(at_ns for at_ns in due if at_ns is not None)

    def _tell_due(self, market: LiveMarket, now_ns: int) -> None:
        market.used_ns = now_ns
        resolves_ns = self.resolves_ns(market.listing)
        until_ns = now_ns if resolves_ns is None else min(now_ns, resolves_ns - 1)
        tape = market.tape
        while (at_ns := tape.next_ns) is not None and at_ns <= until_ns:
            messages = tape.advance()
            self._tell(market, [*messages, *self._crossing(market, at_ns)])

    def _crossing(self, market: LiveMarket, at_ns: int) -> Sequence[Message]:
        """The claim that crosses a book, or after some messages the one that heals it."""
        if market.crossed is not None:
            left, price = market.crossed
            market.crossed = None if left <= 1 else (left - 1, price)
            return [market.tape.heal(at_ns, price)] if left <= 1 else []
        messages = self._faults.crossing(market.listing.slug)
        crossing = market.tape.cross(at_ns) if messages else None
        if crossing is None:
            return []
        market.crossed = (messages, crossing[1])
        return [crossing[0]]

    def _finish(self, market: LiveMarket) -> None:
        self._drop(market)
        at_ms = self._clock.now_ns() // NS_PER_MS
        how = self._faults.resolution(market.listing.slug)
        times = {Resolution.UNTOLD: 0, Resolution.TWICE: 2}.get(how, 1)
        resolved = market_resolved(market.listing, self._source.winner(market.listing), at_ms)
        self._tell(market, [*[resolved] * times, *market.tape.close(at_ms)])
        market.subscribers.clear()

    def _tell(self, market: LiveMarket, messages: Sequence[Message]) -> None:
        """Give messages to whoever subscribed, or hold them while the market is frozen that way."""
        market.messages += len(messages)
        messages = self._faults.distorted(messages)
        frozen = self._faults.frozen(market.listing)
        if frozen is not None:
            market.held += messages if frozen is Freeze.HOLD else ()
            return
        if market.held:
            messages, market.held = [*market.held, *messages], []
        for message in messages:
            self._deliver(market, message)

    def _deliver(self, market: LiveMarket, message: Message) -> None:
        asset_id = message.asset_id
        if asset_id is not None and self._faults.frozen(market.listing, asset_id):
            return
        for subscriber in market.subscribers:
            if message.custom and not subscriber.custom:
                continue
            if asset_id is None or asset_id in subscriber.assets:
                subscriber.offer(message.text)

    async def _announce(self) -> None:
        at_ns = self._clock.now_ns()
        while True:
            fresh = self._source.opening_after(at_ns)
            if not fresh:
                await trio.sleep_forever()
            at_ns = fresh[0].opens_ns
            await self._clock.sleep_until(at_ns)
            for listing in fresh:
                self._broadcast(new_market(listing, at_ns // NS_PER_MS).text)

    def _broadcast(self, text: str) -> None:
        for subscriber in tuple(self._connected):
            if subscriber.custom and not self._faults.all_frozen:
                subscriber.offer(text)
