"""A peer that speaks bytes: whatever a script wants said over a WebSocket's stream, right or wrong.

`in_memory` needs no socket, so it works with an autojump clock; `on_loopback` is the same over TCP (and TLS).
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair

from actors.faults import FeedFault
from actors.websocket import Deliver, SessionLimits, open_session

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Script = Callable[["RawPeer"], Awaitable[None]]
Dial = Callable[[str], Awaitable[trio.abc.Stream]]


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = False,
    length: int | None = None,
) -> bytes:
    """One frame as a server sends it; `length` is what the header claims, if not the truth."""
    claimed = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    mask_bit = masked << 7
    if claimed < 126:
        head += bytes([mask_bit | claimed])
    elif claimed < 1 << 16:
        head += struct.pack("!BH", mask_bit | 126, claimed)
    else:
        head += struct.pack("!BQ", mask_bit | 127, claimed)
    return head + (b"\0\0\0\0" if masked else b"") + payload


def text(message: str) -> bytes:
    """A whole text message."""
    return frame(TEXT, message.encode())


def close(code: int, reason: str = "") -> bytes:
    """A Close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def refusal(status: str, *headers: str, body: str = "") -> bytes:
    """An HTTP reply that is not an upgrade."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class RawPeer:
    """The server's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.request = b""
        self._received = bytearray()

    async def read_request(self) -> bytes:
        """The client's request, up to its empty line."""
        while b"\r\n\r\n" not in self._received:
            await self._receive()
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        self.request = head
        self._received = bytearray(rest)
        return head

    def header(self, name: str) -> str | None:
        """A header of the request."""
        for line in self.request.decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def reply(self, *headers: str, accept: str | None = None) -> bytes:
        """The reply that completes the upgrade."""
        key = (self.header("Sec-WebSocket-Key") or "").encode()
        token = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode() if accept is None else accept
        fixed = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        return "\r\n".join([*fixed, f"Sec-WebSocket-Accept: {token}", *headers, "", ""]).encode()

    async def accept(self, then: bytes = b"") -> None:
        """Read the request and upgrade, `then` in the same segment."""
        await self.read_request()
        await self.send(self.reply() + then)

    async def subscribed(self, then: bytes = b"") -> str:
        """Upgrade, read the first frame, send `then`."""
        await self.accept()
        opcode, payload = await self.read_frame()
        assert opcode == TEXT
        await self.send(then)
        return payload.decode()

    async def send(self, data: bytes) -> None:
        """Say these bytes."""
        if data:
            await self.stream.send_all(data)

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and unmasked payload of the client's next frame (below 64 KiB). Raises EOFError at the end."""
        head = await self._exactly(2)
        length = head[1] & 127
        if length == 126:
            length = int.from_bytes(await self._exactly(2), "big")
        assert head[1] & 128, "a client masks"
        mask = await self._exactly(4)
        payload = await self._exactly(length)
        return head[0] & 15, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))

    async def read_all(self) -> list[tuple[int, bytes]]:
        """All frames until the client hangs up."""
        frames = []
        with suppress(EOFError, trio.BrokenResourceError):
            while True:
                frames.append(await self.read_frame())
        return frames

    async def listen(self) -> None:
        """Listen, to frames or anything else, until the client hangs up."""
        while await self.stream.receive_some():
            pass

    async def reset(self) -> None:
        """Leave with a TCP RST."""
        assert isinstance(self.stream, trio.SocketStream)
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.stream.aclose()

    async def _exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            await self._receive()
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    async def _receive(self) -> None:
        data = await self.stream.receive_some()
        if not data:
            raise EOFError
        self._received += data


async def play(script: Script, stream: trio.abc.Stream) -> None:
    """Run a script over a stream and close it; that the client has gone is no error of the script."""
    async with stream:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
            await script(RawPeer(stream))


@asynccontextmanager
async def in_memory(script: Script) -> AsyncIterator[Dial]:
    """A dial whose every connection meets `script`."""
    async with trio.open_nursery() as nursery:

        async def dial(url: str) -> trio.abc.Stream:
            client, server = memory_stream_pair()
            nursery.start_soon(play, script, server)
            await trio.lowlevel.checkpoint()
            return client

        yield dial
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def on_loopback(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a TCP server (TLS if there is a context) on 127.0.0.1 whose every connection meets `script`."""

    async def serve(stream: trio.abc.Stream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await play(script, stream if tls is None else trio.SSLStream(stream, tls, server_side=True))

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def open_descriptors() -> int:
    """How many file descriptors this process holds."""
    directory = Path("/proc/self/fd")
    if not directory.is_dir():
        pytest.skip("no /proc here to count descriptors in")
    return len(list(directory.iterdir()))


URL = "ws://127.0.0.1:8001/ws/market"
FIRST_FRAME = '{"assets_ids":["1","2"],"type":"market"}'
LIMITS = SessionLimits()


def ignore(texts: Sequence[str]) -> None:
    """A deliver that takes everything."""


async def fault_of(
    script: Script, *, deliver: Deliver = ignore, limits: SessionLimits = LIMITS
) -> tuple[FeedFault, float]:
    """How a session with `script` ends by itself, and after how many (virtual) seconds."""
    began = trio.current_time()
    async with in_memory(script) as dial:
        with pytest.raises(FeedFault) as caught:
            async with open_session(URL, FIRST_FRAME, deliver, limits=limits, dial=dial) as session:
                await session.closed()
    return caught.value, trio.current_time() - began
