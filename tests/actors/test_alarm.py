"""The alarm: rung in time, in order, once, and with one sleep for all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from random import Random

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.alarm import Alarm
from actors.clock import Clock

NS_PER_S = 10**9


@asynccontextmanager
async def ringing(start_ns: int = 0) -> AsyncIterator[tuple[Alarm, Clock]]:
    clock = Clock.anchored(start_ns)
    alarm = Alarm(clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(alarm.run)
        yield alarm, clock
        nursery.cancel_scope.cancel()


async def test_it_rings_in_time_and_in_order(autojump_clock: MockClock) -> None:
    heard: list[tuple[str, int]] = []
    async with ringing() as (alarm, clock):

        def ring(name: str) -> None:
            heard.append((name, clock.now_ns()))

        for name, second in (("late", 9), ("first", 2), ("second", 2), ("soon", 1), ("third", 2)):
            alarm.ring_by(second * NS_PER_S, partial(ring, name))
        await trio.sleep(20)
    expected = (("soon", 1), ("first", 2), ("second", 2), ("third", 2), ("late", 9))
    assert heard == [(name, second * NS_PER_S) for name, second in expected]


async def test_a_sooner_time_does_not_wait_for_a_later_one(autojump_clock: MockClock) -> None:
    heard: list[float] = []
    async with ringing() as (alarm, _):
        alarm.ring_by(100 * NS_PER_S, lambda: heard.append(trio.current_time()))
        await trio.sleep(5)
        began = trio.current_time()
        alarm.ring_by(7 * NS_PER_S, lambda: heard.append(trio.current_time()))
        await trio.sleep(3)
        assert heard == [pytest.approx(began + 2)]
        await trio.sleep(100)
    assert len(heard) == 2


@pytest.mark.parametrize("at_ns", [-1, 0, 5 * NS_PER_S])
async def test_a_time_that_is_past_rings_at_once(autojump_clock: MockClock, at_ns: int) -> None:
    heard: list[float] = []
    async with ringing(5 * NS_PER_S) as (alarm, _):
        await trio.testing.wait_all_tasks_blocked()
        alarm.ring_by(at_ns, lambda: heard.append(trio.current_time()))
        assert heard == [], "whoever asks is not called while it asks"
        began = trio.current_time()
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [began]


async def test_whoever_asks_often_is_rung_once_and_as_soon_as_it_ever_asked(autojump_clock: MockClock) -> None:
    heard: list[float] = []
    ring = partial(_note, heard)
    async with ringing() as (alarm, _):
        began = trio.current_time()
        for second in (3, 5, 2, 2, 4):
            alarm.ring_by(second * NS_PER_S, ring)
        await trio.sleep(2.5)
        assert heard == [pytest.approx(began + 2)]
        alarm.ring_by(5 * NS_PER_S, ring)
        await trio.sleep(20)
    assert heard[1:] == [pytest.approx(began + 5)], "nothing becomes of the times that were asked for before"


def _note(heard: list[float]) -> None:
    heard.append(trio.current_time())


async def test_asking_anew_at_every_ring_and_often_between_makes_no_more_rings(autojump_clock: MockClock) -> None:
    heard: list[int] = []
    async with ringing() as (alarm, clock):

        def ring() -> None:
            heard.append(clock.now_ns())
            alarm.ring_by(clock.now_ns() + 5 * NS_PER_S, ring)

        for _ in range(1000):
            alarm.ring_by(clock.now_ns() + 5 * NS_PER_S, ring)
            await trio.sleep(0.001)
        await trio.sleep(60)
        assert len(heard) == 12
        assert len(alarm._bells) == 1


async def test_whoever_is_rung_may_ask_again(autojump_clock: MockClock) -> None:
    heard: list[int] = []
    async with ringing() as (alarm, clock):

        def ring() -> None:
            heard.append(clock.now_ns() // NS_PER_S)
            if len(heard) < 4:
                alarm.ring_by(clock.now_ns() + (len(heard) - 1) * NS_PER_S, ring)

        alarm.ring_by(NS_PER_S, ring)
        await trio.sleep(10)
    assert heard == [1, 1, 2, 4]


@pytest.mark.parametrize("seed", range(5))
async def test_of_many_nobody_is_forgotten_and_nobody_early(autojump_clock: MockClock, seed: int) -> None:
    chance = Random(seed)
    asked: list[int] = []
    heard: list[tuple[int, int]] = []
    async with ringing() as (alarm, clock):

        def ring_for(at_ns: int) -> Callable[[], None]:
            return lambda: heard.append((at_ns, clock.now_ns()))

        for _ in range(200):
            at_ns = clock.now_ns() + chance.randrange(5 * NS_PER_S)
            asked.append(at_ns)
            alarm.ring_by(at_ns, ring_for(at_ns))
            await trio.sleep(chance.choice((0.0, 0.0, 0.1)))
        await trio.sleep(6)
    assert sorted(at_ns for at_ns, _ in heard) == sorted(asked)
    assert all(0 <= now_ns - at_ns <= 1000 for at_ns, now_ns in heard), "within a step of the clock"
    assert all(before[1] <= after[1] for before, after in pairwise(heard))


async def test_nobody_who_waits_costs_nothing(autojump_clock: MockClock) -> None:
    async with ringing() as (alarm, _):
        alarm.ring_by(NS_PER_S, lambda: None)
        await trio.sleep(2)
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == float("inf")
