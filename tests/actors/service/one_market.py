"""A venue with a single market in which nothing is traded but what a test says."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from typing import NamedTuple

import trio

from actors.clock import Clock
from actors.ports import Ports
from actors.venue import Venue, VenueOptions
from actors.venue.actions import LevelSet, Take
from actors.venue.listing import Listing
from actors.venue.orderbook import OrderBook
from actors.venue.render import Message, Renderer
from actors.venue.source import TradePrint
from engine.markets import Outcome, Side
from engine.settings import FeedSettings, Settings, VenueSettings
from engine.units import NS_PER_S, to_ns
from tests.actors.local_venue import NOWHERE

CONDITION_ID = "0x" + "c4" * 32
SLUG = "will-one-trade-do"
YES, NO = "4" * 77, "9" * 76

PATIENT = FeedSettings(first_event_s=60.0, idle_s=600.0, pong_within_s=120.0)
"""For fast time: a machine that stalls for a moment is no fault of the venue."""


class Traded(NamedTuple):
    """One trade to come: price in ticks of 0.0001, size in micro-shares."""

    outcome: Outcome
    price: int
    size: int


ONE_TRADE = (Traded(Outcome.UP, 5_200, 1_500_000_000),)


class ScriptedTape:
    """Meets ``Tape``: a level changes back and forth on every beat, and with the first ones comes a trade each.

    What nobody listens to does not happen, so a trade is never missed.
    """

    tick = 100

    def __init__(self, listing: Listing, script: deque[Traded], at_ns: int, beat_ns: int) -> None:
        self.trades: deque[TradePrint] = deque()
        self.next_ns: int | None = at_ns + beat_ns
        self._book = OrderBook()
        self._book.bids.set(5_000, 90_000_000)
        self._book.asks.set(5_400, 70_000_000)
        self._renderer = Renderer(listing, self._book, hashes=False)
        self._script = script
        self._beat_ns = beat_ns
        self._beats = 0

    def skip(self) -> None:
        assert self.next_ns is not None
        self.next_ns += self._beat_ns

    def advance(self) -> Sequence[Message]:
        at_ns = self.next_ns
        assert at_ns is not None
        self.skip()
        self._beats += 1
        change = LevelSet(at_ns, Outcome.UP, Side.BUY, 4_900, 1_000_000 * (self._beats % 2))
        self._book.bids.set(change.price, change.size)
        told = [self._renderer.price_change(change)]
        if self._script:
            outcome, price, size = self._script.popleft()
            take = Take(at_ns, outcome, Side.BUY, price, size, f"0x{self._beats:064x}")
            told += [self._renderer.trade(take), *self._renderer.books(at_ns // 1_000_000)]
        return told

    def top(self, outcome: Outcome) -> tuple[int | None, int | None]:
        return self._book.top(outcome)

    def initial_book(self, outcome: Outcome) -> str:
        return self._renderer.initial_book(outcome)

    def rest_book(self, outcome: Outcome) -> str:
        return self._renderer.rest_book(outcome)

    def close(self, at_ms: int) -> Sequence[Message]:
        self._book.clear(at_ms)
        return self._renderer.books(at_ms)

    def cross(self, at_ns: int) -> None:
        return None

    def heal(self, at_ns: int, price: int) -> Message:
        raise NotImplementedError


class OneMarket:
    """Meets ``Source``: the market is open for a day around ``now_ns``."""

    def __init__(self, script: Sequence[Traded], now_ns: int, *, beat_s: float = 1.0) -> None:
        self._script = deque(script)
        self._beat_ns = to_ns(beat_s)
        half_a_day_ns = 43_200 * NS_PER_S
        self.listing = Listing(
            slug=SLUG,
            series="",
            family="1d",
            underlying="OTHER",
            condition_id=CONDITION_ID,
            up_asset_id=YES,
            down_asset_id=NO,
            gamma_id="7000001",
            opens_ns=now_ns - half_a_day_ns,
            start_ns=now_ns - half_a_day_ns,
            end_ns=now_ns + half_a_day_ns,
            resolves_ns=now_ns + half_a_day_ns,
        )

    def by_slug(self, slug: str, now_ns: int) -> Listing | None:
        return self.listing if slug == SLUG else None

    def by_asset(self, asset_id: str, now_ns: int) -> Listing | None:
        return self.listing if asset_id in self.listing.asset_ids else None

    def by_condition(self, condition_id: str, now_ns: int) -> Listing | None:
        return self.listing if condition_id == CONDITION_ID else None

    def listed(self, now_ns: int) -> Sequence[Listing]:
        return [self.listing]

    def opening_after(self, at_ns: int) -> Sequence[Listing]:
        return []

    def tape(self, listing: Listing, at_ns: int) -> ScriptedTape:
        return ScriptedTape(listing, self._script, at_ns, self._beat_ns)

    def winner(self, listing: Listing) -> Outcome:
        return Outcome.UP

    def fair(self, listing: Listing, at_ns: int) -> float:
        return 0.52

    def spot(self, listing: Listing, at_ns: int) -> None:
        return None


def new_venue(script: Sequence[Traded], *, beat_s: float = 1.0) -> tuple[Clock, Venue]:
    """The venue and its clock, on the loop this is called on."""
    clock = Clock.anchored()
    return clock, Venue(clock, VenueOptions(hashes=False), source=OneMarket(script, clock.now_ns(), beat_s=beat_s))


class OneMarketWorld:
    """A world for ``BackgroundEngine``: that venue, in memory; ``down`` from the start or not."""

    def __init__(self, script: Sequence[Traded], *, beat_s: float = 1.0, down: bool = False) -> None:
        self._script = script
        self._beat_s = beat_s
        self._down = down

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Ports]:
        clock, venue = new_venue(self._script, beat_s=self._beat_s)
        venue.faults.down = self._down
        async with trio.open_nursery() as nursery:
            await nursery.start(venue.run)
            yield Ports(clock=clock, dial=venue.dial, http_transport=venue.http_transport)
            nursery.cancel_scope.cancel()


def elsewhere(**changes: object) -> Settings:
    """Settings that lead nowhere unless a world does."""
    return Settings(**{"venue": NOWHERE, "feed": PATIENT, **changes})  # type: ignore[arg-type]


@contextmanager
def served_on_loopback(script: Sequence[Traded], *, beat_s: float = 0.05) -> Iterator[Settings]:
    """That venue on real loopback sockets, in real time and a thread of its own, and the settings that lead there."""
    told: Future[tuple[str, str]] = Future()
    stop = trio.Event()
    token: list[trio.lowlevel.TrioToken] = []

    async def serve() -> None:
        token.append(trio.lowlevel.current_trio_token())
        _, venue = new_venue(script, beat_s=beat_s)
        async with trio.open_nursery() as nursery:
            await nursery.start(venue.run)
            told.set_result(await venue.listen())
            await stop.wait()
            nursery.cancel_scope.cancel()

    thread = Thread(target=trio.run, args=(serve,), name="venue")
    thread.start()
    websocket_url, rest_url = told.result(timeout=30)
    try:
        yield Settings(venue=VenueSettings(websocket_url=websocket_url, gamma_url=rest_url, clob_url=rest_url))
    finally:
        token[0].run_sync_soon(stop.set)
        thread.join()
