"""Bridge: how a bot on asyncio best reaches the engine on trio, by measurement.

Three bridges reach the same live engine, which follows four markets of a stand-in venue in memory and has full windows.
``portal``: the engine's loop in a thread, calls through anyio's blocking portal. ``door``: the same thread, calls
through the product's own ``actors.service.door``. ``guest``: trio as a guest of the bot's own loop. Beside them stand
``none`` (the bot's loop without any engine) and ``direct`` (the engine asked by a trio task).

Each is a process of its own, in interleaved rounds, on asyncio's loop and, if installed, on uvloop. Prints tables of
medians (lowest..highest round), in milliseconds, and a verdict drawn from them.

    python tests/bench/bridge.py --json bridge.json
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import structlog
import trio
from attrs import frozen
from bridges import BRIDGES, AsGuest, Bridge, Call, warm_engine
from lifetimes import LEFT, cancellation
from measuring import (
    NAMES,
    Figures,
    beats,
    beats_while,
    cpu_a_second,
    hundreds,
    in_ms,
    in_rounds,
    launch,
    loops,
    median_of,
    one_by_one,
    run,
    settle,
    spread,
    table,
    timed,
)
from trio.testing import MockClock

ONE, SAME, APART = "1 call", "100 calls, same question", "100 calls, 100 questions"
CALL_S = 0.005
"""What a hundred concurrent calls may take, at the 99th percentile, on top of the loop's own latency."""

BLOCK_S = 0.001
"""What the synchronous beginning of one call may hold the bot's loop up for, at the 99th percentile."""

STEP_S = 0.02


# What is measured in a child.


@frozen
class Effort:
    """How much of everything."""

    calls: int
    batches: int
    steps: int
    seconds: float
    cancels: int


FULL = Effort(calls=1000, batches=15, steps=6, seconds=0.7, cancels=50)
QUICK = Effort(calls=300, batches=4, steps=4, seconds=0.5, cancels=10)


async def measure(bridge: Bridge, effort: Effort) -> Figures:
    """Everything that is measured while the bot's loop runs."""
    score = bridge.engine.get_market_score

    async def numbered(place: int) -> None:
        await score(NAMES[place % len(NAMES)])

    async def same(_: int) -> None:
        await bridge.call(score, NAMES[0])

    async def apart(place: int) -> None:
        await bridge.call(numbered, place)

    async def many() -> None:
        await asyncio.gather(*(apart(place) for place in range(100)))
        await asyncio.sleep(0.05)

    figures = await quiet(effort)
    figures |= spread("heartbeat late, 100 calls every 50 ms", await beats_while(many, effort.seconds))
    figures |= spread(f"heartbeat late, {STEP_S * 1000:.0f} ms step", await stalls(bridge, same, effort.steps))
    figures |= await one_by_one(ONE, same, effort.calls)
    figures |= await hundreds(SAME, same, effort.batches)
    figures |= await hundreds(APART, apart, effort.batches)
    return figures | await cancellation(bridge, effort.cancels)


async def quiet(effort: Effort) -> Figures:
    """The bot's loop while nobody calls."""
    await settle()
    figures = {"idle, cpu a second": await cpu_a_second(effort.seconds)}
    return figures | spread("heartbeat late, nobody calls", await beats(effort.seconds))


async def stalls(bridge: Bridge, work: Callable[[int], Awaitable[None]], times: int) -> list[float]:
    """The latest beat of the bot's loop while the engine makes one long step, and a call is made meanwhile."""
    worst = []
    for _ in range(times):
        timer = asyncio.create_task(beats(STEP_S * 1.5))
        await asyncio.sleep(0)
        step = asyncio.create_task(bridge.call(busy))
        await asyncio.sleep(0.003)
        await work(0)
        await step
        worst.append(max(await timer))
    return worst


async def busy() -> None:
    """A long step of the engine's loop, which never gives the interpreter away by itself."""
    end = time.perf_counter() + STEP_S
    while time.perf_counter() < end:
        pass


def direct(effort: Effort) -> Figures:
    """The engine asked by a trio task, with no other loop."""
    took: list[float] = []

    async def one(score: Call, name: str) -> None:
        began = time.perf_counter()
        await score(name)
        took.append(time.perf_counter() - began)

    async def live(clock: MockClock) -> Figures:
        async with warm_engine(clock) as engine:
            gc.collect()
            gc.freeze()
            await trio.sleep(1)
            began = time.process_time()
            for _ in range(effort.calls):
                await one(engine.get_market_score, NAMES[0])
            figures = {f"{ONE}, cpu per 1000": (time.process_time() - began) / effort.calls * 1000}
            figures |= spread(f"{ONE}, over loop", took)
            took.clear()
            for _ in range(effort.batches):
                async with trio.open_nursery() as nursery:
                    for place in range(100):
                        nursery.start_soon(one, engine.get_market_score, NAMES[place % len(NAMES)])
            return figures | spread(f"{APART}, over loop", took)

    clock = MockClock()
    return trio.run(live, clock, clock=clock)


# The bot's loop ends, the engine does not.


def next_loop(name: str, bridge: Bridge, loop: str) -> Figures:
    """What a second ``asyncio.run`` finds; the engine was left running by the first."""
    noises: set[str] = set()
    threading.excepthook = lambda args: noises.add(short(args.exc_value))
    sys.unraisablehook = lambda args: noises.add(short(args.exc_value))
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, *_: noises.add(short(message))
    try:
        if name == "guest":
            time.sleep(0.2)
            run(loop, reopened(AsGuest()))
            found = "no engine; a new one starts cold"
        else:
            found = f"the same engine, first answer after {in_ms(run(loop, first_answer(bridge)))} ms"
            run(loop, bridge.close())
    except Exception as error:  # noqa: BLE001 - the finding itself
        found = short(error)
    gc.collect()
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    return {"next loop finds": found, "noise, threads then": [*sorted(noises), *threads]}


async def first_answer(bridge: Bridge) -> float:
    """Seconds."""
    began = time.perf_counter()
    async with asyncio.timeout(3):
        await bridge.call(bridge.engine.get_market_score, NAMES[0])
    return time.perf_counter() - began


async def reopened(bridge: Bridge) -> None:
    """Open and close it once more."""
    async with asyncio.timeout(10):
        await bridge.open()
        await bridge.close()


def short(error: object) -> str:
    return f"{type(error).__name__}: {error}"[:90]


def child(name: str, loop: str, effort: Effort) -> Figures:
    """Measure one column in this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if name == "direct":
        return direct(effort)
    if name == "none":
        return run(loop, quiet(effort))
    bridge = BRIDGES[name]()

    async def opened() -> Figures:
        await bridge.open()
        return await measure(bridge, effort)

    return run(loop, opened()) | next_loop(name, bridge, loop)


# The parent.


def report(columns: Mapping[str, Sequence[Figures]]) -> str:
    """Milliseconds, and below what was found in words."""
    keys = dict.fromkeys(key for rounds in columns.values() for key in rounds[0])
    plain = [key for key in keys if any(isinstance(rounds[0].get(key), float) for rounds in columns.values())]
    lines = [table([["ms", *columns], *([key, *(timed(it, key) for it in columns.values())] for key in plain)])]
    for key in [key for key in keys if key not in plain]:
        lines += [f"- {key}, {name}: {rounds[0][key]}" for name, rounds in columns.items() if key in rounds[0]]
    return "\n".join(lines) + "\n"


def faults(rounds: Sequence[Figures]) -> list[str]:
    """What speaks against a bridge."""
    late_s, blocks_s = (median_of(rounds, f"{APART}, {what} p99") for what in ("over loop", "blocks"))
    return [
        *([f"a hundred calls take {in_ms(late_s)} ms at p99"] if late_s > CALL_S else []),
        *([f"a call blocks the loop for {in_ms(blocks_s)} ms at p99"] if blocks_s > BLOCK_S else []),
        *(["loses cancellations"] if any(it["cancels lost"] for it in rounds) else []),
        *(["leaks"] if any(count > 0 for it in rounds for count in it[LEFT]) else []),
        *(["ends with the bot's loop"] if any("the same" not in it["next loop finds"] for it in rounds) else []),
    ]


def main() -> int:
    """Measure, print the tables and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write every round's figures here")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, loop = arguments.child
        sys.stdout.write(json.dumps(child(name, loop, QUICK if arguments.quick else FULL)) + "\n")
        return 0
    columns = [("direct", "asyncio"), *((name, loop) for loop in loops() for name in ("none", *BRIDGES))]
    quick = ["--quick"] * arguments.quick
    measured = in_rounds(
        columns, 1 if arguments.quick else 3, lambda column: launch(__file__, "--child", *column, *quick)
    )
    if arguments.json:
        flat = {f"{name} on {loop}": rounds for (name, loop), rounds in measured.items()}
        arguments.json.write_text(json.dumps(flat, indent=2) + "\n", encoding="utf-8")
    for loop in loops():
        its = {name: rounds for (name, where), rounds in measured.items() if where == loop}
        verdicts = {name: "; ".join(faults(its[name])) or "nothing" for name in BRIDGES}
        against = "\n".join(f"- against {name}: {found}" for name, found in verdicts.items())
        sys.stdout.write(f"## {loop}\n\n{report(its)}{against}\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
