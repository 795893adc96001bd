from collections import Counter
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest

from actors.venue.actions import Action, LevelSet, Retick, Take
from actors.venue.generator import Generator, block_ns
from actors.venue.options import VenueOptions
from actors.venue.orderbook import own_price, up_side
from actors.venue.spot import SpotPath
from engine.markets import Outcome, Side
from engine.units import PRICE_SCALE, SIZE_SCALE
from tests.actors.venue.scenery import SLUG, START_NS, START_S, S, listing


def generator(at_s: float = 0.0, slug: str = SLUG, **options: Any) -> Generator:
    return Generator(listing(slug), SpotPath(7, "BTC"), VenueOptions(**options), START_NS + round(at_s * S))


def actions_until(play: Generator, at_s: float) -> list[Action]:
    actions = []
    while play.next_ns < START_NS + round(at_s * S):
        actions.append(play.advance())
    return actions


def books(play: Generator) -> object:
    return play.book.levels(Outcome.UP), play.book.tick, play.book.last_trade, play.book.changed_ms


@pytest.mark.parametrize(("rate", "later"), [(15.0, 140.0), (80.0, 35.0), (2.0, 310.0)])
def test_it_does_not_matter_since_when_one_listens(rate: float, later: float) -> None:
    early, late = generator(message_rate=rate), generator(later, message_rate=rate)
    actions_until(early, later)
    actions_until(late, later)
    assert books(early) == books(late)
    told = actions_until(early, later + 30)
    assert told == actions_until(late, later + 30)
    assert told
    assert books(early) == books(late)


def test_seed_and_slug_make_the_difference() -> None:
    told = actions_until(generator(), 20)
    assert told == actions_until(generator(), 20)
    assert told != actions_until(Generator(listing(), SpotPath(7, "BTC"), VenueOptions(seed=8), START_NS), 20)
    assert told != actions_until(generator(slug=f"btc-updown-15m-{START_S}"), 20)


@pytest.mark.parametrize("window", range(4))
def test_a_book_is_never_crossed_and_trades_are_at_the_touch(window: int) -> None:
    slug = f"btc-updown-5m-{START_S + 300 * window}"
    play = generator(300.0 * window - 20, slug)
    before = play.book.top(Outcome.UP)
    while play.next_ns < START_NS + (300 * window + 450) * S:
        depth = {side: dict(play.book.side(side).levels()) for side in Side}
        action = play.advance()
        bid, ask = play.book.top(Outcome.UP)
        assert bid is None or ask is None or bid < ask
        if isinstance(action, Take):
            lifted = up_side(action.outcome, action.side) is Side.BUY
            price = own_price(action.outcome, action.price)
            assert price == before[1 if lifted else 0]
            assert 0 < action.size <= depth[Side.SELL if lifted else Side.BUY][price]
        for price in (*play.book.bids, *play.book.asks):
            assert 0 < price < PRICE_SCALE
            assert price % play.book.tick == 0 or price % 100 == 0
        before = bid, ask


@pytest.mark.untraced
def test_the_mix_and_the_rate_are_those_of_the_venue() -> None:
    kinds: Counter[str] = Counter()
    seconds: Counter[int] = Counter()
    tops = 0
    for window in range(12):
        slug = f"btc-updown-5m-{START_S + 300 * window}"
        play = generator(300.0 * window, slug)
        top = play.book.top(Outcome.UP)
        while play.next_ns < START_NS + 300 * (window + 1) * S:
            action = play.advance()
            weight = 3 if isinstance(action, Take) else 1
            kinds[type(action).__name__] += 1
            kinds["messages"] += weight
            seconds[action.at_ns // S] += weight
            tops += top != play.book.top(Outcome.UP)
            top = play.book.top(Outcome.UP)
    assert kinds["messages"] / 3_600 == pytest.approx(15.0, rel=0.15)
    assert kinds["LevelSet"] / kinds["messages"] == pytest.approx(0.9, abs=0.03)
    assert kinds["Take"] / kinds["messages"] == pytest.approx(1 / 30, abs=0.01)
    assert max(seconds.values()) > 60
    assert 0.02 < tops / kinds["LevelSet"] < 0.3


def test_books_are_as_deep_as_the_venues() -> None:
    play = generator(-200)
    for _ in range(500):
        play.advance()
        assert all(20 <= len(side) <= 100 for side in (play.book.bids, play.book.asks))


def test_times_never_run_backwards_and_start_on_the_block() -> None:
    actions = actions_until(generator(-61), 130)
    assert actions[0].at_ns == START_NS - 120 * S
    assert all(before.at_ns <= after.at_ns for before, after in pairwise(actions))


def test_the_step_becomes_fine_near_the_extremes_and_stays_so() -> None:
    play = generator()
    before = actions_until(play, 449)
    changes = [action for action in before if isinstance(action, Retick)]
    assert [change.tick for change in changes] == [10]
    assert not 0.04 <= play.fair(changes[0].at_ns + S) <= 0.96
    assert generator(440).book.tick == 10
    assert any(isinstance(action, LevelSet) and action.price % 100 for action in before)


def test_after_the_end_one_side_is_empty() -> None:
    play = generator()
    actions_until(play, 420)
    won = play.fair(START_NS + 300 * S) == 1.0
    assert (play.book.top(Outcome.UP)[1 if won else 0]) is None
    assert (play.book.top(Outcome.UP)[0 if won else 1]) is not None


def following(informed: float) -> float:
    """Mean move of the fair price over the next 30 s, in the direction of the taker."""
    moves = []
    for window in range(8):
        play = generator(300.0 * window, f"btc-updown-5m-{START_S + 300 * window}", informed=informed)
        for action in actions_until(play, 300.0 * window + 240):
            if isinstance(action, Take):
                direction = 1 if up_side(action.outcome, action.side) is Side.BUY else -1
                moves.append(direction * (play.fair(action.at_ns + 30 * S) - play.fair(action.at_ns)))
    return fmean(moves)


@pytest.mark.untraced
def test_takers_know_as_much_as_they_are_told_to() -> None:
    nothing, something, everything = following(0.0), following(0.3), following(1.0)
    assert abs(nothing) < 0.02
    assert nothing < something < everything
    assert everything > 0.05


@pytest.mark.untraced
def test_whales_are_filled_whole_at_the_touch() -> None:
    sizes = []
    for window in range(20):
        play = generator(300.0 * window, f"btc-updown-5m-{START_S + 300 * window}", message_rate=60.0)
        sizes += [action.size for action in actions_until(play, 300.0 * window + 60) if isinstance(action, Take)]
    assert any(size > 1_000 * SIZE_SCALE for size in sizes)


def test_blocks_hold_about_the_same_number_of_messages() -> None:
    assert [block_ns(rate) // S for rate in (1, 15, 40, 100, 1_000)] == [300, 60, 20, 10, 10]


def test_orders_come_on_both_tokens_and_trades_on_both_sides() -> None:
    actions = actions_until(generator(), 120)
    assert {action.outcome for action in actions if isinstance(action, LevelSet)} == set(Outcome)
    traded = {(action.outcome, action.side) for action in actions if isinstance(action, Take)}
    assert traded == {(outcome, side) for outcome in Outcome for side in Side}
    assert len({action.transaction_hash for action in actions if isinstance(action, Take)}) > 20
