from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import memory_stream_pair

from actors.faults import FaultKind, FeedFault
from actors.guard import HEADER_BLOCK_BYTES, FrameMeter, GuardedStream, UpgradeReply
from tests.actors.raw_server import CONTINUATION, PING, PONG, TEXT, frame, text

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def meter(*, message_bytes: int = 1000, message_frames: int = 10) -> FrameMeter:
    return FrameMeter(message_bytes=message_bytes, message_frames=message_frames)


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize("cut", range(1, len(SWITCHING)))
def test_reply_in_two_pieces(newline: bytes, cut: int) -> None:
    whole = SWITCHING.replace(b"\r\n", newline) + text("first")
    reply = UpgradeReply()
    frames = reply.receive(whole[:cut])
    assert not reply.complete or frames == text("first")[: len(frames)]
    frames += reply.receive(whole[cut:]) if not reply.complete else whole[cut:]
    assert reply.complete
    assert frames == text("first")


def test_reply_of_the_largest_size() -> None:
    padding = b"a" * (HEADER_BLOCK_BYTES - len(SWITCHING) - len("X: \r\n"))
    largest = SWITCHING[:-2] + b"X: " + padding + b"\r\n\r\n"
    assert len(largest) == HEADER_BLOCK_BYTES
    assert UpgradeReply().receive(largest + text("a") * 20_000) == text("a") * 20_000
    with pytest.raises(FeedFault, match="bytes of HTTP headers"):
        UpgradeReply().receive(largest.replace(b"X: ", b"X:  "))


def test_refusal_in_single_bytes() -> None:
    reply = UpgradeReply()
    *most, last = b"HTTP/1.0 429 Slow down\nRETRY-AFTER: 3\nX: y\n\n"
    for byte in most:
        assert reply.receive(bytes([byte])) == b""
    with pytest.raises(FeedFault) as caught:
        reply.receive(bytes([last]))
    assert (caught.value.kind, caught.value.retry_after) == (FaultKind.RATE_LIMITED, 3.0)


def test_detail_of_a_refusal_is_bounded_and_escaped() -> None:
    body = b"\x1b[31mAttention Required!\n" + b"\xff" * 10_000
    with pytest.raises(FeedFault) as caught:
        UpgradeReply().receive(b"HTTP/1.1 403 Forbidden\r\n\r\n" + body)
    assert len(caught.value.detail) <= 256
    assert caught.value.detail.startswith("HTTP 403 \\x1b[31mAttention Required!\\n")


def test_hanging_up() -> None:
    with pytest.raises(FeedFault, match="hung up"):
        UpgradeReply().receive(b"")


MESSAGES = st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=6)


def fragmented(parts: list[bytes]) -> bytes:
    """One message in as many frames as there are parts, with a ping and a pong between any two."""
    frames = [
        frame(CONTINUATION if index else TEXT, part, fin=index == len(parts) - 1) for index, part in enumerate(parts)
    ]
    return (frame(PING, b"ping") + frame(PONG)).join(frames)


@given(MESSAGES, st.data())
def test_meter_knows_where_messages_end_however_they_are_sliced(
    messages: list[list[bytes]], data: st.DataObject
) -> None:
    stream, ends = b"", {0}
    for parts in messages:
        stream += fragmented(parts)
        ends.add(len(stream))
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=20))})
    under_test = meter(message_bytes=1200, message_frames=10)
    for start, end in pairwise(cuts):
        under_test.receive(stream[start:end], lambda end=end: float(end))  # type: ignore[misc]
        if end in ends:
            assert under_test.began is None
        elif under_test.began is not None:
            assert max(boundary for boundary in ends if boundary <= end) < under_test.began <= end


def test_meter_dates_a_message_by_its_first_frame() -> None:
    under_test = meter()
    ages = []
    for now, received in enumerate(
        [
            frame(TEXT, b"a", fin=False),
            frame(PING, b"a"),
            frame(CONTINUATION, b"b", fin=False),
            frame(CONTINUATION, b"c"),
            frame(PING, b"no message")[:5],
        ]
    ):
        under_test.receive(received, lambda now=now: float(now))
        ages.append(under_test.began)
    assert ages == [0.0, 0.0, 0.0, None, None]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_message_bytes_are_a_sharp_limit(size: int) -> None:
    meter(message_bytes=size or 1).receive(frame(TEXT, b"a" * size), lambda: 0.0)
    if size:
        with pytest.raises(FeedFault, match=f"{size} bytes"):
            meter(message_bytes=size - 1).receive(frame(TEXT, b"a" * size), lambda: 0.0)


def test_message_frames_are_a_sharp_limit_and_start_anew_with_each_message() -> None:
    under_test = meter(message_frames=4)
    for _ in range(3):
        under_test.receive(fragmented([b"a", b"b"]), lambda: 0.0)
    with pytest.raises(FeedFault) as caught:
        under_test.receive(fragmented([b"a", b"b", b"c"]), lambda: 0.0)
    assert caught.value.kind is FaultKind.PROTOCOL


@given(st.lists(st.binary(max_size=50)))
def test_any_bytes_are_counted_or_a_fault(chunks: list[bytes]) -> None:
    under_test, kinds = meter(), set()
    with suppress(FeedFault):
        for chunk in chunks:
            try:
                under_test.receive(chunk, lambda: 0.0)
            except FeedFault as fault:
                kinds.add(fault.kind)
                raise
    assert kinds <= {FaultKind.OVERSIZE, FaultKind.PROTOCOL}
    assert under_test.began in {None, 0.0}


async def test_stream_counts_and_passes_bytes_on() -> None:
    client, server = memory_stream_pair()
    asked = 0

    def before_more() -> None:
        nonlocal asked
        asked += 1

    guarded = GuardedStream(client, meter(), before_more)
    await guarded.wait_send_all_might_not_block()
    await guarded.send_all(b"GET / HTTP/1.1\r\n\r\n")
    assert await server.receive_some() == b"GET / HTTP/1.1\r\n\r\n"
    await server.send_all(SWITCHING + text("a"))
    assert await guarded.receive_some() == SWITCHING + text("a")
    await server.send_all(text("b"))
    assert await guarded.receive_some(2) == text("b")[:2]
    assert guarded.received == len(SWITCHING + text("a")) + 2
    assert guarded.meter.began is not None
    assert asked == 2
    await guarded.aclose()
    assert await server.receive_some() == b""


async def test_stream_broken_during_the_upgrade_is_a_fault_and_later_is_not() -> None:
    client, server = memory_stream_pair()
    guarded = GuardedStream(client, meter(), lambda: None)
    await server.aclose()
    with pytest.raises(FeedFault) as caught:
        await guarded.send_all(b"GET / HTTP/1.1\r\n\r\n")
    assert caught.value.kind is FaultKind.HANDSHAKE

    client, server = memory_stream_pair()
    guarded = GuardedStream(client, meter(), lambda: None)
    await server.send_all(SWITCHING)
    await guarded.receive_some()
    await server.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await guarded.send_all(text("a"))
    assert await guarded.receive_some() == b""
