from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from actors.evaluation.intervals import Interval, Test
from actors.evaluation.metrics import Accuracy, accuracy
from actors.evaluation.moves import Information, Move
from actors.evaluation.verdict import Answer, Evidence, Gain, judge, judge_preset, still_needed

NAN = math.nan


def calls(share: float, number: int = 3000) -> Accuracy:
    up = np.ones(number)
    return accuracy(np.where(np.arange(number) < round(share * number), 1.0, -1.0), up)


def gain(mean: float, half: float, p_value: float = 0.5, deviation: float = 0.03, number: int = 2_900) -> Gain:
    return Gain(
        delta=Interval(mean=mean, low=mean - half, high=mean + half, number=number),
        test=Test(statistic=math.copysign(1.0, mean), p_value=p_value),
        deviation=deviation,
    )


def knows(mean: float, half: float, p_value: float, number: int = 3_000, signal: str = "volume_flow") -> Information:
    return Information(
        signal=signal,
        correlation=Interval(mean=mean, low=mean - half, high=mean + half, number=number),
        test=Test(statistic=math.copysign(1.0, mean), p_value=p_value),
    )


USELESS = Evidence(
    minute=2.0,
    duration_s=900.0,
    markets=3_000,
    days=32,
    tested=2_900,
    tested_days=31,
    score=calls(0.59),
    price=calls(0.619),
    against_mid=gain(0.0003, 0.0006),
    against_level=gain(0.0002, 0.0005),
    move=Move(horizon_s=30.0, mean=0.05, standard_error=0.2, test=Test(statistic=0.25, p_value=0.8), number=3_000),
    informations=(knows(0.01, 0.03, 0.5),),
    monotone=False,
)

SURE = gain(-0.004, 0.002, p_value=1e-6)


def answer(**changes: Any) -> Answer:
    return judge(evolve(USELESS, **changes), tests=10).answer


def test_enough_data_and_nothing_found_is_no():
    told = judge(USELESS, tests=10)
    assert told.answer is Answer.NO
    assert (told.more_markets, told.more_days) == (None, None)
    assert told.sentence == (
        "At minute 2 accuracy 59.0% [57.2%, 60.7%]; price > 0.5 gets 61.9%; Δlog-loss against mid = +0.0003 "
        "[-0.0003, +0.0009] (2900 held out), 3000 markets, 32 days; incremental skill: no"
    )


def test_a_lower_loss_than_mid_and_level_is_yes():
    told = judge(evolve(USELESS, against_mid=SURE, against_level=SURE), tests=10)
    assert told.answer is Answer.YES
    assert "beats the mid" in told.because
    assert told.checks["knows_outcome"] is True


@pytest.mark.parametrize(
    "changes",
    [
        {"against_mid": SURE},  # the mid was off, and recalibrating it does as well
        {"against_level": SURE},
        {"against_mid": gain(-0.004, 0.005, p_value=1e-6), "against_level": SURE},  # an interval that reaches 0
        {"against_mid": SURE, "against_level": gain(-0.004, 0.002, p_value=0.01)},  # one of ten tests may do that
        {"against_mid": SURE, "against_level": SURE, "tested": 1_999},
        {"against_mid": SURE, "against_level": SURE, "tested_days": 13},
        {"informations": (knows(-0.2, 0.05, 1e-9),)},  # surely, but the wrong way round
        {"informations": (knows(0.1, 0.05, 0.01),)},
        {"informations": (knows(0.1, 0.05, 1e-6, number=1_999),)},
        {"informations": (knows(0.1, 0.05, 1e-6),), "days": 13},
        {"against_mid": gain(NAN, NAN, NAN, NAN, 0), "against_level": gain(NAN, NAN, NAN, NAN, 0), "tested": 0},
    ],
)
def test_anything_less_is_not_yes(changes: dict[str, Any]) -> None:
    assert answer(**changes) is not Answer.YES


def test_going_together_with_the_next_half_minute_is_yes():
    told = judge(evolve(USELESS, informations=(knows(0.1, 0.03, 1e-6), knows(0.0, 0.1, 0.9, signal="score"))), tests=10)
    assert told.answer is Answer.YES
    assert told.because.endswith("volume_flow (correlation 0.100)")


def test_the_more_is_asked_the_surer_it_must_be():
    found = evolve(USELESS, informations=(knows(0.1, 0.03, 5e-4),))
    assert judge(found, tests=10).answer is Answer.YES
    assert judge(found, tests=100).answer is not Answer.YES


def test_too_few_markets_or_days_are_undetermined_with_what_is_missing():
    told = judge(evolve(USELESS, markets=600, days=7, tested=504, tested_days=6), tests=10)
    assert told.answer is Answer.UNDETERMINED
    assert told.more_markets == 2_000 - 504
    assert told.more_days == math.ceil(1_496 / 96)
    assert "needs about 1496 more held-out markets (16 more days)" in told.because


def test_days_may_be_what_is_missing():
    busy = evolve(USELESS, duration_s=300.0, tested=2_500, tested_days=9)
    assert still_needed(busy) == (0, 5)


def test_without_experience_the_usual_deviation_is_reckoned_with():
    young = evolve(USELESS, tested=10, tested_days=1, against_mid=gain(0.1, 0.2, deviation=0.5, number=10))
    markets, days = still_needed(young)
    assert markets == 4_906 - 10
    assert days == 51


def test_an_unknown_length_of_the_slot_leaves_the_days():
    assert still_needed(evolve(USELESS, duration_s=NAN, tested=10, tested_days=1))[1] == 13


@pytest.mark.parametrize(
    "changes",
    [
        {"against_mid": gain(0.0, 0.003)},
        {"move": Move(horizon_s=30.0, mean=0.5, standard_error=0.5, test=Test(statistic=1, p_value=0.3), number=3_000)},
    ],
)
def test_room_for_a_gain_that_matters_is_undetermined(changes: dict[str, Any]) -> None:
    told = judge(evolve(USELESS, **changes), tests=10)
    assert told.answer is Answer.UNDETERMINED
    assert "not ruled out" in told.because


def test_a_score_without_an_opinion_cannot_be_judged():
    told = judge(evolve(USELESS, score=calls(0.0, 0)), tests=10)
    assert told.answer is Answer.UNDETERMINED
    assert (told.because, told.more_markets) == ("the score never had an opinion", None)
    assert "accuracy none (it never had an opinion)" in told.sentence


def test_what_cannot_be_measured_is_not_made_up():
    nothing = gain(NAN, NAN, NAN, NAN, 0)
    told = judge(evolve(USELESS, against_mid=nothing, against_level=nothing, tested=0, tested_days=0, days=1), tests=1)
    assert "Δlog-loss against mid = not measurable yet" in told.sentence
    assert "1 day;" in told.sentence
    assert told.checks["not_worse_than_mid"] is None


def test_the_criteria_one_by_one():
    told = judge(USELESS, tests=10)
    assert told.checks == {
        "accuracy_above_55": True,
        "not_worse_than_mid": True,
        "knows_outcome": False,
        "knows_moves": False,
        "enough_data": True,
        "confidence_monotone": False,
    }
    assert judge(evolve(USELESS, against_mid=gain(0.001, 0.0001)), tests=10).checks["not_worse_than_mid"] is False


def test_fifty_five_percent_is_called_trivial():
    assert "61.9%" in judge(USELESS, tests=1).trivial
    assert "trivial" in judge(evolve(USELESS, duration_s=NAN), tests=1).trivial


def test_a_preset_is_judged_over_all_its_times():
    no = judge(USELESS, tests=10)
    open_ = judge(evolve(USELESS, tested=10), tests=10)
    yes = judge(evolve(USELESS, against_mid=SURE, against_level=SURE), tests=10)
    nothing = (knows(0.0, 0.1, 0.9),)
    assert judge_preset([no, no], nothing, 32, 10)[0] is Answer.NO
    assert judge_preset([no, open_], nothing, 32, 10)[0] is Answer.UNDETERMINED
    assert judge_preset([no, open_, yes], nothing, 32, 10)[0] is Answer.YES
    assert judge_preset([no, no], (knows(0.1, 0.03, 1e-6),), 32, 10)[0] is Answer.YES
    assert judge_preset([no, no], (knows(0.1, 0.03, 1e-6),), 13, 10)[0] is Answer.NO
    assert judge_preset([], (), 0, 10)[0] is Answer.UNDETERMINED
