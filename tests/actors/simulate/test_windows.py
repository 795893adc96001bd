import numpy as np

from actors.simulate.design import Design
from actors.simulate.markets import Batch, simulate
from actors.simulate.windows import Window, balance
from engine.units import NS_PER_S


def batch() -> Batch:
    return Batch.of(list(simulate(Design(), 20)))


def test_a_window_holds_what_is_received_in_it_and_its_start_but_not_its_end() -> None:
    markets = batch()
    window = Window.of(markets, 240.0, 360.0)
    at_ns = markets.trades.at_ns
    expected = ((at_ns >= 240 * NS_PER_S) & (at_ns < 360 * NS_PER_S)).sum(axis=1)
    everything = np.ones_like(window.inside)
    assert np.array_equal(window.count(everything), expected)
    assert window.inside.shape[1] < at_ns.shape[1]
    first_ns = int(at_ns[0, 40])
    assert Window.of(markets, first_ns / 1e9, first_ns / 1e9 + 1e-9).inside[0].sum() == 1
    assert Window.of(markets, 0.0, first_ns / 1e9).inside[0].sum() == 40


def test_sums_and_ends_are_those_of_a_loop_over_the_trades() -> None:
    markets = batch()
    window = Window.of(markets, 100.0, 200.0)
    bought = window.sum(window.trades.is_buy, window.trades.units)
    first, last = window.first_and_last(window.trades.is_up, window.trades.price)
    for row in range(20):
        trades = markets.trades
        rows = [column for column in range(300) if 100 * NS_PER_S <= trades.at_ns[row, column] < 200 * NS_PER_S]
        assert bought[row] == sum(int(trades.units[row, column]) for column in rows if trades.is_buy[row, column])
        up = [int(trades.price[row, column]) for column in rows if trades.is_up[row, column]]
        assert (first[row], last[row]) == (up[0], up[-1])


def test_an_empty_window_counts_nothing() -> None:
    window = Window.of(batch(), -200.0, -100.0)
    everything = np.ones_like(window.inside)
    assert not window.count(everything).any()
    assert not window.sum(everything, window.trades.units).any()


def test_a_balance_of_nothing_is_absent() -> None:
    balanced = balance(np.array([3, 0, 0]), np.array([1, 2, 0]))
    assert balanced[:2].tolist() == [0.5, -1.0]
    assert np.isnan(balanced[2])
