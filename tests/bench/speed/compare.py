"""Compare: did the offline rows get slower since another commit? By ratios within one interleaved run.

The other commit's ``engine`` and ``actors`` are put into a temporary folder, together with this bench as it is now, so
that both sides measure the same thing in the same way. Every figure comes from a process of its own; the two sides of
a row follow each other directly, in turn this or that one first. ``json.loads`` is the same on both sides and shows
what the machine adds by itself.

A row counts as slower when the median of its ratios is above the threshold and their lower quartile is clear of that
noise: above the upper quartile of the control, and above 1. Exits with 1 if a row is.

    python tests/bench/speed/compare.py HEAD~5
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.bench.speed import offline
from tests.bench.speed.corpus import REFERENCE, generated
from tests.bench.speed.offline import launched
from tests.bench.speed.report import figure, in_markdown
from tests.bench.speed.stored import plain, store

ROOT: Final = Path(__file__).resolve().parents[3]
HERE: Final = Path("tests", "bench", "speed")
CONTROL: Final = "json.loads"
ROWS: Final = (
    CONTROL,
    "our decoding",
    offline.PIPELINE,
    "our pipeline, corrected",
    "our pipeline, whole signal",
    "our pipeline, corrected, whole signal",
)

Pairs = Mapping[str, Sequence[tuple[float, float]]]
"""By row, before and after of each round, in microseconds a message."""


def checked_out(revision: str, folder: Path) -> Path:
    """The packages of a commit, with the bench of this one; ``SystemExit`` if git does not know it."""
    words = ["git", "-C", str(ROOT), "archive", "--format=tar", revision, "engine", "actors"]
    done = subprocess.run(words, capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise SystemExit(f"git cannot give {revision}: {done.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    shutil.copytree(ROOT / HERE, folder / HERE, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def measured(tree: Path, row: str, corpus: Path) -> float:
    """One figure of one side."""
    words = [sys.executable, str(tree / HERE / "offline.py"), "--corpus", str(corpus), "--row", row]
    return float(launched(words)["us"])


def compared(base: Path, corpus: Path, rows: Sequence[str], rounds: int) -> Pairs:
    """Both sides of every row, so many times."""
    pairs: dict[str, list[tuple[float, float]]] = {row: [] for row in rows}
    for turn in range(rounds):
        for row in rows if turn % 2 == 0 else rows[::-1]:
            sides = [partial(measured, tree, row, corpus) for tree in (base, ROOT)]
            if turn % 2 == 0:
                before, after = sides[0](), sides[1]()
            else:
                after, before = sides[1](), sides[0]()
            pairs[row].append((before, after))
    return pairs


def quartiles(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile; of a single one, itself."""
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return low, middle, high


def slower(pairs: Pairs, threshold: float) -> list[str]:
    """The rows that got slower by more than the threshold, clear of noise."""
    ratios = {row: [after / before for before, after in sides] for row, sides in pairs.items()}
    noise = max(1.0, quartiles(ratios[CONTROL])[2])
    found = []
    for row in ratios.keys() - {CONTROL}:
        low, middle, _ = quartiles(ratios[row])
        if middle > 1 + threshold and low > noise:
            found.append(row)
    return sorted(found)


def described(pairs: Pairs, broken: Sequence[str]) -> str:
    """A table of both sides and their ratios."""
    table = [["µs a message", "before", "after", "after / before", "quartiles", ""]]
    for row, sides in pairs.items():
        ratios = [after / before for before, after in sides]
        low, middle, high = quartiles(ratios)
        before, after = (figure(statistics.median(side)) for side in zip(*sides, strict=True))
        verdict = "control" if row == CONTROL else "SLOWER" if row in broken else ""
        spread = f"{low:.3f}..{high:.3f}"
        table.append([row, before, after, f"{middle:.3f} ({min(ratios):.3f}..{max(ratios):.3f})", spread, verdict])
    return in_markdown(table)


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="What a message costs offline, before and after.")
    parser.add_argument("base", help="the commit to compare with what is here now")
    parser.add_argument("--threshold", type=float, default=0.05, help="a share, default 0.05")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=600, help="of each of fifty markets")
    parser.add_argument("--json", type=Path, help="write the figures there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus.json")
        store(plain(generated(50, asked.messages, mix=REFERENCE)), corpus)
        base = checked_out(asked.base, Path(folder, "base"))
        pairs = compared(base, corpus, ROWS, asked.rounds)
    broken = slower(pairs, asked.threshold)
    sys.stdout.write(described(pairs, broken) + "\n")
    if broken:
        sys.stdout.write(f"\nslower by more than {asked.threshold:.0%}: {', '.join(broken)}\n")
    if asked.json is not None:
        asked.json.write_text(json.dumps({"base": asked.base, "pairs": pairs, "slower": broken}, indent=1) + "\n")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
