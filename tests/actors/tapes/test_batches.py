"""A tape written at once is there as a whole, or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.tapes.batches import WholeTape
from actors.tapes.finding import find_tapes, header_of
from actors.tapes.reader import read_tape
from engine.errors import TapeError
from engine.markets import Outcome
from engine.records import Frame
from tests.actors.tapes.tape_texts import DAY, KEY, at, files, following, frame, record


def test_it_is_written_in_large_blocks(tmp_path: Path) -> None:
    records = following(0, 3000)
    with WholeTape(tmp_path, KEY, source="test", outcome=Outcome.UP) as tape:
        tape.write(records[:50])
        tape.write(iter(records[50:]))
    [part] = tape.parts()
    header = header_of(part)
    assert header is not None
    assert (header.source, header.outcome) == ("test", Outcome.UP)
    assert [item for _, item in read_tape(find_tapes([tmp_path])[0])] == records


def test_much_of_it_does_not_wait_for_the_end(tmp_path: Path) -> None:
    with WholeTape(tmp_path, KEY) as tape:
        tape.write(frame(n, os.urandom(10_000).hex()) for n in range(100))
        assert tape.parts()[0].stat().st_size > 500_000


def test_one_that_is_there_is_left_alone(tmp_path: Path) -> None:
    record(tmp_path, following())
    with pytest.raises(TapeError, match=f"has a tape of {KEY} already"):
        WholeTape(tmp_path, KEY)


def test_when_it_fails_nothing_is_left(tmp_path: Path) -> None:
    def records() -> Iterator[Frame]:
        yield from (frame(n, os.urandom(10_000).hex()) for n in range(100))
        assert files(tmp_path)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), WholeTape(tmp_path, KEY) as tape:
        tape.write(records())
    assert files(tmp_path) == []


def test_when_the_disk_is_full_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    real_write, writes = os.write, [0]

    def second_is_too_much(descriptor: int, data: bytes) -> int:
        writes[0] += 1
        return full() if writes[0] > 1 else real_write(descriptor, data)

    monkeypatch.setattr(os, "write", second_is_too_much)
    with pytest.raises(OSError, match="No space left"), WholeTape(tmp_path, KEY) as tape:
        tape.write([Frame(at_ns=at(1), text="x")])
    assert writes == [2]
    assert files(tmp_path) == []
    assert (tmp_path / DAY).exists()
