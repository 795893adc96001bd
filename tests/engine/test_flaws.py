"""The flaws of the original formulas, both ways: ``seed`` shows the number, ``corrected`` does not have the flaw.

Numbers are those of part 3 of the signal definitions. The rows that concern no formula (wire types, labels, evaluation)
are tested where they belong.
"""

from typing import Any

import pytest

from engine import seed
from engine.confidence import corrected_confidence, seed_confidence
from engine.corrected import momentum
from engine.features import MarketView
from engine.presets import PRESETS
from engine.quotes import logit
from engine.scoring import Scores, build_scorer
from engine.units import price_ticks, size_units
from tests.engine.workbench import BUY, DOWN, SELL, UP, Bench, Fill, view_of

SEED = build_scorer(PRESETS["seed"])
CORRECTED = build_scorer(PRESETS["corrected"])


def fill(at_s: float, price: str, shares: str = "1", **rest: Any) -> Fill:
    return Fill(at_s=at_s, price=price_ticks(price), units=size_units(shares), **rest)


def both(view: MarketView) -> tuple[Scores, Scores]:
    return SEED(view), CORRECTED(view)


def of(scores: Scores) -> tuple[float | None, float | None, float | None]:
    return scores.components.momentum, scores.components.volume_flow, scores.components.whale


def logit_momentum(first: int, last: int) -> float:
    return momentum(logit(first, 10_000 - first), logit(last, 10_000 - last))


def test_1_float_arithmetic_fails_its_own_assertion() -> None:
    assert (0.45 - 0.50) / 0.50 * 10 == -0.9999999999999998
    assert seed.momentum(price_ticks("0.50"), price_ticks("0.45")) == -1.0
    assert logit_momentum(5_000, 4_500) == -1.0


@pytest.mark.parametrize(("price", "step"), [(500, 1.0), (1_000, 1.0), (2_500, 0.40), (5_000, 0.20), (9_000, 0.11)])
def test_3_momentum_explodes_at_low_prices(price: int, step: float) -> None:
    assert seed.momentum(price, price + 100) == pytest.approx(step, abs=0.0012)
    assert 0.40 * seed.momentum(5_000, 5_100) == pytest.approx(0.08)
    assert logit_momentum(price, price + 100) == -logit_momentum(10_000 - price, 10_000 - price - 100)


def test_3_one_tick_saturates_nowhere_between_ten_and_ninety_cents() -> None:
    assert all(logit_momentum(price, price + 100) < 0.6 for price in range(1_000, 9_000, 100))


def test_4_momentum_is_not_mirror_symmetric() -> None:
    assert seed.momentum(1_000, 1_500) == 1.0
    assert seed.momentum(9_000, 8_500) == pytest.approx(-0.56, abs=0.005)
    assert logit_momentum(1_000, 1_100) == -logit_momentum(9_000, 8_900)


def test_5_first_and_last_trade_depend_on_the_order_of_arrival() -> None:
    sent = [fill(100, "0.50", happened_s=99.5), fill(100.4, "0.55", happened_s=99.9)]
    overtaken = [fill(100, "0.55", happened_s=99.9), fill(100.4, "0.50", happened_s=99.5)]
    straight, crossed = both(view_of(sent, end_s=110)), both(view_of(overtaken, end_s=110))
    assert straight[0].components.momentum == 1.0
    assert crossed[0].components.momentum == pytest.approx(-0.91, abs=0.001)
    assert straight[1] == crossed[1]
    assert straight[1].components.momentum is not None
    assert straight[1].components.momentum > 0


def test_6_momentum_is_blind_to_no_trades() -> None:
    fills = [
        fill(number * 0.2, price, outcome=DOWN)
        for number, price in enumerate(["0.50"] * 100 + ["0.48"] * 200 + ["0.45"] * 200)
    ]
    view = view_of(fills, end_s=100)
    scores, corrected = both(view)
    assert seed.momentum(view.trades.first_yes, view.trades.last_yes) == 0.0
    assert scores.components.momentum is None
    assert corrected.components.momentum == 1.0
    assert corrected == CORRECTED(view_of([fill.complement for fill in fills], end_s=100))


def test_7_the_takers_side_is_ignored() -> None:
    falling = [fill(110 + number, price, "1500", side=SELL) for number, price in enumerate(("0.60", "0.59", "0.58"))]
    scores, corrected = both(view_of(falling))
    assert of(scores)[0] == pytest.approx(-0.333, abs=0.001)
    assert of(scores)[1:] == (1.0, 1.0)
    assert scores.score == pytest.approx(0.467, abs=0.0005)
    assert corrected.score < 0
    assert corrected.components.volume_flow == -3 / 8


def test_8_token_identity_is_taken_as_direction() -> None:
    buy_no = [fill(110, "0.40", "100", outcome=DOWN, side=BUY)]
    sell_yes = [fill(110, "0.60", "100", outcome=UP, side=SELL)]
    one, other = both(view_of(buy_no)), both(view_of(sell_yes))
    assert (one[0].components.volume_flow, other[0].components.volume_flow) == (-1.0, 1.0)
    assert one[1] == other[1]
    assert one[1].components.volume_flow == -1 / 6


def test_8_a_trade_printed_under_both_tokens_is_counted_twice() -> None:
    printed = [
        fill(110, "0.60", "100", outcome=UP, side=BUY, transaction_hash="0xa"),
        fill(110, "0.40", "100", outcome=DOWN, side=SELL, transaction_hash="0xa"),
    ]
    naive = seed.flow(*(sum(each.units for each in printed if each.outcome is outcome) for outcome in (UP, DOWN)))
    assert naive == 0.0
    view = view_of(printed)
    assert view.trades.mirrored == 1
    assert CORRECTED(view).components.volume_flow == 1 / 6


@pytest.mark.parametrize(
    ("price", "shares", "seed_whale", "paid_whale"),
    [("0.02", "1500", 1.0, None), ("0.98", "900", None, None), ("0.50", "1500", 1.0, None), ("0.98", "2000", 1.0, 0.5)],
)
def test_9_shares_are_mistaken_for_dollars_of_a_whale(
    price: str, shares: str, seed_whale: float | None, paid_whale: float | None
) -> None:
    scores, corrected = both(view_of([fill(110, price, shares)]))
    assert scores.components.whale == seed_whale
    assert corrected.components.whale == paid_whale


def test_9_a_thousand_dollars_are_two_thousand_shares_at_fifty_cents() -> None:
    scores, corrected = both(view_of([fill(110, "0.50", "1999")]))
    assert (scores.components.whale, corrected.components.whale) == (1.0, None)
    assert CORRECTED(view_of([fill(110, "0.50", "2000")])).components.whale == 0.5


def test_10_shares_are_mistaken_for_dollars_of_flow() -> None:
    view = view_of([fill(110, "0.01", "10000", outcome=DOWN), fill(111, "0.99", "1000", outcome=UP)])
    scores, corrected = both(view)
    assert scores.components.volume_flow == pytest.approx(-0.818, abs=0.0005)
    assert corrected.components.volume_flow == 0.0


def test_11_what_is_missing_shrinks_the_score_silently() -> None:
    rising = Bench()
    for number in range(60):
        rising.trade(number, UP, BUY, "0.50" if number < 30 else "0.60", "10")
        rising.quote(number, "0.49" if number < 30 else "0.59", "0.51" if number < 30 else "0.61")
    scores, corrected = both(rising.view(60))
    assert scores.components.whale is None
    assert scores.score == 0.75
    assert corrected.components.whale is None
    assert corrected.score == pytest.approx((0.40 + 0.35 * 60 / 65) / 0.75)


def test_12_nothing_is_shrunk() -> None:
    trade, whale = view_of([fill(110, "0.5", "10")]), view_of([fill(110, "0.5", "3000")])
    assert SEED(trade).components.volume_flow == 1.0
    assert CORRECTED(trade).components.volume_flow == 1 / 6
    assert SEED(whale).components.whale == 1.0
    assert CORRECTED(whale).components.whale == 1 / 2


def test_12_one_whale_moves_the_seed_score_by_a_quarter() -> None:
    def small(shares: str) -> list[Fill]:
        return [fill(1, "0.5", shares), fill(2, "0.5", shares, outcome=DOWN)]

    quiet = [*small("600"), fill(3, "0.5", "1000"), fill(4, "0.5", "1000", outcome=DOWN)]
    whale = [*small("600"), fill(3, "0.5", "1000.000001"), fill(4, "0.5", "1000", outcome=DOWN)]
    assert SEED(view_of(whale)).score - SEED(view_of(quiet)).score == pytest.approx(0.25, abs=1e-6)
    assert CORRECTED(view_of(whale)).score == CORRECTED(view_of(quiet)).score


def test_13_confidence_jumps_and_saturates() -> None:
    assert (seed_confidence(9, 1.0), seed_confidence(10, 1.0)) == (0.09, 0.20)
    assert seed_confidence(50, 1.0) == seed_confidence(5_000, 1.0) == 1.0

    def corrected(orders: int) -> float:
        return corrected_confidence(coverage=1.0, age_s=0.0, orders=orders, spread=0.01)

    assert corrected(10) - corrected(9) < 0.03
    assert corrected(50) < corrected(51) < corrected(5_000) < 1.0


def test_14_confidence_uses_wall_time() -> None:
    bench = Bench()
    for number in range(60):
        bench.trade(number, UP, BUY, "0.5")
        bench.quote(number, "0.49", "0.51")
    whole, half = bench.view(60), bench.view(60, coverage=0.5)
    # By the wall clock the window is full, however long the feed was down: that is coverage 1.
    assert SEED(whole).confidence == 1.0
    assert CORRECTED(half).confidence == CORRECTED(whole).confidence / 2
    assert SEED(half).confidence == 0.5, "the one deliberate change: seed, too, is told the true coverage"


def test_15_price_level_and_spread_are_ignored() -> None:
    bench, wide = Bench(), Bench()
    for market, bid, ask in ((bench, "0.49", "0.51"), (wide, "0.46", "0.54")):
        for number in range(60):
            market.trade(number, UP, BUY, "0.5")
            market.quote(number, bid, ask)
    assert SEED(bench.view(60)) == SEED(wide.view(60))
    assert CORRECTED(wide.view(60)).confidence < CORRECTED(bench.view(60)).confidence / 2
    # One cent is a small move at even odds and a large one near certainty.
    assert seed.momentum(9_700, 9_800) < seed.momentum(5_000, 5_100)
    assert logit_momentum(9_700, 9_800) > 5 * logit_momentum(5_000, 5_100)
