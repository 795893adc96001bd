"""TLS over any stream: all that one receive brought is decrypted at once.

``trio.SSLStream`` hands out one record for each call, with its own turn of the scheduler, and a venue puts each message
into a record of its own. Otherwise this is the same client, as patient with peers that hang up without saying so as
HTTPS clients are: WebSocket has a Close frame of its own.
"""

import ssl
from collections.abc import Awaitable, Iterator
from typing import Final

import trio

from actors.readable import PIECE_BYTES, ReadableStream, as_readable

SLICE_BYTES: Final = 4 * 1024
"""Most bytes given to OpenSSL in one go: its buffer grows with them and never shrinks, for each connection."""


class TlsStream(ReadableStream, trio.abc.Stream):
    """The client's end of a TLS connection over `transport`, which it owns. One task may receive while others send."""

    def __init__(self, transport: trio.abc.Stream, context: ssl.SSLContext, *, host: str) -> None:
        self._transport, self._source = transport, as_readable(transport)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._sending = trio.Lock()
        self._rest: bytes | None = None  # what was decrypted and not taken yet; empty for good at the end
        self._over = False
        self._send_error: BaseException | None = None
        self._receive_error: BaseException | None = None

    def version(self) -> str | None:
        """The protocol agreed upon, as ``ssl`` calls it."""
        return self._tls.version()

    async def do_handshake(self) -> None:
        """Agrees with the peer, whose certificate and name are checked as the context says.

        Raises trio.BrokenResourceError, because of an ``ssl.SSLError`` unless the transport itself broke.
        """
        while not self._shakes_hands():
            await self._flush()
            data = await self._source.receive_some()
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
        await self._flush()
        if self._incoming.pending:  # the peer said more than good day
            self._rest = self._decrypted(self._incoming.read())

    def _shakes_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise trio.BrokenResourceError("no TLS handshake") from error
        return True

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._transport.send_all(self._outgoing.read())

    def readable(self) -> Awaitable[object]:
        """See ``ReadableStream``."""
        if self._rest is None:
            return self._source.readable()
        return trio.lowlevel.checkpoint()  # noqa: ASYNC105 - whoever asks awaits it

    def receive_nowait(self, max_bytes: int = PIECE_BYTES) -> bytes | bytearray | None:
        """See ``ReadableStream``; ``b""`` for a peer that hung up, whether it said so first or not.

        What TLS itself has to answer (key updates) goes out before the next bytes that are sent, as it may.
        """
        plain, self._rest = self._rest, None
        if plain is None:
            data = self._source.receive_nowait()
            if not data:
                return data
            plain = self._decrypted(data)
        if len(plain) > max_bytes:
            plain, self._rest = plain[:max_bytes], plain[max_bytes:]
        elif self._over:
            self._rest = b""
            if not plain:
                _raise_broken(self._receive_error)
                return plain
        return plain or None

    def _decrypted(self, data: bytes | bytearray) -> bytes:
        """All that can be read once these bytes are there."""
        incoming, tls, records = self._incoming, self._tls, list[bytes]()
        for piece in (data,) if len(data) <= SLICE_BYTES else _slices(data):
            incoming.write(piece)
            size = 0 if self._over else incoming.pending
            try:
                # No more is asked for than there may be: what is made and then cut short leaves holes in the memory.
                while size:
                    record = tls.read(size)
                    if not record:
                        self._over = True
                        break
                    records.append(record)
                    # Of a record that was shorter than that, nothing is left.
                    size = incoming.pending or (tls.pending() if len(record) == size else 0)
            except ssl.SSLWantReadError:
                pass  # the rest of the record is still to come
            except ssl.SSLError as error:
                self._over, self._receive_error, self._send_error = True, error, error
        return records[0] if len(records) == 1 else b"".join(records)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As of any stream; whoever comes while others send has to wait."""
        async with self._sending:
            _raise_broken(self._send_error)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[self._tls.write(rest) :]
                await self._transport.send_all(self._outgoing.read())
            except ssl.SSLError as error:
                self._send_error = error
                _raise_broken(error)
            except BaseException as error:
                self._send_error = error  # nobody knows how much of it was sent
                raise

    async def wait_send_all_might_not_block(self) -> None:
        """As of any stream."""
        async with self._sending:
            await self._transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Closes the transport."""
        await self._transport.aclose()


def _slices(data: bytes | bytearray) -> Iterator[bytes | bytearray]:
    return (data[start : start + SLICE_BYTES] for start in range(0, len(data), SLICE_BYTES))


def _raise_broken(error: BaseException | None) -> None:
    if error is not None:
        raise trio.BrokenResourceError("TLS is broken") from error
