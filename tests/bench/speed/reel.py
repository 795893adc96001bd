"""The server's side of WebSocket as the load generator needs it: frames made ready beforehand, and what clients send.

A reel is everything one market says, over and over: each lap begins with the books of both tokens, so that the changes
that follow fit the book again, and gives every trade a transaction hash of its own, or all but the first lap's trades
would be repeats that cost next to nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle

CHUNK_BYTES = 1 << 16
_HASH = b'"transaction_hash":"0x'
_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """One unmasked final frame."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 127]) + size.to_bytes(8, "big")
    return head + payload


def client_frames(inbox: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes every complete (masked) frame out of what a client sent: its opcode and payload."""
    while len(inbox) >= 6:
        size, start = inbox[1] & 127, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(inbox[2:start], "big")
        end = start + 4 + size
        if len(inbox) < end:
            return
        mask, masked = inbox[start : start + 4], inbox[start + 4 : end]
        payload = bytes([byte ^ key for byte, key in zip(masked, cycle(mask))])
        opcode = inbox[0] & 15
        del inbox[:end]
        yield opcode, payload


def upgrade_answer(request: bytes) -> bytes:
    """The answer to the request of an upgrade."""
    headers = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line)
    key = next(value for name, value in headers.items() if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + _ACCEPT, usedforsecurity=False).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"


class Reel:
    """What one market says, in frames; ``film`` holds them all in one piece, cut at ``cuts`` into ``chunks``."""

    laps = 0
    """Of all reels together: no two laps have the same hashes."""

    def __init__(self, opening: str, texts: Sequence[str]) -> None:
        frames = [frame(text.encode()) for text in (opening, *texts)]
        self.film = memoryview(bytearray(b"".join(frames)))
        self.cuts = [0]
        self._hashes = []
        for it in frames:
            at = it.find(_HASH)
            if at >= 0:
                self._hashes.append(self.cuts[-1] + at + len(_HASH))
            self.cuts.append(self.cuts[-1] + len(it))
        self.chunks = list(_chunks(self.cuts))
        self.lap()

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def frame(self, index: int) -> memoryview:
        """One frame."""
        return self.film[self.cuts[index] : self.cuts[index + 1]]

    def chunk(self, index: int) -> memoryview:
        """Many whole frames."""
        start, end = self.chunks[index]
        return self.film[start:end]

    def lap(self) -> None:
        """Make all trades new ones."""
        Reel.laps += 1
        stamp = f"{Reel.laps:016x}".encode()
        for at in self._hashes:
            self.film[at : at + 16] = stamp


def _chunks(cuts: Iterable[int]) -> Iterator[tuple[int, int]]:
    start = end = 0
    for cut in cuts:
        end = cut
        if end - start >= CHUNK_BYTES:
            yield start, end
            start = end
    if end > start:
        yield start, end
