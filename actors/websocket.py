"""One WebSocket session: first frame, messages in batches, heartbeat, deadlines, and an end that is always one fault.

No library's own time-outs can be trusted, trio-websocket's least of all: it waits for ever for a reader that nobody
cancels, leaks `Cancelled` out of scopes that nobody cancelled, and raises whatever h11 and wsproto raise. So a
transport is held in one task, which outlives the caller's block by at most `close_s`, beside another one that keeps
the time; and all that leaves is one `FeedFault`.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn

import trio
from attrs import Attribute, field, frozen
from attrs.validators import gt

from actors.dial import parse_url
from actors.faults import FaultKind, FeedFault
from actors.ports import Dial
from actors.transport import Transport, need_transport
from actors.trio_websocket_transport import TrioWebsocketTransport
from engine.settings import TransportKind

PING: Final = "PING"
PONG: Final = "PONG"

Deliver = Callable[[Sequence[str]], None]
"""Takes a batch of texts, in the order of arrival: at least one, at most ``actors.transport.BATCH_MESSAGES``."""


def _longer_than_ping(limits: "SessionLimits", attribute: "Attribute[float]", value: float) -> None:
    if value <= limits.ping_every_s:
        raise ValueError(f"{attribute.name} must be longer than ping_every_s")


@frozen(kw_only=True)
class SessionLimits:
    """Every lifetime and size of a session. Seconds, bytes, counts; all positive."""

    connect_s: float = field(default=8.0, validator=gt(0))
    """Name look-up, TCP, TLS, upgrade and first frame together."""
    close_s: float = field(default=1.0, validator=gt(0))
    """How long leaving may take, the exchange of Close frames included."""
    ping_every_s: float = field(default=10.0, validator=gt(0))
    pong_within_s: float = field(default=30.0, validator=[gt(0), _longer_than_ping])
    """Longest time without a PONG, then `half_open`."""
    first_event_s: float = field(default=5.0, validator=gt(0))
    """Longest wait for the first message that is not a PONG, then `stale`."""
    idle_s: float = field(default=30.0, validator=gt(0))
    """Longest silence between such messages, then `stale`."""
    message_s: float = field(default=5.0, validator=gt(0))
    """How long a message may take from its first frame to its last, then `protocol`."""
    message_bytes: int = field(default=1 << 20, validator=gt(0))
    """Largest message, in bytes of UTF-8, then `oversize`."""
    message_frames: int = field(default=1024, validator=gt(0))
    """Most frames, control frames included, from one complete message to the next, then `protocol`."""


@frozen(kw_only=True)
class SessionStatistics:
    """What a session has seen so far.

    `messages` are those delivered, `bytes` all that came (after TLS, upgrade included), `span_s` is from the first
    message to the last, `last_message_age_s` is None before the first message.
    """

    messages: int
    bytes: int
    pongs: int
    binary_ignored: int
    span_s: float
    last_message_age_s: float | None


class Session:
    """An open session. Made by `open_session` alone."""

    def __init__(self, deliver: Deliver, opened: Callable[[], None], limits: SessionLimits) -> None:
        self._deliver = deliver
        self._opened = opened
        self._limits = limits
        self._now = trio.lowlevel.current_clock().current_time
        self._settled = trio.Event()
        self._ended = trio.Event()
        self._end: Exception | None = None
        self._transport: Transport | None = None
        self._listening = trio.CancelScope(shield=True)
        self._closing = trio.CancelScope(shield=True)
        self._live = self._used = self._leaving = self._pinging = False
        self._messages = self._pongs = 0
        self._live_at = self._pong_at = self._first_message_at = 0.0
        self._message_at: float | None = None

    async def closed(self) -> NoReturn:
        """Waits for the end of the session and raises it.

        Raises FeedFault; or what `deliver` raised, for that ends a session too.
        """
        await self._ended.wait()
        assert self._end is not None
        raise self._end

    async def send(self, text: str) -> None:
        """Sends one TEXT message. Raises as `closed` does if the session is over."""
        assert self._transport is not None
        if self._end is None:
            try:
                await self._transport.send(text)
            except FeedFault as fault:
                self._finish(fault)
        if self._end is not None:
            await self.closed()

    def statistics(self) -> SessionStatistics:
        """What the session has seen so far."""
        at = self._message_at
        return SessionStatistics(
            messages=self._messages,
            bytes=self._transport.received if self._transport else 0,
            pongs=self._pongs,
            binary_ignored=self._transport.binary_ignored if self._transport else 0,
            span_s=0.0 if at is None else at - self._first_message_at,
            last_message_age_s=None if at is None else trio.current_time() - at,
        )

    def _use(self) -> "Session":
        if not self._live:
            raise self._end or FeedFault(FaultKind.CONNECT_TIMEOUT, f"not connected in {self._limits.connect_s:g} s")
        self._used = True
        return self

    def _raise_bug(self) -> None:
        """A bug of `deliver` or `opened` is raised even if the block never asked how the session ended."""
        if self._end is not None and not isinstance(self._end, FeedFault):
            raise self._end

    async def _listen(self, stream: trio.abc.Stream, transport: Transport, first_frame: str) -> None:
        """The life of the connection. Owns `stream`; ends by `_depart` at the latest, whoever else is cancelled.

        So whoever had the session still gets a Close frame when cancelled.
        """
        self._transport = transport
        try:
            with self._listening:
                await transport.listen(first_frame, self._go_live, self._take)
        except FeedFault as fault:
            self._finish(fault)
        finally:
            self._closing.cancel()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
        self._end = self._end or _left()
        self._ended.set()
        self._settled.set()

    def _go_live(self) -> None:
        self._live = True
        self._live_at = self._pong_at = self._now()
        self._settled.set()
        try:
            self._opened()
        except Exception as error:  # noqa: BLE001 - as of `deliver`
            self._finish(error)

    def _take(self, texts: Sequence[str]) -> None:
        if self._leaving or self._end is not None:
            return
        if PONG in texts:
            texts = self._without_pongs(texts)
            if not texts:
                return
        now = self._now()
        if self._message_at is None:
            self._first_message_at = now
        self._message_at = now
        self._messages += len(texts)
        try:
            self._deliver(texts)
        except Exception as error:  # noqa: BLE001 - the caller's bug must not pass for the peer's fault
            self._finish(error)

    def _without_pongs(self, texts: Sequence[str]) -> Sequence[str]:
        others = [text for text in texts if text != PONG]
        self._pongs += len(texts) - len(others)
        self._pong_at = trio.current_time()
        return others

    def _finish(self, end: Exception) -> None:
        """Ends the session, and this is why, unless it has ended already."""
        self._end = self._end or (_left() if self._leaving else end)
        self._listening.cancel()

    async def _keep(self, nursery: trio.Nursery) -> None:
        """Keeps the time: pings when it is time for one, ends a session whose time is up."""
        ping_at = self._live_at + self._limits.ping_every_s
        while self._end is None:
            at, kind, what = min(self._deadlines())
            now = trio.current_time()
            if now >= at:
                self._finish(FeedFault(kind, what))
                break
            if now >= ping_at:
                ping_at = now + self._limits.ping_every_s
                if not self._pinging:
                    nursery.start_soon(self._ping)
            # A message may begin while we sleep; its own deadline is at least message_s away from now.
            await trio.sleep_until(min(at, ping_at, now + self._limits.message_s))

    async def _ping(self) -> None:
        """In a task of its own, since a peer that does not read makes it wait."""
        assert self._transport is not None
        self._pinging = True
        try:
            await self._transport.send(PING)
        except FeedFault as fault:
            self._finish(fault)
        self._pinging = False

    def _deadlines(self) -> Iterator[tuple[float, FaultKind, str]]:
        limits = self._limits
        yield self._pong_at + limits.pong_within_s, FaultKind.HALF_OPEN, f"no PONG in {limits.pong_within_s:g} s"
        if self._message_at is None:
            yield self._live_at + limits.first_event_s, FaultKind.STALE, f"no message in {limits.first_event_s:g} s"
        else:
            yield self._message_at + limits.idle_s, FaultKind.STALE, f"silent for {limits.idle_s:g} s"
        began = self._transport.began if self._transport else None
        if began is not None:
            yield began + limits.message_s, FaultKind.PROTOCOL, f"a message unfinished after {limits.message_s:g} s"

    async def _depart(self) -> None:
        """Leaves with a Close frame, in time, whoever is cancelled."""
        self._leaving = True
        if self._used and not self._ended.is_set():
            assert self._transport is not None
            self._closing.deadline = trio.current_time() + self._limits.close_s
            with self._closing, suppress(FeedFault):
                await self._transport.close()
                await self._ended.wait()
        self._listening.cancel()


@asynccontextmanager
async def open_session(
    url: str,
    first_frame: str,
    deliver: Deliver,
    *,
    opened: Callable[[], None] = lambda: None,
    limits: SessionLimits,
    dial: Dial,
    user_agent: str = "updown",
    transport: TransportKind = TransportKind.TRIO_WEBSOCKET,
) -> AsyncIterator[Session]:
    """Connects to `url`, sends `first_frame` before anything else, and hands all later TEXT messages to `deliver`.

    `deliver` gets them in batches, in the order of arrival, from the only task that reads: all that one wake-up brought
    and no more than `actors.transport.BATCH_MESSAGES` at once. It must not block. PONG texts and binary messages are
    counted, not delivered. The text PING begins `ping_every_s` after the first frame. `opened` is called, by the same
    task, when the first frame is out and before anything is delivered.

    A session that ends does not cancel the block: `Session.closed` and `Session.send` tell. Leaving the block, for
    whatever reason, sends a Close frame and takes at most `close_s`.

    Raises FeedFault if the session cannot be had: what `dial` raises, `connect_timeout`, `blocked`, `rate_limited`,
    `handshake`. Because of the peer, nothing but FeedFault ever leaves. An exception of the block, of `deliver` or of
    `opened` leaves unchanged; a FeedFault of those two ends the session as if the peer had been the cause. ValueError
    for a URL or user agent that cannot be sent, SettingsError for a transport that is not installed.
    """
    address = parse_url(url, allow_plain=True)  # whether plain is allowed is for the dial to say
    if not (user_agent.isascii() and user_agent.isprintable()):
        raise ValueError("a user agent is printable ASCII")
    new_transport = _TRANSPORTS[transport]()
    session = Session(deliver, opened, limits)
    try:
        async with trio.open_nursery() as nursery:
            try:
                with trio.move_on_after(limits.connect_s):
                    stream = await dial(url)
                    connection = new_transport(
                        stream,
                        address,
                        user_agent,
                        message_bytes=limits.message_bytes,
                        message_frames=limits.message_frames,
                    )
                    nursery.start_soon(session._listen, stream, connection, first_frame)
                    await session._settled.wait()
                nursery.start_soon(session._use()._keep, nursery)
                yield session
            finally:
                await session._depart()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        _raise_alone(group)
    session._raise_bug()


def _websockets() -> Callable[..., Transport]:
    need_transport(TransportKind.WEBSOCKETS)
    from actors.websockets_transport import WebsocketsTransport  # noqa: PLC0415 - only where it was asked for

    return WebsocketsTransport


_TRANSPORTS: Final[Mapping[TransportKind, Callable[[], Callable[..., Transport]]]] = {
    TransportKind.TRIO_WEBSOCKET: lambda: TrioWebsocketTransport,
    TransportKind.WEBSOCKETS: _websockets,
}


def _left() -> FeedFault:
    return FeedFault(FaultKind.CLOSED, "the session was left")


def _raise_alone(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raises the only exception of the nursery as the block raised it, or the group if there are several."""
    errors = [error for error in group.exceptions if not isinstance(error, trio.Cancelled)] or group.exceptions[:1]
    error = errors[0] if len(errors) == 1 else group
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
