"""Service: what a bot on asyncio may expect of ``MarketMicrostructureService``, measured and judged.

``calls``: scores from a warm engine that follows four markets, one by one and a hundred at once, of one service and of
a hundred different ones; how long each call holds the bot's loop up; a heartbeat of a millisecond beside the engine.
``own``: services with an engine each, on real sockets, made, used and closed; some in turn, then a thousand, ten at a
time.
``shared``: a thousand services in turn on one engine. Neither may leave anything behind.

Prints tables of medians (lowest..highest round) and exits with 1 if a limit is broken, naming each.

    python tests/bench/service.py --json service.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from attrs import frozen
from lifetimes import HELD, Marks, follower, own, shared, warm_engine
from measuring import (
    NAMES,
    Figures,
    beats,
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
    timed_step,
)

from actors import BackgroundEngine, MarketMicrostructureService

BUSY_RATE = 20.0
CALLS = ("1 call", "100 calls of one service", "100 calls of 100 services")

CALL_S = 0.005
BLOCK_S = 0.001
LIMITS = {
    **{f"{name}, over loop p99": CALL_S for name in CALLS},
    **{f"{name}, blocks p99": BLOCK_S for name in CALLS},
    **{f"{name}() blocks p99": BLOCK_S for name in ("follow", "set_market", "close")},
    "heartbeat late, engine at work p99": BLOCK_S,
    # An engine of one's own starts and ends rarely, and its thread waits for the system's scheduler.
    **{f"{name}() of an own engine, blocks p50": BLOCK_S for name in ("start", "close")},
    "share without a score": 0.5,
    "resident memory grew by": 0.1,
    **{f"{what} left": 0.0 for what in HELD},
    # An engine under way has some more or less from one moment to the next.
    "objects of ours left": 5.0,
}
"""What the median round must not exceed: seconds, shares and counts."""


@frozen
class Effort:
    """How much of everything."""

    calls: int
    batches: int
    beats_s: float
    steps: int
    marks: Marks


FULL = Effort(calls=1000, batches=15, beats_s=1.0, steps=200, marks=(100, 500, 1000))
QUICK = Effort(calls=300, batches=5, beats_s=0.5, steps=100, marks=(50, 100, 200))


# Calls.


async def calls(effort: Effort) -> Figures:
    """Scores of a warm engine, and the heartbeat of the loop beside it."""
    figures = spread("heartbeat late, no engine", await beats(effort.beats_s))
    async with warm_engine() as (engine, pace):
        services = [follower(engine, place) for place in range(100)]
        await asyncio.gather(*(service.get_market_score() for service in services))

        async def of_one(_: int) -> None:
            await services[0].get_market_score()

        async def of_each(place: int) -> None:
            await services[place].get_market_score()

        await settle()
        figures |= spread("heartbeat late, engine at work", await beats(effort.beats_s))
        figures["engine at work, cpu a second"] = await cpu_a_second(effort.beats_s)
        figures |= await one_by_one("1 call", of_one, effort.calls)
        figures |= await hundreds("100 calls of one service", of_one, effort.batches)
        figures |= await hundreds("100 calls of 100 services", of_each, effort.batches)
        figures |= await synchronous_steps(engine, effort.steps)
        pace(BUSY_RATE)
        figures |= spread(f"heartbeat late, {BUSY_RATE:.0f} times the traffic", await beats(effort.beats_s))
        figures[f"{BUSY_RATE:.0f} times the traffic, cpu a second"] = await cpu_a_second(effort.beats_s)
        pace(1.0)
        await asyncio.gather(*(service.close() for service in services))
    return figures


async def synchronous_steps(engine: BackgroundEngine, times: int) -> Figures:
    """What returns at once, on an engine that others use too."""
    made: list[float] = []
    followed: list[float] = []
    switched: list[float] = []
    closed: list[float] = []
    for place in range(times):
        service = timed_step(made, partial(MarketMicrostructureService, engine=engine))
        timed_step(followed, service.follow, NAMES[place % 4])
        signal = await service.get_market_score()
        assert signal.condition_id is not None
        timed_step(switched, service.set_market, signal.condition_id)
        await asyncio.sleep(0.002)
        closing = timed_step(closed, service.close)
        await closing
    return {
        **spread("constructor blocks", made),
        **spread("follow() blocks", followed),
        **spread("set_market() blocks", switched),
        **spread("close() blocks", closed),
    }


# The parent.


CHILDREN: dict[str, Callable[[Effort], Coroutine[Any, Any, Figures]]] = {
    "calls": calls,
    "own": lambda effort: own(effort.marks, effort.beats_s),
    "shared": lambda effort: shared(effort.marks),
}


def measure(column: tuple[str, str], quick: bool) -> Figures:
    """What one child says on one loop."""
    return launch(__file__, "--child", *column, *["--quick"] * quick)


def told(rounds: Sequence[Figures], key: str) -> str:
    """Milliseconds, or what is counted as it is."""
    counted = key.startswith("resident") or " left" in key or "share" in key
    return f"{rounds[0][key]:.3g}" if counted and key in rounds[0] else timed(rounds, key)


def report(columns: Mapping[str, Sequence[Figures]]) -> str:
    """What was measured, beside the limits."""
    rows = [["ms, or counted", *columns, "limit"]]
    for key in dict.fromkeys(key for rounds in columns.values() for key in rounds[0]):
        limit = LIMITS.get(key)
        shown = "" if limit is None else in_ms(limit) if key.endswith(("p50", "p99")) else f"{limit:g}"
        rows.append([key, *(told(rounds, key) for rounds in columns.values()), shown])
    return table(rows)


def broken_limits(columns: Mapping[str, Sequence[Figures]]) -> list[str]:
    """Every limit that does not hold."""
    return [
        f"{name}: {key} {told(rounds, key)}"
        for name, rounds in columns.items()
        for key, limit in LIMITS.items()
        if key in rounds[0] and not median_of(rounds, key) <= limit
    ]


def main() -> int:
    """Measure, print the tables, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write every round's figures here")
    parser.add_argument("--quick", action="store_true", help="one short round and fewer cycles")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if arguments.child:
        name, loop = arguments.child
        figures = run(loop, CHILDREN[name](QUICK if arguments.quick else FULL))
        sys.stdout.write(json.dumps(figures) + "\n")
        return 0
    load = os.getloadavg()[0]
    take = partial(measure, quick=arguments.quick)
    scores = in_rounds([("calls", loop) for loop in loops()], 1 if arguments.quick else 3, take)
    services = in_rounds([("own", "asyncio"), ("shared", "asyncio")], 1, take)
    by_name = [{loop: rounds for (_, loop), rounds in scores.items()}, {name: it for (name, _), it in services.items()}]
    broken = [line for columns in by_name for line in broken_limits(columns)]
    if arguments.json:
        arguments.json.write_text(json.dumps({"load": load, "broken": broken, **by_name[0], **by_name[1]}, indent=2))
    for columns in by_name:
        sys.stdout.write(report(columns) + "\n\n")
    sys.stdout.write(f"Load of the machine before: {load:.1f} on {os.cpu_count()} processors.\n")
    for line in broken:
        sys.stderr.write(f"BROKEN: {line}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
