"""Lifetimes: services by the thousand and calls that are given up, and what they leave behind."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import trio
from attrs import define, evolve, field
from bridges import Bridge
from measuring import (
    NAMES,
    SETTINGS,
    WARM_RATE,
    Figures,
    beats_while,
    descriptors,
    resident_kib,
    settle,
    spread,
    timed_step,
    world,
)
from trio.testing import MockClock

from actors import BackgroundEngine, MarketMicrostructureService
from actors.service.waiting import ask
from engine.settings import FollowSettings, Settings, VenueSettings

WARM_WITHIN_S = 30.0
ABREAST = 10
USE_S = 0.1
LEFT = "left tasks, threads, descriptors"
HELD = ("objects of ours", "threads", "descriptors", "asyncio tasks", "engine's tasks")

Marks = tuple[int, int, int]
"""After so many cycles memory is looked at; the last is the number of cycles."""

Count = Callable[[], Awaitable[int]]


@asynccontextmanager
async def warm_engine() -> AsyncIterator[tuple[BackgroundEngine, Callable[[float], None]]]:
    """An engine whose windows are full and whose time runs like the wall's, and how to have it run at another rate."""
    clock = MockClock(rate=WARM_RATE)

    def pace(engine: BackgroundEngine, rate: float) -> None:
        engine.loop.door.post(partial(setattr, clock, "rate", rate))

    async with BackgroundEngine(SETTINGS, world=world, trio_clock=clock) as engine:
        services = [follower(engine, place) for place in range(len(NAMES))]
        async with asyncio.timeout(WARM_WITHIN_S):
            for service in services:
                # On a crowded machine fast time leaves gaps, which have to leave the window first.
                while (await service.get_market_score()).window.coverage < 0.9:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        pace(engine, 1.0)
        await settle()
        yield engine, partial(pace, engine)
        await asyncio.gather(*(service.close() for service in services))


def follower(engine: BackgroundEngine, place: int) -> MarketMicrostructureService:
    """A service of this engine for one of its markets."""
    service = MarketMicrostructureService(engine=engine)
    service.follow(NAMES[place % len(NAMES)])
    return service


async def cycles(marks: Marks, engine_tasks: Count, cycle: Callable[[int], Awaitable[int]]) -> Figures:
    """Do the cycles, as many at a time as ``cycle`` says it did, and look at every mark what is held."""
    before, after = await held(engine_tasks), {}
    seconds = cpu_s = 0.0
    done = 0
    while done < marks[-1]:
        began, cpu_began = time.perf_counter(), time.process_time()
        done += await cycle(done)
        seconds += time.perf_counter() - began
        cpu_s += time.process_time() - cpu_began
        if done in marks:
            resident = resident_kib()
            after[done] = (resident, *(await held(engine_tasks)))
    return {
        "seconds a cycle": seconds / done,
        "cpu a cycle": cpu_s / done,
        **{f"resident MiB after {count}": after[count][0] / 1024 for count in marks},
        "resident memory grew by": after[marks[-1]][0] / after[marks[0]][0] - 1,
        **{f"{what} left": now - then for what, now, then in zip(HELD, after[marks[-1]][1:], before, strict=True)},
    }


async def held(engine_tasks: Count) -> tuple[int, ...]:
    """What ``HELD`` names, once everything that can go has gone."""
    await asyncio.sleep(0.05)
    gc.collect()
    ours = sum(_is_ours(type(it).__module__) for it in gc.get_objects())
    return ours, threading.active_count(), descriptors(), len(asyncio.all_tasks()), await engine_tasks()


def _is_ours(module: str) -> bool:
    """The stand-in venue has a memory of its own."""
    return module.startswith("actors.") and not module.startswith("actors.venue.")


@contextmanager
def served() -> Iterator[Settings]:
    """Settings of one market of a stand-in venue in a process of its own."""
    command = [Path(sys.executable).with_name("updown"), "serve", "--port", "0", "--rate", "15"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as serve:
        try:
            assert serve.stdout is not None
            venue = json.loads(serve.stdout.readline())
            urls = VenueSettings(**{key: venue[key] for key in ("websocket_url", "gamma_url", "clob_url")})
            yield evolve(SETTINGS, follow=(FollowSettings(series=NAMES[0]),), venue=urls)
        finally:
            serve.terminate()


async def own(marks: Marks, beats_s: float) -> Figures:
    """Services with an engine each, on the real sockets of a stand-in venue in another process."""
    closing_s: list[float] = []
    started: list[float] = []
    closed: list[float] = []
    scored = 0

    async def one() -> None:
        nonlocal scored
        service = MarketMicrostructureService(settings)
        timed_step(started, service.start)
        signal = await service.get_market_score(max_wait_s=USE_S)
        scored += signal.reason is None
        began = time.perf_counter()
        await timed_step(closed, service.close)
        closing_s.append(time.perf_counter() - began)

    async def some(_: int) -> int:
        await asyncio.gather(*(one() for _ in range(ABREAST)))
        return ABREAST

    async def none() -> int:
        return 0

    with served() as settings:
        await one()
        late = await beats_while(one, 5 * beats_s)
        figures = {
            **spread("start() of an own engine, blocks", started[1:]),
            **spread("close() of an own engine, blocks", closed[1:]),
            **spread("close() of an own engine, awaited", closing_s[1:]),
            **spread("heartbeat late, engines come and go", late),
        }
        figures |= await cycles(marks, none, some)
    return {**figures, "share without a score": 1 - scored / len(closed)}


async def shared(marks: Marks) -> Figures:
    """Services one after the other on one warm engine."""
    async with warm_engine() as (engine, _):

        async def one(place: int) -> int:
            async with follower(engine, place) as service:
                await service.get_market_score()
            return 1

        await one(0)
        return await cycles(marks, partial(ask, engine.loop.door, living_tasks), one)


async def living_tasks() -> int:
    """Tasks on the engine's loop, but for the one that counts them."""
    return trio.lowlevel.current_statistics().tasks_living - 1


# Calls that are given up.


@define(eq=False)
class Sleeper:
    """An answer that never comes; notes when it was asked and when it was let go."""

    asked: int = 0
    let_go: list[float] = field(factory=list)

    async def sleep(self, _: int = 0) -> None:
        self.asked += 1
        try:
            await trio.sleep_forever()
        finally:
            self.let_go.append(time.perf_counter())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, three seconds at most."""
    end = time.perf_counter() + 3
    while not condition() and time.perf_counter() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def holdings(bridge: Bridge) -> tuple[int, int, int]:
    """Trio tasks, threads, file descriptors, once everything that can go has gone."""
    await asyncio.sleep(0.05)
    gc.collect()
    tasks: int = await bridge.call(living_tasks)
    return tasks, threading.active_count(), descriptors()


async def cancellation(bridge: Bridge, times: int) -> Figures:
    """Let go of pending calls, one at a time and a hundred together."""
    before, took, lost = await holdings(bridge), [], 0
    for count in [1] * times + [100]:
        sleeper = Sleeper()
        tasks = [asyncio.create_task(bridge.call(sleeper.sleep, place)) for place in range(count)]
        await until(lambda: sleeper.asked == count)  # noqa: B023
        began = time.perf_counter()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await until(lambda: len(sleeper.let_go) == count)  # noqa: B023
        took += [at - began for at in sleeper.let_go if count == 1]
        lost += count - len(sleeper.let_go)
    after = await holdings(bridge)
    left = [now - then for then, now in zip(before, after, strict=True)]
    return {**spread("cancel seen after", took), "cancels lost": lost, LEFT: left}
