"""A TCP stream that waits for bytes before it asks for them.

trio asks first: for a feed, which is quiet most of the time, that is one system call and one exception for nothing each
time, and where there are bytes, one more turn of the scheduler after they were had.
"""

import socket
from collections.abc import Awaitable
from typing import Final

import trio

from actors.readable import PIECE_BYTES, ReadableStream

_CLOSED: Final = -1


class ReadyStream(ReadableStream, trio.abc.Stream):
    """A connected stream socket. `stream` is taken over: only its replacement may be used afterwards."""

    def __init__(self, stream: trio.SocketStream) -> None:
        # Through the descriptor, because trio keeps the socket that it can wait for to itself.
        self._descriptor = stream.socket.detach()
        self._socket = socket.socket(fileno=self._descriptor)
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))

    def readable(self) -> Awaitable[object]:
        """See ``ReadableStream``."""
        if self._descriptor == _CLOSED:
            raise trio.ClosedResourceError("the socket was closed")
        return trio.lowlevel.wait_readable(self._descriptor)  # noqa: ASYNC105 - whoever asks awaits it

    def receive_nowait(self, max_bytes: int = PIECE_BYTES) -> bytes | None:
        """See ``ReadableStream``."""
        try:
            return self._socket.recv(max_bytes)
        except BlockingIOError:
            return None  # ready for somebody else, or not after all
        except OSError as error:
            raise trio.BrokenResourceError(f"socket connection broken: {error}") from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As of any stream."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As of any stream."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Closes the socket; whoever waits for it is told."""
        self._descriptor = _CLOSED  # its number may soon be another one's
        await self._stream.aclose()
