import math

import numpy as np
import pytest
from attrs import fields

from actors.simulate.design import Design, Habit
from actors.simulate.features import FeatureTable, feature_tables, features, mid_before
from actors.simulate.markets import Batch, SimulatedMarket, batches, simulate
from actors.simulate.whales import whale_sizes
from engine.corrected import Options
from engine.markets import Outcome, Side
from engine.presets import PRESETS
from engine.scoring import Scores, build_scorer
from engine.units import NS_PER_S, SIZE_SCALE, price_text
from tests.engine.workbench import Bench, Fill

ENDS_S = (120.0, 360.0, 600.0, 840.0)


class Played:
    """One simulated market put on the bench of the engine, quote by quote and trade by trade."""

    def __init__(self, market: SimulatedMarket) -> None:
        self._bench = Bench(tick=market.design.tick)
        self._quotes = list(zip(market.bid.tolist(), market.ask.tolist(), strict=True))
        self._trades = list(zip(*(getattr(market.trades, each).tolist() for each in _COLUMNS), strict=True))
        self._second = self._trade = 0
        self._quote(-5.0, 0)

    def scores(self, end_s: float) -> tuple[Scores, Scores]:
        """What the scorers of both presets make of the window that ends then."""
        while self._second < end_s:
            self._quote(float(self._second), self._second)
            self._second += 1
            while self._trade < len(self._trades) and self._trades[self._trade][0] < self._second * NS_PER_S:
                self._fill(*self._trades[self._trade])
                self._trade += 1
        view = self._bench.view(end_s)
        return build_scorer(PRESETS["seed"])(view), build_scorer(PRESETS["corrected"])(view)

    def _quote(self, at_s: float, second: int) -> None:
        bid, ask = self._quotes[second]
        self._bench.quote(at_s, price_text(bid), price_text(ask), "500", "500")

    def _fill(self, at_ns: int, is_up: bool, is_buy: bool, price: int, units: int) -> None:
        outcome = Outcome.UP if is_up else Outcome.DOWN
        side = Side.BUY if is_buy else Side.SELL
        self._bench.fill(Fill(at_s=at_ns / NS_PER_S, outcome=outcome, side=side, price=price, units=units))


_COLUMNS = ("at_ns", "is_up", "is_buy", "price", "units")


def same(computed: float, expected: float | None) -> bool:
    return math.isnan(computed) if expected is None else computed == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("design", "ends_s"),
    [
        (Design(), ENDS_S),
        (Design(habit=Habit.USD, rho=0.3), ENDS_S),
        (Design(habit=Habit.USD, trades_per_minute=120.0, tick=100, spread_steps=1), ENDS_S),
        (Design(series="btc-5m", trades_per_minute=2.0), (60.0, 120.0, 200.5)),
    ],
    ids=["shares", "usd", "busy", "quiet"],
)
def test_the_arrays_hold_what_the_engines_scorers_say(design: Design, ends_s: tuple[float, ...]) -> None:
    markets = list(simulate(design, 12))
    batch = Batch.of(markets)
    tables = {end_s: features(batch, end_s, ahead_s=10.0) for end_s in ends_s}
    for row, market in enumerate(markets):
        played = Played(market)
        for end_s, table in tables.items():
            seed, corrected = played.scores(end_s)
            for computed, expected in (
                (table.seed_momentum, seed.components.momentum),
                (table.seed_flow, seed.components.volume_flow),
                (table.seed_whale, seed.components.whale),
                (table.seed_score, seed.score),
                (table.momentum, corrected.components.momentum),
                (table.flow, corrected.components.volume_flow),
                (table.whale, corrected.components.whale),
                (table.score, corrected.score),
            ):
                assert same(computed[row], expected), (row, end_s)


def test_the_busy_markets_above_have_whales_by_their_own_past() -> None:
    batch = next(batches(Design(habit=Habit.USD, trades_per_minute=120.0, tick=100, spread_steps=1), 12))
    assert whale_sizes(batch.trades, 720.0, Options()).max() > 2_000 * SIZE_SCALE


def test_the_leaky_sums_are_those_of_a_loop_over_the_trades() -> None:
    markets = list(simulate(Design(), 5))
    table = features(Batch.of(markets), 240.0)
    for row, market in enumerate(markets):
        trades = market.trades
        paid = at_risk = 0.0
        orders = count = 0
        for at_ns, is_up, is_buy, price, units in zip(*(getattr(trades, each) for each in _COLUMNS), strict=True):
            if 120 * NS_PER_S <= at_ns < 240 * NS_PER_S:
                direction = 1 if is_up == is_buy else -1
                paid += direction * price / 1e4 * units / 1e6
                at_risk += direction * (price if is_buy else 1e4 - price) / 1e4 * units / 1e6
                orders += direction
                count += 1
        assert table.usd_paid[row] == pytest.approx(paid)
        assert table.at_risk[row] == pytest.approx(at_risk)
        assert (table.orders[row], table.trades[row]) == (orders, count)


def test_the_move_is_that_of_the_mids_before_both_moments() -> None:
    batch = next(batches(Design(), 4))
    table = features(batch, 600.0, ahead_s=30.0)
    assert table.mid == pytest.approx((batch.bid[:, 599] + 15) / 1e4)
    assert table.move == pytest.approx((batch.bid[:, 629] - batch.bid[:, 599]) / 1e4)
    assert np.array_equal(table.probability, table.mid)
    assert np.array_equal(mid_before(batch, 600.0), table.mid)
    assert np.array_equal(table.fair, batch.fair[:, 599])


def test_what_is_told_later_changes_nothing_earlier() -> None:
    markets = list(simulate(Design(), 3))
    whole = Batch.of(markets)
    early = whole.trades.at_ns < 360 * NS_PER_S
    poisoned = np.where(early, whole.trades.units, 10**13)
    spoilt = Batch(
        design=whole.design,
        fair=whole.fair,
        bid=np.concatenate([whole.bid[:, :360], whole.bid[:, 360:] // 2], axis=1),
        trades=type(whole.trades)(
            at_ns=whole.trades.at_ns,
            is_up=np.where(early, whole.trades.is_up, True),
            is_buy=whole.trades.is_buy,
            price=whole.trades.price,
            units=poisoned,
        ),
    )
    one, other = features(whole, 360.0), features(spoilt, 360.0)
    for each in fields(FeatureTable):
        if each.name != "move":
            assert np.array_equal(getattr(one, each.name), getattr(other, each.name), equal_nan=True)


def test_tables_are_joined_from_batches_in_order() -> None:
    tables = feature_tables(Design(), 7, (120.0, 240.0), first=3)
    assert list(tables) == [120.0, 240.0]
    whole = features(Batch.of(list(simulate(Design(), 7, first=3))), 240.0)
    assert np.array_equal(tables[240.0].seed_score, whole.seed_score)
    split = FeatureTable.joined([features(batch, 240.0) for batch in batches(Design(), 7, first=3, size=2)])
    assert np.array_equal(split.score, whole.score)


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="at least one market"):
        feature_tables(Design(), 0, (120.0,))
    with pytest.raises(ValueError, match="moment of the market"):
        feature_tables(Design(), 1, (880.0,))
