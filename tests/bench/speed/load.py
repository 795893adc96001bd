"""The load generator: a venue of a few hundred lines that plays a corpus as fast, or as evenly, as it is asked to.

One process, one thread, a plain port and a TLS port (a certificate of its own, ECDSA P-256). The path of the URL says
what is played once as many clients as it names have subscribed, each to the tokens of one market:

- ``/saturated/50``: to all of them as much as they take; many frames a send, but one record a frame with TLS
- ``/paced/50/2000``: so many messages a second in total, evenly spread, one send each, the connections in turn
- ``/flood/10/360``: as much as it takes to the first market, the others are paced
- ``/idle/300``: nothing; it is there for PING, which is answered with PONG everywhere

The opening (the books of both tokens) comes at once. When the last client of a path is gone, the next group may come.
The first line on stdout is JSON: ports, the file of the authority, the markets. At the end of stdin it ends, and says
on stdout what it did. When each message of a market was sent is noted in a shared file (``Stamps``).

    python tests/bench/speed/load.py --corpus reference
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import ssl
import sys
import tempfile
import time
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[3]))

import trustme

from tests.bench.speed.corpus import REFERENCE, VENUE, Corpus, captured, generated
from tests.bench.speed.reel import CHUNK_BYTES, Reel, client_frames, frame, upgrade_answer
from tests.bench.speed.stamps import Stamps

BIG, SMALL = (50, 1000), (500, 100)
"""Markets and messages of each: up to fifty connections play the first corpus, more of them the second."""

BURST = 8
"""Chunks one client may take before the others have their turn."""

TLS_FRAMES = 32
"""Records written before they are sent: as many as a client may find at once, whatever the venue's own writes."""


class Channel:
    """Bytes to and from one client, through TLS or not; never waits."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.sock = sock
        self._left: deque[memoryview] = deque()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = None if tls is None else tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = tls is None

    def receive(self) -> bytes:
        """What has come; ``ConnectionError`` at the end."""
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionResetError
        if self._tls is None:
            return data
        self._incoming.write(data)
        plain = b""
        with suppress(ssl.SSLWantReadError):
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while more := self._tls.read(1 << 16):
                plain += more
        self.flush()
        return plain

    def send(self, data: bytes | memoryview) -> bool:
        """Send, each call a record of its own with TLS; whether it was taken at once."""
        if self._tls is not None:
            self._tls.write(data)
            return self.flush()
        self._left.append(memoryview(data))
        return self.flush()

    def write(self, data: memoryview) -> None:
        """One record, to be flushed later."""
        cast(ssl.SSLObject, self._tls).write(data)

    def flush(self) -> bool:
        """Whether everything is gone."""
        if self._outgoing.pending:
            self._left.append(memoryview(self._outgoing.read()))
        while self._left:
            try:
                sent = self.sock.send(self._left[0])
            except BlockingIOError:
                return False
            if sent == len(self._left[0]):
                self._left.popleft()
            else:
                self._left[0] = self._left[0][sent:]
        return True


class Client:
    """One connection: its channel, what it asked for, and how far it has been played to."""

    def __init__(self, venue: Venue, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.venue = venue
        self.channel = Channel(sock, tls)
        self.secure = tls is not None
        self.group: Group | None = None
        self.reel: Reel | None = None
        self.market = 0
        self.greedy = False
        self.sent = 0
        self._path = ""
        self._inbox = bytearray()
        self._next = 0
        self._replies: list[bytes] = []

    def hear(self) -> None:
        """Read what came, and answer it."""
        self._inbox += self.channel.receive()
        if not self._path and b"\r\n\r\n" in self._inbox:
            request, _, rest = bytes(self._inbox).partition(b"\r\n\r\n")
            self._path = request.split(b" ", 2)[1].decode()
            self._inbox[:] = rest
            self.channel.send(upgrade_answer(request))
        if self._path:
            for opcode, payload in client_frames(self._inbox):
                self._answer(opcode, payload)

    def _answer(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            raise ConnectionResetError
        if opcode == 1 and payload == b"PING":
            self._reply(frame(b"PONG"))
        elif opcode == 9:
            self._reply(frame(payload, 10))
        elif opcode == 1 and self.reel is None:
            self.group = self.venue.group_of(self._path)
            self.market, self.reel = self.group.reel_of(json.loads(payload)["assets_ids"][0])
            self._send(self.reel.frame(0))
            self._next = 1
            self.group.join(self)

    def rewind(self) -> None:
        """Begin with the opening once more."""
        self._next = 0

    def _reply(self, data: bytes) -> None:
        """At once, unless a chunk may be half sent."""
        if self.greedy:
            self._replies.append(data)
        else:
            self.channel.send(data)

    def gorge(self) -> None:
        """Send as much as the client takes, but leave some time to the others."""
        reel = cast(Reel, self.reel)
        for _ in range(BURST):
            if not self.channel.flush():
                return
            while self._replies:
                self.channel.send(self._replies.pop())
            if self.secure:
                self._seal(reel)
            else:
                self._next = self._next % len(reel.chunks)
                if self._next == 0:
                    reel.lap()
                self.channel.send(reel.chunk(self._next))
                self._next += 1

    def _seal(self, reel: Reel) -> None:
        for _ in range(TLS_FRAMES):
            self.channel.write(self._advance(reel))
        self.channel.flush()

    def say(self) -> bool:
        """Send the next message alone; whether it was taken at once."""
        try:
            return self._send(self._advance(cast(Reel, self.reel)))
        except OSError:
            # It has just left; the next look at the sockets will tell the others.
            return True

    def _advance(self, reel: Reel) -> memoryview:
        self._next = self._next % len(reel)
        if self._next == 0:
            reel.lap()
        self._next += 1
        return reel.frame(self._next - 1)

    def _send(self, data: memoryview) -> bool:
        self.venue.stamps.sent(self.market, self.sent)
        self.sent += 1
        return self.channel.send(data)


class Group:
    """The clients of one path; they are played to when all of them are there."""

    def __init__(self, venue: Venue, path: str) -> None:
        _, self.kind, count, *rate = path.split("/")
        self._venue = venue
        self._count = int(count)
        self._reels = venue.reels_for(self._count)
        self._clients: list[Client] = []
        self._paced: list[Client] = []
        self._every_ns = round(1e9 / float(rate[0])) if rate else 0
        self._due_ns = 0
        self._turn = 0

    def reel_of(self, asset_id: str) -> tuple[int, Reel]:
        """The number and the reel of the market of a token."""
        return self._reels[asset_id]

    def join(self, client: Client) -> None:
        """Another one has subscribed."""
        self._clients.append(client)
        if len(self._clients) == self._count:
            self._begin()

    def _begin(self) -> None:
        for client in self._clients:
            client.greedy = self.kind == "saturated" or (self.kind == "flood" and client.market == 0)
            if client.greedy:
                client.rewind()
                self._venue.watch(client, selectors.EVENT_READ | selectors.EVENT_WRITE)
        self._paced = [client for client in self._clients if not client.greedy and self._every_ns]
        self._due_ns = time.monotonic_ns()

    def leave(self, client: Client) -> bool:
        """One is gone; whether it was the last."""
        self._clients.remove(client)
        self._paced = []
        return not self._clients

    def wait_ns(self) -> int | None:
        """Until the next message is due."""
        return max(0, self._due_ns - time.monotonic_ns()) if self._paced else None

    def play(self) -> None:
        """Say what is due."""
        now_ns = time.monotonic_ns()
        while self._paced and self._due_ns <= now_ns:
            counted = self._venue.counted
            counted["paced"] += 1
            counted["behind"] += now_ns - self._due_ns > self._every_ns
            self._turn = (self._turn + 1) % len(self._paced)
            counted["stalled"] += not self._paced[self._turn].say()
            self._due_ns += self._every_ns


class Venue:
    """All clients, and the loop that serves them."""

    def __init__(self, corpora: dict[int, Corpus], stamps: Stamps) -> None:
        self.stamps = stamps
        self.counted: Counter[str] = Counter()
        self._selector = selectors.DefaultSelector()
        self._groups: dict[str, Group] = {}
        self._reels = {size: _reels(corpus) for size, corpus in corpora.items()}
        self._open = True

    def listen(self, tls: ssl.SSLContext | None) -> int:
        """The port it listens on."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, (listener, tls))
        return int(listener.getsockname()[1])

    def run(self) -> None:
        """Serve until the end of stdin."""
        self._selector.register(sys.stdin, selectors.EVENT_READ, None)
        while self._open:
            waits = [wait for group in self._groups.values() if (wait := group.wait_ns()) is not None]
            # The selector waits for whole milliseconds only, which is too coarse for messages half of one apart.
            events = self._selector.select(0 if waits else None)
            if waits and not events:
                time.sleep(min(waits) / 1e9)
            for key, mask in events:
                self._serve(key.data, mask)
            for group in [*self._groups.values()]:
                group.play()

    def _serve(self, data: Any, mask: int) -> None:
        if data is None:
            self._open = False
        elif isinstance(data, Client):
            try:
                if mask & selectors.EVENT_READ:
                    data.hear()
                if mask & selectors.EVENT_WRITE:
                    data.gorge()
            except BlockingIOError:
                pass
            except OSError:
                self._drop(data)
        else:
            self._accept(*data)

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        sock, _ = listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * CHUNK_BYTES)
        self._selector.register(sock, selectors.EVENT_READ, Client(self, sock, tls))

    def _drop(self, client: Client) -> None:
        self._selector.unregister(client.channel.sock)
        client.channel.sock.close()
        if client.group is not None and client.group.leave(client):
            self._groups = {path: it for path, it in self._groups.items() if it is not client.group}

    def watch(self, client: Client, events: int) -> None:
        """Serve a client when it can be read from, or written to."""
        self._selector.modify(client.channel.sock, events, client)

    def group_of(self, path: str) -> Group:
        """The group of a path, new when there is none."""
        return self._groups.setdefault(path, self._groups.get(path) or Group(self, path))

    def reels_for(self, count: int) -> dict[str, tuple[int, Reel]]:
        """By token, those of the smallest corpus that has so many markets."""
        return next(reels for size, reels in sorted(self._reels.items()) if size >= count)


def _reels(corpus: Corpus) -> dict[str, tuple[int, Reel]]:
    texts: list[list[str]] = [[] for _ in corpus.markets]
    for line in corpus.lines:
        texts[line.market].append(line.text)
    reels = [Reel(opening, told) for opening, told in zip(corpus.openings, texts, strict=True)]
    return {
        asset_id: (index, reels[index]) for index, market in enumerate(corpus.markets) for asset_id in market.asset_ids
    }


def _corpora(arguments: argparse.Namespace) -> dict[int, Corpus]:
    if arguments.captures:
        corpus = captured(Path(arguments.captures))
        return {len(corpus.markets): corpus}
    mix = {it.name: it for it in (REFERENCE, VENUE)}[arguments.corpus]
    sizes = [(markets, max(10, messages // arguments.shorter)) for markets, messages in (BIG, SMALL)]
    return {markets: generated(markets, messages, mix=mix) for markets, messages in sizes}


def _authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem", context


def main() -> None:
    """Listen, say where, serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", choices=[REFERENCE.name, VENUE.name], default=REFERENCE.name)
    parser.add_argument("--captures", help="a folder of recorded markets, to be played instead")
    parser.add_argument("--shorter", type=int, default=1, help="divide the length of the corpus by this")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    corpora = _corpora(arguments)
    largest = corpora[max(corpora)]
    first = corpora[min(corpora)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ca_file, tls = _authority(folder)
        venue = Venue(corpora, Stamps.made(folder / "stamps", len(largest.markets)))
        told = {
            "ports": {"ws": venue.listen(None), "wss": venue.listen(tls)},
            "ca_file": str(ca_file),
            "stamps": str(folder / "stamps"),
            "trading": sum('"last_trade_price"' in line.text for line in first.lines) / len(first.lines),
            "bytes": sum(len(line.text) for line in first.lines) / len(first.lines),
            "markets": [[it.condition_id, it.asset_ids, it.tick] for it in largest.markets],
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        venue.run()
        sys.stdout.write(json.dumps(venue.counted) + "\n")


if __name__ == "__main__":
    main()
