"""The original functions on plain trades: the original assertions as their tests wrote them, and exactness beyond."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import seed
from engine.markets import Market, Outcome
from engine.original import (
    confidence,
    market_score,
    momentum_score,
    named_outcome,
    volume_flow_score,
    whale_activity_score,
)
from engine.units import price_text, size_text


def yes(**keys: object) -> dict[str, object]:
    return {"asset_id": "YES_TOKEN", **keys}


def no(**keys: object) -> dict[str, object]:
    return {"asset_id": "NO_TOKEN", **keys}


# ----------------------------------------------------------------------------------------- the original assertions


def test_1_momentum_of_a_rise_by_five_percent() -> None:
    trades = [
        {"asset_id": "YES_TOKEN", "price": 0.50, "size": 100},
        {"asset_id": "YES_TOKEN", "price": 0.525, "size": 200},
    ]
    assert momentum_score(trades) == pytest.approx(0.5, abs=0.01)
    assert momentum_score(trades) == 0.5


def test_2_momentum_of_a_fall_by_ten_percent() -> None:
    trades = [
        {"asset_id": "YES_TOKEN", "price": 0.50, "size": 100},
        {"asset_id": "YES_TOKEN", "price": 0.45, "size": 200},
    ]
    assert momentum_score(trades) == -1.0
    assert (0.45 - 0.50) / 0.50 * 10 != -1.0


def test_3_momentum_of_no_change() -> None:
    trades = [
        {"asset_id": "YES_TOKEN", "price": 0.50, "size": 100},
        {"asset_id": "YES_TOKEN", "price": 0.50, "size": 200},
    ]
    assert momentum_score(trades) == 0.0


def test_4_flow_of_yes_alone() -> None:
    assert volume_flow_score([{"asset_id": "YES_TOKEN", "size": 1000}, {"asset_id": "YES_TOKEN", "size": 500}]) == 1.0


def test_5_flow_of_no_alone() -> None:
    assert volume_flow_score([{"asset_id": "NO_TOKEN", "size": 1000}]) == -1.0


def test_6_flow_in_balance() -> None:
    assert volume_flow_score([{"asset_id": "YES_TOKEN", "size": 500}, {"asset_id": "NO_TOKEN", "size": 500}]) == 0.0


def test_7_whales_of_yes_alone() -> None:
    trades = [
        {"asset_id": "YES_TOKEN", "size": 1500},
        {"asset_id": "YES_TOKEN", "size": 2000},
        {"asset_id": "NO_TOKEN", "size": 100},
    ]
    assert whale_activity_score(trades, whale_threshold=1000) == 1.0


def test_8_whales_in_balance() -> None:
    trades = [{"asset_id": "YES_TOKEN", "size": 1500}, {"asset_id": "NO_TOKEN", "size": 1200}]
    assert whale_activity_score(trades, whale_threshold=1000) == 0.0


def test_9_no_whales() -> None:
    trades = [{"asset_id": "YES_TOKEN", "size": 500}, {"asset_id": "NO_TOKEN", "size": 800}]
    assert whale_activity_score(trades, whale_threshold=1000) == 0.0


# --------------------------------------------------------------------------------------------- the examples in prose


@pytest.mark.parametrize(("last", "expected"), [(0.55, 1.0), (0.525, 0.5), (0.45, -1.0), (0.99, 1.0), (0.01, -1.0)])
def test_ten_percent_is_full_scale(last: float, expected: float) -> None:
    assert momentum_score([yes(price=0.50), yes(price=last)]) == expected


def test_sixty_to_forty_is_a_flow_of_one_fifth() -> None:
    assert volume_flow_score([yes(size=600), no(size=400)]) == 0.2


def test_an_empty_list_is_zero_for_every_component() -> None:
    assert (momentum_score([]), volume_flow_score([]), whale_activity_score([])) == (0.0, 0.0, 0.0)


def test_momentum_needs_two_yes_trades() -> None:
    assert momentum_score([yes(price=0.5)]) == 0.0
    assert momentum_score([no(price=0.5), yes(price=0.6), no(price=0.9)]) == 0.0
    assert momentum_score([no(price=0.5), no(price=0.6)]) == 0.0


def test_no_volume_is_no_flow() -> None:
    assert volume_flow_score([yes(size=0), no(size=0.0)]) == 0.0


@pytest.mark.parametrize(
    ("size", "expected"),
    [(999, 0.0), (1000, 0.0), (1000.0, 0.0), ("1000.000000", 0.0), (1000.000001, 1.0), ("1000.000001", 1.0)],
)
def test_the_whale_threshold_is_strict(size: float | str, expected: float) -> None:
    assert whale_activity_score([yes(size=size)]) == expected
    assert whale_activity_score([yes(size=size)], whale_threshold=1000) == expected
    assert whale_activity_score([yes(size=size)], whale_threshold="1000") == expected


def test_the_whale_threshold_is_the_callers() -> None:
    trades = [yes(size=500), yes(size=0.5), no(size=800)]
    assert whale_activity_score(trades, whale_threshold=600) == -1.0
    assert whale_activity_score(trades, whale_threshold=Decimal("0.5")) == 0.0
    assert whale_activity_score(trades, whale_threshold=0) == float(Fraction(1, 3))


# --------------------------------------------------------------------------------------------------------- the score


def test_the_score_is_the_weighted_sum_in_order() -> None:
    assert market_score(momentum=0.1, volume_flow=0.2, whale=0.3) == 0.40 * 0.1 + 0.35 * 0.2 + 0.25 * 0.3
    assert market_score(momentum=1.0, volume_flow=1.0, whale=1.0) == 1.0
    assert market_score(-1.0, -1.0, -1.0) == -1.0
    assert market_score(1, Decimal("0.5"), 0) == 0.40 + 0.35 * 0.5  # type: ignore[arg-type]


def test_an_absent_part_counts_as_zero() -> None:
    assert market_score(momentum=0.5, volume_flow=None, whale=None) == 0.2
    assert market_score(None, None, None) == 0.0


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_the_score_stays_in_range(momentum: float, volume_flow: float, whale: float) -> None:
    assert -1.0 <= market_score(momentum, volume_flow, whale) <= 1.0


@pytest.mark.parametrize("name", ["momentum", "volume_flow", "whale"])
@pytest.mark.parametrize("value", [1.01, -1.01, nan, inf, -inf])
def test_a_part_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"'{name}'.*{value!r}"):
        market_score(**{"momentum": 0.0, "volume_flow": 0.0, "whale": 0.0, name: value})


# ---------------------------------------------------------------------------------------------------- the confidence


@pytest.mark.parametrize(("trades", "expected"), [(0, 0.0), (9, 0.09), (10, 0.20), (25, 0.50), (50, 1.0), (5_000, 1.0)])
def test_reference_values_of_a_full_window(trades: int, expected: float) -> None:
    assert confidence({"trades": [...] * trades}) == expected
    assert confidence({"trades": [...] * trades, "collection_duration": 120}) == expected
    assert confidence({"trades": deque([...] * trades), "collection_duration": 500.0}) == expected


def test_reference_values_of_a_partial_window() -> None:
    assert confidence({"trades": [...] * 50, "collection_duration": 60}) == 0.5
    assert confidence({"trades": [...] * 5, "collection_duration": 30}) == 0.0125
    assert confidence({"trades": [...] * 5, "collection_duration": "30.0"}) == 0.0125
    assert confidence({"trades": [...] * 50, "collection_duration": 0}) == 0.0


def test_the_window_is_the_configured_one() -> None:
    assert confidence({"trades": [...] * 50, "collection_duration": 10}, window_s=10) == 1.0
    assert confidence({"trades": [...] * 50}, window_s=10.0) == 1.0
    assert confidence({"trades": [...] * 50, "collection_duration": 10}) == pytest.approx(1 / 12, abs=1e-15)
    # The quotient of the decimals: that of the doubles is less than 0.1.
    assert confidence({"trades": [...] * 50, "collection_duration": 0.7}, window_s=7) == 0.1 > 0.7 / 7


@pytest.mark.parametrize("trades", [None, 50, "a text", {}, iter([])])
def test_trades_that_are_no_list_are_refused(trades: object) -> None:
    with pytest.raises(ValueError, match=r"^trades is not a list: "):
        confidence({"trades": trades})
    with pytest.raises(ValueError, match=r"^trades is not a list: None$"):
        confidence({})


@pytest.mark.parametrize(
    ("collected", "says"),
    [
        (-1, "is less than 0: -1"),
        (nan, "is not a number: nan"),
        (inf, "is not a number: inf"),
        (None, "is not a number: None"),
        (True, "is not a number: True"),
        ("soon", "is not a number: 'soon'"),
    ],
)
def test_a_bad_duration_is_refused_by_name(collected: object, says: str) -> None:
    with pytest.raises(ValueError, match=f"^collection_duration {says}$"):
        confidence({"trades": [], "collection_duration": collected})


@pytest.mark.parametrize(("window_s", "says"), [(0, "not above 0"), (-1.0, "less than 0"), (nan, "not a number")])
def test_a_bad_window_is_refused_by_name(window_s: float, says: str) -> None:
    with pytest.raises(ValueError, match=f"^window_s is {says}: {window_s!r}$"):
        confidence({"trades": []}, window_s=window_s)


# ------------------------------------------------------------------------------------------------ which token it is


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        *[(name, Outcome.UP) for name in ("YES_TOKEN", "yes", "Yes", "UP_TOKEN", "Up", "up_token", " YES ")],
        *[(name, Outcome.DOWN) for name in ("NO_TOKEN", "no", "No", "DOWN_TOKEN", "Down", "down")],
        *[(name, None) for name in ("", "_TOKEN", "TOKEN", "no_such_token", "yesterday", "YES_TOKEN_TOKEN", "123")],
    ],
)
def test_tokens_that_are_named_after_their_outcome(name: str, outcome: Outcome | None) -> None:
    assert named_outcome(name) is outcome


MARKET = Market(condition_id="0x" + "ab" * 32, up_asset_id="1" * 77, down_asset_id="2" * 77)
REAL: list[dict[str, object]] = [
    {"asset_id": MARKET.up_asset_id, "price": "0.50", "size": "1500"},
    {"asset_id": MARKET.down_asset_id, "price": "0.48", "size": "500"},
    {"asset_id": MARKET.up_asset_id, "price": "0.525", "size": "1000"},
]


def test_tokens_that_a_market_knows() -> None:
    assert momentum_score(REAL, MARKET.outcome_of) == 0.5
    assert volume_flow_score(REAL, outcome_of=MARKET.outcome_of) == float(Fraction(2, 3))
    assert whale_activity_score(REAL, MARKET.outcome_of, whale_threshold=400) == float(Fraction(1, 3))


@pytest.mark.parametrize("label", ["YES", "Up", "up", "Yes", Outcome.UP])
def test_the_outcome_wins_over_the_token(label: str) -> None:
    assert volume_flow_score([{"asset_id": "NO_TOKEN", "outcome": label, "size": 1}]) == 1.0
    assert volume_flow_score([{"asset_id": "7", "outcome": label, "size": 1}], MARKET.outcome_of) == 1.0
    assert volume_flow_score([{"outcome": label, "size": 1}]) == 1.0


@pytest.mark.parametrize("label", ["NO", "Down", "down", Outcome.DOWN])
def test_so_does_the_other_outcome(label: str) -> None:
    assert volume_flow_score([{"asset_id": "YES_TOKEN", "outcome": label, "size": 1}]) == -1.0


def test_an_outcome_of_none_is_none() -> None:
    assert volume_flow_score([{"asset_id": "YES_TOKEN", "outcome": None, "size": 1}]) == 1.0


# ------------------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("first", [0.5, "0.5", "0.50", "5e-1", Decimal("0.500")])
@pytest.mark.parametrize("last", [0.45, "0.45", Decimal("0.45")])
def test_numbers_of_every_kind_are_the_same(first: object, last: object) -> None:
    assert momentum_score([yes(price=first), yes(price=last)]) == -1.0


@pytest.mark.parametrize("size", [600, 600.0, "600", "600.0", "6e2", Decimal(600), Decimal("6E+2")])
def test_so_are_sizes(size: object) -> None:
    assert volume_flow_score([yes(size=size), no(size="400")]) == 0.2


def test_no_digit_is_lost() -> None:
    # A tenth is no double: three of them, summed as doubles, are more than "0.3".
    assert volume_flow_score([yes(size=0.1), yes(size=0.1), yes(size=0.1), no(size="0.3")]) == 0.0
    assert volume_flow_score([yes(size="1e30"), yes(size="1e-30"), no(size="1e30")]) == 5e-61
    assert momentum_score([yes(price="0.3"), yes(price="0.3000000000000000000000000000000000000003")]) == 1e-38
    with localcontext(prec=3):
        assert volume_flow_score([yes(size="1234.5678"), no(size="1234.5678")]) == 0.0


def test_a_price_next_to_zero_does_not_overflow() -> None:
    assert momentum_score([yes(price="1e-100"), yes(price=0.999)]) == 1.0
    assert momentum_score([yes(price=0.999), yes(price="1e-100")]) == -1.0


class Told(float):
    def __repr__(self) -> str:
        return f"Told({float(self)})"


def test_a_kind_of_float_that_spells_itself_otherwise_is_read_too() -> None:
    assert momentum_score([yes(price=Told(0.50)), yes(price=Told(0.45))]) == -1.0


# ------------------------------------------------------------------------------------------------- nothing but needed


def test_flow_and_whale_read_no_price_and_momentum_no_size() -> None:
    assert volume_flow_score([yes(size=1, price="nonsense")]) == 1.0
    assert whale_activity_score([yes(size=1001, price=None)]) == 1.0
    assert momentum_score([yes(price=0.5, size="nonsense"), no(), yes(price=0.55)]) == 1.0


def test_any_iterable_and_any_mapping_will_do() -> None:
    assert momentum_score(iter([yes(price=0.50), yes(price=0.55)])) == 1.0
    assert volume_flow_score(deque([yes(size=1)])) == 1.0


# ---------------------------------------------------------------------------------------------------------- bad input

Score = Callable[[Sequence[Any]], float]

GOOD = {"asset_id": "NO_TOKEN", "price": 0.5, "size": 1}

BAD_NUMBERS = [
    (nan, "is not a number: nan"),
    (inf, "is not a number: inf"),
    (-inf, "is not a number: -inf"),
    ("NaN", "is not a number: 'NaN'"),
    ("-Infinity", "is not a number: '-Infinity'"),
    (Decimal("sNaN"), r"is not a number: Decimal\('sNaN'\)"),
    ("", "is not a number: ''"),
    ("half", "is not a number: 'half'"),
    ("1e9999999999999999999999", "is not a number: '1e9999999999999999999999'"),
    (None, "is not a number: None"),
    (True, "is not a number: True"),
    (False, "is not a number: False"),
    (b"1", "is not a number: b'1'"),
    (1j, "is not a number: 1j"),
    (Fraction(1, 2), r"is not a number: Fraction\(1, 2\)"),
    ([1], r"is not a number: \[1\]"),
    ("1e100", r"has more than 100 digits before or after its point: 1\.000e\+100"),
    ("1e-101", r"has more than 100 digits before or after its point: 1\.000e-101"),
    ("1e999999999", r"has more than 100 digits before or after its point: 1\.000e\+999999999"),
    (10**300, r"has more than 100 digits before or after its point: 1\.000e\+300"),
    (5e-324, r"has more than 100 digits before or after its point: 5\.000e-324"),
]


@pytest.mark.parametrize(("value", "says"), BAD_NUMBERS)
def test_no_number_is_refused_where_it_stands(value: object, says: str) -> None:
    trades = [GOOD, GOOD, GOOD, yes(size=value, price=value)]
    with pytest.raises(ValueError, match=rf"^trades\[3\]\.price {says}$"):
        momentum_score(trades)
    for score in (volume_flow_score, whale_activity_score):
        with pytest.raises(ValueError, match=rf"^trades\[3\]\.size {says}$"):
            score(trades)


def test_an_integer_too_long_to_print_is_refused_as_well() -> None:
    with pytest.raises(ValueError, match=r"^trades\[0\]\.size has more than 100 digits .*: 1\.000e\+5000$"):
        volume_flow_score([yes(size=10**5000)])


@pytest.mark.parametrize("price", [0, 0.0, -0.0, 1, 1.0, "1.00", -0.5, "1.01", 50])
def test_a_price_outside_zero_to_one_is_refused(price: object) -> None:
    with pytest.raises(ValueError, match=rf"^trades\[1\]\.price is not between 0 and 1: {price!r}$"):
        momentum_score([yes(price=0.5), yes(price=price), yes(price=0.5)])


@pytest.mark.parametrize("score", [volume_flow_score, whale_activity_score])
@pytest.mark.parametrize("size", [-1, -1e-9, "-0.1", Decimal(-5)])
def test_a_negative_size_is_refused(score: Score, size: object) -> None:
    with pytest.raises(ValueError, match=r"^trades\[1\]\.size is less than 0: ") as refused:
        score([GOOD, yes(size=size)])
    assert str(refused.value).endswith(repr(size))


@pytest.mark.parametrize("score", [momentum_score, volume_flow_score, whale_activity_score])
@pytest.mark.parametrize(
    ("trade", "says"),
    [
        ({"price": 0.5, "size": 1}, r"trades\[1\]\.asset_id is missing"),
        (GOOD | {"asset_id": "MAYBE"}, r"trades\[1\]\.asset_id is neither Up nor Down: 'MAYBE'"),
        (GOOD | {"asset_id": "9" * 77}, rf"trades\[1\]\.asset_id is neither Up nor Down: '{'9' * 77}'"),
        (GOOD | {"asset_id": None}, r"trades\[1\]\.asset_id is neither Up nor Down: None"),
        (GOOD | {"asset_id": 123}, r"trades\[1\]\.asset_id is neither Up nor Down: 123"),
        (GOOD | {"outcome": "Draw"}, r"trades\[1\]\.outcome is neither Up nor Down: 'Draw'"),
        (GOOD | {"outcome": 1}, r"trades\[1\]\.outcome is neither Up nor Down: 1"),
        ("asset_id", r"trades\[1\] is not a mapping: 'asset_id'"),
        (None, r"trades\[1\] is not a mapping: None"),
        ("x" * 10_000, rf"trades\[1\] is not a mapping: '{'x' * 79}"),
    ],
    ids=lambda it: f"{it!s:.30}",
)
def test_a_trade_that_is_none_is_refused(score: Score, trade: object, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}$"):
        score([GOOD, trade])


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ValueError, match=r"^trades\[0\]\.price is missing$"):
        momentum_score([yes(size=1)])
    for score in (volume_flow_score, whale_activity_score):
        with pytest.raises(ValueError, match=r"^trades\[0\]\.size is missing$"):
            score([yes(price=0.5)])


@pytest.mark.parametrize(
    ("threshold", "says"), [(nan, "is not a number: nan"), (-1, "is less than 0: -1"), (None, "is not a number: None")]
)
def test_a_bad_threshold_is_named_even_without_trades(threshold: Any, says: str) -> None:
    with pytest.raises(ValueError, match=f"^whale_threshold {says}$"):
        whale_activity_score([], whale_threshold=threshold)


# -------------------------------------------------------------------------------------------------- differential tests


def naive_momentum(trades: Sequence[dict[str, Any]]) -> Fraction:
    prices = [Fraction(str(trade["price"])) for trade in trades if trade["asset_id"] == "YES_TOKEN"]
    if len(prices) < 2:
        return Fraction(0)
    return max(Fraction(-1), min(Fraction(1), (prices[-1] - prices[0]) / prices[0] * 10))


def naive_balance(yes: Fraction, no: Fraction) -> Fraction:
    return (yes - no) / (yes + no) if yes + no else Fraction(0)


def naive_flow(trades: Sequence[dict[str, Any]]) -> Fraction:
    by_token = {"YES_TOKEN": Fraction(0), "NO_TOKEN": Fraction(0)}
    for trade in trades:
        by_token[trade["asset_id"]] += Fraction(str(trade["size"]))
    return naive_balance(by_token["YES_TOKEN"], by_token["NO_TOKEN"])


def naive_whale(trades: Sequence[dict[str, Any]]) -> Fraction:
    whales = [trade["asset_id"] for trade in trades if Fraction(str(trade["size"])) > 1000]
    return naive_balance(Fraction(whales.count("YES_TOKEN")), Fraction(whales.count("NO_TOKEN")))


def spelled(numbers: st.SearchStrategy[Decimal]) -> st.SearchStrategy[object]:
    """The same decimals as Decimal, text or float."""
    return numbers | numbers.map(str) | numbers.map(float)


tokens = st.sampled_from(["YES_TOKEN", "NO_TOKEN"])
prices = spelled(st.decimals("0.000001", "0.999999", places=6)) | st.floats(1e-9, 1 - 1e-9)
sizes = (
    spelled(st.decimals(0, 5_000, places=9)) | st.integers(0, 10**12) | st.floats(0, 1e12).map(lambda x: round(x, 9))
)
plain_trades = st.lists(st.fixed_dictionaries({"asset_id": tokens, "price": prices, "size": sizes}), max_size=30)


@given(plain_trades)
def test_the_components_are_the_naive_transcription(trades: list[dict[str, Any]]) -> None:
    assert momentum_score(trades) == pytest.approx(float(naive_momentum(trades)), abs=1e-12)
    assert volume_flow_score(trades) == pytest.approx(float(naive_flow(trades)), abs=1e-12)
    assert whale_activity_score(trades) == pytest.approx(float(naive_whale(trades)), abs=1e-12)
    # And not only nearly: one division rounds once.
    assert momentum_score(trades) == float(naive_momentum(trades))
    assert volume_flow_score(trades) == float(naive_flow(trades))
    assert whale_activity_score(trades) == float(naive_whale(trades))


@given(plain_trades)
def test_the_components_make_a_score(trades: list[dict[str, Any]]) -> None:
    parts = momentum_score(trades), volume_flow_score(trades), whale_activity_score(trades)
    assert -1.0 <= market_score(*parts) <= 1.0


on_the_grid = st.lists(st.tuples(st.sampled_from(Outcome), st.integers(1, 9_999), st.integers(1, 5_000_000_000)))


@given(on_the_grid, st.sampled_from([str, float, Decimal]))
def test_on_the_wires_grid_the_components_are_the_engines(
    trades: list[tuple[Outcome, int, int]], number: Callable[[str], object]
) -> None:
    plain = [
        {"outcome": outcome, "price": number(price_text(ticks)), "size": number(size_text(units))}
        for outcome, ticks, units in trades
    ]
    of_up = [ticks for outcome, ticks, _ in trades if outcome is Outcome.UP]
    first, last = (of_up[0], of_up[-1]) if of_up else (None, None)
    sums = [sum(units for it, _, units in trades if it is outcome) for outcome in Outcome]
    whales = [sum(units > 1_000_000_000 for it, _, units in trades if it is outcome) for outcome in Outcome]
    assert momentum_score(plain) == seed.momentum(first, last)
    assert volume_flow_score(plain) == seed.flow(*sums)
    assert whale_activity_score(plain) == seed.whale(*whales)
