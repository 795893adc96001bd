"""Fusing what the markets say with what comes from elsewhere: means, penalties and their limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fusion import (
    DISAGREEMENT_FACTOR,
    MISSING_SIDE_FACTOR,
    Fusion,
    Opinion,
    agreement,
    fuse,
    weighted_confidence,
    weighted_score,
)
from engine.signals import MAX_OUTSIDE_WEIGHT, OutsideScore

scores = st.floats(-1.0, 1.0)
shares = st.floats(0.0, 1.0)
weights = st.floats(0.0, MAX_OUTSIDE_WEIGHT)
opinions = st.lists(st.builds(Opinion, score=scores, confidence=shares, weight=weights), max_size=8)
outside_scores = st.lists(
    st.builds(OutsideScore, name=st.sampled_from("abcde"), score=scores, confidence=shares, weight=weights), max_size=5
)


def opinion(score: float, confidence: float = 1.0, weight: float = 1.0) -> Opinion:
    return Opinion(score=score, confidence=confidence, weight=weight)


def outside(score: float, confidence: float = 1.0, weight: float = 1.0, name: str = "social") -> OutsideScore:
    return OutsideScore(name=name, score=score, confidence=confidence, weight=weight)


# ------------------------------------------------------------------------------------------------------------- means


@pytest.mark.parametrize(
    ("given_opinions", "score", "confidence"),
    [
        ([], None, 0.0),
        ([opinion(0.4, 0.5)], 0.4, 0.5),
        ([opinion(1.0, 0.9), opinion(-1.0, 0.3)], 0.5, 0.6),
        ([opinion(1.0, 0.5, weight=3.0), opinion(-1.0, 0.5)], 0.5, 0.5),
        ([opinion(0.0, 0.8), opinion(0.0, 0.2)], 0.0, 0.5),
    ],
)
def test_scores_weigh_by_confidence_and_weight_confidences_by_weight_alone(
    given_opinions: list[Opinion], score: float | None, confidence: float
) -> None:
    assert weighted_score(given_opinions) == pytest.approx(score)
    assert weighted_confidence(given_opinions) == pytest.approx(confidence)


@pytest.mark.parametrize("silent", [opinion(0.7, 0.0), opinion(0.7, 1.0, weight=0.0)])
def test_who_carries_no_weight_has_no_score_which_is_not_a_score_of_zero(silent: Opinion) -> None:
    assert weighted_score([silent]) is None
    assert weighted_confidence([silent]) == 0.0
    assert weighted_score([silent, opinion(0.3)]) == pytest.approx(0.3)


def test_a_neutral_score_is_zero_and_not_absent() -> None:
    assert weighted_score([opinion(0.0, 0.5)]) == 0.0


# --------------------------------------------------------------------------------------------------------- agreement


@pytest.mark.parametrize(
    ("given_opinions", "expected"),
    [
        ([opinion(0.2), opinion(0.9)], 1.0),
        ([opinion(-0.2), opinion(-0.9, 0.1)], 1.0),
        ([opinion(0.5), opinion(-0.5)], 0.0),
        ([opinion(0.6), opinion(-0.2)], 0.5),
        ([opinion(0.6), opinion(0.0), opinion(-0.2)], 0.5),
        ([], None),
        ([opinion(0.0), opinion(0.0)], None),
        ([opinion(0.6, 0.0)], None),
    ],
)
def test_agreement(given_opinions: list[Opinion], expected: float | None) -> None:
    assert agreement(given_opinions) == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------------------- fusion


def test_two_sides_that_agree_are_not_penalised() -> None:
    fused = fuse(opinion(0.5, 0.8), [outside(0.2, 0.4)])
    assert fused == Fusion(
        score=pytest.approx((0.8 * 0.5 + 0.4 * 0.2) / 1.2),
        confidence=pytest.approx(0.6),
        missing_side=False,
        disagreement=False,
    )


def test_no_outside_score_is_a_missing_side() -> None:
    fused = fuse(opinion(0.5, 0.8), [])
    assert (fused.score, fused.missing_side) == (0.5, True)
    assert fused.confidence == pytest.approx(0.8 * MISSING_SIDE_FACTOR)


def test_no_market_is_a_missing_side() -> None:
    fused = fuse(None, [outside(-0.4, 0.5)])
    assert (fused.score, fused.missing_side, fused.disagreement) == (-0.4, True, False)
    assert fused.confidence == pytest.approx(0.5 * MISSING_SIDE_FACTOR)


def test_nobody_at_all_is_no_score() -> None:
    assert fuse(None, []) == Fusion(score=None, confidence=0.0, missing_side=True, disagreement=False)


@pytest.mark.parametrize(("expected", "missing"), [((), False), (("a",), False), (("a", "b"), True), (("b",), True)])
def test_any_expected_outside_score_that_is_not_there_makes_a_missing_side(
    expected: tuple[str, ...], missing: bool
) -> None:
    fused = fuse(opinion(0.5, 0.8), [outside(0.5, 0.8, name="a")], expected)
    assert fused.missing_side is missing
    assert fused.confidence == pytest.approx(0.8 * (MISSING_SIDE_FACTOR if missing else 1.0))


@pytest.mark.parametrize(
    ("market", "other", "disagree"),
    [
        (0.11, -0.11, True),
        (-1.0, 1.0, True),
        (0.1, -1.0, False),
        (1.0, -0.1, False),
        (0.5, 0.0, False),
        (0.5, 0.5, False),
    ],
)
def test_disagreement_halves_and_begins_strictly_beyond_the_neutral_band(
    market: float, other: float, disagree: bool
) -> None:
    fused = fuse(opinion(market, 0.8), [outside(other, 0.8)])
    assert fused.disagreement is disagree
    assert fused.confidence == pytest.approx(0.8 * (DISAGREEMENT_FACTOR if disagree else 1.0))


def test_the_outside_side_is_judged_as_a_whole() -> None:
    fused = fuse(opinion(0.5), [outside(-0.9, 1.0, 0.1, "a"), outside(0.9, 1.0, 1.0, "b")])
    assert not fused.disagreement


def test_an_outside_side_without_weight_cannot_disagree() -> None:
    fused = fuse(opinion(0.5, 0.8), [outside(-0.9, 0.0)])
    assert (fused.score, fused.disagreement) == (0.5, False)
    assert fused.confidence == pytest.approx(0.4)


# --------------------------------------------------------------------------------------------------------- properties


@given(opinions)
def test_no_mean_ever_leaves_its_range(given_opinions: list[Opinion]) -> None:
    score, unity = weighted_score(given_opinions), agreement(given_opinions)
    assert score is None or -1.0 <= score <= 1.0
    assert 0.0 <= weighted_confidence(given_opinions) <= 1.0
    assert unity is None or 0.0 <= unity <= 1.0


@given(st.lists(shares.filter(bool), min_size=1, max_size=40), scores)
def test_the_mean_of_one_score_is_that_score_whatever_rounding_does(confidences: list[float], score: float) -> None:
    alike = [opinion(score, confidence) for confidence in confidences]
    assert weighted_score(alike) == score
    assert (agreement(alike) or 0.0) <= 1.0


@given(st.none() | st.builds(Opinion, score=scores, confidence=shares), outside_scores, st.sets(st.sampled_from("abx")))
def test_a_fusion_is_finite_in_range_and_never_surer_than_its_surest_side(
    market: Opinion | None, others: list[OutsideScore], expected: set[str]
) -> None:
    fused = fuse(market, others, expected)
    sure = [it.confidence for it in others] + ([] if market is None else [market.confidence])
    assert fused.score is None or (math.isfinite(fused.score) and -1.0 <= fused.score <= 1.0)
    assert 0.0 <= fused.confidence <= max(sure, default=0.0) + 1e-12
    factor = (MISSING_SIDE_FACTOR if fused.missing_side else 1.0) * (DISAGREEMENT_FACTOR if fused.disagreement else 1.0)
    sides = [*([] if market is None else [market]), *(opinion(it.score, it.confidence, it.weight) for it in others)]
    assert fused.confidence == pytest.approx(weighted_confidence(sides) * factor)


@given(opinions)
def test_the_mirror_of_all_opinions_is_the_mirror_of_the_mean(given_opinions: list[Opinion]) -> None:
    mirrored = [opinion(-it.score, it.confidence, it.weight) for it in given_opinions]
    score = weighted_score(given_opinions)
    assert weighted_score(mirrored) == (None if score is None else -score)
    assert agreement(mirrored) == agreement(given_opinions)
