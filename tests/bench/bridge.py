"""Bridge: how a bot on asyncio best reaches the engine on trio, by measurement.

Three bridges reach the same live engine, which follows two markets of an in-memory stand-in venue and has a full
window. ``portal``: the engine's loop in a thread, calls through anyio's blocking portal. ``door``: the same thread, but
a call is handed over without waiting and answered through a future. ``guest``: trio as a guest of the bot's own loop.
``batch`` is the door with one wake-up for many calls and one for many answers, ``shared`` moreover asks only once what
several ask at once, ``door/switch`` has a tenth of the interpreter's switch interval. Beside them stand ``none`` (the
bot's loop without any engine) and ``direct`` (the engine asked by a trio task).

Each is a process of its own, in interleaved rounds, on asyncio's loop and, if installed, on uvloop. What lives when a
measurement begins is frozen first, so that no full garbage collection falls by chance on one bridge; what such a
collection costs has a row of its own. Prints one table of medians (lowest..highest round), in milliseconds, the ratios
to ``door`` within each round, and a verdict drawn from them.

    python tests/bench/bridge.py --json bridge.json
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import gc
import importlib.util
import json
import logging
import math
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol

import anyio
import structlog
import trio
from anyio.from_thread import BlockingPortal
from attrs import define, field, frozen
from trio.testing import MockClock

from actors.clock import Clock
from actors.ports import Ports
from actors.system import Engine, open_engine
from actors.venue import Venue, VenueOptions
from engine.settings import FollowSettings, ScoringSettings, Settings, VenueSettings

NAMES = ("btc-15m", "eth-15m")
START_NS = 1_790_001_060_000_000_000
"""A minute into a quarter of an hour: neither market rolls while it is measured."""

WINDOW_S = 60.0
WARM_RATE = 60.0
"""So many times faster than the wall until the window is full."""

MESSAGE_RATE = 30.0
BEAT_S = 0.001
LIMIT_S = 0.005
"""What a hundred concurrent calls may take, at the 99th percentile, on top of the loop's own latency."""

BLOCK_LIMIT_S = 0.0001
"""What the synchronous beginning of one call may block the bot's loop for, at the 99th percentile."""

STEP_S = 0.02
SHORT_SWITCH_S = 0.0005
NOWHERE = VenueSettings(
    websocket_url="ws://127.0.0.1:1/ws/market", gamma_url="http://127.0.0.1:1", clob_url="http://127.0.0.1:1"
)

Call = Callable[..., Awaitable[Any]]
Figures = dict[str, Any]


# The engine, the same for every bridge.


@asynccontextmanager
async def warm_engine(clock: MockClock) -> AsyncIterator[Engine]:
    """A live engine whose window is full; time then runs like the wall's."""
    timeline = Clock.anchored(START_NS)
    venue = Venue(timeline, VenueOptions(message_rate=MESSAGE_RATE))
    settings = Settings(
        follow=tuple(FollowSettings(series=name) for name in NAMES),
        scoring=ScoringSettings(window_s=WINDOW_S),
        venue=NOWHERE,
    )
    world = Ports(clock=timeline, dial=venue.dial, http_transport=venue.http_transport, rng=Random(3))
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        async with open_engine(settings, ports=world, log=structlog.get_logger()) as engine:
            clock.rate = WARM_RATE
            await trio.sleep(WINDOW_S + 10.0)
            clock.rate = 1.0
            for name in NAMES:
                signal = await engine.get_market_score(name)
                if signal.window.coverage < 0.9:
                    raise RuntimeError(f"{name} did not warm up: {signal.signal_type}, {signal.window.coverage:.0%}")
            yield engine
        nursery.cancel_scope.cancel()


# The bridges.


class Bridge(Protocol):
    """One way from asyncio to the engine."""

    survives: bool
    engine: Engine

    async def open(self) -> None: ...
    async def call(self, function: Call, *args: Any) -> Any: ...
    async def close(self) -> None: ...


class Thread:
    """The engine's loop in a thread of its own."""

    survives = True
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


class Portal(Thread):
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


class Door(Thread):
    """Calls handed over without waiting for the other side."""

    def _run(self) -> None:
        clock = MockClock()
        trio.run(self._live, clock, clock=clock)

    async def _live(self, clock: MockClock) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with warm_engine(clock) as self.engine, trio.open_nursery() as self._nursery:
            self._ready.set()
            await trio.sleep_forever()

    async def call(self, function: Call, *args: Any) -> Any:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._token.run_sync_soon(self._begin, future, function, args)
        return await asyncio.wrap_future(future)

    def _begin(self, future: concurrent.futures.Future[Any], function: Call, args: tuple[Any, ...]) -> None:
        if not future.cancelled():
            self._nursery.start_soon(self._serve, future, function, args)

    async def _serve(self, future: concurrent.futures.Future[Any], function: Call, args: tuple[Any, ...]) -> None:
        with trio.CancelScope() as scope:
            future.add_done_callback(partial(self._abandon, scope))
            try:
                result = await function(*args)
            except Exception as error:  # noqa: BLE001  Whatever it is, it belongs to the caller.
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)
            else:
                if future.set_running_or_notify_cancel():
                    future.set_result(result)

    def _abandon(self, scope: trio.CancelScope, future: concurrent.futures.Future[Any]) -> None:
        if future.cancelled():
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(scope.cancel)

    def _end(self) -> None:
        self._token.run_sync_soon(self._nursery.cancel_scope.cancel)


@frozen(eq=False)
class Waiter:
    """Somebody who waits in a loop of theirs."""

    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


@frozen(eq=False)
class Question:
    """What is to be called on the other side, and who waits for it."""

    function: Call
    args: tuple[Any, ...]
    waiting: list[Waiter] = field(factory=list)
    scope: trio.CancelScope = field(factory=trio.CancelScope)


Answers = list[tuple[Waiter, Any, Exception | None]]


class Batch(Door):
    """The door, opened once for many: one wake-up for all calls on their way, one for all answers on theirs."""

    shares = False

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._open: dict[object, Question] = {}
        self._answers: dict[asyncio.AbstractEventLoop, Answers] = {}

    async def call(self, function: Call, *args: Any) -> Any:
        loop = asyncio.get_running_loop()
        waiter = Waiter(loop, loop.create_future())
        key = (function, args) if self.shares else waiter
        with self._lock:
            wake = not self._open
            question = self._open.setdefault(key, Question(function, args))
            question.waiting.append(waiter)
        if wake:
            self._token.run_sync_soon(self._take)
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._withdraw, question, waiter)
            raise

    # On the engine's side.

    def _take(self) -> None:
        # Nobody joins a question once it is taken: no answer is older than the call it answers.
        with self._lock:
            questions, self._open = self._open, {}
        for question in questions.values():
            self._nursery.start_soon(self._put, question)

    async def _put(self, question: Question) -> None:
        with question.scope:
            try:
                self._reply(question, await question.function(*question.args), None)
            except Exception as error:  # noqa: BLE001  Whatever it is, it belongs to the callers.
                self._reply(question, None, error)

    def _reply(self, question: Question, result: Any, error: Exception | None) -> None:
        # The flush comes after everybody who can run now, hence after all other answers of this moment.
        if not self._answers:
            self._token.run_sync_soon(self._flush)
        for waiter in question.waiting:
            self._answers.setdefault(waiter.loop, []).append((waiter, result, error))

    def _flush(self) -> None:
        answers, self._answers = self._answers, {}
        for loop, its in answers.items():
            # A loop that is closed waits for nothing any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(deliver, its)

    def _withdraw(self, question: Question, waiter: Waiter) -> None:
        question.waiting.remove(waiter)
        if not question.waiting:
            question.scope.cancel()


class Shared(Batch):
    """The same question, asked several times before it is taken over, is put once."""

    shares = True


def deliver(answers: Answers) -> None:
    """Hand answers to those who still wait for them."""
    for waiter, result, error in answers:
        if waiter.answer.done():
            continue
        if error is None:
            waiter.answer.set_result(result)
        else:
            waiter.answer.set_exception(error)


class Guest:
    """Trio as a guest of the bot's loop."""

    survives = False
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
            try:
                result = await function(*args)
            except Exception as error:  # noqa: BLE001  Whatever it is, it belongs to the caller.
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

    async def close(self) -> None:
        self._nursery.cancel_scope.cancel()
        (await self._done).unwrap()


BRIDGES: dict[str, Callable[[], Bridge]] = {
    "portal": Portal,
    "door": Door,
    "batch": Batch,
    "shared": Shared,
    "guest": Guest,
}


# What is measured in a child.


@frozen(kw_only=True)
class Effort:
    """How much of everything."""

    calls: int
    batches: int
    steps: int
    beats_s: float
    idle_s: float
    cancels: int


FULL = Effort(calls=1000, batches=15, steps=6, beats_s=0.7, idle_s=0.5, cancels=50)
QUICK = Effort(calls=300, batches=4, steps=4, beats_s=0.5, idle_s=0.4, cancels=10)


def spread(name: str, values: Iterable[float]) -> Figures:
    """Median, 99th percentile and highest."""
    ordered = sorted(values)
    return {
        f"{name} p50": ordered[len(ordered) // 2],
        f"{name} p99": ordered[math.ceil(len(ordered) * 0.99) - 1],
        f"{name} max": ordered[-1],
    }


@define
class Stopwatch:
    """Times one awaitable: all of it, and its synchronous beginning, which blocks the loop."""

    blocked: list[float] = field(factory=list)
    whole: list[float] = field(factory=list)

    async def time(self, work: Coroutine[Any, Any, Any]) -> None:
        began = time.perf_counter()
        await _Watched(work, partial(self._first, began))
        self.whole.append(time.perf_counter() - began)

    def figures(self, name: str, cpu_s: float | None = None) -> Figures:
        """What was timed under this name; processor seconds become those of a thousand."""
        cpu = {} if cpu_s is None else {f"{name}, cpu per 1000": cpu_s / len(self.whole) * 1000}
        return {**spread(name, self.whole), **spread(f"{name}, blocks", self.blocked), **cpu}

    def _first(self, began: float) -> None:
        self.blocked.append(time.perf_counter() - began)


@frozen
class _Watched:
    """Awaits work, and says when it gave control back for the first time."""

    work: Coroutine[Any, Any, Any]
    first: Callable[[], None]

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self.work.__await__()
        try:
            step = next(inner)
        except StopIteration as done:
            return done.value
        finally:
            self.first()
        # What was yielded first is passed on by hand, everything after it by ``yield from``.
        try:
            yield step
        except BaseException as error:
            with suppress(StopIteration):
                inner.throw(error)
            raise
        return (yield from inner)


async def bare() -> None:
    """The loop's own latency: one trip through its queue."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future


Work = Callable[[int], Coroutine[Any, Any, Any]]


async def one_by_one(work: Work, times: int) -> tuple[Figures, Figures]:
    """One call after the other, and in turn with them trips through the loop, so that both meet the same moments."""
    calls, trips = Stopwatch(), Stopwatch()
    cpu = 0.0
    for place in range(times):
        began = time.process_time()
        await calls.time(work(place))
        cpu += time.process_time() - began
        await trips.time(bare())
    return calls.figures("call", cpu), trips.figures("loop trip")


async def hundreds(work: Work, times: int) -> tuple[Figures, Figures]:
    """A hundred calls at once, then a hundred trips through the loop at once, with a pause after each."""
    calls, trips = Stopwatch(), Stopwatch()
    cpu = 0.0
    for _ in range(times):
        began = time.process_time()
        await asyncio.gather(*(calls.time(work(place)) for place in range(100)))
        cpu += time.process_time() - began
        await asyncio.sleep(0.01)
        await asyncio.gather(*(trips.time(bare()) for _ in range(100)))
        await asyncio.sleep(0.01)
    return calls.figures("call x100", cpu), trips.figures("loop trip x100")


def over_loop(name: str, pair: tuple[Figures, Figures]) -> Figures:
    """What a call costs beyond a trip through the loop."""
    calls, trips = pair
    for size in ("p50", "p99"):
        calls[f"{name} over loop {size}"] = (
            calls[f"{name} {size}"] - trips[f"{name.replace('call', 'loop trip')} {size}"]
        )
    # A trip blocks nothing.
    return {key: value for key, value in trips.items() if "blocks" not in key} | calls


async def beats(seconds: float) -> list[float]:
    """How late a timer of a millisecond is, each time."""
    late = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await asyncio.sleep(BEAT_S)
        late.append(time.perf_counter() - began - BEAT_S)
    return late


async def beats_while_calling(work: Work, effort: Effort) -> list[float]:
    """The same while a hundred calls at once come every twentieth of a second."""
    timer = asyncio.create_task(beats(effort.steps * 0.05))
    while not timer.done():
        await asyncio.gather(*(work(place) for place in range(100)))
        await asyncio.sleep(0.05)
    return await timer


async def busy() -> None:
    """A long step of the engine's loop, which never gives the interpreter away by itself."""
    end = time.perf_counter() + STEP_S
    while time.perf_counter() < end:
        pass


async def stalls(bridge: Bridge, work: Work, effort: Effort) -> list[float]:
    """The latest beat of the bot's loop while the engine makes one long step, and a call is made meanwhile."""
    worst = []
    for _ in range(effort.steps):
        timer = asyncio.create_task(beats(STEP_S * 1.5))
        await asyncio.sleep(0)
        step = asyncio.create_task(bridge.call(busy))
        await asyncio.sleep(3 * BEAT_S)
        await work(0)
        await step
        worst.append(max(await timer))
    return worst


async def idle(effort: Effort) -> Figures:
    """Processor seconds a second while nobody calls."""
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(effort.idle_s)
    return {"idle, cpu a second": (time.process_time() - cpu) / (time.perf_counter() - began)}


def settle() -> Figures:
    """Collect all garbage and freeze the rest; how long that takes is what any full collection costs."""
    began = time.perf_counter()
    gc.collect()
    took = time.perf_counter() - began
    gc.freeze()
    return {"full garbage collection": took}


@define
class Sleeper:
    """An answer that never comes; notes when it was asked and when it was let go."""

    asked: int = 0
    let_go: list[float] = field(factory=list)

    async def sleep(self, _: int = 0) -> None:
        self.asked += 1
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.let_go.append(time.perf_counter())
            raise

    def has(self, asked: int = 0, let_go: int = 0) -> bool:
        """Whether it has come to that."""
        return self.asked >= asked and len(self.let_go) >= let_go


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> bool:
    """Whether it came true in time."""
    end = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > end:
            return False
        await asyncio.sleep(BEAT_S)
    return True


async def living_tasks() -> int:
    """Tasks on the trio side."""
    return trio.lowlevel.current_statistics().tasks_living


def descriptors() -> int:
    """Open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def holdings(bridge: Bridge) -> tuple[int, int, int]:
    """Trio tasks, threads, file descriptors, once everything that can go has gone."""
    await asyncio.sleep(0.05)
    gc.collect()
    tasks = await bridge.call(living_tasks)
    return tasks, threading.active_count(), descriptors()


async def cancellation(bridge: Bridge, effort: Effort) -> Figures:
    """Let go of pending calls, one at a time and a hundred together."""
    before = await holdings(bridge)
    took, lost = [], 0
    for _ in range(effort.cancels):
        sleeper = Sleeper()
        task = asyncio.create_task(bridge.call(sleeper.sleep))
        await until(partial(sleeper.has, asked=1))
        began = time.perf_counter()
        task.cancel()
        await asyncio.wait([task])
        if await until(partial(sleeper.has, let_go=1)):
            took.append(sleeper.let_go[0] - began)
        else:
            lost += 1
    many = Sleeper()
    tasks = [asyncio.create_task(bridge.call(many.sleep, place)) for place in range(100)]
    await until(partial(many.has, asked=100))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await until(partial(many.has, let_go=100))
    after = await holdings(bridge)
    leaked = [now - then for then, now in zip(before, after, strict=True)]
    lost += 100 - len(many.let_go)
    return {**spread("cancel seen after", took), "cancels lost": lost, "leaked tasks, threads, fds": leaked}


async def measure(bridge: Bridge | None, effort: Effort) -> Figures:
    """Everything that is measured while the bot's loop runs."""

    async def ask(place: int) -> None:
        assert bridge is not None
        await bridge.call(bridge.engine.get_market_score, NAMES[place % 2])

    async def trip(_: int) -> None:
        await bare()

    figures = settle()
    figures |= await idle(effort)
    figures |= spread("beat late", await beats(effort.beats_s))
    if bridge is None:
        return figures | spread("beat late, x100 calling", await beats_while_calling(trip, effort))
    figures |= spread("beat late, x100 calling", await beats_while_calling(ask, effort))
    figures |= spread(f"beat late, {STEP_S * 1000:.0f} ms step", await stalls(bridge, ask, effort))
    figures |= over_loop("call", await one_by_one(ask, effort.calls))
    figures |= over_loop("call x100", await hundreds(ask, effort.batches))
    return figures | await cancellation(bridge, effort)


def direct(effort: Effort) -> Figures:
    """The engine asked by a trio task, with no other loop."""

    async def live(clock: MockClock) -> Figures:
        whole: list[float] = []
        hundred: list[float] = []
        async with warm_engine(clock) as engine:
            figures = settle()
            cpu, began = time.process_time(), time.perf_counter()
            await trio.sleep(effort.idle_s)
            figures["idle, cpu a second"] = (time.process_time() - cpu) / (time.perf_counter() - began)

            async def ask(place: int, took: list[float]) -> None:
                began = time.perf_counter()
                await engine.get_market_score(NAMES[place % 2])
                took.append(time.perf_counter() - began)

            cpu = time.process_time()
            for place in range(effort.calls):
                await ask(place, whole)
            figures["call, cpu per 1000"] = (time.process_time() - cpu) / effort.calls * 1000
            cpu = time.process_time()
            for _ in range(effort.batches):
                async with trio.open_nursery() as nursery:
                    for place in range(100):
                        nursery.start_soon(ask, place, hundred)
                await trio.sleep(0.02)
            figures["call x100, cpu per 1000"] = (time.process_time() - cpu) / effort.batches * 10
        return figures | spread("call", whole) | spread("call x100", hundred)

    clock = MockClock()
    return trio.run(live, clock, clock=clock)


# The bot's loop ends, the engine does not.


async def cycle(bridge: Bridge) -> float:
    """The first answer in a new loop, seconds."""
    began = time.perf_counter()
    async with asyncio.timeout(3):
        await bridge.call(bridge.engine.get_market_score, NAMES[0])
    return time.perf_counter() - began


async def open_anew(name: str) -> float:
    """Seconds until a new bridge has answered."""
    began = time.perf_counter()
    async with asyncio.timeout(10):
        bridge = BRIDGES[name]()
        await bridge.open()
        await bridge.close()
    return time.perf_counter() - began


def short(error: BaseException | str) -> str:
    return f"{type(error).__name__}: {error}"[:90]


def run(loop_factory: Callable[[], Any] | None, work: Coroutine[Any, Any, Any]) -> Any:
    """As ``asyncio.run``."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(work)


def after_the_end(name: str, bridge: Bridge, loop_factory: Callable[[], Any] | None) -> Figures:
    """What a second ``asyncio.run`` finds; the engine was left running by the first."""
    noises: list[str] = []
    threading.excepthook = lambda args: noises.append(short(args.exc_value or SystemExit()))
    sys.unraisablehook = lambda args: noises.append(short(args.exc_value or SystemExit()))
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, *_: noises.append(short(message))
    figures: Figures = {}
    try:
        if bridge.survives:
            figures["first call of the next loop"] = run(loop_factory, cycle(bridge))
            figures["next loop finds"] = "the same engine, warm"
            figures["loop closed under a call"] = closed_under(bridge, loop_factory)
        else:
            time.sleep(0.2)
            run(loop_factory, open_anew(name))
            figures["next loop finds"] = "no engine; a new one starts cold"
    except Exception as error:  # noqa: BLE001  The finding itself.
        figures["next loop finds"] = short(error)
    gc.collect()
    figures["noise after the loop's end"] = sorted(set(noises))
    figures["stays behind"] = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if bridge.survives:
        run(loop_factory, bridge.close())
        figures["after close"] = threading.active_count()
    return figures


def closed_under(bridge: Bridge, loop_factory: Callable[[], Any] | None) -> str:
    """Close a loop without cancelling while an answer is on its way, as a careless bot would."""
    said: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("concurrent.futures").addHandler(listener)
    logging.getLogger("concurrent.futures").propagate = False
    loop = loop_factory() if loop_factory is not None else asyncio.new_event_loop()
    logging.getLogger("asyncio").disabled = True
    finished = threading.Event()

    async def slow() -> None:
        await trio.sleep(0.1)
        finished.set()

    async def begin() -> asyncio.Task[Any]:
        task = asyncio.ensure_future(bridge.call(slow))
        await asyncio.sleep(0.02)
        return task

    task = loop.run_until_complete(begin())
    loop.close()
    finished.wait(3)
    time.sleep(0.05)
    del task
    again = run(loop_factory, cycle(bridge))
    return f"{'answers again' if again < 1 else 'answers late'}, logged: {said[0][:40] if said else 'nothing'}"


def child(name: str, loop_name: str, switch_s: float, effort: Effort) -> Figures:
    """Measure one bridge in this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if switch_s:
        sys.setswitchinterval(switch_s)
    loop_factory = None
    if loop_name == "uvloop":
        loop_factory = importlib.import_module("uvloop").new_event_loop
    if name == "direct":
        return direct(effort)
    bridge = BRIDGES[name]() if name in BRIDGES else None

    async def all_of_it() -> Figures:
        if bridge is not None:
            await bridge.open()
        return await measure(bridge, effort)

    figures: Figures = run(loop_factory, all_of_it())
    return figures if bridge is None else figures | after_the_end(name, bridge, loop_factory)


# The parent.


@frozen
class Contender:
    """One column of the table; measured in that many rounds."""

    label: str
    bridge: str
    loop: str = "asyncio"
    switch_s: float = 0.0
    rounds: int = 3


def contenders() -> list[Contender]:
    """Every column that can be measured here."""
    columns = [Contender(name, name) for name in ("direct", "none", *BRIDGES)]
    columns.append(Contender("door/switch", "door", switch_s=SHORT_SWITCH_S))
    if importlib.util.find_spec("uvloop"):
        columns += [Contender(name, name, "uvloop", rounds=2) for name in ("none", "portal", "door", "shared", "guest")]
    return columns


def launch(column: Contender, quick: bool) -> Figures:
    """Measure one column once, in a process of its own."""
    command = [sys.executable, __file__, "--child", column.bridge, column.loop, str(column.switch_s)]
    done = subprocess.run(command + ["--quick"] * quick, capture_output=True, text=True, timeout=60, check=False)
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        raise RuntimeError(f"{column.label} on {column.loop} said nothing:\n{done.stderr[-2000:]}") from None


Measured = dict[tuple[str, str], list[Figures]]


def median_of(rounds: list[Figures], key: str) -> float:
    return float(statistics.median(it[key] for it in rounds))


def in_ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" if seconds >= 0.1 else f"{seconds * 1000:.3g}"


def timed(rounds: list[Figures], key: str) -> str:
    """The median in milliseconds, with the lowest and highest round."""
    values = [it[key] for it in rounds if key in it]
    if not values:
        return ""
    return in_ms(statistics.median(values)) + (f" ({in_ms(min(values))}..{in_ms(max(values))})" if values[1:] else "")


def against(base: list[Figures], rounds: list[Figures], key: str) -> str:
    """How many times the base's figure it is, within each round."""
    pairs = [(it[key], other[key]) for it, other in zip(rounds, base, strict=True) if key in it and other.get(key)]
    ratios = [mine / other for mine, other in pairs]
    if not ratios:
        return ""
    return f"{statistics.median(ratios):.2f}x" + (f" ({min(ratios):.2f}..{max(ratios):.2f})" if ratios[1:] else "")


def told(rounds: list[Figures], key: str) -> str:
    """What was found in words, each wording once."""
    words = {", ".join(map(str, it[key])) if isinstance(it[key], list) else str(it[key]) for it in rounds if key in it}
    return " | ".join(sorted(words)) or "nothing"


def table(measured: Measured) -> str:
    """Every figure of every column in milliseconds, the ratios to ``door``, and what was found in words."""
    lines = []
    for loop in dict.fromkeys(loop for _, loop in measured):
        columns = {label: rounds for (label, its), rounds in measured.items() if its == loop}
        keys = dict.fromkeys(key for rounds in columns.values() for key in rounds[0])
        plain = [key for key in keys if any(isinstance(rounds[0].get(key), float) for rounds in columns.values())]
        rows = [[f"{loop}, ms", *columns]]
        rows += [[key, *(timed(rounds, key) for rounds in columns.values())] for key in plain]
        rows += [[f"{loop}, ratio to door", *columns]]
        rows += [
            [key, *(against(columns["door"], rounds, key) for rounds in columns.values())]
            for key in plain
            if key.endswith(("p50", "p99", "second", "1000")) and "loop" not in key
        ]
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines += [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        for key in keys:
            if key not in plain:
                said = [f"{label}: {told(rounds, key)}" for label, rounds in columns.items() if key in rounds[0]]
                lines.append(f"{key} -- {'; '.join(said)}")
        lines.append("")
    return "\n".join(lines)


def unsound(rounds: list[Figures]) -> list[str]:
    """Why a bridge is out of the question."""
    leaks = (leak for it in rounds for leak in it["leaked tasks, threads, fds"])
    blocks_s = median_of(rounds, "call, blocks p99")
    faults = {
        "ends with the bot's loop": not all("first call of the next loop" in it for it in rounds),
        "loses cancellations": any(it["cancels lost"] for it in rounds),
        "leaks": any(leak > 0 for leak in leaks),
        f"a call blocks the loop for {in_ms(blocks_s)} ms at p99": blocks_s > BLOCK_LIMIT_S,
    }
    return [fault for fault, found in faults.items() if found]


def verdict(measured: Measured) -> str:
    """Of the bridges with nothing against them, the one whose hundred concurrent calls are answered soonest at p99."""
    columns = {name: measured[name, "asyncio"] for name in BRIDGES}
    over = {name: median_of(rounds, "call x100 over loop p99") for name, rounds in columns.items()}
    faults = {name: unsound(rounds) for name, rounds in columns.items()}
    sound = [name for name in BRIDGES if not faults[name]]
    best = min(sound or BRIDGES, key=lambda name: over[name])
    said = [
        f"{name} {timed(columns[name], 'call x100 over loop p99')} ms{'' if over[name] < LIMIT_S else ' (too slow)'}"
        + (f", but {' and '.join(faults[name])}" if faults[name] else "")
        for name in BRIDGES
    ]
    return (
        f"Verdict: {best}{'' if sound else ', though nothing is sound'}. A hundred concurrent calls, over the loop's "
        f"own latency at p99, limit {in_ms(LIMIT_S)} ms: {'; '.join(said)}."
    )


def main() -> int:
    """Measure, print the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write every round's figures here")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, loop_name, switch_s = arguments.child
        figures = child(name, loop_name, float(switch_s), QUICK if arguments.quick else FULL)
        sys.stdout.write(json.dumps(figures) + "\n")
        return 0
    columns = contenders()
    measured: Measured = {(it.label, it.loop): [] for it in columns}
    for turn in range(1 if arguments.quick else max(it.rounds for it in columns)):
        # Every other round runs backwards, so that no column always comes after the same neighbour.
        for it in columns if turn % 2 == 0 else columns[::-1]:
            if turn < it.rounds:
                measured[it.label, it.loop].append(launch(it, arguments.quick))
    if arguments.json:
        flat = {f"{label} on {loop}": rounds for (label, loop), rounds in measured.items()}
        arguments.json.write_text(json.dumps(flat, indent=2) + "\n")
    sys.stdout.write(f"{table(measured)}\n{verdict(measured)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
