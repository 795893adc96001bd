from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from engine import seed
from engine.units import price_ticks, size_units

Trades = Sequence[dict[str, Any]]

WHALE_THRESHOLD = 1000


def momentum(trades: Trades) -> float:
    prices = [price_ticks(repr(trade["price"])) for trade in trades if trade["asset"] == "YES"]
    return seed.momentum(prices[0], prices[-1]) if prices else seed.momentum(None, None)


def volume(trades: Trades, asset: str) -> int:
    return sum(size_units(repr(trade["size"])) for trade in trades if trade["asset"] == asset)


def flow(trades: Trades) -> float:
    return seed.flow(volume(trades, "YES"), volume(trades, "NO"))


def whale(trades: Trades) -> float:
    whales = [trade["asset"] for trade in trades if trade["size"] > WHALE_THRESHOLD]
    return seed.whale(whales.count("YES"), whales.count("NO"))


def yes(size: int, price: float | None = None) -> dict[str, Any]:
    return {"asset": "YES", "size": size} | ({} if price is None else {"price": price})


def no(size: int) -> dict[str, Any]:
    return {"asset": "NO", "size": size}


# The original assertions, number for number. Flow and whale trades carry no price: neither may read one.


def test_1_momentum_of_a_rise_by_five_percent() -> None:
    assert momentum([yes(100, 0.50), yes(200, 0.525)]) == pytest.approx(0.5, abs=0.01)
    assert momentum([yes(100, 0.50), yes(200, 0.525)]) == 0.5


def test_2_momentum_of_a_fall_by_ten_percent() -> None:
    assert momentum([yes(100, 0.50), yes(200, 0.45)]) == -1.0


def test_3_momentum_of_no_change() -> None:
    assert momentum([yes(100, 0.50), yes(200, 0.50)]) == 0.0


def test_4_flow_of_yes_alone() -> None:
    assert flow([yes(1000), yes(500)]) == 1.0


def test_5_flow_of_no_alone() -> None:
    assert flow([no(1000)]) == -1.0


def test_6_flow_in_balance() -> None:
    assert flow([yes(500), no(500)]) == 0.0


def test_7_whales_of_yes_alone() -> None:
    assert whale([yes(1500), yes(2000), no(100)]) == 1.0


def test_8_whales_in_balance() -> None:
    assert whale([yes(1500), no(1200)]) == 0.0


def test_9_no_whales() -> None:
    assert whale([yes(500), no(800)]) == 0.0


# The examples in prose.


def test_ten_percent_is_full_scale_and_five_percent_is_half() -> None:
    assert momentum([yes(1, 0.50), yes(1, 0.55)]) == 1.0
    assert momentum([yes(1, 0.20), yes(1, 0.21)]) == 0.5


def test_sixty_to_forty_is_a_flow_of_one_fifth() -> None:
    assert flow([yes(600), no(400)]) == 0.2


def test_an_empty_list_is_zero_for_every_component() -> None:
    assert (momentum([]), flow([]), whale([])) == (0.0, 0.0, 0.0)


def test_momentum_is_clamped() -> None:
    assert seed.momentum(100, 9_900) == 1.0
    assert seed.momentum(9_900, 100) == -1.0


def test_one_price_is_no_momentum() -> None:
    assert seed.momentum(5_000, 5_000) == 0.0
    assert seed.momentum(None, 5_000) == 0.0


def test_the_one_division_gives_the_nearest_float() -> None:
    assert seed.momentum(100, 107) == 0.7
    assert (107 - 100) / 100 * 10 == 0.7000000000000001
    assert seed.momentum(9_999, 9_998) == float(Decimal(-10) / Decimal(9_999))
    assert seed.flow(1, 2) == float(Decimal(-1) / Decimal(3))


def test_score_is_summed_in_the_order_given() -> None:
    weights = (0.40, 0.35, 0.25)
    assert seed.score(0.1, 0.2, 0.3, weights) == 0.40 * 0.1 + 0.35 * 0.2 + 0.25 * 0.3
    assert seed.score(1.0, 1.0, 1.0, weights) == 1.0
    assert seed.score(-1.0, -1.0, -1.0, (0.20, 0.50, 0.30)) == -1.0
