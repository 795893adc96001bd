"""What a tape costs: writing and reading a record, beside plain JSON decoding of the same lines and a whole replay.

Processor time of one core in microseconds a record, the best of several rounds, on the stand-in venue's mix at sixty
messages a second, put on tape as a recorder does, four times a second.

    python tests/bench/tapes.py
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
import trio
from trio.testing import MockClock

sys.path.insert(0, str(Path(__file__).parents[2]))

from actors.tapes import TapeWriter, find_tapes, merged, read_tape
from actors.tapes.reader import Lines, read_pieces
from actors.venue import VenueOptions
from engine.presets import PRESETS
from engine.records import Record
from engine.replay import replay
from engine.scoring import build_scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.tape import line_bytes
from engine.units import NS_PER_S
from tests.actors.local_venue import follow, rig

SECONDS = 280.0
FLUSH_S = 0.25

Pairs = Sequence[tuple[str, Record]]


async def recorded() -> Pairs:
    """Everything that happened to two busy markets."""
    options = VenueOptions(message_rate=60.0)
    async with rig(follow("btc-5m", "btc-15m"), seconds=1, options=options) as running:
        await trio.sleep(SECONDS)
    return running.tape


def write(pairs: Pairs, folder: Path) -> None:
    """As a recorder does."""
    with TapeWriter(folder) as writer:
        batch: list[tuple[str, bytes, int]] = []
        for key, record in pairs:
            if batch and record.at_ns - batch[0][2] > FLUSH_S * NS_PER_S:
                writer.write(batch)
                batch = []
            batch.append((key, line_bytes(record), record.at_ns))
        writer.write(batch)


def best_us(work: Callable[[], object], records: int, rounds: int = 5) -> float:
    """Microseconds of processor time a record."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) / records * 1e6


def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    pairs = trio.run(recorded, clock=MockClock(autojump_threshold=0))
    preset = PRESETS["seed"]

    def replayed() -> None:
        for _ in replay(
            merged(tapes),
            scoring=ScoringSettings(),
            preset=preset,
            new_scorer=lambda: build_scorer(preset),
            aggregate=AggregateSettings(),
        ):
            pass

    with tempfile.TemporaryDirectory() as folder:
        written = best_us(lambda: write(pairs, Path(folder)), len(pairs), rounds=1)
        tapes = find_tapes([Path(folder)])
        parts = [part for tape in tapes for part in tape.parts]
        texts = [piece.block.text for piece in read_pieces(parts) if isinstance(piece, Lines)]
        lines = [line for text in texts for line in text.splitlines()]
        size = sum(part.stat().st_size for part in parts)
        figures = {
            "records": len(pairs),
            "bytes_a_line": round(sum(map(len, texts)) / len(lines)),
            "compressed_to": round(size / sum(map(len, texts)), 3),
            "write_us": round(written, 2),
            "read_us": round(best_us(lambda: [sum(1 for _ in read_tape(tape)) for tape in tapes], len(pairs)), 2),
            "merged_us": round(best_us(lambda: sum(1 for _ in merged(tapes)), len(pairs)), 2),
            "json_loads_us": round(best_us(lambda: [json.loads(line) for line in lines], len(pairs)), 2),
            "replay_us": round(best_us(replayed, len(pairs), rounds=2), 2),
        }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
