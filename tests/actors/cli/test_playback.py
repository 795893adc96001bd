"""Playing recorded markets: what is read is told, and shared out it is the same (see ``test_replay``)."""

from __future__ import annotations

import gzip
from pathlib import Path

from actors.cli.playback import Reading, play, score_tape, size_of, total_bytes
from actors.tally import Tally
from actors.tapes import find_tapes
from engine.settings import Settings
from engine.signals import MarketSignals
from tests.actors.cli.test_replay import RISING, record, taped
from tests.engine.wire_texts import SLUG


def test_what_is_read_adds_up(tmp_path: Path) -> None:
    record(tmp_path, RISING * 20, manifest="800,1", step_s=0.1)
    taped(tmp_path / "tapes", RISING * 20)
    for folder in (tmp_path, tmp_path / "tapes"):
        [tape] = find_tapes([folder])
        told: list[tuple[int, int]] = []
        reading = Reading(tape, lambda read, messages, told=told: told.append((read, messages)))  # type: ignore[misc]
        assert sum(1 for _ in reading.pairs()) == 804
        assert (sum(read for read, _ in told), sum(messages for _, messages in told)) == (size_of(tape), 800)
        assert len(told) == 4
        assert total_bytes([tape]) == size_of(tape) > 0


def test_a_torn_recording_is_let_go(tmp_path: Path) -> None:
    path = record(tmp_path, RISING) / f"{SLUG}.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"{}\n"))
    [tape] = find_tapes([tmp_path])
    scored = score_tape(tape, Settings())
    assert (scored.messages, scored.report) == (40, None)
    assert scored.torn is not None
    assert ":41" in scored.torn


def test_alone_and_apart_are_the_same(tmp_path: Path) -> None:
    [tape] = find_tapes([taped(tmp_path, RISING)])
    tally = Tally([tape])
    signals = [it for it in play([tape], Settings(), tally, lambda *_: None) if isinstance(it, MarketSignals)]
    apart = score_tape(tape, Settings())
    assert [it for it in apart.steps if isinstance(it, MarketSignals)] == signals
    assert apart.report is not None
    assert apart.report.intact
    [market] = tally.markets()
    assert (market.messages, market.signals, market.torn) == (40, len(signals), None)
