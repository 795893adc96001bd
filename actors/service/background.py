"""An engine in the background: its trio loop in a thread of its own, for bots that live on another loop or on none.

A thread rather than trio's guest mode: a guest's work runs between the callbacks of the host's loop, ends with that
loop, and cannot serve a caller that has none. The figures are in ``docs/embedding.md``.
"""

from __future__ import annotations

import atexit
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final

import trio
from structlog.typing import FilteringBoundLogger

from actors.crash import summary
from actors.logs import default_logger
from actors.ports import Ports
from actors.service.door import Door
from actors.service.waiting import Closing, Opened, on_a_loop
from actors.system import Engine, open_engine
from actors.transport import need_transport
from engine.presets import choose_preset
from engine.scoring import ScorerFactory, build_scorer
from engine.settings import Settings

THREAD_NAME: Final = "updown-engine"

OPENING_S: Final = 5.0
"""How long a call waits for an engine that is about to run."""

REOPEN_S: Final = (1.0, 60.0)
"""Pause before a failed engine is replaced: at first, doubling, and at most; at first again after a longer life."""

AT_EXIT_S: Final = 6.0
"""How long the end of the interpreter waits for an engine nobody closed."""

World = Callable[[], AbstractAsyncContextManager[Ports]]
"""What an engine is given of the world, entered on its own loop."""


class EngineLoop:
    """The trio side: the thread's loop, the door into it, and one engine after another on it."""

    def __init__(
        self,
        settings: Settings,
        *,
        world: World,
        trio_clock: trio.abc.Clock | None,
        scorers: Mapping[str, ScorerFactory],
        log: FilteringBoundLogger,
    ) -> None:
        self.door = Door()
        self.over: Future[None] = Future()
        self._settings = settings
        self._world = world
        self._trio_clock = trio_clock
        self._scorers = scorers
        self._log = log
        self._engine: Engine | None = None
        self._opened = trio.Event()
        self._stopping = trio.Event()

    def run(self) -> None:
        """The life of the thread. Whatever ends it is logged; the door is closed behind it."""
        try:
            trio.run(self._live, clock=self._trio_clock)
        except BaseException as error:  # noqa: BLE001 - nobody waits for a thread; those who call are told by the door
            self._log.critical("engine.thread_failed", error_type=type(error).__name__, error=summary(error))
        finally:
            self.door.close()
            self.over.set_result(None)

    def stop(self) -> None:
        """Let the engine drain and end, then the loop and its thread; returns at once, from any thread. Idempotent."""
        self.door.post(self._stopping.set)

    async def engine(self) -> Engine | None:
        """The running engine, ``None`` if there is none for longer than it takes to open one. On the loop only."""
        if self._engine is None:
            with trio.move_on_after(OPENING_S):
                await self._opened.wait()
        return self._engine

    async def _live(self) -> None:
        async with self._world() as ports, trio.open_nursery() as nursery:
            await nursery.start(self.door.run)
            await self._keep_open(ports)
            nursery.cancel_scope.cancel()

    async def _keep_open(self, ports: Ports) -> None:
        pause_s, longest_s = REOPEN_S
        while not self._stopping.is_set():
            began = trio.current_time()
            try:
                await self._open(ports)
            except Exception as error:  # noqa: BLE001 - the engine is replaced, and the bot keeps getting answers
                if trio.current_time() - began > longest_s:
                    pause_s = REOPEN_S[0]
                self._log.error("engine.failed", error_type=type(error).__name__, error=summary(error), retry_s=pause_s)
                with trio.move_on_after(pause_s):
                    await self._stopping.wait()
                pause_s = min(2 * pause_s, longest_s)

    async def _open(self, ports: Ports) -> None:
        try:
            async with open_engine(self._settings, ports=ports, scorers=self._scorers, log=self._log) as self._engine:
                self._opened.set()
                await self._stopping.wait()
        finally:
            self._engine = None
            # Who waits for an engine that failed as it was opened waits for the next one, on the same event.
            if self._opened.is_set():
                self._opened = trio.Event()


class BackgroundEngine(Opened):
    """An engine for any number of services, in a daemon thread that is named ``updown-engine``.

    It starts with ``start``, a ``with`` or ``async with`` block, or the first call of a service; it opens its sockets
    only then. An engine that fails is logged and replaced. ``world`` gives it other ports than the real ones and is
    entered on its loop, ``trio_clock`` another clock (for tests). Raises ``PresetError`` at once for settings that no
    scorer takes, ``SettingsError`` for a transport that is not installed.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        world: World | None = None,
        trio_clock: trio.abc.Clock | None = None,
        scorers: Mapping[str, ScorerFactory] | None = None,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self.settings = settings or Settings()
        need_transport(self.settings.feed.transport)
        build_scorer(choose_preset(self.settings.scoring, scorers or {}), scorers or {})
        self.loop = EngineLoop(
            self.settings,
            world=world or _the_world,
            trio_clock=trio_clock,
            scorers=scorers or {},
            log=log if log is not None else default_logger(),
        )
        self._thread = threading.Thread(target=self.loop.run, name=THREAD_NAME, daemon=True)
        self._changing = threading.Lock()
        self._started = False
        self._closed = False
        self._abandoned: weakref.finalize[Any, Any] | None = None

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def start(self) -> None:
        """Start the thread; returns at once. Idempotent. Raises ``RuntimeError`` after ``close``."""
        with self._changing:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if not self._started:
                self._thread.start()
                self._started = True
                self._abandoned = weakref.finalize(self, _abandon, self.loop, self._thread)
                self._abandoned.atexit = False
                at_exit = atexit.register(partial(_end_with_program, self.loop, self._thread))
                self.loop.over.add_done_callback(lambda _: atexit.unregister(at_exit))

    def close(self) -> Closing:
        """Let the engine drain and end. Idempotent.

        In synchronous code it returns when the thread is gone, within about 5 seconds. Inside a running asyncio or trio
        loop it returns at once, and what it returns can be awaited until the thread is gone; not awaited, the engine
        ends all the same.
        """
        with self._changing:
            first, self._closed = not self._closed, True
        if self._abandoned is not None:
            self._abandoned.detach()
        if self._started:
            self.loop.stop()  # each time: the first may have been interrupted before it came here
        elif first:
            self.loop.door.close()
            self.loop.over.set_result(None)
        if not on_a_loop():
            self.join()
        return Closing(self.loop.over, self.join)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait, blocking, until the thread is gone."""
        if self._started:
            _join(self.loop, self._thread, timeout_s)


@asynccontextmanager
async def _the_world() -> AsyncIterator[Ports]:
    yield Ports()


def _abandon(loop: EngineLoop, thread: threading.Thread) -> None:
    """The last resort for an engine that nobody closed and nobody can reach any more."""
    loop.stop()  # first of all: where warnings are errors, the next line raises
    warnings.warn(f"unclosed engine in thread {thread.name}", ResourceWarning, stacklevel=2)


def _end_with_program(loop: EngineLoop, thread: threading.Thread) -> None:
    """A daemon thread would be cut off in the middle of anything; this lets the sockets be closed first."""
    loop.stop()
    _join(loop, thread, AT_EXIT_S)


def _join(loop: EngineLoop, thread: threading.Thread, timeout_s: float | None) -> None:
    # Not the thread alone: before Python 3.13, a join that Ctrl-C interrupts takes the thread for ended.
    if wait([loop.over], timeout_s).done:
        thread.join()
