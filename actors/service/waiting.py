"""Waiting for what is done on another loop: on whichever loop the caller runs, or on none."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self, TypeVar

import trio

from actors.service.door import Call, Carry, Door

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


async def ask(door: Door, function: Callable[..., Awaitable[T]], *args: Any, shared: bool = False) -> T:
    """``await function(*args)`` behind the door, on asyncio or trio; cancelled there when it is cancelled here."""
    caller = _TrioCaller() if trio.lowlevel.in_trio_task() else _AsyncioCaller()
    call = Call(caller, function, args, shared=shared)
    door.submit(call)
    try:
        answer: T = await caller.answer()
    except BaseException:
        door.give_up(call)
        raise
    return answer


def ask_blocking(door: Door, function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """The same for code on no loop; an interrupted wait cancels it."""
    caller = _ThreadCaller()
    call = Call(caller, function, args)
    door.submit(call)
    try:
        answer: T = caller.future.result()
    except BaseException:
        door.give_up(call)
        raise
    return answer


class _AsyncioCaller:
    """A task of an asyncio loop."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.carry: Carry | None = loop.call_soon_threadsafe
        self._future: asyncio.Future[Any] = loop.create_future()

    def settle(self, result: Any, error: Exception | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(result)
        else:
            self._future.set_exception(error)

    async def answer(self) -> Any:
        return await self._future


class _TrioCaller:
    """A task of a trio loop, another one than the one behind the door."""

    def __init__(self) -> None:
        self.carry: Carry | None = trio.lowlevel.current_trio_token().run_sync_soon
        self._settled = trio.Event()
        self._result: Any = None
        self._error: Exception | None = None

    def settle(self, result: Any, error: Exception | None) -> None:
        self._result, self._error = result, error
        self._settled.set()

    async def answer(self) -> Any:
        await self._settled.wait()
        if self._error is not None:
            raise self._error
        return self._result


class _ThreadCaller:
    """A thread without a loop."""

    def __init__(self) -> None:
        self.carry: Carry | None = None
        self.future: Future[Any] = Future()

    def settle(self, result: Any, error: Exception | None) -> None:
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


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
        caller = _TrioCaller() if trio.lowlevel.in_trio_task() else _AsyncioCaller()

        def tell(_: Future[None]) -> None:
            with suppress(RuntimeError):  # a loop that is over waits for nothing
                if caller.carry is not None:
                    caller.carry(caller.settle, None, None)

        self._over.add_done_callback(tell)
        await caller.answer()
        if self._last is not None:
            self._last()


class Opened(ABC):
    """What begins with ``start`` and ends with ``close`` is a context manager of either kind."""

    @abstractmethod
    def start(self) -> None:
        """Begin; returns at once."""

    @abstractmethod
    def close(self) -> Closing:
        """End; what it returns can be awaited."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
