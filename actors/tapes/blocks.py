"""Blocks: whole lines compressed on their own, each behind a header that says what it must be.

A block is a zstd *skippable* frame of 32 bytes (little-endian: ``UPDN``, u32 length of the data, u32 CRC-32 of it, u32
number of lines, u64 ``at_ns`` of the last line, u32 number of lines before it in the file, u32 CRC-32 of these 28
bytes) and the data: one ordinary zstd frame with content size and checksum. So every zstd reader sees plain JSON lines,
while this one finds the next block behind any damage and knows how many lines are missing.

Files are untrusted: whatever is in them comes out as blocks and damage, in bounded memory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final
from zlib import crc32

import zstandard
from attrs import evolve, frozen

MAX_TEXT_BYTES: Final = 64 << 20
"""A block of more text than this is neither written nor read."""

LEVEL: Final = 3

_MAGIC: Final = 0x184D2A50
_NAME: Final = b"UPDN"
_HEAD: Final = Struct("<II4sIIIQI")
_SEAL: Final = Struct("<I")
HEADER_BYTES: Final = _HEAD.size + _SEAL.size
_PAYLOAD_BYTES: Final = HEADER_BYTES - 8
_BEGIN: Final = _HEAD.pack(_MAGIC, _PAYLOAD_BYTES, _NAME, 0, 0, 0, 0, 0)[:12]
_MAX_DATA_BYTES: Final = MAX_TEXT_BYTES + MAX_TEXT_BYTES // 128 + 1024
_MIN_LINE_BYTES: Final = 16
"""The shortest line of a tape is longer: a text of shorter ones only costs memory."""

_SCAN_BYTES: Final = (1 << 12, 1 << 20)
_MAX_WASTE_BYTES: Final = 1 << 30
"""So much is read in vain behind headers before a file is given up: headers within headers would take for ever."""

TORN: Final = "torn"
GARBAGE: Final = "garbage"
DAMAGED: Final = "damaged"
OVERSIZE: Final = "oversize"
MISSING: Final = "missing"
REPEATED: Final = "repeated"
UNREADABLE: Final = "unreadable"


@frozen(kw_only=True)
class Block:
    """One intact block: ``lines`` whole lines of ``text``, ``first`` of them before it in the file.

    It takes ``length`` bytes of the file from ``offset`` on; ``at_ns`` is the time of its last line.
    """

    offset: int
    length: int
    first: int
    lines: int
    at_ns: int
    text: bytes


@frozen(kw_only=True)
class Damage:
    """``length`` bytes from ``offset`` on that are no block, or no block any more.

    ``reason``: ``torn`` (the file ends within a block), ``garbage`` (no block begins here), ``damaged`` (not what its
    header says), ``oversize``, ``missing`` (whole blocks were cut out before this offset), ``repeated`` (a block that
    was read already) or ``unreadable`` (``detail`` says what the system says). ``lines`` of the tape are lost, ``None``
    if nobody can tell; ``at_ns`` is the time of the last of them, if the header survived.
    """

    offset: int
    length: int
    reason: str
    lines: int | None = None
    at_ns: int | None = None
    detail: str = ""


@frozen(kw_only=True)
class _Header:
    length: int
    checksum: int
    lines: int
    at_ns: int
    first: int


def encode_block(lines: Sequence[bytes], at_ns: int, *, first: int = 0, level: int = LEVEL) -> bytes:
    """One block of these lines, which have no newlines; ``at_ns`` is the last one's time.

    ``first`` lines come before it in the file. Raises ``ValueError`` for no lines, lines with newlines, and for more
    than ``MAX_TEXT_BYTES``.
    """
    text = b"\n".join(lines) + b"\n"
    if text.count(b"\n") != len(lines) or len(text) > MAX_TEXT_BYTES:
        raise ValueError(f"not whole lines of {MAX_TEXT_BYTES} bytes at most")
    data = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True).compress(text)
    head = _HEAD.pack(_MAGIC, _PAYLOAD_BYTES, _NAME, len(data), crc32(data), len(lines), at_ns, first)
    return head + _SEAL.pack(crc32(head[8:])) + data


def read_blocks(path: Path) -> Iterator[Block | Damage]:
    """The blocks of a file in order, and what lies between them; never raises because of what a file is or holds."""
    offset = 0
    try:
        with _opened(path) as file:
            for piece in _numbered(_pieces(file)):
                offset = piece.offset
                yield piece
    except OSError as error:
        yield Damage(offset=offset, length=0, reason=UNREADABLE, detail=error.strerror or type(error).__name__)


def _opened(path: Path) -> BinaryIO:
    """The file, if it is one: a pipe must not hold the reader up, nor a device feed it for ever."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a file")
    return os.fdopen(descriptor, "rb", buffering=1 << 16)


def _numbered(pieces: Iterator[Damage | tuple[_Header, Block | Damage]]) -> Iterator[Block | Damage]:
    """Say how many lines are missing where only the next header can tell, and leave out what was there already."""
    expected, unknown = 0, None
    for found in pieces:
        if isinstance(found, Damage):
            if unknown is not None:
                yield unknown
            unknown = found
            continue
        header, piece = found
        missing = header.first - expected
        if unknown is not None:
            yield evolve(unknown, lines=max(missing, 0))
        elif missing > 0:
            yield Damage(offset=piece.offset, length=0, reason=MISSING, lines=missing)
        unknown = None
        if missing < 0:
            yield Damage(offset=piece.offset, length=piece.length, reason=REPEATED, lines=0)
        else:
            expected = header.first + header.lines
            yield piece
    if unknown is not None:
        yield unknown


def _pieces(file: BinaryIO) -> Iterator[Damage | tuple[_Header, Block | Damage]]:
    """Every block with its header, what was one with the header that is left of it, and other damage."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_TEXT_BYTES)
    offset = wasted = 0
    while head := _read_at(file, offset, HEADER_BYTES):
        header = _parsed(head)
        if header is None or header.length > _MAX_DATA_BYTES:
            reason = OVERSIZE if header else TORN if _begins_a_header(head) else GARBAGE
            found = Damage(offset=offset, length=_next_header(file, offset + 1) - offset, reason=reason)
            yield found
            offset += found.length
            continue
        piece = _piece(file, offset, header, decompressor)
        yield header, piece
        offset += piece.length
        wasted += header.length if isinstance(piece, Damage) else 0
        if wasted > _MAX_WASTE_BYTES:
            yield Damage(offset=offset, length=_size(file) - offset, reason=GARBAGE, detail="too much damage")
            return


def _piece(file: BinaryIO, offset: int, header: _Header, decompressor: zstandard.ZstdDecompressor) -> Block | Damage:
    """What follows a legible header that was just read."""
    data = file.read(header.length)
    text, reason = _text(header, data, decompressor)
    if text is None:
        # Bytes may have been cut out of the data: then the next block begins earlier than this header says.
        length = _next_header(file, offset + HEADER_BYTES) - offset
        if reason == TORN and offset + length < _size(file):
            reason = DAMAGED
        return Damage(offset=offset, length=length, reason=reason, lines=header.lines, at_ns=header.at_ns)
    return Block(
        offset=offset,
        length=HEADER_BYTES + len(data),
        first=header.first,
        lines=header.lines,
        at_ns=header.at_ns,
        text=text,
    )


def _text(header: _Header, data: bytes, decompressor: zstandard.ZstdDecompressor) -> tuple[bytes | None, str]:
    """The text of a block that is what its header says, else why it is not."""
    if len(data) < header.length:
        return None, TORN
    if crc32(data) != header.checksum:
        return None, DAMAGED
    try:
        # The frame says how much memory it wants: it is asked before it gets any.
        if zstandard.get_frame_parameters(data).content_size > MAX_TEXT_BYTES:
            return None, OVERSIZE
        text = decompressor.decompress(data, allow_extra_data=False)
    except zstandard.ZstdError:
        return None, DAMAGED
    lines = text.count(b"\n")
    whole = text.endswith(b"\n") and lines == header.lines and lines * _MIN_LINE_BYTES <= len(text)
    return (text, "") if whole else (None, DAMAGED)


def _parsed(head: bytes) -> _Header | None:
    if len(head) < HEADER_BYTES or not head.startswith(_BEGIN):
        return None
    *_, length, checksum, lines, at_ns, first = _HEAD.unpack_from(head)
    if _SEAL.unpack_from(head, _HEAD.size)[0] != crc32(head[8 : _HEAD.size]):
        return None
    return _Header(length=length, checksum=checksum, lines=lines, at_ns=at_ns, first=first)


def _begins_a_header(head: bytes) -> bool:
    return len(head) < HEADER_BYTES and head[: len(_BEGIN)] == _BEGIN[: len(head)]


def _next_header(file: BinaryIO, start: int) -> int:
    """Where the next legible header begins from ``start`` on, or where the file ends."""
    size = _SCAN_BYTES[0]
    while chunk := _read_at(file, start, size):
        last = len(chunk) - HEADER_BYTES
        found = chunk.find(_BEGIN)
        while 0 <= found <= last:
            if _parsed(chunk[found : found + HEADER_BYTES]) is not None:
                return start + found
            found = chunk.find(_BEGIN, found + 1)
        if len(chunk) < size:
            return start + len(chunk)
        start += last + 1
        size = min(4 * size, _SCAN_BYTES[1])
    return start


def _read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size
