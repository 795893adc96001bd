import json
from typing import Any

import pytest

from actors.venue.actions import LevelSet, Take
from actors.venue.orderbook import OrderBook
from actors.venue.render import Renderer, arrays, last_price_text, market_resolved, new_market
from engine.events import BestBidAsk, BookSnapshot, MarketResolved, NewMarket, PriceChange, TickSizeChange, Trade
from engine.markets import Outcome, Side
from engine.wire import decode
from tests.actors.venue.client_book import ClientBook
from tests.actors.venue.scenery import SLUG, listing

AT_NS = 1_790_994_601_234_000_000
MARKET = listing()
UP, DOWN = MARKET.asset_ids


def small_book() -> OrderBook:
    book = OrderBook()
    for price, size in ((4_900, 75_500_000), (4_800, 120_000_000)):
        book.bids.set(price, size)
    for price, size in ((5_100, 60_000_000), (5_200, 200_000_000)):
        book.asks.set(price, size)
    book.last_trade = 5_000
    book.changed_ms = 1_790_994_600_000
    return book


def read(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    assert text == json.dumps(value, separators=(",", ":"))
    return value


def test_first_books_are_stamped_with_the_last_change_and_tell_step_and_last_trade() -> None:
    renderer = Renderer(MARKET, small_book())
    event = read(renderer.initial_book(Outcome.DOWN))
    assert list(event) == (
        ["market", "asset_id", "timestamp", "hash", "bids", "asks", "tick_size", "event_type", "last_trade_price"]
    )
    assert event["timestamp"] == "1790994600000"
    assert (event["tick_size"], event["last_trade_price"]) == ("0.01", "0.500")
    assert event["bids"] == [{"price": "0.48", "size": "200"}, {"price": "0.49", "size": "60"}]
    assert event["asks"] == [{"price": "0.52", "size": "120"}, {"price": "0.51", "size": "75.5"}]
    ClientBook().snapshot(event)


def test_later_books_come_for_both_tokens_without_step_and_last_trade() -> None:
    messages = Renderer(MARKET, small_book()).books(1_790_994_600_005)
    assert [message.asset_id for message in messages] == [UP, DOWN]
    for message in messages:
        assert list(read(message.text)) == ["market", "asset_id", "timestamp", "hash", "bids", "asks", "event_type"]
        (snapshot,) = decode(message.text)
        assert isinstance(snapshot, BookSnapshot)
        assert snapshot.venue_ms == 1_790_994_600_005


def test_a_price_change_has_two_mirrored_entries_the_orders_token_first() -> None:
    book = small_book()
    book.asks.set(5_000, 40_000_000)
    message = Renderer(MARKET, book).price_change(LevelSet(AT_NS, Outcome.DOWN, Side.SELL, 5_000, 40_000_000))
    assert message.delta
    assert message.asset_id is None
    event = read(message.text)
    assert list(event) == ["market", "price_changes", "timestamp", "event_type"]
    first, second = event["price_changes"]
    assert list(first) == ["asset_id", "price", "size", "side", "hash", "best_bid", "best_ask"]
    assert (first["asset_id"], first["side"], first["best_bid"], first["best_ask"]) == (DOWN, "BUY", "0.5", "0.51")
    assert (second["asset_id"], second["side"], second["best_bid"], second["best_ask"]) == (UP, "SELL", "0.49", "0.5")
    assert isinstance(decode(message.text)[0], PriceChange)


def test_empty_sides_show_0_and_1() -> None:
    book = OrderBook()
    book.bids.set(9_990, 1_000_000)
    renderer = Renderer(MARKET, book)
    event = read(renderer.price_change(LevelSet(AT_NS, Outcome.UP, Side.BUY, 9_990, 1_000_000)).text)
    tops = [(entry["best_bid"], entry["best_ask"]) for entry in event["price_changes"]]
    assert tops == [("0.999", "1"), ("0", "0.001")]
    up, down = (read(message.text) for message in renderer.best_bid_ask(3))
    assert (up["best_bid"], up["best_ask"], up["spread"]) == ("0.999", "1", "0.001")
    assert (down["asset_id"], down["best_bid"], down["spread"]) == (DOWN, "0", "0.001")


def test_best_bid_ask_is_a_custom_message_of_each_token() -> None:
    messages = Renderer(MARKET, small_book()).best_bid_ask(3)
    assert [(message.asset_id, message.custom) for message in messages] == [(UP, True), (DOWN, True)]
    assert list(read(messages[0].text))[2:5] == ["best_bid", "best_ask", "spread"]
    assert all(isinstance(decode(message.text)[0], BestBidAsk) for message in messages)


def test_a_trade_is_told_under_the_takers_token_alone() -> None:
    take = Take(AT_NS, Outcome.DOWN, Side.BUY, 5_100, 151_515_152, "0x" + "ab" * 32)
    message = Renderer(MARKET, small_book()).trade(take)
    event = read(message.text)
    assert message.asset_id == DOWN == event["asset_id"]
    assert (event["price"], event["size"], event["side"], event["fee_rate_bps"]) == ("0.51", "151.515152", "BUY", "0")
    assert event["timestamp"] == "1790994601234"
    (trade,) = decode(message.text)
    assert isinstance(trade, Trade)
    assert (trade.price, trade.size, trade.side) == (5_100, 151_515_152, Side.BUY)


def test_a_new_step_is_told_four_times() -> None:
    messages = Renderer(MARKET, small_book()).tick_size_change(100, 10, 9)
    assert [message.asset_id for message in messages] == [UP, UP, DOWN, DOWN]
    event = read(messages[0].text)
    assert (event["old_tick_size"], event["new_tick_size"]) == ("0.01", "0.001")
    assert isinstance(decode(messages[0].text)[0], TickSizeChange)


def test_the_page_has_what_the_hash_needs() -> None:
    renderer = Renderer(MARKET, small_book())
    page = read(renderer.rest_book(Outcome.UP))
    assert (page["min_order_size"], page["tick_size"], page["neg_risk"], page["last_trade_price"]) == (
        ("5", "0.01", False, "0.500")
    )
    ClientBook().snapshot(page)


def test_hashes_can_be_saved() -> None:
    renderer = Renderer(MARKET, small_book(), hashes=False)
    assert renderer.hash(Outcome.UP, 1) == ""
    assert read(renderer.initial_book(Outcome.UP))["hash"] == ""


@pytest.mark.parametrize(("price", "text"), [(None, ""), (3_100, "0.310"), (9_990, "0.999"), (9_995, "0.9995")])
def test_books_spell_the_last_trade_their_own_way(price: int | None, text: str) -> None:
    assert last_price_text(price) == text


def test_resolution_names_the_winning_token() -> None:
    message = market_resolved(MARKET, Outcome.DOWN, 4)
    event = read(message.text)
    assert message.custom
    assert (event["winning_asset_id"], event["winning_outcome"], event["event_message"]) == (DOWN, "Down", None)
    assert event["tags"][-1] == "5M"
    assert isinstance(decode(message.text)[0], MarketResolved)


def test_announcements_tell_the_tokens() -> None:
    message = new_market(MARKET, 4)
    event = read(message.text)
    assert message.custom
    assert event["assets_ids"] == event["clob_token_ids"] == [UP, DOWN]
    assert (event["slug"], event["active"], event["fee_schedule"]["taker_only"]) == (SLUG, False, True)
    (announced,) = decode(message.text)
    assert isinstance(announced, NewMarket)
    assert announced.asset_ids == (UP, DOWN)


def test_arrays_are_split_before_they_grow_too_large() -> None:
    assert arrays([], 100) == ["[]"]
    elements = ["1" * 30, "2" * 30, "3" * 30, "4" * 200, "5"]
    frames = arrays(elements, 100)
    assert ",".join(frame[1:-1] for frame in frames).split(",") == elements
    assert [frame.count(",") + 1 for frame in frames] == [3, 1, 1]
