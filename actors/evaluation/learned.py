"""From a score to a probability: a logistic regression on top of the mid, learned walk-forward.

A score is not a probability, so it has no log-loss of its own. What it knows beyond the price is measured by letting
it correct the price: logit p = L(mid) + β·x, with x = (1, L(mid)) for the *level* alone and (1, L(mid), score) for the
*score*. The ridge penalty pulls β to 0, where p is the mid: nothing is added until there is evidence
(signal-definitions 2.9). Each market is forecast from markets that were over before its day began.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.special import expit, logit

from actors.evaluation.metrics import CLIP
from actors.evaluation.panel import DAY_NS, Array, Panel, Whole

PENALTY: Final = 10.0
"""Half the squared length of β times this is taken off the log-likelihood: a normal prior of deviation 0.32.

So a correction has the size that the definitions allow for (‖β‖ ≤ 1), a handful of markets moves nothing far from the
mid, and thousands are free to. Fixed beforehand and never tuned.
"""

EMBARGO: Final = 1
"""Markets left out between training and test (signal-definitions 5.2.4)."""

TRAINING_NEEDED: Final = 5
FEW_DAYS_FOLDS: Final = 5
"""With less than two UTC days, the markets are cut into this many blocks instead."""

_STEPS: Final = 50
_TOLERANCE: Final = 1e-10


@frozen(kw_only=True, eq=False)
class Learned:
    """Out-of-sample probabilities of one panel, NaN where there was no mid or nothing to learn from yet.

    ``folds`` is how many times it was learned, ``by`` what a fold is (``day`` or ``block``).
    """

    level: Array
    score: Array
    folds: int
    by: str

    @property
    def tested(self) -> npt.NDArray[np.bool_]:
        """Which markets were forecast."""
        return np.isfinite(self.score)


def level_of(mid: Array) -> Array:
    """L(mid), clipped as losses are."""
    levels: Array = logit(np.clip(mid, CLIP, 1 - CLIP))
    return levels


def learn(panel: Panel, score: Array) -> Learned:
    """Walk forward over the panel with and without a score; where the score is NaN it says 0.

    A score that is NaN everywhere has no probability either.
    """
    level = level_of(panel.mid)
    usable = np.isfinite(level)
    alone = np.column_stack([np.ones_like(level), level])
    together = np.column_stack([alone, np.nan_to_num(score)])
    models = {"level": alone, "score": together} if np.isfinite(score).any() else {"level": alone}
    out = {"level": np.full_like(level, np.nan), "score": np.full_like(level, np.nan)}
    by, folds = fold_ids(panel.as_of_ns)
    count = 0
    for train, test in walk(panel.as_of_ns, panel.end_ns, folds):
        known, asked = train & usable, test & usable
        if known.sum() < TRAINING_NEEDED or not asked.any():
            continue
        count += 1
        for name, columns in models.items():
            beta = fit(columns[known], level[known], panel.up[known])
            out[name][asked] = expit(level[asked] + columns[asked] @ beta)
    return Learned(**out, folds=count, by=by)


def fold_ids(as_of_ns: Whole) -> tuple[str, Whole]:
    """``("day", id of each)``, or with less than two UTC days ``("block", …)``; ids ascend with time."""
    days = as_of_ns // DAY_NS
    if len(np.unique(days)) >= 2:
        return "day", days
    number = len(as_of_ns)
    return "block", np.arange(number, dtype=np.int64) * FEW_DAYS_FOLDS // max(1, number)


def walk(as_of_ns: Whole, end_ns: Whole, folds: Whole) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Masks of training and test for each fold but the first, rows in order of time.

    Training is everything before the fold, less the embargo, that was over before the fold's first decision.
    """
    position = np.arange(len(as_of_ns))
    for fold in np.unique(folds)[1:]:
        test = folds == fold
        first = int(np.argmax(test))
        yield (position < first - EMBARGO) & (end_ns <= as_of_ns[first]), test


def fit(columns: Array, offset: Array, up: Array, penalty: float = PENALTY) -> Array:
    """Coefficients of a ridge-penalised logistic regression with a fixed offset, by Newton's method.

    The penalty covers every coefficient, so the optimum exists and is unique whatever the outcomes.
    """
    beta = np.zeros(columns.shape[1])
    ridge = penalty * np.eye(len(beta))
    value = _objective(columns, offset, up, penalty, beta)
    for _ in range(_STEPS):
        chance = expit(offset + columns @ beta)
        gradient = columns.T @ (up - chance) - penalty * beta
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns + ridge
        step = np.linalg.solve(curvature, gradient)
        # Far from the optimum a full step may overshoot; the objective is concave, so a shorter one does not.
        while (after := _objective(columns, offset, up, penalty, beta + step)) < value - _TOLERANCE:
            step = step / 2
        beta, value = beta + step, after
        if np.abs(step).max() < _TOLERANCE:
            break
    return beta


def _objective(columns: Array, offset: Array, up: Array, penalty: float, beta: Array) -> float:
    index = offset + columns @ beta
    return float(up @ index - np.logaddexp(0, index).sum() - penalty / 2 * beta @ beta)
