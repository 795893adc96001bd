"""The reconnect loop: what becomes a record, how long it waits, how epochs count, and how it is hung up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from attrs import evolve

from actors.clock import Clock
from actors.faults import FaultKind, FeedFault
from actors.limiter import ConnectLimiter
from actors.reconnect import Reconnector, session_limits
from engine.records import Connected, Disconnected, Frame, Record
from engine.settings import FeedSettings
from tests.actors.raw_server import CLOSE, RawPeer, Script, close, play, refusal, text
from tests.engine.wire_texts import DOWN, MARKET, UP

MockClock = trio.testing.MockClock
URL = "ws://127.0.0.1:8001/ws/market"
FEED = FeedSettings()


async def stay(peer: RawPeer) -> None:
    """A peer with one word, who then listens and answers nothing."""
    await peer.subscribed(text("hello"))
    await peer.read_all()


async def talk(peer: RawPeer, seconds: int = 3600) -> None:
    """A peer with a word every second, who then hangs up without a word."""
    await peer.subscribed(text("hello"))
    for _ in range(seconds):
        await trio.sleep(1)
        await peer.send(text("more") + text("PONG"))


async def freeze(peer: RawPeer) -> None:
    """A peer who takes subscriptions and says nothing."""
    await peer.subscribed()
    await peer.read_all()


def refuse(status: str, *headers: str) -> Script:
    """A peer who answers the upgrade with a status."""

    async def script(peer: RawPeer) -> None:
        await peer.read_request()
        await peer.send(refusal(status, *headers))

    return script


def hang_up_with(code: int, reason: str = "") -> Script:
    """A peer who says hello and closes."""

    async def script(peer: RawPeer) -> None:
        await peer.subscribed(text("hello") + close(code, reason))
        await peer.read_all()

    return script


NOBODY = None
"""Nobody listens: the dial is refused."""


class Stage:
    """A reconnector before a row of peers, the last of whom meets every later attempt; and who listens to it."""

    def __init__(self, *peers: Script | None, feed: FeedSettings = FEED) -> None:
        self.clock = Clock.anchored(0)
        self.limiter = ConnectLimiter(self.clock, rate_per_s=1000.0)
        self.records: list[Record] = []
        self.dialled_s: list[float] = []
        self.hook: Callable[[Record], None] = lambda record: None
        self._peers = list(peers)
        self._news = trio.Event()
        self._nursery: trio.Nursery | None = None
        self.reconnector = Reconnector(
            url=URL,
            feed=feed,
            user_agent="updown",
            dial=self.dial,
            limiter=self.limiter,
            rng=Random(1),
            listener=self,
            log=structlog.get_logger(),
        )

    @asynccontextmanager
    async def running(self, first_epoch: int = 1) -> AsyncIterator[trio.CancelScope]:
        """Peers and reconnector; the scope is the reconnector's alone."""
        async with trio.open_nursery() as self._nursery:
            scope = trio.CancelScope()

            async def run() -> None:
                with scope:
                    await self.reconnector.run(MARKET, first_epoch)

            self._nursery.start_soon(run)
            yield scope
            self._nursery.cancel_scope.cancel()

    async def dial(self, url: str) -> trio.abc.Stream:
        assert url == URL
        assert self._nursery is not None
        await trio.lowlevel.checkpoint()
        peer = self._peers.pop(0) if len(self._peers) > 1 else self._peers[0]
        self.dialled_s.append(self.now_s())
        if peer is None:
            raise FeedFault(FaultKind.REFUSED, "nobody listens")
        client, server = trio.testing.memory_stream_pair()
        self._nursery.start_soon(play, peer, server)
        return client

    def connected(self, epoch: int) -> None:
        self.note(Connected(at_ns=self.clock.now_ns(), epoch=epoch))

    def deliver(self, texts: Sequence[str]) -> None:
        for word in texts:
            self.note(Frame(at_ns=self.clock.now_ns(), text=word))

    def disconnected(self, epoch: int, reason: str) -> None:
        self.note(Disconnected(at_ns=self.clock.now_ns(), epoch=epoch, reason=reason))

    def note(self, record: Record) -> None:
        self.records.append(record)
        self._news.set()
        self._news = trio.Event()
        self.hook(record)

    async def lost(self, count: int) -> None:
        """Wait until so many sockets are gone, or were not to be had."""
        while len(self.downs()) < count:
            await self._news.wait()

    def now_s(self) -> float:
        return self.clock.now_ns() / 1e9

    def said(self) -> list[tuple[Any, ...]]:
        """The records, short."""
        rows = {
            Connected: lambda it: ("up", it.epoch),
            Frame: lambda it: ("frame", it.text),
            Disconnected: lambda it: ("down", it.epoch, str(it.reason)),
        }
        return [rows[type(record)](record) for record in self.records]

    def downs(self) -> list[Disconnected]:
        return [record for record in self.records if isinstance(record, Disconnected)]


# ------------------------------------------------------------------------------------------------------------- records


async def test_a_socket_becomes_records_in_order_each_with_its_time(autojump_clock: MockClock) -> None:
    stage = Stage(partial(talk, seconds=2), stay)
    async with stage.running():
        await trio.sleep(2.25)
    frames = [("frame", word) for word in ("hello", "more", "more")]
    assert stage.said()[:5] == [("up", 1), *frames, ("down", 1, "closed")]
    assert [round(it.at_ns / 1e9, 3) for it in stage.records[:5]] == [0, 0, 1, 2, 2]


async def test_the_subscription_is_the_first_frame_and_names_both_tokens(autojump_clock: MockClock) -> None:
    first: list[dict[str, Any]] = []

    async def listen(peer: RawPeer) -> None:
        first.append(json.loads(await peer.subscribed()))

    stage = Stage(listen, stay)
    async with stage.running():
        await trio.sleep(0.1)
    assert first[0]["assets_ids"] == [UP, DOWN]
    assert first[0]["type"] == "market"


async def test_a_frame_that_comes_with_the_handshake_does_not_overtake_the_connect(autojump_clock: MockClock) -> None:
    async def hasty(peer: RawPeer) -> None:
        await peer.accept(text("first") + text("second"))
        await peer.read_all()

    for _ in range(8):  # who wakes up first is random
        stage = Stage(hasty)
        async with stage.running():
            await trio.sleep(0.1)
        assert stage.said() == [("up", 1), ("frame", "first"), ("frame", "second")]


@pytest.mark.parametrize("at", [Connected, Frame])
async def test_a_bug_of_whoever_listens_leaves(autojump_clock: MockClock, at: type[Record]) -> None:
    stage = Stage(stay)

    def buggy(record: Record) -> None:
        if type(record) is at:
            raise ZeroDivisionError("planted")

    stage.hook = buggy
    with pytest.RaisesGroup(pytest.RaisesExc(ZeroDivisionError, match="planted"), flatten_subgroups=True):
        async with stage.running():
            await trio.sleep(10)
    assert stage.downs() == []


# ------------------------------------------------------------------------------------------------------------- epochs


async def test_epochs_count_sockets_not_attempts(autojump_clock: MockClock) -> None:
    stage = Stage(NOBODY, refuse("503 Service Unavailable"), hang_up_with(1001), NOBODY, NOBODY, stay)
    async with stage.running():
        await trio.sleep(100)
    assert stage.said()[:8] == [
        ("down", 1, "refused"),
        ("down", 1, "handshake"),
        ("up", 1),
        ("frame", "hello"),
        ("down", 1, "closed"),
        ("down", 2, "refused"),
        ("down", 2, "refused"),
        ("up", 2),
    ]


async def test_epochs_go_on_from_the_first_one_given(autojump_clock: MockClock) -> None:
    stage = Stage(hang_up_with(1000), stay)
    async with stage.running(first_epoch=7):
        await trio.sleep(5)
    assert [row for row in stage.said() if row[0] != "frame"] == [("up", 7), ("down", 7, "closed"), ("up", 8)]


# ------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("peer", "reason", "after_s"),
    [
        (NOBODY, FaultKind.REFUSED, 0.0),
        (freeze, FaultKind.STALE, FEED.first_event_s),
        (stay, FaultKind.HALF_OPEN, FEED.pong_within_s),
        (hang_up_with(1000), FaultKind.CLOSED, 0.0),
        (hang_up_with(1009), FaultKind.OVERSIZE, 0.0),
        (refuse("403 Forbidden"), FaultKind.BLOCKED, 0.0),
        (refuse("429 Too Many Requests"), FaultKind.RATE_LIMITED, 0.0),
        (refuse("502 Bad Gateway"), FaultKind.HANDSHAKE, 0.0),
    ],
)
async def test_every_fault_is_a_record_with_its_kind(
    autojump_clock: MockClock, peer: Script | None, reason: FaultKind, after_s: float
) -> None:
    stage = Stage(peer)
    async with stage.running():
        await trio.sleep(after_s + 1.5)
    first = stage.downs()[0]
    assert first.reason == reason
    # Leaving politely may take close_s.
    assert after_s <= first.at_ns / 1e9 <= after_s + FEED.close_s


async def test_what_was_lost_is_logged_with_class_code_and_wait(autojump_clock: MockClock) -> None:
    with structlog.testing.capture_logs() as logs:
        stage = Stage(hang_up_with(1012, "restart"), NOBODY)
        async with stage.running():
            await trio.sleep(0.6)
    up, closed, refused = logs[:3]
    assert (up["event"], up["epoch"], up["log_level"]) == ("feed.connected", 1, "info")
    assert (closed["event"], closed["log_level"], closed["epoch"]) == ("feed.lost", "warning", 1)
    assert (closed["error_type"], closed["error"], closed["close_code"]) == ("closed", "restart", 1012)
    assert 0 <= closed["backoff_ms"] <= 500
    assert (refused["error_type"], refused["epoch"]) == ("refused", 2)
    assert "close_code" not in refused


# ------------------------------------------------------------------------------------------------------------ back-off


def waits(stage: Stage) -> list[float]:
    """Seconds from each loss to the next attempt."""
    return [at_s - down.at_ns / 1e9 for down, at_s in zip(stage.downs(), stage.dialled_s[1:], strict=False)]


async def test_it_never_gives_up_and_waits_longer_and_longer_up_to_the_cap(autojump_clock: MockClock) -> None:
    stage = Stage(NOBODY)
    async with stage.running():
        await trio.sleep(3600)
    caps = [min(FEED.backoff_cap_s, FEED.backoff_base_s * 2.0**number) for number in range(len(waits(stage)))]
    assert all(0.0 <= wait_s <= cap_s for wait_s, cap_s in zip(waits(stage), caps, strict=True))
    assert len(stage.downs()) > 3600 / FEED.backoff_cap_s
    assert max(waits(stage)) > FEED.backoff_cap_s / 2


async def test_a_peer_who_accepts_and_freezes_meets_no_hot_loop(autojump_clock: MockClock) -> None:
    stage = Stage(freeze)
    async with stage.running():
        await trio.sleep(3600)
    assert max(waits(stage)[6:]) > FEED.backoff_cap_s / 2, "connecting is no success"
    assert len(stage.dialled_s) < 3600 / 5


@pytest.mark.parametrize(("seconds", "short"), [(29, False), (31, True)])
async def test_only_a_session_that_delivered_for_long_makes_waits_short_again(
    autojump_clock: MockClock, seconds: int, short: bool
) -> None:
    failures = 8
    stage = Stage(*[NOBODY] * failures, partial(talk, seconds=seconds), NOBODY)
    spans: list[float] = []
    next_delay_s = stage.reconnector._backoff.next_delay_s

    def spy(fault: FeedFault) -> float:
        spans.append(0.5 * 2.0**stage.reconnector._backoff._attempt)
        return next_delay_s(fault)

    stage.reconnector._backoff.next_delay_s = spy  # type: ignore[method-assign]
    async with stage.running():
        await stage.lost(failures + 1)
    assert (spans[failures] == 0.5) is short


async def test_a_pong_is_no_delivery(autojump_clock: MockClock) -> None:
    async def chatter(peer: RawPeer) -> None:
        await peer.subscribed(text("hello"))
        while True:
            await trio.sleep(5)
            await peer.send(text("PONG"))

    stage = Stage(*[NOBODY] * 4, chatter, NOBODY)
    async with stage.running():
        await stage.lost(5)
    assert stage.downs()[4].reason == FaultKind.STALE
    assert stage.reconnector._backoff._attempt == 5


@pytest.mark.parametrize("status", ["403 Forbidden", "429 Too Many Requests"])
async def test_who_is_told_off_is_left_alone_for_a_minute(autojump_clock: MockClock, status: str) -> None:
    stage = Stage(refuse(status))
    async with stage.running():
        await trio.sleep(600)
    assert all(60.0 <= wait_s <= 900.0 for wait_s in waits(stage))
    assert 1 < len(stage.dialled_s) <= 10


@pytest.mark.parametrize(("status", "passes"), [("429 Too Many Requests", False), ("403 Forbidden", True)])
async def test_a_rate_limit_holds_for_every_loop_of_the_process(
    autojump_clock: MockClock, status: str, passes: bool
) -> None:
    stage = Stage(refuse(status, "Retry-After: 120"))
    passed_s: list[float] = []

    async def another() -> None:
        await trio.sleep(1)
        await stage.limiter.acquire()
        passed_s.append(stage.now_s())

    async with stage.running():
        assert stage._nursery is not None
        stage._nursery.start_soon(another)
        await trio.sleep(100)
        assert bool(passed_s) is passes
        await trio.sleep(900)
    assert passed_s
    assert stage.dialled_s[1] >= 120


async def test_attempts_pass_the_limiter(autojump_clock: MockClock) -> None:
    stage = Stage(stay)
    stage.limiter.pause(30)
    async with stage.running():
        await trio.sleep(29)
        assert stage.dialled_s == []
        await trio.sleep(2)
    assert stage.dialled_s == [30.0]


# ------------------------------------------------------------------------------------------------------------- hang up


async def test_hanging_up_ends_the_socket_at_once_with_a_close_and_opens_another(autojump_clock: MockClock) -> None:
    closed: list[int] = []

    async def polite(peer: RawPeer) -> None:
        await peer.subscribed(text("hello"))
        opcode, _ = await peer.read_frame()
        closed.append(opcode)
        await peer.send(close(1000))

    stage = Stage(polite, stay)
    async with stage.running():
        await trio.sleep(3)
        with structlog.testing.capture_logs() as logs:
            stage.reconnector.hang_up(FaultKind.RESYNC, "book crossed")
            await trio.sleep(2)
    assert closed == [CLOSE]
    assert stage.said()[2:4] == [("down", 1, "resync"), ("up", 2)]
    assert stage.downs()[0].at_ns == 3 * 10**9
    assert (logs[0]["error_type"], logs[0]["error"]) == ("resync", "book crossed")


async def test_a_peer_that_does_not_answer_the_close_delays_it_by_no_more_than_close_s(
    autojump_clock: MockClock,
) -> None:
    stage = Stage(stay)
    async with stage.running():
        await trio.sleep(3)
        for _ in range(5):
            stage.reconnector.hang_up(FaultKind.RESYNC, "again and again")
            await trio.sleep(0.1)
        await trio.sleep(5)
    assert [(it.reason, it.epoch) for it in stage.downs()] == [("resync", 1)], "one socket, one end"
    assert stage.downs()[0].at_ns <= (3 + FEED.close_s) * 10**9


async def test_hanging_up_where_there_is_no_socket_does_nothing(autojump_clock: MockClock) -> None:
    async def silent(peer: RawPeer) -> None:
        await trio.sleep_forever()

    stage = Stage(silent, partial(talk, seconds=100))
    stage.reconnector.hang_up(FaultKind.RESYNC, "before the beginning")
    async with stage.running():
        await trio.sleep(4)
        stage.reconnector.hang_up(FaultKind.RESYNC, "in the middle of the handshake")
        await stage.lost(1)
        stage.reconnector.hang_up(FaultKind.RESYNC, "while waiting")
        await trio.sleep(60)
    assert stage.said()[:2] == [("down", 1, "connect_timeout"), ("up", 1)]
    assert len(stage.downs()) == 1, "the second socket was not touched"
    assert stage.downs()[0].at_ns == FEED.connect_s * 10**9


@pytest.mark.parametrize("attempt", range(8))
async def test_a_socket_that_ends_by_itself_while_it_is_hung_up_ends_once(
    autojump_clock: MockClock, attempt: int
) -> None:
    async def leave(peer: RawPeer) -> None:
        await peer.subscribed(text("hello"))
        await trio.sleep(3)
        await peer.send(close(1001, "leaving"))
        await peer.read_all()

    stage = Stage(leave, partial(talk, seconds=100))

    async with stage.running():
        await trio.sleep(3)
        for _ in range(attempt):
            await trio.lowlevel.checkpoint()
        stage.reconnector.hang_up(FaultKind.RESYNC, "at the same time")
        await trio.sleep(60)
    assert [it.epoch for it in stage.downs()] == [1]
    assert stage.downs()[0].reason in (FaultKind.CLOSED, FaultKind.RESYNC)
    assert stage.said()[3] == ("up", 2)


# -------------------------------------------------------------------------------------------------------- cancellation


async def test_cancelling_says_goodbye_and_leaves_no_record(autojump_clock: MockClock) -> None:
    opcodes: list[int] = []

    async def polite(peer: RawPeer) -> None:
        await peer.subscribed(text("hello"))
        opcode, _ = await peer.read_frame()
        opcodes.append(opcode)
        await peer.send(close(1000))

    stage = Stage(polite)
    async with stage.running() as scope:
        await trio.sleep(1)
        scope.cancel()
        await trio.sleep(0.5)
    assert opcodes == [CLOSE]
    assert stage.said() == [("up", 1), ("frame", "hello")]


@pytest.mark.parametrize("peer", [NOBODY, freeze, refuse("429 Too Many Requests")])
@pytest.mark.parametrize("seconds", [0.0, 0.25, 6.0])
async def test_it_can_be_cancelled_at_any_time(autojump_clock: MockClock, peer: Script | None, seconds: float) -> None:
    stage = Stage(peer)
    before = trio.lowlevel.current_statistics().tasks_living
    async with stage.running() as scope:
        await trio.sleep(seconds)
        scope.cancel()
        await trio.sleep(FEED.close_s + 0.1)
        attempts = len(stage.dialled_s)
        await trio.sleep(100)
        assert len(stage.dialled_s) == attempts
    assert trio.lowlevel.current_statistics().tasks_living == before


def test_the_sessions_limits_are_the_feeds() -> None:
    feed = evolve(FEED, connect_s=1.5, close_s=0.5, ping_every_s=7, pong_within_s=8, first_event_s=3, idle_s=9)
    limits = session_limits(evolve(feed, message_bytes=5000))
    for name in ("connect_s", "close_s", "ping_every_s", "pong_within_s", "first_event_s", "idle_s"):
        assert getattr(limits, name) == getattr(feed, name)
    assert limits.message_bytes == 5000
