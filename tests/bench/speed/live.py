"""Live: what a message costs over real sockets, in microseconds of the client's own processor time, row by row.

Every figure of every round comes from a process of its own; the load generator has one core, the client the other.
Rounds are interleaved and every other one runs backwards. *Saturated*, clients are offered more than they can take, and
find many messages at each look; *paced*, two thousand messages a second come evenly spread over all connections, about
one at each look, which is what production is like.

All rows with this project's pipeline make a signal of each market every ``CADENCE_S``, twice as often as usual: paced,
about one for each trade. Saturated, trades are far more, and the note ``signals a trade`` says how far; the original
design's lists are scored at each trade, since nothing else scores them.

As a script it measures and prints the tables; ``--only`` and ``--python`` (one that has picows) are for trying out:

    python tests/bench/speed/live.py --quick
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from attrs import asdict, define, frozen

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.bench.speed.job import Job
from tests.bench.speed.report import Table, described

HERE: Final = Path(__file__).parent
PACE: Final = 2000
TIMEOUT_S: Final = 90.0

OURS: Final = "updown-trio-websocket"
OURS_SANS_IO: Final = "updown-websockets"
DEFAULTS: Final = "trio-websocket-defaults"
ORIGINAL: Final = "original"
WEBSOCKETS: Final = "websockets-asyncio"
PICOWS: Final = "picows"

CADENCE_S: Final = 0.5

SATED_HZ: Final = 50.0
"""A row that waits more often was not saturated: the load generator could not keep up with it."""

FAIRNESS: Final[Mapping[str, str]] = {"flooded": "/flood/10/360", "calm": "/paced/10/400"}
"""What ten markets are played, by the name of the state."""

Figures = dict[str, Any]
Say = Callable[[str], None]


@frozen(kw_only=True)
class Regime:
    """One table of rows that are played the same; ``figure`` names what of a client's answer is shown.

    The braces in ``title`` are for the number of connections, of which there are no more than there are markets.
    """

    key: str
    title: str
    kind: str
    scheme: str
    connections: int
    rows: tuple[str, ...]
    base: str
    rounds: int = 3
    seconds: float = 1.0
    warm_s: float = 0.4
    aging: bool = False
    figure: str = "us"
    unit: str = "µs a message"

    def path(self, connections: int) -> str:
        """What the load generator is asked for."""
        return f"/{self.kind}/{connections}" + (f"/{PACE}" if self.kind == "paced" else "")


EVERYBODY: Final = (OURS, OURS_SANS_IO, DEFAULTS, ORIGINAL, WEBSOCKETS, PICOWS)


def regimes() -> list[Regime]:
    """The tables of a whole run."""
    paced: dict[str, Any] = {"kind": "paced", "connections": 50, "base": ORIGINAL, "seconds": 1.5}
    return [
        _saturated("ws", 50, (*EVERYBODY, "bare", "L1")),
        _saturated("wss", 50, EVERYBODY),
        _saturated("ws", 1, (OURS, OURS_SANS_IO, DEFAULTS, PICOWS), rounds=2),
        _saturated("ws", 500, (OURS, OURS_SANS_IO, DEFAULTS, PICOWS), rounds=2, seconds=0.8),
        Regime(
            key="receive-ws-50",
            title="Receiving alone, {}, saturated",
            kind="saturated",
            scheme="ws",
            connections=50,
            rows=tuple(f"{row}-receive" for row in (OURS, OURS_SANS_IO, DEFAULTS, WEBSOCKETS, PICOWS)),
            base=f"{DEFAULTS}-receive",
            rounds=2,
            seconds=0.8,
        ),
        Regime(
            key="paced-wss-50",
            title=f"{PACE} messages a second, {{}}, TLS",
            scheme="wss",
            rows=(*EVERYBODY, "picows-uvloop"),
            rounds=7,
            **paced,
        ),
        Regime(
            key="paced-receive-wss-50",
            title=f"Receiving alone, {PACE} messages a second, {{}}, TLS",
            scheme="wss",
            rows=tuple(f"{row}-receive" for row in (OURS, OURS_SANS_IO, DEFAULTS, WEBSOCKETS, PICOWS)),
            rounds=2,
            **{**paced, "base": f"{PICOWS}-receive"},
        ),
        Regime(
            key="paced-ws-50",
            title=f"{PACE} messages a second, {{}}",
            scheme="ws",
            rows=(OURS, OURS_SANS_IO, DEFAULTS, ORIGINAL, PICOWS, "bare", "L2"),
            rounds=2,
            **paced,
        ),
        Regime(
            key="latency-wss-50",
            title=f"From sending a trade to its score, median, {PACE} messages a second, {{}}, TLS",
            scheme="wss",
            rows=(OURS, OURS_SANS_IO, DEFAULTS, ORIGINAL, PICOWS),
            rounds=1,
            aging=True,
            figure="age_p50_us",
            unit="µs",
            **paced,
        ),
    ]


def quick_regimes() -> list[Regime]:
    """Few rows, one round: whether it works, and about what comes out."""
    rows = (OURS, OURS_SANS_IO, DEFAULTS, ORIGINAL, PICOWS)
    return [
        _saturated("ws", 50, rows, rounds=1, seconds=0.6),
        Regime(
            key="paced-wss-50",
            title=f"{PACE} messages a second, {{}}, TLS",
            kind="paced",
            scheme="wss",
            connections=50,
            rows=(OURS, OURS_SANS_IO, ORIGINAL, PICOWS),
            base=ORIGINAL,
            rounds=1,
            seconds=1.0,
        ),
    ]


def _saturated(scheme: str, connections: int, rows: tuple[str, ...], **more: Any) -> Regime:
    return Regime(
        key=f"saturated-{scheme}-{connections}",
        title="Saturated, {}" + (", TLS, a record a message" if scheme == "wss" else ""),
        kind="saturated",
        scheme=scheme,
        connections=connections,
        rows=rows,
        base=DEFAULTS,
        **more,
    )


# The load generator and its clients.


@define
class Stage:
    """A load generator that runs, and what its clients may use."""

    process: subprocess.Popen[str]
    told: Figures
    python: str

    @classmethod
    def opened(cls, arguments: Sequence[str], python: str) -> Self:
        """Start a load generator."""
        command = [sys.executable, str(HERE / "load.py"), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator said nothing")
        return cls(process, json.loads(line), python)

    def closed(self) -> Figures:
        """End it; what it counted."""
        said, _ = self.process.communicate(timeout=TIMEOUT_S)
        return dict(json.loads(said.splitlines()[-1]))

    def run(self, **asked: Any) -> Figures:
        """One client's answer; ``skipped`` says why there is none."""
        job = Job(told=self.told, **asked)
        command = [self.python, str(HERE / "client.py"), json.dumps(asdict(job, recurse=False))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        try:
            return dict(json.loads(done.stdout.splitlines()[-1]))
        except (IndexError, ValueError):
            raise RuntimeError(f"{job.row} said nothing:\n{done.stderr[-3000:]}") from None

    def connections(self, regime: Regime) -> int:
        """As many as the regime asks for, if there are so many markets."""
        return min(regime.connections, len(self.told["markets"]))

    def row(self, regime: Regime, row: str) -> Figures:
        """One figure of a table."""
        connections = self.connections(regime)
        return self.run(
            row=row,
            scheme=regime.scheme,
            path=regime.path(connections),
            connections=connections,
            cadence_s=CADENCE_S,
            warm_s=regime.warm_s,
            seconds=regime.seconds,
            aging=regime.aging,
        )


def _counted(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def in_table(stage: Stage, regime: Regime, say: Say) -> Table:
    """All rounds of a table; a row that is skipped once is not tried again."""
    answers: dict[str, list[Figures]] = {row: [] for row in regime.rows}
    notes: dict[str, str] = {}
    for turn in range(regime.rounds):
        for row in regime.rows if turn % 2 == 0 else regime.rows[::-1]:
            if row not in notes:
                answer = stage.row(regime, row)
                answers[row].append(answer)
                if answer.get(regime.figure) is None:
                    notes[row] = answer.get("skipped", f"no {regime.figure}")
                elif answer.get("faults") or (answer.get("bad") and stage.told["trading"]):  # real books do cross
                    raise RuntimeError(f"{row} met faults: {answer}")
        say(f"{regime.key}: round {turn + 1} of {regime.rounds}")
    told = {row: given for row, given in answers.items() if row not in notes}
    scored = {row: statistics.median(it["signals_per_trade"] for it in given) for row, given in told.items()}
    notes["signals a trade"] = ", ".join([f"{row} {share:.2f}" for row, share in scored.items() if share]) or "none"
    if regime.kind == "saturated":
        waits = {row: statistics.median(it["wakeups"] * it["rate"] for it in given) for row, given in told.items()}
        notes |= {row: f"waited {often:.0f} times a second" for row, often in waits.items() if often > SATED_HZ}
    return {
        "title": regime.title.format(_counted(stage.connections(regime))),
        "unit": regime.unit,
        "base": regime.base,
        "rows": {row: [it[regime.figure] for it in given] for row, given in told.items()},
        "notes": notes,
        "figures": told,
    }


# What has a shape of its own.


def memory_table(stage: Stage, *, sizes: Sequence[int], rounds: int, say: Say) -> Table:
    """What an idle TLS market more takes: the difference between two engines, by how many more markets one has.

    Where the fewest are none, it is what all of them take, with whatever is made or imported once.
    """
    rows: dict[str, list[float]] = {}
    for turn in range(rounds):
        for transport in ("trio-websocket", "websockets"):
            held = {size: _held(stage, f"memory-{transport}", size) for size in sizes}
            least, most = sizes[-2:]
            for name, kind in (("uss", "uss_kib"), ("rss", "rss_kib")):
                more = (held[most][kind] - held[least][kind]) / (most - least)
                rows.setdefault(f"updown-{transport}, {name}", []).append(more)
            if sizes[0] == 0:
                more = (held[most]["uss_kib"] - held[0]["uss_kib"]) / most
                rows.setdefault(f"updown-{transport}, uss over none", []).append(more)
        say(f"memory: round {turn + 1} of {rounds}")
    title = f"Memory of an idle TLS market, from {sizes[-2]} to {sizes[-1]} markets"
    return {"title": title, "unit": "KiB", "base": "updown-trio-websocket, uss", "rows": rows, "notes": {}}


def _held(stage: Stage, row: str, size: int) -> Figures:
    figures = stage.run(
        row=row, scheme="wss", path=f"/idle/{size}", connections=size, cadence_s=5.0, warm_s=0.0, seconds=0.8
    )
    if "skipped" in figures or figures["faults"]:
        raise RuntimeError(f"{row} of {size} markets: {figures}")
    return figures


def fairness_table(stage: Stage, *, states: Sequence[str], rounds: int, seconds: float, say: Say) -> Table:
    """How late other markets' signals reach a subscriber, while one market is flooded and while none is."""
    rows: dict[str, list[float]] = {}
    answers: dict[str, list[Figures]] = {}
    for turn in range(rounds):
        for transport in ("trio-websocket", "websockets"):
            for state in states if turn % 2 == 0 else states[::-1]:
                figures = stage.run(
                    row=f"fairness-{transport}",
                    scheme="ws",
                    path=FAIRNESS[state],
                    connections=10,
                    cadence_s=0.25,
                    warm_s=0.3,
                    seconds=seconds,
                )
                name = f"updown-{transport}, {state}"
                answers.setdefault(name, []).append(figures)
                for quantile in ("p50", "p99", "max"):
                    rows.setdefault(f"{name}, {quantile}", []).append(figures[f"late_{quantile}_ms"])
        say(f"fairness: round {turn + 1} of {rounds}")
    return {
        "title": "How late the deadline of nine markets is while a tenth is flooded",
        "unit": "ms",
        "base": f"updown-trio-websocket, {states[-1]}, p50",
        "rows": rows,
        "notes": {},
        "figures": answers,
    }


def measured(
    *,
    quick: bool = False,
    corpus: str = "reference",
    captures: str | None = None,
    python: str = sys.executable,
    only: str = "",
    say: Say = lambda _: None,
) -> dict[str, Table]:
    """All tables by key; ``only`` leaves those whose key does not contain it out, ``python`` runs the clients."""
    arguments = ["--corpus", corpus, *(["--captures", captures] if captures else []), *(["--shorter", "4"] * quick)]
    stage = Stage.opened(arguments, python)
    tables = {}
    try:
        for regime in quick_regimes() if quick else regimes():
            if only in regime.key:
                tables[regime.key] = in_table(stage, regime, say)
        if only in "fairness" and len(stage.told["markets"]) >= 10:
            states, seconds = (("flooded",), 1.0) if quick else (tuple(FAIRNESS), 3.0)
            tables["fairness"] = fairness_table(stage, states=states, rounds=1, seconds=seconds, say=say)
        if only in "memory" and len(stage.told["markets"]) >= 300:
            sizes = (40, 120) if quick else (0, 100, 300)
            tables["memory"] = memory_table(stage, sizes=sizes, rounds=1, say=say)
    finally:
        counted = stage.closed()
    if counted.get("paced"):
        share = counted.get("behind", 0) / counted["paced"]
        for key, table in tables.items():
            if key.startswith(("paced", "latency")):
                table["notes"]["load generator"] = f"{share:.1%} of the messages went out later than their next was due"
    return tables


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The live part of the benchmark.")
    parser.add_argument("--quick", action="store_true", help="few rows, one round")
    parser.add_argument("--corpus", choices=["reference", "venue"], default="reference")
    parser.add_argument("--captures", help="a folder of recorded markets, to be played instead")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the clients")
    parser.add_argument("--only", default="", help="a part of the keys of the tables")
    parser.add_argument("--json", type=Path, help="where to write everything that was measured")
    asked = parser.parse_args()
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:5.0f} s  {text}\n")

    tables = measured(
        quick=asked.quick,
        corpus=asked.corpus,
        captures=asked.captures,
        python=asked.python,
        only=asked.only,
        say=say,
    )
    if asked.json:
        asked.json.write_text(json.dumps(tables, indent=1), encoding="utf-8")
    sys.stdout.write("\n\n".join(described(table) for table in tables.values()) + "\n")


if __name__ == "__main__":
    main()
