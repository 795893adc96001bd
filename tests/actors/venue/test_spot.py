from itertools import pairwise
from statistics import fmean

import pytest

from actors.venue.spot import PIN_S, SpotPath, fair_up, gaussian, normal_cdf, uniform

S = 1_000_000_000


def test_the_path_is_a_function_of_time_in_whatever_order_it_is_asked() -> None:
    times = [1_790_994_600 * S + step * 7_919 * S + step for step in range(-50, 50)]
    forward = [SpotPath(7, "BTC").at(at) for at in times]
    path = SpotPath(7, "BTC")
    assert [path.at(at) for at in reversed(times)] == forward[::-1]
    assert [path.at(at) for at in times] == forward
    assert [SpotPath(8, "BTC").at(at) for at in times] != forward
    assert [SpotPath(7, "ETH").at(at) for at in times] != forward


@pytest.mark.untraced
def test_it_forgets_what_it_can_make_again() -> None:
    path = SpotPath(7, "BTC")
    first = [path.at(1_790_994_600 * S + second * S) for second in range(100)]
    for second in range(40_000):
        path.at((1_600_000_000 + 997 * second) * S)
    assert [path.at(1_790_994_600 * S + second * S) for second in range(100)] == first


@pytest.mark.parametrize("step_s", [1, 60, 3_600])
def test_increments_have_the_variance_of_their_length(step_s: int) -> None:
    path = SpotPath(3, "BTC")
    points = [path.at((1_790_000_000 + index * step_s) * S) for index in range(2_001)]
    assert fmean((after - before) ** 2 for before, after in pairwise(points)) / step_s == pytest.approx(1.0, abs=0.12)


def test_it_is_continuous_over_pins_and_works_for_every_year() -> None:
    path = SpotPath(7, "BTC")
    for pin in (0, 1_000, 1_686, 1_700, 3_000):
        around = [path.at((pin * PIN_S + second) * S) for second in (0, 1, 2)]
        assert all(abs(after - before) < 6.0 for before, after in pairwise(around))
    assert path.price(1_767_225_600 * S) == pytest.approx(78_000, rel=0.5)


def test_it_is_a_straight_line_within_a_second() -> None:
    path = SpotPath(7, "BTC")
    at = 1_790_994_600 * S
    assert path.at(at + S // 2) == pytest.approx((path.at(at) + path.at(at + S)) / 2)


class Flat(SpotPath):
    """A price that never moves."""

    def at(self, at_ns: int) -> float:
        return 1.0


def test_a_tie_is_up_and_the_start_is_a_coin() -> None:
    assert fair_up(Flat(1, "BTC"), 0, 300 * S, 300 * S) == 1.0
    assert fair_up(SpotPath(7, "BTC"), 1_000 * S, 1_300 * S, 900 * S) == 0.5


def test_the_fair_price_is_calibrated() -> None:
    path, length = SpotPath(11, "BTC"), 300 * S
    starts = [1_790_000_100 * S + index * length for index in range(1_500)]
    fair = [fair_up(path, start, start + length, start + 150 * S) for start in starts]
    won = [fair_up(path, start, start + length, start + length) for start in starts]
    assert set(won) == {0.0, 1.0}
    for low, high in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)):
        pairs = [(chance, outcome) for chance, outcome in zip(fair, won, strict=True) if low <= chance < high]
        assert fmean(outcome for _, outcome in pairs) == pytest.approx(fmean(chance for chance, _ in pairs), abs=0.06)


def test_numbers_depend_on_their_key_alone() -> None:
    assert gaussian(1, "a") == gaussian(1, "a") != gaussian(1, "b")
    assert all(0.0 < uniform(index) < 1.0 for index in range(1_000))
    assert fmean(gaussian("mean", index) for index in range(4_000)) == pytest.approx(0.0, abs=0.05)
    assert normal_cdf(0.0) == 0.5
