"""What the verdict makes of simulated markets: how often *yes* where nothing is known, and where a share is planted.

Each seed is a report of its own. It fails when a market without information gets a *yes* from any preset at any minute,
or when fewer reports say *yes* of a larger share.

    python tests/bench/power.py [--seeds 20] [--planted 5]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from actors.evaluation.report import report
from actors.simulate import Design, Habit
from tests.actors.evaluation.simulated import dataset

ENOUGH = 2_200
PLANTED = 2_000
SHARES = (0.02, 0.05, 0.1, 0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="reports on markets without information")
    parser.add_argument("--planted", type=int, default=5, help="reports on each planted share")
    arguments = parser.parse_args()
    false = sum(_said_yes(Design(seed=seed, habit=_habit(seed)), ENOUGH) for seed in range(arguments.seeds))
    _say(f"nothing known: {false} of {arguments.seeds} reports say yes anywhere")
    found = []
    for rho in SHARES:
        found.append(sum(_said_yes(Design(seed=seed, rho=rho), PLANTED) for seed in range(arguments.planted)))
        _say(f"{rho:.0%} planted: {found[-1]} of {arguments.planted} reports say yes")
    return int(bool(false) or found != sorted(found))


def _habit(seed: int) -> Habit:
    return [*Habit][seed % 2]


def _said_yes(design: Design, markets: int) -> bool:
    began = time.perf_counter()
    told = report(dataset(design, markets))
    named = [f"{each['preset']} {each['answer']}" for each in told["verdicts"]]
    named += [
        f"{preset} @{cell['minute']:g} yes"
        for cell in told["cells"]
        for preset, line in cell["presets"].items()
        if line["verdict"]["answer"] == "yes"
    ]
    took = time.perf_counter() - began
    _say(f"  seed {design.seed}, ρ {design.rho:g}, {design.habit}: {', '.join(named)}; {_best(told)} ({took:.1f} s)")
    return any(name.endswith("yes") for name in named)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _best(told: dict[str, Any]) -> str:
    tests = [
        (each["test"]["statistic"] or 0.0, f"{verdict['preset']} {each['signal']}")
        for verdict in told["verdicts"]
        for each in verdict["information"]
    ]
    statistic, name = max(tests)
    return f"highest t {statistic:.1f} ({name})"


if __name__ == "__main__":
    sys.exit(main())
