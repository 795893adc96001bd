import json

import pytest
import trio
from trio.testing import MockClock

from actors.rest import RestFault, RestFaultKind, VenueRest
from actors.venue.faults import Resolution, Void
from actors.venue.rest import ROUTES
from engine.labels import LabelSource, LabelStatus, Ruling
from engine.markets import Outcome
from engine.settings import VenueSettings
from tests.actors.venue.client_book import ClientBook
from tests.actors.venue.scenery import OTHER, SLUG, START_NS, START_S, S, Stage, listing, staged

MARKET = listing()
UP, DOWN = MARKET.asset_ids


def venue_rest(stage: Stage) -> VenueRest:
    return VenueRest(VenueSettings(), request_s=5.0, transport=stage.venue.http_transport)


async def test_the_engines_client_finds_a_market_by_any_name(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        rest = venue_rest(stage)
        by_slug, by_id = await rest.market_by_slug(SLUG), await rest.market_by_condition_id(MARKET.condition_id)
        assert by_slug is not None
        assert by_slug == by_id
        assert (by_slug.condition_id, by_slug.asset_ids) == (MARKET.condition_id, MARKET.asset_ids)
        assert (by_slug.start_ns, by_slug.end_ns) == (START_NS, START_NS + 300 * S)
        assert (by_slug.accepting_orders, by_slug.closed, by_slug.winner) == (True, False, None)
        assert await rest.market_by_slug("btc-updown-5m-2000000100") is None
        assert await rest.market_by_condition_id("0x" + "0" * 64) is None
        assert await rest.server_time() == START_S + 10
        book = await rest.book(DOWN)
        assert book is not None
        assert len(book.bids) > 20
        assert await rest.market_by_asset_id(UP) == await rest.market_by_asset_id(DOWN) == by_slug
        assert await rest.market_by_asset_id("9" * 77) is None
        await stage.until(600)
        by_token = await rest.market_by_asset_id(UP)
        assert by_token is not None
        assert by_token.closed
        decided = await rest.market_by_condition_id(MARKET.condition_id)
        assert decided is not None
        assert (decided.closed, decided.winner) == (True, stage.venue.source.winner(MARKET))
        assert await rest.book(DOWN) is None
        await rest.aclose()


async def test_the_engines_client_learns_who_won(autojump_clock: MockClock) -> None:
    async with staged(310) as stage:
        rest, faults = venue_rest(stage), stage.venue.faults
        assert await rest.outcome_of(MARKET.condition_id) == Ruling()
        await stage.until(500)
        winner = stage.venue.source.winner(MARKET)
        decided = Ruling(status=LabelStatus.RESOLVED, outcome=winner, resolved_by=LabelSource.CLOB)
        assert await rest.outcome_of(MARKET.condition_id) == decided
        faults.hydrate(1)
        by_gamma = Ruling(status=LabelStatus.RESOLVED, outcome=winner, resolved_by=LabelSource.GAMMA)
        assert await rest.outcome_of(MARKET.condition_id) == by_gamma
        for how in Void:
            faults.void(SLUG, how)
            status = LabelStatus.VOID if how is Void.HALVES else LabelStatus.AMBIGUOUS
            assert await rest.outcome_of(MARKET.condition_id) == Ruling(status=status, resolved_by=LabelSource.CLOB)
        faults.resolve(Resolution.NEVER, SLUG)
        assert await rest.outcome_of(MARKET.condition_id) == Ruling()
        await rest.aclose()


async def test_catalogue_queries(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        assert await stage.get("/markets", slug="nothing") == []
        assert [m["slug"] for m in await stage.get("/markets", condition_ids=MARKET.condition_id)] == [SLUG]
        assert [m["slug"] for m in await stage.get("/markets", clob_token_ids=f"{UP},{DOWN}")] == [SLUG]
        assert [m["slug"] for m in await stage.get("/markets", id=MARKET.gamma_id)] == [SLUG]
        repeated = await stage.rest.get("/markets", params=[("slug", SLUG), ("slug", OTHER), ("slug", "x")])
        assert [m["slug"] for m in repeated.json()] == [SLUG, OTHER]
        assert (await stage.get(f"/markets/slug/{SLUG}"))["id"] == MARKET.gamma_id
        assert (await stage.get(f"/markets/{MARKET.gamma_id}"))["slug"] == SLUG
        (event,) = await stage.get("/events", slug=SLUG)
        assert event["markets"][0]["conditionId"] == MARKET.condition_id
        assert (await stage.get(f"/events/{event['id']}"))["slug"] == SLUG
        assert (await stage.get(f"/events/slug/{SLUG}"))["slug"] == SLUG


async def test_lists_are_paged_and_filtered(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        first = await stage.get("/markets", limit="3")
        rest = await stage.get("/markets", limit="3", offset="2")
        assert [len(first), len(rest), first[2] == rest[0]] == [3, 3, True]
        closed = await stage.get("/markets", closed="true", limit="500")
        assert closed
        assert all(market["closed"] for market in closed)
        still_open = await stage.get("/markets", closed="false", limit="500")
        assert len(still_open) == 500
        assert await stage.get("/markets", slug=SLUG, closed="true") == []


@pytest.mark.parametrize(
    "path",
    [
        "/markets/slug/nothing",
        "/markets/77",
        "/markets/0x00",
        "/events/77",
        "/events/slug/x",
        "/clob-markets/0x00",
        "/markets-by-token/1",
        "/book?token_id=1",
        "/midpoint?token_id=1",
        "/spread",
        "/price?token_id=1&side=BUY",
        "/last-trade-price",
        "/tick-size",
        "/neg-risk",
        "/fee-rate",
        "/nowhere",
        "/books",
    ],
)
async def test_strangers_are_not_found(path: str, autojump_clock: MockClock) -> None:
    async with staged() as stage:
        reply = await stage.rest.get(path)
        assert reply.status_code == 404
        assert reply.json()["error"]


async def test_the_order_book_pages(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        assert await stage.get("/ok") == "OK"
        assert await stage.get("/time") == START_S + 10
        book = await stage.get("/book", token_id=UP)
        client = ClientBook()
        client.snapshot(book)
        bid, ask = (book[side][-1]["price"] for side in ("bids", "asks"))
        assert float((await stage.get("/midpoint", token_id=UP))["mid"]) == pytest.approx((float(bid) + float(ask)) / 2)
        assert float((await stage.get("/spread", token_id=UP))["spread"]) == pytest.approx(float(ask) - float(bid))
        assert await stage.get("/price", token_id=UP, side="BUY") == {"price": bid}
        assert await stage.get("/price", token_id=UP, side="sell") == {"price": ask}
        assert (await stage.rest.get("/price", params={"token_id": UP})).status_code == 400
        assert await stage.get("/tick-size", token_id=UP) == {"minimum_tick_size": 0.01}
        assert await stage.get("/neg-risk", token_id=UP) == {"neg_risk": False}
        assert await stage.get("/fee-rate", token_id=UP) == {"base_fee": 0}
        assert (await stage.get(f"/clob-markets/{MARKET.condition_id}"))["c"] == MARKET.condition_id
        assert await stage.get(f"/markets-by-token/{DOWN}") == {
            "condition_id": MARKET.condition_id,
            "primary_token_id": UP,
            "secondary_token_id": DOWN,
        }
        last = [await stage.get("/last-trade-price", token_id=token) for token in MARKET.asset_ids]
        assert float(last[0]["price"]) + float(last[1]["price"]) == pytest.approx(1.0)
        assert {told["side"] for told in last} == {"BUY", "SELL"}
        assert (await stage.rest.head("/time")).status_code == 200


async def test_books_in_bulk(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        reply = await stage.rest.post("/books", json=[{"token_id": UP}, {"token_id": "1"}, {"token_id": DOWN}])
        assert [book["asset_id"] for book in reply.json()] == [UP, DOWN]
        assert (await stage.rest.post("/books", content=b"{")).status_code == 400
        assert (await stage.rest.post("/books", json=[{"token_id": "1"}] * 501)).status_code == 400


async def test_the_pages_of_all_markets(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        page = await stage.get("/markets", next_cursor="MA==")
        assert (page["next_cursor"], page["limit"], page["count"]) == ("LTE=", 1_000, len(page["data"]))
        assert (await stage.get("/sampling-markets"))["data"][0].keys() == page["data"][0].keys()


async def test_history_of_a_token(autojump_clock: MockClock) -> None:
    async with staged(200) as stage:
        history = (await stage.get("/prices-history", market=UP, startTs=str(START_S), fidelity="2"))["history"]
        assert [point["t"] for point in history] == [START_S, START_S + 120]
        hour = (await stage.get("/prices-history", market=UP, interval="1h"))["history"]
        assert len(hour) == 61
        assert await stage.get("/prices-history", market="1") == {"history": []}


async def test_trades_of_a_market(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe(UP, DOWN)
        await stage.until(120)
        told = client.events("last_trade_price")
        trades = await stage.get("/trades", market=MARKET.condition_id, limit="500", takerOnly="true")
        assert [trade["timestamp"] for trade in trades] == sorted(
            (trade["timestamp"] for trade in trades), reverse=True
        )
        by_hash = {trade["transactionHash"]: trade for trade in trades}
        for event in told:
            trade = by_hash[event["transaction_hash"]]
            assert (trade["asset"], trade["side"]) == (event["asset_id"], event["side"])
            assert (trade["price"], trade["size"]) == (float(event["price"]), float(event["size"]))
            assert trade["outcome"] == MARKET.outcome_of(event["asset_id"])
        buys = await stage.get("/trades", market=MARKET.condition_id, side="BUY", limit="2", offset="1")
        assert [trade["side"] for trade in buys] == ["BUY", "BUY"]
        assert await stage.get("/trades", market="0x00") == []


async def test_faults_come_first_and_are_understood_by_the_engines_client(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        faults, rest = stage.venue.faults, venue_rest(stage)
        faults.hydrate(2)
        replies = [await stage.rest.get(f"/markets/{MARKET.condition_id}") for _ in range(3)]
        assert [reply.status_code for reply in replies] == [404, 404, 200]
        for status, kind in (
            (429, RestFaultKind.RATE_LIMITED),
            (403, RestFaultKind.BLOCKED),
            (502, RestFaultKind.SERVER),
            (503, RestFaultKind.SERVER),
        ):
            faults.rest(status, times=1, retry_after="7" if status == 429 else None)
            with pytest.raises(RestFault) as caught:
                await rest.server_time()
            assert (caught.value.kind, caught.value.status) == (kind, status)
            assert caught.value.retry_after == (7.0 if status == 429 else None)
        faults.rest(425, prefix="/book")
        assert (await stage.rest.get("/book", params={"token_id": UP})).status_code == 425
        assert await stage.get("/time")
        await rest.aclose()


async def test_slow_answers_take_their_time(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        stage.venue.faults.rest(500, delay_s=3.0)
        before = trio.current_time()
        assert (await stage.rest.get("/time")).status_code == 500
        assert trio.current_time() - before == pytest.approx(3.0)


async def test_a_ghost_of_a_book(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        stage.venue.faults.ghost_book = True
        book = await stage.get("/book", token_id=UP)
        assert [(level["price"]) for level in book["bids"] + book["asks"]] == ["0.01", "0.99"]


async def test_nobody_without_a_name_is_served(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        del stage.rest.headers["user-agent"]
        reply = await stage.rest.get("/time")
        assert (reply.status_code, reply.text) == (403, "error code: 1010")


async def test_the_fine_step_shows_on_every_page(autojump_clock: MockClock) -> None:
    async with staged(320) as stage:
        assert await stage.get("/tick-size", token_id=UP) == {"minimum_tick_size": 0.001}
        assert (await stage.get(f"/markets/{MARKET.condition_id}"))["minimum_tick_size"] == 0.001
        assert json.loads((await stage.get("/markets", slug=SLUG))[0]["outcomes"]) == list(Outcome)


def test_every_route_has_a_page() -> None:
    assert all(route.__doc__ for _, _, route in ROUTES)
