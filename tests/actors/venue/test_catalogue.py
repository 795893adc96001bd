import json
from datetime import datetime
from typing import Any

import pytest

from actors.clock import Clock
from actors.venue.catalogue import Catalogue
from actors.venue.exchange import Exchange
from actors.venue.faults import Faults, Void
from actors.venue.generated import GeneratedSource
from actors.venue.options import VenueOptions
from engine.markets import Outcome
from tests.actors.venue.scenery import SLUG, START_NS, START_S, S, listing

MARKET = listing()
WINNER = GeneratedSource(VenueOptions()).winner(MARKET)
LOSER = WINNER.other


async def catalogue(at_s: float, faults: Faults | None = None) -> Catalogue:
    clock = Clock.anchored(START_NS + round(at_s * S))
    source = GeneratedSource(VenueOptions())
    exchange = Exchange(clock, source, VenueOptions(), faults or Faults())
    return Catalogue(exchange, source, clock.now_ns)


def prices(body: dict[str, Any]) -> list[float]:
    return [float(price) for price in json.loads(body["outcomePrices"])]


async def test_a_live_market_in_the_catalogue() -> None:
    body = (await catalogue(120)).gamma_market(MARKET)
    assert (body["slug"], body["conditionId"], body["id"]) == (SLUG, MARKET.condition_id, MARKET.gamma_id)
    assert json.loads(body["clobTokenIds"]) == list(MARKET.asset_ids)
    assert body["clobTokenIds"].count('", "') == 1
    assert json.loads(body["outcomes"]) == ["Up", "Down"]
    assert (body["active"], body["closed"], body["acceptingOrders"]) == (True, False, True)
    assert datetime.fromisoformat(body["eventStartTime"]).timestamp() == START_S
    assert datetime.fromisoformat(body["endDate"]).timestamp() == START_S + 300
    assert datetime.fromisoformat(body["startDate"]).timestamp() == START_S - 86_400
    assert sum(prices(body)) == pytest.approx(1.0)
    assert "closedTime" not in body
    assert body["events"][0]["startTime"] == body["eventStartTime"]
    assert body["events"][0]["eventMetadata"].keys() == {"priceToBeat"}


async def test_before_the_slot_nothing_is_known() -> None:
    body = (await catalogue(-3_600)).gamma_market(MARKET)
    assert prices(body) == [0.5, 0.5]
    assert body["events"][0]["eventMetadata"] == {}


async def test_after_the_end_the_price_is_nearly_decided() -> None:
    body = (await catalogue(310)).gamma_market(MARKET)
    assert sorted(prices(body)) == [0.0005, 0.9995]
    assert (body["closed"], body["acceptingOrders"]) == (False, True)


async def test_a_decided_market() -> None:
    told = await catalogue(500)
    body = told.gamma_market(MARKET)
    assert prices(body) == ([1, 0] if WINNER is Outcome.UP else [0, 1])
    assert (body["closed"], body["acceptingOrders"], body["umaResolutionStatus"]) == (True, False, "resolved")
    assert body["closedTime"].startswith("2026-10-03 02:3")
    clob = told.clob_market(MARKET)
    assert (clob["closed"], clob["accepting_orders"], clob["enable_order_book"]) == (True, False, False)
    assert {token["outcome"]: (token["price"], token["winner"]) for token in clob["tokens"]} == {
        WINNER: (1.0, True),
        LOSER: (0.0, False),
    }
    event = told.gamma_event(MARKET)
    assert event["closed"]
    assert event["eventMetadata"].keys() == {"priceToBeat", "finalPrice"}
    assert event["markets"][0]["slug"] == SLUG
    assert "events" not in event["markets"][0]


@pytest.mark.parametrize(
    ("how", "shown", "marked", "halves"),
    [
        (Void.NOTHING, [0, 0], False, False),
        (Void.HALVES, [0.5, 0.5], False, True),
        (Void.NEARLY, [0.0005, 0.9995], False, False),
        (Void.BOTH, [1, 1], True, False),
    ],
)
async def test_a_decided_market_may_show_no_one_winner(
    how: Void, shown: list[float], marked: bool, halves: bool
) -> None:
    faults = Faults()
    faults.void(SLUG, how)
    told = await catalogue(500, faults)
    assert sorted(prices(told.gamma_market(MARKET))) == shown
    clob = told.clob_market(MARKET)
    assert (clob["closed"], clob["is_50_50_outcome"]) == (True, halves)
    assert sorted(token["price"] for token in clob["tokens"]) == shown
    assert {token["winner"] for token in clob["tokens"]} == {marked}


async def test_a_live_market_of_the_order_book() -> None:
    told = await catalogue(120)
    clob = told.clob_market(MARKET)
    assert (clob["closed"], clob["accepting_orders"], clob["minimum_tick_size"]) == (False, True, 0.01)
    assert [token["token_id"] for token in clob["tokens"]] == list(MARKET.asset_ids)
    assert not any(token["winner"] for token in clob["tokens"])
    compact = told.compact_market(MARKET)
    assert (compact["c"], compact["ao"], compact["mts"]) == (MARKET.condition_id, True, 0.01)
    assert [(token["t"], token["o"]) for token in compact["t"]] == [
        (MARKET.up_asset_id, "Up"),
        (MARKET.down_asset_id, "Down"),
    ]


async def test_history_ends_now_and_is_mirrored() -> None:
    told = await catalogue(150)
    up, down = (told.history(MARKET, outcome, START_S - 120, START_S + 9_999, 60) for outcome in Outcome)
    assert [point["t"] for point in up] == [START_S + step for step in (-120, -60, 0, 60, 120)]
    assert [point["p"] for point in up[:3]] == [0.5, 0.5, 0.5]
    assert all(a["p"] + b["p"] == pytest.approx(1.0) for a, b in zip(up, down, strict=True))
