"""One row of a live table, in a process of its own; the last line on stdout is what it measured.

python tests/bench/speed/client.py JOB          (as ``live.py`` writes it, in JSON)
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.bench.speed.job import Job

ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "updown-trio-websocket": ("peers_engine", "throughput", "trio-websocket"),
    "updown-websockets": ("peers_engine", "throughput", "websockets"),
    "updown-trio-websocket-receive": ("peers_engine", "sessions", "trio-websocket"),
    "updown-websockets-receive": ("peers_engine", "sessions", "websockets"),
    "trio-websocket-defaults": ("peers_trio", "trio-websocket", "scoring"),
    "trio-websocket-defaults-receive": ("peers_trio", "trio-websocket", "counting"),
    "original": ("peers_asyncio", "waiting", "original"),
    "websockets-asyncio": ("peers_asyncio", "websockets", "scoring"),
    "websockets-asyncio-receive": ("peers_asyncio", "websockets", "counting"),
    "websockets-uvloop": ("peers_asyncio", "websockets", "scoring", "uvloop"),
    "picows": ("peers_asyncio", "picows", "scoring"),
    "picows-receive": ("peers_asyncio", "picows", "counting"),
    "picows-uvloop": ("peers_asyncio", "picows", "scoring", "uvloop"),
    "bare": ("floor", "bare"),
    "L1": ("floor", "L1"),
    "L2": ("floor", "L2"),
    "fairness-trio-websocket": ("peers_engine", "fairness", "trio-websocket"),
    "fairness-websockets": ("peers_engine", "fairness", "websockets"),
    "memory-trio-websocket": ("peers_engine", "memory", "trio-websocket"),
    "memory-websockets": ("peers_engine", "memory", "websockets"),
}
"""The module of each row, and the arguments of its ``run`` beside the job."""


def main() -> None:
    """Run it, on the core that the load generator leaves alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    job = Job.read(sys.argv[1])
    module, *arguments = ROWS[job.row]
    importlib.import_module(f"tests.bench.speed.{module}").run(job, *arguments)


if __name__ == "__main__":
    main()
