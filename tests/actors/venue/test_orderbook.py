import json

from hypothesis import given
from hypothesis import strategies as st

from actors.venue.orderbook import Ladder, OrderBook, level_text, own_price, spell_price, up_side
from engine.markets import Outcome, Side
from engine.units import PRICE_SCALE, price_ticks, size_units

levels = st.lists(st.tuples(st.integers(1, 99).map(lambda cent: cent * 100), st.integers(0, 5_000_000)), max_size=60)


def parsed(text: str) -> list[tuple[int, int]]:
    return [(price_ticks(level["price"]), size_units(level["size"])) for level in json.loads(f"[{text}]")]


@given(levels)
def test_a_ladder_is_a_sorted_map_however_it_was_filled(changes: list[tuple[int, int]]) -> None:
    for side, worst_first in ((Side.BUY, False), (Side.SELL, True)):
        ladder, model = Ladder(side), {}
        for price, size in changes:
            ladder.set(price, size)
            model[price] = size
            model = {known: rests for known, rests in model.items() if rests}
            expected = sorted(model.items(), reverse=worst_first)
            assert ladder.levels() == expected
            assert list(ladder) == [known for known, _ in expected]
            assert ladder.best == (expected[-1][0] if expected else None)
            assert parsed(ladder.text(Outcome.UP)) == expected
            assert parsed(ladder.text(Outcome.DOWN)) == [(PRICE_SCALE - known, rests) for known, rests in expected]
        assert len(ladder) == len(model)
        assert ladder[50] == 0


@given(levels, levels)
def test_down_is_the_exact_mirror_of_up(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
    book = OrderBook()
    for price, size in bids:
        book.bids.set(price, size)
    for price, size in asks:
        book.asks.set(price, size)
    up_bids, up_asks = book.levels(Outcome.UP)
    down_bids, down_asks = book.levels(Outcome.DOWN)
    assert down_bids == [(PRICE_SCALE - price, size) for price, size in up_asks]
    assert down_asks == [(PRICE_SCALE - price, size) for price, size in up_bids]
    for outcome in Outcome:
        shown_bids, shown_asks = (parsed(text) for text in book.texts(outcome))
        assert (shown_bids, shown_asks) == book.levels(outcome)
        assert shown_bids == sorted(shown_bids)
        assert shown_asks == sorted(shown_asks, reverse=True)
        top = (shown_bids[-1][0] if shown_bids else None, shown_asks[-1][0] if shown_asks else None)
        assert book.top(outcome) == top


def test_clearing_leaves_nothing_and_is_a_change() -> None:
    book = OrderBook()
    book.bids.set(5_000, 1_000_000)
    book.clear(77)
    assert (book.texts(Outcome.UP), book.top(Outcome.DOWN), book.changed_ms) == (("", ""), (None, None), 77)


def test_spelling_and_space() -> None:
    assert level_text(3_700, 1_500_000) == '{"price":"0.37","size":"1.5"}'
    assert spell_price(10_000) == "1"
    assert up_side(Outcome.DOWN, Side.BUY) is Side.SELL
    assert up_side(Outcome.UP, Side.BUY) is Side.BUY
    assert own_price(Outcome.DOWN, 3_700) == 6_300
