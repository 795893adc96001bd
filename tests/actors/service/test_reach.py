"""How a service reaches its engine, and that the caller's own loop is never held up on the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from actors.service import MarketMicrostructureService
from actors.service.desk import Desk
from actors.service.door import DoorClosed
from actors.service.reach import Far, Near, refuse_on_a_loop
from actors.service.waiting import ask_blocking
from engine.settings import FollowSettings
from engine.signals import MarketSignals
from tests.actors.local_venue import follow, rig
from tests.actors.service.embedding import (
    PATIENCE_S,
    SETTINGS,
    LoopFactory,
    blocked,
    engine_threads,
    every_loop,
    on_asyncio,
    rehearsal,
    wait_until,
)

BTC = FollowSettings(series="btc-15m")
STRANGER = "0x" + "5" * 64

MockClock = trio.testing.MockClock


async def double(number: int) -> int:
    return 2 * number


def desk_of(reach: Far | Near) -> Desk:
    desk = Desk(reach.home, SETTINGS)
    desk.switch(BTC)
    return desk


# --------------------------------------------------------------------------------------------------- in its own thread


def test_far_calls_from_every_side() -> None:
    with rehearsal() as engine:
        far = Far(engine, own=False)
        assert far.home is engine.loop
        assert far.call_blocking(double, 1) == 2
        assert on_asyncio(lambda: far.call(double, 2)) == 4
        assert trio.run(far.call, double, 3) == 6


def test_far_posts_wait_for_the_engine_and_come_before_later_calls() -> None:
    done: list[str] = []

    async def call() -> list[str]:
        return list(done)

    engine = rehearsal()
    far = Far(engine, own=True)
    far.post(done.append, "posted")
    assert (done, engine_threads()) == ([], [])
    engine.start()
    assert far.call_blocking(call) == ["posted"]
    far.close()


def test_far_warms_by_starting_the_engine_and_following() -> None:
    engine = rehearsal()
    far = Far(engine, own=True)
    far.warm(desk_of(far))
    assert len(engine_threads()) == 1

    async def followed() -> bool:
        running = await engine.loop.engine()
        return running is not None and running.key_of("btc-15m") is not None

    wait_until(lambda: far.call_blocking(followed))
    far.close()


def test_far_ends_only_an_engine_of_its_own() -> None:
    with rehearsal() as engine:
        assert len(engine_threads()) == 1
        handed_over, own = Far(engine, own=False), Far(engine, own=True)
        handed_over.close()
        assert (handed_over.closed, len(engine_threads())) == (False, 1)
        on_asyncio(partial(end, handed_over))
        assert len(engine_threads()) == 1
        own.close()
        assert (handed_over.closed, own.closed, engine_threads()) == (True, True, [])
        with pytest.raises(DoorClosed):
            own.call_blocking(double, 1)


async def end(reach: Far | Near) -> None:
    await reach.close()


# -------------------------------------------------------------------------------- the caller's loop is never held up


ACTIONS: dict[str, Callable[[MarketMicrostructureService], Any]] = {
    "set_market": lambda service: service.set_market(STRANGER),
    "follow": lambda service: service.follow("eth-15m"),
    "start": lambda service: service.start(),
    "close": lambda service: service.close(),
}

CALLS: dict[str, Callable[[MarketMicrostructureService], Any]] = {
    "get_market_score": lambda service: service.get_market_score(),
    "collect_market_data": lambda service: service.collect_market_data(STRANGER, 1.0),
}


async def beat_on_asyncio() -> None:
    """Let an asyncio loop go round many times."""
    for _ in range(50):
        await asyncio.sleep(0)


@every_loop
@pytest.mark.parametrize("action", ACTIONS)
def test_an_engine_that_is_busy_holds_up_no_asyncio_loop(new_loop: LoopFactory, action: str) -> None:
    # If anything here waited for the engine's loop, that would stay held up, and `blocked` would tell.
    async def main() -> None:
        with blocked(engine.loop.door) as freed:
            service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
            ACTIONS[action](service)
            await beat_on_asyncio()
            freed.set()
        await service.close()

    with rehearsal() as engine:
        on_asyncio(main, new_loop)


@every_loop
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_waits_for_a_busy_engine_lets_asyncio_go_on(new_loop: LoopFactory, call: str) -> None:
    async def main() -> object:
        with blocked(engine.loop.door) as freed:
            task = asyncio.ensure_future(CALLS[call](service))
            await beat_on_asyncio()
            assert not task.done()
            freed.set()
        return await task

    with rehearsal() as engine:
        service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
        assert isinstance(on_asyncio(main, new_loop), MarketSignals | dict)


@every_loop
def test_an_engine_that_is_busy_can_be_closed_without_waiting(new_loop: LoopFactory) -> None:
    async def main() -> None:
        with blocked(engine.loop.door) as freed:
            closing = engine.close()
            await beat_on_asyncio()
            assert len(engine_threads()) == 1
            freed.set()
        await closing
        assert engine_threads() == []

    engine = rehearsal()
    engine.start()
    on_asyncio(main, new_loop)


async def test_an_engine_that_is_busy_holds_up_no_trio_loop() -> None:
    results: list[object] = []

    async def call(service: MarketMicrostructureService) -> None:
        results.append(await service.get_market_score())

    async with rehearsal() as engine:
        service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
        async with trio.open_nursery() as nursery:
            with blocked(engine.loop.door) as freed:
                for action in ("start", "follow"):
                    ACTIONS[action](service)
                nursery.start_soon(call, service)
                for _ in range(50):
                    await trio.lowlevel.checkpoint()
                assert results == []
                freed.set()
        service.close()
    assert [type(result) for result in results] == [MarketSignals]


def test_an_engine_that_is_busy_holds_up_no_thread() -> None:
    with rehearsal() as engine:
        service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
        with blocked(engine.loop.door):
            for action in ACTIONS.values():
                action(service)


@every_loop
def test_an_engine_that_takes_long_to_come_up_holds_up_no_loop(new_loop: LoopFactory) -> None:
    up = threading.Event()
    in_time: list[bool] = []

    async def main() -> MarketSignals:
        service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
        for action in ("start", "follow", "set_market"):
            ACTIONS[action](service)
        task = asyncio.create_task(service.get_market_score(max_wait_s=0))
        await beat_on_asyncio()
        assert not task.done()
        up.set()
        return await task

    engine = rehearsal()
    run = engine.loop.run

    def come_up_late() -> None:
        in_time.append(up.wait(PATIENCE_S))
        run()

    engine._thread = threading.Thread(target=come_up_late, name="updown-engine", daemon=True)
    with engine:
        assert isinstance(on_asyncio(main, new_loop), MarketSignals)
    assert in_time == [True]


# -------------------------------------------------------------------------------------------------- on the same loop


async def test_near_calls_at_home(autojump_clock: MockClock) -> None:
    async with rig(follow()) as running:
        near = Near(running.engine)
        assert await near.call(double, 1, shared=True) == 2
        assert await near.home.engine() is running.engine
        assert near.closed is False


async def test_near_posts_at_home_at_once(autojump_clock: MockClock) -> None:
    done: list[str] = []
    async with rig(follow()) as running:
        Near(running.engine).post(done.append, "posted")
        assert done == ["posted"]


async def test_near_follows_at_once(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        near = Near(running.engine)
        near.warm(desk_of(near))
        await trio.sleep(1.0)
        assert running.engine.key_of("btc-15m") is not None


async def test_near_posts_from_another_thread_are_done_soon() -> None:
    done: list[threading.Thread] = []
    last = trio.Event()
    async with rig(follow()) as running:
        near = Near(running.engine)
        await trio.to_thread.run_sync(near.post, lambda: done.append(threading.current_thread()))
        await trio.to_thread.run_sync(near.post, last.set)
        with trio.fail_after(PATIENCE_S):
            await last.wait()
    assert done == [threading.main_thread()]


def test_near_posts_after_the_loop_are_nothing() -> None:
    done: list[str] = []

    async def main() -> Near:
        async with rig(follow()) as running:
            return Near(running.engine)

    near = trio.run(main)
    near.post(done.append, "too late")
    assert done == []


async def test_near_cannot_be_called_from_another_loop() -> None:
    async with rig(follow()) as running:
        near = Near(running.engine)
        for elsewhere in (partial(trio.run, near.call, double, 1), partial(on_asyncio, lambda: near.call(double, 1))):
            with pytest.raises(RuntimeError, match=r"belongs to another trio loop.*hand over a BackgroundEngine"):
                await trio.to_thread.run_sync(elsewhere)


async def test_near_cannot_be_called_blocking() -> None:
    async with rig(follow()) as running:
        near = Near(running.engine)
        with pytest.raises(RuntimeError, match="synchronous code needs a BackgroundEngine"):
            await trio.to_thread.run_sync(near.call_blocking, double, 1)


async def test_near_leaves_the_engine_to_who_opened_it(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-15m"), seconds=1) as running:
        await end(Near(running.engine))
        await trio.sleep(10.0)
        assert len(running.signals) >= 2


def test_near_needs_a_loop() -> None:
    async def main() -> Any:
        async with rig(follow()) as running:
            return running.engine

    engine = trio.run(main)
    with pytest.raises(RuntimeError):
        Near(engine)


# ------------------------------------------------------------------------------------------------------------ blocking


def test_blocking_is_refused_on_every_loop_and_nowhere_else() -> None:
    async def refused() -> None:
        with pytest.raises(RuntimeError, match=r"would block the running loop: await get_market_score\(\)"):
            refuse_on_a_loop("get_market_score()")

    on_asyncio(refused)
    trio.run(refused)
    refuse_on_a_loop("get_market_score()")


def test_a_blocking_score_is_refused_on_a_loop_before_anything_is_started() -> None:
    service = MarketMicrostructureService(condition_id="btc-15m", engine=rehearsal())

    async def refused() -> None:
        with pytest.raises(RuntimeError, match=r"await get_market_score\(\)"):
            service.score()

    on_asyncio(refused)
    trio.run(refused)
    assert engine_threads() == []


def test_a_blocking_score_is_fine_in_a_worker_thread_of_a_loop() -> None:
    with rehearsal() as engine:
        service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
        score = partial(service.score, max_wait_s=0)
        assert isinstance(on_asyncio(lambda: asyncio.to_thread(score)), MarketSignals)
        assert isinstance(trio.run(trio.to_thread.run_sync, score), MarketSignals)
        ask_blocking(engine.loop.door, trio.lowlevel.checkpoint)
