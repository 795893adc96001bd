"""Waiting for what is done behind a door: on asyncio and uvloop, on another trio loop, and in plain threads."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import trio

from actors.service.door import Door, DoorClosed
from actors.service.waiting import Closing, ask, ask_blocking, on_a_loop
from tests.actors.service.embedding import (
    PATIENCE_S,
    Behind,
    Endless,
    LoopFactory,
    blocked,
    every_loop,
    interrupting,
    on_asyncio,
    seen,
    with_signals,
)

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


async def double(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return 2 * number


async def fail(number: int) -> int:
    await trio.lowlevel.checkpoint()
    raise ValueError(f"no {number}")


# ---------------------------------------------------------------------------------------------------- where we are


def test_synchronous_code_is_on_no_loop() -> None:
    assert not on_a_loop()


@every_loop
def test_asyncio_code_is_on_a_loop_and_its_worker_threads_are_not(new_loop: LoopFactory) -> None:
    async def main() -> tuple[bool, bool]:
        return on_a_loop(), await asyncio.to_thread(on_a_loop)

    assert on_asyncio(main, new_loop) == (True, False)


async def test_trio_code_is_on_a_loop_and_its_worker_threads_are_not() -> None:
    assert on_a_loop()
    assert not await trio.to_thread.run_sync(on_a_loop)


# --------------------------------------------------------------------------------------------------------- asyncio


@every_loop
def test_asyncio_gets_result_and_error(new_loop: LoopFactory) -> None:
    async def main() -> int:
        with pytest.raises(ValueError, match="no 3"):
            await ask(behind.door, fail, 3)
        return await ask(behind.door, double, 4)

    with Behind() as behind:
        assert on_asyncio(main, new_loop) == 8


@every_loop
def test_every_one_of_many_waiters_gets_its_own(new_loop: LoopFactory) -> None:
    async def main() -> list[int]:
        return list(await asyncio.gather(*(ask(behind.door, double, number) for number in range(100))))

    with Behind() as behind:
        assert on_asyncio(main, new_loop) == list(range(0, 200, 2))


@every_loop
@pytest.mark.parametrize("shared", [True, False])
def test_a_cancelled_asyncio_task_cancels_its_call(new_loop: LoopFactory, shared: bool) -> None:
    endless = Endless()

    async def main() -> None:
        task = asyncio.create_task(ask(behind.door, endless.call, shared=shared))
        assert await seen(endless.begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await seen(endless.cancelled)

    with Behind() as behind:
        on_asyncio(main, new_loop)


def test_an_asyncio_timeout_is_a_timeout() -> None:
    endless = Endless()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(behind.door, endless.call), 0.01)
        assert await ask(behind.door, double, 1) == 2

    with Behind() as behind:
        on_asyncio(main)


@every_loop
def test_cancelling_one_of_several_that_share_a_call_is_nothing_to_the_others(new_loop: LoopFactory) -> None:
    go_on = trio.Event()
    begun = threading.Event()
    times: list[int] = []

    async def slow() -> str:
        times.append(1)
        begun.set()
        await go_on.wait()
        return "done"

    async def main() -> list[Any]:
        with blocked(behind.door):
            tasks = [asyncio.create_task(ask(behind.door, slow, shared=True)) for _ in range(4)]
            await asyncio.sleep(0)
        assert await seen(begun)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        behind.door.post(go_on.set)
        return await asyncio.gather(*tasks, return_exceptions=True)

    with Behind() as behind:
        first, cancelled, *others = on_asyncio(main, new_loop)
    assert (first, others) == ("done", ["done", "done"])
    assert isinstance(cancelled, asyncio.CancelledError)
    assert times == [1]


@every_loop
def test_a_cancelled_call_that_was_answered_meanwhile_is_cancelled_quietly(new_loop: LoopFactory) -> None:
    async def main() -> None:
        task = asyncio.create_task(ask(behind.door, double, 1))
        await asyncio.sleep(0)
        assert ask_blocking_elsewhere(behind.door) == 4  # its answer is on its way, and this loop has not looked yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Behind() as behind:
        on_asyncio(main, new_loop)


def ask_blocking_elsewhere(door: Door) -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask_blocking, door, double, 2).result(PATIENCE_S)


@every_loop
def test_an_asyncio_loop_closed_under_a_call_leaves_nothing_behind(
    new_loop: LoopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    endless = Endless()
    answered = threading.Event()

    async def slow() -> None:
        endless.begun.set()
        await trio.sleep(0.01)
        answered.set()

    async def begin() -> list[asyncio.Task[Any]]:
        tasks = [asyncio.ensure_future(ask(behind.door, call)) for call in (endless.call, slow)]
        assert await seen(endless.begun)
        return tasks

    with Behind() as behind:
        loop = new_loop()
        tasks = loop.run_until_complete(begin())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        assert answered.wait(PATIENCE_S)
        assert on_asyncio(lambda: ask(behind.door, double, 5)) == 10
    assert endless.cancelled.is_set()
    assert caplog.records == []
    abandon(*tasks)


def abandon(*tasks: asyncio.Task[Any]) -> None:
    """Let asyncio say nothing about tasks that a test left unfinished on purpose."""
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


@every_loop
def test_an_asyncio_caller_is_told_that_the_loop_ended(new_loop: LoopFactory) -> None:
    endless = Endless()

    async def main() -> None:
        tasks = [asyncio.create_task(ask(behind.door, endless.call)) for _ in range(3)]
        assert await seen(endless.begun)
        await asyncio.to_thread(behind.end)
        for task in [*tasks, asyncio.create_task(ask(behind.door, double, 1))]:
            with pytest.raises(DoorClosed):
                await task

    with Behind() as behind:
        on_asyncio(main, new_loop)


def test_a_call_of_asyncio_waits_for_a_loop_that_does_not_run_yet() -> None:
    behind = Behind()

    async def main() -> tuple[list[bool], int]:
        task = asyncio.create_task(ask(behind.door, double, 6))
        await asyncio.sleep(0.01)
        early = [task.done()]
        behind.__enter__()
        return early, await task

    try:
        assert on_asyncio(main) == ([False], 12)
    finally:
        behind.end()


@every_loop
def test_asyncio_goes_on_while_the_loop_behind_the_door_is_held_up(new_loop: LoopFactory) -> None:
    async def main() -> int:
        with blocked(behind.door) as freed:
            task = asyncio.create_task(ask(behind.door, double, 7))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not task.done()
            freed.set()
            return await task

    with Behind() as behind:
        assert on_asyncio(main, new_loop) == 14


# ------------------------------------------------------------------------------------------------------------ trio


async def test_trio_gets_result_and_error() -> None:
    with Behind() as behind:
        assert await ask(behind.door, double, 4) == 8
        with pytest.raises(ValueError, match="no 3"):
            await ask(behind.door, fail, 3)


async def test_a_cancelled_trio_task_cancels_its_call() -> None:
    endless = Endless()
    with Behind() as behind:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, behind.door, endless.call)
            assert await trio.to_thread.run_sync(endless.begun.wait, PATIENCE_S)
            nursery.cancel_scope.cancel()
        assert await trio.to_thread.run_sync(endless.cancelled.wait, PATIENCE_S)
        assert nursery.cancel_scope.cancelled_caught


async def test_a_trio_timeout_is_a_timeout() -> None:
    endless = Endless()
    with Behind() as behind:
        with trio.move_on_after(0.01) as scope:
            await ask(behind.door, endless.call)
        assert scope.cancelled_caught
        assert await ask(behind.door, double, 1) == 2


async def test_a_trio_caller_is_told_that_the_loop_ended() -> None:
    endless, errors = Endless(), list[type[BaseException]]()

    async def caller() -> None:
        try:
            await ask(behind.door, endless.call)
        except DoorClosed as error:
            errors.append(type(error))

    with Behind() as behind:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller)
            assert await trio.to_thread.run_sync(endless.begun.wait, PATIENCE_S)
            await trio.to_thread.run_sync(behind.end)
        with pytest.raises(DoorClosed):
            await ask(behind.door, double, 1)
    assert errors == [DoorClosed]


# ------------------------------------------------------------------------------------------------ synchronous code


def test_synchronous_code_gets_result_and_error() -> None:
    with Behind() as behind:
        assert ask_blocking(behind.door, double, 4) == 8
        with pytest.raises(ValueError, match="no 3"):
            ask_blocking(behind.door, fail, 3)
    with pytest.raises(DoorClosed):
        ask_blocking(behind.door, double, 1)


@with_signals
def test_an_interrupted_wait_cancels_its_call() -> None:
    endless = Endless()
    with Behind() as behind:
        with interrupting(endless.begun):
            ask_blocking(behind.door, endless.call)
        assert endless.cancelled.wait(PATIENCE_S)
        assert ask_blocking(behind.door, double, 1) == 2


def test_blocked_threads_are_told_that_the_loop_ended() -> None:
    endless = Endless()
    with Behind() as behind, ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(ask_blocking, behind.door, endless.call) for _ in range(4)]
        assert endless.begun.wait(PATIENCE_S)
        behind.end()
        assert [type(future.exception(PATIENCE_S)) for future in waiting] == [DoorClosed] * 4


def test_all_kinds_of_callers_at_once() -> None:
    def on_its_own_asyncio(number: int) -> int:
        return on_asyncio(lambda: ask(behind.door, double, number, shared=True))

    def on_its_own_trio(number: int) -> int:
        return trio.run(ask, behind.door, double, number)

    def on_none(number: int) -> int:
        return ask_blocking(behind.door, double, number)

    kinds = (on_its_own_asyncio, on_its_own_trio, on_none) * 4
    with Behind() as behind, ThreadPoolExecutor(len(kinds)) as pool:
        futures = [pool.submit(kind, number) for number, kind in enumerate(kinds)]
        assert [future.result(PATIENCE_S) for future in futures] == list(range(0, 24, 2))


@every_loop
def test_context_variables_stay_on_their_side(new_loop: LoopFactory) -> None:
    async def call() -> str:
        found = VARIABLE.get()
        VARIABLE.set("of the call")
        return found

    async def main() -> tuple[str, str]:
        VARIABLE.set("of the caller")
        return await ask(behind.door, call), VARIABLE.get()

    with Behind() as behind:
        assert on_asyncio(main, new_loop) == ("unset", "of the caller")
        assert on_asyncio(main, new_loop) == ("unset", "of the caller")
    assert VARIABLE.get() == "unset"


# --------------------------------------------------------------------------------------------------------- closing


class Ending:
    """An end that a test decides about."""

    def __init__(self) -> None:
        self.over: Future[None] = Future()
        self.last: list[str] = []
        self.closing = Closing(self.over, lambda: self.last.append("joined"))

    def end_soon(self) -> None:
        threading.Timer(0.01, self.over.set_result, [None]).start()


@every_loop
def test_an_end_can_be_awaited_twice_and_by_several_on_asyncio(new_loop: LoopFactory) -> None:
    ending = Ending()

    async def wait() -> None:
        await ending.closing

    async def main() -> None:
        tasks = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        tasks[1].cancel()
        ending.end_soon()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in done] == [type(None), asyncio.CancelledError, type(None)]
        await ending.closing

    on_asyncio(main, new_loop)
    assert ending.last == ["joined"] * 3


async def test_an_end_can_be_awaited_twice_and_by_several_on_trio() -> None:
    ending, seen_by = Ending(), list[int]()

    async def wait(number: int) -> None:
        await ending.closing
        seen_by.append(number)

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, 1)
            nursery.start_soon(wait, 2)
            with trio.move_on_after(0.001):
                await ending.closing
            assert seen_by == []
            ending.end_soon()
        await ending.closing
    assert sorted(seen_by) == [1, 2]
    assert ending.last == ["joined"] * 3


def test_an_end_that_nobody_awaits_says_nothing() -> None:
    ending = Ending()
    ending.over.set_result(None)
    assert ending.last == []
    del ending
    gc.collect()


def test_an_end_outlives_the_loop_of_who_waited(caplog: pytest.LogCaptureFixture) -> None:
    ending = Ending()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await ending.closing

    on_asyncio(give_up)
    loop = asyncio.new_event_loop()
    task = loop.create_task(wait_for(ending))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    ending.over.set_result(None)
    assert (caplog.records, ending.last) == ([], [])
    abandon(task)
    on_asyncio(lambda: wait_for(ending))
    assert ending.last == ["joined"]


async def wait_for(ending: Ending) -> None:
    await ending.closing


def test_threads_that_only_ask_are_not_held_up_by_one_that_waits() -> None:
    endless = Endless()
    with Behind() as behind, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask_blocking, behind.door, endless.call)
        assert endless.begun.wait(PATIENCE_S)
        assert [ask_blocking(behind.door, double, number) for number in range(20)] == list(range(0, 40, 2))
        assert not waiting.done()
        behind.end()
