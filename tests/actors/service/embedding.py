"""A trio loop in another thread, and the loops of the programs that call it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Self, TypeVar

import pytest
import trio

from actors.rehearsal import RehearsalEngine
from actors.service.door import Door, DoorClosed
from actors.service.waiting import ask_blocking
from engine.settings import ScoringSettings, Settings
from tests.actors.local_venue import NOWHERE, QUARTER_S, QUIET

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

ROOT = Path(__file__).resolve().parents[3]

PATIENCE_S = 20.0
"""What never comes is given up after so long; what comes is waited for by events alone."""

UVLOOP = importlib.util.find_spec("uvloop") is not None

SETTINGS = Settings(scoring=ScoringSettings(window_s=60.0), venue=NOWHERE)


def uvloop_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop."""
    import uvloop  # noqa: PLC0415 - not on every platform

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


every_loop = pytest.mark.parametrize(
    "new_loop",
    [
        pytest.param(asyncio.new_event_loop, id="asyncio"),
        pytest.param(uvloop_loop, id="uvloop", marks=pytest.mark.skipif(not UVLOOP, reason="no uvloop here")),
    ],
)


def on_asyncio(main: Callable[[], Coroutine[Any, Any, T]], new_loop: LoopFactory = asyncio.new_event_loop) -> T:
    """As ``asyncio.run``, in a loop of that kind; nothing may hang, and no task may be left when ``main`` returns."""

    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE_S):
            result = await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(bounded())


async def seen(event: threading.Event) -> bool:
    """Wait for an event of another thread without holding up the asyncio loop."""
    return await asyncio.to_thread(event.wait, PATIENCE_S)


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run an interpreter of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wait_until(holds: Callable[[], bool]) -> None:
    """Look again and again, as often as the machine can."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0)


class Behind:
    """A trio loop in a thread of its own, behind a door."""

    def __init__(self) -> None:
        self.door = Door()
        self._stopping = trio.Event()
        self._thread = threading.Thread(target=self._run, name="behind", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the loop, and wait for that."""
        self.door.post(self._stopping.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            trio.run(self._live)
        finally:
            self.door.close()

    async def _live(self) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.door.run)
            await self._stopping.wait()
            nursery.cancel_scope.cancel()


class Endless:
    """A call that is never answered; how far it got can be seen from every thread."""

    def __init__(self) -> None:
        self.times = 0
        self.begun = threading.Event()
        self.cancelled = threading.Event()

    async def call(self, *_: object) -> None:
        """Never return."""
        self.times += 1
        self.begun.set()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled.set()
            raise


@contextmanager
def blocked(door: Door) -> Iterator[threading.Event]:
    """Hold the loop behind a door up, until the event that this yields is set, or the block ends."""
    held, freed, in_time = threading.Event(), threading.Event(), []

    def hold() -> None:
        held.set()
        in_time.append(freed.wait(PATIENCE_S))

    door.post(hold)
    assert held.wait(PATIENCE_S)
    try:
        yield freed
    finally:
        freed.set()
    with suppress(DoorClosed):  # it may have been closed meanwhile
        ask_blocking(door, trio.lowlevel.checkpoint)
    assert in_time == [True], "somebody waited for the loop that was held up"


class Interrupted(BaseException):
    """What Ctrl-C would be, without ending the test run."""


@contextmanager
def interrupting(begun: threading.Event) -> Iterator[None]:
    """Interrupt the main thread, as Ctrl-C does, while it waits for a future, once something has begun.

    It waits if it is found at the same place of the same wait twice. Anywhere else, such as in a callback of the
    garbage collector, the exception would be lost.
    """
    found: list[tuple[FrameType, int]] = []

    def strike(_: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code is not threading.Condition.wait.__code__ or not begun.is_set():
            return
        if (frame, frame.f_lasti) in found and waits_for_future(frame):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Interrupted
        found[:] = [(frame, frame.f_lasti)]

    def waits_for_future(frame: FrameType | None) -> bool:
        codes = set()
        while frame is not None:
            codes.add(frame.f_code)
            frame = frame.f_back
        return not codes.isdisjoint((Future.result.__code__, wait.__code__))

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        with pytest.raises(Interrupted):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


with_signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")


# ------------------------------------------------------------------------------------------------------- a whole engine


def rehearsal(settings: Settings = SETTINGS, **changes: Any) -> RehearsalEngine:
    """An engine in memory and in fast time, at a time when no market ends soon."""
    return RehearsalEngine(settings, **{"rate": 300.0, "start_s": QUARTER_S + 60.0, "options": QUIET, **changes})


def engine_threads() -> list[threading.Thread]:
    """The engines that run."""
    return [thread for thread in threading.enumerate() if thread.name == "updown-engine"]
