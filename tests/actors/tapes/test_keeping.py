"""Keeping: the oldest goes first, what is open stays, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.tapes.keeping import keep
from actors.tapes.layout import DAY_NS, day_of
from actors.tapes.writer import TapeWriter
from tests.actors.tapes.tape_texts import DAY, KEY, OTHER, at, batch, files, following

NOW_NS = at(0)


def part(folder: Path, days_ago: int, number: int = 1, *, key: str = KEY, size: int = 1000, age_s: int = 0) -> Path:
    path = folder / day_of(NOW_NS - days_ago * DAY_NS) / f"{key}.{number}.jsonl.zst"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    changed_s = NOW_NS / 10**9 - days_ago * 86_400 - age_s
    os.utime(path, (changed_s, changed_s))
    return path


def test_without_limits_everything_is_kept(tmp_path: Path) -> None:
    paths = [part(tmp_path, days) for days in (0, 1, 4000)]
    kept = keep(tmp_path, now_ns=NOW_NS)
    assert (kept.deleted, kept.deleted_bytes, kept.left_bytes, kept.over_quota) == ((), 0, 3000, False)
    assert all(path.exists() for path in paths)


@pytest.mark.parametrize(("keep_days", "left"), [(1, [0, 1]), (2, [0, 1, 2]), (30, [0, 1, 2, 29])])
def test_days_that_are_old_enough_go_with_their_folders(tmp_path: Path, keep_days: int, left: list[int]) -> None:
    paths = {days: part(tmp_path, days) for days in (0, 1, 2, 29, 31)}
    kept = keep(tmp_path, now_ns=NOW_NS, keep_days=keep_days)
    assert [days for days, path in paths.items() if path.exists()] == left
    assert [path for path in paths.values() if path.parent.exists()] == [paths[days] for days in left]
    assert kept.deleted == tuple(paths[days] for days in sorted(set(paths) - set(left), reverse=True))
    assert kept.left_bytes == 1000 * len(left)


def test_the_oldest_go_until_the_rest_is_within_the_quota(tmp_path: Path) -> None:
    older, newer = part(tmp_path, 0, 2, age_s=60), part(tmp_path, 0, 1, age_s=30)
    yesterday = part(tmp_path, 1)
    kept = keep(tmp_path, now_ns=NOW_NS, max_gb=1500e-9)
    assert kept.deleted == (yesterday, older)
    assert newer.exists()
    assert (kept.deleted_bytes, kept.left_bytes, kept.over_quota) == (2000, 1000, False)
    assert keep(tmp_path, now_ns=NOW_NS, max_gb=1500e-9).deleted == ()


def test_what_is_open_stays(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path)
    writer.write(batch(following()))
    told = part(tmp_path, 40)
    free = part(tmp_path, 41)
    kept = keep(tmp_path, now_ns=NOW_NS + 100 * DAY_NS, keep_days=1, max_gb=1e-9, open_parts={told})
    assert kept.deleted == (free,)
    assert kept.over_quota
    assert told.exists()
    # Open in this or any process: its lock says so.
    assert (tmp_path / DAY / f"{KEY}.1.jsonl.zst").exists()
    writer.close()
    assert len(keep(tmp_path, now_ns=NOW_NS + 100 * DAY_NS, keep_days=1).deleted) == 2
    assert files(tmp_path) == []


def test_nothing_else_is_counted_or_touched(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "tapes", tmp_path / "elsewhere"
    old = part(elsewhere, 50)
    (folder / "2020-01-01").mkdir(parents=True)
    (folder / "2020-01-02").symlink_to(old.parent)
    (folder / "2020-01-01" / old.name).symlink_to(old)
    for name in ("labels.jsonl", f"{KEY}.1.jsonl.zst", "2020-01-01/notes.txt", "2020-01-01/x.jsonl.zst"):
        (folder / name).write_text("something")
    (folder / "2020-01-01" / f"{OTHER}.1.jsonl.zst").mkdir()
    before = sorted(folder.rglob("*"))
    kept = keep(folder, now_ns=NOW_NS, keep_days=1, max_gb=1e-9)
    assert (kept.deleted, kept.left_bytes) == ((), 0)
    assert sorted(folder.rglob("*")) == before
    assert old.exists()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert keep(tmp_path / "none", now_ns=NOW_NS, keep_days=1).left_bytes == 0


def test_what_the_system_will_not_let_go_of_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, free = part(tmp_path, 9), part(tmp_path, 8)
    unlink = Path.unlink

    def refusing(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refusing)
    kept = keep(tmp_path, now_ns=NOW_NS, keep_days=1)
    assert (kept.deleted, kept.problems) == ((free,), (f"{stuck}: Permission denied",))
    assert kept.left_bytes == 1000
