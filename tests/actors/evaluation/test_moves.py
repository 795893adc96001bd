from __future__ import annotations

import math

import numpy as np
import pytest
from attrs import evolve

from actors.evaluation.intervals import Blocks, blocks, mean_test
from actors.evaluation.moves import by_decile, information, mean_moves, present, signed_ticks
from actors.evaluation.panel import Panel
from engine.decisions import Top
from tests.actors.evaluation.synthetic import fair, panel, paths


def single(number: int) -> Blocks:
    return Blocks(kind="market", of=np.arange(number, dtype=np.int64))


def made(mid: list[float], ahead: list[float], score: list[float]) -> Panel:
    given = panel(len(mid))
    table = np.repeat(np.array(ahead)[:, None], 4, axis=1)
    return evolve(given, mid=np.array(mid), ahead=table, signals={**given.signals, "score": np.array(score)})


def test_moves_are_in_ticks_of_a_cent_in_the_direction_called():
    given = made([0.50, 0.50, 0.50, 0.5], [0.53, 0.53, np.nan, 0.6], [0.2, -0.9, 0.5, 0.0])
    signed = signed_ticks(given, given.score)
    assert signed[:, 0] == pytest.approx([3, -3, np.nan, np.nan], nan_ok=True)
    move = mean_moves(signed, single(4))[0]
    assert (move.horizon_s, move.mean, move.number) == (10.0, pytest.approx(0.0), 2)


def test_the_error_is_the_one_of_the_mean():
    values = np.random.default_rng(3).normal(0.4, 2.0, 500)
    given = made([0.5] * 500, (0.5 + values / 100).tolist(), [1.0] * 500)
    move = mean_moves(signed_ticks(given, given.score), single(500))[1]
    assert move.mean == pytest.approx(values.mean())
    assert move.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(500))


def test_deciles_go_by_the_size_of_the_score():
    given = made([0.5] * 20, [0.51] * 20, [(-1) ** row * (row + 1) / 20 for row in range(20)])
    deciles = by_decile(given, given.score, single(20))
    assert [(each.low, each.high) for each in deciles][:2] == [(0.05, 0.1), (0.15, 0.2)]
    assert all(decile.moves[0].mean == pytest.approx(0.0) for decile in deciles)  # one up, one down each


@pytest.mark.untraced
def test_a_score_that_knows_nothing_moves_nothing():
    given = panel(4_000, at_s=(300,))
    for move in mean_moves(signed_ticks(given, given.score), blocks(given.as_of_ns)):
        assert abs(move.mean) < 3 * move.standard_error
    assert abs(information([given], "score").test.statistic) < 3


def test_a_useless_score_is_right_about_signs_without_knowing_anything():
    """Bounded martingales have skewed moves: who bets on the favourite is right more often, and gains nothing."""
    given = panel(4_000, at_s=(720,))
    favourite = given.mid - 0.5
    signed = signed_ticks(given, favourite)[:, 2]
    assert np.mean(signed > 0) > 0.53
    move = mean_moves(signed_ticks(given, favourite), blocks(given.as_of_ns))[2]
    assert abs(move.mean) < 3 * move.standard_error


@pytest.mark.untraced
def test_knowledge_shows_and_grows():
    statistics = [information([panel(2_000, knowledge=share)], "score").test.statistic for share in (0.0, 0.2, 0.5)]
    assert statistics == sorted(statistics)
    assert statistics[1] > 4


def test_over_several_times_the_market_is_the_unit():
    early, late = panel(500, at_s=(300,), knowledge=0.3), panel(500, at_s=(480,), knowledge=0.3)
    alone, pooled = information([early], "score"), information([early, late], "score")
    assert alone.correlation.number == pooled.correlation.number == 500
    again = information([early, early], "score")
    assert (again.correlation, again.test) == (alone.correlation, alone.test)  # twice the same is not twice as much


def test_a_correlation_is_one_of_scaled_products():
    given = made([0.5] * 4, [0.52, 0.49, 0.5, 0.53], [0.1, -0.2, 0.3, 0.2])
    value, move = given.score, np.array([0.02, -0.01, 0.0, 0.03])
    expected = np.mean(value * move) / math.sqrt(np.mean(value**2) * np.mean(move**2))
    assert information([given], "score").correlation.mean == pytest.approx(expected)


def test_what_is_absent_says_nothing():
    given = panel(20)
    assert present([given]) == ["score", "volume_flow"]
    nothing = information([given], "whale")
    assert nothing.correlation.number == 0
    assert math.isnan(nothing.test.statistic)


def test_a_book_that_loses_a_side_lends_no_knowledge_to_who_bets_against_it():
    """Quotes on whole cents: where a market is as good as decided one side is gone, and with it the mid."""
    path = paths(8_000, np.random.default_rng(5))
    now, later = ([_quoted(chance) for chance in fair(path, at_s)] for at_s in (840, 870))
    mid = _column([top.mid for top in now])
    contrarian = 0.5 - mid
    only_mids = mean_test(contrarian * (_column([top.mid for top in later]) - mid))
    values = mean_test(contrarian * (_column([top.value for top in later]) - mid))
    assert only_mids.statistic > 5
    assert abs(values.statistic) < 3


def _quoted(chance: float) -> Top:
    cents = math.floor(chance * 100)
    return Top(bid=cents / 100 if cents else None, ask=(cents + 1) / 100 if cents < 99 else None)


def _column(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values])
