"""Speed: every row of the benchmark in one run, as tables, as a plot and as JSON, and judged.

``offline`` plays corpora to pipelines without sockets and tasks, ``growth`` asks what more markets, fuller windows and
starting cost, ``live`` sets whole engines before a load generator. Prints tables of medians with ratios and their
spread, then each limit with what was measured; exits with 1 if one is broken.

    python tests/bench/speed/speed.py --json speed.json --plot speed.png

Recorded markets are played as well where ``--captures`` names a folder of them. ``nautilus_trader`` is measured where
it is installed, here or for the interpreter that ``--nautilus-python`` names.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.bench.speed import growth, live, offline, profiled
from tests.bench.speed.corpus import REFERENCE, VENUE, captured, generated
from tests.bench.speed.report import (
    Criterion,
    Table,
    described,
    draw,
    judged,
    new_table,
    verdicts,
)
from tests.bench.speed.stored import Stored, plain, store

Rounds = list[Mapping[str, float | None]]
PARTS: Final = ("offline", "growth", "live")


@frozen(kw_only=True)
class Effort:
    """How much of everything; ``apart`` measures each row in a process of its own."""

    name: str
    markets: int
    messages: int
    rounds: int
    venue_rounds: int
    growth_rounds: int
    apart: bool = True


FULL: Final = Effort(name="full", markets=50, messages=1000, rounds=5, venue_rounds=2, growth_rounds=4)
QUICK: Final = Effort(name="quick", markets=50, messages=200, rounds=2, venue_rounds=0, growth_rounds=1)
TINY: Final = Effort(name="tiny", markets=2, messages=60, rounds=1, venue_rounds=0, growth_rounds=1, apart=False)

CAPTURED_MESSAGES: Final = 20_000
PACKAGES: Final = ("trio", "trio-websocket", "wsproto", "websockets", "picows", "msgspec", "nautilus_trader")

CRITERIA: Final = (
    # Offline and growing, in the order in which the engine reads: what waits of a market, in one go.
    Criterion("the pipeline over the original design", "offline-bursts", offline.PIPELINE, offline.ORIGINAL, 0.25),
    Criterion("the pipeline over nautilus_trader", "offline-bursts", offline.PIPELINE, offline.NAUTILUS, 0.1),
    Criterion("the pipeline over the reference", "offline-bursts", offline.PIPELINE, offline.REFERENCE, 1.25),
    Criterion("depth imbalance of ten levels, µs", "stages", "depth imbalance of a resting book, a call", None, 1.0),
    Criterion("saturated: over trio-websocket's defaults", "saturated-ws-50", live.OURS, live.DEFAULTS, 1 / 1.5),
    Criterion("saturated: the second transport", "saturated-ws-50", live.OURS_SANS_IO, live.DEFAULTS, 1 / 4),
    Criterion("paced TLS: over the original design", "paced-wss-50", live.OURS, live.ORIGINAL, 1.0),
    Criterion("paced TLS: the second transport", "paced-wss-50", live.OURS_SANS_IO, live.ORIGINAL, 1.0),
    Criterion("paced TLS: the second transport over picows", "paced-wss-50", live.OURS_SANS_IO, live.PICOWS, 1.6),
    Criterion("500 markets over 1", "growth-bursts", "500", "1", 1.15),
    Criterion("10,000 trades in the window over 10", "growth-window", "10,000", "10", 1.10),
    Criterion("the same, corrected preset", "growth-window-corrected", "10,000", "10", 1.10),
    *[
        Criterion(f"an idle TLS market, KiB ({name})", "memory", f"{name}, uss", None, 100 / 1.024)
        for name in (live.OURS, live.OURS_SANS_IO)
    ],
    *[
        Criterion(f"deadlines beside a flood, ms late at p99 ({name})", "fairness", f"{name}, flooded, p99", None, 20.0)
        for name in (live.OURS, live.OURS_SANS_IO)
    ],
)

DRAWN: Final = ("offline-bursts", "saturated-ws-50", "paced-wss-50", "growth-bursts", "growth-window")


def in_turns(columns: Sequence[str], rounds: int, measure: Callable[[str, int], float | None]) -> Rounds:
    """Measure every column that often, every other round backwards."""
    measured: Rounds = []
    for turn in range(rounds):
        order = columns if turn % 2 == 0 else columns[::-1]
        found = {column: measure(column, turn) for column in order}
        measured.append({column: found[column] for column in columns})
    return measured


# Offline.


def offline_tables(effort: Effort, captures: Path | None, nautilus_python: str) -> dict[str, Table]:
    """All corpora, and the stages of the pipeline on the first."""
    first = plain(generated(effort.markets, effort.messages, mix=REFERENCE))
    corpora = {"offline": first, "offline-bursts": first.in_bursts(offline.BURST)}
    if effort.venue_rounds:
        corpora["offline-venue"] = plain(generated(effort.markets, effort.messages, mix=VENUE))
    if captures is not None:
        corpora["offline-captures"] = plain(captured(captures)).first(CAPTURED_MESSAGES)
    agree(corpora["offline"].first(10_000))
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, stored in corpora.items():
            path = Path(folder, f"{name}.json")
            store(stored, path)
            is_first = name == "offline"
            names, rounds = [*offline.VENUE_ROWS], max(effort.venue_rounds, 1)
            if is_first:
                names, rounds = [*offline.ROWS, *offline.PEERS], effort.rounds
            elif name == "offline-bursts":
                names, rounds = [*offline.BURST_ROWS], effort.rounds
            tables[name] = _offline_table(effort, stored, path, names, rounds, nautilus_python)
            if is_first:
                tables["stages"] = _stages(effort, stored, path)
                tables |= _profiles(effort, path)
    return tables


def agree(stored: Stored) -> None:
    """Different scores for the same messages would make every comparison worthless."""
    asked, furthest = offline.disagreement(stored)
    if not asked or furthest > 1e-9:
        raise SystemExit(f"{asked} scores of the pipeline, the original and the reference differ by {furthest}")


def _offline_table(
    effort: Effort, stored: Stored, path: Path, names: Sequence[str], rounds: int, nautilus_python: str
) -> Table:
    def measured(name: str, turn: int) -> float | None:
        if effort.apart:
            return offline.row_in_process(name, path, nautilus_python)
        return offline.measure(name, stored) if name in offline.ROWS else None

    title = f"Offline, {stored.name}: {len(stored.markets)} markets, {len(stored.lines):,} messages"
    table = new_table(title, "µs a message", offline.PIPELINE, in_turns(names, rounds, measured))
    missing = [name for name in names if name not in table["rows"]]
    return table | {"notes": dict.fromkeys(missing, "skipped, nautilus_trader is not installed")}


def _stages(effort: Effort, stored: Stored, path: Path) -> Table:
    rounds = [
        offline.stages_in_process(path) if effort.apart else offline.stages(stored)
        for _ in range(1 + effort.rounds // 2)
    ]
    return new_table("Stages of our pipeline", "µs a message or call", "receiving, not scored", rounds)


def _profiles(effort: Effort, path: Path) -> dict[str, Table]:
    """Where the time goes, with both presets."""
    tables = {}
    for preset in growth.PRESETS if effort is FULL else ():
        found = profiled.shares(path, preset, effort.rounds)
        if found:
            title = f"Where the pipeline's time goes: {preset}"
            tables[f"profile-{preset}"] = new_table(title, "%", next(iter(found)), [found])
    return tables


# Growth.


def growth_tables(effort: Effort) -> dict[str, Table]:
    """Markets, window, latency, memory, starts."""
    rounds: dict[str, Rounds] = {}
    for part in growth.PARTS:
        if effort.apart or part != "start":
            number = 1 if part == "memory" else effort.growth_rounds
            rounds[part] = [_growth(effort, part, turn) for turn in range(number)]
    tables = {}
    for key, kind, burst in (
        ("growth-bursts", growth.OURS, growth.BURST),
        ("growth-one-by-one", growth.OURS, 1),
        ("growth-bursts-reference", growth.PROTOTYPE, growth.BURST),
        ("growth-one-by-one-reference", growth.PROTOTYPE, 1),
    ):
        name = f"{kind}, {growth.BURSTS[burst]}"
        tables[key] = new_table(f"Markets at once: {name}", "µs a message", "1", _of(rounds["markets"], name))
    for key, preset in (("growth-window", "seed"), ("growth-window-corrected", "corrected")):
        found = _of(rounds["window"], preset)
        tables[key] = new_table(f"Trades in the window: {preset}", "µs a trade and score", "10", found)
    tables["latency"] = new_table("From a trade's text to the signal", "µs", "seed, p50", rounds["latency"])
    tables["pipeline-memory"] = new_table("What a pipeline holds", "KiB", "seed, books only", rounds["memory"])
    if "start" in rounds:
        tables["start"] = new_table("Starting, best of two", "ms", "python, nothing else", rounds["start"])
    return tables


def _growth(effort: Effort, part: str, turn: int) -> growth.Figures:
    if effort.apart:
        return growth.part_in_process(part, turn, effort.name)
    return growth.PARTS[part](bool(turn % 2), growth.EXTENTS[effort.name])


def _of(rounds: Rounds, prefix: str) -> Rounds:
    """The figures under one name, by what comes after the stroke."""
    return [{key.split("/")[1]: it[key] for key in it if key.split("/")[0] == prefix} for it in rounds]


# Live.


def live_tables(effort: Effort, captures: Path | None) -> dict[str, Table]:
    """Whole engines before a load generator; recorded markets in short. None in the smallest effort."""
    if not effort.apart:
        return {}
    tables = live.measured(quick=effort is QUICK, say=say)
    if captures is not None:
        for key, table in live.measured(quick=True, captures=str(captures), only="saturated", say=say).items():
            tables[f"{key}-captures"] = table | {"title": f"{table['title']}, recorded markets"}
    return tables


def say(text: str) -> None:
    """Progress, to whoever waits."""
    sys.stderr.write(f"{text}\n")


# The run.


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {"python": platform.python_version(), "machine": platform.machine(), "packages": versions}


def run(effort: Effort, parts: Sequence[str], captures: Path | None, nautilus_python: str) -> dict[str, Table]:
    """Everything asked for, part by part."""
    measures: Mapping[str, Callable[[], dict[str, Table]]] = {
        "offline": lambda: offline_tables(effort, captures, nautilus_python),
        "growth": lambda: growth_tables(effort),
        "live": lambda: live_tables(effort, captures),
    }
    tables: dict[str, Table] = {}
    for part in parts:
        began = time.monotonic()
        tables |= measures[part]()
        say(f"{part}: {time.monotonic() - began:.0f} s")
    return tables


def main() -> None:
    """Measure, print, write, draw, judge."""
    parser = argparse.ArgumentParser(description="What a message costs: this engine, others, and the floor.")
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="within a minute: fewer messages and rounds")
    effort.add_argument("--tiny", action="store_true", help="within seconds: only whether it runs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts of the run")
    parser.add_argument("--captures", type=Path, help="a folder of recorded markets to play as well")
    parser.add_argument("--nautilus-python", default=sys.executable, help="an interpreter that has nautilus_trader")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--plot", type=Path, help="draw them there (needs matplotlib)")
    asked = parser.parse_args()
    chosen = QUICK if asked.quick else TINY if asked.tiny else FULL
    tables = run(chosen, asked.only, asked.captures, asked.nautilus_python)
    found = judged(tables, CRITERIA)
    about = machine() | {"effort": chosen.name}
    for table in tables.values():
        sys.stdout.write(described(table) + "\n\n")
    sys.stdout.write(verdicts(found) + "\n")
    for path in filter(None, (asked.json, asked.plot)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if asked.json is not None:
        judgement = [{"criterion": it.criterion.text, "passed": it.passed} for it in found]
        asked.json.write_text(json.dumps({"about": about, "tables": tables, "judged": judgement}, indent=1) + "\n")
    if asked.plot is not None and not draw(tables, DRAWN, asked.plot, about=f"Python {about['python']}"):
        say("no plot: it needs matplotlib and something to show")
    sys.exit(chosen is not TINY and any(it.passed is False for it in found))


if __name__ == "__main__":
    main()
