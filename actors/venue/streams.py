"""Byte streams of the stand-in venue: one whose first bytes were read already, and the ways to end one."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import trio

HEAD_BYTES = 1 << 14
END_OF_HEAD = b"\r\n\r\n"


class ReplayStream(trio.abc.Stream):
    """``stream`` with ``head`` in front of what it still delivers. ``heard`` is called for every arrival."""

    def __init__(self, stream: trio.abc.Stream, head: bytes) -> None:
        self._stream = stream
        self._head = head
        self.heard: Callable[[], None] = _nothing

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The bytes read before, then those of the stream."""
        if self._head:
            await trio.lowlevel.checkpoint()
            size = len(self._head) if max_bytes is None else max_bytes
            first, self._head = self._head[:size], self._head[size:]
            return first
        received = await self._stream.receive_some(max_bytes)
        self.heard()
        return received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream does."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream does."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the stream does."""
        await self._stream.aclose()


async def read_head(stream: trio.abc.Stream) -> bytes:
    """Everything received up to the end of an HTTP request head at least; empty when the peer gave up or overdid it."""
    head = b""
    while END_OF_HEAD not in head:
        received = await stream.receive_some()
        head += received
        if not received or len(head) > HEAD_BYTES:
            return b""
    return head


async def reset(stream: trio.abc.Stream) -> None:
    """End a connection as a crash would: a TCP reset, nothing in between."""
    if isinstance(stream, trio.SocketStream):
        with suppress(OSError):
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif isinstance(stream, Resettable):
        stream.reset()
    await trio.aclose_forcefully(stream)


class Resettable(trio.abc.Stream):
    """A stream of this package that can be reset."""

    def reset(self) -> None:
        """Break both directions at once."""
        raise NotImplementedError


def _nothing() -> None: ...
