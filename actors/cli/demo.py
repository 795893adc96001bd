"""``updown demo``: the engine against the stand-in venue in one process, in fast time, with a roll-over and an outage.

Time is trio's: a clock that runs ``--rate`` times faster than the wall, or slower than that where the machine is too
busy for it, moves venue and engine alike, so that a slot of five minutes passes in seconds. It starts two and a half
minutes before a quarter of an hour, where two series roll.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Final

import trio
from attrs import evolve
from rich.console import Console

from actors import logs
from actors.cli.ending import LastResort
from actors.cli.failures import let_go_of_streams
from actors.cli.options import (
    add_log_options,
    add_output_option,
    log_settings,
    logs_in_color,
    positive_number,
    wants_color,
)
from actors.cli.run import Board, Display, Lines, run_engine
from actors.clock import Clock, PacedClock
from actors.config import Loaded
from actors.crash import unwrapped
from actors.ports import Ports
from actors.venue import Venue, VenueOptions
from engine.series import series_named
from engine.settings import FollowSettings, Settings, VenueSettings
from engine.units import to_ns

SERIES: Final = ("btc-5m", "btc-15m", "btc-1h", "btc-4h")
CUT_SERIES: Final = "btc-1h"
QUARTER_S: Final = 900
QUARTERS_PER_HOUR: Final = 4
LEAD_S: Final = 150
MESSAGE_RATE: Final = 4.0
FRAMES_PER_S: Final = 8.0

CUT_AT: Final = 0.6
OUTAGE_S: Final = 45.0
"""When the venue cuts one market off, as a share of the demo, and for how many of its own seconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Output, length and speed."""
    add_output_option(parser, "table", "jsonl")
    parser.add_argument(
        "--seconds", type=positive_number, default=45.0, metavar="N", help="how long it takes (default: %(default)s)"
    )
    parser.add_argument(
        "--rate", type=positive_number, default=12.0, help="how much faster its time runs (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, help="fixes everything that is generated (default: %(default)s)")
    add_log_options(parser)


def main(arguments: argparse.Namespace) -> int:
    """Show the demo until its time is up or a signal ends it."""
    output = arguments.output or ("table" if sys.stdout.isatty() else "jsonl")
    settings = log_settings(arguments)
    # A log line in the middle of a live table would tear it.
    logs.configure(evolve(settings, level="error") if output == "table" else settings, colors=logs_in_color(arguments))
    display = _display(output, arguments)
    last_resort = LastResort()
    try:
        return trio.run(
            partial(demo, arguments.seconds * arguments.rate, display, seed=arguments.seed, last_resort=last_resort),
            clock=PacedClock(arguments.rate),
        )
    except BaseExceptionGroup as group:
        raise unwrapped(group) from None
    finally:
        last_resort.disarm()
        let_go_of_streams()


async def demo(seconds: float, display: Display, *, seed: int, last_resort: LastResort) -> int:
    """Run venue, engine and the staged outage for so many seconds of the trio clock."""
    clock = quarter_clock(Clock.anchored().now_ns())
    venue = Venue(clock, VenueOptions(seed=seed, message_rate=MESSAGE_RATE))
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        loaded = Loaded(settings=demo_settings(*await venue.listen()), origins={})
        nursery.start_soon(stage_outage, venue, clock, seconds * CUT_AT)
        code = await run_engine(
            loaded,
            load_again=lambda: loaded,
            display=display,
            give_up=last_resort.arm,
            seconds=seconds,
            ports=Ports(clock=clock),
        )
        nursery.cancel_scope.cancel()
    return code


def demo_settings(websocket_url: str, http_url: str) -> Settings:
    """What the demo follows, at a venue of its own."""
    return Settings(
        follow=tuple(FollowSettings(series=name) for name in SERIES),
        venue=VenueSettings(websocket_url=websocket_url, gamma_url=http_url, clob_url=http_url),
    )


def quarter_clock(now_ns: int) -> Clock:
    """A clock that starts a little before the last quarter of an hour that was not full: the longer series stay."""
    quarter = now_ns // to_ns(QUARTER_S)
    quarter -= quarter % QUARTERS_PER_HOUR == 0
    return Clock.anchored(quarter * to_ns(QUARTER_S) - to_ns(LEAD_S))


async def stage_outage(venue: Venue, clock: Clock, after_s: float) -> None:
    """Let the venue cut one market off and refuse handshakes for a while."""
    await trio.sleep(after_s)
    venue.faults.reject(503)
    venue.faults.disconnect(series_named(CUT_SERIES).slot_at(clock.now_ns()).slug)
    await trio.sleep(OUTAGE_S)
    venue.faults.accept()


def _display(output: str, arguments: argparse.Namespace) -> Display:
    if output == "jsonl":
        return Lines(sys.stdout, logs.default_logger())
    roll_s, cut_s = LEAD_S / arguments.rate, CUT_AT * arguments.seconds
    caption = (
        f"Stand-in venue, {arguments.rate:g} times real time, ends after {arguments.seconds:g} s. "
        f"btc-5m and btc-15m roll after {roll_s:.0f} s; after {cut_s:.0f} s the venue cuts {CUT_SERIES} off "
        f"and refuses every new connection for {OUTAGE_S / arguments.rate:.0f} s."
    )
    # The clock runs ahead of the eye.
    refresh_s = arguments.rate / FRAMES_PER_S
    return Board(Console(no_color=not wants_color(arguments)), logs.default_logger(), refresh_s, caption)
