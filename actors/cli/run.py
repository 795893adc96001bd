"""``updown run``: follow markets and print their signals, until told to stop."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol, TextIO

import trio
from attrs import frozen
from rich.console import Console
from structlog.typing import FilteringBoundLogger

from actors import logs
from actors.cli.ending import FIRST_S, RELOADING, STOPPING, GiveUp, LastResort, Stop
from actors.cli.failures import Exit, let_go_of_streams
from actors.cli.notify import Systemd
from actors.cli.options import (
    add_config_options,
    add_log_options,
    add_output_option,
    load,
    logs_in_color,
    positive_number,
    wants_color,
)
from actors.cli.reload import Reload, require_follow
from actors.cli.terminal import Terminal
from actors.config import Loaded
from actors.crash import summary, unwrapped
from actors.plugins import discover
from actors.ports import Ports
from actors.sinks import LineSink
from actors.supervisor import SupervisorFailure
from actors.system import Engine, open_engine
from actors.table import show_table
from engine.presets import PRESETS
from engine.scoring import ScorerFactory
from engine.settings import Settings

REFRESH_S: Final = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Configuration, output and logs, and how long."""
    add_config_options(parser)
    add_output_option(parser, "table", "jsonl")
    parser.add_argument("--seconds", type=positive_number, metavar="N", help="end by itself after so many seconds")
    add_log_options(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run until a signal or ``--seconds`` ends it; raises ``ConfigError``, also when nothing is followed."""
    return run_process(arguments, partial(load, arguments), partial(_display, arguments))


def run_process(
    arguments: argparse.Namespace, load_settings: Callable[[], Loaded], make_display: Callable[[], Display]
) -> int:
    """Load and run as a process of its own, until a signal or ``--seconds`` ends it; raises as ``main``."""
    loaded = require_follow(load_settings())
    logs.configure(loaded.settings.log, colors=logs_in_color(arguments))
    last_resort = LastResort()
    try:
        return trio.run(
            partial(
                run_engine,
                loaded,
                load_again=load_settings,
                display=make_display(),
                seconds=arguments.seconds,
                scorers=scorers_for(loaded.settings),
                give_up=last_resort.arm,
                systemd=Systemd.of(os.environ),
            )
        )
    except BaseExceptionGroup as group:
        raise unwrapped(group) from None
    finally:
        last_resort.disarm()
        let_go_of_streams()


class Display(Protocol):
    """Where results go."""

    async def show(self, engine: Engine, closed: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        """Show what the engine emits from ``started()`` on, to the last signal; ``closed`` is set after it."""


@frozen
class Lines:
    """Every signal and every aggregate as one line of JSON."""

    stream: TextIO
    log: FilteringBoundLogger

    async def show(self, engine: Engine, closed: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        """Ends with the engine's subscriptions."""
        sink = LineSink(self.stream, log=self.log)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run, engine.signals())
            nursery.start_soon(sink.run, engine.aggregates())
            task_status.started()
        self.log.info("sink.closed", written=sink.written, lost=sink.lost)


@frozen
class Board:
    """The live table, redrawn every ``refresh_s`` trio seconds."""

    console: Console
    log: FilteringBoundLogger
    refresh_s: float = REFRESH_S
    caption: str = ""

    async def show(self, engine: Engine, closed: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        """Ends when the engine has closed; a screen that is gone ends nothing else."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._draw, engine)
            task_status.started()
            await closed.wait()
            nursery.cancel_scope.cancel()

    async def _draw(self, engine: Engine) -> None:
        try:
            await show_table(engine, refresh_s=self.refresh_s, console=self.console, caption=self.caption)
        except (OSError, SystemExit) as error:  # rich leaves the process over a broken pipe
            self.log.warning("table.lost", error_type=type(error).__name__, error=str(error))


async def run_engine(
    loaded: Loaded,
    *,
    load_again: Callable[[], Loaded],
    display: Display,
    give_up: GiveUp,
    seconds: float | None = None,
    scorers: Mapping[str, ScorerFactory] | None = None,
    ports: Ports | None = None,
    systemd: Systemd | None = None,
) -> Exit:
    """Run an engine until SIGTERM, SIGINT, the loss of its terminal or the end of ``seconds``, then drain it.

    Any other SIGHUP calls ``load_again``.
    """
    log, systemd = logs.default_logger(), systemd or Systemd()
    stop, closed = Stop(give_up, log=log, terminal=Terminal.of_process()), trio.Event()
    reload = Reload(loaded, load_again, log=log)
    code = Exit.DONE
    with trio.open_signal_receiver(*STOPPING, *RELOADING) as signals:
        async with trio.open_nursery() as watching:
            async with trio.open_nursery() as draining:
                try:
                    async with open_engine(loaded.settings, ports=ports, scorers=scorers, log=log) as engine:
                        await draining.start(display.show, engine, closed)
                        watching.start_soon(stop.obey, signals, partial(watching.start_soon, reload.apply, engine))
                        watching.start_soon(systemd.keep_watchdog)
                        systemd.tell("READY=1")
                        await _until(stop, seconds)
                        systemd.tell("STOPPING=1")
                except SupervisorFailure as failure:
                    log.critical("engine.failed", error=summary(failure))
                    code = Exit.INTERNAL
                    give_up(FIRST_S, code)
                finally:
                    closed.set()
            watching.cancel_scope.cancel()
    return code


def scorers_for(settings: Settings) -> Mapping[str, ScorerFactory]:
    """The plug-in scorers if the preset is one of them; a broken one that nobody asked for is not looked at."""
    return {} if settings.scoring.preset in PRESETS else discover()


async def _until(stop: Stop, seconds: float | None) -> None:
    with trio.move_on_after(math.inf if seconds is None else seconds):
        await stop.wished.wait()
    if not stop.wished.is_set():
        stop.wish("the time is up")


def _display(arguments: argparse.Namespace) -> Display:
    output = arguments.output or ("table" if sys.stdout.isatty() else "jsonl")
    if output == "table":
        return Board(Console(no_color=not wants_color(arguments)), logs.default_logger())
    return Lines(sys.stdout, logs.default_logger())
