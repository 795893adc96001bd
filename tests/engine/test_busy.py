"""The busy frames are read to the last field or not at all, and mean what the slow, obvious decoder says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import Decoder

from engine import busy
from engine.busy import BookMessage, ChangeMessage, LevelTicks, OppositeTicks, TopTicks, TradeMessage, read
from engine.events import BookSnapshot, Event, LevelChange, PriceChange, Trade
from engine.markets import Side
from engine.shapes import MAX_COMMAS, MAX_TEXT_BYTES
from engine.units import MAX_SHARES, PRICE_SCALE, PRICE_TABLE, SIZE_SCALE, size_text
from engine.wire import decode
from tests.engine import obvious
from tests.engine.odd_values import ODD_PRICES, ODD_SIDES, ODD_SIZES, ODD_STAMPS, Object, Token

MARKET = "0x" + "3d" * 32
UP, DOWN = "41" * 38, "97" * 38 + "1"
STAMP = "1790000123456"
HASH = "5f" * 20
TRANSACTION = "0x" + "e0" * 32

MAX_UNITS = MAX_SHARES * SIZE_SCALE


def row(asset: str, price: str, side: str, bid: str, ask: str, size: str = "12.5") -> Object:
    fields = {"asset_id": asset, "price": price, "size": size, "side": side, "hash": HASH}
    return Object([*fields.items(), ("best_bid", bid), ("best_ask", ask)])


def level(price: str, size: str) -> Object:
    return Object([("price", price), ("size", size)])


def change() -> Object:
    rows = [row(UP, "0.47", "BUY", "0.48", "0.52"), row(DOWN, "0.53", "SELL", "0.48", "0.52")]
    return Object(
        [("market", MARKET), ("price_changes", rows), ("timestamp", STAMP), ("event_type", "price_change")],
    )


def trade() -> Object:
    fields = {"market": MARKET, "asset_id": UP, "price": "0.48", "size": "3", "fee_rate_bps": "0", "side": "BUY"}
    fields |= {"timestamp": STAMP, "event_type": "last_trade_price", "transaction_hash": TRANSACTION}
    return Object(fields.items())


def book() -> Object:
    fields: dict[str, Any] = {"market": MARKET, "asset_id": UP, "timestamp": STAMP, "hash": HASH}
    fields |= {"bids": [level("0.01", "7"), level("0.48", "12.5")], "asks": [level("0.99", "8"), level("0.52", "3.25")]}
    return Object([*fields.items(), ("event_type", "book")])


MESSAGES: dict[str, Callable[[], Object]] = {"change": change, "trade": trade, "book": book}


def spelt(value: Any) -> str:
    """JSON as the venue writes it, without a space."""
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, Object):
        return "{" + ",".join([f"{json.dumps(name)}:{spelt(member)}" for name, member in value]) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(spelt, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def objects(message: Object) -> list[Object]:
    """The message itself and the first row of each of its lists."""
    return [message, *[members[0] for _, members in message if isinstance(members, list)]]


def places(build: Callable[[], Object]) -> Iterator[tuple[Object, Object, int]]:
    """Every field there is: a fresh message, the object in it and the field's place there."""
    for number, found in enumerate(objects(build())):
        for place in range(len(found)):
            message = build()
            yield message, objects(message)[number], place


def taken(text: str) -> Event | None:
    """The event that a frame is taken for, which is the obvious decoder's; ``None`` if it is left to the patient."""
    message = read(text)
    try:
        event = None if message is None else message.event()
    except ValueError:
        return None
    if event is not None:
        # An enum equals its text: only what is written of the two tells them apart.
        assert repr((event,)) == repr(obvious.decode(text))
    return event


def with_field(build: Callable[[], Object], name: str, value: Any) -> Iterator[str]:
    for message, found, place in places(build):
        if found[place][0] == name:
            found[place] = (name, value)
            yield spelt(message)


# ------------------------------------------------------------------------------------------------ the documented frames


def test_a_level_change_as_documented() -> None:
    message = read(spelt(change()))
    assert type(message) is ChangeMessage
    up, down = message.price_changes
    assert (up.price, up.size, up.side, up.best_bid, up.best_ask) == (4700, 12.5, Side.BUY, 4800, 5200)
    assert (down.price, down.size, down.side, down.best_bid, down.best_ask) == (5300, 12.5, Side.SELL, 4800, 5200)
    assert message.event() == PriceChange(
        market=MARKET,
        changes=(
            LevelChange(asset_id=UP, side=Side.BUY, price=4700, size=12_500_000, best_bid=4800, best_ask=5200),
            LevelChange(asset_id=DOWN, side=Side.SELL, price=5300, size=12_500_000, best_bid=4800, best_ask=5200),
        ),
        venue_ms=1_790_000_123_456,
    )


def test_a_trade_as_documented() -> None:
    message = read(spelt(trade()))
    assert type(message) is TradeMessage
    assert message.event() == Trade(
        market=MARKET,
        asset_id=UP,
        side=Side.BUY,
        price=4800,
        size=3_000_000,
        venue_ms=1_790_000_123_456,
        transaction_hash=TRANSACTION,
    )


def test_a_book_as_documented() -> None:
    message = read(spelt(book()))
    assert type(message) is BookMessage
    assert message.event() == BookSnapshot(
        market=MARKET,
        asset_id=UP,
        bids=((100, 7_000_000), (4800, 12_500_000)),
        asks=((9900, 8_000_000), (5200, 3_250_000)),
        venue_ms=1_790_000_123_456,
        hash=HASH,
    )


@pytest.mark.parametrize("kind", MESSAGES)
def test_no_field_may_be_missing(kind: str) -> None:
    for message, found, place in places(MESSAGES[kind]):
        del found[place]
        assert taken(spelt(message)) is None


@pytest.mark.parametrize("kind", MESSAGES)
def test_no_field_may_be_added_anywhere(kind: str) -> None:
    for message, found, place in places(MESSAGES[kind]):
        found.insert(place, ("maker", "x"))
        assert taken(spelt(message)) is None


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("value", [*map(Token, ("null", "true", "0.5", "5", "[]", "{}", "[{}]", '[""]')), "", "x", "0"])
def test_a_field_of_another_kind_is_refused_or_means_the_same(kind: str, value: str) -> None:
    texts = [spelt(message) for message, found, place in places(MESSAGES[kind]) if change_field(found, place, value)]
    assert len(texts) > 8
    assert None in map(taken, texts)


def change_field(found: Object, place: int, value: str) -> bool:
    found[place] = (found[place][0], value)
    return True


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_order_of_fields_changes_nothing(kind: str) -> None:
    meant = taken(spelt(MESSAGES[kind]()))
    for message, found, place in places(MESSAGES[kind]):
        found.insert(0, found.pop(place))
        assert taken(spelt(message)) in (meant, None)


@pytest.mark.parametrize("kind", MESSAGES)
def test_of_two_fields_of_one_name_the_later_counts(kind: str) -> None:
    meant = taken(spelt(MESSAGES[kind]()))
    for message, found, place in places(MESSAGES[kind]):
        found.insert(0, (found[place][0], Token("null") if place % 2 else "0"))
        assert taken(spelt(message)) in (meant, None)
    for message, found, place in places(MESSAGES[kind]):
        found.append((found[place][0], "0.3"))
        taken(spelt(message))


@pytest.mark.parametrize("field", ["bids", "asks", "hash", "market"])
def test_nothing_in_a_book_may_have_been_replaced_unseen(field: str) -> None:
    for replaced in ("1e400", "[" * 50 + "]" * 50, "0", "[]", '""'):
        assert read(spelt(Object([(field, Token(replaced)), *book()]))) is None


def test_a_type_told_twice_does_not_pass_for_another() -> None:
    for build in MESSAGES.values():
        for other in ("book", "price_change", "last_trade_price", "tick_size_change", "x"):
            for at in range(len(build()) + 1):
                message = build()
                message.insert(at, ("event_type", other))
                event = taken(spelt(message))
                assert event is None or type(event).__name__ == type(taken(spelt(build()))).__name__


# --------------------------------------------------------------------------------------------------------------- values

INSIDE = {text: ticks for text, ticks in PRICE_TABLE.items() if 0 < ticks < PRICE_SCALE}


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize(("name", "usual"), [("price", INSIDE), ("best_bid", PRICE_TABLE), ("best_ask", PRICE_TABLE)])
def test_only_usual_spellings_of_prices_are_read_here(kind: str, name: str, usual: dict[str, int]) -> None:
    for price in ODD_PRICES:
        for text in with_field(MESSAGES[kind], name, price):
            assert (taken(text) is not None) == (price in usual and not isinstance(price, Token)), text


SIDES = ("SELL", *ODD_SIDES)


@pytest.mark.parametrize(("name", "values"), [("size", ODD_SIZES), ("timestamp", ODD_STAMPS), ("side", SIDES)])
def test_odd_sizes_stamps_and_sides_mean_what_they_mean_or_are_left_alone(name: str, values: tuple[str, ...]) -> None:
    events = [taken(text) for value in values for build in MESSAGES.values() for text in with_field(build, name, value)]
    assert None in events
    assert any(event is not None for event in events)


@pytest.mark.parametrize(
    ("size", "units"),
    [
        ("0.000001", 1),
        ("999999999.999999", MAX_SHARES * SIZE_SCALE - 1),
        ("1000000000", MAX_SHARES * SIZE_SCALE),
        (Token("12.5"), 12_500_000),
    ],
)
def test_sizes_are_exact_up_to_the_edges(size: str, units: int) -> None:
    (changed,), (traded,), (booked, _) = (map(taken, with_field(build, "size", size)) for build in MESSAGES.values())
    assert isinstance(changed, PriceChange)
    assert isinstance(traded, Trade)
    assert isinstance(booked, BookSnapshot)
    assert (changed.changes[0].size, traded.size, booked.bids[0][1]) == (units, units, units)


@pytest.mark.parametrize("size", ["0", "0.0", "0.0000004", "0.000000999", Token("0"), Token("1e-7")])
def test_only_a_level_change_may_be_of_nothing(size: str) -> None:
    (changed,) = map(taken, with_field(change, "size", size))
    assert isinstance(changed, PriceChange)
    assert changed.changes[0].size == round(float(size) * SIZE_SCALE)
    for build in (trade, book):
        assert {taken(text) for text in with_field(build, "size", size)} == {None}


@pytest.mark.parametrize("size", ["-0.000001", "1000000000.000001", "nan", "inf", "", Token("-1"), Token("null")])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    for build in MESSAGES.values():
        assert {taken(text) for text in with_field(build, "size", size)} == {None}


def test_ids_are_looked_at_when_the_event_is_wanted() -> None:
    for name in ("market", "asset_id"):
        for build in MESSAGES.values():
            (text, *_) = with_field(build, name, "0xg")
            message = read(text)
            assert message is not None
            with pytest.raises(ValueError, match="not a"):
                message.event()


# ------------------------------------------------------------------------------------------------------- odd frames


def test_no_type_may_hide_where_the_hash_of_a_transaction_stands() -> None:
    hidden = 'ab","event_type":"book","fee_rate_bps":"'
    text = spelt(trade()).replace(TRANSACTION, f"0x{hidden:0<64}")
    assert len(text) == len(spelt(trade()))
    assert taken(text) is None


OLDER = Object(
    [("market", MARKET), ("asset_id", UP), ("changes", [level("0.47", "1")]), ("event_type", "price_change")]
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("PONG", id="the answer to a heartbeat"),
        pytest.param('{"event_type":"price_change"}', id="nothing but a type"),
        pytest.param('"event_type":"book"}', id="the end of a book"),
        pytest.param("[" + spelt(book()) + "]", id="an array of one"),
        pytest.param(spelt(trade()) + " ", id="a space behind"),
        pytest.param(" " + spelt(book()), id="a space before a book"),
        pytest.param(
            spelt(Object([*book()[:-1], ("tick_size", "0.01"), ("last_trade_price", "0.480"), book()[-1]])),
            id="the book after a subscription",
        ),
        pytest.param(json.dumps(json.loads(spelt(change()))), id="spaces between"),
        pytest.param(spelt(change())[1:], id="no beginning"),
        pytest.param(spelt(change()) + spelt(change()), id="two in one"),
        pytest.param(spelt(change())[:-1] + ',"event_type":"price_change"', id="no end"),
        pytest.param(spelt(Object([*trade(), ("market", MARKET)])), id="a field behind the end of a trade"),
        pytest.param(
            spelt(
                Object([("event_type", "price_change"), *row(UP, "0.47", "BUY", "0.48", "0.52"), ("market", MARKET)])
            ),
            id="the form of 2024",
        ),
        pytest.param(spelt(OLDER), id="the form of 2025"),
        pytest.param(spelt(Object([("event_type", "book"), *book()[:-1]])), id="the type first"),
    ],
)
def test_other_frames_are_left_alone(text: str) -> None:
    assert read(text) is None


SHORT = MAX_TEXT_BYTES // 4


def test_a_level_change_longer_than_a_text_may_be_is_left_to_those_who_look() -> None:
    for length in (SHORT, SHORT + 1, 10 * SHORT):
        message = change()
        message[1] = ("price_changes", [row(UP, "0.47", "BUY", "0.48", "0.52") for _ in range(length // 256)])
        message[1][1][0][4] = ("hash", "")
        message[1][1][0][4] = ("hash", "f" * (length - len(spelt(message))))
        assert len(spelt(message)) == length
        assert (taken(spelt(message)) is not None) == (length <= SHORT)


@pytest.mark.parametrize("length", [MAX_COMMAS - 1, MAX_COMMAS, MAX_COMMAS + 1])
def test_a_book_may_be_long_but_may_not_have_too_many_commas(length: int) -> None:
    many = [level(price, "100") for price in [*INSIDE][:3000]]
    message = Object([(name, many if name == "bids" else value) for name, value in book()])
    room = " " * (length - len(spelt(message)))
    message[4] = ("bids", Token(spelt(many)[:-1] + room + "]"))
    assert len(spelt(message)) == length
    assert (taken(spelt(message)) is not None) == (length <= MAX_COMMAS)


@pytest.mark.parametrize("length", [MAX_TEXT_BYTES, 3 * MAX_TEXT_BYTES])
def test_no_text_in_a_book_may_be_too_long(length: int) -> None:
    message = Object([(name, "f" * length if name == "hash" else value) for name, value in book()])
    assert (taken(spelt(message)) is not None) == (length <= MAX_TEXT_BYTES)


def test_no_text_may_hide_behind_characters_of_several_bytes_or_an_escape() -> None:
    for wide in ("é", "\u65e5", "\U0001f680"):
        message = Object([(name, wide if name == "hash" else value) for name, value in book()])
        assert read(spelt(message)) is None
        message = Object([(name, wide if name == "fee_rate_bps" else value) for name, value in trade()])
        assert taken(spelt(message)) is not None
    for name in ("hash", "timestamp"):
        message = Object([(field, Token('"\\u0030"') if field == name else value) for field, value in book()])
        assert read(spelt(message)) is None
    escaped = Object([(name, Token('"\\u0030"') if name == "fee_rate_bps" else value) for name, value in trade()])
    assert taken(spelt(escaped)) is not None


@pytest.mark.parametrize("wide", ["\ud800", "\udc00x"])
def test_half_a_character_is_refused(wide: str) -> None:
    for build, name in ((change, "timestamp"), (trade, "fee_rate_bps"), (book, "hash")):
        fields = [(field, wide if field == name else value) for field, value in build()]
        assert read(spelt(Object(fields))) is None


@pytest.mark.parametrize("name", ["bids", "price_changes"])
def test_no_nesting_is_too_deep(name: str) -> None:
    for text in (
        *with_field(book, name, Token("[" * 90_000)),
        *with_field(change, name, Token("[" * 450 + "]" * 450)),
    ):
        assert taken(text) is None


# ---------------------------------------------------------------------------------------------------------- properties

inside = st.integers(1, PRICE_SCALE - 1)
tops = st.none() | inside
units = st.integers(1, MAX_SHARES * SIZE_SCALE)
stamps = st.integers(10**12, 10**13 - 1)
ids = st.sampled_from([UP, DOWN, "7"])
sides = st.sampled_from(Side)
levels = st.dictionaries(inside, units, max_size=6).map(lambda sizes: tuple(sizes.items()))

level_changes = st.builds(
    LevelChange, asset_id=ids, side=sides, price=inside, size=st.just(0) | units, best_bid=tops, best_ask=tops
)
events = st.one_of(
    st.builds(
        PriceChange,
        market=st.just(MARKET),
        changes=st.lists(level_changes, max_size=3).map(tuple),
        venue_ms=stamps,
    ),
    st.builds(
        Trade,
        market=st.just(MARKET),
        asset_id=ids,
        side=sides,
        price=inside,
        size=units,
        venue_ms=stamps,
        transaction_hash=st.just(TRANSACTION),
    ),
    st.builds(
        BookSnapshot,
        market=st.just(MARKET),
        asset_id=ids,
        bids=levels,
        asks=levels,
        venue_ms=stamps,
        hash=st.just(HASH),
    ),
)


def spelling(ticks: int, decimals: int) -> str:
    """A price with at least so many decimals, as far as it has them."""
    whole, rest = divmod(ticks, PRICE_SCALE)
    text = f"{whole}.{rest:04d}"
    while len(text) > decimals + 2 and text.endswith("0"):
        text = text[:-1]
    return text.removesuffix(".")


def rendered(event: Event, decimals: int) -> str:
    """An event as the venue spells it."""

    def rows(of_side: tuple[tuple[int, int], ...]) -> list[Object]:
        return [level(spelling(price, decimals), size_text(size)) for price, size in of_side]

    match event:
        case PriceChange():
            changes = [
                row(
                    entry.asset_id,
                    spelling(entry.price, decimals),
                    entry.side.value,
                    spelling(entry.best_bid or 0, decimals),
                    spelling(entry.best_ask or PRICE_SCALE, decimals),
                    size_text(entry.size),
                )
                for entry in event.changes
            ]
            values: dict[str, Any] = {"price_changes": changes}
            message = change()
        case Trade(side=Side() as side):
            values = {"asset_id": event.asset_id, "price": spelling(event.price, decimals), "side": side.value}
            values["size"] = size_text(event.size)
            message = trade()
        case BookSnapshot():
            values = {"asset_id": event.asset_id, "bids": rows(event.bids), "asks": rows(event.asks)}
            message = book()
        case _:
            raise AssertionError(event)
    values["timestamp"] = str(event.venue_ms)
    return spelt(Object([(name, values.get(name, value)) for name, value in message]))


@given(events, st.integers(0, 4))
def test_what_the_venue_spells_is_read_as_it_was_meant(event: Event, decimals: int) -> None:
    text = rendered(event, decimals)
    message = read(text)
    assert message is not None
    assert message.event() == event
    assert (event,) == decode(text) == obvious.decode(text)
    assert repr((message.event(),)) == repr(decode(text + " ")), "as those with patience read it"


# --------------------------------------------------------------------------------------------------------- price tables


def spellings() -> Iterator[tuple[str, int]]:
    """Every way to write a price with one to four decimals, or with none at the ends."""
    for ticks in range(PRICE_SCALE + 1):
        full = f"{ticks / PRICE_SCALE:.4f}"
        yield from [(full[:end], ticks) for end in range(3, 7) if not full[end:].strip("0")]
    yield from [("0", 0), ("1", PRICE_SCALE)]


def test_msgspec_takes_an_enumeration_for_a_table_of_texts() -> None:
    texts = busy._texts_of({"0.5": 5000, "0.50": 5001})
    try:
        found: object = msgspec.json.decode(b'["0.5","0.50"]', type=list[texts])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        found = str(error)
    assert found == [5000, 5001], (
        f"msgspec {msgspec.__version__} does not look texts up in an enumeration's _value2member_map_ any more: every "
        "frame is read patiently now, which is right but slow. Another table has to be found for engine.busy."
    )


@pytest.mark.parametrize(
    ("table", "ends", "ticks_of"),
    [
        (LevelTicks, False, lambda ticks: ticks),
        (OppositeTicks, False, lambda ticks: PRICE_SCALE - ticks),
        (TopTicks, True, lambda ticks: ticks),
    ],
    ids=["levels", "opposite", "tops"],
)
def test_every_spelling_of_every_tick_is_in_the_tables(table: Any, ends: bool, ticks_of: Callable[[int], int]) -> None:
    known = {text: ticks_of(ticks) for text, ticks in spellings() if ends or 0 < ticks < PRICE_SCALE}
    assert Decoder(list[table]).decode(json.dumps([*known])) == [*known.values()]
    for text in {*ODD_PRICES, "any", "", "0.", "1.", "texts"} - {*known}:
        with pytest.raises(msgspec.MsgspecError):
            Decoder(table).decode(spelt(text).encode("utf-8", "surrogatepass"))


# ----------------------------------------------------------------------------------------------- books, level by level


def book_of(bids: str, asks: str, **fields: str) -> BookMessage:
    """A book of levels spelt ``price:size``, parted by spaces, or as any JSON."""

    def side(levels: str) -> Any:
        pairs = [pair.split(":") for pair in levels.split()]
        return Token(levels) if levels[:1] in tuple('["{5n') else [level(price, size) for price, size in pairs]

    message = dict(book()) | {"bids": side(bids), "asks": side(asks)} | fields
    found = read(spelt(Object(message.items())))
    assert isinstance(found, BookMessage)
    return found


def test_ladders_are_bids_of_either_token_in_the_order_of_the_message() -> None:
    bids, opposite = book_of("0.40:1 0.2:2 0.3:3.5", "0.9:4 0.61:5").ladders()
    assert [*bids.items()] == [(4000, 1.0), (2000, 2.0), (3000, 3.5)]
    assert [*opposite.items()] == [(1000, 4.0), (3900, 5.0)]


def test_the_later_of_two_levels_counts_in_the_place_of_the_earlier() -> None:
    message = book_of("0.4:1 0.2:2 0.40:3", "0.9:4 0.900:5")
    assert [[*side.items()] for side in message.ladders()] == [[(4000, 3.0), (2000, 2.0)], [(1000, 5.0)]]
    event = message.event()
    assert (event.bids, event.asks) == (((4000, 3_000_000), (2000, 2_000_000)), ((9000, 5_000_000),))


def test_an_empty_side_has_neither_levels_nor_top() -> None:
    message = book_of("", "0.6:1")
    assert message.ladders() == ({}, {4000: 1.0})
    assert message.tops() == (None, (4000, 1_000_000))
    assert book_of("", "").tops() == (None, None)


def test_tops_are_the_last_levels() -> None:
    assert book_of("0.1:1 0.4:2.5", "0.9:3 0.6:0.000001").tops() == ((4000, 2_500_000), (4000, 1))


@pytest.mark.parametrize("opposite", [False, True])
@pytest.mark.parametrize(
    "levels",
    [
        *("0:1", "1:1", "0.50000:1", "0.5:0", "0.5:0.0000009", "0.5:-1", "0.5:nan", "0.5:1000000001", ".5:1"),
        *('[{"price":"0.5"}]', '[{"size":"1"}]', '[{"price":"0.5","size":"1","x":1}]', "[{}]", '["{"]', "[[{}]]"),
        *('[{"price":0.5,"size":1}]', '[{"price":"0.5","size":null}]', '{"price":"0.5","size":"1"}'),
    ],
)
def test_malformed_levels_are_refused_as_soon_as_they_are_read(levels: str, opposite: bool) -> None:
    message = book_of("0.1:1", levels) if opposite else book_of(levels, "0.9:1")
    for reading in (message.ladders, message.tops, message.event):
        with pytest.raises(ValueError):
            reading()


@pytest.mark.parametrize("levels", ["null", "5", '"x"'])
def test_levels_have_to_be_a_list(levels: str) -> None:
    for message in (book_of("", levels), book_of(levels, "")):
        with pytest.raises(ValueError):
            message.ladders()


@pytest.mark.parametrize(
    ("bids", "asks", "fields", "mirrored"),
    [
        pytest.param("0.4:11 0.48:12", "0.52:13", {}, True, id="the other view"),
        pytest.param("0.4:11 0.48:12", "0.52:13", {"asset_id": UP}, False, id="of the same token"),
        pytest.param("0.4:11 0.48:12", "0.52:13", {"timestamp": "1790000123457"}, False, id="of another stamp"),
        pytest.param("0.48:12", "0.52:13", {}, False, id="of fewer bids"),
        pytest.param("0.4:11 0.48:12", "", {}, False, id="of fewer asks"),
        pytest.param("0.4:11 0.48:1.2", "0.52:13", {}, False, id="of longer bids"),
        pytest.param("0.52:13", "0.4:11 0.48:12", {}, False, id="not turned round"),
    ],
)
def test_the_other_view_of_a_book_is_as_long(bids: str, asks: str, fields: dict[str, str], mirrored: bool) -> None:
    first = book_of("0.48:13", "0.6:11 0.52:12")
    assert book_of(bids, asks, **{"asset_id": DOWN, **fields}).mirrors(first) is mirrored
