"""The sixteen known hazards of trio-websocket 0.12.2, T1 to T16, against peers that speak bytes, with every transport.

This file is the acceptance test of the pinned version: it must pass before the pin moves. T16 is a matter of speed: how
a wake-up reaches the caller is in ``test_websocket_conformance``. Rows of the fault catalogue
that live here: 6 (T1), 7 (T2), 10 (T9), 15 (T3), 16 to 19 (T7), 20 (T6, T7), 23 (T10), 26 (T13, T14), 27 (T4) and
28 (T11).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from actors.faults import FaultKind, FeedFault
from actors.websocket import PONG as PONG_TEXT
from actors.websocket import Dial, open_session
from tests.actors.raw_server import (
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
    ignore,
    in_memory,
    on_loopback,
    refusal,
    text,
)

pytestmark = pytest.mark.usefixtures("each_transport")

MIB = 1 << 20


def after_subscription(*parts: bytes) -> Script:
    """A peer that says `parts`, one by one, to a subscriber and then listens until the client hangs up."""

    async def script(peer: RawPeer) -> None:
        await peer.subscribed()
        for part in parts:
            await peer.send(part)
        await peer.read_all()

    return script


async def test_t01_upgrade_never_answered(autojump_clock: MockClock) -> None:
    hung_up_at = None

    async def script(peer: RawPeer) -> None:
        nonlocal hung_up_at
        await peer.read_request()
        await peer.read_all()
        hung_up_at = trio.current_time()

    began = trio.current_time()
    fault, seconds = await fault_of(script)
    assert (fault.kind, seconds) == (FaultKind.CONNECT_TIMEOUT, LIMITS.connect_s)
    assert hung_up_at == began + LIMITS.connect_s, "the connection is not left open"


async def test_t02_fin_during_the_upgrade(autojump_clock: MockClock) -> None:
    async def at_once(peer: RawPeer) -> None:
        await trio.lowlevel.checkpoint()

    async def after_the_request(peer: RawPeer) -> None:
        await peer.read_request()

    async def mid_reply(peer: RawPeer) -> None:
        await peer.read_request()
        await peer.send(peer.reply()[:-1])

    for script in (at_once, after_the_request, mid_reply):
        fault, seconds = await fault_of(script)
        assert (fault.kind, seconds) == (FaultKind.HANDSHAKE, 0.0), script.__name__


@pytest.mark.parametrize("looks", [True, False])
async def test_t03_close_frame_but_tcp_stays_open(autojump_clock: MockClock, *, looks: bool) -> None:
    hung_up = trio.Event()

    async def script(peer: RawPeer) -> None:
        await peer.subscribed(close(1001, "going away"))
        await peer.read_all()
        hung_up.set()

    async with in_memory(script) as dial:
        async with open_session(URL, FIRST_FRAME, ignore, limits=LIMITS, dial=dial) as session:
            if looks:
                with pytest.raises(FeedFault) as caught:
                    await session.closed()
                assert (caught.value.kind, caught.value.close_code) == (FaultKind.CLOSED, 1001)
            else:
                await trio.testing.wait_all_tasks_blocked()
            left = trio.current_time()
        assert trio.current_time() == left
        with trio.fail_after(1):
            await hung_up.wait()


@pytest.mark.parametrize("yields", range(20))
async def test_t03_close_frames_crossing(autojump_clock: MockClock, yields: int) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.accept(then=text("one"))
        await peer.send(close(1001))
        await peer.listen()

    async with in_memory(script) as dial:
        with suppress(FeedFault):
            async with open_session(URL, FIRST_FRAME, ignore, limits=LIMITS, dial=dial):
                for _ in range(yields):
                    await trio.lowlevel.checkpoint()
        assert trio.current_time() == 0.0


async def test_t04_ping_crossing_our_close(autojump_clock: MockClock) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.subscribed()
        assert (await peer.read_frame())[0] == CLOSE
        await peer.send(text("x") + frame(PING, b"a") + frame(PONG) + text("y"))
        await peer.send(close(1000))
        await peer.read_all()

    async with in_memory(script) as dial:
        async with open_session(URL, FIRST_FRAME, ignore, limits=LIMITS, dial=dial) as session:
            left = trio.current_time()
        assert trio.current_time() == left, "the library's reader died of the ping: nothing to wait for"
        with pytest.raises(FeedFault, match="left"):
            await session.closed()


@pytest.mark.parametrize("yields", [0, 1, 2, 4, 8, 16, 32, 128, 512])
async def test_t04_texts_and_pings_queued_when_leaving(autojump_clock: MockClock, yields: int) -> None:
    script = after_subscription(text("x") * 50 + frame(PING, b"a") + text("y") * 50)
    async with in_memory(script) as dial:
        async with open_session(URL, FIRST_FRAME, ignore, limits=LIMITS, dial=dial):
            for _ in range(yields):
                await trio.lowlevel.checkpoint()
            left = trio.current_time()
        assert trio.current_time() - left in {0.0, LIMITS.close_s}, "as the ping is met after or before our Close"


async def test_t05_ping_behind_a_burst_is_answered(autojump_clock: MockClock) -> None:
    burst = [f"message {number}" for number in range(3000)]
    taken: list[str] = []
    answer: tuple[int, bytes] | None = None

    async def script(peer: RawPeer) -> None:
        nonlocal answer
        await peer.subscribed(b"".join(map(text, burst)) + frame(PING, b"still there?"))
        answer = await peer.read_frame()

    fault, seconds = await fault_of(script, deliver=taken.extend)
    assert answer == (PONG, b"still there?")
    assert taken == burst
    assert (fault.kind, seconds) == (FaultKind.CLOSED, 0.0)


GARBAGE = {
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "binary": bytes(range(256)) * 4,
    "empty line": b"\r\n\r\n",
    "html": b"<html><body>hello</body></html>\n\n",
    "http 0.9": b"HTTP/0.9\r\n\r\n",
    "bad header": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade websocket\r\n\r\n",
    "non-ascii tokens": b"HTTP/1.1 101 Switching Protocols\r\nConnection: \xff\r\nUpgrade: websocket\r\n\r\n",
    "non-ascii extension": b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: \xe9\r\n\r\n",
    "no headers": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_t06_no_http_in_the_reply(autojump_clock: MockClock, garbage: bytes) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.read_request()
        await peer.send(garbage)
        await peer.read_all()

    fault, seconds = await fault_of(script)
    assert (fault.kind, seconds) == (FaultKind.HANDSHAKE, 0.0)


@pytest.mark.parametrize("line", [b"X-Padding: aaaaaaaaaaaaaaaa\r\n", b"aaaaaaaaaaaaaaaa"])
async def test_t06_endless_headers_in_the_reply(autojump_clock: MockClock, line: bytes) -> None:
    sent = 0

    async def script(peer: RawPeer) -> None:
        nonlocal sent
        await peer.read_request()
        await peer.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        while True:
            await peer.send(line)
            sent += len(line)

    fault, seconds = await fault_of(script)
    assert (fault.kind, seconds) == (FaultKind.HANDSHAKE, 0.0)
    assert sent < 256 * 1024


DATE = "Date: Mon, 05 Oct 2026 12:00:00 GMT"
REFUSALS = [
    (refusal("403 Forbidden", body="error code: 1010"), FaultKind.BLOCKED, None),
    (refusal("429 Too Many Requests"), FaultKind.RATE_LIMITED, None),
    (refusal("429 Too Many Requests", "Retry-After: 17"), FaultKind.RATE_LIMITED, 17.0),
    (refusal("429 Too Many Requests", "retry-after:99999999 "), FaultKind.RATE_LIMITED, 900.0),
    (refusal("429 Too Many Requests", "Retry-After: soon"), FaultKind.RATE_LIMITED, None),
    (refusal("429 No", DATE, "Retry-After: Mon, 05 Oct 2026 12:02:00 GMT"), FaultKind.RATE_LIMITED, 120.0),
    (refusal("429 No", "Retry-After: Mon, 05 Oct 2026 12:02:00 GMT"), FaultKind.RATE_LIMITED, None),
    (refusal("429 No", "Date: yesterday", "Retry-After: 5"), FaultKind.RATE_LIMITED, 5.0),
    (refusal("500 Internal Server Error"), FaultKind.HANDSHAKE, None),
    (refusal("503 Service Unavailable", "Retry-After: 17"), FaultKind.HANDSHAKE, None),
    (refusal("404 Not Found"), FaultKind.HANDSHAKE, None),
    (refusal("301 Moved", "Location: http://169.254.169.254/"), FaultKind.HANDSHAKE, None),
    (refusal("200 OK", body="<html>maintenance</html>"), FaultKind.HANDSHAKE, None),
    (b"HTTP/1.1 103 Early Hints\r\n\r\n", FaultKind.HANDSHAKE, None),
]


@pytest.mark.parametrize(("reply", "kind", "retry_after"), REFUSALS, ids=[str(r[0][9:60]) for r in REFUSALS])
async def test_t07_http_refusal(
    autojump_clock: MockClock, reply: bytes, kind: FaultKind, retry_after: float | None
) -> None:
    requests = 0

    async def script(peer: RawPeer) -> None:
        nonlocal requests
        requests += 1
        await peer.read_request()
        await peer.send(reply)
        await peer.read_all()

    fault, seconds = await fault_of(script)
    assert (fault.kind, fault.retry_after, seconds) == (kind, retry_after, 0.0)
    assert fault.detail.startswith(f"HTTP {reply[9:12].decode()}")
    assert requests == 1, "redirects are not followed"


async def test_t07_refusal_whose_body_never_ends(autojump_clock: MockClock) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 99999999\r\n\r\nAttention Required!\n")
        await peer.read_all()

    fault, seconds = await fault_of(script)
    assert (fault.kind, seconds) == (FaultKind.BLOCKED, 0.0)
    assert fault.detail == "HTTP 403 Attention Required!\\n"


async def test_t08_our_close_is_never_answered(autojump_clock: MockClock) -> None:
    seen: list[tuple[int, bytes]] = []

    async def script(peer: RawPeer) -> None:
        await peer.subscribed()
        seen.extend(await peer.read_all())

    async with in_memory(script) as dial:
        async with open_session(URL, FIRST_FRAME, ignore, limits=LIMITS, dial=dial):
            left = trio.current_time()
        assert trio.current_time() - left == LIMITS.close_s
        await trio.testing.wait_all_tasks_blocked()
    assert seen == [(CLOSE, b"\x03\xe8")]


async def test_t09_fin(autojump_clock: MockClock) -> None:
    for last in (b"", text("whole"), text("cut off")[:-1], b"\x81"):

        async def script(peer: RawPeer, last: bytes = last) -> None:
            await peer.subscribed(last)

        fault, seconds = await fault_of(script)
        assert (fault.kind, fault.close_code, seconds) == (FaultKind.CLOSED, 1006, 0.0)


@pytest.mark.socket
async def test_t09_reset() -> None:
    async def script(peer: RawPeer) -> None:
        await peer.subscribed()
        await peer.reset()

    async with on_loopback(script) as port:

        async def dial(url: str) -> trio.abc.Stream:
            return await trio.open_tcp_stream("127.0.0.1", port)

        with trio.fail_after(1), pytest.raises(FeedFault) as caught:
            async with open_session(URL, FIRST_FRAME, ignore, limits=LIMITS, dial=dial) as session:
                await session.closed()
    assert (caught.value.kind, caught.value.close_code) == (FaultKind.CLOSED, 1006)


VIOLATIONS = {
    "bad utf-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "bad utf-8 in a close reason": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "masked": (frame(TEXT, b"x", masked=True), 1002),
    "rsv1": (frame(TEXT, b"x", rsv=4), 1002),
    "opcode 3": (frame(3, b"x"), 1002),
    "opcode 11": (frame(11, b"x"), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "stray continuation": (frame(CONTINUATION, b"x"), 1002),
    "text inside a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "close 999": (close(999), 1002),
    "close 1006": (close(1006), 1002),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
}


@pytest.mark.parametrize(("violation", "code"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
async def test_t10_protocol_violation(autojump_clock: MockClock, violation: bytes, code: int) -> None:
    fault, seconds = await fault_of(after_subscription(text("fine"), violation))
    assert (fault.kind, fault.close_code, seconds) == (FaultKind.PROTOCOL, code, 0.0)


async def test_t11_message_size_counts_bytes(autojump_clock: MockClock) -> None:
    sizes: list[int] = []

    def deliver(texts: Sequence[str]) -> None:
        sizes.extend(len(message.encode()) for message in texts)

    fits = "\N{COLLISION SYMBOL}" * (MIB // 4)
    fault, seconds = await fault_of(after_subscription(text(fits), text(fits + "x")), deliver=deliver)
    assert sizes == [MIB]
    assert (fault.kind, seconds) == (FaultKind.OVERSIZE, 0.0)


async def test_t11_message_size_counts_all_fragments(autojump_clock: MockClock) -> None:
    half = b"a" * (MIB // 2)
    parts = frame(TEXT, half, fin=False), frame(CONTINUATION, half, fin=False), frame(CONTINUATION, b"a")
    fault, _ = await fault_of(after_subscription(*parts))
    assert fault.kind is FaultKind.OVERSIZE


@pytest.mark.parametrize("claimed", [1 << 62, MIB + 1])
async def test_t12_header_claiming_too_much(autojump_clock: MockClock, claimed: int) -> None:
    fault, seconds = await fault_of(after_subscription(frame(TEXT, b"a", length=claimed)))
    assert (fault.kind, seconds) == (FaultKind.OVERSIZE, 0.0)


async def test_t12_header_claiming_what_never_comes(autojump_clock: MockClock) -> None:
    fault, seconds = await fault_of(after_subscription(text("fine"), frame(TEXT, b"a", length=1000)))
    assert (fault.kind, seconds) == (FaultKind.PROTOCOL, LIMITS.message_s)


async def test_t13_two_hundred_thousand_fragments(autojump_clock: MockClock) -> None:
    first, rest = frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"a", fin=False)
    script = after_subscription(first + rest * 199_998 + frame(CONTINUATION, b"a"))
    fault, seconds = await fault_of(script)
    assert (fault.kind, seconds) == (FaultKind.PROTOCOL, 0.0)


async def test_t13_one_fragment_a_second(autojump_clock: MockClock) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.subscribed(text("fine"))
        await trio.sleep(7)
        await peer.send(frame(TEXT, b"a", fin=False))
        while True:
            await peer.send(frame(CONTINUATION, b"a", fin=False))
            await trio.sleep(1)

    fault, seconds = await fault_of(script)
    assert (fault.kind, seconds) == (FaultKind.PROTOCOL, 7 + LIMITS.message_s)


@pytest.mark.parametrize("opcode", [CONTINUATION, PING, PONG])
async def test_t14_endless_empty_frames(autojump_clock: MockClock, opcode: int) -> None:
    sent = 0

    async def script(peer: RawPeer) -> None:
        nonlocal sent
        await peer.subscribed(frame(TEXT, fin=False))
        while True:
            await peer.send(frame(opcode, fin=opcode != CONTINUATION))
            sent += 1

    fault, seconds = await fault_of(script)
    assert (fault.kind, seconds) == (FaultKind.PROTOCOL, 0.0)
    assert sent < 64 * LIMITS.message_frames


async def test_t14_heartbeats_without_messages(autojump_clock: MockClock) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.subscribed(text("fine"))
        while True:
            await peer.send(text(PONG_TEXT) + frame(PING))
            await trio.sleep(1)

    fault, seconds = await fault_of(script)
    assert (fault.kind, seconds) == (FaultKind.STALE, LIMITS.idle_s)


async def test_t15_cancelled_while_waiting(autojump_clock: MockClock) -> None:
    seen: list[tuple[int, bytes]] = []

    async def script(peer: RawPeer) -> None:
        await peer.subscribed()
        seen.append(await peer.read_frame())
        await peer.send(close(1000))
        seen.extend(await peer.read_all())

    async def hold(session_open: trio.Event, dial: Dial) -> None:
        async with open_session(URL, FIRST_FRAME, ignore, limits=LIMITS, dial=dial) as session:
            session_open.set()
            await session.closed()

    async with in_memory(script) as dial:
        opened = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold, opened, dial)
            await opened.wait()
            nursery.cancel_scope.cancel()
            began = trio.current_time()
        assert trio.current_time() == began
        await trio.testing.wait_all_tasks_blocked()
    assert seen == [(CLOSE, b"\x03\xe8")]
