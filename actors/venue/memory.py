"""In-memory transports: the venue without sockets, for deterministic tests under a mock clock."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import trio

from actors.venue.http import Reply, Request
from actors.venue.streams import Resettable

PIPE_BYTES = 1 << 18
"""What one direction holds before the sender has to wait, about a TCP send and receive buffer."""


class _Pipe:
    """Bytes in one direction. ``broken`` wakes and fails both ends, ``finished`` ends the reader after what is left."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._bytes = bytearray()
        self._changed = trio.lowlevel.ParkingLot()
        self.broken = False
        self.finished = False
        self.reader_gone = False

    def wake(self) -> None:
        self._changed.unpark_all()

    async def put(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of it; waits while the pipe is full."""
        view = memoryview(data)
        while True:
            if self.broken or self.reader_gone:
                raise trio.BrokenResourceError("the other end is gone")
            if self.finished:
                raise trio.ClosedResourceError("this end is closed")
            room = self._capacity - len(self._bytes)
            self._bytes += view[:room] if room > 0 else b""
            view = view[max(room, 0) :]
            self.wake()
            if not view:
                return
            await self._changed.park()

    async def get(self, max_bytes: int | None) -> bytes:
        """Read what is there; waits while there is nothing."""
        while not (self._bytes or self.finished or self.broken or self.reader_gone):
            await self._changed.park()
        if self.reader_gone:
            raise trio.ClosedResourceError("this end is closed")
        if self.broken:
            raise trio.BrokenResourceError("connection reset")
        size = len(self._bytes) if max_bytes is None else max_bytes
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        self.wake()
        return taken

    async def room(self) -> None:
        """Wait until something can be written."""
        while len(self._bytes) >= self._capacity and not (self.broken or self.finished or self.reader_gone):
            await self._changed.park()


class MemoryStream(Resettable):
    """One end of an in-memory connection: bounded, closable, resettable."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = trio.Lock()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Bytes of the peer, empty at its end."""
        await trio.lowlevel.checkpoint()
        return await self._incoming.get(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of it."""
        await trio.lowlevel.checkpoint()
        async with self._sending:
            await self._outgoing.put(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        await trio.lowlevel.checkpoint()
        await self._outgoing.room()

    async def aclose(self) -> None:
        """Close both directions."""
        self._outgoing.finished = True
        self._incoming.reader_gone = True
        self._outgoing.wake()
        self._incoming.wake()
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Fail both directions of both ends."""
        for pipe in (self._incoming, self._outgoing):
            pipe.broken = True
            pipe.wake()


def memory_connection(capacity: int = PIPE_BYTES) -> tuple[MemoryStream, MemoryStream]:
    """Two ends of one connection; a sender waits while ``capacity`` bytes are unread."""
    there, back = _Pipe(capacity), _Pipe(capacity)
    return MemoryStream(back, there), MemoryStream(there, back)


class MemoryTransport(httpx.AsyncBaseTransport):
    """httpx on top of the venue's request handler, without bytes in between."""

    def __init__(self, respond: Callable[[Request], Reply], available: Callable[[], bool]) -> None:
        self._respond = respond
        self._available = available

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; raises ``ConnectError`` while the venue is down."""
        body = await request.aread()
        await trio.lowlevel.checkpoint()
        if not self._available():
            raise httpx.ConnectError("connection refused", request=request)
        headers = {name.decode("ascii").lower(): value.decode("latin-1") for name, value in request.headers.raw}
        target = request.url.raw_path.decode("ascii")
        reply = self._respond(Request.of(request.method, target, headers, body))
        if reply.delay_s:
            await trio.sleep(reply.delay_s)
        return httpx.Response(reply.status, headers=list(reply.all_headers()), content=reply.body, request=request)
