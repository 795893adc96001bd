"""The floors: what is left of a client when nothing is taken off the shelf.

``L1`` waits, reads, splits frames (in C) and decodes them (msgspec, typed, the fields an engine needs), but keeps no
book and scores nothing. ``L2`` is a loop in C that waits, reads and counts, and does nothing else. Between them and the
engine lies ``bare``: the loop of L1 with this project's pipeline. None of them could be used: no time-outs, no TLS,
no control frames, no errors.
"""

from __future__ import annotations

import ctypes
import select
import shutil
import socket
import subprocess
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from engine.wire import subscription
from tests.bench.speed.job import LISTENERS, Job, Meter, tell

CAPACITY = 1 << 18
ROOM = 4096
READ_BYTES = 1 << 16

Take = Callable[[int, memoryview], None]


class Level(msgspec.Struct, gc=False):
    """A level of a book, as text."""

    price: str
    size: str


class BookShape(msgspec.Struct, tag_field="event_type", tag="book", gc=False):
    """A snapshot."""

    market: str
    asset_id: str
    timestamp: str
    hash: str
    bids: list[Level]
    asks: list[Level]


class ChangeShape(msgspec.Struct, gc=False):
    """One changed level."""

    asset_id: str
    price: str
    size: str
    side: str
    best_bid: str
    best_ask: str


class PriceChangeShape(msgspec.Struct, tag_field="event_type", tag="price_change", gc=False):
    """Changed levels."""

    market: str
    timestamp: str
    price_changes: list[ChangeShape]


class TradeShape(msgspec.Struct, tag_field="event_type", tag="last_trade_price", gc=False):
    """A trade."""

    market: str
    asset_id: str
    price: str
    size: str
    side: str
    timestamp: str
    transaction_hash: str


class TopShape(msgspec.Struct, tag_field="event_type", tag="best_bid_ask", gc=False):
    """A new top."""

    market: str
    asset_id: str
    best_bid: str
    best_ask: str
    timestamp: str


Message = BookShape | PriceChangeShape | TradeShape | TopShape


def library() -> Any:
    """The C part, compiled; tells and ends where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        tell({"skipped": "there is no C compiler"})
    with tempfile.TemporaryDirectory() as folder:
        target = f"{folder}/floor.so"
        source = str(Path(__file__).with_name("floor.c"))
        subprocess.run([str(compiler), "-O2", "-shared", "-fPIC", "-o", target, source], check=True)
        loaded = ctypes.CDLL(target)
    loaded.receive.restype = ctypes.c_int64
    loaded.split.restype = ctypes.c_long
    return loaded


def connected(job: Job) -> list[socket.socket]:
    """Sockets that have subscribed, upgrade and all; what comes next is the opening."""
    sockets = []
    for market in job.markets():
        sock = socket.create_connection(("127.0.0.1", job.port))
        head = f"GET {job.path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        sock.sendall(head.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        asked = subscription(market.asset_ids).encode()
        sock.sendall(bytes([0x81, 0xFE]) + len(asked).to_bytes(2, "big") + bytes(4) + asked)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


def c_row(job: Job) -> None:
    """The loop in C, first for the warm-up and then for the measurement, which begins between two frames or not."""
    loaded, meter = library(), Meter(job)
    sockets = connected(job)
    descriptors = array("i", [sock.fileno() for sock in sockets])
    address = ctypes.c_void_p(descriptors.buffer_info()[0])
    # What the warm-up leaves unread of a frame would not be told from a head: paced messages come whole.
    loaded.receive(address, len(sockets), ctypes.c_double(job.warm_s + 0.5))
    meter.begin()
    meter.counts[0] += loaded.receive(address, len(sockets), ctypes.c_double(job.seconds))
    tell(meter.end())


def python_row(job: Job, take: Take, meter: Meter) -> None:
    """The loop in Python around the frame splitter in C."""
    loaded = library()
    spans, used = array("q", bytes(16 * ROOM)), ctypes.c_int64()
    spans_at, used_at = ctypes.c_void_p(spans.buffer_info()[0]), ctypes.byref(used)
    poll = select.epoll()
    connections: dict[int, list[Any]] = {}
    for market, sock in enumerate(connected(job)):
        data = bytearray(CAPACITY)
        start = ctypes.addressof(ctypes.c_char.from_buffer(data))
        connections[sock.fileno()] = [market, sock, memoryview(data), ctypes.c_void_p(start), 0]
        poll.register(sock, select.EPOLLIN)
    began = 0.0
    while True:
        now = time.monotonic()
        if not began and meter.all_heard:
            began = now
        if began and not meter.began and now > began + job.warm_s:
            meter.begin()
        if began and now > began + job.warm_s + job.seconds:
            tell(meter.end())
        for descriptor, _ in poll.poll(0.1):
            connection = connections[descriptor]
            market, sock, view, start, filled = connection
            filled += sock.recv_into(view[filled : filled + READ_BYTES])
            found = loaded.split(start, filled, spans_at, ROOM, used_at)
            for place in range(0, 2 * found, 2):
                take(market, view[spans[place] : spans[place + 1]])
            taken = used.value
            view[: filled - taken] = view[taken:filled]
            connection[4] = filled - taken


def run(job: Job, name: str) -> None:
    """Run a row of this module."""
    if job.scheme == "wss":
        tell({"skipped": "floors have no TLS"})
    if name == "L2":
        c_row(job)
    meter = Meter(job)
    if name == "L1":
        decode, counts = msgspec.json.Decoder(list[Message] | Message).decode, meter.counts

        def take(market: int, payload: memoryview) -> None:
            counts[market] += 1
            decode(payload)

    else:
        new_listener = LISTENERS["scoring"](meter)
        listeners = [new_listener(market) for market in range(job.connections)]

        def take(market: int, payload: memoryview) -> None:
            listeners[market](str(payload, "utf-8"))

    python_row(job, take, meter)
