from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import LevelChange
from engine.markets import Side
from engine.shapes import (
    MAX_FRAME_BYTES,
    MAX_TEXT_BYTES,
    ROW_SHAPES,
    SHAPES,
    BestBidAskShape,
    BookShape,
    ChangeShape,
    LastTradePriceShape,
    LevelShape,
    PriceChangeShape,
    TickSizeChangeShape,
    asset_id,
    condition_id,
    may_hold_long_text,
    price_step,
    venue_ms,
)
from engine.units import MAX_SHARES, SIZE_SCALE, size_text

MARKET = "0x" + "7e" * 32
TOKEN = "64" * 38


def book(bids: list[tuple[str, float]], asks: list[tuple[str, float]] | None = None, tick_size: str = "") -> BookShape:
    return BookShape(
        market=MARKET,
        asset_id=TOKEN,
        bids=[LevelShape(price=price, size=size) for price, size in bids],
        asks=[LevelShape(price=price, size=size) for price, size in asks or []],
        tick_size=tick_size,
    )


def trade(price: str = "0.5", size: float = 1.0) -> LastTradePriceShape:
    return LastTradePriceShape(market=MARKET, asset_id=TOKEN, price=price, size=size)


# -------------------------------------------------------------------------------------------------------- identifiers


def test_condition_ids_are_hex_of_one_length_and_become_lower_case() -> None:
    assert condition_id("0x" + "AB" * 32) == "0x" + "ab" * 32


@pytest.mark.parametrize(
    "text", ["", "0x", "7e" * 32, "0x" + "7e" * 31, "0x" + "7e" * 33, "0x" + "7g" * 32, MARKET + "\n"]
)
def test_anything_else_is_no_condition_id(text: str) -> None:
    with pytest.raises(ValueError, match="not a condition id"):
        condition_id(text)


@pytest.mark.parametrize("text", ["0", "7" * 78])
def test_token_ids_are_up_to_78_digits(text: str) -> None:
    assert asset_id(text) == text


@pytest.mark.parametrize("text", ["", "7" * 79, "-1", "1.0", "0x1", "١٢", " 1", "1\n"])
def test_anything_else_is_no_token_id(text: str) -> None:
    with pytest.raises(ValueError, match="not a token id"):
        asset_id(text)


# -------------------------------------------------------------------------------------------------------------- stamps


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1790000123456", 1_790_000_123_456),
        ("1790000123", 1_790_000_123_000),
        ("1790000123.4", 1_790_000_123_400),
        ("1790000123.4567", 1_790_000_123_456),
        ("1790000123456.0", 1_790_000_123_456),
        ("1790000123456789", 1_790_000_123_456),
        ("1790000123456999999", 1_790_000_123_456),
        ("0", 0),
        ("99999999999999999999", 99_999_999_999_999),
    ],
)
def test_stamps_of_any_unit_become_milliseconds(text: str, milliseconds: int) -> None:
    assert venue_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-1790000123456", "1e12", "nan", "1_790_000_123", "179000012345²", "1" * 21, "1.", "17900001234٥٦"],
)
def test_stamps_that_make_no_sense_are_0(text: str) -> None:
    assert venue_ms(text) == 0


# --------------------------------------------------------------------------------------------------- prices and sizes


@pytest.mark.parametrize("price", ["0", "1", "0.0", "1.2", "-0.1", "0.00005", "", "abc", "1e400", "0." + "5" * 99])
def test_level_prices_lie_inside_0_and_1_on_the_grid(price: str) -> None:
    with pytest.raises(ValueError, match=r"price|number"):
        book([(price, 1.0)]).event()
    with pytest.raises(ValueError, match=r"price|number"):
        trade(price).event()


@given(st.integers(0, MAX_SHARES * SIZE_SCALE))
def test_every_size_of_six_decimals_is_read_exactly(units: int) -> None:
    size = msgspec.json.decode(f'"{size_text(units)}"', type=float, strict=False)
    assert book([("0.5", size)]).event().bids == (((5000, units),) if units else ())


@given(st.decimals(0, MAX_SHARES, places=9).map(lambda size: f"{size:f}"))
def test_finer_sizes_are_rounded_to_whole_micro_shares(text: str) -> None:
    levels = dict(book([("0.5", float(text))]).event().bids)
    assert abs(levels.get(5000, 0) - Fraction(text) * SIZE_SCALE) <= Fraction(3, 4)


@pytest.mark.parametrize(
    "size", ["nan", "inf", "-inf", "-1", "-0.000001", "1000000000.1", "1e18", "1e400", "", " 1", "1_0"]
)
@pytest.mark.parametrize("shape", [LevelShape, ChangeShape, LastTradePriceShape])
def test_sizes_outside_0_and_a_billion_are_refused(shape: type[msgspec.Struct], size: str) -> None:
    fields = {"market": MARKET, "asset_id": TOKEN, "price": "0.5", "side": "BUY", "size": size}
    known = {name: fields[name] for name in shape.__struct_fields__ if name in fields}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(known, shape, strict=False)


@pytest.mark.parametrize("size", [0.0, 1e-7])
def test_a_trade_of_nothing_is_refused(size: float) -> None:
    with pytest.raises(ValueError, match="trade of nothing"):
        trade(size=size).event()


@given(st.integers(1, 9999))
def test_a_price_step_is_a_price_that_divides_1(ticks: int) -> None:
    text = f"{ticks / 10_000:.4f}"
    if 10_000 % ticks:
        with pytest.raises(ValueError, match="not a price step"):
            price_step(text)
    else:
        assert price_step(text) == price_step(text.rstrip("0")) == ticks


# ---------------------------------------------------------------------------------------------------------- long texts

runs = st.lists(st.integers(0, 60) | st.integers(MAX_TEXT_BYTES - 2, MAX_TEXT_BYTES + 2), max_size=12)


@given(runs)
def test_a_text_that_is_too_long_is_never_missed_and_short_ones_are_never_blamed(lengths: list[int]) -> None:
    frame = '"'.join(["x" * length for length in lengths])
    longest = max(lengths, default=0)
    if longest > 2 * MAX_TEXT_BYTES or any(length > MAX_TEXT_BYTES for length in lengths[1:-1]):
        assert may_hold_long_text(frame)
    if longest < MAX_TEXT_BYTES:
        assert not may_hold_long_text(frame)


@pytest.mark.parametrize(
    "before", [0, 1, 63, MAX_TEXT_BYTES - 1, MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1, 3 * MAX_TEXT_BYTES]
)
@pytest.mark.parametrize("length", [0, MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1, 5 * MAX_TEXT_BYTES])
def test_a_text_is_too_long_wherever_it_stands(before: int, length: int) -> None:
    frame = '""' * (before // 2) + '"' + "x" * length + '"' + '""' * 100
    assert may_hold_long_text(frame) == (length > MAX_TEXT_BYTES)


def test_escapes_and_long_frames_may_hide_anything() -> None:
    assert may_hold_long_text("\\")
    assert not may_hold_long_text('"' * MAX_FRAME_BYTES)
    assert may_hold_long_text('"' * (MAX_FRAME_BYTES + 1))


# -------------------------------------------------------------------------------------------------------------- events


def test_levels_keep_their_order_and_lose_the_empty_ones() -> None:
    event = book([("0.1", 5.0), ("0.3", 0.0), ("0.2", 2.5), ("0.4", 1e-7)], [("0.9", 1.0), ("0.70", 2.0)]).event()
    assert event.bids == ((1000, 5_000_000), (2000, 2_500_000))
    assert event.asks == ((9000, 1_000_000), (7000, 2_000_000))


def test_the_later_of_two_levels_at_one_price_counts() -> None:
    assert book([("0.5", 1.0), ("0.50", 3.0)]).event().bids == ((5000, 3_000_000),)
    assert book([("0.5", 1.0), ("0.500000", 0.0)]).event().bids == ()


def test_a_book_tells_its_price_step_only_when_it_has_one() -> None:
    assert book([], tick_size="0.001").event().tick == 10
    assert book([]).event().tick is None


@pytest.mark.parametrize(
    ("text", "ticks"), [("0.1", 1000), ("0.01", 100), ("0.005", 50), ("0.0025", 25), ("0.0001", 1)]
)
def test_price_steps(text: str, ticks: int) -> None:
    shape = TickSizeChangeShape(market=MARKET, asset_id=TOKEN, new_tick_size=text)
    assert shape.event().new_tick == ticks


@pytest.mark.parametrize("text", ["0", "1", "0.003", "-0.01", "0.00001", "fine", ""])
def test_a_price_step_must_divide_1(text: str) -> None:
    with pytest.raises(ValueError, match=r"price|number"):
        TickSizeChangeShape(market=MARKET, asset_id=TOKEN, new_tick_size=text).event()


@pytest.mark.parametrize(
    ("bid", "ask", "top"),
    [
        ("0.36", "0.38", (3600, 3800)),
        ("0", "0.001", (None, 10)),
        ("0.999", "1", (9990, None)),
        ("0", "1", (None, None)),
        ("0", "0", (None, None)),
        ("", "", (None, None)),
        ("0.0", "1.00000", (None, None)),
        ("0.50000", "5.1e-1", (5000, 5100)),
    ],
)
def test_an_empty_side_has_no_price(bid: str, ask: str, top: tuple[int | None, int | None]) -> None:
    stated = BestBidAskShape(market=MARKET, asset_id=TOKEN, best_bid=bid, best_ask=ask).event()
    change = ChangeShape(asset_id=TOKEN, side=Side.BUY, price="0.2", size=0.0, best_bid=bid, best_ask=ask)
    (entry,) = PriceChangeShape(market=MARKET, price_changes=[change]).event().changes
    assert (stated.best_bid, stated.best_ask) == (entry.best_bid, entry.best_ask) == top


@pytest.mark.parametrize("price", ["1.2", "-0.1", "0.00005", "abc"])
def test_a_stated_top_outside_0_and_1_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match=r"price|number"):
        BestBidAskShape(market=MARKET, asset_id=TOKEN, best_bid=price).event()


def test_a_change_is_an_absolute_size() -> None:
    change = ChangeShape(asset_id=TOKEN, side=Side.SELL, price="0.2", size=0.0)
    assert PriceChangeShape(market=MARKET, price_changes=[change]).event().changes == (
        LevelChange(asset_id=TOKEN, side=Side.SELL, price=2000, size=0),
    )


# -------------------------------------------------------------------------------------------------------------- tables


def test_every_shape_stands_under_its_own_tag_and_refuses_unknown_fields() -> None:
    for event_type, shape in SHAPES.items():
        assert shape.__struct_config__.tag == event_type
        assert shape.__struct_config__.tag_field == "event_type"
        assert shape.__struct_config__.forbid_unknown_fields
    assert all(shape.__struct_config__.forbid_unknown_fields for shape in ROW_SHAPES.values())


def test_row_lists_are_named_as_in_the_shapes() -> None:
    named = {name for shape in SHAPES.values() for name in shape.__struct_fields__}
    assert set(ROW_SHAPES) <= named
