"""Waiting for bytes and receiving them, apart: who listens for long sleeps in its own frame, not in those of layers.

A call through each layer costs next to nothing; a coroutine of each layer is gone through at every wake-up.
"""

from abc import abstractmethod
from collections.abc import Awaitable
from typing import Final

import trio

PIECE_BYTES: Final = 16 * 1024
"""Most bytes that anybody gets to understand in one go, so that a flood lets others have their turn."""


class ReadableStream(trio.abc.ReceiveStream):
    """A stream of which one task at a time waits with `readable`, and then takes what is there."""

    @abstractmethod
    def readable(self) -> Awaitable[object]:
        """Waits, as a checkpoint, until there may be something; to be awaited at once.

        Raises, here or when awaited, what ``receive_some`` raises.
        """

    @abstractmethod
    def receive_nowait(self, max_bytes: int = PIECE_BYTES) -> bytes | bytearray | None:
        """What came, ``b""`` at the end of the stream, None if there is nothing after all.

        Raises trio.BrokenResourceError, trio.ClosedResourceError.
        """

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As of any stream, and no more than ``PIECE_BYTES`` unless more are asked for."""
        while True:
            await self.readable()
            data = self.receive_nowait(PIECE_BYTES if max_bytes is None else max_bytes)
            if data is not None:
                return data


def as_readable(stream: trio.abc.ReceiveStream) -> ReadableStream:
    """The stream itself if it can wait without receiving, or one that receives ahead of it."""
    return stream if isinstance(stream, ReadableStream) else _ReceivedAhead(stream)


class _ReceivedAhead(ReadableStream):
    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._ahead: bytes | bytearray | None = None

    async def readable(self) -> None:
        if self._ahead is None:
            self._ahead = await self._stream.receive_some()
        else:
            await trio.lowlevel.checkpoint()

    def receive_nowait(self, max_bytes: int = PIECE_BYTES) -> bytes | bytearray | None:
        data, self._ahead = self._ahead, None
        if data is not None and len(data) > max_bytes:
            data, self._ahead = data[:max_bytes], data[max_bytes:]
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()
