"""``updown replay``: recorded markets through the same pipelines and aggregates as live ones."""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.captures import Capture, CaptureError, find_captures, read_capture
from actors.cli.columns import aligned
from actors.cli.failures import Exit
from actors.cli.options import add_config_options, add_output_option, load
from actors.cli.run import scorers_for
from actors.crash import unwrapped
from actors.tally import MarketTally, Tally, as_json, failures
from engine.envelope import envelope_line
from engine.presets import choose_preset
from engine.records import Frame, Record, Unfollowed
from engine.replay import replay
from engine.scoring import build_scorer
from engine.settings import Settings
from engine.signals import MarketSignals, Signal
from engine.units import NS_PER_S

PROGRESS_STEP: Final = 256

NO_TRADES: Final = (
    "These recordings hold books and no trades: whatever is scored from trades (volume flow, whales, and momentum where"
    " it is taken from trades) is absent, not zero, and confidence is 0."
)

_HEAD: Final = ("market", "messages", "malformed", "signals", "trades", "cover", "crossed", "final mid", "agrees")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to replay, how fast, with which formulas."""
    parser.add_argument("path", type=Path, metavar="PATH", help="a recorded market (.jsonl.gz) or a folder of them")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=0.0,
        help="times real time; 0: as fast as possible (default: %(default)g)",
    )
    add_config_options(parser)
    add_output_option(parser, "table", "json", "jsonl")


def main(arguments: argparse.Namespace) -> int:
    """Replay and print; ``FAILED`` when recordings are torn or not what their manifest says, or a book is left crossed.

    With ``jsonl`` stdout has every signal and stderr the tally, otherwise stdout has the tally.
    """
    output = arguments.output or ("table" if sys.stdout.isatty() else "jsonl")
    captures = find_captures(arguments.path)
    settings = load(arguments).settings
    tally = Tally(captures)
    with _progress(captures) as progress:
        signals = _signals(captures, settings, tally, partial(progress.advance, progress.task_ids[0]))
        if arguments.speed:
            _paced(signals, arguments.speed, printing=output == "jsonl")
        else:
            for signal in signals:
                _print(signal, printing=output == "jsonl")
    return _conclude(tally.markets(), output)


def _signals(captures: Sequence[Capture], settings: Settings, tally: Tally, step: partial[None]) -> Iterator[Signal]:
    """Every signal of the recordings, in order, counted on its way."""
    scorers = scorers_for(settings)
    preset = choose_preset(settings.scoring, scorers)
    signals = replay(
        _counted(captures, tally, step),
        scoring=settings.scoring,
        preset=preset,
        new_scorer=partial(build_scorer, preset, scorers),
        aggregate=settings.aggregate,
    )
    for signal in signals:
        if isinstance(signal, MarketSignals):
            tally.signal(signal)
        yield signal


def _counted(captures: Sequence[Capture], tally: Tally, step: partial[None]) -> Iterator[tuple[str, Record]]:
    readable = (_readable(capture, tally) for capture in captures)
    merged = heapq.merge(*readable, key=lambda pair: pair[1].at_ns)
    frames = 0
    for key, record in merged:
        tally.record(key, record)
        frames += isinstance(record, Frame)
        if frames == PROGRESS_STEP:
            step(frames)
            frames = 0
        yield key, record
    step(frames)


def _readable(capture: Capture, tally: Tally) -> Iterator[tuple[str, Record]]:
    """The records of one recording, up to where it is torn: there its market is let go, and the others go on."""
    at_ns = None
    try:
        for key, record in read_capture(capture):
            at_ns = record.at_ns
            yield key, record
    except CaptureError as error:
        tally.tear(capture.slug, str(error))
        if at_ns is not None:
            yield capture.slug, Unfollowed(at_ns=at_ns + 1)


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
    stream = sys.stderr if output == "jsonl" else sys.stdout
    if output == "json":
        conclusion = {"markets": as_json(markets), "failures": complaints, "note": _note(markets)}
        stream.write(json.dumps(conclusion, indent=2) + "\n")
    else:
        stream.write("\n".join([aligned([_HEAD, *map(_row, markets)]), _totals(markets), *complaints]) + "\n")
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


def _progress(captures: Sequence[Capture]) -> Progress:
    """A bar on stderr, shown on a terminal only."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("replay"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    counts = [capture.messages for capture in captures]
    progress.add_task("replay", total=None if None in counts else sum(count or 0 for count in counts))
    return progress


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 <= speed < float("inf"):
        raise argparse.ArgumentTypeError(f"not a speed of 0 or more: {text}")
    return speed
