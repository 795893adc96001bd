from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve

from actors.evaluation.baselines import of_probability
from actors.evaluation.intervals import blocks
from actors.evaluation.line import Line, line
from actors.evaluation.panel import Panel
from actors.evaluation.scorecard import scorecard
from tests.actors.evaluation.synthetic import LATENCIES_S, panel


def measured(given: Panel) -> Line:
    price = scorecard(of_probability("price", "", given.price), given.up, given.mid, blocks(given.as_of_ns))
    return line(given, price, LATENCIES_S, fee_rate=0.07)


@pytest.fixture(scope="module")
def useless() -> Line:
    return measured(panel(1_500))


def test_shuffled_outcomes_leave_no_skill(useless: Line) -> None:
    shuffled = useless.measured["leaks"]["shuffled"].delta
    assert shuffled.low < 0 < shuffled.high or shuffled.mean > 0
    assert abs(shuffled.mean) < 0.002


def test_a_score_that_knows_nothing_gains_nothing(useless: Line) -> None:
    gain = useless.measured["skill"]["against_level"]
    assert gain.delta.high > 0
    assert useless.measured["skill"]["tested"] == 1_500 - 96
    assert useless.evidence.tested_days == 15
    assert useless.evidence.days == 16


def test_p_hat_is_the_mid(useless: Line) -> None:
    card = useless.measured["probabilities"]["p_hat"]
    assert card.probability.delta_log_loss.delta.mean == 0.0


def test_a_leak_would_show_when_the_score_is_delayed() -> None:
    """Skill that comes from the future is gone with the score of half a minute before; skill that lasts is not."""
    given = panel(1_500)
    future = np.sign(given.up - 0.5)
    leaking = evolve(given, signals={**given.signals, "score": 0.2 * future}, delayed=np.zeros(1_500))
    told = measured(leaking)
    assert told.measured["skill"]["against_mid"].delta.high < -0.05
    assert told.measured["leaks"]["delayed"].delta.mean > -0.005


def test_markets_with_gaps_are_told_apart():
    given = panel(200)
    gaps = np.where(np.arange(200) < 50, 2.0, 0.0)
    told = measured(evolve(given, gaps=gaps)).measured["gaps"]
    assert (told["with"]["markets"], told["without"]["markets"]) == (50, 150)
    assert told["with"]["accuracy"].calls + told["without"]["accuracy"].calls == 200
    assert told["with"]["mid_accuracy"].calls == 50


def test_the_ladder_is_told_with_the_mid_of_each_instant():
    given = panel(300)
    later = given.bids.copy()
    later[:, 1] = np.where(given.up > 0.5, 0.97, 0.01)  # a second later everybody knows
    told = measured(evolve(given, bids=later, asks=later + 0.02)).measured["latency"]
    assert [rung["rung"].latency_s for rung in told] == [0.0, 1.0]
    assert told[1]["delta_log_loss"].delta.mean > told[0]["delta_log_loss"].delta.mean + 0.3


@pytest.mark.parametrize("absent", [{"score"}, {"score", "mid"}])
def test_a_panel_without_score_or_mid_is_still_told_of(absent: set[str]) -> None:
    given = panel(40)
    nothing = np.full(40, np.nan)
    changes: dict[str, Any] = {"signals": dict.fromkeys(given.signals, nothing)}
    if "mid" in absent:
        changes |= {"mid": nothing, "price": nothing, "delayed": nothing}
    told = measured(evolve(given, **changes))
    assert told.evidence.score.calls == 0
    assert told.evidence.informations == []
    assert told.measured["moves"]["deciles"] == []
    assert told.evidence.tested == 0
    assert np.isnan(told.evidence.against_mid.delta.mean)


def test_confidence_is_told_where_there_is_an_opinion():
    given = panel(100)
    score = given.score.copy()
    score[:40] = np.nan
    told = measured(evolve(given, signals={**given.signals, "score": score})).measured
    assert told["confidence"]["distribution"].number == 60
    assert sum(each.number for each in told["confidence"]["deciles"].bins) == 60
