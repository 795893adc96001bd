"""The published accuracies of a zero-information market, its pass criteria, and the power against planted knowledge."""

import math

import numpy as np
import pytest

from actors.simulate.design import Design, Habit
from actors.simulate.features import FeatureTable, feature_tables
from actors.simulate.measures import (
    SCORES,
    Accuracy,
    accuracies,
    accuracy,
    arcsine,
    log_loss,
    mean_signed_move,
    moves,
)

pytestmark = pytest.mark.untraced

MARKETS = 6_000
ENDS_S = (120.0, 360.0, 600.0, 840.0)

# Accuracies published for 6,000 markets; windows of two minutes that end at minute 2, 6, 10 and 14.
PUBLISHED = {
    (Habit.SHARES, "price > 0.5"): (0.618, 0.713, 0.802, 0.921),
    (Habit.SHARES, "seed combined"): (0.590, 0.594, 0.621, 0.668),
    (Habit.SHARES, "seed momentum"): (0.613, 0.633, 0.670, 0.789),
    (Habit.SHARES, "seed flow"): (0.493, 0.496, 0.488, 0.500),
    (Habit.USD, "seed flow"): (0.472, 0.350, 0.254, 0.121),
    (Habit.USD, "seed whale"): (0.464, 0.314, 0.210, 0.089),
    (Habit.SHARES, "signed USD paid"): (0.516, 0.607, 0.686, 0.799),
    (Habit.SHARES, "signed capital at risk"): (0.534, 0.651, 0.752, 0.872),
    (Habit.SHARES, "signed order count"): (0.5, 0.5, 0.5, 0.5),
    (Habit.USD, "signed order count"): (0.5, 0.5, 0.5, 0.5),
}

Tables = dict[Habit, dict[float, FeatureTable]]


@pytest.fixture(scope="module")
def noise() -> Tables:
    return {habit: feature_tables(Design(habit=habit), MARKETS, ENDS_S) for habit in Habit}


# -------------------------------------------------------------------------------------------------- zero information


@pytest.mark.parametrize(("habit", "name"), PUBLISHED, ids=str)
def test_noise_scores_the_published_accuracies(noise: Tables, habit: Habit, name: str) -> None:
    for published, table in zip(PUBLISHED[habit, name], noise[habit].values(), strict=True):
        measured = accuracies(table)[name]
        # Both are samples: the error of the difference of two proportions.
        error = math.sqrt(2 * published * (1 - published) / measured.calls)
        assert abs(measured.rate - published) < 3 * error, (name, measured)


@pytest.mark.parametrize("habit", Habit)
def test_no_score_knows_where_the_price_of_noise_goes(noise: Tables, habit: Habit) -> None:
    for table in noise[habit].values():
        for name, move in moves(table).items():
            assert abs(move.mean) < 3 * move.standard_error, (name, move)
            assert move.standard_error < 0.004


def test_the_sign_of_the_next_move_is_no_null(noise: Tables) -> None:
    table = noise[Habit.SHARES][840.0]
    moved = table.move != 0
    rightly = np.mean((table.seed_score[moved] > 0) == (table.move[moved] > 0))
    falling = np.mean((table.mid[moved] > 0.5) == (table.move[moved] > 0))
    # Means are nothing, and yet a price near its end mostly moves on toward it, by little.
    assert falling > 0.6
    assert rightly > 0.5


@pytest.mark.parametrize("habit", Habit)
def test_the_corrected_flow_is_a_coin_in_both_habits(noise: Tables, habit: Habit) -> None:
    for table in noise[habit].values():
        assert abs(accuracies(table)["corrected flow"].rate - 0.5) <= 0.02


def test_flow_and_whales_of_share_sizers_are_coins(noise: Tables) -> None:
    for table in noise[Habit.SHARES].values():
        found = accuracies(table)
        for name in ("seed flow", "seed whale", "corrected whale"):
            assert abs(found[name].rate - 0.5) <= 0.02, (name, found[name])


def test_whales_by_payout_lean_to_the_cheap_token_where_buyers_size_in_dollars(noise: Tables) -> None:
    # A known limit of the default whale: 2,000 shares are dear for one side of a price and cheap for the other.
    rates = [accuracies(table)["corrected whale"].rate for table in noise[Habit.USD].values()]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] < 0.35
    # It restates the price, as the other leaks do: what comes next it does not know.
    assert all(abs(moves(table)["corrected whale"].t) < 3 for table in noise[Habit.USD].values())


@pytest.mark.parametrize("habit", Habit)
def test_the_price_beats_every_other_score(noise: Tables, habit: Habit) -> None:
    for table in noise[habit].values():
        found = accuracies(table)
        price = found["price > 0.5"]
        assert all(
            each.rate <= price.rate + price.standard_error for each in found.values() if each.calls > MARKETS / 2
        )


def test_the_probability_is_the_mid_and_the_mid_is_as_good_as_the_fair_price(noise: Tables) -> None:
    for table in noise[Habit.SHARES].values():
        mid = log_loss(table.mid, table.up_won)
        assert np.mean(log_loss(table.probability, table.up_won) - mid) == 0.0
        fair = np.clip(table.fair, 1e-12, 1 - 1e-12)
        assert abs(np.mean(mid - log_loss(fair, table.up_won))) < 0.002


# ------------------------------------------------------------------------------------------------------ arcsine law


@pytest.mark.parametrize(
    ("series", "minutes"), [("btc-15m", (1, 2, 3, 5, 7, 8, 10, 12, 13, 14)), ("btc-5m", (1, 2, 3, 4, 4.75))]
)
def test_the_accuracy_of_the_price_is_the_arcsine_law(series: str, minutes: tuple[float, ...]) -> None:
    design = Design(series=series, seed=11)
    tables = feature_tables(design, 4_000, [60 * minute for minute in minutes], ahead_s=10.0)
    for minute, table in zip(minutes, tables.values(), strict=True):
        expected = arcsine((60 * minute - 1) / design.seconds)  # the price is a second old
        found = accuracy(table.mid - 0.5, table.up_won)
        assert found.calls == 4_000
        assert abs(found.rate - expected) < 3 * math.sqrt(expected * (1 - expected) / 4_000)


@pytest.mark.parametrize(
    ("minute", "expected"),
    [(1, 0.583), (2, 0.619), (3, 0.648), (5, 0.696), (7, 0.739), (8, 0.761), (10, 0.804), (12, 0.852), (14, 0.917)],
)
def test_the_arcsine_table(minute: int, expected: float) -> None:
    assert arcsine(minute / 15) == pytest.approx(expected, abs=0.0011)


def test_the_law_begins_with_a_coin_and_ends_with_certainty() -> None:
    assert (arcsine(0.0), arcsine(1.0)) == (0.5, 1.0)


# ------------------------------------------------------------------------------------------------ planted information


@pytest.mark.slow
def test_power_rises_with_the_share_of_the_informed() -> None:
    ends_s = (120.0, 300.0, 480.0, 660.0, 840.0)
    shares = (0.0, 0.05, 0.1, 0.2, 0.4)
    found = []
    for rho in shares:
        tables = feature_tables(Design(rho=rho), 2_000, ends_s, ahead_s=30.0).values()
        found.append(mean_signed_move(*((table.flow, table.move) for table in tables)))
    powers = [move.t for move in found]
    means = [move.mean for move in found]
    assert powers == sorted(powers)
    assert means == sorted(means)
    assert abs(powers[0]) < 2
    assert powers[2] > 3
    assert powers[4] > 10


# ------------------------------------------------------------------------------------------------------ the measures


def test_accuracy_leaves_abstentions_out() -> None:
    found = accuracy(np.array([0.4, -0.1, 0.0, np.nan, 0.2]), np.array([True, True, True, False, True]))
    assert found == Accuracy(hits=2, calls=3, markets=5)
    assert found.rate == pytest.approx(2 / 3)
    assert found.standard_error == pytest.approx(math.sqrt(2 / 27))


def test_no_call_has_no_accuracy() -> None:
    found = accuracy(np.zeros(4), np.array([True, False, True, False]))
    assert math.isnan(found.rate)
    assert math.isnan(found.standard_error)


def test_a_signed_move_is_averaged_within_the_market_first() -> None:
    score, move = np.array([1.0, -0.5, 0.0, np.nan]), np.array([0.02, 0.04, 0.5, 0.5])
    alone = mean_signed_move((score, move))
    assert alone.mean == pytest.approx(-0.005)
    twice = mean_signed_move((score, move), (score, move))
    assert (twice.mean, twice.standard_error, twice.markets) == (alone.mean, alone.standard_error, 4)
    assert alone.t == pytest.approx(alone.mean / alone.standard_error)
    assert mean_signed_move((np.zeros(3), np.ones(3))).t == 0.0
    assert math.isnan(mean_signed_move((np.ones(1), np.ones(1))).standard_error)


def test_log_loss_is_in_nats() -> None:
    losses = log_loss(np.array([0.5, 0.9, 0.9]), np.array([True, True, False]))
    assert losses == pytest.approx([math.log(2), -math.log(0.9), -math.log(0.1)])


def test_every_score_has_a_name_of_its_own() -> None:
    assert len(SCORES) == 12
