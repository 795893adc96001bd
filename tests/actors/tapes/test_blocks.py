"""Blocks: every intact one is found, whatever is around it, and what is missing is said."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from actors.tapes import blocks
from actors.tapes.blocks import HEADER_BYTES, MAX_TEXT_BYTES, Block, Damage, encode_block, read_blocks

# A file of ten blocks of one to five lines.
LINES: list[list[bytes]] = [
    [b'{"kind":"frame","at_ns":%d,"text":"%s"}' % (10 * n + k, b"x" * (n * k)) for k in range(n % 5 + 1)]
    for n in range(10)
]


def encoded(of: Sequence[Sequence[bytes]] = LINES) -> list[bytes]:
    first, whole = 0, []
    for number, lines in enumerate(of):
        whole.append(encode_block(lines, number, first=first))
        first += len(lines)
    return whole


BLOCKS = encoded()
FILE = b"".join(BLOCKS)
STARTS = [sum(map(len, BLOCKS[:n])) for n in range(len(BLOCKS) + 1)]
FIRSTS = [sum(map(len, LINES[:n])) for n in range(len(LINES) + 1)]


def pieces_of(path: Path, content: bytes) -> list[Block | Damage]:
    path.unlink(missing_ok=True)  # written over, a file is flushed by some file systems: thousands of times here
    path.write_bytes(content)
    return list(read_blocks(path))


def intact(pieces: Sequence[Block | Damage]) -> list[Block]:
    return [piece for piece in pieces if isinstance(piece, Block)]


def damages(pieces: Sequence[Block | Damage]) -> list[Damage]:
    return [piece for piece in pieces if isinstance(piece, Damage)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.1.jsonl.zst"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blocks") / "x.1.jsonl.zst"


def test_what_was_written_is_read(path: Path) -> None:
    read = pieces_of(path, FILE)
    assert [piece.text.splitlines() for piece in intact(read)] == LINES
    assert damages(read) == []
    assert [(piece.offset, piece.first, piece.lines, piece.at_ns) for piece in intact(read)] == [
        (STARTS[n], FIRSTS[n], len(LINES[n]), n) for n in range(10)
    ]
    assert sum(piece.length for piece in read) == len(FILE)


def test_a_block_is_a_skippable_frame_and_an_ordinary_one() -> None:
    block = BLOCKS[1]
    magic, size, name, length, checksum, lines, at_ns, first, seal = struct.unpack_from("<II4sIIIQII", block)
    data = block[HEADER_BYTES:]
    assert (magic, size, name, lines, at_ns, first) == (0x184D2A50, 32, b"UPDN", 2, 1, 1)
    assert (length, checksum, seal) == (len(data), zlib.crc32(data), zlib.crc32(block[8:36]))
    frame = zstandard.get_frame_parameters(data)
    assert frame.has_checksum
    assert frame.content_size == sum(len(line) + 1 for line in LINES[1])


def test_other_readers_see_json_lines(path: Path) -> None:
    path.write_bytes(FILE)
    with path.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
        assert [json.loads(line) for line in text.splitlines()] == [
            json.loads(line) for lines in LINES for line in lines
        ]
    if shutil.which("zstdcat") is None:
        return
    shown = subprocess.run(["zstdcat", str(path)], capture_output=True, check=True, timeout=20).stdout
    assert shown.splitlines() == [line for lines in LINES for line in lines]


def test_a_file_cut_at_any_byte_gives_every_whole_block_and_says_what_is_torn(path: Path) -> None:
    for cut in range(len(FILE) + 1):
        read = pieces_of(path, FILE[:cut])
        whole = sum(start <= cut for start in STARTS[1:])
        assert [piece.text.splitlines() for piece in intact(read)] == LINES[:whole], cut
        rest = cut - STARTS[whole]
        if rest == 0:
            assert damages(read) == [], cut
            continue
        [damage] = damages(read)
        assert (damage.offset, damage.length, damage.reason) == (STARTS[whole], rest, "torn"), cut
        known = rest >= HEADER_BYTES
        assert (damage.lines, damage.at_ns) == ((len(LINES[whole]), whole) if known else (None, None)), cut


def test_a_flipped_bit_costs_one_block_and_no_other(path: Path) -> None:
    chance = random.Random(7)
    for _ in range(1500):
        position = chance.randrange(len(FILE))
        content = bytearray(FILE)
        content[position] ^= 1 << chance.randrange(8)
        read = pieces_of(path, bytes(content))
        hit = sum(start <= position for start in STARTS[1:])
        assert [piece.text.splitlines() for piece in intact(read)] == LINES[:hit] + LINES[hit + 1 :], position
        [damage] = damages(read)
        assert (damage.offset, damage.length) == (STARTS[hit], len(BLOCKS[hit]))
        # With the header gone, only the next block tells how many lines there were; the last one has none.
        in_header = position - STARTS[hit] < HEADER_BYTES
        assert damage.lines == (None if in_header and hit == 9 else len(LINES[hit]))


@given(data=st.data())
def test_deleted_and_repeated_blocks_and_garbage_between_cost_nothing_else(scratch: Path, data: st.DataObject) -> None:
    order = data.draw(st.lists(st.integers(0, 9), max_size=14))
    garbage = data.draw(st.lists(st.binary(max_size=60), min_size=len(order) + 1, max_size=len(order) + 1))
    content = garbage[0] + b"".join(BLOCKS[n] + junk for n, junk in zip(order, garbage[1:], strict=True))
    read = pieces_of(scratch, content)
    expected, last = [], -1
    for number in order:
        if number > last:
            expected.append(LINES[number])
            last = number
    assert [piece.text.splitlines() for piece in intact(read)] == expected
    # Every line up to the last block there is accounted for: read, or said to be missing.
    missing = sum(damage.lines or 0 for damage in damages(read) if damage.offset < len(content) - len(garbage[-1]))
    assert missing + sum(map(len, expected)) == FIRSTS[last + 1]


@given(content=st.binary(max_size=300), begin=st.sampled_from([b"", FILE[:12], FILE[:40], FILE[:55]]))
def test_any_content_is_blocks_and_damage(scratch: Path, content: bytes, begin: bytes) -> None:
    read = pieces_of(scratch, begin + content)
    assert sum(piece.length for piece in read) == len(begin + content)


@given(seed=st.integers(0, 2**32), hits=st.integers(1, 6))
def test_mangled_files_are_blocks_and_damage(scratch: Path, seed: int, hits: int) -> None:
    chance = random.Random(seed)
    content = bytearray(FILE)
    for _ in range(hits):
        begin = chance.randrange(len(content))
        end = min(begin + chance.randrange(1, 200), len(content))
        kind = chance.randrange(4)
        if kind == 0:
            del content[begin:end]
        elif kind == 1:
            content[begin:end] = chance.randbytes(end - begin)
        elif kind == 2:
            content[begin:begin] = content[begin:end]
        else:
            content[begin:end] = bytes(end - begin)
        if not content:
            break
    originals = {tuple(lines) for lines in LINES}
    for piece in intact(pieces_of(scratch, bytes(content))):
        assert tuple(piece.text.splitlines()) in originals


def test_bytes_cut_out_of_a_block_do_not_take_the_next_one_with_them(path: Path) -> None:
    middle = STARTS[4] + HEADER_BYTES + 3
    read = pieces_of(path, FILE[:middle] + FILE[middle + 2 :])
    assert [piece.text.splitlines() for piece in intact(read)] == LINES[:4] + LINES[5:]
    assert [(damage.reason, damage.lines) for damage in damages(read)] == [("damaged", len(LINES[4]))]


def test_far_behind_a_lot_of_garbage_the_next_block_is_found(path: Path) -> None:
    junk = random.Random(1).randbytes(3_000_001)
    # The beginning of a header again and again, also across the bounds of what is read at a time.
    bait = FILE[:12] * 400_000
    read = pieces_of(path, BLOCKS[0] + junk + bait + BLOCKS[1])
    assert [piece.text.splitlines() for piece in intact(read)] == LINES[:2]
    [damage] = damages(read)
    assert (damage.reason, damage.length, damage.lines) == ("garbage", len(junk) + len(bait), 0)


def header(data: bytes, *, lines: int = 1, length: int | None = None, first: int = 0) -> bytes:
    """A header with seals that fit, whatever it says."""
    claimed = len(data) if length is None else length
    head = struct.pack("<II4sIIIQI", 0x184D2A50, 32, b"UPDN", claimed, zlib.crc32(data), lines, 0, first)
    return head + struct.pack("<I", zlib.crc32(head[8:]))


def frame(text: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


HUGE = b"\x28\xb5\x2f\xfd\xe4" + struct.pack("<Q", 64 << 30)
"""A frame that says it is 64 GiB."""

LINE = b'{"kind":"end","at_ns":1}\n'
STREAMED = zstandard.ZstdCompressor(write_content_size=False).compress(LINE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (header(HUGE) + HUGE, "oversize"),
        (header(b"", length=2**32 - 1), "oversize"),
        (header(b"", length=60 << 20), "damaged"),
        (header(bomb := frame(bytes(MAX_TEXT_BYTES + 1))) + bomb, "oversize"),
        (header(bomb := frame(b"\n" * MAX_TEXT_BYTES), lines=MAX_TEXT_BYTES) + bomb, "damaged"),
        (header(b"") + b"", "damaged"),
        (header(b"not zstd at all") + b"not zstd at all", "damaged"),
        (header(two := frame(LINE) * 2, lines=2) + two, "damaged"),
        (header(one := frame(LINE), lines=2) + one, "damaged"),
        (header(one := frame(LINE), lines=0) + one, "damaged"),
        (header(one := frame(LINE[:-1])) + one, "damaged"),
        (header(one := frame(b"")) + one, "damaged"),
        (header(skippable := b"\x51\x2a\x4d\x18\x00\x00\x00\x00") + skippable, "damaged"),
        (header(short := frame(LINE)[:-6]) + short, "damaged"),
        (header(STREAMED) + STREAMED, "oversize"),
    ],
)
def test_what_claims_to_be_a_block_and_is_none_is_damage(path: Path, content: bytes, reason: str) -> None:
    damage, *_ = pieces_of(path, content + encode_block([LINE[:-1]], 1, first=1))
    assert isinstance(damage, Damage)
    assert (damage.reason, damage.length) == (reason, len(content))


def test_blocks_of_the_largest_size_are_read(path: Path) -> None:
    line = b'"%s"' % (b"x" * (MAX_TEXT_BYTES - 3))
    [block] = pieces_of(path, encode_block([line], 1))
    assert isinstance(block, Block)
    assert len(block.text) == MAX_TEXT_BYTES


@pytest.mark.parametrize("lines", [[], [b"a\nb"], [b"x" * MAX_TEXT_BYTES]])
def test_what_is_not_whole_lines_is_not_written(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match="not whole lines"):
        encode_block(lines, 1)


def test_headers_within_headers_do_not_take_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_MAX_WASTE_BYTES", 10_000)
    nested = b"".join(header(b"", length=4000, first=n, lines=1) for n in range(500))
    read = pieces_of(path, nested + bytes(4000))
    assert len(read) < 10
    assert isinstance(read[-1], Damage)
    assert read[-1].detail == "too much damage"
    assert sum(piece.length for piece in read) == len(nested) + 4000


def test_what_is_no_file_is_unreadable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "loop", "nowhere", "device", "", "none"):
        [damage] = read_blocks(tmp_path / name)
        assert isinstance(damage, Damage)
        assert (damage.reason, damage.lines) == ("unreadable", None)
        assert damage.detail


def test_a_link_to_a_file_and_an_empty_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(FILE)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(intact(list(read_blocks(tmp_path / "link")))) == 10
    assert pieces_of(tmp_path / "empty", b"") == []


def test_a_disk_that_fails_while_it_is_read_ends_the_file_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(FILE)
    read_at = blocks._read_at

    def failing(file: object, offset: int, length: int) -> bytes:
        if offset >= STARTS[3]:
            raise OSError(5, "Input/output error")
        return read_at(file, offset, length)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "_read_at", failing)
    read = list(read_blocks(path))
    assert [piece.text.splitlines() for piece in intact(read)] == LINES[:3]
    assert [(damage.reason, damage.detail) for damage in damages(read)] == [("unreadable", "Input/output error")]
