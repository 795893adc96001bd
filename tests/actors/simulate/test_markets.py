from itertools import pairwise

import numpy as np
import pytest
from attrs import evolve, fields

from actors.simulate.design import Design, Habit
from actors.simulate.markets import Batch, SimulatedMarket, batches, market_number, simulate
from actors.simulate.takers import Trades
from engine.markets import Outcome
from engine.units import NS_PER_S


def assert_same(one: SimulatedMarket, other: SimulatedMarket) -> None:
    assert (one.number, one.slot, one.outcome) == (other.number, other.slot, other.outcome)
    assert np.array_equal(one.fair, other.fair)
    assert np.array_equal(one.bid, other.bid)
    for each in fields(Trades):
        assert np.array_equal(getattr(one.trades, each.name), getattr(other.trades, each.name))


def test_a_market_is_the_same_however_it_is_asked_for() -> None:
    design = Design(rho=0.2, habit=Habit.USD)
    fifth = list(simulate(design, 6))[5]
    assert_same(fifth, market_number(design, 5))
    assert_same(fifth, next(simulate(design, 1, first=5)))


def test_a_batch_holds_the_markets_row_by_row() -> None:
    design = Design()
    alone = list(simulate(design, 5))
    for size in (2, 5, 7):
        together = list(batches(design, 5, size=size))
        assert [len(batch.bid) for batch in together] == {2: [2, 2, 1], 5: [5], 7: [5]}[size]
        assert np.array_equal(np.concatenate([batch.trades.units for batch in together])[4], alone[4].trades.units)
        assert np.array_equal(np.concatenate([batch.fair for batch in together])[3], alone[3].fair)


def test_another_seed_gives_other_markets() -> None:
    one, other = market_number(Design(seed=1), 0), market_number(Design(seed=2), 0)
    assert not np.array_equal(one.fair, other.fair)
    assert not np.array_equal(one.trades.units, other.trades.units)
    assert not np.array_equal(one.fair, market_number(Design(seed=1), 1).fair)


@pytest.mark.parametrize("series", ["btc-15m", "sol-5m"])
def test_markets_follow_each_other_in_the_calendar(series: str) -> None:
    design = Design(series=series, starts_s=1_767_225_600 + 17)
    slots = [market.slot for market in simulate(design, 4)]
    assert slots[0].start_ns == 1_767_225_600 * NS_PER_S
    assert all(one.end_ns == other.start_ns for one, other in pairwise(slots))
    assert {slot.series for slot in slots} == {series}
    assert market_number(design, 3).slot == slots[3]


def test_the_outcome_is_where_the_path_ends() -> None:
    markets = list(simulate(Design(), 300))
    assert all((market.outcome is Outcome.UP) == (market.fair[-1] == 1.0) for market in markets)
    assert 110 < sum(market.outcome is Outcome.UP for market in markets) < 190
    assert Batch.of(markets).up_won.tolist() == [market.outcome is Outcome.UP for market in markets]


def test_the_ask_is_the_spread_above_the_bid() -> None:
    market = market_number(Design(tick=100, spread_steps=2), 0)
    assert set((market.ask - market.bid).tolist()) == {200}
    assert len(market.bid) == 900


def test_a_quote_is_known_from_the_next_moment_on() -> None:
    batch = next(batches(Design(), 3))
    for at_s, second in ((0.0, 0), (0.5, 0), (1.0, 0), (1.001, 1), (120.0, 119), (900.0, 899)):
        bid, ask = batch.quotes_before(at_s)
        assert np.array_equal(bid, batch.bid[:, second])
        assert set((ask - bid).tolist()) == {30}
        assert np.array_equal(batch.fair_before(at_s), batch.fair[:, second])


@pytest.mark.parametrize("at_s", [-1.0, 900.5])
def test_there_are_no_quotes_outside_the_market(at_s: float) -> None:
    batch = next(batches(Design(), 1))
    with pytest.raises(ValueError, match=r"0\.\.900 s"):
        batch.quotes_before(at_s)


def test_no_markets_are_no_batches() -> None:
    assert list(batches(Design(), 0)) == []


def test_a_design_is_a_value() -> None:
    assert evolve(Design(), rho=0.1) == Design(rho=0.1)
