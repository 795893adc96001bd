"""The mirror guard against the plain median, and what is a sample and what is none."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.markets import Outcome
from engine.mirror import MIRROR_SAMPLES, MIRROR_SAMPLES_NEEDED, MirrorGuard
from engine.units import PRICE_SCALE

UP, DOWN = Outcome.UP, Outcome.DOWN


def pair(guard: MirrorGuard, up_bid: int, down_bid: int) -> None:
    """Both tokens state their tops, each in its own prices, one cent wide."""
    guard.state(UP, (up_bid, up_bid + 100))
    guard.state(DOWN, (down_bid, down_bid + 100))


def test_complementary_tokens_are_never_accused() -> None:
    guard = MirrorGuard()
    for up_bid in range(100, 9800, 100):
        pair(guard, up_bid, 9900 - up_bid)
        assert not guard.off


@given(st.lists(st.sampled_from([-700, -501, -500, -300, 300, 500, 501, 700]), max_size=40))
def test_equals_the_median_of_the_last_fifteen_sums(excesses: list[int]) -> None:
    guard = MirrorGuard()
    assert (MIRROR_SAMPLES, MIRROR_SAMPLES_NEEDED) == (15, 5)
    for count, excess in enumerate(excesses, start=1):
        pair(guard, 4900 + excess, 5000)
        assert guard.off == (count >= 5 and abs(median(excesses[max(0, count - 15) : count])) > 500)


@pytest.mark.parametrize(("excess", "off"), [(500, False), (501, True), (-500, False), (-501, True)])
def test_the_bounds(excess: int, off: bool) -> None:
    guard = MirrorGuard()
    for _ in range(5):
        pair(guard, 5000, 4900 + excess)
    assert guard.off is off


def test_single_misfits_are_forgiven_and_all_is_well_again_later() -> None:
    guard = MirrorGuard()
    for number in range(15):
        pair(guard, 5000, 4900 if number % 3 else 9000)
    assert not guard.off
    for _ in range(15):
        pair(guard, 5000, 9000)
    assert guard.off
    for _ in range(8):
        pair(guard, 5000, 4900)
    assert not guard.off


def test_one_token_alone_and_undefined_tops_are_no_samples() -> None:
    guard = MirrorGuard()
    for _ in range(50):
        guard.state(UP, (9000, 9100))
        guard.state(DOWN, (None, 9100))
        guard.state(DOWN, (9100, None))
        guard.state(DOWN, (9100, 9100))
    assert not guard.off


@pytest.mark.parametrize(("top", "off"), [((0, 9000), False), ((1000, PRICE_SCALE), False), ((1, 9000), True)])
def test_a_top_at_zero_or_one_is_no_sample(top: tuple[int, int], off: bool) -> None:
    guard = MirrorGuard()
    for _ in range(5):
        guard.state(UP, top)
        guard.state(DOWN, (1, 2))
    assert guard.off is off


def test_of_what_one_token_stated_alone_the_latest_is_held_against_the_other() -> None:
    guard = MirrorGuard()
    for _ in range(5):
        guard.state(UP, (9000, 9100))
        pair(guard, 5000, 4900)
    assert not guard.off


def test_a_statement_is_half_of_one_sample_only() -> None:
    guard = MirrorGuard()
    for _ in range(4):
        pair(guard, 9000, 9000)
    for _ in range(10):
        guard.state(DOWN, (9000, 9100))
    assert not guard.off
    guard.state(UP, (9000, 9100))
    assert guard.off


def test_a_forgotten_half_is_half_of_no_sample() -> None:
    guard = MirrorGuard()
    for outcome in (UP, DOWN) * 10:
        guard.state(outcome, (9000, 9100))
        guard.forget_half()
    assert not guard.off


def test_forgetting_a_half_spares_whole_samples() -> None:
    guard = MirrorGuard()
    for _ in range(5):
        pair(guard, 9000, 9000)
        guard.forget_half()
    assert guard.off


def test_agreements_that_were_only_counted_so_far_count_at_a_look() -> None:
    guard = MirrorGuard()
    for _ in range(5):
        pair(guard, 9000, 9000)
    for agreements, off in ((4, True), (1, True), (1, False)):
        guard.agreements += agreements
        assert guard.off is off


@given(st.lists(st.sampled_from(["pair", "half", "agree", "gap", "look"]), max_size=30), st.integers(1, 20))
def test_agreements_counted_at_once_are_samples_like_all_others(script: list[str], count: int) -> None:
    at_once, one_by_one = MirrorGuard(), MirrorGuard()
    for kind in [*script, "look"]:
        for guard in (at_once, one_by_one):
            if kind == "pair":
                pair(guard, 5600, 5000)
            elif kind == "half":
                guard.state(UP, (5600, 5700))
            elif kind == "gap":
                guard.forget_half()
        if kind == "agree":
            at_once.agreements += count
            one_by_one.forget_half()
            for _ in range(count):
                pair(one_by_one, 4800, 5100)
        assert kind != "look" or at_once.off == one_by_one.off
    # Each sample that is held decides at some time while others take its place.
    for excess in (700,) * 16 + (0,) * 16:
        for guard in (at_once, one_by_one):
            guard.state(DOWN, (4900, 5000))
            guard.state(UP, (5000 + excess, 5100 + excess))
        assert at_once.off == one_by_one.off
