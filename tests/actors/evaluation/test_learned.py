from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from actors.evaluation.learned import EMBARGO, PENALTY, fit, fold_ids, learn, level_of, walk
from actors.evaluation.metrics import log_losses
from engine.units import NS_PER_S
from tests.actors.evaluation.synthetic import panel

RNG = np.random.default_rng(11)
COLUMNS = RNG.normal(size=(300, 3))
OFFSET = RNG.normal(size=300)
UP = (RNG.random(300) < expit(OFFSET + COLUMNS @ np.array([0.5, -0.3, 0.0]))).astype(float)


def test_the_fit_is_the_one_that_a_general_optimiser_finds():
    def cost(beta: np.ndarray) -> float:
        index = OFFSET + COLUMNS @ beta
        return float(np.logaddexp(0, index).sum() - UP @ index + PENALTY / 2 * beta @ beta)

    assert fit(COLUMNS, OFFSET, UP) == pytest.approx(minimize(cost, np.zeros(3)).x, abs=1e-4)


def test_without_an_offset_it_is_scikit_learns_ridge():
    other = LogisticRegression(C=1 / 2.5, fit_intercept=False, tol=1e-10, max_iter=1000).fit(COLUMNS, UP)
    assert fit(COLUMNS, np.zeros(300), UP, penalty=2.5) == pytest.approx(other.coef_[0], abs=1e-5)


def test_no_evidence_adds_nothing():
    assert fit(COLUMNS[:0], OFFSET[:0], UP[:0]) == pytest.approx([0, 0, 0])


def test_outcomes_that_are_told_apart_perfectly_still_have_an_answer():
    column = np.array([[-40.0], [-30.0], [30.0], [40.0]])
    beta = fit(column, np.zeros(4), np.array([0.0, 0.0, 1.0, 1.0]), penalty=1e-6)
    assert 0 < beta[0] < 10


def test_a_fold_is_a_whole_day():
    seconds = np.array([10, 86_399, 86_400, 172_800, 172_801]) * NS_PER_S
    by, ids = fold_ids(seconds)
    assert by == "day"
    assert ids.tolist() == [0, 0, 1, 2, 2]


def test_less_than_two_days_are_cut_into_blocks():
    by, ids = fold_ids(np.arange(24) * 300 * NS_PER_S)
    assert by == "block"
    assert np.bincount(ids).tolist() == [5, 5, 5, 5, 4]


def test_training_is_over_before_the_test_begins():
    as_of = np.arange(10) * 100
    end = as_of + 250  # two and a half markets later
    for train, test in walk(as_of, end, np.arange(10) // 4):
        first = as_of[test].min()
        assert end[train].max() <= first
        assert np.flatnonzero(train).max() < np.flatnonzero(test).min() - EMBARGO
    trained = [np.flatnonzero(train).tolist() for train, _ in walk(as_of, as_of, np.arange(10) // 4)]
    assert trained == [[0, 1, 2], [0, 1, 2, 3, 4, 5, 6]]


def test_a_forecast_uses_no_outcome_of_its_day_or_later():
    given = panel(300)
    day = given.as_of_ns // (86_400 * NS_PER_S)
    later = day >= day.max()
    changed = evolve(given, up=np.where(later, 1 - given.up, given.up))
    assert learn(given, given.score).score == pytest.approx(learn(changed, changed.score).score, nan_ok=True)


def test_the_first_day_and_markets_without_a_mid_are_not_forecast():
    given = panel(300)
    mid = given.mid.copy()
    mid[150] = np.nan
    found = learn(evolve(given, mid=mid), given.score)
    assert not found.tested[:96].any()
    assert found.tested[96:].sum() == 300 - 96 - 1
    assert (found.folds, found.by) == (3, "day")


def test_a_score_that_knows_the_outcome_is_learned():
    given = panel(600)
    oracle = given.up - 0.5
    found = learn(given, oracle)
    tested = found.tested
    learned = log_losses(found.score, given.up)[tested].mean()
    assert learned < log_losses(found.level, given.up)[tested].mean() - 0.05


def test_shuffled_outcomes_leave_no_skill():
    given = panel(2_000)
    shuffled = evolve(given, up=np.random.default_rng(1).permutation(given.up))
    found = learn(shuffled, shuffled.score)
    gains = (log_losses(found.level, shuffled.up) - log_losses(found.score, shuffled.up))[found.tested]
    assert abs(gains.mean()) < 3 * gains.std() / np.sqrt(len(gains))


def test_levels_are_logits():
    assert level_of(np.array([0.5, 0.75, 1.0])) == pytest.approx([0.0, np.log(3), np.log(0.9995 / 0.0005)])
