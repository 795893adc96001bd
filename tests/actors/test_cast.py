"""The cast: entering, leaving, coming back, and what is said of those who are there."""

from __future__ import annotations

from itertools import count

import pytest
import trio
import trio.testing
from attrs import evolve

from actors.clock import Clock
from actors.market import Ask
from engine.markets import MarketPhase, Target
from engine.records import Followed
from engine.signals import FeedState
from tests.actors.local_venue import QUARTER_S, every_deadline, follow, rig

MockClock = trio.testing.MockClock
FIVE = f"btc-updown-5m-{QUARTER_S}"


async def test_a_market_may_come_back_before_it_is_gone(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(10)
        for _ in range(3):
            running.engine.unfollow("btc-5m")
            await trio.testing.wait_all_tasks_blocked()
            running.engine.follow("btc-5m")
            running.engine.unfollow("btc-5m")
            running.engine.follow("btc-5m")
            await trio.sleep(1)
        await trio.sleep(20)
        [market] = running.engine.health().markets
        assert (market.target, market.feed_state) == (FIVE, FeedState.LIVE)
    assert every_deadline(running.of(FIVE), running, 5, 30)


async def test_the_same_target_again_waits_for_the_old_one_to_leave(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(3)
        engine = running.engine
        known = next(iter(engine._cast._seats.values()))
        engine._cast.retire(FIVE)
        engine._cast.appear(known.target)
        engine._cast.learn(FIVE, known.market)
        assert list(engine._cast._returning) == [FIVE]
        await trio.sleep(6)
        assert not engine._cast._returning
        assert engine._cast._seats[FIVE] is not known
        engine._cast.retire(FIVE)
        engine._cast.appear(known.target)
        engine._cast.retire(FIVE)
        await trio.sleep(3)
        assert engine.health().markets == ()
    assert [running.seconds(it) for it in running.of(FIVE)] == [5, 10]


async def test_who_comes_back_is_followed_after_it_was_left(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks, now_ns = count(), Clock.now_ns
    monkeypatch.setattr(Clock, "now_ns", lambda clock: now_ns(clock) + next(ticks))
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(3)
        cast = running.engine._cast
        known = next(iter(cast._seats.values()))
        cast.retire(FIVE)
        cast.appear(known.target)
        cast.learn(FIVE, known.market)
        await trio.sleep(6)
    times = [record.at_ns for key, record in running.tape if key == FIVE]
    assert sum(isinstance(record, Followed) for _, record in running.tape) == 2
    assert times == sorted(times)
    assert [round(running.seconds(it)) for it in running.of(FIVE)] == [5, 10]


async def test_why_there_are_no_metadata_reaches_whoever_is_there_or_will_be(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        cast = running.engine._cast
        cast.lookup_failed("nobody", "timeout")
        target = Target(key="rain", slug="rain")
        cast.appear(target)
        seat = cast.seat("rain")
        assert seat is not None
        cast.lookup_failed("rain", "timeout")
        assert seat.lookup_failure == "timeout"
        await trio.sleep(5)
        cast.retire("rain")
        cast.appear(target)
        cast.lookup_failed("rain", "server")
        await trio.sleep(5)
        back = cast.seat("rain")
        assert back is not None
        assert back is not seat
        assert (seat.lookup_failure, back.lookup_failure) == ("timeout", "server")
    assert [it.reason for it in running.of("rain")] == ["metadata_timeout", "metadata_server"]


async def test_a_market_goes_by_many_names(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=201) as running:
        await trio.sleep(30)
        cast = running.engine._cast
        seat = cast.seat(FIVE)
        assert seat is not None
        assert seat.market is not None
        assert cast.seat("btc-5m") is seat, "the open slot, not the one that is warming up"
        assert cast.seat(seat.market.condition_id) is seat
        assert cast.seat("btc-15m") is None
        assert [it.first_deadline_ns for it in cast.roster()] == sorted(it.first_deadline_ns for it in cast.roster())


async def test_a_market_that_is_followed_twice_is_answered_for_by_the_seat_that_knows_it(
    autojump_clock: MockClock,
) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(130)
        cast = running.engine._cast
        seat = cast.seat(FIVE)
        assert seat is not None
        assert seat.market is not None
        # The catalogue cannot be asked, so nobody can tell yet that the id is that of the slot.
        running.venue.faults.rest(503)
        running.engine.follow(seat.market.condition_id)
        await trio.sleep(5)
        assert [it.target for it in cast.health()] == [FIVE, seat.market.condition_id]
        assert cast.seat(seat.market.condition_id) is seat
        answer = await running.engine.get_market_score(seat.market.condition_id)
        assert answer.window.coverage > 0.9


async def test_an_ask_while_nobody_plays_is_answered_at_once(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(5)
        cast = running.engine._cast
        seat = cast.seat(FIVE)
        assert seat is not None
        cast._players.clear()
        request = Ask()
        cast.ask(seat, request)
        assert request.answer is not None
        assert request.answer.reason == "actor_down"
        [health] = cast.health()
        assert health.feed_state is FeedState.CLOSED


async def test_health_says_what_is_known(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.testing.wait_all_tasks_blocked()
        [early] = running.engine._cast.health()
        assert (early.signal_type, early.coverage) == (None, None)
        await trio.sleep(10)
        running.venue.faults.disconnect()
        await trio.sleep(5)
        [health] = running.engine._cast.health()
    assert (health.target, health.series, health.slug) == (FIVE, "btc-5m", FIVE)
    assert health.start_ns == QUARTER_S * 10**9
    assert health.phase is MarketPhase.OPEN
    assert (health.epoch, health.last_fault, health.actor) == (2, "closed", "running")
    assert health.coverage is not None


async def test_a_stranger_neither_learns_nor_leaves(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(5)
        cast = running.engine._cast
        cast.learn("nobody", None)
        cast.retire("nobody")
        await cast._leave("nobody")
        assert [it.target for it in cast.health()] == [FIVE]
        assert cast.opening_gaps_s() == (0, None)


async def test_who_comes_while_the_engine_closes_comes_too_late(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(5)
        cast = running.engine._cast
        seat = cast.seat(FIVE)
        assert seat is not None
        cast.retire(FIVE)
        cast.appear(seat.target)
        await running.engine.aclose()
        cast.appear(evolve(seat.target, key="another"))
        assert cast.seat("another") is None
