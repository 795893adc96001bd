"""What RFC 6455 asks of a client, and how a wake-up reaches the caller: the same with every transport.

The cases follow the sections of the Autobahn suite. Where the libraries differ, and both may, a table says how.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from actors.faults import FaultKind, FeedFault
from actors.guard import PIECE_BYTES
from actors.transport import BATCH_MESSAGES
from actors.websocket import open_session
from engine.settings import TransportKind
from tests.actors.raw_server import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIRST_FRAME,
    LIMITS,
    PING,
    PONG,
    TEXT,
    URL,
    RawPeer,
    Script,
    close,
    fault_of,
    frame,
    in_memory,
    text,
)

pytestmark = pytest.mark.usefixtures("each_transport")

TRIO_WEBSOCKET, WEBSOCKETS = TransportKind.TRIO_WEBSOCKET, TransportKind.WEBSOCKETS
GOOD_BYE = close(1000, "done")
DONE = (FaultKind.CLOSED, 1000)

Outcome = tuple[list[str], tuple[FaultKind, int | None], list[tuple[int, bytes]]]


async def heard_of(*parts: bytes, slice_bytes: int | None = None) -> Outcome:
    """Texts, end, and all frames after the first one that a client has for a peer who says `parts` in turn."""
    texts: list[str] = []
    answers: list[tuple[int, bytes]] = []

    async def script(peer: RawPeer) -> None:
        await peer.subscribed()
        for part in parts:
            for start in range(0, len(part), slice_bytes or len(part) or 1):
                await peer.send(part[start : start + (slice_bytes or len(part))])
                if slice_bytes:
                    await trio.lowlevel.checkpoint()
        answers.extend(await peer.read_all())

    fault, seconds = await fault_of(script, deliver=texts.extend)
    assert seconds == 0.0
    return texts, (fault.kind, fault.close_code), answers


# ---------------------------------------------------------------------------------------------- framing and its lengths

SIZES = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 131_072]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("slice_bytes", [None, 997])
async def test_1_1_texts_of_all_lengths(autojump_clock: MockClock, size: int, slice_bytes: int | None) -> None:
    texts, end, _ = await heard_of(text("*" * size) + text("next") + GOOD_BYE, slice_bytes=slice_bytes)
    assert texts == ["*" * size, "next"]
    assert end == DONE


@pytest.mark.parametrize("size", SIZES)
async def test_1_2_binary_of_all_lengths_is_passed_over(autojump_clock: MockClock, size: int) -> None:
    texts, end, _ = await heard_of(frame(BINARY, bytes(size)) + text("next") + GOOD_BYE)
    assert (texts, end) == (["next"], DONE)


TOO_LONG = {
    "16 bits for 125": b"\x81\x7e" + struct.pack("!H", 125) + b"*" * 125,
    "64 bits for 125": b"\x81\x7f" + struct.pack("!Q", 125) + b"*" * 125,
    "64 bits for 65535": b"\x81\x7f" + struct.pack("!Q", 65_535) + b"*" * 65_535,
}


@pytest.mark.parametrize("written", TOO_LONG.values(), ids=TOO_LONG.keys())
async def test_lengths_written_longer_than_need_be(
    autojump_clock: MockClock, each_transport: TransportKind, written: bytes
) -> None:
    """Forbidden; websockets does not mind, and understands the length that was meant."""
    texts, end, _ = await heard_of(text("first"), written + GOOD_BYE)
    assert texts[:1] == ["first"]
    if each_transport is TRIO_WEBSOCKET:
        assert (texts, end) == (["first"], (FaultKind.PROTOCOL, 1002))
    else:
        assert (len(texts), end) == (2, DONE)


# ------------------------------------------------------------------------------------------------------ pings and pongs


@pytest.mark.parametrize("payload", [b"", b"hello", bytes(range(125)), b"\xff" * 125], ids=len)
@pytest.mark.parametrize("slice_bytes", [None, 1])
async def test_2_a_ping_is_answered_with_its_payload(
    autojump_clock: MockClock, payload: bytes, slice_bytes: int | None
) -> None:
    _, end, answers = await heard_of(frame(PING, payload) + GOOD_BYE, slice_bytes=slice_bytes)
    assert answers[0] == (PONG, payload)
    assert end == DONE


async def test_2_pongs_nobody_asked_for_are_passed_over(autojump_clock: MockClock) -> None:
    texts, end, answers = await heard_of(frame(PONG) + frame(PONG, b"x" * 125) + text("one") + GOOD_BYE)
    assert (texts, end) == (["one"], DONE)
    assert [opcode for opcode, _ in answers] == [CLOSE]


BAD_CONTROLS = {
    "ping of 126 bytes": frame(PING, bytes(126)),
    "pong of 126 bytes": frame(PONG, bytes(126)),
    "close of 126 bytes": close(1000, "x" * 124),
    "fragmented ping": frame(PING, b"x", fin=False),
    "fragmented pong": frame(PONG, b"x", fin=False),
    "fragmented close": frame(CLOSE, b"\x03\xe8", fin=False),
}


@pytest.mark.parametrize("control", BAD_CONTROLS.values(), ids=BAD_CONTROLS.keys())
async def test_control_frames_too_long_or_in_pieces(autojump_clock: MockClock, control: bytes) -> None:
    texts, end, _ = await heard_of(text("first"), control)
    assert (texts, end) == (["first"], (FaultKind.PROTOCOL, 1002))


# -------------------------------------------------------------------------------- reserved bits, opcodes, masked frames


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
async def test_3_reserved_bits(autojump_clock: MockClock, rsv: int, opcode: int) -> None:
    texts, end, _ = await heard_of(text("first") + frame(opcode, b"", rsv=rsv) + text("never"))
    assert (texts, end) == (["first"], (FaultKind.PROTOCOL, 1002))


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"x" * 20])
async def test_4_reserved_opcodes(autojump_clock: MockClock, opcode: int, payload: bytes) -> None:
    texts, end, _ = await heard_of(text("first") + frame(opcode, payload) + text("never"))
    assert (texts, end) == (["first"], (FaultKind.PROTOCOL, 1002))


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
async def test_masked_frames(autojump_clock: MockClock, opcode: int) -> None:
    texts, end, _ = await heard_of(text("first") + frame(opcode, b"", masked=True) + text("never"))
    assert (texts, end) == (["first"], (FaultKind.PROTOCOL, 1002))


# ------------------------------------------------------------------------------------------------------- fragmentation


def pieces(*payloads: bytes, opcode: int = TEXT, between: bytes = b"") -> bytes:
    """One message in as many frames."""
    frames = [
        frame(CONTINUATION if index else opcode, payload, fin=index == len(payloads) - 1)
        for index, payload in enumerate(payloads)
    ]
    return between.join(frames)


@pytest.mark.parametrize("slice_bytes", [None, 1])
async def test_5_controls_between_fragments(autojump_clock: MockClock, slice_bytes: int | None) -> None:
    said = pieces(b"fra", b"", b"gment", b"s", between=frame(PING, b"?") + frame(PONG, b"!"))
    texts, end, answers = await heard_of(said + text("whole") + GOOD_BYE, slice_bytes=slice_bytes)
    assert (texts, end) == (["fragments", "whole"], DONE)
    assert answers[:-1] == [(PONG, b"?")] * 3


async def test_5_empty_fragments_and_empty_messages(autojump_clock: MockClock) -> None:
    texts, end, _ = await heard_of(pieces(b"", b"", b"") + text("") + pieces(b"", b"x", b"") + GOOD_BYE)
    assert (texts, end) == (["", "", "x"], DONE)


async def test_5_binary_in_fragments_is_passed_over(autojump_clock: MockClock) -> None:
    texts, end, _ = await heard_of(pieces(b"\xff", b"\xfe", opcode=BINARY) + pieces(b"a", b"b") + GOOD_BYE)
    assert (texts, end) == (["ab"], DONE)


STRAYS = {
    "continuation of nothing": frame(CONTINUATION, b"x"),
    "open continuation of nothing": frame(CONTINUATION, b"x", fin=False),
    "continuation after the end": pieces(b"a", b"b") + frame(CONTINUATION, b"c"),
    "text inside text": frame(TEXT, b"x", fin=False) + text("y"),
    "text begun inside text": frame(TEXT, b"x", fin=False) * 2,
    "binary inside text": frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"),
    "text inside binary": frame(BINARY, b"x", fin=False) + text("y"),
}


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS.keys())
async def test_5_fragments_out_of_place(autojump_clock: MockClock, stray: bytes) -> None:
    texts, end, _ = await heard_of(text("first") + stray + text("never"))
    assert texts[0] == "first"
    assert "never" not in texts
    assert end == (FaultKind.PROTOCOL, 1002)


CLOSE_INSIDE = {TRIO_WEBSOCKET: DONE, WEBSOCKETS: (FaultKind.PROTOCOL, 1002)}


async def test_5_close_inside_a_message(autojump_clock: MockClock, each_transport: TransportKind) -> None:
    """A control frame may stand there, and Close is one; websockets blames the peer for the message it dropped."""
    texts, end, _ = await heard_of(text("first") + frame(TEXT, b"x", fin=False) + GOOD_BYE)
    assert (texts, end) == (["first"], CLOSE_INSIDE[each_transport])


# --------------------------------------------------------------------------------------------------------------- UTF-8

GOOD = "Hello-µ@ßöäüàá-UTF-8!! κόσμε \N{COLLISION SYMBOL} \U0010ffff \x00 \ufffd"


async def test_6_characters_across_fragments(autojump_clock: MockClock) -> None:
    encoded = GOOD.encode()
    for size in (1, 2, 3, 5):
        said = pieces(*(encoded[at : at + size] for at in range(0, len(encoded), size)))
        texts, end, _ = await heard_of(said + GOOD_BYE)
        assert (texts, end) == ([GOOD], DONE)


BROKEN = {
    "lone continuation": b"\x80",
    "no such byte": b"a\xffb",
    "cut off": b"a\xe2\x82",
    "overlong slash": b"\xc0\xaf",
    "overlong zero": b"\xe0\x80\x80",
    "surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("fragments", [False, True])
async def test_6_no_utf_8(autojump_clock: MockClock, broken: bytes, *, fragments: bool) -> None:
    message = pieces(b"ok", *(bytes([byte]) for byte in broken)) if fragments else frame(TEXT, broken)
    texts, end, answers = await heard_of(text("first") + message + text("never"))
    assert (texts, end) == (["first"], (FaultKind.PROTOCOL, 1007))
    assert all(opcode == CLOSE for opcode, _ in answers)


FAILS_FAST = {TRIO_WEBSOCKET: True, WEBSOCKETS: False}


async def test_6_when_broken_utf_8_is_noticed(autojump_clock: MockClock, each_transport: TransportKind) -> None:
    """At once, or when the message is complete: a peer that never completes it has as long as any other."""

    async def script(peer: RawPeer) -> None:
        await peer.subscribed(text("first") + frame(TEXT, b"\xff", fin=False))
        await peer.read_all()

    fault, seconds = await fault_of(script)
    assert fault.kind is FaultKind.PROTOCOL
    assert seconds == (0.0 if FAILS_FAST[each_transport] else LIMITS.message_s)


# --------------------------------------------------------------------------------------------------------------- Close

VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]


@pytest.mark.parametrize("code", VALID_CODES)
@pytest.mark.parametrize("reason", ["", "because", "é" * 61], ids=len)
async def test_7_valid_close_codes(autojump_clock: MockClock, code: int, reason: str) -> None:
    texts, (_, met), answers = await heard_of(text("first") + close(code, reason) + text("never"))
    assert (texts, met) == (["first"], code)
    assert [(opcode, payload[:2]) for opcode, payload in answers] == [(CLOSE, struct.pack("!H", code))]


@pytest.mark.parametrize("code", INVALID_CODES)
async def test_7_invalid_close_codes(autojump_clock: MockClock, code: int) -> None:
    texts, end, _ = await heard_of(text("first") + close(code))
    assert (texts, end) == (["first"], (FaultKind.PROTOCOL, 1002))


# ------------------------------------------------------------------------------------------ wake-ups, batches, fairness


def segments(*said: bytes) -> Script:
    """A peer that says one thing at each turn."""

    async def script(peer: RawPeer) -> None:
        await peer.subscribed()
        for part in said:
            await peer.send(part)
            await trio.testing.wait_all_tasks_blocked()
        await peer.send(GOOD_BYE)
        await peer.read_all()

    return script


async def batches_of(*said: bytes) -> list[list[str]]:
    batches: list[list[str]] = []

    def deliver(texts: Sequence[str]) -> None:
        batches.append(list(texts))

    await fault_of(segments(*said), deliver=deliver)
    return batches


async def test_what_came_together_is_one_batch(autojump_clock: MockClock) -> None:
    together = text("a") + text("PONG") + frame(BINARY, b"x") + frame(PING) + pieces(b"b", b"c") + text("d")
    assert await batches_of(together, text("PONG"), text("e")) == [["a", "bc", "d"], ["e"]]


async def test_a_batch_has_its_limit(autojump_clock: MockClock) -> None:
    said = [str(number) for number in range(2 * BATCH_MESSAGES + 44)]
    batches = await batches_of(b"".join(map(text, said)))
    assert [len(batch) for batch in batches] == [BATCH_MESSAGES, BATCH_MESSAGES, 44]
    assert [word for batch in batches for word in batch] == said


@pytest.mark.parametrize("size", [0, 700])
async def test_others_have_their_turn_during_a_flood(autojump_clock: MockClock, size: int) -> None:
    """In each round of the scheduler, of which no two batches share one."""
    flood = text("x" * size) * 3000
    turns = 0
    seen: list[tuple[int, int]] = []

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    def deliver(texts: Sequence[str]) -> None:
        seen.append((turns, len(texts)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        await fault_of(lambda peer: peer.subscribed(flood + GOOD_BYE), deliver=deliver)
        nursery.cancel_scope.cancel()
    assert sum(count for _, count in seen) == 3000
    # Who is first in a round is a matter of chance; in three of them, the one in the middle has others at some time.
    assert all(earlier < later for (earlier, _), (later, _) in zip(seen, seen[2:], strict=False))
    assert max(count for _, count in seen) <= min(BATCH_MESSAGES, PIECE_BYTES // (size + 2) + 1)


async def test_nothing_is_delivered_once_the_block_is_left(autojump_clock: MockClock) -> None:
    taken: list[str] = []

    async def talkative(peer: RawPeer) -> None:
        await peer.subscribed(text("before"))
        assert (await peer.read_frame())[0] == CLOSE
        await peer.send(text("after") * 200 + close(1000))
        await peer.read_all()

    async with in_memory(talkative) as dial:
        async with open_session(URL, FIRST_FRAME, taken.extend, limits=LIMITS, dial=dial):
            await trio.testing.wait_all_tasks_blocked()
        assert taken == ["before"]
        assert trio.current_time() == 0.0


async def test_the_stream_is_asked_for_as_much_as_it_likes(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T16: a small buffer of the library's own would mean more receives for the same bytes."""
    asked_for: set[int | None] = set()
    client, server = memory_stream_pair()
    receive_some = client.receive_stream.receive_some

    async def recording_receive_some(max_bytes: int | None = None) -> bytes | bytearray:
        asked_for.add(max_bytes)
        return await receive_some(max_bytes)

    monkeypatch.setattr(client.receive_stream, "receive_some", recording_receive_some)

    async def dial(url: str) -> trio.abc.Stream:
        return client

    async with trio.open_nursery() as nursery:
        nursery.start_soon(RawPeer(server).subscribed, close(1000))
        with pytest.raises(FeedFault):
            async with open_session(URL, FIRST_FRAME, lambda _: None, limits=LIMITS, dial=dial) as session:
                await session.closed()
    assert asked_for == {None}


# ------------------------------------------------------------------------------------ the same, however it is segmented

MESSAGES = st.lists(
    st.text(max_size=40).map(text)
    | st.binary(max_size=40).map(lambda payload: frame(PING, payload))
    | st.binary(max_size=200).map(lambda payload: frame(BINARY, payload))
    | st.lists(st.text(max_size=20).map(str.encode), min_size=1, max_size=4).map(lambda parts: pieces(*parts)),
    max_size=8,
)


@given(MESSAGES, st.sampled_from([1, 2, 3, 7, 64]))
@settings(max_examples=60)
def test_segments_change_nothing(messages: list[bytes], slice_bytes: int) -> None:
    said = b"".join(messages) + GOOD_BYE

    async def both() -> tuple[Outcome, Outcome]:
        return await heard_of(said), await heard_of(said, slice_bytes=slice_bytes)

    whole, sliced = trio.run(both, clock=MockClock(autojump_threshold=0))
    assert whole == sliced
    assert whole[1] == DONE
