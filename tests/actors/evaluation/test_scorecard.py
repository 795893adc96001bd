from __future__ import annotations

import numpy as np
import pytest

from actors.evaluation.baselines import of_probability, of_sign
from actors.evaluation.intervals import blocks
from actors.evaluation.metrics import brier_losses, log_losses
from actors.evaluation.scorecard import gain, scorecard
from tests.actors.evaluation.synthetic import panel

PANEL = panel(400)
BLOCKS = blocks(PANEL.as_of_ns)


def test_the_mid_is_as_good_as_itself():
    card = scorecard(of_probability("mid", "", PANEL.mid), PANEL.up, PANEL.mid, BLOCKS)
    assert card.probability is not None
    assert (card.probability.delta_log_loss.delta.mean, card.probability.delta_log_loss.test.p_value) == (0.0, 1.0)
    assert (card.against_mid.only_first, card.against_mid.only_second) == (0, 0)
    assert card.probability.murphy.brier == pytest.approx(brier_losses(PANEL.mid, PANEL.up).mean())


def test_a_score_has_no_proper_score():
    card = scorecard(of_sign("score", "", PANEL.score), PANEL.up, PANEL.mid, BLOCKS)
    assert card.probability is None
    assert card.number == 400
    assert 0.4 < card.area_under_curve < 0.6


def test_differences_are_taken_where_both_speak():
    said, mid = PANEL.mid.copy(), PANEL.mid.copy()
    said[:100], mid[300:] = np.nan, np.nan
    card = scorecard(of_probability("half", "", said), PANEL.up, mid, BLOCKS)
    assert card.probability is not None
    assert card.number == 300
    assert card.probability.delta_log_loss.delta.number == 200
    assert card.accuracy.abstained == 100


def test_knowing_more_than_the_mid_shows():
    better = 0.5 * PANEL.mid + 0.5 * PANEL.up
    card = scorecard(of_probability("oracle", "", better), PANEL.up, PANEL.mid, BLOCKS)
    assert card.probability is not None
    assert card.probability.delta_log_loss.delta.high < 0
    assert card.probability.delta_brier.delta.high < 0
    assert card.probability.delta_log_loss.test.p_value < 1e-6


def test_a_gain_is_about_single_markets():
    first, second = log_losses(PANEL.mid, PANEL.up), log_losses(np.full(400, 0.5), PANEL.up)
    told = gain(first, second, BLOCKS)
    assert told.delta.mean == pytest.approx((first - second).mean())
    assert told.deviation == pytest.approx((first - second).std(ddof=1))
    assert np.isnan(gain(first[:1], second[:1], blocks(PANEL.as_of_ns[:1])).deviation)


def test_a_forecast_that_says_nothing_has_an_empty_card():
    card = scorecard(of_probability("none", "", np.full(400, np.nan)), PANEL.up, PANEL.mid, BLOCKS)
    assert (card.number, card.accuracy.calls) == (0, 0)
    assert card.probability is not None
    assert np.isnan([card.probability.brier, card.probability.log_loss, card.area_under_curve]).all()
    assert card.probability.calibration == ()
