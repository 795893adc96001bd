import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors import labelbook
from actors.labelbook import LINE_BYTES, NAME, LabelBook, Labels, append_label, read_labels
from engine.labels import Label, LabelSource, LabelStatus, line_of
from engine.markets import Outcome


def label_number(number: int, outcome: Outcome | None = Outcome.UP) -> Label:
    return Label(
        condition_id=f"0x{number:064x}",
        slug=f"market-{number}",
        status=LabelStatus.UNRESOLVED if outcome is None else LabelStatus.RESOLVED,
        outcome=outcome,
        resolved_by=LabelSource.CLOB,
        at_ns=number,
    )


ONE, TWO, THREE = map(label_number, (1, 2, 3))


def told(labels: Labels) -> tuple[list[Label], int, str]:
    return [*labels.values()], labels.damaged, labels.problem


async def test_what_was_added_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "tapes" / "here"
    book = LabelBook(folder)
    for label in (ONE, TWO):
        await book.add(label)
    found = read_labels(folder)
    assert told(found) == ([ONE, TWO], 0, "")
    assert (found[ONE.condition_id], len(found), THREE.condition_id in found) == (ONE, 2, False)
    assert (folder / NAME).read_text() == f"{line_of(ONE)}\n{line_of(TWO)}\n"
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600


def test_no_book_is_no_labels(tmp_path: Path) -> None:
    assert told(read_labels(tmp_path)) == ([], 0, "")
    assert told(read_labels(tmp_path / "nowhere")) == ([], 0, "")


def test_the_last_line_of_a_market_counts(tmp_path: Path) -> None:
    for label in (label_number(1, None), TWO, ONE):
        append_label(tmp_path, label)
    assert told(read_labels(tmp_path)) == ([ONE, TWO], 0, "")


def test_foreign_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    long = '{"slug":"' + "x" * LINE_BYTES
    foreign = ["", "no json", "{}", "[" * 4000, long, line_of(ONE)[:-1], "\x00" * 10]
    text = "\n".join([line_of(ONE), *foreign, line_of(TWO)]) + "\n"
    (tmp_path / NAME).write_text(text)
    assert told(read_labels(tmp_path)) == ([ONE, TWO], len(foreign), "")


def test_a_line_of_any_length_is_one_damaged_line(tmp_path: Path) -> None:
    for length in (LINE_BYTES - 1, LINE_BYTES, LINE_BYTES + 1, 2 * LINE_BYTES, 2 * LINE_BYTES + 1, 10 * LINE_BYTES):
        (tmp_path / NAME).write_text("x" * length + "\n" + line_of(ONE) + "\n")
        assert told(read_labels(tmp_path)) == ([ONE], 1, "")


def test_a_book_cut_anywhere_loses_one_line_at_most_and_goes_on_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    whole = f"{line_of(ONE)}\n{line_of(TWO)}\n".encode()
    second = len(line_of(ONE)) + 1
    for cut in range(len(whole) + 1):
        (tmp_path / NAME).write_bytes(whole[:cut])
        append_label(tmp_path, THREE)
        kept = [ONE] * (cut >= second - 1) + [TWO] * (cut >= len(whole) - 1)
        torn = cut not in {0, second - 1, second, len(whole) - 1, len(whole)}
        assert told(read_labels(tmp_path)) == ([*kept, THREE], int(torn), "")


@given(
    content=st.lists(st.binary(max_size=40) | st.just(line_of(ONE).encode()) | st.just(b"\n"), max_size=8).map(b"".join)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert {*read_labels(tmp_path).values()} <= {ONE}
    append_label(tmp_path, TWO)
    assert read_labels(tmp_path)[TWO.condition_id] == TWO


def test_a_book_without_end_is_read_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelbook, "MOST_LABELS", 2)
    for label in (ONE, TWO, evolve(ONE, late=True)):
        append_label(tmp_path, label)
    assert told(read_labels(tmp_path)) == ([evolve(ONE, late=True), TWO], 0, "")
    append_label(tmp_path, THREE)
    assert told(read_labels(tmp_path)) == ([evolve(ONE, late=True), TWO], 0, "more than 2 labels")


def as_link(path: Path) -> None:
    path.with_name("elsewhere").write_text(line_of(ONE) + "\n")
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("make", [as_link, Path.mkdir, os.mkfifo], ids=["link", "folder", "pipe"])
def test_what_is_no_plain_file_is_neither_read_nor_written(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / NAME)
    with pytest.raises(OSError, match=NAME):
        append_label(tmp_path, TWO)
    labels, damaged, problem = told(read_labels(tmp_path))
    assert (labels, damaged, NAME in problem) == ([], 0, True)


def test_a_folder_that_is_a_file_has_no_book(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "NotADirectoryError" in read_labels(tmp_path / "file").problem
    with pytest.raises(OSError, match="file"):
        append_label(tmp_path / "file", ONE)


def test_a_full_disk_is_told_and_the_torn_line_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_label(tmp_path, ONE)
    write = os.write
    monkeypatch.setattr(os, "write", lambda book, line: write(book, line[:20]))
    with pytest.raises(OSError, match="space") as raised:
        append_label(tmp_path, TWO)
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    append_label(tmp_path, TWO)
    assert told(read_labels(tmp_path)) == ([ONE, TWO], 1, "")


def test_a_line_is_on_the_disk_when_it_is_told_so_and_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    write, fsync = os.write, os.fsync

    def noted_write(book: int, line: bytes) -> int:
        calls.append("write")
        return write(book, line)

    def noted_fsync(book: int) -> None:
        calls.append("fsync of the folder" if stat.S_ISDIR(os.fstat(book).st_mode) else "fsync")
        fsync(book)

    monkeypatch.setattr(os, "write", noted_write)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    append_label(tmp_path, ONE)
    append_label(tmp_path, TWO)
    assert calls == ["write", "fsync", "fsync of the folder", "write", "fsync"]


def open_descriptors() -> int:
    """How many there are, always 0 on systems that do not tell."""
    listing = Path("/proc/self/fd")
    return len([*listing.iterdir()]) if listing.exists() else 0


def test_no_descriptor_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", fail)
    before = open_descriptors()
    for _ in range(5):
        with pytest.raises(OSError, match="broken"):
            append_label(tmp_path, ONE)
        read_labels(tmp_path)
    assert open_descriptors() == before
