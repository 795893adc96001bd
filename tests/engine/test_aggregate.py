"""Aggregates: which markets count, what absence means, and that every deadline closes once, in order, in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.aggregate import OUTSIDE_KEPT, Aggregator, combine
from engine.envelope import envelope_line
from engine.markets import MarketPhase
from engine.settings import AggregateSettings
from engine.signals import (
    AggregateSignal,
    Components,
    MarketSignals,
    OutsideScore,
    PresetStamp,
    Quality,
    Quote,
    SignalType,
    WindowProof,
)
from engine.units import NS_PER_S

CADENCE_S = 5
SETTINGS = AggregateSettings(grace_s=1.0, outside_max_age_s=10.0)
NEUTRAL = MarketSignals(
    as_of_ns=5 * NS_PER_S,
    target="a",
    underlying="BTC",
    series="btc-15m",
    slug="a",
    condition_id="0x" + "ab" * 32,
    yes_asset_id="1",
    no_asset_id="2",
    phase=MarketPhase.OPEN,
    score=0.0,
    confidence=0.0,
    confidence_seed=0.0,
    signal_type=SignalType.MARKET_UNAVAILABLE,
    reason="no_data",
    components=Components(),
    window=WindowProof(start_ns=0, end_ns=5 * NS_PER_S, coverage=0.0),
    quality=Quality(),
    market=Quote(),
    preset=PresetStamp(name="seed", version="1", config_hash="0" * 16),
)


def says(target: str, score: float = 0.5, confidence: float = 0.5, *, at_s: float = 5) -> MarketSignals:
    """An open market with something to say."""
    return evolve(
        NEUTRAL,
        target=target,
        as_of_ns=round(at_s * NS_PER_S),
        score=score,
        confidence=confidence,
        signal_type=SignalType.WEAK_NEUTRAL,
        reason=None,
        components=Components(momentum=score),
    )


def silent(target: str, *, at_s: float = 5) -> MarketSignals:
    """An open market that is unavailable."""
    return evolve(NEUTRAL, target=target, as_of_ns=round(at_s * NS_PER_S))


def in_phase(target: str, phase: MarketPhase) -> MarketSignals:
    return evolve(says(target), phase=phase)


def outside(at_s: float, score: float = 0.5, name: str = "social") -> OutsideScore:
    return OutsideScore(name=name, score=score, confidence=0.9, at_ns=round(at_s * NS_PER_S))


def together(*signals: MarketSignals) -> AggregateSignal:
    return combine("BTC", 5 * NS_PER_S, signals)


def when(aggregates: Sequence[AggregateSignal]) -> list[float]:
    return [it.as_of_ns / NS_PER_S for it in aggregates]


def of_two(settings: AggregateSettings = SETTINGS) -> Aggregator:
    """An aggregator that follows a and b from the first deadline on."""
    aggregator = Aggregator("BTC", settings)
    for target in ("a", "b"):
        aggregator.follow(target, CADENCE_S * NS_PER_S)
    return aggregator


# ------------------------------------------------------------------------------------------------------------ combine


def test_the_score_is_weighted_by_confidence_and_the_confidence_is_the_mean() -> None:
    signal = together(says("a", 1.0, 0.9), says("b", -1.0, 0.3))
    assert signal.score == pytest.approx(0.5)
    assert signal.confidence == pytest.approx(0.6)
    assert signal.agreement == pytest.approx(0.5)
    assert (signal.fused_score, signal.fused_confidence) == (signal.score, signal.confidence)
    assert (signal.markets_open, signal.markets_scored) == (2, 2)
    assert [(it.target, it.score, it.weight) for it in signal.contributions] == [
        ("a", 1.0, pytest.approx(0.75)),
        ("b", -1.0, pytest.approx(0.25)),
    ]


def test_a_silent_market_is_no_zero_in_the_score_but_weakens_the_confidence() -> None:
    alone, joined = together(says("a", 0.8, 0.6)), together(says("a", 0.8, 0.6), silent("b"))
    assert joined.score == alone.score == pytest.approx(0.8)
    assert joined.agreement == alone.agreement == 1.0
    assert joined.confidence == pytest.approx(alone.confidence / 2)
    assert (joined.markets_open, joined.markets_scored) == (2, 1)
    assert [(it.target, it.score, it.weight) for it in joined.contributions] == [("a", 0.8, 1.0), ("b", None, 0.0)]


def test_a_market_without_components_is_as_silent_as_an_unavailable_one() -> None:
    quiet = evolve(says("b", 0.0, 0.5), components=Components())
    signal = together(says("a", 0.8, 0.6), quiet)
    assert signal.score == pytest.approx(0.8)
    assert signal.confidence == pytest.approx(0.3)
    assert signal.contributions[1].score is None


def test_a_component_of_zero_is_something_to_say() -> None:
    signal = together(says("a", 0.8, 0.5), says("b", 0.0, 0.5))
    assert signal.score == pytest.approx(0.4)
    assert signal.contributions[1].score == 0.0
    assert together(says("a", 0.0, 0.5)).score == 0.0


@pytest.mark.parametrize("signals", [(), (silent("a"), silent("b"))])
def test_nobody_with_anything_to_say_is_no_score(signals: tuple[MarketSignals, ...]) -> None:
    signal = together(*signals)
    assert (signal.score, signal.agreement, signal.fused_score) == (None, None, None)
    assert (signal.confidence, signal.fused_confidence, signal.markets_scored) == (0.0, 0.0, 0)
    assert signal.markets_open == len(signals)


def test_a_score_without_any_confidence_is_shown_but_carries_nothing() -> None:
    signal = together(says("a", 0.8, 0.0))
    assert (signal.score, signal.agreement, signal.markets_scored) == (None, None, 1)
    assert [(it.score, it.weight) for it in signal.contributions] == [(0.8, 0.0)]


def test_neutral_markets_have_a_score_and_no_agreement() -> None:
    signal = together(says("a", 0.0), says("b", 0.0))
    assert (signal.score, signal.agreement) == (0.0, None)


@pytest.mark.parametrize("phase", [MarketPhase.PENDING, MarketPhase.CLOSED, MarketPhase.RESOLVED])
def test_only_open_markets_count(phase: MarketPhase) -> None:
    signal = together(says("a", 0.8, 0.6), in_phase("b", phase))
    assert signal == together(says("a", 0.8, 0.6))
    assert [it.target for it in signal.contributions] == ["a"]


def test_a_closed_market_that_claims_to_be_open_is_silent() -> None:
    closed = evolve(silent("b"), signal_type=SignalType.MARKET_CLOSED, components=Components(momentum=1.0))
    assert together(says("a", 0.8, 0.6), closed).score == pytest.approx(0.8)


def test_a_contribution_says_where_it_comes_from() -> None:
    [contribution] = together(says("a", 0.8, 0.6)).contributions
    assert (contribution.series, contribution.phase) == ("btc-15m", MarketPhase.OPEN)
    assert (contribution.condition_id, contribution.signal_type) == (NEUTRAL.condition_id, SignalType.WEAK_NEUTRAL)
    assert contribution.confidence == 0.6


def test_outside_scores_are_fused_in_and_listed_by_name() -> None:
    scores = [outside(4, 0.1, "news"), outside(4, 0.9, "forum")]
    signal = combine("BTC", 5 * NS_PER_S, [says("a", 0.5, 0.6)], outside=scores)
    assert [it.name for it in signal.outside] == ["forum", "news"]
    assert signal.score == pytest.approx(0.5)
    assert signal.fused_score == pytest.approx((0.6 * 0.5 + 0.9 * 0.1 + 0.9 * 0.9) / 2.4)
    assert signal.fused_confidence == pytest.approx(0.8)


def test_an_expected_outside_score_that_is_missing_costs_confidence_alone() -> None:
    signal = combine("BTC", 5 * NS_PER_S, [says("a", 0.5, 0.6)], expected=("social",))
    assert signal.fused_score == signal.score
    assert signal.confidence == pytest.approx(0.6)
    assert signal.fused_confidence == pytest.approx(0.42)


def test_an_outside_score_alone_does_not_pass_for_the_markets() -> None:
    signal = combine("BTC", 5 * NS_PER_S, [silent("a")], outside=[outside(4, 0.5)])
    assert (signal.score, signal.confidence, signal.fused_score) == (None, 0.0, 0.5)
    assert signal.fused_confidence == pytest.approx(0.63)


scored = st.builds(says, st.sampled_from("abcdef"), st.floats(-1, 1), st.floats(0, 1))
anything = st.one_of(
    scored,
    st.builds(silent, st.sampled_from("abcdef")),
    st.builds(in_phase, st.sampled_from("abcdef"), st.sampled_from(MarketPhase)),
)
sets_of_signals = st.lists(anything, max_size=6, unique_by=lambda it: it.target)


@given(sets_of_signals, st.randoms(use_true_random=False), st.lists(st.sampled_from("xyz"), unique=True))
def test_the_order_of_arrival_changes_no_byte(
    signals: list[MarketSignals], order: Sequence[object], missing: list[str]
) -> None:
    shuffled = signals.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    scores = [outside(4, 0.1, "news"), outside(4, 0.9, "forum")]
    one = combine("BTC", 5 * NS_PER_S, signals, outside=scores, missing=missing)
    other = combine("BTC", 5 * NS_PER_S, shuffled, outside=scores[::-1], missing=missing[::-1])
    assert envelope_line(one) == envelope_line(other)


@given(sets_of_signals, st.lists(st.builds(outside, st.just(4.0), st.floats(-1, 1), st.sampled_from("xy")), max_size=2))
def test_every_number_is_finite_and_in_range_and_absent_is_never_zero(
    signals: list[MarketSignals], scores: list[OutsideScore]
) -> None:
    signal = combine("BTC", 5 * NS_PER_S, signals, outside=scores, expected=("x",))
    for score in (signal.score, signal.fused_score):
        assert score is None or (math.isfinite(score) and -1.0 <= score <= 1.0)
    for share in (signal.confidence, signal.fused_confidence, *(it.weight for it in signal.contributions)):
        assert 0.0 <= share <= 1.0
    assert signal.agreement is None or 0.0 <= signal.agreement <= 1.0
    voices = [it for it in signals if it.phase is MarketPhase.OPEN and it.components_present and it.reason is None]
    assert (signal.score is None) == (sum(it.confidence for it in voices) == 0.0)
    assert [it.target for it in signal.contributions if it.score is not None] == sorted(it.target for it in voices)
    weight = sum(it.weight for it in signal.contributions)
    assert weight == pytest.approx(0.0 if signal.score is None else 1.0)


# --------------------------------------------------------------------------------------------------- closing deadlines


def test_a_deadline_closes_with_the_last_market_of_it() -> None:
    aggregator = of_two()
    assert aggregator.receive(says("a")) == []
    assert aggregator.next_deadline() == 6 * NS_PER_S
    [signal] = aggregator.receive(says("b"))
    assert signal == together(says("a"), says("b"))
    assert aggregator.next_deadline() is None
    assert aggregator.advance(100 * NS_PER_S) == []


def test_after_its_grace_a_deadline_closes_without_the_missing() -> None:
    aggregator = of_two()
    aggregator.receive(says("a"))
    assert aggregator.advance(6 * NS_PER_S - 1) == []
    [signal] = aggregator.advance(6 * NS_PER_S)
    assert (signal.missing, signal.markets_open) == (("b",), 1)
    assert aggregator.receive(silent("b")) == []
    assert aggregator.late == 1
    assert aggregator.next_deadline() is None


def test_deadlines_close_in_order_even_if_a_later_one_is_complete_first() -> None:
    aggregator = of_two()
    aggregator.receive(says("a"))
    assert aggregator.receive(says("a", at_s=10)) == []
    assert aggregator.receive(says("b", at_s=10)) == [], "5 s is still waiting for b"
    assert when(aggregator.receive(says("b"))) == [5, 10]


def test_what_waited_for_a_deadline_out_of_grace_closes_with_it() -> None:
    aggregator = of_two(evolve(SETTINGS, grace_s=20.0))
    aggregator.receive(says("a"))
    for target in ("a", "b"):
        aggregator.receive(says(target, at_s=10))
    assert when(aggregator.advance(24 * NS_PER_S)) == []
    closed = aggregator.advance(25 * NS_PER_S)
    assert when(closed) == [5, 10], "10 s is complete, and nothing is left to wait for"
    assert [it.missing for it in closed] == [("b",), ()]


def test_a_target_is_expected_from_its_first_deadline_on() -> None:
    aggregator = of_two()
    aggregator.follow("c", 10 * NS_PER_S)
    aggregator.receive(says("a"))
    assert when(aggregator.receive(says("b"))) == [5]
    aggregator.receive(says("a", at_s=10))
    assert aggregator.receive(says("b", at_s=10)) == []
    assert when(aggregator.receive(silent("c", at_s=10))) == [10]


def test_who_is_let_go_in_the_middle_is_not_waited_for_but_was_heard() -> None:
    aggregator = of_two()
    aggregator.receive(says("a", 0.8))
    aggregator.unfollow("b")
    aggregator.unfollow("nobody")
    [signal] = aggregator.settle()
    assert (signal.missing, signal.markets_open) == ((), 1)
    aggregator.follow("b", 10 * NS_PER_S)
    aggregator.receive(says("b", 0.2, at_s=10))
    aggregator.unfollow("b")
    [signal] = aggregator.receive(says("a", 0.8, at_s=10))
    assert [it.target for it in signal.contributions] == ["a", "b"]


def test_who_was_heard_and_let_go_does_not_stand_in_for_who_is_missing() -> None:
    aggregator = of_two()
    aggregator.follow("c", 5 * NS_PER_S)
    assert aggregator.receive(says("a")) == []
    aggregator.unfollow("a")
    # Two have spoken and two are expected, but not the same two.
    assert aggregator.receive(says("b")) == []
    (aggregate,) = aggregator.receive(says("c"))
    assert [it.target for it in aggregate.contributions] == ["a", "b", "c"]


def test_whoever_joins_later_is_not_waited_for_at_an_earlier_deadline() -> None:
    aggregator = of_two()
    aggregator.follow("c", 10 * NS_PER_S)
    aggregator.receive(says("a"))
    assert when(aggregator.receive(says("b"))) == [5.0]


def test_with_everybody_let_go_what_is_open_closes_as_it_is() -> None:
    aggregator = of_two()
    aggregator.receive(says("a"))
    aggregator.receive(says("a", at_s=10))
    aggregator.unfollow_all()
    closed = aggregator.settle()
    assert when(closed) == [5, 10]
    assert [it.missing for it in closed] == [(), ()]


def test_a_signal_of_a_closed_deadline_is_counted_and_opens_nothing() -> None:
    aggregator = of_two()
    for target in ("a", "b"):
        aggregator.receive(says(target, at_s=10))
    assert aggregator.receive(says("a", at_s=5)) == aggregator.receive(says("a", at_s=10)) == []
    assert aggregator.late == 2
    assert aggregator.next_deadline() is None


# ------------------------------------------------------------------------------------------------------------- outside


def outside_of(aggregator: Aggregator, at_s: float) -> list[float]:
    aggregator.receive(says("a", at_s=at_s))
    [signal] = aggregator.receive(says("b", at_s=at_s))
    return [it.score for it in signal.outside]


def test_an_outside_score_holds_from_after_its_time_until_it_is_too_old() -> None:
    aggregator = of_two()
    aggregator.offer(outside(5, 0.3))
    assert [outside_of(aggregator, at_s) for at_s in (5, 10, 15, 20)] == [[], [0.3], [0.3], []]


def test_a_newer_outside_score_does_not_take_the_older_one_from_an_open_deadline() -> None:
    aggregator = of_two()
    aggregator.offer(outside(4, 0.3))
    aggregator.receive(says("a"))
    aggregator.offer(outside(5.5, 0.7))
    [signal] = aggregator.receive(says("b"))
    assert [it.score for it in signal.outside] == [0.3]
    assert outside_of(aggregator, 10) == [0.7]


def test_the_order_in_which_outside_scores_come_in_is_no_matter() -> None:
    aggregator = of_two()
    for at_s, score in ((8, 0.8), (3, 0.3), (6, 0.6)):
        aggregator.offer(outside(at_s, score))
    aggregator.offer(outside(3, 0.1, "other"))
    assert outside_of(aggregator, 5) == [0.1, 0.3]
    assert outside_of(aggregator, 10) == [0.1, 0.8]


def test_of_two_outside_scores_of_one_time_the_later_offered_holds() -> None:
    aggregator = of_two()
    for score in (0.3, 0.7):
        aggregator.offer(outside(4, score))
    assert outside_of(aggregator, 5) == [0.7]


def test_outside_scores_are_forgotten_once_no_deadline_can_ask_for_them() -> None:
    aggregator = of_two()
    for second in range(1, 100_000):
        aggregator.offer(outside(second / 1000, 0.5))
    [kept] = aggregator._outside.values()
    assert len(kept) == OUTSIDE_KEPT
    for target in ("a", "b"):
        aggregator.receive(says(target, at_s=100))
    aggregator.offer(outside(100.5, 0.7))
    assert [it.at_ns for it in kept] == [99_999_000_000, 100_500_000_000]


def test_all_of_several_expected_outside_scores_are_needed() -> None:
    aggregator = of_two(evolve(SETTINGS, outside=("news", "forum")))
    aggregator.offer(outside(4, 0.5, "news"))
    aggregator.receive(says("a", 0.5, 0.9))
    [signal] = aggregator.receive(says("b", 0.5, 0.9))
    assert signal.fused_confidence == pytest.approx(0.9 * 0.7)
    aggregator.offer(outside(6, 0.5, "forum"))
    aggregator.receive(says("a", 0.5, 0.9, at_s=10))
    [signal] = aggregator.receive(says("b", 0.5, 0.9, at_s=10))
    assert signal.fused_confidence == pytest.approx(0.9)


# --------------------------------------------------------------------------------------------------------- properties

targets = st.sampled_from("abcd")
deadlines = st.integers(1, 6)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("follow"), targets, deadlines),
        st.tuples(st.just("unfollow"), targets, deadlines),
        st.tuples(st.just("hear"), targets, deadlines),
        st.tuples(st.just("wait"), targets, deadlines),
    ),
    max_size=80,
)


@given(steps)
def test_every_deadline_that_was_heard_of_closes_exactly_once_and_in_order(script: list[tuple[str, str, int]]) -> None:
    aggregator = Aggregator("BTC", SETTINGS)
    closed: list[AggregateSignal] = []
    heard: dict[int, set[str]] = {}
    late = 0
    for what, target, number in script:
        as_of_ns = number * CADENCE_S * NS_PER_S
        if what == "follow":
            aggregator.follow(target, as_of_ns)
        elif what == "unfollow":
            aggregator.unfollow(target)
            closed += aggregator.settle()
        elif what == "wait":
            closed += aggregator.advance(as_of_ns + NS_PER_S)
        else:
            if closed and as_of_ns <= closed[-1].as_of_ns:
                late += 1
            else:
                heard.setdefault(as_of_ns, set()).add(target)
            closed += aggregator.receive(says(target, at_s=number * CADENCE_S))
    due_ns = aggregator.next_deadline()
    while due_ns is not None:
        closed += aggregator.advance(due_ns)
        previous_ns, due_ns = due_ns, aggregator.next_deadline()
        assert due_ns is None or due_ns > previous_ns
    assert [it.as_of_ns for it in closed] == sorted(heard)
    assert aggregator.late == late
    for signal in closed:
        assert {it.target for it in signal.contributions} == heard[signal.as_of_ns]
        assert heard[signal.as_of_ns].isdisjoint(signal.missing)


@given(
    st.lists(
        st.tuples(targets, deadlines, st.floats(-1, 1), st.floats(0, 1)), unique_by=lambda it: it[:2], max_size=24
    ),
    st.randoms(use_true_random=False),
)
def test_aggregates_do_not_depend_on_the_order_of_arrival(
    said: list[tuple[str, int, float, float]], order: Sequence[object]
) -> None:
    signals = [says(target, score, sure, at_s=number * CADENCE_S) for target, number, score, sure in said]
    lines = []
    for _ in range(3):
        order.shuffle(signals)  # type: ignore[attr-defined]
        # Somebody who never speaks keeps every deadline open until its grace is over.
        aggregator = Aggregator("BTC", SETTINGS)
        for target in "abcde":
            aggregator.follow(target, CADENCE_S * NS_PER_S)
        early = [it for signal in signals for it in aggregator.receive(signal)]
        assert early == []
        lines.append([envelope_line(it) for it in aggregator.advance(1000 * NS_PER_S)])
    assert lines[0] == lines[1] == lines[2]
