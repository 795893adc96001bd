"""What a peer's bytes may cost, judged before any WebSocket library sees them.

trio-websocket counts characters instead of bytes, counts no fragments, keeps the body of a refusal whatever its length,
and says nothing when the peer hangs up during the upgrade; websockets answers a flood of pings without a pause and
reads lengths that are no lengths. So the reply to the upgrade and the *headers* of all frames are read here first, and
a budget that is broken is a `FeedFault`. Validity stays the library's business.
"""

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from struct import Struct
from typing import Final

import trio

from actors.faults import EXCERPT_CHARACTERS, FaultKind, FeedFault, parse_retry_after
from actors.readable import PIECE_BYTES, as_readable

HEADER_BLOCK_BYTES: Final = 16 * 1024
"""Longest reply to the upgrade, up to and including its empty line."""

STATUS_KINDS: Final = {403: FaultKind.BLOCKED, 429: FaultKind.RATE_LIMITED}
"""Kinds of fault of the HTTP statuses that refuse the upgrade; every other status is `handshake`."""

_SWITCHING_PROTOCOLS: Final = 101
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_STATUS: Final = re.compile(rb"HTTP/\d\.\d (\d{3})\b")
_HEADER: Final = re.compile(r"^(retry-after|date):[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)

_FIN: Final = 0x80
_CONTROL: Final = 0x08
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_OPENING: Final = Struct(">HH")
_WHOLE_TEXT: Final = 0x817E
_EXTENDED_LENGTH_BYTES: Final = {126: 2, 127: 8}
_SHORTEST_EXTENDED: Final = {2: 126, 8: 1 << 16}


class UpgradeReply:
    """The peer's answer to the upgrade request, until its header block is complete."""

    def __init__(self) -> None:
        self._block = bytearray()
        self.complete = False

    def receive(self, data: bytes | bytearray) -> bytes:
        """Takes received bytes; returns those of them that follow the header block (frames).

        Raises FeedFault `blocked` (403), `rate_limited` (429) or `handshake` (any other refusal, a block without end,
        `b""` for a peer that hung up). Does not wait for the body of a refusal: it may never end.
        """
        self._block += data
        end = _EMPTY_LINE.search(self._block)
        if (end.end() if end else len(self._block)) > HEADER_BLOCK_BYTES:
            raise FeedFault(FaultKind.HANDSHAKE, f"more than {HEADER_BLOCK_BYTES} bytes of HTTP headers")
        if not data:
            raise FeedFault(FaultKind.HANDSHAKE, "the peer hung up during the upgrade")
        if end is None:
            return b""
        self.complete = True
        block, frames = bytes(self._block[: end.end()]), bytes(self._block[end.end() :])
        self._block.clear()
        _raise_refusal(block, frames)
        return frames


def _raise_refusal(block: bytes, body: bytes) -> None:
    """Raises unless the status is 101."""
    found = _STATUS.match(block)
    if found is None:
        raise FeedFault(FaultKind.HANDSHAKE, f"not HTTP: {_excerpt(block)}")
    status = int(found[1])
    if status == _SWITCHING_PROTOCOLS:
        return
    kind = STATUS_KINDS.get(status, FaultKind.HANDSHAKE)
    headers = {name.lower(): value for name, value in _HEADER.findall(block.decode("latin-1"))}
    raise FeedFault(
        kind,
        f"HTTP {status} {_excerpt(body)}",
        retry_after=None if kind is FaultKind.HANDSHAKE else _retry_after(headers),
    )


def _excerpt(data: bytes) -> str:
    return data[:EXCERPT_CHARACTERS].decode("utf-8", "replace")


def _retry_after(headers: dict[str, str]) -> float | None:
    """Seconds to wait. A date is compared with the peer's own Date: both clocks are then the same clock."""
    wanted = headers.get("retry-after", "").strip()
    try:
        now_epoch_s = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return parse_retry_after(wanted, now_epoch_s=0.0) if wanted.isdecimal() else None
    return parse_retry_after(wanted, now_epoch_s=now_epoch_s)


def too_many_frames(limit: int) -> FeedFault:
    """The fault of a peer that says much and completes nothing."""
    return FeedFault(FaultKind.PROTOCOL, f"more than {limit} frames without a complete message")


def broken_upgrade(error: trio.BrokenResourceError) -> FeedFault:
    """The fault of a stream that broke before the upgrade was through."""
    return FeedFault(FaultKind.HANDSHAKE, f"broken during the upgrade: {error}")


class FrameMeter:
    """Walks over frame headers and counts, since the last complete message, bytes of payload, frames and time.

    Control frames count as frames, too: a library handles a flood of them without ever yielding to other tasks.
    """

    def __init__(self, *, message_bytes: int, message_frames: int) -> None:
        self._message_bytes = message_bytes
        self._message_frames = message_frames
        self._header = bytearray()
        self._payload_left = 0
        self._ends_message = False
        self._bytes = 0
        self._frames = 0
        self.began: float | None = None
        """When the first frame of the message under way came, in seconds of the clock; None between messages."""

    def receive(self, data: bytes | bytearray, clock: Callable[[], float]) -> None:
        """Takes received bytes (whole or partial frames). The clock is read only if they leave a message unfinished.

        Raises FeedFault `oversize` as soon as a frame *claims* to make its message too large, and `protocol` for one
        frame too many and for a length that is written longer than need be.
        """
        position, end = 0, len(data)
        while position < end:
            if self._payload_left:
                position += self._skip(end - position)
            else:
                if self.began is None and not self._header:
                    position = self._whole_texts(data, position)
                if position < end:
                    position += self._take_header(data, position, clock)

    def _whole_texts(self, data: bytes | bytearray, position: int) -> int:
        """Where the run of whole texts, in one frame of 126 to 65,535 bytes each, ends that begins at `position`.

        That is nearly all a feed ever says, so this loop is what the meter costs.
        """
        start, end, last_header, longest = position, len(data), len(data) - 4, self._message_bytes
        while position <= last_header:
            opening, length = _OPENING.unpack_from(data, position)
            after = position + 4 + length
            if opening != _WHOLE_TEXT or after > end or not 126 <= length <= longest:
                break
            position = after
        if position > start:
            self._frames = 0
        return position

    def _skip(self, available: int) -> int:
        skipped = min(self._payload_left, available)
        self._payload_left -= skipped
        if not self._payload_left:
            self._end_frame()
        return skipped

    def _take_header(self, data: bytes | bytearray, position: int, clock: Callable[[], float]) -> int:
        header, start = self._header, position
        while (missing := _header_bytes(header) - len(header)) and position < len(data):
            header += data[position : position + missing]
            position = min(position + missing, len(data))
        if not missing:
            self._begin_frame(header, clock)
            header.clear()
        return position - start

    def _begin_frame(self, header: bytearray, clock: Callable[[], float]) -> None:
        control = bool(header[0] & _CONTROL)
        self._payload_left = _payload_bytes(header)
        self._ends_message = bool(header[0] & _FIN) and not control
        self._frames += 1
        if self._frames > self._message_frames:
            raise too_many_frames(self._message_frames)
        if not control:
            self._charge(self._payload_left, clock)
        if not self._payload_left:
            self._end_frame()

    def _charge(self, payload_bytes: int, clock: Callable[[], float]) -> None:
        if self.began is None:
            self.began = clock()
        self._bytes += payload_bytes
        if self._bytes > self._message_bytes:
            raise FeedFault(FaultKind.OVERSIZE, f"a message of {self._bytes} bytes or more")

    def _end_frame(self) -> None:
        if self._ends_message:
            self.began, self._bytes, self._frames, self._ends_message = None, 0, 0, False


class GuardedStream(trio.abc.Stream):
    """The peer's byte stream as a library gets it: a byte that breaks a budget never reaches it.

    What came is handed on in pieces of at most `PIECE_BYTES`, with a checkpoint before each. `meter` sees all that
    follows the reply to the upgrade first; `before_more` is called whenever the library asks for more. `received`
    counts all bytes. Besides the errors of any stream, receiving and sending raise FeedFault.
    """

    def __init__(self, stream: trio.abc.Stream, meter: FrameMeter, before_more: Callable[[], None]) -> None:
        self.received = 0
        self.meter = meter
        self._before_more = before_more
        self._reply: UpgradeReply | None = UpgradeReply()
        self._stream, self._source = stream, as_readable(stream)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As of any stream, once the bytes have been judged."""
        self._before_more()
        try:
            data = None
            while data is None:
                await self._source.readable()
                data = self._source.receive_nowait(PIECE_BYTES if max_bytes is None else max_bytes)
        except trio.BrokenResourceError as error:
            self._raise_fault_of_upgrade(error)
            raise
        self.received += len(data)
        self.meter.receive(data if self._reply is None else self._frames_after(self._reply, data), trio.current_time)
        return data

    def _frames_after(self, reply: UpgradeReply, data: bytes | bytearray) -> bytes:
        frames = reply.receive(data)
        if reply.complete:
            self._reply = None
        return frames

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As of any stream."""
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            self._raise_fault_of_upgrade(error)
            raise

    async def wait_send_all_might_not_block(self) -> None:
        """As of any stream."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Closes the stream underneath."""
        await self._stream.aclose()

    def _raise_fault_of_upgrade(self, error: trio.BrokenResourceError) -> None:
        """Until the upgrade is through, a library takes a broken stream for a reason to wait."""
        if self._reply is not None:
            raise broken_upgrade(error) from error


def _header_bytes(header: bytearray) -> int:
    """Length of the frame header that begins so (RFC 6455, 5.2), as far as it can be known yet."""
    if len(header) < 2:
        return 2
    return 2 + _EXTENDED_LENGTH_BYTES.get(header[1] & _LENGTH, 0) + (4 if header[1] & _MASKED else 0)


def _payload_bytes(header: bytearray) -> int:
    short = header[1] & _LENGTH
    extended = _EXTENDED_LENGTH_BYTES.get(short, 0)
    if not extended:
        return short
    length = int.from_bytes(header[2 : 2 + extended], "big")
    if length < _SHORTEST_EXTENDED[extended]:
        # Not every library minds, and two readings of one stream are one too many.
        raise FeedFault(FaultKind.PROTOCOL, f"a length of {length} written in {extended} bytes", close_code=1002)
    return length
