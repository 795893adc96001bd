"""The transport that websockets provides: its protocol without its I/O, on a stream of trio's.

The one module that imports websockets, which only the extra of that name brings.
"""

from collections.abc import Callable, Sequence
from logging import Logger, getLogger
from typing import Final, NoReturn

import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI

from actors.dial import Address
from actors.faults import FeedFault
from actors.guard import UpgradeReply, broken_upgrade, too_many_frames
from actors.readable import as_readable
from actors.transport import (
    ABNORMAL_CLOSURE,
    BATCH_MESSAGES,
    INVALID_DATA,
    NORMAL_CLOSURE,
    Take,
    fault_of_close,
    fault_of_error,
)

_TEXT: Final = Opcode.TEXT
_BROKEN: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


def _silent() -> Logger:
    """A logger that keeps to itself what peers say, whatever the levels of others are."""
    logger = getLogger(__name__)
    logger.disabled = True
    return logger


def _nobody(_: Sequence[str]) -> None:
    """Takes what comes for a subscription that is not there."""


class WebsocketsTransport:
    """A client's connection."""

    def __init__(
        self, stream: trio.abc.Stream, address: Address, user_agent: str, *, message_bytes: int, message_frames: int
    ) -> None:
        path, _, query = address.resource.partition("?")
        uri = WebSocketURI(address.secure, address.host, address.port, path, query)
        self.received = self.binary_ignored = 0
        self.began: float | None = None
        self._stream, self._source = stream, as_readable(stream)
        self._user_agent = user_agent
        self._protocol = ClientProtocol(uri, max_size=message_bytes, logger=_silent())
        self._message_frames = message_frames
        self._frames = 0
        self._parts: list[bytes | bytearray | memoryview] = []
        self._fragmented, self._unfinished = Opcode.TEXT, False
        self._verdict: FeedFault | None = None
        self._sending = trio.Lock()

    async def listen(self, first_frame: str, opened: Callable[[], None], take: Take) -> NoReturn:
        """See ``Transport``."""
        try:
            behind = await self._upgrade()
            try:
                await self.send(first_frame)
                opened()
            except FeedFault:
                take = _nobody  # a peer that cannot be told may have said why: that comes next
            await self._hear(behind or None, take)
        except _BROKEN as error:
            raise self._fault_of(error) from error
        raise self._fault()

    async def send(self, text: str) -> None:
        """See ``Transport``."""
        try:
            self._protocol.send_text(text.encode())
            await self._write(self._protocol.data_to_send())
        except (InvalidState, *_BROKEN) as error:
            raise self._fault_of(error) from error

    async def close(self) -> None:
        """See ``Transport``."""
        try:
            self._protocol.send_close(NORMAL_CLOSURE)
            await self._write(self._protocol.data_to_send())
        except (InvalidState, *_BROKEN) as error:
            raise self._fault_of(error) from error

    async def _upgrade(self) -> bytes:
        """Returns what came behind the reply."""
        protocol, reply, behind = self._protocol, UpgradeReply(), b""
        request = protocol.connect()
        request.headers["User-Agent"] = self._user_agent
        protocol.send_request(request)
        try:
            await self._write(protocol.data_to_send())
            while not reply.complete:
                data = await self._source.receive_some()
                self.received += len(data)
                behind = reply.receive(data)
                protocol.receive_data(data[: len(data) - len(behind)])
                if protocol.handshake_exc is not None:
                    raise fault_of_error(protocol.handshake_exc, live=False)
        except trio.BrokenResourceError as error:
            raise broken_upgrade(error) from error
        protocol.events_received()  # the reply
        return behind

    async def _hear(self, data: bytes | bytearray | None, take: Take) -> None:
        """Hands over what comes, beginning with `data`, and answers, until the protocol is over."""
        source, protocol = self._source, self._protocol
        while True:
            if data is not None:
                if data:
                    protocol.receive_data(data)
                else:
                    protocol.receive_eof()
                frames: list[Frame] = protocol.events_received()  # type: ignore[assignment] # the reply is behind us
                texts = self._texts_in(frames)
                self.began = self._beginning(texts) if protocol.reader.buffer or self._unfinished else None
                if len(texts) > BATCH_MESSAGES:
                    await self._take_in_batches(texts, take)
                elif texts:
                    take(texts)
                # Of texts alone nothing follows: no answer, no end.
                if len(texts) < len(frames) or not data or protocol.parser_exc is not None:
                    await self._write(protocol.data_to_send())
                    if self._over:
                        return
                del frames, texts
            data = None  # nothing is held on to while nothing comes
            await source.readable()
            data = source.receive_nowait()
            self.received += len(data or b"")

    @property
    def _over(self) -> bool:
        protocol = self._protocol
        return self._verdict is not None or protocol.close_rcvd is not None or protocol.parser_exc is not None

    def _beginning(self, texts: list[str]) -> float:
        """When the message under way began; what is behind a text cannot have come earlier."""
        return trio.current_time() if texts or self.began is None else self.began

    async def _take_in_batches(self, texts: list[str], take: Take) -> None:
        for start in range(0, len(texts), BATCH_MESSAGES):
            take(texts[start : start + BATCH_MESSAGES])
            await trio.lowlevel.checkpoint()

    def _texts_in(self, frames: Sequence[Frame]) -> list[str]:
        """The text messages that these frames complete, up to what is no text or one frame too many."""
        texts: list[str] = []
        try:
            for frame in frames:
                if frame.opcode is _TEXT and frame.fin:
                    texts.append(str(frame.data, "utf-8"))
                    self._frames = 0
                elif self._frames < self._message_frames:
                    self._frames += 1
                    if frame.opcode <= Opcode.BINARY:
                        self._assemble(frame, texts)
                else:
                    self._verdict = too_many_frames(self._message_frames)
                    break
        except UnicodeDecodeError as error:
            self._verdict = fault_of_close(INVALID_DATA, str(error))
            self._protocol.fail(INVALID_DATA, error.reason)
        return texts

    def _assemble(self, frame: Frame, texts: list[str]) -> None:
        if frame.opcode is not Opcode.CONT:
            self._fragmented = frame.opcode
        if self._fragmented is Opcode.TEXT:
            self._parts.append(frame.data)
        self._unfinished = not frame.fin
        if frame.fin:
            self._frames = 0
            if self._fragmented is Opcode.TEXT:
                parts, self._parts = self._parts, []
                texts.append(str(b"".join(parts), "utf-8"))
            else:
                self.binary_ignored += 1

    async def _write(self, data: list[bytes]) -> None:
        """Sends what the protocol wrote, in the order of the calls."""
        # The protocol marks with an empty string where to half-close; here the session closes all of the stream.
        if any(data):
            async with self._sending:
                await self._stream.send_all(b"".join(data))

    def _fault(self) -> FeedFault:
        """Why the protocol is over."""
        error, sent, received = self._protocol.parser_exc, self._protocol.close_sent, self._protocol.close_rcvd
        if self._verdict is not None:
            return self._verdict
        if error is not None and sent is not None:
            return fault_of_close(sent.code, str(error))
        if error is None and received is not None:
            return fault_of_close(received.code, received.reason)
        return fault_of_close(ABNORMAL_CLOSURE)

    def _fault_of(self, error: Exception) -> FeedFault:
        if isinstance(error, InvalidState | trio.BrokenResourceError | trio.ClosedResourceError):
            return self._fault()
        return fault_of_error(error, live=self._protocol.state is not State.CONNECTING)
