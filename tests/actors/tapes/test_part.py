"""A part holds whole blocks, whatever the disk does."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.tapes.blocks import Block, read_blocks
from actors.tapes.part import Part, is_locked

KEY = "btc-updown-5m-1790001000"
AT_NS = 1_790_001_000 * 10**9
DAY = "2026-09-21"


def texts(path: Path) -> list[bytes | str]:
    return [piece.text if isinstance(piece, Block) else piece.reason for piece in read_blocks(path)]


def line(number: int) -> bytes:
    return b'{"kind":"frame","at_ns":%d,"text":""}' % number


def test_a_part_is_a_file_of_its_own_for_its_owner_alone(tmp_path: Path) -> None:
    part = Part.create(tmp_path / "new" / "tapes", KEY, AT_NS)
    assert part.path == tmp_path / "new" / "tapes" / DAY / f"{KEY}.1.jsonl.zst"
    assert stat.S_IMODE(part.path.stat().st_mode) == 0o600
    part.append([line(1), line(2)], 2)
    part.append([line(3)], 3)
    assert (part.lines, part.size) == (3, part.path.stat().st_size)
    part.close()
    part.close()
    assert texts(part.path) == [line(1) + b"\n" + line(2) + b"\n", line(3) + b"\n"]


def test_the_next_part_comes_after_every_other_one(tmp_path: Path) -> None:
    day = tmp_path / DAY
    day.mkdir()
    for name in (f"{KEY}.2.jsonl.zst", f"{KEY}.9.jsonl.zst", f"{KEY}.10.jsonl", "other.40.jsonl.zst", "notes.txt"):
        (day / name).write_bytes(b"of others")
    assert Part.create(tmp_path, KEY, AT_NS).number == 10
    (day / f"{KEY}.11.jsonl.zst").symlink_to(tmp_path / "elsewhere")
    assert Part.create(tmp_path, KEY, AT_NS).number == 12
    assert not (tmp_path / "elsewhere").exists()
    assert (day / f"{KEY}.9.jsonl.zst").read_bytes() == b"of others"


def test_a_number_that_another_process_takes_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open
    taken: list[str] = []

    def racing(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and len(taken) < 2:
            taken.append(str(path))
            os.close(real_open(path, flags, mode))
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", racing)
    assert Part.create(tmp_path, KEY, AT_NS).number == 3


def test_numbers_that_are_always_taken_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(path: str | Path, flags: int, mode: int = 0o777) -> int:
        raise FileExistsError(errno.EEXIST, "File exists", str(path))

    monkeypatch.setattr(os, "open", taken)
    with pytest.raises(FileExistsError, match=r"\.1\.jsonl\.zst"):
        Part.create(tmp_path, KEY, AT_NS)


def test_a_day_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / DAY).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links") as caught:
        Part.create(tmp_path, KEY, AT_NS)
    assert caught.value.errno == errno.ELOOP
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / DAY).write_text("a file")
    with pytest.raises(OSError, match="exists"):
        Part.create(tmp_path, KEY, AT_NS)


Write = Callable[[int, bytes | memoryview], int]


def failing_after(good_bytes: int, real_write: Write) -> Write:
    """A disk with so much room left."""
    room = good_bytes

    def write(descriptor: int, data: bytes | memoryview) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real_write(descriptor, bytes(data)[:room])
        room -= written
        return written

    return write


@pytest.mark.parametrize("room", [0, 1, 39, 40, 60])
def test_a_disk_that_fills_up_within_a_block_leaves_the_blocks_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    part = Part.create(tmp_path, KEY, AT_NS)
    part.append([line(1)], 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing_after(room, os.write))
        with pytest.raises(OSError, match="No space left"):
            part.append([line(2)], 2)
    assert not part.broken
    assert texts(part.path) == [line(1) + b"\n"]
    part.append([line(3)], 3)
    part.close()
    assert texts(part.path) == [line(1) + b"\n", line(3) + b"\n"]


def test_a_write_that_takes_several_goes_is_one_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part.create(tmp_path, KEY, AT_NS)
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, bytes(data)[:7]))
    part.append([line(1)], 1)
    part.close()
    assert texts(part.path) == [line(1) + b"\n"]


def test_a_part_that_cannot_even_be_cut_is_left_torn_and_never_touched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    part = Part.create(tmp_path, KEY, AT_NS)
    part.append([line(1)], 1)
    monkeypatch.setattr(os, "write", failing_after(50, os.write))
    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(OSError, match="No space left"):
        part.append([line(2)], 2)
    assert part.broken
    part.close()
    assert texts(part.path) == [line(1) + b"\n", "torn"]


def test_a_part_without_blocks_leaves_no_file(tmp_path: Path) -> None:
    part = Part.create(tmp_path, KEY, AT_NS)
    part.close()
    assert not part.path.exists()


def test_a_disk_that_will_not_flush_is_told_and_the_file_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    part = Part.create(tmp_path, KEY, AT_NS)
    part.append([line(1)], 1)
    descriptor = part.descriptor
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        part.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_other_processes_can_tell_that_a_part_is_open(tmp_path: Path) -> None:
    part = Part.create(tmp_path, KEY, AT_NS)
    part.append([line(1)], 1)
    program = (
        "import sys; from pathlib import Path; from actors.tapes.part import is_locked; "
        "print(is_locked(Path(sys.argv[1])))"
    )

    def asked() -> str:
        command = [sys.executable, "-c", program, str(part.path)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    assert is_locked(part.path)
    assert asked() == "True"
    part.close()
    assert not is_locked(part.path)
    assert asked() == "False"
    assert not is_locked(tmp_path / "none")


def test_a_full_device_is_an_os_error() -> None:
    part = Part(path=Path("/dev/full"), number=1, descriptor=os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match="No space left"):
        part.append([line(1)], 1)
    # A device cannot be cut either.
    assert part.broken
