"""Waiting for a future of another thread, on whichever loop the caller runs, or on none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import trio

T = TypeVar("T")


def on_a_loop() -> bool:
    """Whether the caller runs on an asyncio or a trio loop, which must not be blocked."""
    if trio.lowlevel.in_trio_run():
        return True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def outcome(future: Future[T]) -> T:
    """The future's result or exception; being cancelled while waiting cancels the future."""
    if trio.lowlevel.in_trio_task():
        return await _on_trio(future)
    return await asyncio.wrap_future(future)


def blocking_outcome(future: Future[T]) -> T:
    """The same for synchronous code; an interrupted wait cancels the future."""
    try:
        return future.result()
    finally:
        future.cancel()


async def _on_trio(future: Future[T]) -> T:
    done = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def wake(_: Future[T]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(wake)
    try:
        await done.wait()
    finally:
        future.cancel()
    return future.result()


class Closing:
    """The end of something that runs in the background; ``await`` it, on asyncio or trio, to see it gone.

    ``last`` is a last synchronous step for whoever waited, such as joining a thread that is about to be gone.
    """

    def __init__(self, over: Future[None], last: Callable[[], object] | None = None) -> None:
        self._over = over
        self._last = last

    def __await__(self) -> Generator[Any, Any, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        # A future of its own: who gives up waiting must not undo the end for the others.
        waiter: Future[None] = Future()
        self._over.add_done_callback(partial(_pass_on, waiter))
        await outcome(waiter)
        if self._last is not None:
            self._last()


def _pass_on(waiter: Future[None], _: Future[None]) -> None:
    if waiter.set_running_or_notify_cancel():
        waiter.set_result(None)
