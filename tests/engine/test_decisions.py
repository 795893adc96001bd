from __future__ import annotations

import pytest
from attrs import evolve

from engine.decisions import Decision, Top
from engine.signals import Components, SignalType
from tests.engine.study_bench import decision


@pytest.mark.parametrize(
    ("top", "mid", "value"),
    [
        (Top(bid=0.79, ask=0.8), 0.795, 0.795),
        (Top(bid=0.92, ask=0.94), 0.93, 0.93),
        (Top(bid=0.99), None, 0.995),
        (Top(bid=0.9), None, 0.95),
        (Top(bid=0.89), None, None),
        (Top(ask=0.01), None, 0.005),
        (Top(ask=0.1), None, 0.05),
        (Top(ask=0.11), None, None),
        (Top(), None, None),
    ],
)
def test_an_empty_side_counts_as_certainty_only_where_the_other_is_near_it(
    top: Top, mid: float | None, value: float | None
) -> None:
    assert top.mid == mid
    assert top.value == value


def test_a_spread_needs_both_sides():
    assert Top(bid=0.92, ask=0.94).spread == 0.02
    assert Top(bid=0.92).spread is None


@pytest.mark.parametrize(
    ("changes", "opinion"),
    [
        ({"score": 0.3, "components": Components(momentum=0.3)}, 0.3),
        ({"score": 0.0, "components": Components(momentum=0.0)}, 0.0),
        ({"score": 0.0, "components": Components()}, None),
        ({"score": 0.4, "components": Components()}, 0.4),
        ({"score": 0.3, "signal_type": SignalType.MARKET_UNAVAILABLE}, None),
        ({"score": 0.3, "signal_type": SignalType.MARKET_CLOSED}, None),
    ],
)
def test_a_refusal_and_a_score_of_nothing_are_no_opinion(changes: dict[str, object], opinion: float | None) -> None:
    assert evolve(decision(), **changes).opinion == opinion


def test_the_probability_is_the_mid_until_there_is_evidence():
    assert evolve(decision(), mid=0.62).probability == 0.62
    assert evolve(decision(), mid=None).probability is None


def test_a_move_needs_both_ends():
    whole: Decision = evolve(decision(), mid=0.75, mid_before=0.5)
    assert whole.mid_move == 0.25
    assert evolve(whole, mid=None).mid_move is None
    assert evolve(whole, mid_before=None).mid_move is None
