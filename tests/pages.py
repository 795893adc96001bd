"""Running the Python blocks of a page as a reader would, with a stand-in venue in place of the real one."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import trio
import trio.testing

import actors
import actors.service.service
from actors import Engine, RehearsalEngine, Venue, VenueOptions, open_engine
from actors.clock import Clock
from engine.settings import Settings
from tests.actors.local_venue import QUARTER_S, ports

RATE = 300.0
"""So many times faster than the wall runs the engine behind a page."""

OPTIONS = VenueOptions(message_rate=5.0, hashes=False)

LONG_S = 60.0
ENOUGH = 3
"""So many pauses of a minute or more may an endless loop make."""

TRIO_S = 500.0
"""A program on trio is ended after so many seconds of its own time."""


class Enough(Exception):
    """Ends an endless loop."""


def blocks_of(text: str) -> list[CodeType]:
    """The Python blocks of a page, compiled as a notebook would."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [compile(block, f"<block {number}>", "exec", flags=flags) for number, block in enumerate(found)]


def sections_of(page: Path) -> dict[str, list[CodeType]]:
    """The blocks of every section that has some, by its title."""
    parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    told = zip(parts[1::2], map(blocks_of, parts[2::2]), strict=True)
    return {title: blocks for title, blocks in told if blocks}


def run_program(block: CodeType, names: dict[str, Any]) -> None:
    """Run a block on no loop, until it had enough."""
    with suppress(Enough):
        exec(block, names)


def run_cells(blocks: list[CodeType], names: dict[str, Any]) -> None:
    """Run blocks as the cells of a notebook, all of them inside one running loop."""

    async def cells() -> None:
        for block in blocks:
            result = eval(block, names)
            if inspect.isawaitable(result):
                await result

    asyncio.run(cells())


@contextmanager
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let whoever opens an engine get one with a venue of its own, and pauses be as much shorter as it is faster.

    Engines in the background begin a minute after the quarter; those on trio have a mock clock that jumps.
    """

    def rehearsal(settings: Settings | None = None) -> RehearsalEngine:
        return RehearsalEngine(settings, rate=RATE, start_s=QUARTER_S + 60, options=OPTIONS)

    monkeypatch.setitem(actors.__dict__, "BackgroundEngine", rehearsal)
    monkeypatch.setitem(actors.__dict__, "open_engine", open_engine_here)
    monkeypatch.setattr(actors.service.service, "BackgroundEngine", rehearsal)
    monkeypatch.setattr(trio, "run", partial(_run_for_a_while, trio.run))
    pauses = _Pauses()
    monkeypatch.setattr(time, "sleep", partial(pauses.blocking, time.sleep))
    monkeypatch.setattr(asyncio, "sleep", partial(pauses.waiting, asyncio.sleep))
    yield
    gc.collect()


@asynccontextmanager
async def open_engine_here(settings: Settings) -> AsyncIterator[Engine]:
    """An engine on this loop, and its venue."""
    clock = Clock.anchored((QUARTER_S + 1) * 10**9)
    venue = Venue(clock, OPTIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        async with open_engine(settings, ports=ports(clock, venue)) as engine:
            yield engine
        nursery.cancel_scope.cancel()


class _Pauses:
    """Pauses of either kind, of which the long ones are counted."""

    def __init__(self) -> None:
        self._long = 0

    def blocking(self, sleep: Any, seconds: float) -> None:
        sleep(self._shorter(seconds))

    async def waiting(self, sleep: Any, seconds: float) -> None:
        await sleep(self._shorter(seconds))

    def _shorter(self, seconds: float) -> float:
        self._long += seconds >= LONG_S
        if self._long >= ENOUGH:
            raise Enough
        return seconds / RATE


def _run_for_a_while(run: Any, main: Any, clock: trio.abc.Clock | None = None) -> None:
    async def limited() -> None:
        with trio.move_on_after(TRIO_S):
            await main()

    # An engine in the background brings a clock of its own, and ends when it is closed.
    run(limited if clock is None else main, clock=clock or trio.testing.MockClock(autojump_threshold=0))
