from __future__ import annotations

from pathlib import Path

import pytest

from actors.labelbook import read_labels
from actors.simulate import Design, market_number, wire_records
from actors.simulate.tapes import write_tape, write_tapes
from actors.tapes import find_tapes, read_tape
from engine.errors import TapeError
from engine.labels import Label, LabelStatus

DESIGN = Design(series="btc-5m", trades_per_minute=4.0, seed=11)


def test_a_tape_holds_the_very_records(tmp_path: Path) -> None:
    label = write_tape(DESIGN, 2, folder=tmp_path)
    market = market_number(DESIGN, 2)
    (tape,) = find_tapes([tmp_path])
    assert list(read_tape(tape)) == list(wire_records(market))
    assert (label.slug, label.outcome, label.status) == (tape.key, market.outcome, LabelStatus.RESOLVED)
    assert (label.start_ns, label.end_ns) == (market.slot.start_ns, market.slot.end_ns)


def test_all_cores_write_what_one_writes(tmp_path: Path) -> None:
    told: list[Label] = []
    write_tapes(DESIGN, 3, tmp_path / "one", done=told.append)
    write_tapes(DESIGN, 3, tmp_path / "two", jobs=2)
    assert [label.slug for label in told] == [market_number(DESIGN, number).slot.slug for number in range(3)]
    one, two = (find_tapes([tmp_path / name]) for name in ("one", "two"))
    assert [(tape.key, tape.outcome) for tape in one] == [(tape.key, tape.outcome) for tape in two]
    for first, second in zip(one, two, strict=True):
        assert first.parts[0].read_bytes() == second.parts[0].read_bytes()
    assert dict(read_labels(tmp_path / "one")) == dict(read_labels(tmp_path / "two"))


def test_it_does_not_mix_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing that matters")
    write_tapes(DESIGN, 1, tmp_path)
    with pytest.raises(TapeError, match="holds tapes already"):
        write_tapes(DESIGN, 1, tmp_path)
