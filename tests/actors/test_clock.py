import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.clock import BEHIND_S, NS_PER_S, Clock, PacedClock, wall_ns

WALL_NS = 1_786_891_500_123_456_789


async def test_starts_at_the_anchor(mock_clock: MockClock) -> None:
    clock = Clock.anchored(WALL_NS)
    assert clock.now_ns() == WALL_NS


async def test_anchors_to_the_wall_clock(mock_clock: MockClock) -> None:
    before = time.time_ns()
    clock = Clock.anchored()
    assert before <= clock.now_ns() <= time.time_ns()


def test_the_wall_clock_can_be_read_outside_of_any_loop() -> None:
    before = time.time_ns()
    assert before <= wall_ns() <= time.time_ns()


async def test_equal_trio_times_give_equal_answers(mock_clock: MockClock) -> None:
    mock_clock.jump(0.1)
    clock = Clock.anchored(WALL_NS)
    mock_clock.jump(0.2)
    first = clock.now_ns()
    await trio.lowlevel.checkpoint()
    assert clock.now_ns() == first == WALL_NS + 200_000_000


async def test_jumps_of_the_trio_clock_move_it_by_as_much(mock_clock: MockClock) -> None:
    clock = Clock.anchored(WALL_NS)
    for jumped in range(1, 100):
        mock_clock.jump(0.1)
        assert clock.now_ns() == WALL_NS + jumped * 100_000_000


async def test_the_wall_clock_does_not_reach_it(mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock.anchored()
    start = clock.now_ns()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    mock_clock.jump(1.0)
    assert clock.now_ns() == start + NS_PER_S


async def test_never_goes_backwards_under_a_rate() -> None:
    virtual = MockClock(rate=1000.0)
    real = iter(index * 1e-7 for index in range(10_000))
    virtual._real_clock = lambda: next(real)
    virtual.rate = 333.3
    clock = Clock(wall_ns=WALL_NS, trio_time=virtual.current_time())
    moments = [clock._ns_at(virtual.current_time()) for _ in range(1000)]
    assert moments == sorted(moments)
    assert moments[-1] - WALL_NS == pytest.approx(1000 * 333.3 * 100, rel=1e-6)


async def test_sleepers_wake_when_a_jump_passes_their_time_and_not_before(mock_clock: MockClock) -> None:
    clock = Clock.anchored(WALL_NS)
    woken: list[int] = []

    async def sleeper(at_ns: int) -> None:
        await clock.sleep_until(at_ns)
        woken.append(at_ns)
        assert clock.now_ns() >= at_ns

    async with trio.open_nursery() as nursery:
        for at_ns in (WALL_NS + 1, WALL_NS + NS_PER_S, WALL_NS + 2 * NS_PER_S):
            nursery.start_soon(sleeper, at_ns)
        await trio.testing.wait_all_tasks_blocked()
        assert woken == []
        mock_clock.jump(1e-9)
        await trio.testing.wait_all_tasks_blocked()
        assert woken == [WALL_NS + 1]
        mock_clock.jump(1.0 - 2e-9)
        await trio.testing.wait_all_tasks_blocked()
        assert woken == [WALL_NS + 1]
        mock_clock.jump(3600.0)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(woken) == [WALL_NS + 1, WALL_NS + NS_PER_S, WALL_NS + 2 * NS_PER_S]


async def test_sleeping_into_the_past_is_a_checkpoint(mock_clock: MockClock) -> None:
    clock = Clock.anchored(WALL_NS)
    with trio.testing.assert_checkpoints():
        await clock.sleep_until(WALL_NS - 10**18)
    with trio.CancelScope() as scope:
        scope.cancel()
        await clock.sleep_until(WALL_NS - 1)
        pytest.fail("a cancelled sleep returned")
    assert clock.now_ns() == WALL_NS


async def test_autojump_wakes_in_order_on_the_nanosecond(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(WALL_NS)
    for step in range(1, 1000):
        at_ns = WALL_NS + step * 333_333_333
        await clock.sleep_until(at_ns)
        assert at_ns <= clock.now_ns() <= at_ns + 1


@given(
    origin=st.floats(0.0, 1e8),
    wall_ns=st.integers(0, 2 * 10**18),
    offset_ns=st.integers(-(10**18), 10**18),
)
def test_trio_time_is_never_early_and_hardly_late(origin: float, wall_ns: int, offset_ns: int) -> None:
    clock = Clock(wall_ns=wall_ns, trio_time=origin)
    value = clock.trio_time(wall_ns + offset_ns)
    assert clock._ns_at(value) >= wall_ns + offset_ns
    late_s = value - (origin + offset_ns / NS_PER_S)
    assert late_s <= 1e-9 + 4e-16 * 2 * max(abs(value), origin)


def test_trio_time_near_zero_is_found_however_far_the_origin() -> None:
    origin = 1e8 + 0.3  # a float's neighbours are 15 ns apart here, and far less than that near zero
    clock = Clock(wall_ns=WALL_NS, trio_time=origin)
    for offset in range(-200, 200):
        at_ns = WALL_NS - round(origin * NS_PER_S) + offset
        assert at_ns <= clock._ns_at(clock.trio_time(at_ns)) <= at_ns + 32


@given(origin=st.floats(0.0, 1e8), wall_ns=st.integers(0, 2 * 10**18), times=st.lists(st.floats(0.0, 1e8), min_size=2))
def test_the_map_is_monotonic(origin: float, wall_ns: int, times: list[float]) -> None:
    clock = Clock(wall_ns=wall_ns, trio_time=origin)
    moments = [clock._ns_at(moment) for moment in sorted(times)]
    assert moments == sorted(moments)


async def test_two_clocks_do_not_know_each_other(mock_clock: MockClock) -> None:
    early = Clock.anchored(0)
    mock_clock.jump(5.0)
    late = Clock.anchored(WALL_NS)
    mock_clock.jump(1.0)
    assert (early.now_ns(), late.now_ns()) == (6 * NS_PER_S, WALL_NS + NS_PER_S)


# The clock of a rehearsal.


class Wall:
    """The monotonic clock of a machine."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_paced_clock_runs_so_many_times_faster_while_all_wait() -> None:
    wall = Wall()
    clock = PacedClock(60.0, wall=wall)
    assert clock.deadline_to_sleep_time(120.0) == 2.0
    wall.now_s += 1.0 / 60
    assert clock.current_time() == pytest.approx(1.0), "woken before its time"
    assert clock.deadline_to_sleep_time(1.5) == pytest.approx(0.5 / 60)
    wall.now_s += 0.5 / 60
    assert clock.current_time() == pytest.approx(1.5)


def test_a_paced_clock_stands_still_at_work() -> None:
    wall = Wall()
    clock = PacedClock(60.0, wall=wall)
    wall.now_s += 5.0
    assert clock.current_time() == 0.0
    clock.deadline_to_sleep_time(10.0)
    assert clock.current_time() == pytest.approx(BEHIND_S * 60), "a little of it is made up for, the rest is not"


def test_a_paced_clock_never_passes_a_deadline() -> None:
    wall = Wall()
    clock = PacedClock(60.0, wall=wall)
    clock.deadline_to_sleep_time(1.0)
    wall.now_s += 0.05
    assert clock.current_time() == 1.0
    assert clock.deadline_to_sleep_time(2.0) == 0.0, "it is late: no waiting for the next one"
    assert clock.current_time() == 2.0
    assert clock.deadline_to_sleep_time(4.0) == pytest.approx(1.0 / 60)


def test_a_paced_clock_does_not_go_back_to_a_deadline_that_is_over() -> None:
    wall = Wall()
    clock = PacedClock(1.0, wall=wall)
    clock.deadline_to_sleep_time(5.0)
    wall.now_s += 0.05
    now_s = clock.current_time()
    assert clock.deadline_to_sleep_time(now_s - 1.0) == 0.0
    assert clock.current_time() == now_s


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_paced_clock_needs_a_rate(rate: float) -> None:
    with pytest.raises(ValueError, match="the rate must be above 0"):
        PacedClock(rate)


def test_nothing_that_is_due_in_time_is_late_on_a_busy_machine() -> None:
    async def answer(asked: trio.Event, done: trio.Event) -> None:
        await asked.wait()
        time.sleep(0.02)  # noqa: ASYNC251 - work: twenty seconds of this clock, far more than whoever asks waits
        done.set()

    async def ask() -> tuple[bool, float]:
        asked, done = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, asked, done)
            await trio.sleep(60.0)
            asked.set()
            with trio.move_on_after(1.0) as waiting:
                await done.wait()
        return waiting.cancelled_caught, trio.current_time()

    too_late, now_s = trio.run(ask, clock=PacedClock(1000.0))
    assert not too_late
    assert now_s == 60.0
