"""Soak: ``updown run`` follows fifty markets of ``updown serve`` for ten minutes, as a user would run them.

Both are processes of their own on this machine. Checked at the end: every followed market had exactly one signal per
deadline, every roll-over gap is below a second, and the engine's memory is flat (grows by less than a twentieth) once
the windows are full: they hold two minutes, and remember for another one what left them. Exits 1, naming every failure,
if not. Prints what it measured as JSON.

    python tests/bench/soak.py --seconds 600 --markets 50
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

UPDOWN = Path(sys.executable).with_name("updown")
CADENCE_NS = 5_000_000_000
UNDERLYINGS = ("btc", "eth", "sol", "xrp")
FAMILIES = ("5m", "15m", "1h", "4h", "1d")
SETTLE_S = 180
MEMORY_GROWTH = 0.05
"""Memory is judged from here on, and may grow by this share."""


def follows(markets: int, now_s: int) -> list[str]:
    """All series first, then fixed slots of the next hours, as lines of a config."""
    series = [f'series = "{underlying}-{family}"' for underlying in UNDERLYINGS for family in FAMILIES][:markets]
    later = [now_s // 900 * 900 + 900 * n for n in range(4, 4 + markets - len(series))]
    return series + [f'slug = "btc-updown-15m-{start_s}"' for start_s in later]


def config(venue: dict[str, Any], lines: list[str]) -> str:
    """A configuration that points at the stand-in venue."""
    urls = "\n".join(f'{key} = "{venue[key]}"' for key in ("websocket_url", "gamma_url", "clob_url"))
    return f"[venue]\n{urls}\n[feed]\nconnects_per_s = 20.0\n" + "".join(f"[[follow]]\n{line}\n" for line in lines)


def resident_kib(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Reader(threading.Thread):
    """Reads the lines of a stream as JSON objects until it ends."""

    def __init__(self, stream: Any) -> None:
        super().__init__(daemon=True)
        self.lines: list[dict[str, Any]] = []
        self._stream = stream
        self.start()

    def run(self) -> None:
        for line in self._stream:
            if line.startswith("{"):
                self.lines.append(json.loads(line))


def judge(signals: list[dict[str, Any]], markets: int) -> list[str]:
    """What is wrong with the signals: deadlines missing or doubled, markets that fell silent, too few markets."""
    complaints = []
    by_target: dict[str, list[int]] = defaultdict(list)
    phases: dict[str, str] = {}
    for it in signals:
        if it["event_type"] == "market_signal":
            by_target[it["target"]].append(it["as_of_ns"])
            phases[it["target"]] = it["phase"]
    final_ns = max((stamps[-1] for stamps in by_target.values()), default=0)
    for target, stamps in sorted(by_target.items()):
        expected = list(range(stamps[0], stamps[-1] + 1, CADENCE_NS))
        if stamps != expected:
            complaints.append(f"{target}: {len(stamps)} signals, {len(expected)} deadlines")
        if phases[target] in ("pending", "open") and stamps[-1] < final_ns:
            complaints.append(f"{target}: silent for the last {(final_ns - stamps[-1]) / 1e9:g} s")
    if len(by_target) < markets:
        complaints.append(f"{len(by_target)} markets, not {markets}")
    return complaints


def soak(seconds: float, markets: int, rate: float) -> tuple[dict[str, Any], list[str]]:
    """Run both, collect everything, judge it."""
    with tempfile.TemporaryDirectory() as folder:
        serve = subprocess.Popen(
            [UPDOWN, "serve", "--port", "0", "--rate", str(rate)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            assert serve.stdout is not None
            venue = json.loads(serve.stdout.readline())
            path = Path(folder, "updown.toml")
            path.write_text(config(venue, follows(markets, int(time.time()))))
            return follow(path, serve.pid, seconds, markets)
        finally:
            serve.terminate()
            serve.wait(10)


def follow(path: Path, venue_pid: int, seconds: float, markets: int) -> tuple[dict[str, Any], list[str]]:
    """Run the engine against the venue."""
    run = subprocess.Popen(
        [UPDOWN, "run", "-c", path, "-o", "jsonl", "--log-format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signals, logs = Reader(run.stdout), Reader(run.stderr)
    memory, began, cpu_began = [], time.monotonic(), cpu_s(run.pid)
    while (elapsed := time.monotonic() - began) < seconds and run.poll() is None:
        memory.append((round(elapsed), resident_kib(run.pid)))
        time.sleep(min(5.0, seconds - elapsed))
    used = (cpu_s(run.pid) - cpu_began) / seconds
    venue_used = cpu_s(venue_pid) / seconds
    run.send_signal(signal.SIGTERM)
    code = run.wait(10)
    signals.join(5)
    logs.join(5)
    complaints = judge(signals.lines, markets)
    gaps = [line["gap_s"] for line in logs.lines if line.get("event") == "market.rolled"]
    settled = [kib for elapsed, kib in memory if elapsed >= SETTLE_S]
    growth = settled[-1] / settled[0] - 1 if settled else 0.0
    complaints += [f"exit code {code}"] if code else []
    complaints += [f"roll-over gap of {max(gaps)} s"] if gaps and max(gaps) >= 1.0 else []
    complaints += [f"memory grew by {growth:.1%} once the windows were full"] if growth > MEMORY_GROWTH else []
    types = defaultdict(int)
    for it in signals.lines:
        types[it.get("signal_type", "aggregate")] += 1
    faults = [line for line in logs.lines if line.get("event") == "feed.lost"]
    last = {it["target"]: it["quality"]["messages"] for it in signals.lines if it["event_type"] == "market_signal"}
    return {
        "seconds": seconds,
        "markets": len(last),
        "messages": sum(last.values()),
        "signals": len(signals.lines),
        "signal_types": dict(types),
        "roll_overs": len(gaps),
        "longest_gap_s": max(gaps, default=None),
        "feeds_lost": len(faults),
        "memory_kib": memory[:: max(1, len(memory) // 20)],
        "memory_growth_once_windows_are_full": growth,
        "engine_cpu_share": used,
        "venue_cpu_share": venue_used,
    }, complaints


def main() -> int:
    """Run the soak; 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--markets", type=int, default=50)
    parser.add_argument("--rate", type=float, default=15.0, help="messages a second of one market")
    arguments = parser.parse_args()
    measured, complaints = soak(arguments.seconds, arguments.markets, arguments.rate)
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")
    for complaint in complaints:
        sys.stderr.write(f"FAILED: {complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
