"""``updown record``: follow markets and put everything that happens to them on tapes, until told to stop."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

import trio
from attrs import define, field
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.cli.failures import Exit
from actors.cli.options import (
    add_config_options,
    add_log_options,
    add_output_option,
    load,
    positive_number,
    wants_color,
)
from actors.cli.run import run_process
from actors.health import EngineHealth
from actors.system import Engine
from actors.table import FEED_STYLES

REFRESH_S: Final = 1.0
REPORT_S: Final = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Configuration, where to, how long, output and logs."""
    add_config_options(parser)
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="where the tapes go (recording.folder)")
    parser.add_argument("--seconds", type=positive_number, metavar="N", help="end by itself after so many seconds")
    add_output_option(parser, "table", "jsonl")
    add_log_options(parser)


def main(arguments: argparse.Namespace) -> int:
    """Record until a signal or ``--seconds`` ends it; ``FAILED`` if something could not be written in the end.

    Raises ``ConfigError``, also when nothing is followed.
    """
    flags = {"record": "recording.record=true"}
    if arguments.folder is not None:
        flags["--folder"] = f"recording.folder={json.dumps(str(arguments.folder))}"
    display = _display(arguments)
    code = run_process(arguments, partial(load, arguments, flags), lambda: display)
    return Exit.FAILED if code == Exit.DONE and display.unwritten else code


class Report(Protocol):
    """A display that knows at the end whether everything was written."""

    unwritten: int

    async def show(self, engine: Engine, closed: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        """As every display of a running engine."""


@define
class Minutes:
    """One line of JSON every minute, and one when everything is over."""

    stream: TextIO
    every_s: float = REPORT_S
    unwritten: int = field(default=0, init=False)

    async def show(self, engine: Engine, closed: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        """Ends when the engine has closed; a reader that is gone ends nothing."""
        task_status.started()
        await _until(closed, self.every_s, lambda: self._tell(engine))
        self.unwritten = _unwritten(engine.health())
        self._tell(engine)

    def _tell(self, engine: Engine) -> None:
        try:
            self.stream.write(json.dumps(as_json(engine.health())) + "\n")
            self.stream.flush()
        except (OSError, ValueError):
            pass


@define
class Screen:
    """A small table, redrawn in place every second; the last state stays."""

    console: Console
    refresh_s: float = REFRESH_S
    unwritten: int = field(default=0, init=False)

    async def show(self, engine: Engine, closed: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        """Ends when the engine has closed; a screen that is gone ends nothing else."""
        task_status.started()
        try:
            with Live(board(engine.health()), console=self.console, auto_refresh=False) as live:
                await _until(closed, self.refresh_s, lambda: live.update(board(engine.health()), refresh=True))
                live.update(board(engine.health()), refresh=True)
        except (OSError, SystemExit):  # rich leaves the process over a broken pipe
            await closed.wait()
        self.unwritten = _unwritten(engine.health())


def as_json(health: EngineHealth) -> dict[str, Any]:
    """What is recorded, as plain JSON types."""
    recorder = health.recorder
    if recorder is None:
        return {"as_of_ns": health.as_of_ns}
    return {
        "as_of_ns": health.as_of_ns,
        "written": recorder.written,
        "lost": recorder.lost,
        "waiting_bytes": recorder.waiting_bytes,
        "fault": recorder.fault,
        "markets": [
            {
                "market": market.target,
                "records": recorder.records.get(market.target, 0),
                "lost": recorder.losses.get(market.target, 0),
                "feed": market.feed_state,
            }
            for market in health.markets
        ],
    }


def board(health: EngineHealth) -> Group:
    """Every market that is followed now, and what is written of all."""
    told = as_json(health)
    drawn = Table(title="updown record", title_justify="left")
    drawn.add_column("market", no_wrap=True)
    drawn.add_column("records", justify="right")
    drawn.add_column("lost", justify="right")
    drawn.add_column("feed")
    for row in told.get("markets", ()):
        lost = Text(str(row["lost"]), style="bold red" if row["lost"] else "")
        feed = Text(str(row["feed"]), style=FEED_STYLES[row["feed"]])
        drawn.add_row(row["market"], str(row["records"]), lost, feed)
    return Group(drawn, Text(totals(health)))


def totals(health: EngineHealth) -> str:
    """What the recorder did so far, and what is wrong with it."""
    recorder = health.recorder
    if recorder is None:
        return "nothing is recorded"
    fault = "" if recorder.fault is None else f"; cannot write: {recorder.fault}"
    return f"{recorder.written} written, {recorder.lost} lost, {recorder.waiting_bytes} bytes waiting{fault}"


def _unwritten(health: EngineHealth) -> int:
    return 0 if health.recorder is None else health.recorder.waiting_bytes


async def _until(closed: trio.Event, every_s: float, tell: Callable[[], object]) -> None:
    """Call ``tell`` every so many seconds until the event is set."""
    start = trio.current_time()
    while not closed.is_set():
        due = start + every_s * (math.floor((trio.current_time() - start) / every_s) + 1)
        with trio.move_on_at(due):
            await closed.wait()
        if not closed.is_set():
            tell()


def _display(arguments: argparse.Namespace) -> Report:
    output = arguments.output or ("table" if sys.stdout.isatty() else "jsonl")
    if output == "table":
        return Screen(Console(no_color=not wants_color(arguments)))
    return Minutes(sys.stdout)
