"""One WebSocket session: first frame, complete messages in, heartbeat, deadlines, and an end that is always one fault.

trio-websocket's own time-outs cannot be trusted: it waits for ever for a reader that nobody cancels, leaks `Cancelled`
out of scopes that nobody cancelled, and raises whatever h11 and wsproto raise. So it is held in a nursery of its own,
inside one task that outlives the caller's block by at most `close_s`, and all that leaves it becomes one `FeedFault`.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn, cast

import h11
import trio
from attrs import Attribute, field, frozen
from attrs.validators import ge, gt
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import ProtocolError

from actors.dial import Address, parse_url
from actors.faults import FaultKind, FeedFault
from actors.guard import GuardedStream
from actors.ports import Dial

PING: Final = "PING"
PONG: Final = "PONG"

CLOSE_KINDS: Final = {1002: FaultKind.PROTOCOL, 1007: FaultKind.PROTOCOL, 1009: FaultKind.OVERSIZE}
"""Kinds of fault of WebSocket close codes; every other code is `closed`. The code itself stays on the fault."""

_ABNORMAL_CLOSURE: Final = 1006

# What can leave the library because of the peer. Some are there for streams and versions that we have not met.
_PEER_FAULTS: Final = (
    FeedFault,
    ConnectionClosed,
    HandshakeError,
    ProtocolError,
    h11.ProtocolError,
    UnicodeError,  # wsproto decodes header values as ASCII
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


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
    queue_size: int = field(default=1024, validator=ge(256))
    """Messages the library may hold between its reader and ours."""


@frozen(kw_only=True)
class SessionStatistics:
    """What a session has seen so far.

    `messages` are those delivered, `bytes` all that came (after TLS, upgrade included), `last_message_age_s` is None
    before the first message.
    """

    messages: int
    bytes: int
    pongs: int
    binary_ignored: int
    last_message_age_s: float | None


class Session:
    """An open session. Made by `open_session` alone."""

    def __init__(self, first_frame: str, deliver: Callable[[str], bool], limits: SessionLimits) -> None:
        self._first_frame = first_frame
        self._deliver = deliver
        self._limits = limits
        self._settled = trio.Event()
        self._leave = trio.Event()
        self._ended = trio.Event()
        self._end: Exception | None = None
        self._connection: WebSocketConnection | None = None
        self._guard: GuardedStream | None = None
        self._messages = self._pongs = self._binary_ignored = 0
        self._live_at = self._pong_at = 0.0
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
        assert self._connection is not None
        try:
            await self._connection.send_message(text)
        except (ConnectionClosed, ProtocolError):
            await self.closed()

    def statistics(self) -> SessionStatistics:
        """What the session has seen so far."""
        at = self._message_at
        return SessionStatistics(
            messages=self._messages,
            bytes=self._guard.received if self._guard else 0,
            pongs=self._pongs,
            binary_ignored=self._binary_ignored,
            last_message_age_s=None if at is None else trio.current_time() - at,
        )

    def _raise_unless_live(self) -> None:
        if not self._live:
            raise self._end or FeedFault(FaultKind.CONNECT_TIMEOUT, f"not connected in {self._limits.connect_s:g} s")

    def _raise_bug(self) -> None:
        """A bug of `deliver` is raised even if the block never asked how the session ended."""
        if self._end is not None and not isinstance(self._end, FeedFault):
            raise self._end

    @property
    def _live(self) -> bool:
        return self._connection is not None

    async def _run(self, stream: trio.abc.Stream, address: Address, user_agent: str) -> None:
        """The life of the connection. Owns `stream`; ends by itself once `_leave` is set, whoever else is cancelled."""
        self._guard = guard = GuardedStream(
            stream,
            message_bytes=self._limits.message_bytes,
            message_frames=self._limits.message_frames,
        )
        try:
            await self._hold(guard, address, user_agent)
        except BaseExceptionGroup as group:
            _, bugs = group.split((*_PEER_FAULTS, trio.Cancelled))
            if bugs is not None:
                raise bugs from None
            self._end = self._end or (_left() if self._leave.is_set() else _fault(group, live=self._live))
        finally:
            with trio.CancelScope(shield=True):
                # The library leaves the stream open when the peer closed first.
                await trio.aclose_forcefully(guard)
        self._end = self._end or _left()
        self._ended.set()
        self._settled.set()

    async def _hold(self, guard: GuardedStream, address: Address, user_agent: str) -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as library:
                connection = await wrap_client_stream(
                    library,
                    cast(Any, guard),  # annotated for sockets, documented and built for any stream
                    address.host_header,
                    address.resource,
                    extra_headers=[(b"User-Agent", user_agent.encode("ascii"))],
                    message_queue_size=self._limits.queue_size,
                    max_message_size=self._limits.message_bytes,
                    receive_buffer_size=None,
                )
                await connection.send_message(self._first_frame)
                # From here on a cancelled caller still gets its Close frame: `_leave` ends this task, not Cancelled.
                scope.shield = True
                self._go_live(connection)
                await self._work(connection)
                with trio.move_on_after(self._limits.close_s):
                    await connection.aclose()
                library.cancel_scope.cancel()

    def _go_live(self, connection: WebSocketConnection) -> None:
        self._connection = connection
        self._live_at = self._pong_at = trio.current_time()
        self._settled.set()

    async def _work(self, connection: WebSocketConnection) -> None:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self._read, connection)
            tasks.start_soon(self._ping, connection)
            tasks.start_soon(self._watch)
            await self._leave.wait()
            tasks.cancel_scope.cancel()

    async def _read(self, connection: WebSocketConnection) -> None:
        while not self._leave.is_set():
            message = await connection.get_message()
            if not isinstance(message, str):
                self._binary_ignored += 1
            elif message == PONG:
                self._pongs += 1
                self._pong_at = trio.current_time()
            else:
                self._messages += 1
                self._message_at = trio.current_time()
                self._hand_over(message)

    def _hand_over(self, text: str) -> None:
        try:
            taken = self._deliver(text)
        except Exception as error:  # noqa: BLE001 - the caller's bug must not pass for the peer's fault
            self._end = error
            self._leave.set()
        else:
            if not taken:
                raise FeedFault(FaultKind.RESYNC, "the receiver's queue is full")

    async def _ping(self, connection: WebSocketConnection) -> None:
        while True:
            await trio.sleep(self._limits.ping_every_s)
            await connection.send_message(PING)

    async def _watch(self) -> None:
        while True:
            at, kind, what = min(self._deadlines())
            now = trio.current_time()
            if now >= at:
                raise FeedFault(kind, what)
            # A message may begin while we sleep; its own deadline is at least message_s away from now.
            await trio.sleep_until(min(at, now + self._limits.message_s))

    def _deadlines(self) -> Iterator[tuple[float, FaultKind, str]]:
        limits = self._limits
        yield self._pong_at + limits.pong_within_s, FaultKind.HALF_OPEN, f"no PONG in {limits.pong_within_s:g} s"
        if self._message_at is None:
            yield self._live_at + limits.first_event_s, FaultKind.STALE, f"no message in {limits.first_event_s:g} s"
        else:
            yield self._message_at + limits.idle_s, FaultKind.STALE, f"silent for {limits.idle_s:g} s"
        began = self._guard.meter.began if self._guard else None
        if began is not None:
            yield began + limits.message_s, FaultKind.PROTOCOL, f"a message unfinished after {limits.message_s:g} s"


@asynccontextmanager
async def open_session(
    url: str,
    first_frame: str,
    deliver: Callable[[str], bool],
    *,
    limits: SessionLimits,
    dial: Dial,
    user_agent: str = "updown",
) -> AsyncIterator[Session]:
    """Connects to `url`, sends `first_frame` before anything else, and hands every later TEXT message to `deliver`.

    `deliver` is called in the order of arrival, by the only task that reads; it must not block, and False means that
    its queue is full (`resync`). PONG texts and binary messages are counted, not delivered. The text PING begins
    `ping_every_s` after the first frame.

    A session that ends does not cancel the block: `Session.closed` and `Session.send` tell. Leaving the block, for
    whatever reason, sends a Close frame and takes at most `close_s`.

    Raises FeedFault if the session cannot be had: what `dial` raises, `connect_timeout`, `blocked`, `rate_limited`,
    `handshake`. Because of the peer, nothing but FeedFault ever leaves. An exception of the block, or of `deliver`,
    leaves unchanged. ValueError for a URL or user agent that cannot be sent.
    """
    address = parse_url(url, allow_plain=True)  # whether plain is allowed is for the dial to say
    if not (user_agent.isascii() and user_agent.isprintable()):
        raise ValueError("a user agent is printable ASCII")
    session = Session(first_frame, deliver, limits)
    try:
        async with trio.open_nursery() as nursery:
            try:
                with trio.move_on_after(limits.connect_s):
                    stream = await dial(url)
                    nursery.start_soon(session._run, stream, address, user_agent)
                    await session._settled.wait()
                session._raise_unless_live()
                yield session
            finally:
                session._leave.set()
    except BaseExceptionGroup as group:
        _raise_alone(group)
    session._raise_bug()


def _fault(group: BaseExceptionGroup[BaseException], *, live: bool) -> FeedFault:
    """The fault that says most about what the peer did."""
    leaves = [leaf for leaf in _leaves(group) if not isinstance(leaf, trio.Cancelled)]
    return _translated(min(leaves, key=_says_little), live=live) if leaves else _left()


def _says_little(error: BaseException) -> bool:
    """Whether it is the mere consequence of another error: the library's reader died and its channel closed."""
    return isinstance(error, ConnectionClosed) and error.reason is None


def _translated(error: BaseException, *, live: bool) -> FeedFault:
    if isinstance(error, FeedFault):
        return error
    if isinstance(error, ConnectionClosed):
        return _of_close(error)
    # The library complains of its own attempt to answer; what the peer did wrong is where that began.
    origin = error
    while origin.__context__ is not None:
        origin = origin.__context__
    fault = FeedFault(FaultKind.CLOSED if live else FaultKind.HANDSHAKE, f"{type(origin).__name__}: {origin}")
    fault.__cause__ = error
    return fault


def _of_close(closed: ConnectionClosed) -> FeedFault:
    code, words = (closed.reason.code, closed.reason.reason) if closed.reason else (_ABNORMAL_CLOSURE, None)
    kind = CLOSE_KINDS.get(code, FaultKind.CLOSED)
    return FeedFault(kind, words or "", close_code=int(code))


def _left() -> FeedFault:
    return FeedFault(FaultKind.CLOSED, "the session was left")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _raise_alone(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raises the only exception of the nursery as the block raised it, or the group if there are several."""
    error = group.exceptions[0] if len(group.exceptions) == 1 else group
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
