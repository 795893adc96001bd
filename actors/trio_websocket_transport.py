"""The transport that trio-websocket provides, held by as few of its private parts as do.

The library moves every message through a channel to another task, which costs as much as all of its parsing. Here its
reader runs in the session's own task, collects what it has understood, and hands that over when it asks for more bytes.
The parts relied upon: ``_reader_task``, ``_handle_accept_connection_event`` and ``_handle_message_event``.
"""

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Final, NoReturn, cast

import h11
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import AcceptConnection, BytesMessage, Event, TextMessage
from wsproto.utilities import ProtocolError

from actors.dial import Address
from actors.faults import FeedFault
from actors.guard import FrameMeter, GuardedStream
from actors.transport import ABNORMAL_CLOSURE, BATCH_MESSAGES, Take, fault_of_close, fault_of_error

# What can leave the library because of the peer. Some are there for streams and versions that we have not met.
_PEER_FAULTS: Final = (
    ConnectionClosed,
    HandshakeError,
    ProtocolError,
    h11.ProtocolError,
    UnicodeError,  # wsproto decodes header values as ASCII
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


class _Protocol(WSConnection):
    """A client's protocol that can forget how it was upgraded to, which is half of its memory."""

    def __init__(self) -> None:
        super().__init__(ConnectionType.CLIENT)
        self._upgraded: Connection | None = None

    def forget_upgrade(self) -> None:
        """To be called once, when there is a connection."""
        self._upgraded = self.connection
        del self.handshake

    def events(self) -> Generator[Event, None, None]:
        """As of any connection."""
        return super().events() if self._upgraded is None else self._upgraded.events()


class TrioWebsocketTransport(WebSocketConnection):
    """A client's connection, made as ``wrap_client_stream`` makes one but for its reader."""

    # Together with the library's they would be too many for the compact form that Python has for attributes.
    __slots__ = (
        "_closing",
        "_first_frame",
        "_guard",
        "_live",
        "_meter",
        "_opened",
        "_parts",
        "_protocol",
        "_take",
        "_texts",
        "_upgraded",
        "binary_ignored",
    )

    def __init__(
        self, stream: trio.abc.Stream, address: Address, user_agent: str, *, message_bytes: int, message_frames: int
    ) -> None:
        self._meter = FrameMeter(message_bytes=message_bytes, message_frames=message_frames)
        self._guard = GuardedStream(stream, self._meter, self._before_more)
        self._protocol = _Protocol()
        super().__init__(
            cast(Any, self._guard),  # annotated for sockets, documented and built for any stream
            self._protocol,
            host=address.host_header,
            path=address.resource,
            client_extra_headers=[(b"User-Agent", user_agent.encode("ascii"))],
            max_message_size=message_bytes,
            receive_buffer_size=None,
        )
        self.binary_ignored = 0
        self._texts: list[str] = []
        self._parts: list[str] = []
        self._upgraded = self._live = self._closing = False

    @property
    def received(self) -> int:
        """See ``Transport``."""
        return self._guard.received

    @property
    def began(self) -> float | None:
        """See ``Transport``."""
        return self._meter.began

    async def listen(self, first_frame: str, opened: Callable[[], None], take: Take) -> NoReturn:
        """See ``Transport``."""
        self._first_frame, self._opened, self._take = first_frame, opened, take
        try:
            await self._reader_task()
        except _PEER_FAULTS as error:
            raise self._fault_of(error) from error
        finally:
            self._hand_over()
        raise self._fault_of(ConnectionClosed(self.closed))

    async def send(self, text: str) -> None:
        """See ``Transport``."""
        try:
            await self.send_message(text)
        except _PEER_FAULTS as error:
            raise self._fault_of(error) from error

    async def close(self) -> None:
        """See ``Transport``."""
        if self.closed is None:
            self._closing = True
            await self.aclose()

    def _before_more(self) -> None:
        self._hand_over()
        if self.closed is not None and not self._closing:
            raise self._fault_of(ConnectionClosed(self.closed))

    def _hand_over(self) -> None:
        if self._texts and self._live:
            texts, self._texts = self._texts, []
            self._take(texts)

    async def _handle_accept_connection_event(self, event: AcceptConnection) -> None:
        await super()._handle_accept_connection_event(event)
        self._protocol.forget_upgrade()
        self._upgraded = True
        # A peer that cannot be told may have said why: that comes with the next event.
        with suppress(ConnectionClosed):
            await self.send_message(self._first_frame)
            self._live = True
            self._opened()

    async def _handle_message_event(self, event: BytesMessage | TextMessage) -> None:
        if isinstance(event, BytesMessage):
            self.binary_ignored += event.message_finished
        elif not event.message_finished:
            self._parts.append(event.data)
        else:
            self._texts.append(self._whole(event.data) if self._parts else event.data)
            if len(self._texts) >= BATCH_MESSAGES:
                self._hand_over()
                await trio.lowlevel.checkpoint()

    def _whole(self, last_part: str) -> str:
        parts, self._parts = self._parts, []
        return "".join(parts) + last_part

    def _fault_of(self, error: BaseException) -> FeedFault:
        if self.closed is not None:
            return fault_of_close(self.closed.code, self.closed.reason or "")
        if isinstance(error, ConnectionClosed):
            return fault_of_close(ABNORMAL_CLOSURE)
        return fault_of_error(error, live=self._upgraded)
