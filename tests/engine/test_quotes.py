from itertools import pairwise
from math import isclose, log
from statistics import median

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from engine.quotes import FairPrice, logit, median_logit, quote_logit
from engine.units import NS_PER_MS, NS_PER_S, PRICE_SCALE

S = NS_PER_S
TOP = (4_900, 5_100, 0, 0)


def plain(price: float) -> float:
    """The logit of a price in ticks, as the definition has it."""
    return log((price / PRICE_SCALE) / (1 - price / PRICE_SCALE))


def fair(tick: int = 100) -> FairPrice:
    return FairPrice(tick=tick)


# -------------------------------------------------------------------------------------------------------- pure formulas


def test_logit_is_the_definition() -> None:
    assert logit(1, 1) == 0.0
    assert isclose(logit(11, 9), log(11 / 9))
    assert isclose(logit(1, 9), log(0.1 / 0.9))


@given(st.integers(1, 10**25), st.integers(1, 10**25))
def test_logit_of_the_mirror_is_exactly_the_negative(up: int, down: int) -> None:
    assert logit(up, down) == -logit(down, up)


def test_quote_with_sizes_gives_the_micro_price() -> None:
    # (3·.52 + 1·.50)/4 = .515: more on the bid pulls the price to the ask.
    assert isclose(quote_logit(5_000, 5_200, 3, 1) or 0, plain(5_150))


@pytest.mark.parametrize("sizes", [(0, 0), (0, 5), (5, 0)])
def test_quote_without_both_sizes_gives_the_mid(sizes: tuple[int, int]) -> None:
    assert isclose(quote_logit(5_000, 5_200, *sizes) or 0, plain(5_100))


def test_quote_is_undefined_beyond_ten_cents() -> None:
    assert quote_logit(4_500, 5_500, 1, 1) == 0.0
    assert quote_logit(4_500, 5_501, 1, 1) is None


quotes = st.tuples(st.integers(1, 9_998), st.integers(1, 1_000), st.integers(0, 10**15), st.integers(0, 10**15)).map(
    lambda q: (q[0], min(9_999, q[0] + q[1]), q[2], q[3])
)


@given(quotes)
def test_quote_of_the_mirrored_market_is_exactly_the_negative(quote: tuple[int, int, int, int]) -> None:
    bid, ask, bid_size, ask_size = quote
    there, mirrored = quote_logit(*quote), quote_logit(PRICE_SCALE - ask, PRICE_SCALE - bid, ask_size, bid_size)
    assert there is not None
    assert mirrored == -there


@given(st.lists(st.integers(1, 9_999), min_size=1, max_size=6))
def test_median_of_trades(prices: list[int]) -> None:
    assert isclose(median_logit(prices), plain(median(prices)), abs_tol=1e-12)
    assert median_logit(prices) == -median_logit([PRICE_SCALE - price for price in prices])


# ------------------------------------------------------------------------------------------------- at the window's end


def test_undefined_before_anything_came() -> None:
    assert fair().logit_at_end(0) is None
    assert fair().logit_at_start(0) is None
    assert fair().spread(0) is None


def test_quote_counts_for_five_seconds() -> None:
    price = fair()
    price.quote(0, 5_400, 5_600, 0, 0)
    assert price.logit_at_end(5 * S) == logit(55, 45)
    assert price.spread(5 * S) == 0.02
    assert price.logit_at_end(5 * S + 1) is None
    assert price.spread(5 * S + 1) is None


def test_quote_stated_again_counts_anew() -> None:
    price = fair()
    price.quote(0, 5_400, 5_600, 0, 0)
    price.quote(4 * S, 5_400, 5_600, 0, 0)
    assert price.logit_at_end(9 * S) == logit(55, 45)


@pytest.mark.parametrize("top", [(0, 5_000, 1, 1), (5_000, 10_000, 1, 1), (5_000, 5_000, 1, 1), (5_100, 5_000, 1, 1)])
def test_invalid_quote_is_none(top: tuple[int, int, int, int]) -> None:
    price = fair()
    price.quote(0, *TOP)
    assert price.quote(S, *top) is None
    assert price.logit_at_end(S) is None
    assert price.spread(S) is None


def test_wide_quote_has_a_spread_but_no_price() -> None:
    price = fair()
    assert price.quote(0, 4_000, 6_000, 1, 1) is None
    assert price.logit_at_end(0) is None
    assert price.spread(0) == 0.2


def test_without_a_quote_the_median_of_the_last_five_trades() -> None:
    price = fair()
    for number, ticks in enumerate((9_000, 5_000, 5_100, 5_200, 5_300, 5_400)):
        price.trade(number, number, ticks)
    assert isclose(price.logit_at_end(S) or 0, plain(5_200))


def test_trades_count_for_ten_seconds() -> None:
    price = fair()
    price.trade(0, 0, 5_500)
    assert price.logit_at_end(10 * S) == logit(55, 45)
    assert price.logit_at_end(10 * S + 1) is None


def test_last_trades_are_last_by_the_venues_time() -> None:
    price = fair()
    happened = (5, 0, 1, 2, 3, 4)
    for number, (event, ticks) in enumerate(zip(happened, (5_000, 9_000, 5_100, 5_200, 5_300, 5_400), strict=True)):
        price.trade(number, event * NS_PER_MS, ticks)
    assert isclose(price.logit_at_end(S) or 0, plain(5_200))


def test_a_quote_goes_before_trades() -> None:
    price = fair()
    price.trade(0, 0, 9_000)
    price.quote(0, 5_400, 5_600, 0, 0)
    assert price.logit_at_end(S) == logit(55, 45)


# ----------------------------------------------------------------------------------------------- at the window's start


def test_start_takes_the_quote_that_held_just_before_it() -> None:
    price = fair()
    price.quote(0, 5_400, 5_600, 0, 0)
    price.quote(10 * S, 5_900, 6_100, 0, 0)
    price.evict(10 * S)
    assert price.logit_at_start(10 * S) == logit(55, 45)
    assert price.logit_at_start(10 * S + 1) == logit(60, 40)


def test_start_takes_a_quote_of_up_to_ten_seconds() -> None:
    price = fair()
    price.quote(0, 5_400, 5_600, 0, 0)
    price.quote(20 * S, 5_900, 6_100, 0, 0)
    assert price.logit_at_start(10 * S) == logit(55, 45)
    assert price.logit_at_start(10 * S + 1) == logit(60, 40)


def test_start_does_not_take_an_old_quote_for_being_stated_again_later() -> None:
    price = fair()
    price.quote(0, 5_400, 5_600, 0, 0)
    price.trade(13 * S, 13 * S, 6_000)
    price.quote(15 * S, 5_400, 5_600, 0, 0)
    assert price.logit_at_start(10 * S) == logit(55, 45)
    assert price.logit_at_start(12 * S) == logit(60, 40)


def test_start_does_not_take_a_quote_that_was_withdrawn() -> None:
    price = fair()
    price.quote(0, 5_400, 5_600, 0, 0)
    price.no_quote(S)
    price.quote(3 * S, 5_900, 6_100, 0, 0)
    assert price.logit_at_start(2 * S) == logit(60, 40)


def test_start_takes_trades_before_it_without_a_quote() -> None:
    price = fair()
    price.trade(0, 0, 5_500)
    price.quote(5 * S, 5_900, 6_100, 0, 0)
    price.evict(4 * S)
    assert price.logit_at_start(4 * S) == logit(55, 45)


def test_start_takes_trades_of_up_to_ten_seconds_before_it() -> None:
    price = fair()
    price.trade(0, 0, 5_500)
    price.evict(10 * S)
    assert price.logit_at_start(10 * S) == logit(55, 45)
    price.evict(10 * S + 1)
    assert price.logit_at_start(10 * S + 1) is None


def test_start_takes_whatever_came_first_in_the_window() -> None:
    price = fair()
    price.trade(3 * S, 3 * S, 5_500)
    price.quote(4 * S, 5_900, 6_100, 0, 0)
    assert price.logit_at_start(2 * S) == logit(55, 45)
    late = fair()
    late.quote(3 * S, 5_900, 6_100, 0, 0)
    late.trade(4 * S, 4 * S, 5_500)
    assert late.logit_at_start(2 * S) == logit(60, 40)


def test_first_trade_is_first_by_the_venues_time_within_the_lateness_budget() -> None:
    price = fair()
    price.trade(10 * S, 10 * S, 5_500)
    price.trade(11 * S, 9 * S, 6_000)
    price.trade(11 * S + 1, 8 * S, 9_000)
    assert price.logit_at_start(10 * S) == logit(60, 40)


def test_trades_of_one_instant_count_alike_whatever_their_order() -> None:
    for prices in ((5_500, 6_000), (6_000, 5_500)):
        price = fair()
        for receipt, ticks in enumerate(prices):
            price.trade(10 * S + receipt, 10 * S, ticks)
        assert price.logit_at_start(10 * S) == logit(5_750, 4_250)


def test_ties_at_the_last_of_five_favour_no_side() -> None:
    there, mirrored = fair(), fair()
    for receipt, ticks in enumerate([1_000, 1_000, 1_000, 1_000, 5_100, 9_000, 1_000]):
        there.trade(10 * S + receipt, 10 * S, ticks)
        mirrored.trade(10 * S + receipt, 10 * S, 10_000 - ticks)
    one, other = there.logit_at_end(11 * S), mirrored.logit_at_end(11 * S)
    assert one is not None
    assert other == -one


# ------------------------------------------------------------------------------------------------------------- clipping


def test_clipped_to_half_a_tick() -> None:
    price = fair(tick=100)
    price.trade(0, 0, 1)
    assert price.logit_at_end(0) == logit(50, 9_950)
    assert price.logit_at_start(0) == logit(50, 9_950)
    price.trade(1, 1, 9_999)
    price.trade(2, 2, 9_999)
    assert price.logit_at_end(2) == logit(9_950, 50)


def test_clipped_to_half_of_the_finest_tick() -> None:
    price = fair(tick=100)
    price.tick_size(10)
    price.tick_size(100)
    price.trade(0, 0, 1)
    assert price.logit_at_end(0) == logit(5, 9_995)


# ----------------------------------------------------------------------------------- incremental against the definition


@frozen
class Stated:
    """A quote (or ``None`` for none), or a trade's price with how long ago it happened."""

    at_ns: int
    quote: tuple[int, int, int, int] | None = None
    trade: int | None = None
    ago_ns: int = 0


def naive_quote(history: list[Stated], before_ns: int, age_ns: int) -> float | None:
    stated = [each for each in history if each.trade is None and each.at_ns < before_ns]
    if not stated or stated[-1].quote is None or before_ns - stated[-1].at_ns > age_ns:
        return None
    bid, ask, _, _ = stated[-1].quote
    return quote_logit(*stated[-1].quote) if 0 < bid < ask < PRICE_SCALE else None


def naive_median(history: list[Stated], before_ns: int) -> float | None:
    prices = [
        (each.at_ns - each.ago_ns, each.trade)
        for each in history
        if each.trade is not None and before_ns - 10 * S <= each.at_ns < before_ns
    ]
    fifth = sorted(happened for happened, _ in prices)[-5:][:1]
    return median_logit([price for happened, price in prices if happened >= fifth[0]]) if prices else None


def naive_first(history: list[Stated], start_ns: int) -> float | None:
    window = [each for each in history if each.at_ns >= start_ns]
    for each in window:
        if each.trade is not None:
            near = [one for one in window if one.trade is not None and one.at_ns <= each.at_ns + S]
            first = min(one.at_ns - one.ago_ns for one in near)
            return median_logit([one.trade or 0 for one in near if one.at_ns - one.ago_ns == first])
        value = naive_quote([each], each.at_ns + 1, 1)
        if value is not None:
            return value
    return None


steps = st.sampled_from((1, NS_PER_MS, 300 * NS_PER_MS, S, 4 * S, 5 * S, 10 * S, 11 * S))
# Some have one logit, some are too wide, some are invalid.
tops = st.sampled_from(
    (
        *(TOP, (4_900, 5_100, 2, 2), (4_800, 5_200, 7, 7), (4_900, 5_100, 3, 1), (5_000, 5_200, 2, 2)),
        *((3_000, 6_000, 1, 1), (2_000, 7_000, 1, 1), (5_100, 5_000, 1, 1), (0, 5_000, 1, 1), None),
    )
)
statements = st.one_of(
    st.builds(lambda quote: (quote, None, 0), tops),
    st.builds(
        lambda trade, ago: (None, trade, ago), st.integers(100, 9_900), st.sampled_from((0, 400 * NS_PER_MS, S, -9 * S))
    ),
)


@given(
    st.lists(st.tuples(steps, statements, st.booleans()), min_size=10, max_size=40), st.sampled_from((S, 7 * S, 30 * S))
)
def test_equals_the_definition_whenever_it_is_asked(
    moves: list[tuple[int, tuple[object, ...], bool]], window_ns: int
) -> None:
    price = fair(tick=1)
    history: list[Stated] = []
    now_ns = 1_000 * S
    for step_ns, (quote, trade, ago_ns), asked in moves:
        now_ns += step_ns
        stated = Stated(now_ns, quote, trade, ago_ns)  # type: ignore[arg-type]
        history.append(stated)
        if stated.trade is not None:
            price.trade(now_ns, now_ns - stated.ago_ns, stated.trade)
        elif stated.quote is None:
            price.no_quote(now_ns)
        else:
            assert price.quote(now_ns, *stated.quote) == naive_quote(history, now_ns + 1, S)
        if not asked:
            continue
        end_ns = now_ns + 1
        start_ns = end_ns - window_ns
        price.evict(start_ns)
        at_end = naive_quote(history, end_ns, 5 * S)
        at_start = naive_quote(history, start_ns, 10 * S)
        assert price.logit_at_end(end_ns) == (naive_median(history, end_ns) if at_end is None else at_end)
        if at_start is None:
            at_start = naive_median(history, start_ns)
        assert price.logit_at_start(start_ns) == (naive_first(history, start_ns) if at_start is None else at_start)


def test_long_histories_are_forgotten_without_a_trace() -> None:
    price = fair()
    for second in range(5_000):
        price.quote(second * S, 4_900 + second % 7, 5_100, 0, 0)
        price.trade(second * S, second * S, 5_000)
        price.evict((second - 60) * S)
        expected = quote_logit(4_900 + (second - 61) % 7, 5_100, 0, 0)
        assert second < 61 or price.logit_at_start((second - 60) * S) == expected
    assert len(price._steps._starts) < 2_000
    assert len(price._prints._prints) < 2_000


def test_statements_of_one_instant_leave_the_last() -> None:
    price = fair()
    for top, _ in pairwise([(5_400, 5_600, 0, 0), (5_900, 6_100, 0, 0), TOP]):
        price.quote(0, *top)
    assert price.logit_at_start(1) == logit(60, 40)
    assert price.logit_at_end(1) == logit(60, 40)
