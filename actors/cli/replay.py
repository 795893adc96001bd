"""``updown replay``: recorded markets through the same pipelines and aggregates as live ones."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import trio

from actors.cli.columns import aligned
from actors.cli.failures import Exit
from actors.cli.gauge import reading
from actors.cli.options import add_config_options, add_output_option, add_scoring_options, load
from actors.cli.playback import play, total_bytes
from actors.crash import unwrapped
from actors.tally import MarketTally, Tally, as_json, failures
from actors.tapes.finding import Tape, find_tapes
from engine.envelope import envelope_line
from engine.signals import Signal
from engine.units import NS_PER_S

WORTH_BYTES: Final = 2_000_000
"""A process takes half a second to start; less than this is read meanwhile."""

MOST_JOBS: Final = 256

NO_TRADES: Final = (
    "These recordings hold books and no trades: whatever is scored from trades (volume flow, whales, and momentum where"
    " it is taken from trades) is absent, not zero, and confidence is 0."
)

CUT: Final = "{}: the tape has no last line: it was cut off there, or is being written"

_HEAD: Final = ("market", "messages", "malformed", "signals", "trades", "cover", "crossed", "final mid", "agrees")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to replay, how fast, with which formulas."""
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a tape (.jsonl.zst), an older recording (.jsonl.gz), or a folder of either",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=0.0,
        help="times real time; 0: as fast as possible (default: %(default)g)",
    )
    add_scoring_options(parser)
    parser.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help="processes that share the markets; the output is the same (default: one for each core where it pays)",
    )
    add_config_options(parser)
    add_output_option(parser, "table", "json", "jsonl")


def main(arguments: argparse.Namespace) -> int:
    """Replay and print; ``FAILED`` when something is missing, not what a manifest says, or a book is left crossed.

    With ``jsonl`` stdout has every signal and stderr the tally, otherwise stdout has the tally.
    """
    output = arguments.output or ("table" if sys.stdout.isatty() else "jsonl")
    tapes = find_tapes(arguments.paths)
    settings = load(arguments).settings
    tally = Tally(tapes)
    with reading("replay", total_bytes(tapes)) as watch:
        signals = play(tapes, settings, tally, watch, jobs=_processes(arguments, tapes))
        if arguments.speed:
            _paced(signals, arguments.speed, printing=output == "jsonl")
        else:
            for signal in signals:
                _print(signal, printing=output == "jsonl")
    return _conclude(tally.markets(), output)


def _processes(arguments: argparse.Namespace, tapes: Sequence[Tape]) -> int:
    """How many processes: what was asked for; else all cores for much to read, as fast as possible."""
    if arguments.speed:
        return 1
    worth_it = len(tapes) > 1 and total_bytes(tapes) >= WORTH_BYTES
    wanted = arguments.jobs or (_cores() if worth_it else 1)
    return max(1, min(wanted, len(tapes)))


def _paced(signals: Iterator[Signal], speed: float, *, printing: bool) -> None:
    """Print each signal when it would have come at this speed, counted from the first."""

    async def play() -> None:
        start, first_ns = trio.current_time(), None
        for signal in signals:
            first_ns = signal.as_of_ns if first_ns is None else first_ns
            await trio.sleep_until(start + (signal.as_of_ns - first_ns) / NS_PER_S / speed)
            _print(signal, printing=printing)

    try:
        trio.run(play)
    except BaseExceptionGroup as group:
        raise unwrapped(group) from None


def _print(signal: Signal, *, printing: bool) -> None:
    if printing:
        sys.stdout.write(envelope_line(signal) + "\n")


def _conclude(markets: Sequence[MarketTally], output: str) -> Exit:
    complaints = failures(markets)
    remarks = [CUT.format(market.slug) for market in markets if market.cut]
    stream = sys.stderr if output == "jsonl" else sys.stdout
    if output == "json":
        conclusion = {"markets": as_json(markets), "failures": complaints, "remarks": remarks, "note": _note(markets)}
        stream.write(json.dumps(conclusion, indent=2) + "\n")
    else:
        stream.write("\n".join([aligned([_HEAD, *map(_row, markets)]), _totals(markets), *remarks, *complaints]) + "\n")
    return Exit.FAILED if complaints else Exit.DONE


def _row(market: MarketTally) -> tuple[str, ...]:
    words = {True: "yes", False: "NO", None: "unknown"}
    return (
        market.slug,
        f"{market.messages}{'' if market.complete is not False else ' (incomplete)'}",
        str(market.malformed),
        str(market.signals),
        str(market.trades),
        f"{market.mean_coverage:.0%}",
        str(market.crossed),
        "none" if market.final_mid is None else f"{market.final_mid:.4f}",
        words[market.agrees],
    )


def _totals(markets: Sequence[MarketTally]) -> str:
    known = [market for market in markets if market.agrees is not None]
    agreeing = sum(bool(market.agrees) for market in known)
    messages, signals = sum(market.messages for market in markets), sum(market.signals for market in markets)
    line = f"{len(markets)} markets, {messages} messages, {signals} signals; "
    line += f"the final mid agrees with the outcome in {agreeing} of {len(known)}"
    note = _note(markets)
    return f"{line}\n{note}" if note else line


def _note(markets: Sequence[MarketTally]) -> str | None:
    return None if any(market.trades for market in markets) else NO_TRADES


def _cores() -> int:
    """Those that this process may use, where the system says."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _jobs(text: str) -> int:
    jobs = int(text)
    if not 1 <= jobs <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"not a number of processes from 1 to {MOST_JOBS}: {text}")
    return jobs


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 <= speed < float("inf"):
        raise argparse.ArgumentTypeError(f"not a speed of 0 or more: {text}")
    return speed
