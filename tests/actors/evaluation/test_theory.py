from __future__ import annotations

import pytest

from actors.evaluation.theory import days_of, markets_for_mean, markets_for_share, sign_accuracy


@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        (1, 0.583),
        (2, 0.619),
        (3, 0.648),
        (5, 0.696),
        (7, 0.739),
        (8, 0.761),
        (10, 0.804),
        (12, 0.852),
        (13, 0.881),
        (14, 0.917),
    ],
)
def test_the_arcsine_table_of_quarter_hours(minute: float, expected: float) -> None:
    assert sign_accuracy(minute * 60, 900) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(("second", "expected"), [(60, 0.648), (120, 0.718), (180, 0.782), (240, 0.852), (285, 0.928)])
def test_the_arcsine_table_of_five_minutes(second: float, expected: float) -> None:
    assert sign_accuracy(second, 300) == pytest.approx(expected, abs=6e-4)


def test_the_ends_of_the_window_and_the_famous_55_percent():
    assert sign_accuracy(0, 900) == 0.5
    assert sign_accuracy(900, 900) == sign_accuracy(2000, 900) == 1.0
    assert sign_accuracy(22, 900) == pytest.approx(0.55, abs=5e-4)


@pytest.mark.parametrize(
    ("expected", "against", "markets", "days"),
    [(0.55, 0.50, 783, 8.2), (0.64, 0.619, 4169, 43.4), (0.669, 0.619, 727, 7.6)],
)
def test_sample_sizes_of_the_protocol(expected: float, against: float, markets: int, days: float) -> None:
    assert markets_for_share(expected, against) == markets
    assert days_of(markets, 900) == pytest.approx(days, abs=0.06)


def test_sample_size_of_a_mean():
    assert markets_for_mean(0.002, 0.05) == pytest.approx(4_900, abs=10)
    assert markets_for_mean(-0.002, 0.05) == markets_for_mean(0.002, 0.05)


def test_no_number_tells_equals_apart():
    with pytest.raises(ValueError, match="equal"):
        markets_for_share(0.5, 0.5)
    with pytest.raises(ValueError, match="effect of 0"):
        markets_for_mean(0.0, 1.0)
