"""Measuring: what the benches of the bridge and of the service have in common.

Every figure comes from a process of its own (``launch``), in rounds of which every other one runs backwards
(``in_rounds``), so that no column always comes after the same neighbour; a table shows medians with the lowest and the
highest round. What a call takes is told over the loop's own latency: each call takes turns with a bare trip through
the loop, so that both meet the same moments of the machine.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import trio
from attrs import define, field, frozen

from actors.clock import Clock
from actors.ports import Ports
from actors.venue import Venue, VenueOptions
from engine.settings import FollowSettings, ScoringSettings, Settings, VenueSettings

NAMES = ("btc-15m", "eth-15m", "sol-15m", "xrp-15m")
START_NS = 1_790_001_060_000_000_000
"""A minute into a quarter of an hour: no market rolls over while it is measured."""

WARM_RATE = 30.0
"""So many times faster than the wall until the window is full."""

NOWHERE = VenueSettings(
    websocket_url="ws://127.0.0.1:1/ws/market", gamma_url="http://127.0.0.1:1", clob_url="http://127.0.0.1:1"
)
SETTINGS = Settings(
    follow=tuple(FollowSettings(series=name) for name in NAMES), scoring=ScoringSettings(window_s=60.0), venue=NOWHERE
)
MESSAGE_RATE = 30.0
BEAT_S = 0.001

T = TypeVar("T")
Figures = dict[str, Any]
Work = Callable[[int], Awaitable[Any]]
"""One call; the argument is its place among those made together."""


@asynccontextmanager
async def world() -> AsyncIterator[Ports]:
    """A stand-in venue in memory, whose markets have thirty messages a second each."""
    timeline = Clock.anchored(START_NS)
    venue = Venue(timeline, VenueOptions(message_rate=MESSAGE_RATE))
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        yield Ports(clock=timeline, dial=venue.dial, http_transport=venue.http_transport, rng=Random(3))
        nursery.cancel_scope.cancel()


# What is timed.


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

    async def time(self, work: Awaitable[Any]) -> None:
        """Await it."""
        began = time.perf_counter()
        await _Watched(work, partial(self._first, began))
        self.whole.append(time.perf_counter() - began)

    def _first(self, began: float) -> None:
        self.blocked.append(time.perf_counter() - began)


@frozen
class _Watched:
    """Awaits work, and says when it gave control back for the first time."""

    work: Awaitable[Any]
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


def timed_step(into: list[float], step: Callable[..., T], *args: Any) -> T:
    """Note how long a synchronous step takes."""
    began = time.perf_counter()
    result = step(*args)
    into.append(time.perf_counter() - began)
    return result


async def bare(_: int = 0) -> None:
    """The loop's own latency: one trip through its queue."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future


async def one_by_one(name: str, work: Work, times: int) -> Figures:
    """One call after the other, and in turn with them trips through the loop."""
    calls, trips, cpu_s = Stopwatch(), Stopwatch(), 0.0
    for place in range(times):
        began = time.process_time()
        await calls.time(work(place))
        cpu_s += time.process_time() - began
        await trips.time(bare())
    return _over_loop(name, calls, trips, cpu_s)


async def hundreds(name: str, work: Work, times: int) -> Figures:
    """A hundred calls at once, then a hundred trips through the loop at once, with a pause after each."""
    calls, trips, cpu_s = Stopwatch(), Stopwatch(), 0.0
    for _ in range(times):
        began = time.process_time()
        await asyncio.gather(*(calls.time(work(place)) for place in range(100)))
        cpu_s += time.process_time() - began
        await asyncio.sleep(0.01)
        await asyncio.gather(*(trips.time(bare()) for _ in range(100)))
        await asyncio.sleep(0.01)
    return _over_loop(name, calls, trips, cpu_s)


def _over_loop(name: str, calls: Stopwatch, trips: Stopwatch, cpu_s: float) -> Figures:
    """What a call costs beyond a trip through the loop; the latest call, beyond the 99th percentile of the trips."""
    call, trip = spread(name, calls.whole), spread(name, trips.whole)
    return {
        f"{name}, over loop p50": call[f"{name} p50"] - trip[f"{name} p50"],
        f"{name}, over loop p99": call[f"{name} p99"] - trip[f"{name} p99"],
        f"{name}, over loop max": call[f"{name} max"] - trip[f"{name} p99"],
        **spread(f"{name}, blocks", calls.blocked),
        f"{name}, cpu per 1000": cpu_s / len(calls.whole) * 1000,
    }


async def beats(seconds: float) -> list[float]:
    """How late a timer of a millisecond is, each time."""
    late = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await asyncio.sleep(BEAT_S)
        late.append(time.perf_counter() - began - BEAT_S)
    return late


async def beats_while(work: Callable[[], Awaitable[Any]], seconds: float) -> list[float]:
    """The same while work is done again and again."""
    timer = asyncio.create_task(beats(seconds))
    while not timer.done():
        await work()
    return await timer


async def cpu_a_second(seconds: float) -> float:
    """Processor seconds a second while nobody calls."""
    cpu_s, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu_s) / (time.perf_counter() - began)


async def settle() -> None:
    """Let the engine work off what fast time left it with; then collect all garbage and freeze the rest.

    So no full collection falls by chance on one figure.
    """
    for _ in range(20):
        if await cpu_a_second(0.2) < 0.2:
            break
    gc.collect()
    gc.freeze()


# What is held.


def descriptors() -> int:
    """Open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_kib() -> int:
    """Resident memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


# Processes and rounds.


def run(loop_name: str, work: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, on asyncio's own loop or on uvloop."""
    factory = importlib.import_module("uvloop").new_event_loop if loop_name == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def loops() -> list[str]:
    """The loops of this machine."""
    return ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


def launch(script: str, *arguments: str) -> Figures:
    """Run a script in a process of its own; its last line is what it measured."""
    done = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        raise RuntimeError(f"{' '.join(arguments)} said nothing:\n{done.stderr[-2000:]}") from None


def in_rounds(columns: Sequence[T], rounds: int, measure: Callable[[T], Figures]) -> dict[T, list[Figures]]:
    """Measure every column that often, every other round backwards."""
    measured: dict[T, list[Figures]] = {column: [] for column in columns}
    for turn in range(rounds):
        for column in columns if turn % 2 == 0 else columns[::-1]:
            measured[column].append(measure(column))
    return measured


def median_of(rounds: Sequence[Figures], key: str) -> float:
    """The middle round."""
    return float(statistics.median(it[key] for it in rounds))


def in_ms(seconds: float) -> str:
    """Three digits are all these figures are good for."""
    return f"{seconds * 1000:.0f}" if abs(seconds) >= 0.1 else f"{seconds * 1000:.3g}"


def timed(rounds: Sequence[Figures], key: str) -> str:
    """The median in milliseconds, with the lowest and the highest round."""
    values = [it[key] for it in rounds if key in it]
    if not values:
        return "-"
    return in_ms(statistics.median(values)) + (f" ({in_ms(min(values))}..{in_ms(max(values))})" if values[1:] else "")


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, in columns that are as wide as they need be; the first row is its head."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
