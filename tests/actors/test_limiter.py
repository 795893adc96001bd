import pytest
import trio
from trio.testing import MockClock

from actors.clock import NS_PER_S, Clock
from actors.limiter import ConnectLimiter

START_NS = 1_000 * NS_PER_S


async def passes(limiter: ConnectLimiter, clock: Clock, count: int) -> list[float]:
    """The seconds at which `count` connects in a row passed."""
    moments = []
    for _ in range(count):
        await limiter.acquire()
        moments.append((clock.now_ns() - START_NS) / NS_PER_S)
    return moments


async def test_burst_then_rate(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(START_NS)
    assert await passes(ConnectLimiter(clock), clock, 7) == pytest.approx([0, 0, 0, 0.2, 0.4, 0.6, 0.8], abs=1e-8)


async def test_bucket_refills_while_idle_and_not_beyond_the_burst(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(START_NS)
    limiter = ConnectLimiter(clock, rate_per_s=2.0, burst=2)
    await passes(limiter, clock, 4)
    await trio.sleep(100.0)
    assert await passes(limiter, clock, 4) == pytest.approx([101, 101, 101.5, 102], abs=1e-8)


async def test_never_more_than_the_rate_in_any_second_but_for_the_burst(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(START_NS)
    limiter = ConnectLimiter(clock)
    moments: list[float] = []

    async def actor(pause_s: float) -> None:
        for _ in range(20):
            moments.extend(await passes(limiter, clock, 1))
            await trio.sleep(pause_s)

    async with trio.open_nursery() as nursery:
        for index in range(10):
            nursery.start_soon(actor, 0.13 * index)
    moments.sort()
    assert len(moments) == 200
    assert all(later - earlier >= 1.0 - 1e-6 for earlier, later in zip(moments, moments[8:], strict=False))


async def test_first_come_first_served(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(START_NS)
    limiter = ConnectLimiter(clock)
    order: list[int] = []

    async def actor(index: int) -> None:
        await limiter.acquire()
        order.append(index)

    async with trio.open_nursery() as nursery:
        for index in range(30):
            nursery.start_soon(actor, index)
            await trio.testing.wait_all_tasks_blocked()
    assert order == list(range(30))


async def test_a_cancelled_wait_takes_nothing(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(START_NS)
    limiter = ConnectLimiter(clock, rate_per_s=1.0, burst=1)
    await limiter.acquire()
    with trio.move_on_after(0.9) as scope:
        await limiter.acquire()
    assert scope.cancelled_caught
    assert await passes(limiter, clock, 2) == pytest.approx([1.0, 2.0], abs=1e-8)


async def test_cancelled_in_the_line_lets_the_next_one_up(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(START_NS)
    limiter = ConnectLimiter(clock, rate_per_s=1.0, burst=1)
    await limiter.acquire()
    passed: dict[str, float] = {}

    async def actor(name: str, scope: trio.CancelScope) -> None:
        with scope:
            await limiter.acquire()
            passed[name] = (clock.now_ns() - START_NS) / NS_PER_S

    scopes = {name: trio.CancelScope() for name in ("head", "middle", "tail")}
    async with trio.open_nursery() as nursery:
        for name, scope in scopes.items():
            nursery.start_soon(actor, name, scope)
            await trio.testing.wait_all_tasks_blocked()
        scopes["head"].cancel()
        scopes["middle"].cancel()
    assert passed == pytest.approx({"tail": 1.0}, abs=1e-8)


async def test_pause_holds_everyone_and_spends_the_burst(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(START_NS)
    limiter = ConnectLimiter(clock)
    limiter.pause(60.0)
    assert await passes(limiter, clock, 3) == pytest.approx([60.0, 60.2, 60.4], abs=1e-8)


async def test_pause_reaches_those_already_waiting(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(START_NS)
    limiter = ConnectLimiter(clock, burst=1)
    await limiter.acquire()
    moments: list[float] = []

    async def actor() -> None:
        moments.extend(await passes(limiter, clock, 1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor)
        nursery.start_soon(actor)
        await trio.sleep(0.1)
        limiter.pause(10.0)
        await trio.sleep(5.0)
        limiter.pause(10.0)
        limiter.pause(1.0)
    assert moments == pytest.approx([15.1, 15.3], abs=1e-8)


@pytest.mark.parametrize(("seconds", "moments"), [(0.0, [0.0, 0.2, 0.4]), (0.5, [0.5, 0.7, 0.9])])
async def test_a_short_pause_spends_the_burst_as_well(
    autojump_clock: MockClock, seconds: float, moments: list[float]
) -> None:
    clock = Clock.anchored(START_NS)
    limiter = ConnectLimiter(clock)
    limiter.pause(seconds)
    assert await passes(limiter, clock, 3) == pytest.approx(moments, abs=1e-8)


async def test_acquire_is_a_checkpoint_even_when_it_need_not_wait(mock_clock: MockClock) -> None:
    limiter = ConnectLimiter(Clock.anchored(START_NS))
    with trio.testing.assert_checkpoints():
        await limiter.acquire()


@pytest.mark.parametrize(("rate_per_s", "burst"), [(0.0, 3), (-1.0, 3), (float("inf"), 3), (float("nan"), 3), (5.0, 0)])
async def test_impossible_buckets_are_refused(mock_clock: MockClock, rate_per_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="no such bucket"):
        ConnectLimiter(Clock.anchored(START_NS), rate_per_s=rate_per_s, burst=burst)


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
async def test_impossible_pauses_are_refused(mock_clock: MockClock, seconds: float) -> None:
    with pytest.raises(ValueError, match="cannot pause"):
        ConnectLimiter(Clock.anchored(START_NS)).pause(seconds)
