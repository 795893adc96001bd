import gzip
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import WireError
from engine.events import (
    Answer,
    BestBidAsk,
    BookSnapshot,
    Event,
    Level,
    LevelChange,
    MarketResolved,
    NewMarket,
    PriceChange,
    TextAnswer,
    TickSizeChange,
    Trade,
    UnknownEvent,
)
from engine.markets import Side
from engine.shapes import SHAPES
from engine.units import MAX_SHARES, PRICE_SCALE, SIZE_SCALE, price_text, price_ticks, size_text, size_units
from engine.wire import (
    MAX_FRAME_BYTES,
    MAX_PROSE_BYTES,
    MAX_TEXT_BYTES,
    PING,
    decode,
    subscribe_more,
    subscription,
    unsubscribe,
)

Message = dict[str, Any]

MARKET = "0x" + "3d" * 32
UP = "41" * 38
DOWN = "97" * 38 + "1"
STAMP = 1_790_000_123_456
TRANSACTION = "0x" + "e0" * 32
CHECKSUM = "5f" * 20


def frame(message: object) -> str:
    return json.dumps(message, separators=(",", ":"))


def refusal(text: str) -> WireError:
    with pytest.raises(WireError) as caught:
        decode(text)
    return caught.value


# --------------------------------------------------------------------------------- the venue's side: events to messages


def side_of_book(levels: tuple[Level, ...]) -> list[Message]:
    return [{"price": price_text(price), "size": size_text(size)} for price, size in levels]


def book_message(event: BookSnapshot) -> Message:
    message: Message = {
        "market": event.market,
        "asset_id": event.asset_id,
        "timestamp": str(event.venue_ms),
        "hash": event.hash,
        "bids": side_of_book(event.bids),
        "asks": side_of_book(event.asks),
        "event_type": "book",
    }
    if event.tick is not None:
        message |= {"tick_size": price_text(event.tick), "last_trade_price": "0.310"}
    return message


def change_message(change: LevelChange) -> Message:
    return {
        "asset_id": change.asset_id,
        "price": price_text(change.price),
        "size": size_text(change.size),
        "side": change.side.value,
        "hash": CHECKSUM,
        "best_bid": price_text(change.best_bid or 0),
        "best_ask": price_text(change.best_ask or PRICE_SCALE),
    }


def price_change_message(event: PriceChange) -> Message:
    return {
        "market": event.market,
        "price_changes": [change_message(change) for change in event.changes],
        "timestamp": str(event.venue_ms),
        "event_type": "price_change",
    }


def trade_message(event: Trade) -> Message:
    message: Message = {
        "market": event.market,
        "asset_id": event.asset_id,
        "price": price_text(event.price),
        "size": size_text(event.size),
        "fee_rate_bps": "0",
        "timestamp": str(event.venue_ms),
        "event_type": "last_trade_price",
    }
    if event.side is not None:
        message["side"] = event.side.value
    if event.transaction_hash is not None:
        message["transaction_hash"] = event.transaction_hash
    return message


def tick_size_message(event: TickSizeChange) -> Message:
    return {
        "market": event.market,
        "asset_id": event.asset_id,
        "old_tick_size": "0.01",
        "new_tick_size": price_text(event.new_tick),
        "timestamp": str(event.venue_ms),
        "event_type": "tick_size_change",
    }


def best_bid_ask_message(event: BestBidAsk) -> Message:
    return {
        "market": event.market,
        "asset_id": event.asset_id,
        "best_bid": price_text(event.best_bid or 0),
        "best_ask": price_text(event.best_ask or PRICE_SCALE),
        "spread": "0.02",
        "timestamp": str(event.venue_ms),
        "event_type": "best_bid_ask",
    }


def new_market_message(event: NewMarket) -> Message:
    return {
        "id": "77",
        "question": "Up or down?",
        "market": event.market,
        "slug": event.slug,
        "description": 'Resolves to "Up" or "Down".',
        "assets_ids": list(event.asset_ids),
        "outcomes": list(event.outcomes),
        "event_message": {"id": "78", "title": "Up or down?", "description": ""},
        "timestamp": str(event.venue_ms),
        "event_type": "new_market",
        "tags": [],
        "active": False,
        "fee_schedule": {"exponent": "1", "rate": "0.07", "taker_only": True},
    }


def resolved_message(event: MarketResolved) -> Message:
    return {
        "id": "77",
        "market": event.market,
        "assets_ids": [UP, DOWN],
        "winning_asset_id": event.winning_asset_id,
        "winning_outcome": event.winning_outcome,
        "event_message": None,
        "timestamp": str(event.venue_ms),
        "event_type": "market_resolved",
        "tags": ["Crypto", "15M"],
    }


RENDERERS: dict[type, Callable[[Any], Message]] = {
    BookSnapshot: book_message,
    PriceChange: price_change_message,
    Trade: trade_message,
    TickSizeChange: tick_size_message,
    BestBidAsk: best_bid_ask_message,
    NewMarket: new_market_message,
    MarketResolved: resolved_message,
}


def render(event: Event) -> Message:
    return RENDERERS[type(event)](event)


BOOK = BookSnapshot(
    market=MARKET,
    asset_id=UP,
    bids=((4700, 120_000_000), (4800, 5_250_000)),
    asks=((5300, 1), (5200, 75_500_000)),
    venue_ms=STAMP,
    hash=CHECKSUM,
    tick=100,
)
CHANGE = PriceChange(
    market=MARKET,
    changes=(
        LevelChange(asset_id=DOWN, side=Side.BUY, price=3700, size=0, best_bid=3600, best_ask=3800),
        LevelChange(asset_id=UP, side=Side.SELL, price=6300, size=12_500_000, best_bid=6200, best_ask=None),
    ),
    venue_ms=STAMP,
)
TRADE = Trade(
    market=MARKET,
    asset_id=DOWN,
    side=Side.SELL,
    price=6600,
    size=151_515_152,
    venue_ms=STAMP,
    transaction_hash=TRANSACTION,
)
TICK = TickSizeChange(market=MARKET, asset_id=UP, new_tick=10, venue_ms=STAMP)
TOP = BestBidAsk(market=MARKET, asset_id=UP, best_bid=None, best_ask=10, venue_ms=STAMP)
ANNOUNCED = NewMarket(
    market=MARKET, slug="btc-updown-5m-1790000400", asset_ids=(UP, DOWN), outcomes=("Up", "Down"), venue_ms=STAMP
)
RESOLVED = MarketResolved(market=MARKET, winning_asset_id=DOWN, winning_outcome="Down", venue_ms=STAMP)
EXAMPLES: tuple[Event, ...] = (BOOK, CHANGE, TRADE, TICK, TOP, ANNOUNCED, RESOLVED)


def named(event: Event) -> str:
    return type(event).__name__


def changed(event: Event, **fields: object) -> str:
    """The frame of an event with some fields replaced, or left out where the new value is ``...``."""
    message = render(event) | fields
    return frame({name: value for name, value in message.items() if value is not ...})


# ------------------------------------------------------------------------------------------------------ what is sent


def test_subscription_is_the_initial_form() -> None:
    assert json.loads(subscription([UP, DOWN])) == {
        "assets_ids": [UP, DOWN],
        "type": "market",
        "custom_feature_enabled": True,
        "initial_dump": True,
        "level": 2,
    }


def test_later_frames_have_the_operation_form() -> None:
    assert json.loads(subscribe_more([UP], custom_features=False)) == {
        "operation": "subscribe",
        "assets_ids": [UP],
        "custom_feature_enabled": False,
    }
    assert json.loads(unsubscribe([UP])) == {"operation": "unsubscribe", "assets_ids": [UP]}


def test_the_flag_is_spelled_out_when_off_and_no_token_is_needed() -> None:
    request = json.loads(subscription([], custom_features=False))
    assert request["custom_feature_enabled"] is False
    assert request["assets_ids"] == []


@pytest.mark.parametrize("request_of", [subscription, subscribe_more, unsubscribe])
@pytest.mark.parametrize("token", ["", "abc", '1"', "1" * 79, MARKET])
def test_only_token_ids_are_ever_sent(request_of: Callable[[list[str]], str], token: str) -> None:
    with pytest.raises(ValueError, match="not a token id"):
        request_of([UP, token])


def test_the_heartbeat_is_bare_text() -> None:
    assert PING == "PING"


# -------------------------------------------------------------------------------------------------- documented frames


@pytest.mark.parametrize("event", EXAMPLES, ids=named)
def test_every_type_is_decoded(event: Event) -> None:
    assert decode(frame(render(event))) == (event,)


@pytest.mark.parametrize("event", EXAMPLES, ids=named)
def test_spaces_and_the_order_of_keys_mean_nothing(event: Event) -> None:
    assert decode(json.dumps(dict(reversed(render(event).items())), indent=2)) == (event,)


@pytest.mark.parametrize("text", ["PONG", "pong", " Pong\n", "INVALID OPERATION", "no new assets"])
def test_plain_text_answers_are_values(text: str) -> None:
    assert decode(text) == (TextAnswer(answer=Answer(text.strip().upper())),)


@pytest.mark.parametrize("text", ["[]", " [ ] ", "[[],[[]]]"])
def test_an_empty_array_holds_no_events(text: str) -> None:
    assert decode(text) == ()


def test_arrays_of_any_nesting_are_read_in_order() -> None:
    book, trade, announced = (frame(render(event)) for event in (BOOK, TRADE, ANNOUNCED))
    assert decode(f"[{book},{trade}]") == (BOOK, TRADE)
    assert decode(f"[{trade},[[{announced}],{book}],[]]") == (TRADE, ANNOUNCED, BOOK)


def test_unknown_types_are_values() -> None:
    assert decode('{"event_type":"auction","lots":[1,2.5,null]}') == (UnknownEvent(event_type="auction"),)


def test_a_book_without_levels_is_a_book() -> None:
    assert decode(changed(BOOK, bids=[], asks=[])) == (
        BookSnapshot(market=MARKET, asset_id=UP, bids=(), asks=(), venue_ms=STAMP, hash=CHECKSUM, tick=100),
    )


def test_a_long_book_is_read_like_a_short_one() -> None:
    levels = tuple((price, 10**15 - price) for price in range(1, PRICE_SCALE, 5))
    event = BookSnapshot(market=MARKET, asset_id=UP, bids=levels, asks=levels[::-1], venue_ms=STAMP)
    assert decode(frame(render(event))) == (event,)
    assert decode(changed(event, extra=0)) == (event,)


# --------------------------------------------------------------------------------------------------------- older forms


def test_the_form_of_2024_is_one_change_of_one_token() -> None:
    message = {
        "asset_id": UP,
        "event_type": "price_change",
        "hash": CHECKSUM,
        "market": MARKET,
        "price": "0.514",
        "side": "SELL",
        "size": "21.08",
        "timestamp": str(STAMP),
    }
    change = LevelChange(asset_id=UP, side=Side.SELL, price=5140, size=21_080_000)
    assert decode(frame(message)) == (PriceChange(market=MARKET, changes=(change,), venue_ms=STAMP),)


def test_the_form_of_2025_names_its_token_once() -> None:
    message = {
        "asset_id": UP,
        "changes": [{"price": "0.4", "side": "SELL", "size": "3300"}, {"price": "0.5", "side": "BUY", "size": "0"}],
        "event_type": "price_change",
        "market": MARKET,
        "timestamp": str(STAMP),
        "hash": CHECKSUM,
    }
    changes = (
        LevelChange(asset_id=UP, side=Side.SELL, price=4000, size=3_300_000_000),
        LevelChange(asset_id=UP, side=Side.BUY, price=5000, size=0),
    )
    assert decode(frame(message)) == (PriceChange(market=MARKET, changes=changes, venue_ms=STAMP),)


@pytest.mark.parametrize("changes", [{"price": "0.4"}, ["0.4"], [{"price": "0.4", "side": "SELL", "size": "1"}], 4])
def test_older_forms_without_a_token_or_with_odd_changes_are_malformed(changes: object) -> None:
    message = {"event_type": "price_change", "market": MARKET, "changes": changes}
    assert refusal(frame(message)).reason in {"missing_field", "wrong_type"}


# ----------------------------------------------------------------------------------------------------------- tolerance


@pytest.mark.parametrize("event", EXAMPLES, ids=named)
def test_unknown_fields_are_ignored(event: Event) -> None:
    odd = {"more": {"deep": [1, 2.5, None, True, "x"]}, "note": "ünïcödé", "count": 10**20 - 1}
    assert decode(frame(render(event) | odd)) == (event,)


@pytest.mark.parametrize("event", EXAMPLES, ids=named)
def test_fields_that_are_not_read_may_be_anything(event: Event) -> None:
    unread = {"fee_rate_bps", "spread", "old_tick_size", "last_trade_price", "id", "tags", "event_message"}
    odd = {name: {"now": ["an", "object"]} for name in render(event) if name in unread}
    assert decode(frame(render(event) | odd)) == (event,)


def test_unknown_fields_of_levels_and_changes_are_ignored() -> None:
    levels = [level | {"orders": 3} for level in render(BOOK)["bids"]]
    assert decode(changed(BOOK, bids=levels)) == (BOOK,)
    changes = [change | {"seen": None} for change in render(CHANGE)["price_changes"]]
    assert decode(changed(CHANGE, price_changes=changes)) == (CHANGE,)


def test_numbers_stand_for_texts() -> None:
    assert decode(changed(TRADE, price=0.66, size=151.515152, timestamp=STAMP, fee_rate_bps=0)) == (TRADE,)
    assert decode(changed(TICK, new_tick_size=0.001, timestamp=float(STAMP))) == (TICK,)
    assert decode(changed(TOP, best_bid=0, best_ask=0.001)) == (TOP,)
    levels = [{"price": 0.47, "size": 120}, {"price": 0.48, "size": 5.25}]
    assert decode(changed(BOOK, bids=levels, asks=[{"price": 0.53, "size": 1e-6}, {"price": 0.52, "size": 75.5}])) == (
        BOOK,
    )


@pytest.mark.parametrize("side", ["sell", "Sell", "SELL"])
def test_sides_may_be_of_any_case(side: str) -> None:
    assert decode(changed(TRADE, side=side)) == (TRADE,)


@pytest.mark.parametrize("side", [..., "", None])
def test_a_trade_may_have_no_side(side: object) -> None:
    (trade,) = decode(changed(TRADE, side=side))
    assert isinstance(trade, Trade)
    assert trade.side is None


@pytest.mark.parametrize("value", [..., "", None, False, [], {"a": 1}])
@pytest.mark.parametrize(
    ("event", "wire_name", "name", "absent"),
    [
        (BOOK, "hash", "hash", ""),
        (BOOK, "tick_size", "tick", None),
        (BOOK, "timestamp", "venue_ms", 0),
        (TRADE, "transaction_hash", "transaction_hash", None),
        (TRADE, "timestamp", "venue_ms", 0),
        (TOP, "best_ask", "best_ask", None),
        (RESOLVED, "winning_outcome", "winning_outcome", ""),
    ],
)
def test_optional_fields_may_be_absent_in_any_way(
    event: Event, wire_name: str, name: str, absent: object, value: object
) -> None:
    (decoded,) = decode(changed(event, **{wire_name: value}))
    assert getattr(decoded, name) == absent


def test_a_change_may_say_nothing_of_the_top() -> None:
    changes = [
        {name: value for name, value in change.items() if name not in {"best_bid", "best_ask", "hash"}}
        for change in render(CHANGE)["price_changes"]
    ]
    (event,) = decode(changed(CHANGE, price_changes=changes))
    assert isinstance(event, PriceChange)
    assert [(change.best_bid, change.best_ask) for change in event.changes] == [(None, None), (None, None)]


@pytest.mark.parametrize("stamp", ["1790000123.456", "1790000123456123", 1_790_000_123_456_789_123, 1790000123.456])
def test_stamps_of_other_units_become_milliseconds(stamp: object) -> None:
    assert decode(changed(TRADE, timestamp=stamp)) == (TRADE,)


def test_upper_case_condition_ids_become_lower_case() -> None:
    assert decode(changed(TRADE, market=MARKET.upper().replace("X", "x"))) == (TRADE,)


def test_the_last_of_duplicate_keys_counts() -> None:
    text = frame(render(TRADE))
    assert decode(text.replace('"price":', '"price":"0.1","price":')) == (TRADE,)
    assert decode(text.replace('"event_type":', '"event_type":"book","event_type":')) == (TRADE,)
    assert decode(text.replace('"price":', '"price":7,"price":')) == (TRADE,)


# ---------------------------------------------------------------------------------------------------------- strictness


@pytest.mark.parametrize(
    ("event", "name"),
    [
        *((event, "market") for event in EXAMPLES),
        *((event, "asset_id") for event in (BOOK, TRADE, TICK, TOP)),
        (BOOK, "bids"),
        (BOOK, "asks"),
        (CHANGE, "price_changes"),
        (TRADE, "price"),
        (TRADE, "size"),
        (TICK, "new_tick_size"),
        (ANNOUNCED, "slug"),
        (ANNOUNCED, "assets_ids"),
        (ANNOUNCED, "outcomes"),
        (RESOLVED, "winning_asset_id"),
    ],
)
def test_a_message_without_a_required_field_is_malformed(event: Event, name: str) -> None:
    error = refusal(changed(event, **{name: ...}))
    assert (error.reason, error.events, error.malformed) == ("missing_field", (), 1)
    assert refusal(changed(event, **{name: None})).reason == "wrong_type"
    assert refusal(changed(event, **{name: True})).reason == "wrong_type"


@pytest.mark.parametrize("name", ["asset_id", "price", "size", "side"])
def test_one_bad_change_condemns_its_message(name: str) -> None:
    first, second = render(CHANGE)["price_changes"]
    error = refusal(changed(CHANGE, price_changes=[first, {key: second[key] for key in second if key != name}]))
    assert error.reason == "missing_field"
    assert name in error.detail


@pytest.mark.parametrize("price", ["", "0", "1", 0, 1, "1.2", "-0.1", "0.00005", "nan", "1e400", "half", 1e300, "٠.٥"])
def test_prices_of_trades_and_levels_lie_inside_0_and_1(price: object) -> None:
    assert refusal(changed(TRADE, price=price)).reason == "bad_value"
    assert refusal(changed(BOOK, asks=[{"price": price, "size": "1"}])).reason == "bad_value"
    change = render(CHANGE)["price_changes"][0]
    assert refusal(changed(CHANGE, price_changes=[change | {"price": price}])).reason == "bad_value"


@pytest.mark.parametrize("size", ["", "-1", -1, "1e18", 1e18, 10**19, "nan", "inf", "1e400", "many", None, [1], " 1"])
def test_sizes_lie_between_0_and_a_billion(size: object) -> None:
    assert refusal(changed(TRADE, size=size)).reason == "wrong_type"
    assert refusal(changed(BOOK, bids=[{"price": "0.5", "size": size}])).reason == "wrong_type"
    change = render(CHANGE)["price_changes"][0]
    assert refusal(changed(CHANGE, price_changes=[change | {"size": size}])).reason == "wrong_type"


@pytest.mark.parametrize("size", ["0", 0, "0.0000001"])
def test_a_trade_has_a_size(size: object) -> None:
    assert refusal(changed(TRADE, size=size)).reason == "bad_value"


@pytest.mark.parametrize(
    ("event", "name", "value"),
    [
        (TRADE, "side", "HOLD"),
        (TRADE, "market", "0x12"),
        (TRADE, "asset_id", "0x12"),
        (TRADE, "asset_id", "9" * 79),
        (TOP, "best_bid", "1.01"),
        (TICK, "new_tick_size", "0.003"),
        (BOOK, "tick_size", "coarse"),
        (ANNOUNCED, "assets_ids", ["one", "two"]),
        (RESOLVED, "winning_asset_id", "Down"),
    ],
)
def test_fields_that_are_there_have_to_make_sense(event: Event, name: str, value: object) -> None:
    assert refusal(changed(event, **{name: value})).reason in {"bad_value", "wrong_type"}


@pytest.mark.parametrize("event_type", [..., None, "", 5, ["book"], True])
def test_a_message_needs_a_type(event_type: object) -> None:
    assert refusal(changed(TRADE, event_type=event_type)).reason == "missing_field"


@pytest.mark.parametrize("text", ["5", "null", "true", '"PONG"', "[1]", '[["book"]]'])
def test_only_objects_are_messages(text: str) -> None:
    assert refusal(text).reason == "not_an_object"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "PONG!",
        "P" * 100,
        "<html>blocked</html>",
        '{"event_type":"book"',
        "[] []",
        "{'event_type':'book'}",
        '{"event_type":"x","a":NaN}',
        '{"event_type":"x","a":-Infinity}',
        '{"event_type":"x","a":1e400}',
        '{"event_type":"x","a":01}',
        '{"event_type":"x","a":' + "7" * 5000 + "}",
        '{"event_type":"x","a":"\\ud800"}',
        '{"event_type":"x","a":"\\udc00"}',
        '{"event_type":"x","a":"\ud800"}',
        "\ud800",
        "\ufeff[]",
        '{"event_type":"x","a":"\n"}',
    ],
)
def test_what_is_not_strict_json_is_refused_as_a_whole(text: str) -> None:
    error = refusal(text)
    assert (error.reason, error.events, error.malformed) == ("not_json", (), 1)


# -------------------------------------------------------------------------------------------------------------- limits


def unknown(value: object) -> str:
    return frame({"event_type": "x", "a": value})


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 0


@pytest.mark.parametrize(
    ("within", "beyond", "reason"),
    [
        (unknown(10**20 - 1), unknown(10**20), "long_integer"),
        (unknown([1 - 10**20]), unknown([-(10**20)]), "long_integer"),
        (unknown(nested(15)), unknown(nested(16)), "too_deep"),
        (unknown([0] * 10_000), unknown([0] * 10_001), "too_long"),
        (unknown(dict.fromkeys(map(str, range(10_000)))), unknown(dict.fromkeys(map(str, range(10_001)))), "too_long"),
        (unknown("x" * 4096), unknown("x" * 4097), "long_text"),
        (unknown("é" * 2048), unknown("é" * 2049), "long_text"),
        (unknown({"k" * 4096: 0}), unknown({"k" * 4097: 0}), "long_text"),
        (frame({"event_type": "x" * 4096}), frame({"event_type": "x" * 4097}), "long_text"),
        (frame({"event_type": "x", "description": "x" * 65_536}), unknown({"description": "x" * 65_537}), "long_text"),
        (changed(TRADE, transaction_hash="f" * 4096), changed(TRADE, transaction_hash="f" * 4097), "long_text"),
        (changed(BOOK, hash='"' * 4096), changed(BOOK, hash='"' * 4097), "long_text"),
        (changed(BOOK, last_trade_price="0" * 4096), changed(BOOK, last_trade_price="0" * 4097), "long_text"),
        (changed(TRADE, size="1." + "0" * 4094), changed(TRADE, size="1." + "0" * 4095), "long_text"),
        (changed(CHANGE, price_changes=[]), changed(CHANGE, price_changes=[0] * 10_001), "too_long"),
        (unknown([[[0] * 9_999] * 10, [0] * 10]), unknown([[[0] * 9_999] * 10, [0] * 11]), "too_long"),
        ("[]" + " " * (MAX_FRAME_BYTES - 2), "[]" + " " * (MAX_FRAME_BYTES - 1), "oversize"),
    ],
    ids=str,
)
def test_limits_are_kept_to_the_last_byte(within: str, beyond: str, reason: str) -> None:
    decode(within)
    assert refusal(beyond).reason == reason


def test_a_snapshot_of_too_many_levels_is_refused() -> None:
    level = {"price": "0.5", "size": "1"}
    (book,) = decode(changed(BOOK, bids=[level] * 10_000, asks=[level] * 10_000))
    assert isinstance(book, BookSnapshot)
    assert book.bids == book.asks == ((5000, 1_000_000),)
    assert refusal(changed(BOOK, bids=[level] * 10_001)).reason == "too_long"


def test_long_texts_are_refused_wherever_they_stand_in_a_long_frame() -> None:
    levels = [{"price": "0.5", "size": "1"}] * 300
    for bids, asks in ((levels, []), ([], levels), (levels, levels)):
        for size in ("0." + "0" * MAX_TEXT_BYTES, "1." + "0" * (2 * MAX_TEXT_BYTES)):
            crowded = [*asks, {"price": "0.6", "size": size}, *bids]
            assert refusal(changed(BOOK, bids=bids, asks=crowded)).reason == "long_text"


def test_the_venue_s_prose_may_be_long() -> None:
    prose = "Resolves as it does. " * 1000
    assert MAX_TEXT_BYTES < len(prose) < MAX_PROSE_BYTES
    assert decode(changed(ANNOUNCED, description=prose, event_message={"description": prose})) == (ANNOUNCED,)
    assert refusal(changed(ANNOUNCED, slug=prose)).reason == "long_text"


def test_frames_are_measured_in_bytes_not_characters() -> None:
    text = "€" * (MAX_FRAME_BYTES // 3 + 1)
    assert len(text) < MAX_FRAME_BYTES
    assert refusal(text).reason == "oversize"
    assert refusal("\ud800" * (MAX_FRAME_BYTES // 3 + 1)).reason == "oversize"


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"event_type":"book","bids":[', '[{"a":'])
def test_bottomless_nesting_is_refused(opening: str) -> None:
    error = refusal(opening * (100_000 // len(opening)))
    assert error.reason in {"too_deep", "not_json"}
    assert error.events == ()


def test_arrays_nest_as_deep_as_the_limit() -> None:
    assert decode("[" * 16 + "]" * 16) == ()
    assert refusal("[" * 17 + "]" * 17).reason == "too_deep"
    assert decode("[" * 13 + frame(render(CHANGE)) + "]" * 13) == (CHANGE,)
    assert refusal("[" * 14 + frame(render(CHANGE)) + "]" * 14).reason == "too_deep"


def test_there_are_never_more_than_ten_thousand_messages() -> None:
    thousands = "[" + ",".join(["[" + ",".join(["5"] * 5000) + "]"] * 2)
    assert refusal(thousands + "]").malformed == 10_000
    error = refusal(thousands + ",5]")
    assert (error.reason, error.malformed, error.events) == ("too_long", 1, ())


# ---------------------------------------------------------------------------------------------------- errors of arrays


def test_an_array_keeps_its_intact_events_in_order() -> None:
    elements = [render(BOOK), {"event_type": "book"}, render(TRADE), 7, [render(TOP), {}], nested(16)]
    error = refusal(frame(elements))
    assert error.events == (BOOK, TRADE, TOP)
    assert error.malformed == 4
    assert error.reason == "missing_field"
    assert "book" in error.detail


def test_an_array_that_is_too_long_is_one_bad_element() -> None:
    error = refusal(frame([render(TRADE), [0] * 10_001]))
    assert (error.events, error.malformed, error.reason) == ((TRADE,), 1, "too_long")


@pytest.mark.parametrize(
    "text",
    [
        "<b>\x1b[31m\r\n" * 1000,
        "\ud800" * 1000,
        '{"event_type":"' + "é" * 2000 + "",
        changed(TRADE, side="\x1b]0;é\n" * 400),
        changed(TRADE, market="\n" * 400),
        frame({"event_type": "book", "market": "\x00" * 4000, "bids": [], "asks": [], "asset_id": "5"}),
    ],
)
def test_details_are_short_and_printable(text: str) -> None:
    error = refusal(text)
    assert len(error.detail) <= 256
    assert error.detail.isascii()
    assert error.detail.isprintable()


# -------------------------------------------------------------------------------------------------- property: no escape

FIELDS = sorted({name for event in EXAMPLES for name in render(event)} | {"price", "size", "side", "changes"})
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**22), 10**22)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([MARKET, UP, DOWN, "BUY", "sell", "0.5", "1", "0", "12.5", str(STAMP), *SHAPES])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
)
plausible = st.fixed_dictionaries({"event_type": st.sampled_from(sorted(SHAPES))}).flatmap(
    lambda typed: st.dictionaries(st.sampled_from(FIELDS), values, max_size=8).map(lambda fields: {**fields, **typed})
)
json_tokens = st.lists(
    st.sampled_from([*'[]{},:"', "null", "NaN", "-1e400", "0.5", '"book"', '"event_type"', '"\\ud800"', "PONG", " "]),
    max_size=40,
).map("".join)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from([frame(render(event)) for event in EXAMPLES] + [frame([render(BOOK), render(TRADE)])]))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(st.text(max_size=3) | json_tokens | st.just(text[start:end] * 2)) + text[end:]
    return text


def events_or_fault(text: str) -> tuple[tuple[Event, ...], int]:
    """The intact events of a frame and the count of its malformed elements; any other exception leaves."""
    try:
        return decode(text), 0
    except WireError as error:
        return error.events, error.malformed


def refuse_constant(name: str) -> None:
    raise ValueError(name)


def assert_sound(event: Event) -> None:
    match event:
        case Trade(price=price, size=size):
            assert 0 < price < PRICE_SCALE
            assert 0 < size <= MAX_SHARES * SIZE_SCALE
        case BookSnapshot(bids=bids, asks=asks):
            for side in (bids, asks):
                assert all(0 < price < PRICE_SCALE and 0 < size <= MAX_SHARES * SIZE_SCALE for price, size in side)
                assert len({price for price, _ in side}) == len(side)
        case PriceChange(changes=changes):
            assert all(0 < change.price < PRICE_SCALE for change in changes)
            assert all(0 <= change.size <= MAX_SHARES * SIZE_SCALE for change in changes)
        case _:
            assert isinstance(event, UnknownEvent | TextAnswer) or event.venue_ms >= 0


@given(
    st.text()
    | st.text(st.characters(codec=None))
    | json_tokens
    | damaged()
    | values.map(frame)
    | plausible.map(frame)
    | st.lists(plausible, max_size=3).map(frame)
)
@example("\ud800")
@example("[" * 100_000)
@example('{"event_type":"book",' * 5_000)
def test_any_text_gives_events_or_a_wire_error_and_nothing_else(text: str) -> None:
    try:
        events, detail = decode(text), ""
    except WireError as error:
        events, detail = error.events, error.detail
    assert len(detail) <= 256
    assert detail.isascii()
    assert detail == "" or detail.isprintable()
    for event in events:
        assert_sound(event)


# ------------------------------------------------------------------------------------------------- property: round trip

prices = st.integers(1, PRICE_SCALE - 1)
sizes = st.integers(1, MAX_SHARES * SIZE_SCALE)
stamps = st.integers(10**11, 10**14 - 1)
markets = st.binary(min_size=32, max_size=32).map(lambda digest: "0x" + digest.hex())
tokens = st.integers(0, 10**78 - 1).map(str)
tops = st.none() | prices
sides = st.sampled_from(Side)
steps = st.sampled_from([1000, 100, 50, 25, 10, 1])
levels = st.dictionaries(prices, sizes, max_size=6).map(lambda side: tuple(side.items()))
words = st.text(min_size=1, max_size=12)
changes = st.builds(
    LevelChange,
    asset_id=tokens,
    side=sides,
    price=prices,
    size=st.just(0) | sizes,
    best_bid=tops,
    best_ask=tops,
)
events = st.one_of(
    st.builds(
        BookSnapshot,
        market=markets,
        asset_id=tokens,
        bids=levels,
        asks=levels,
        venue_ms=stamps,
        hash=st.text("0123456789abcdef", max_size=40),
        tick=st.none() | steps,
    ),
    st.builds(PriceChange, market=markets, changes=st.lists(changes, max_size=3).map(tuple), venue_ms=stamps),
    st.builds(
        Trade,
        market=markets,
        asset_id=tokens,
        side=st.none() | sides,
        price=prices,
        size=sizes,
        venue_ms=stamps,
        transaction_hash=st.none() | markets,
    ),
    st.builds(TickSizeChange, market=markets, asset_id=tokens, new_tick=steps, venue_ms=stamps),
    st.builds(BestBidAsk, market=markets, asset_id=tokens, best_bid=tops, best_ask=tops, venue_ms=stamps),
    st.builds(
        NewMarket,
        market=markets,
        slug=words,
        asset_ids=st.lists(tokens, max_size=3).map(tuple),
        outcomes=st.lists(words, max_size=3).map(tuple),
        venue_ms=stamps,
    ),
    st.builds(MarketResolved, market=markets, winning_asset_id=tokens, winning_outcome=words, venue_ms=stamps),
)

NUMERIC = {"price", "size", "best_bid", "best_ask", "tick_size", "new_tick_size", "timestamp"}


def with_numbers(message: Any) -> Any:
    """The message with numbers where the venue writes numbers as texts."""
    match message:
        case dict():
            return {
                name: json.loads(value) if name in NUMERIC and isinstance(value, str) else with_numbers(value)
                for name, value in message.items()
            }
        case list():
            return [with_numbers(member) for member in message]
        case _:
            return message


@given(events)
def test_what_the_venue_renders_is_decoded_exactly(event: Event) -> None:
    assert decode(frame(render(event))) == (event,)


@given(events)
def test_both_ways_of_reading_agree(event: Event) -> None:
    message = render(event)
    assert decode(frame(message | {"unheard_of": [1]})) == (event,)
    assert decode(frame(with_numbers(message))) == (event,)
    assert decode(json.dumps(message | {"note": "é"}, ensure_ascii=False)) == (event,)


@given(damaged() | plausible.map(frame) | events.map(render).map(frame))
def test_a_bad_neighbour_changes_nothing(text: str) -> None:
    # Beside a malformed element no frame is as documented, so this compares the two ways of reading.
    try:
        json.loads(text, parse_constant=refuse_constant)
        text.encode()
    except ValueError:
        return
    expected, malformed = events_or_fault(text)
    assert events_or_fault(f"[{text},5]") == (expected, malformed + 1)


def names_no_number(text: str) -> bool:
    """Whether a frame holds a bare NaN or Infinity, which is no JSON; the same word in quotes is a text."""
    found: list[str] = []
    json.loads(text, parse_constant=found.append)
    return bool(found)


@given(st.lists(events.map(render) | plausible | values, max_size=5))
def test_an_array_is_the_concatenation_of_its_elements(elements: list[Any]) -> None:
    singles = [events_or_fault(frame(element)) for element in elements]
    together = (tuple(event for single, _ in singles for event in single), sum(bad for _, bad in singles))
    if names_no_number(frame(elements)):
        assert refusal(frame(elements)).events == ()
    else:
        assert events_or_fault(frame(elements)) == together


# ---------------------------------------------------------------------------------------------------- recorded markets


def recorded(path: Path, count: int) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in islice(lines, count):
            yield json.loads(line)["raw"]


def test_recorded_books_are_decoded_level_by_level(captures: Path) -> None:
    for path in sorted(captures.glob("*.jsonl.gz")):
        for text in recorded(path, 20):
            (event,) = decode(text)
            message = json.loads(text)
            assert isinstance(event, BookSnapshot)
            assert (event.market, event.asset_id) == (message["market"], message["asset_id"])
            assert event.venue_ms == int(message["timestamp"])
            for side in ("bids", "asks"):
                expected = [(price_ticks(level["price"]), size_units(level["size"])) for level in message[side]]
                assert list(getattr(event, side)) == expected
