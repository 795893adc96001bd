from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from actors.evaluation.baselines import baselines, coin, majority, of_probability, of_sign
from actors.evaluation.panel import Panel
from tests.actors.evaluation.synthetic import panel


def test_every_baseline_of_the_protocol_is_there():
    given = panel(30)
    names = [forecast.name for forecast in baselines(given, given.score)]
    assert names == ["mid", "price", "micro", "last_trade", "mid_move", "seed", "majority", "coin"]


def test_what_is_a_probability_and_what_is_not():
    given = panel(30)
    kinds = {forecast.name: forecast.probability is not None for forecast in baselines(given, given.score)}
    assert [name for name, is_probability in kinds.items() if not is_probability] == ["mid_move", "seed"]


def test_directions():
    probability = of_probability("p", "p", np.array([0.4, 0.5, 0.6, np.nan]))
    assert probability.direction == pytest.approx([-1, 0, 1, np.nan], nan_ok=True)
    sign = of_sign("s", "s", np.array([-0.01, 0.0, 2.0, np.nan]))
    assert sign.direction == pytest.approx([-1, 0, 1, np.nan], nan_ok=True)


def with_outcomes(given: Panel, *up: float) -> Panel:
    return evolve(given, up=np.array(up))


def test_the_majority_knows_only_markets_that_were_over():
    given = with_outcomes(panel(5), 1, 1, 0, 0, 0)
    # Decisions fall into their slots, so each knows all markets before.
    assert majority(given) == pytest.approx([1 / 2, 2 / 3, 3 / 4, 3 / 5, 3 / 6])
    late = evolve(given, end_ns=given.end_ns + 900 * 10**9)  # official one slot later
    assert majority(late) == pytest.approx([1 / 2, 1 / 2, 2 / 3, 3 / 4, 3 / 5])


def test_the_majority_of_equals_abstains():
    given = with_outcomes(panel(3), 1, 0, 1)
    forecast = next(each for each in baselines(given, given.score) if each.name == "majority")
    assert forecast.direction.tolist() == [0, 1, 0]


def test_a_coin_is_fair_seeded_and_knows_nothing():
    one, again, other = coin(10_000, seed=1), coin(10_000, seed=1), coin(10_000, seed=2)
    assert (one.direction == again.direction).all()
    assert (one.direction != other.direction).any()
    assert abs(one.direction.mean()) < 0.03
    assert one.probability is not None
    assert set(one.probability) == {0.5}
