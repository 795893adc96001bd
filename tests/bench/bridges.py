"""Bridges: three ways from a bot's asyncio loop to the same live engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio
import structlog
import trio
from anyio.from_thread import BlockingPortal
from measuring import NAMES, SETTINGS, WARM_RATE, world
from trio.testing import MockClock

from actors.service.door import Door
from actors.service.waiting import ask
from actors.system import Engine, open_engine

Call = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def warm_engine(clock: MockClock) -> AsyncIterator[Engine]:
    """A live engine whose windows are full; time then runs like the wall's."""
    clock.rate = WARM_RATE
    async with world() as ports, open_engine(SETTINGS, ports=ports, log=structlog.get_logger()) as engine:
        with trio.fail_after(1000):
            for name in NAMES:
                while (await engine.get_market_score(name)).window.coverage < 0.9:  # noqa: ASYNC110
                    await trio.sleep(1)
        clock.rate = 1.0
        yield engine


class Bridge(Protocol):
    """One way from asyncio to the engine."""

    engine: Engine

    async def open(self) -> None: ...
    async def call(self, function: Call, *args: Any) -> Any: ...
    async def close(self) -> None: ...


class Thread:
    """The engine's loop in a thread of its own."""

    engine: Engine

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    async def open(self) -> None:
        self._thread.start()
        await asyncio.to_thread(self._ready.wait, 30)

    async def close(self) -> None:
        self._end()
        await asyncio.to_thread(self._thread.join, 10)

    def _run(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError


class ByPortal(Thread):
    """Calls through anyio's blocking portal."""

    def _run(self) -> None:
        clock = MockClock()
        anyio.run(self._live, clock, backend="trio", backend_options={"clock": clock})

    async def _live(self, clock: MockClock) -> None:
        async with warm_engine(clock) as self.engine, BlockingPortal() as self._portal:
            self._ready.set()
            await self._portal.sleep_until_stopped()

    async def call(self, function: Call, *args: Any) -> Any:
        return await asyncio.wrap_future(self._portal.start_task_soon(function, *args))

    def _end(self) -> None:
        self._portal.start_task_soon(self._portal.stop, True)


class ByDoor(Thread):
    """Calls through the product's door."""

    def _run(self) -> None:
        clock = MockClock()
        trio.run(self._live, clock, clock=clock)

    async def _live(self, clock: MockClock) -> None:
        self._door, self._stopping = Door(), trio.Event()
        async with warm_engine(clock) as self.engine, trio.open_nursery() as nursery:
            await nursery.start(self._door.run)
            self._ready.set()
            await self._stopping.wait()
            nursery.cancel_scope.cancel()

    async def call(self, function: Call, *args: Any) -> Any:
        return await ask(self._door, function, *args, shared=True)

    def _end(self) -> None:
        self._door.post(self._stopping.set)


class AsGuest:
    """Trio as a guest of the bot's loop."""

    engine: Engine

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._ready, self._done = loop.create_future(), loop.create_future()
        clock = MockClock()
        trio.lowlevel.start_guest_run(
            self._live,
            clock,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            run_sync_soon_not_threadsafe=loop.call_soon,
            done_callback=self._done.set_result,
            clock=clock,
        )
        await self._ready

    async def _live(self, clock: MockClock) -> None:
        async with warm_engine(clock) as self.engine, trio.open_nursery() as self._nursery:
            self._ready.set_result(None)
            await trio.sleep_forever()

    async def call(self, function: Call, *args: Any) -> Any:
        answer = asyncio.get_running_loop().create_future()
        scope = trio.CancelScope()
        self._nursery.start_soon(self._serve, scope, answer, function, args)
        try:
            return await answer
        except asyncio.CancelledError:
            scope.cancel()
            raise

    async def _serve(
        self, scope: trio.CancelScope, answer: asyncio.Future[Any], function: Call, args: tuple[Any, ...]
    ) -> None:
        with scope:
            result = await function(*args)
            if not answer.done():
                answer.set_result(result)

    async def close(self) -> None:
        self._nursery.cancel_scope.cancel()
        (await self._done).unwrap()


BRIDGES: dict[str, Callable[[], Bridge]] = {"portal": ByPortal, "door": ByDoor, "guest": AsGuest}
