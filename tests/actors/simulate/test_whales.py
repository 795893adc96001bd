import numpy as np

from actors.simulate.design import Design, Habit
from actors.simulate.markets import Batch, simulate
from actors.simulate.whales import bands_of, whale_sizes
from engine.corrected import Options
from engine.units import NS_PER_S, SIZE_SCALE
from engine.whales import SizeBaseline, price_band

BUSY = Design(habit=Habit.USD, trades_per_minute=120.0)


def baseline_of(batch: Batch, row: int, start_s: float) -> SizeBaseline:
    baseline = SizeBaseline()
    trades = batch.trades
    for column in range(trades.at_ns.shape[1]):
        if trades.at_ns[row, column] < start_s * NS_PER_S:
            price, units = int(trades.yes_price[row, column]), int(trades.units[row, column])
            baseline.add(int(trades.at_ns[row, column]), price_band(price * units, units), units)
    return baseline


def test_the_least_size_of_a_whale_is_the_engines() -> None:
    batch = Batch.of(list(simulate(BUSY, 12)))
    options = Options(whale_floor_shares=1_500.0, whale_multiple=1.25)
    above_the_floor = 0
    for start_s in (0.0, 240.0, 720.0):
        least = whale_sizes(batch.trades, start_s, options)
        for row in range(12):
            baseline = baseline_of(batch, row, start_s)
            for band in range(5):
                usual = baseline.percentile_99(band)
                floor = 1_500.0 * SIZE_SCALE
                assert least[row, band] == (floor if usual is None else max(floor, 1.25 * usual))
                above_the_floor += least[row, band] > floor
    assert above_the_floor > 10


def test_the_band_of_a_trade_is_that_of_its_complement() -> None:
    batch = Batch.of(list(simulate(Design(), 3)))
    bands = bands_of(batch.trades)
    assert set(np.unique(bands)) <= {0, 1, 2, 3, 4}
    yes_price = batch.trades.yes_price
    assert np.all(bands[(yes_price < 1_000) | (yes_price > 9_000)] == 0)
    assert np.all(bands[(yes_price >= 4_000) & (yes_price <= 6_000)] == 4)


def test_without_a_past_there_is_only_the_floor() -> None:
    batch = Batch.of(list(simulate(Design(), 3)))
    assert set(np.unique(whale_sizes(batch.trades, 240.0, Options()))) == {2_000.0 * SIZE_SCALE}
