import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.clock import Clock
from actors.venue.exchange import LINGER_NS, Exchange
from actors.venue.faults import Cut, Ending, Faults, Freeze, Resolution, Void
from actors.venue.generated import GeneratedSource
from actors.venue.options import VenueOptions
from engine.markets import Outcome
from tests.actors.venue.client_book import ClientMarket
from tests.actors.venue.scenery import OTHER, SLUG, START_NS, START_S, S, listing

UP, DOWN = listing().asset_ids
RESOLVES_S = (listing().resolves_ns - START_NS) / S


class Ear:
    """A subscriber that writes down what it is offered."""

    def __init__(self, *, custom: bool = False) -> None:
        self.assets: set[str] = set()
        self.custom = custom
        self.texts: list[str] = []
        self.cuts: list[Cut] = []

    def offer(self, text: str) -> None:
        self.texts.append(text)

    def cut(self, cut: Cut) -> None:
        self.cuts.append(cut)

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        found = [json.loads(text) for text in self.texts]
        return [event for event in found if kind is None or event["event_type"] == kind]


class Floor:
    """An exchange that runs."""

    def __init__(self, at_s: float, options: VenueOptions) -> None:
        self.clock = Clock.anchored(START_NS + round(at_s * S))
        self.faults = Faults()
        self.exchange = Exchange(self.clock, GeneratedSource(options), options, self.faults)

    def ear(self, *assets: str, custom: bool = False) -> Ear:
        ear = Ear(custom=custom)
        self.exchange.join(ear)
        self.first = self.exchange.subscribe(ear, assets, dump=True)
        return ear

    async def until(self, seconds: float) -> None:
        await self.clock.sleep_until(START_NS + round(seconds * S))


@asynccontextmanager
async def opened(at_s: float = 10.0, **options: Any) -> AsyncIterator[Floor]:
    floor = Floor(at_s, VenueOptions(**options))
    async with trio.open_nursery() as nursery:
        await nursery.start(floor.exchange.run)
        yield floor
        nursery.cancel_scope.cancel()


@pytest.mark.untraced
async def test_a_subscriber_hears_the_truth_from_the_first_book_on(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        await floor.until(17.3)
        ear = floor.ear(UP, DOWN, custom=True)
        market = ClientMarket(listing())
        market.begin(*json.loads(floor.first[0]))
        await floor.until(RESOLVES_S + 1)
        _take_all(market, ear)
        assert set(market.seen) >= {"price_change", "best_bid_ask", "last_trade_price", "book", "tick_size_change"}
        assert market.seen["market_resolved"] == 1


async def test_messages_are_stamped_with_the_time_they_come(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        ear = floor.ear(UP, DOWN)
        await floor.until(15)
        seen = len(ear.texts)
        await floor.until(16)
        stamps = [int(event["timestamp"]) / 1000 - START_S for event in ear.events()[seen:]]
        assert stamps
        assert min(stamps) >= 14.99
        assert max(stamps) <= 16


async def test_everyone_hears_the_same_whenever_they_come(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        early = floor.ear(UP, DOWN)
        await floor.until(40)
        heard = len(early.texts)
        late = floor.ear(UP, DOWN)
        await floor.until(80)
        assert early.texts[heard:] == late.texts != []


async def test_tokens_tell_apart_who_hears_what(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        up, both, custom = floor.ear(UP), floor.ear(UP, DOWN), floor.ear(DOWN, custom=True)
        await floor.until(60)
        assert {event["asset_id"] for event in up.events("last_trade_price")} == {UP}
        assert {event["asset_id"] for event in up.events("book")} == {UP}
        assert len(both.events("book")) == 2 * len(up.events("book"))
        assert up.events("price_change") == both.events("price_change")
        assert both.events("best_bid_ask") == []
        assert {event["asset_id"] for event in custom.events("best_bid_ask")} == {DOWN}


async def test_only_markets_somebody_follows_run(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        assert floor.exchange.markets() == ()
        ear = floor.ear(UP, *listing(OTHER).asset_ids)
        await floor.until(20)
        assert [(report.slug, report.subscribers) for report in floor.exchange.markets()] == [(SLUG, 1), (OTHER, 1)]
        assert all(report.messages > 30 for report in floor.exchange.markets())
        floor.exchange.unsubscribe(ear, listing(OTHER).asset_ids)
        before = floor.exchange.markets()[1].messages
        await floor.until(40)
        assert floor.exchange.markets()[1].messages == before
        floor.exchange.leave(ear)
        heard = len(ear.texts)
        await floor.until(60)
        assert len(ear.texts) == heard
        assert [report.subscribers for report in floor.exchange.markets()] == [0, 0]


async def test_a_market_left_alone_goes_on_where_time_is(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        first = floor.ear(UP, DOWN)
        await floor.until(20)
        floor.exchange.leave(first)
        await floor.until(50)
        again, witness = floor.ear(UP, DOWN), Floor(50, VenueOptions())
        assert floor.first == witness.exchange.subscribe(Ear(), (UP, DOWN), dump=True)
        market = floor.exchange.market_of(UP)
        assert market is not None
        assert any(START_NS + 20 * S < trade.at_ns < START_NS + 50 * S for trade in market.tape.trades)
        floor.exchange.leave(again)


async def test_nothing_is_kept_of_markets_nobody_cares_for(autojump_clock: MockClock) -> None:
    async with opened(-200) as floor:
        floor.exchange.market_of(UP)
        await floor.until(-200 + LINGER_NS / S + 1)
        assert len(floor.exchange.markets()) == 1
        floor.exchange.market_of(listing(f"btc-updown-5m-{START_S + 600}").up_asset_id)
        assert [report.slug for report in floor.exchange.markets()] == [f"btc-updown-5m-{START_S + 600}"]


async def test_a_market_asked_for_after_a_long_time_is_made_anew(autojump_clock: MockClock) -> None:
    async with opened(-2_000) as floor:
        floor.exchange.market_of(UP)
        await floor.until(-1_000)
        market = floor.exchange.market_of(UP)
        assert market is not None
        assert market.tape.next_ns is not None
        assert market.tape.next_ns > START_NS - 1_000 * S


async def test_unknown_and_closed_tokens_are_answered_with_nothing(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        floor.ear("123")
        assert floor.first == ["[]"]
        floor.ear("123", UP)
        assert [book["asset_id"] for book in json.loads(floor.first[0])] == [UP]
        floor.ear(listing(f"btc-updown-5m-{START_S - 600}").up_asset_id)
        assert floor.first == ["[]"]


async def test_too_many_tokens_get_no_first_books_but_the_rest(autojump_clock: MockClock) -> None:
    async with opened(assets_per_connection=3) as floor:
        ear = floor.ear(UP, DOWN, *listing(OTHER).asset_ids)
        assert floor.first == []
        await floor.until(15)
        assert ear.texts


async def test_many_books_come_in_several_arrays(autojump_clock: MockClock) -> None:
    async with opened(frame_bytes=9_500) as floor:
        slugs = [f"{coin}-updown-5m-{START_S}" for coin in ("btc", "eth", "sol", "xrp")]
        floor.ear(*(asset for slug in slugs for asset in listing(slug).asset_ids))
        assert len(floor.first) == 4
        assert sum(len(json.loads(frame)) for frame in floor.first) == 8
        assert all(len(frame) <= 9_500 for frame in floor.first)


async def test_a_decided_market_is_told_emptied_and_dropped(autojump_clock: MockClock) -> None:
    async with opened(290) as floor:
        ear, plain = floor.ear(UP, DOWN, custom=True), floor.ear(UP, DOWN)
        await floor.until(RESOLVES_S - 0.01)
        assert floor.exchange.winner(listing()) is None
        assert not floor.exchange.closed(listing())
        assert ear.events("market_resolved") == []
        await floor.until(RESOLVES_S + 5)
        resolved, *empty = ear.events()[-3:]
        assert resolved["winning_asset_id"] == listing().asset_of(floor.exchange.winner(listing()) or Outcome.UP)
        assert [(book["bids"], book["asks"]) for book in empty] == [([], []), ([], [])]
        assert plain.events("market_resolved") == []
        assert floor.exchange.markets() == ()
        assert floor.exchange.market_of(UP) is None
        heard = len(ear.texts)
        await floor.until(RESOLVES_S + 60)
        assert len([text for text in ear.texts[heard:] if "new_market" not in text]) == 0


@pytest.mark.parametrize(
    ("how", "told_at", "times"),
    [
        (Resolution.NEVER, None, 0),
        (Resolution.LATE, 300 + 3_600, 1),
        (Resolution.TWICE, RESOLVES_S, 2),
        (Resolution.UNTOLD, RESOLVES_S, 0),
    ],
)
async def test_resolution_can_go_wrong(
    autojump_clock: MockClock, how: Resolution, told_at: float | None, times: int
) -> None:
    async with opened(290, message_rate=1.0) as floor:
        floor.faults.resolve(how, SLUG)
        ear = floor.ear(UP, DOWN, custom=True)
        await floor.until(RESOLVES_S + 60)
        trading = told_at is None or told_at > RESOLVES_S
        assert floor.exchange.closed(listing()) is not trading
        assert bool(floor.exchange.markets()) is trading
        if trading:
            assert max(int(event["timestamp"]) for event in ear.events()) > (START_S + RESOLVES_S + 30) * 1000
        await floor.until(4_000)
        assert len(ear.events("market_resolved")) == times
        assert floor.exchange.closed(listing()) is (told_at is not None)


async def test_a_void_market_has_no_winner(autojump_clock: MockClock) -> None:
    async with opened(500) as floor:
        assert floor.exchange.winner(listing()) is not None
        assert floor.exchange.void(listing()) is None
        floor.faults.void(SLUG)
        assert floor.exchange.winner(listing()) is None
        assert floor.exchange.void(listing()) is Void.NOTHING
        assert floor.exchange.closed(listing())


async def test_new_markets_are_announced_to_those_who_want_it(autojump_clock: MockClock) -> None:
    async with opened(-10) as floor:
        ear, plain = floor.ear(custom=True), floor.ear()
        await floor.until(290)
        announced = ear.events("new_market")
        slugs = [event["slug"] for event in announced]
        assert f"btc-updown-5m-{START_S + 86_400}" in slugs
        assert len(slugs) == len(set(slugs)) >= 4
        assert plain.texts == []
        floor.faults.freeze()
        await floor.until(590)
        assert ear.events("new_market") == announced


async def test_frozen_data_are_lost_or_held(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        ear = floor.ear(UP, DOWN)
        for how, at_s in ((Freeze.LOSE, 20.0), (Freeze.HOLD, 60.0)):
            await floor.until(at_s)
            heard = len(ear.texts)
            floor.faults.freeze(SLUG, how)
            await floor.until(at_s + 30)
            assert len(ear.texts) == heard
            floor.ear(UP, DOWN)
            assert floor.first == []
            floor.faults.thaw(SLUG)
            await floor.until(at_s + 32)
            stamps = [int(event["timestamp"]) / 1000 - START_S for event in ear.events()[heard:]]
            assert stamps
            assert (min(stamps) < at_s + 5) is (how is Freeze.HOLD)
            assert stamps == sorted(stamps)


async def test_one_token_can_fall_silent(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        ear = floor.ear(UP, DOWN)
        floor.faults.freeze(UP)
        await floor.until(60)
        assert {event["asset_id"] for event in ear.events("book")} == {DOWN}


async def test_a_muted_subscription_never_starts_but_others_go_on(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        early = floor.ear(UP, DOWN)
        floor.faults.mute(SLUG)
        late = floor.ear(UP, DOWN)
        assert floor.first == []
        await floor.until(30)
        assert late.texts == []
        assert early.texts != []


async def test_first_books_can_be_stale_and_misshapen(autojump_clock: MockClock) -> None:
    async with opened(170) as floor:
        floor.faults.stale_snapshot = True
        floor.faults.distort("one_sided")
        floor.ear(UP)
        (book,) = json.loads(floor.first[0])
        assert int(book["timestamp"]) == (START_S + 60) * 1000
        assert book["asks"] == []


async def test_lost_changes_leave_a_client_with_a_wrong_book(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        floor.faults.drop_every(10)
        ear = floor.ear(UP, DOWN)
        market = ClientMarket(listing())
        market.begin(*json.loads(floor.first[0]))
        await floor.until(60)
        with pytest.raises(AssertionError):
            _take_all(market, ear)


def _take_all(market: ClientMarket, ear: Ear) -> None:
    for event in ear.events():
        market.take(event)


async def test_a_book_is_crossed_for_a_few_messages_and_heals(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        floor.faults.cross(SLUG, messages=4)
        ear = floor.ear(UP, DOWN)
        await floor.until(30)
        crossed = [
            number
            for number, event in enumerate(ear.events())
            for entry in event.get("price_changes", ())
            if float(entry["best_bid"]) >= float(entry["best_ask"])
        ]
        assert len(set(crossed)) == 1
        market = ClientMarket(listing(), hashed=False)
        market.begin(*json.loads(floor.first[0]))
        spans = [number for number, event in enumerate(ear.events()) if _crossed_after(market, event)]
        assert 3 <= len(spans) <= 15
        assert spans[0] == crossed[0]
        assert spans[-1] < len(ear.events()) - 10


def _crossed_after(market: ClientMarket, event: dict[str, Any]) -> bool:
    for entry in event.get("price_changes", ()):
        market.books[entry["asset_id"]].change(entry)
    if event["event_type"] == "book":
        book = market.books[event["asset_id"]]
        book.levels = {side: {level["price"]: level["size"] for level in event[name]} for side, name in SIDES}
    return market.up.top[0] >= market.up.top[1]


SIDES = (("BUY", "bids"), ("SELL", "asks"))


async def test_cuts_reach_those_they_are_meant_for(autojump_clock: MockClock) -> None:
    async with opened() as floor:
        ours, theirs, idle = floor.ear(UP), floor.ear(listing(OTHER).up_asset_id), floor.ear()
        floor.faults.disconnect(SLUG, Ending.FIN)
        floor.faults.disconnect(listing(OTHER).up_asset_id)
        floor.faults.disconnect("a slug nobody follows")
        assert [len(ear.cuts) for ear in (ours, theirs, idle)] == [1, 1, 0]
        floor.faults.disconnect(ending=Ending.CLOSE, code=1012)
        assert [ear.cuts[-1].code for ear in (ours, theirs, idle)] == [1012, 1012, 1012]
