from __future__ import annotations

import math

import numpy as np
import pytest
from attrs import evolve

from actors.evaluation.economics import break_even, fee, ladder
from actors.evaluation.intervals import Blocks, blocks
from actors.evaluation.panel import Panel
from tests.actors.evaluation.synthetic import panel


@pytest.mark.parametrize(("price", "cents"), [(0.5, 1.75), (0.8, 1.12), (0.9, 0.63)])
def test_fees_of_the_venue(price: float, cents: float) -> None:
    assert fee(price) == pytest.approx(cents / 100)


@pytest.mark.parametrize(("price", "rate"), [(0.5, 0.5175), (0.8, 0.8112)])
def test_break_even_win_rates(price: float, rate: float) -> None:
    assert break_even(price) == pytest.approx(rate)


def made(**columns: list[float]) -> tuple[Panel, Blocks]:
    given = panel(4)
    tables = {name: np.array(values)[:, None] for name, values in columns.items() if name != "up"}
    return evolve(given, up=np.array(columns["up"]), **tables), Blocks(kind="market", of=np.arange(4))


def test_up_costs_the_ask_and_down_one_minus_the_bid():
    given, of = made(
        up=[1, 0, 1, 1],
        asks=[0.60, 0.55, 0.5, np.nan],
        bids=[0.58, 0.53, 0.48, 0.9],
        ask_shares=[10, 20, 0, 5],
        bid_shares=[30, 40, 5, 5],
    )
    (rung,) = ladder(given, np.array([1.0, -1.0, 1.0, 1.0]), [0.0], of)
    # The third has nothing displayed, the fourth no ask: neither can be bought.
    assert (rung.wins.calls, rung.wins.hits, rung.wins.abstained) == (2, 2, 2)
    costs = [0.60 + 0.07 * 0.6 * 0.4, 0.47 + 0.07 * 0.47 * 0.53]
    assert rung.ask == pytest.approx((0.60 + 0.47) / 2)
    assert rung.break_even == pytest.approx(sum(costs) / 2)
    assert rung.profit.mean == pytest.approx(sum(1 - cost for cost in costs) / 2)
    assert rung.shares == 25  # of 10 asked and 40 bid
    spent = 10 * costs[0] + 40 * costs[1]
    assert rung.return_at_size == pytest.approx((10 * (1 - costs[0]) + 40 * (1 - costs[1])) / spent)


@pytest.mark.untraced
def test_buying_at_a_fair_price_loses_spread_and_fee():
    given = panel(10_000)
    (rung, _) = ladder(given, np.ones(10_000), [0.0, 1.0], blocks(given.as_of_ns))
    expected = -0.005 - float(np.mean(fee(given.mid + 0.005)))
    assert rung.profit.low < expected < rung.profit.high


def test_nobody_bought_anything():
    given, of = made(up=[1, 0, 1, 1], asks=[0.6] * 4, bids=[0.5] * 4, ask_shares=[1] * 4, bid_shares=[1] * 4)
    (rung,) = ladder(given, np.array([0.0, np.nan, 0.0, 0.0]), [0.0], of)
    assert rung.wins.calls == 0
    assert math.isnan(rung.ask)
    assert math.isnan(rung.shares)
    assert math.isnan(rung.return_at_size)
    assert math.isnan(rung.profit.mean)
