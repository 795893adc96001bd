import numpy as np
import pytest
from attrs import evolve

from actors.simulate.design import Design, Habit
from actors.simulate.markets import Batch, market_number, simulate
from actors.simulate.takers import LEAST_UNITS, MOST_UNITS, Trades
from engine.units import NS_PER_S

MARKETS = 200


def batch_of(design: Design, markets: int = MARKETS) -> Batch:
    return Batch.of(list(simulate(design, markets)))


def rising(batch: Batch) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """By how much the fair price rises within the half minute after each trade."""
    second = batch.trades.at_ns // NS_PER_S
    ahead = np.minimum(second + batch.design.foresight_s, batch.design.seconds)
    rows = np.arange(len(second))[:, np.newaxis]
    return batch.fair[rows, ahead] - batch.fair[rows, second]


@pytest.fixture(scope="module")
def noise() -> Batch:
    return batch_of(Design())


def test_trades_come_in_order_at_even_moments_of_the_market(noise: Batch) -> None:
    at_ns = noise.trades.at_ns
    assert at_ns.shape == (MARKETS, 300)
    assert np.all(np.diff(at_ns, axis=1) >= 0)
    assert at_ns.min() >= 0
    assert at_ns.max() < 900 * NS_PER_S
    by_window = np.histogram(at_ns, bins=[second * NS_PER_S for second in range(0, 901, 120)])[0][:7] / MARKETS
    assert by_window == pytest.approx([40.0] * 7, abs=1.5)


def test_a_taker_pays_the_ask_of_his_token_or_gets_its_bid(noise: Batch) -> None:
    trades = noise.trades
    rows, second = np.arange(MARKETS)[:, np.newaxis], trades.at_ns // NS_PER_S
    bid = noise.bid[rows, second]
    ask = bid + 30
    for is_up, is_buy, price in (
        (True, True, ask),
        (True, False, bid),
        (False, True, 10_000 - bid),
        (False, False, 10_000 - ask),
    ):
        kind = (trades.is_up == is_up) & (trades.is_buy == is_buy)
        assert np.array_equal(trades.price[kind], price[kind])


def test_four_of_five_buy_and_their_token_is_a_coin(noise: Batch) -> None:
    assert np.mean(noise.trades.is_buy) == pytest.approx(0.8, abs=0.01)
    assert np.mean(noise.trades.is_up) == pytest.approx(0.5, abs=0.01)
    assert np.mean(noise.trades.direction) == pytest.approx(0.0, abs=0.015)


def test_direction_and_price_of_up_by_token_and_side() -> None:
    flags = np.array([True, True, False, False]), np.array([True, False, True, False])
    numbers = np.array([6_000, 6_000, 4_000, 4_000])
    trades = Trades(at_ns=numbers, is_up=flags[0], is_buy=flags[1], price=numbers, units=numbers)
    assert trades.direction.tolist() == [1, -1, -1, 1]
    assert trades.yes_price.tolist() == [6_000] * 4


def test_sizes_are_log_normal_in_what_the_taker_has_in_mind(noise: Batch) -> None:
    shares = noise.trades.units / 1e6
    assert np.median(shares) == pytest.approx(40.0, rel=0.03)
    assert np.std(np.log(shares)) == pytest.approx(1.7, rel=0.03)
    in_usd = batch_of(Design(habit=Habit.USD)).trades
    paid = in_usd.units / 1e6 * in_usd.price / 1e4
    assert np.median(paid) == pytest.approx(20.0, rel=0.03)
    cheap, dear = in_usd.price < 2_000, in_usd.price > 8_000
    assert np.median(in_usd.units[cheap]) > 5 * np.median(in_usd.units[dear])


def test_sizes_stay_within_what_a_venue_prints() -> None:
    dust = batch_of(Design(median_shares=0.01, sigma=3.0), 5).trades.units
    assert dust.min() == LEAST_UNITS
    giants = batch_of(Design(median_shares=100_000.0, sigma=3.0, habit=Habit.USD), 20).trades.units
    assert giants.max() == MOST_UNITS


def test_noise_knows_nothing(noise: Batch) -> None:
    gain = noise.trades.direction * rising(noise)
    by_market = gain.mean(axis=1)
    assert abs(by_market.mean()) < 3 * by_market.std() / np.sqrt(MARKETS)


def test_all_the_informed_trade_toward_the_price_half_a_minute_ahead() -> None:
    knowing = batch_of(Design(rho=1.0))
    gain = knowing.trades.direction * rising(knowing)
    assert np.all(gain >= 0.0)
    assert gain.mean() > 0.01


def test_a_share_of_the_takers_is_informed_and_the_others_trade_as_before(noise: Batch) -> None:
    mixed = batch_of(Design(rho=0.3))
    same = (mixed.trades.is_up == noise.trades.is_up) & (mixed.trades.price == noise.trades.price)
    # Half of the informed would have chosen that token anyway.
    assert 1 - np.mean(same) == pytest.approx(0.15, abs=0.01)
    assert np.array_equal(mixed.trades.at_ns, noise.trades.at_ns)
    assert np.array_equal(mixed.trades.is_buy, noise.trades.is_buy)
    assert np.array_equal(mixed.trades.units, noise.trades.units)
    assert np.array_equal(mixed.fair, noise.fair)


def test_foresight_may_reach_the_outcome_itself() -> None:
    market = market_number(Design(rho=1.0, foresight_s=120), 4)
    trades = market.trades
    late = trades.at_ns >= 800 * NS_PER_S
    undecided = np.isin(market.fair[trades.at_ns // NS_PER_S], (0.0, 1.0), invert=True)
    assert np.count_nonzero(late & undecided) > 0
    assert set(trades.direction[late & undecided].tolist()) == {1 if market.fair[-1] else -1}


def test_who_sees_no_change_coming_is_noise() -> None:
    batch = batch_of(Design(rho=1.0, series="btc-5m", foresight_s=1, trades_per_minute=100.0))
    still = rising(batch) == 0.0
    assert np.count_nonzero(still) > 500
    assert abs(np.mean(batch.trades.direction[still])) < 0.1


def test_trades_can_be_cut_like_any_value() -> None:
    trades = market_number(Design(), 0).trades
    assert len(evolve(trades, at_ns=trades.at_ns[:5]).at_ns) == 5
