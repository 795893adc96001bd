"""Round trip: what ``updown run`` says while it records, ``updown replay`` says again, byte for byte.

The stand-in venue and the recording engine are processes of their own, as a user would run them. When the time is up
the tapes are replayed: every line that was live must come out, and no other one. Then copies are made in which one
tape is cut at a random byte; each must replay to the same lines up to its cut. Prints what it found as JSON; exits 1,
naming the first lines that differ, if anything did.

    python tests/bench/roundtrip.py --seconds 600 --cuts 100
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from actors.cli.playback import score_tape
from actors.tapes import Tape, examine, find_tapes
from actors.tapes.reader import staggered
from engine.envelope import envelope_line
from engine.replay import Step, conduct, place_of
from engine.settings import AggregateSettings, ScoringSettings, Settings
from engine.signals import MarketSignals, Signal

UPDOWN = Path(sys.executable).with_name("updown")
SERIES = ("btc-5m", "btc-15m", "btc-1h", "eth-5m")
SHOWN = 3
"""So many lines that differ are told of each kind."""


def recorded(folder: Path, seconds: float, *, cadence_s: float, rate: float, seed: int) -> list[str]:
    """Let an engine follow the stand-in venue for so long and record into ``folder``; what it printed, line by line."""
    log = folder.with_name("run.log")
    words = [UPDOWN, "serve", "--port", "0", "--seed", str(seed), "--rate", str(rate)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as serving:
        try:
            assert serving.stdout is not None
            urls = json.loads(serving.stdout.readline())
            with log.open("w") as logged:
                words = [UPDOWN, "run", "-o", "jsonl", "--seconds", str(seconds), "--log-format", "json"]
                words += wanted(folder, urls, cadence_s=cadence_s)
                done = subprocess.run(words, stdout=subprocess.PIPE, stderr=logged, text=True, check=False)
        finally:
            serving.send_signal(signal.SIGTERM)
    if done.returncode:
        raise SystemExit(f"updown run ended with {done.returncode}:\n{log.read_text()[-2000:]}")
    return done.stdout.splitlines()


def wanted(folder: Path, urls: dict[str, str], *, cadence_s: float) -> list[str]:
    """The settings of the recording engine, as words of a command line."""
    settings = {
        "follow": "[" + ", ".join(f'{{ series = "{name}" }}' for name in SERIES) + "]",
        "recording.record": "true",
        "recording.folder": json.dumps(str(folder)),
        "scoring.cadence_s": str(cadence_s),
        **{f"venue.{name}": json.dumps(url) for name, url in urls.items()},
    }
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def replayed(folder: Path, *, cadence_s: float) -> list[str]:
    """What the command says of the tapes."""
    words = [UPDOWN, "replay", folder, "-o", "jsonl", "--cadence", str(cadence_s)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"updown replay ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()


def differences(live: Iterable[str], again: Iterable[str]) -> list[str]:
    """The first lines that only one of both has; the order of lines of several markets is not compared."""
    told, retold = set(live), set(again)
    only = (("only live", told - retold), ("only replayed", retold - told))
    return [f"{where}: {line}" for where, lines in only for line in sorted(lines)[:SHOWN]]


def cut_copy(tape: Tape, folder: Path, generator: random.Random) -> Tape:
    """A copy of a tape that ends at a random byte: that part is cut, those after it are not there."""
    sizes = [part.stat().st_size for part in tape.parts]
    left = generator.randrange(1, sum(sizes))
    for part, size in zip(tape.parts, sizes, strict=True):
        copy = folder / part.parent.name / part.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(part.read_bytes()[:left])
        left -= size
        if left <= 0:
            break
    [copied] = find_tapes([folder])
    return copied


def lines_of(markets: Sequence[Sequence[Step]]) -> list[Signal]:
    """The signals and aggregates of markets that were scored apart."""
    return list(conduct(staggered(((0, partial(iter, said)) for said in markets), place_of), AggregateSettings()))


def cut_differences(tapes: Sequence[Tape], folder: Path, *, cuts: int, settings: Settings, seed: int) -> list[str]:
    """What differs up to the cut between the tapes and copies of which one tape is cut; the first copy that differs."""
    generator = random.Random(seed)
    said = [score_tape(tape, settings).steps for tape in tapes]
    whole = lines_of(said)
    for number in range(cuts):
        place = generator.randrange(len(tapes))
        copies = folder / f"cut-{number}"
        cut = cut_copy(tapes[place], copies, generator)
        last_ns = examine(cut).last_ns or 0
        again = lines_of([*said[:place], score_tape(cut, settings).steps, *said[place + 1 :]])
        expected = [envelope_line(it) for it in whole if _is_before(it, cut.key, last_ns)]
        found = [envelope_line(it) for it in again if _is_before(it, cut.key, last_ns)]
        late = [it for it in again if isinstance(it, MarketSignals) and it.target == cut.key and it.as_of_ns > last_ns]
        if expected != found or late:
            return [f"copy {number} of {cut.key}, cut at {last_ns}", *differences(expected, found)]
        shutil.rmtree(copies)
    return []


def _is_before(told: Signal, key: str, last_ns: int) -> bool:
    """Whether a cut of this market at this time leaves a line as it was."""
    return told.as_of_ns <= last_ns or (isinstance(told, MarketSignals) and told.target != key)


def round_trip(
    folder: Path, *, seconds: float, cuts: int, cadence_s: float = 5.0, rate: float = 15.0, seed: int = 7
) -> tuple[dict[str, Any], list[str]]:
    """What was measured, and what is wrong."""
    live = recorded(folder / "tapes", seconds, cadence_s=cadence_s, rate=rate, seed=seed)
    tapes = find_tapes([folder / "tapes"])
    again = replayed(folder / "tapes", cadence_s=cadence_s)
    complaints = differences(live, again)
    reports = [examine(tape) for tape in tapes]
    complaints += [problem for report in reports for problem in report.problems()]
    settings = Settings(scoring=ScoringSettings(cadence_s=cadence_s))
    complaints += cut_differences(tapes, folder, cuts=cuts, settings=settings, seed=seed)
    return {
        "seconds": seconds,
        "tapes": len(tapes),
        "records": sum(sum(report.records.values()) for report in reports),
        "tape_bytes": sum(report.size_bytes for report in reports),
        "lines_live": len(live),
        "lines_replayed": len(again),
        "same_bytes": sorted(live) == sorted(again),
        "cuts": cuts,
    }, complaints


def main() -> int:
    """Make the round trip; 0 when no byte differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--cadence", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=15.0, help="messages a second of one market")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roundtrip-") as folder:
        measured, complaints = round_trip(
            Path(folder),
            seconds=arguments.seconds,
            cuts=arguments.cuts,
            cadence_s=arguments.cadence,
            rate=arguments.rate,
            seed=arguments.seed,
        )
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")
    for complaint in complaints:
        sys.stderr.write(f"FAILED: {complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
