"""Where the pipeline's time goes, function by function, as py-spy sees it from outside five hundred times a second.

A profiler inside the process would charge its own work to small functions, which is most of what there is. Time in
compiled code counts for the function that called it: the JSON decoder's for ``read``, the arithmetic of long lists for
whoever sums them. Without py-spy there is no profile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.bench.speed.pipelines import all_opened, asking, play, wake_ups
from tests.bench.speed.stored import Stored, load

RATE: Final = 500
SHOWN: Final = 16
PLAYED: Final = "play (pipelines.py"
"""Only what runs below it is counted: neither reading the corpus nor opening pipelines."""


def shares(corpus: Path, preset: str, seconds: float) -> dict[str, float]:
    """Percent of the samples by file and function, the dearest first; empty without py-spy."""
    spy = Path(sysconfig.get_path("scripts"), "py-spy")
    if not spy.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "stacks")
        words: list[str | Path] = [spy, "record", "--rate", str(RATE), "--format", "raw", "--output", found, "--"]
        words += [sys.executable, Path(__file__).resolve(), "--corpus", corpus]
        words += ["--preset", preset, "--seconds", str(seconds)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"py-spy: {done.stderr[-1000:]}")
        return _by_function(found.read_text(encoding="utf-8"))


def _by_function(stacks: str) -> dict[str, float]:
    """Of lines with a stack, outermost first, and how often it was seen."""
    counts: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if any(frame.startswith(PLAYED) for frame in frames):
            function, _, place = frames[-1].partition(" (")
            counts[f"{Path(place.partition(':')[0]).stem}: {function}"] += int(count)
    total = counts.total() or 1
    found = {name: count / total * 100 for name, count in counts.most_common(SHOWN)}
    return found | {"all others": 100 - sum(found.values())}


def _played(stored: Stored, preset: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    turns = wake_ups(stored.lines)
    while time.monotonic() < end:
        pipelines = all_opened(stored, preset=preset)
        play(pipelines, turns, [asking(pipeline) for pipeline in pipelines])


def main() -> None:
    """Play a corpus again and again, for a profiler that looks on."""
    parser = argparse.ArgumentParser(description="Something to profile.")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--preset", default="seed")
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    _played(load(asked.corpus), asked.preset, asked.seconds)


if __name__ == "__main__":
    main()
