"""How a service reaches its engine: in a thread of its own, or on the very loop of the caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

import trio

from actors.service.background import BackgroundEngine
from actors.service.desk import Desk, Home
from actors.service.door import Call, Nobody
from actors.service.waiting import Closing, ask, ask_blocking, on_a_loop
from actors.system import Engine

T = TypeVar("T")


class Reach(Protocol):
    """What a service needs of wherever the engine is."""

    home: Home

    @property
    def closed(self) -> bool:
        """Whether the engine was closed."""

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have ``function`` done on the engine's loop, before whatever is called later."""

    def warm(self, desk: Desk) -> None:
        """Start the engine if it does not run, and have it follow what the desk looks at."""

    async def call(self, function: Callable[..., Awaitable[T]], *args: Any, shared: bool = False) -> T:
        """``await function(*args)`` on the engine's loop."""

    def call_blocking(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """The same for code that runs on no loop."""

    def close(self) -> Closing:
        """End the engine, if it is the service's own."""


class Far:
    """A background engine."""

    def __init__(self, engine: BackgroundEngine, *, own: bool) -> None:
        self.home: Home = engine.loop
        self._engine = engine
        self._own = own

    @property
    def closed(self) -> bool:
        """Whether the engine was closed."""
        return self._engine.closed

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Put it into the queue; it is done once the engine runs."""
        self._engine.loop.door.post(partial(function, *args))

    def warm(self, desk: Desk) -> None:
        """Start the thread, and have the desk's markets followed there."""
        self._engine.start()
        self._engine.loop.door.submit(Call(Nobody(), desk.warm, ()))

    async def call(self, function: Callable[..., Awaitable[T]], *args: Any, shared: bool = False) -> T:
        """Call through the door, and wait on the caller's loop."""
        return await ask(self._engine.loop.door, function, *args, shared=shared)

    def call_blocking(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Call through the door, and block."""
        return ask_blocking(self._engine.loop.door, function, *args)

    def close(self) -> Closing:
        """Close the engine if it is the service's own; one that was handed over goes on."""
        return self._engine.close() if self._own else _nothing_to_close()


class Near:
    """An engine of the caller's own trio loop. Raises ``RuntimeError`` outside of ``trio.run``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._token = trio.lowlevel.current_trio_token()
        self.home: Home = self

    @property
    def closed(self) -> bool:
        """Never told by the engine itself: whoever opened it knows."""
        return False

    async def engine(self) -> Engine | None:
        """The engine (as ``Home``)."""
        return self._engine

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Do it now, or soon if this is another thread's doing (the garbage collector's)."""
        if self._at_home():
            function(*args)
            return
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(function, *args)

    def warm(self, desk: Desk) -> None:
        """Have the desk's markets followed."""
        self.post(desk.warm_on, self._engine)

    async def call(self, function: Callable[..., Awaitable[T]], *args: Any, shared: bool = False) -> T:
        """Call it."""
        if not self._at_home():
            raise RuntimeError("this engine belongs to another trio loop; to share one, hand over a BackgroundEngine")
        return await function(*args)

    def call_blocking(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Raises ``RuntimeError``: whoever blocks here blocks the engine."""
        raise RuntimeError("this engine belongs to a trio loop; synchronous code needs a BackgroundEngine")

    def close(self) -> Closing:
        """Nothing: the engine belongs to whoever opened it."""
        return _nothing_to_close()

    def _at_home(self) -> bool:
        return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is self._token


def refuse_on_a_loop(instead: str) -> None:
    """Raise ``RuntimeError`` where blocking would hold up a running loop."""
    if on_a_loop():
        raise RuntimeError(f"this would block the running loop: await {instead}")


def _nothing_to_close() -> Closing:
    over: Future[None] = Future()
    over.set_result(None)
    return Closing(over)
