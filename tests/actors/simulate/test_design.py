import pytest

from actors.simulate.design import Design, Habit


def test_the_defaults_are_a_market_of_noise() -> None:
    design = Design()
    assert (design.series, design.seconds, design.trades, design.rho) == ("btc-15m", 900, 300, 0.0)
    assert design.habit is Habit.SHARES


def test_a_series_of_five_minutes_has_a_third_of_the_trades() -> None:
    design = Design(series="eth-5m")
    assert (design.seconds, design.trades) == (300, 100)
    assert Design(series="eth-5m", trades_per_minute=0.01).trades == 1


def test_both_habits_trade_the_same_at_one_half() -> None:
    assert Design(median_shares=60.0).median_usd == 30.0


def test_the_habit_may_be_named_by_its_word() -> None:
    assert Design(habit="usd").habit is Habit.USD  # type: ignore[arg-type]


def test_the_highest_bid_leaves_room_for_its_ask() -> None:
    assert Design(tick=10, spread_steps=3).highest_bid == 9_960
    assert Design(tick=100, spread_steps=1).highest_bid == 9_800


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"series": "btc-1d"}, "series"),
        ({"series": "nonsense-5m"}, "series"),
        ({"rho": 1.5}, "rho"),
        ({"rho": -0.1}, "rho"),
        ({"foresight_s": 0}, "foresight_s"),
        ({"habit": "yen"}, "yen"),
        ({"trades_per_minute": 0.0}, "trades_per_minute"),
        ({"median_shares": 0.0}, "median_shares"),
        ({"sigma": 4.0}, "sigma"),
        ({"buyers": 1.1}, "buyers"),
        ({"tick": 30}, "tick"),
        ({"spread_steps": 0}, "spread_steps"),
        ({"spread_steps": 101}, "wider than 0.10"),
        ({"seed": -1}, "seed"),
        ({"starts_s": -1}, "starts_s"),
    ],
)
def test_a_figure_out_of_range_is_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Design(**wrong)  # type: ignore[arg-type]
