"""The verdict: one sentence, and *yes*, *no* or *undetermined* (signal-definitions 5.2.10 and 5.3).

*Yes* takes evidence, on at least 2,000 held-out markets and 14 days, of one of two kinds: the score, turned into a
probability, has a lower log-loss than the mid and than the mid recalibrated; or a signal of the preset goes together
with where the price is half a minute later. Either must hold with its 95 % interval and, because a report asks many
such questions at once, with a p-value so small that all of them together are wrong in 1 % of worlds without
information. Half of that error is spent on the lines, half on the presets over all their decision times, where there
is more to see and fewer questions are asked. *No* takes the same amount of data, no evidence, and an interval that
leaves no room for a gain that matters. All else is *undetermined*, with what it would take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen

from actors.evaluation.intervals import Interval, Test
from actors.evaluation.metrics import Accuracy
from actors.evaluation.moves import Information, Move
from actors.evaluation.theory import days_of, markets_for_mean, sign_accuracy

MARKETS_NEEDED: Final = 2_000
DAYS_NEEDED: Final = 14
NOT_WORSE: Final = 0.001
"""Nats by which the upper bound of Δlog-loss may exceed 0 before p̂ counts as worse than the mid."""
RELEVANT: Final = 0.002
"""The smallest gain in nats that is worth looking for."""
RELEVANT_TICKS: Final = 1.0
"""The smallest mean move in the direction called that is worth looking for."""
FAMILY: Final = 0.01
"""How often all claims of one report together may be wrong where nothing is known."""
TRIVIAL: Final = 0.55

_FEW: Final = 30
_USUAL_DEVIATION: Final = 0.05
"""Standard deviation of per-market differences of losses to reckon with while there are too few to tell."""


class Answer(StrEnum):
    """Whether there is incremental skill."""

    YES = "yes"
    NO = "no"
    UNDETERMINED = "undetermined"


@frozen(kw_only=True)
class Gain:
    """Δ of a loss between two forecasts of the same markets, below 0 where the first is better.

    ``test`` is about its mean, ``deviation`` the standard deviation of single markets.
    """

    delta: Interval
    test: Test
    deviation: float

    def is_sure(self, significance: float) -> bool:
        """Whether the first is better, by the interval and at this one-sided significance."""
        return self.delta.high < 0 and self.test.statistic < 0 and self.test.p_value / 2 < significance


@frozen(kw_only=True)
class Evidence:
    """All that the verdict on one preset at one decision time rests on.

    ``markets`` and ``days`` are those judged; ``tested`` and ``tested_days`` those with an out-of-sample probability.
    ``against_mid`` and ``against_level`` compare the score's probability with the mid and with the mid recalibrated.
    ``move`` is the score's mean move over the primary horizon, ``moved_days`` the days of the ``informations``.
    """

    minute: float
    duration_s: float
    markets: int
    days: int
    tested: int
    tested_days: int
    score: Accuracy
    price: Accuracy
    against_mid: Gain
    against_level: Gain
    move: Move
    informations: Sequence[Information]
    monotone: bool | None


@frozen(kw_only=True)
class Verdict:
    """The answer, its sentence, why, and what it would still take (``None``: nothing, or nobody knows).

    ``trivial`` says what an accuracy is worth at this minute. ``checks`` are the criteria of signal-definitions 5.3 one
    by one, ``None`` where one cannot be said; ``not_worse_than_mid`` is about what was learned from the score, as p̂ is
    the mid.
    """

    answer: Answer
    sentence: str
    trivial: str
    because: str
    more_markets: int | None
    more_days: int | None
    checks: dict[str, bool | None]


def judge(evidence: Evidence, tests: int) -> Verdict:
    """The verdict on one line of a report whose lines ask ``tests`` questions together."""
    significance = FAMILY / 2 / max(1, tests)
    knows_outcome = evidence.against_mid.is_sure(significance) and evidence.against_level.is_sure(significance)
    knowing = [each for each in evidence.informations if knows_move(each, significance)]
    outcome_enough = enough(evidence.tested, evidence.tested_days)
    moves_enough = [each for each in knowing if enough(each.correlation.number, evidence.days)]
    answer, because = _answer(evidence, knows_outcome and outcome_enough, moves_enough, outcome_enough)
    is_open = answer is Answer.UNDETERMINED and evidence.score.calls > 0
    markets, days = still_needed(evidence) if is_open else (None, None)
    return Verdict(
        answer=answer,
        sentence=_sentence(evidence, answer),
        trivial=_trivial(evidence),
        because=because if markets is None else f"{because}; {_needs(markets, days)}",
        more_markets=markets,
        more_days=days,
        checks={
            "accuracy_above_55": _known(evidence.score.value, evidence.score.value > TRIVIAL),
            "not_worse_than_mid": _known(evidence.against_mid.delta.high, evidence.against_mid.delta.high <= NOT_WORSE),
            "knows_outcome": knows_outcome,
            "knows_moves": bool(knowing),
            "enough_data": outcome_enough,
            "confidence_monotone": evidence.monotone,
        },
    )


def judge_preset(lines: Sequence[Verdict], pooled: Sequence[Information], days: int, tests: int) -> tuple[Answer, str]:
    """The verdict on a preset over all its decision times, with the reason.

    ``pooled`` are its signals over all decision times of a market, the market being the unit; ``tests`` is how many of
    these all presets of the report have together.
    """
    significance = FAMILY / 2 / max(1, tests)
    knowing = [each for each in pooled if knows_move(each, significance) and enough(each.correlation.number, days)]
    if knowing:
        return Answer.YES, _knows(knowing)
    if not lines:
        return Answer.UNDETERMINED, "there is no market to judge by"
    order = (Answer.YES, Answer.UNDETERMINED, Answer.NO)
    first = min(lines, key=lambda line: order.index(line.answer))
    return first.answer, first.because


def knows_move(information: Information, significance: float) -> bool:
    """Whether a signal goes together with the next move: positively, by the interval and at this significance."""
    return information.correlation.low > 0 and information.test.upper_tail() < significance


def enough(markets: int, days: int) -> bool:
    """Whether there are the markets and days that a claim needs."""
    return markets >= MARKETS_NEEDED and days >= DAYS_NEEDED


def still_needed(evidence: Evidence) -> tuple[int, int]:
    """Markets and days that are missing for an answer: the protocol's least, or what a relevant gain takes to be seen.

    At 80 % power and 5 %, with the deviation seen so far, or the usual one while there are few markets.
    """
    deviation = evidence.against_mid.deviation
    if evidence.tested < _FEW or not deviation > 0:
        deviation = _USUAL_DEVIATION
    wanted = max(MARKETS_NEEDED, markets_for_mean(RELEVANT, deviation))
    markets = max(0, wanted - evidence.tested)
    days = max(DAYS_NEEDED - evidence.tested_days, days_of(markets, evidence.duration_s))
    return markets, max(0, math.ceil(days if math.isfinite(days) else DAYS_NEEDED - evidence.tested_days))


def _answer(evidence: Evidence, outcome: bool, moves: Sequence[Information], is_enough: bool) -> tuple[Answer, str]:
    """The first row that holds."""
    gain_room = -evidence.against_mid.delta.low
    move_room = evidence.move.mean + 1.96 * evidence.move.standard_error
    small = gain_room < RELEVANT and not move_room >= RELEVANT_TICKS
    rows = (
        (outcome, Answer.YES, "its probability beats the mid's, and the mid recalibrated"),
        (bool(moves), Answer.YES, _knows(moves)),
        (not evidence.score.calls, Answer.UNDETERMINED, "the score never had an opinion"),
        (not is_enough, Answer.UNDETERMINED, "too few markets or days"),
        (small, Answer.NO, "nothing found, and no room left for a gain that matters"),
    )
    undecided = (Answer.UNDETERMINED, "nothing found, but a gain that matters is not ruled out")
    return next(((answer, because) for holds, answer, because in rows if holds), undecided)


def _knows(informations: Sequence[Information]) -> str:
    named = ", ".join(f"{each.signal} (correlation {each.correlation.mean:.3f})" for each in informations)
    return f"goes together with the price's next half minute: {named}"


def _needs(markets: int, days: int | None) -> str:
    return f"needs about {markets} more held-out markets ({days} more days)"


def _sentence(evidence: Evidence, answer: Answer) -> str:
    delta = evidence.against_mid.delta
    shown = f"{delta.mean:+.4f} [{delta.low:+.4f}, {delta.high:+.4f}] ({delta.number} held out)"
    gain = "not measurable yet" if math.isnan(delta.low) else shown
    return (
        f"At minute {evidence.minute:g} accuracy {_percent(evidence.score)}; price > 0.5 gets "
        f"{_percent(evidence.price, interval=False)}; Δlog-loss against mid = {gain}, {evidence.markets} markets, "
        f"{evidence.days} {'day' if evidence.days == 1 else 'days'}; incremental skill: {answer.value}"
    )


def _trivial(evidence: Evidence) -> str:
    expected = sign_accuracy(evidence.minute * 60, evidence.duration_s) if evidence.duration_s > 0 else math.nan
    theory = "" if math.isnan(expected) else f"; in a fair market it is right {expected:.1%} of the time by now"
    return f"An accuracy above {TRIVIAL:.0%} is trivial: the price's own sign passes it without knowing more{theory}."


def _percent(measured: Accuracy, *, interval: bool = True) -> str:
    if not measured.calls:
        return "none (it never had an opinion)"
    value = f"{measured.value:.1%}"
    return f"{value} [{measured.low:.1%}, {measured.high:.1%}]" if interval else value


def _known(value: float, holds: bool) -> bool | None:
    return None if math.isnan(value) else bool(holds)
