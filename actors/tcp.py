"""A TCP stream that waits for bytes before it asks for them.

trio asks first: for a feed, which is quiet most of the time, that is one system call and one exception for nothing each
time, and where there are bytes, one more turn of the scheduler after they were had.
"""

import socket
from typing import Final

import trio

RECEIVE_BYTES: Final = 16 * 1024
"""Most bytes taken from the kernel in one go, unless the caller says otherwise."""


class ReadyStream(trio.abc.Stream):
    """A connected stream socket. `stream` is taken over: only its replacement may be used afterwards."""

    def __init__(self, stream: trio.SocketStream) -> None:
        # Through the descriptor, because trio keeps the socket that it can wait for to itself.
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As of any stream."""
        while True:
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError("the socket was closed")
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(RECEIVE_BYTES if max_bytes is None else max_bytes)
            except BlockingIOError:
                continue  # ready for somebody else, or not after all
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
        await self._stream.aclose()
