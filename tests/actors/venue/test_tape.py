import json
from typing import Any

import pytest

from actors.venue.options import VenueOptions
from actors.venue.render import Message
from actors.venue.spot import SpotPath
from actors.venue.tape import GeneratedTape
from engine.markets import Outcome
from engine.units import PRICE_SCALE, price_text
from engine.wire import decode
from tests.actors.venue.client_book import ClientMarket
from tests.actors.venue.scenery import START_NS, START_S, S, listing


def tape(at_s: float = 0.0, window: int = 0, **options: Any) -> GeneratedTape:
    market = listing(f"btc-updown-5m-{START_S + 300 * window}")
    return GeneratedTape(market, SpotPath(7, "BTC"), VenueOptions(**options), START_NS + round(at_s * S))


def due(play: GeneratedTape, at_s: float) -> bool:
    return play.next_ns is not None and play.next_ns < START_NS + round(at_s * S)


def told_until(play: GeneratedTape, at_s: float) -> list[list[Message]]:
    told = []
    while due(play, at_s):
        told.append(list(play.advance()))
    return told


def kinds(messages: list[Message]) -> list[str]:
    return [json.loads(message.text)["event_type"] for message in messages]


@pytest.mark.untraced
@pytest.mark.parametrize("window", range(3))
def test_a_client_that_keeps_books_finds_every_claim_true(window: int) -> None:
    """Over a window and what follows: order, mirrors, tops, hashes, nothing crossed, snapshots equal to deltas."""
    play = tape(300.0 * window, window)
    market = ClientMarket(listing(f"btc-updown-5m-{START_S + 300 * window}"))
    market.begin(*(json.loads(play.initial_book(outcome)) for outcome in Outcome))
    while due(play, 300.0 * window + 420):
        for message in play.advance():
            assert decode(message.text)
            market.take(json.loads(message.text))
    assert market.seen["tick_size_change"] in {0, 4}
    assert market.seen["book"] == 2 * market.seen["last_trade_price"] > 100
    assert market.up.verified > 2_000


def test_the_top_is_told_before_the_change_and_only_when_it_moves() -> None:
    told = told_until(tape(), 120)
    shapes = {tuple(kinds(messages)) for messages in told}
    assert shapes <= {
        ("price_change",),
        ("best_bid_ask", "best_bid_ask", "price_change"),
        ("last_trade_price", "book", "book"),
        ("last_trade_price", "best_bid_ask", "best_bid_ask", "book", "book"),
    }
    assert ("best_bid_ask", "best_bid_ask", "price_change") in shapes
    top = None
    for messages in told:
        for message in messages:
            event = json.loads(message.text)
            if event["event_type"] == "best_bid_ask":
                assert (event["asset_id"], event["best_bid"], event["best_ask"]) != top
            if event["event_type"] == "price_change":
                entry = next(e for e in event["price_changes"] if e["asset_id"] == listing().up_asset_id)
                top = entry["asset_id"], entry["best_bid"], entry["best_ask"]


def test_a_trade_may_change_a_level_as_well() -> None:
    told = [kinds(messages) for messages in told_until(tape(price_change_on_trade=True), 60)]
    trades = [names for names in told if "last_trade_price" in names]
    assert trades
    assert all(names.count("price_change") == 1 and names[-2:] == ["book", "book"] for names in trades)


def test_skipping_is_the_same_but_silent() -> None:
    loud, silent = tape(), tape()
    told_until(loud, 45)
    while due(silent, 45):
        silent.skip()
    for outcome in Outcome:
        assert loud.initial_book(outcome) == silent.initial_book(outcome)
        assert loud.rest_book(outcome) == silent.rest_book(outcome)
    assert list(loud.trades) == list(silent.trades)
    assert loud.trades


def test_trades_are_remembered_as_told() -> None:
    play = tape()
    told = [json.loads(message.text) for messages in told_until(play, 60) for message in messages]
    hashes = [event["transaction_hash"] for event in told if event["event_type"] == "last_trade_price"]
    assert [trade.transaction_hash for trade in play.trades] == hashes


def test_a_claim_crosses_the_book_and_is_taken_back() -> None:
    play = tape(20)
    bid, ask = play.top(Outcome.UP)
    assert bid is not None
    assert ask is not None
    crossing = play.cross(START_NS + 20 * S)
    assert crossing is not None
    message, price = crossing
    entry = json.loads(message.text)["price_changes"][0]
    assert price == ask + 100
    assert (entry["side"], entry["best_bid"], entry["best_ask"]) == ("BUY", price_text(price), price_text(ask))
    assert play.top(Outcome.UP) == (bid, ask)
    healed = json.loads(play.heal(START_NS + 21 * S, price).text)["price_changes"][0]
    assert (healed["size"], healed["best_bid"]) == ("0", price_text(bid))


def test_a_one_sided_book_cannot_be_crossed() -> None:
    play = tape(420)
    while due(play, 425):
        play.skip()
    assert None in play.top(Outcome.UP)
    assert play.cross(START_NS) is None


def test_closing_leaves_empty_books() -> None:
    play = tape()
    for message in play.close(123):
        event = json.loads(message.text)
        assert (event["bids"], event["asks"], event["timestamp"]) == ([], [], "123")
    assert play.top(Outcome.DOWN) == (None, None)


def test_the_tops_of_the_tokens_are_mirrors() -> None:
    play = tape(30)
    up, down = play.top(Outcome.UP), play.top(Outcome.DOWN)
    assert down == tuple(PRICE_SCALE - (price or 0) for price in reversed(up))
