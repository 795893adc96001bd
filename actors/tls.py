"""TLS over any stream: all that one receive brought is decrypted at once.

``trio.SSLStream`` hands out one record for each call, with its own turn of the scheduler, and a venue puts each message
into a record of its own. Otherwise this is the same client, as patient with peers that hang up without saying so as
HTTPS clients are: WebSocket has a Close frame of its own.
"""

import ssl
from typing import Final

import trio

RECORD_BYTES: Final = 16 * 1024
"""Most plaintext bytes in one record (RFC 8446, 5.1)."""

SLICE_BYTES: Final = 4 * 1024
"""Most bytes given to OpenSSL in one go: its buffer grows with them and never shrinks, for each connection."""


class TlsStream(trio.abc.Stream):
    """The client's end of a TLS connection over `transport`, which it owns. One task may receive while others send."""

    def __init__(self, transport: trio.abc.Stream, context: ssl.SSLContext, *, host: str) -> None:
        self._transport = transport
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._sending = trio.Lock()
        self._records = b""
        self._ended = False
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
            data = await self._transport.receive_some()
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
        await self._flush()

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

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As of any stream; ``b""`` for a peer that hung up, whether it said so first or not.

        What TLS itself has to answer (key updates) goes out before the next bytes that are sent, as it may.
        """
        if self._records or self._incoming.pending:
            await trio.lowlevel.checkpoint()
            self._decrypt(b"")
        while not self._records:
            _raise_broken(self._receive_error)
            data = b"" if self._ended else await self._transport.receive_some()
            if not data:
                return b""
            self._decrypt(data)
        if max_bytes is None:
            records, self._records = self._records, b""
        else:
            records, self._records = self._records[:max_bytes], self._records[max_bytes:]
        return records

    def _decrypt(self, data: bytes | bytearray) -> None:
        """Takes bytes in, and keeps all that can be read."""
        records = [self._records] if self._records else []
        try:
            self._read_into(records)
            for start in range(0, len(data), SLICE_BYTES):
                self._incoming.write(data[start : start + SLICE_BYTES])
                self._read_into(records)
        except ssl.SSLError as error:
            self._receive_error = self._send_error = error
        self._records = records[0] if len(records) == 1 else b"".join(records)

    def _read_into(self, records: list[bytes]) -> None:
        incoming, read = self._incoming, self._tls.read
        try:
            while incoming.pending and not self._ended:
                record = read(RECORD_BYTES)
                self._ended = not record
                records.append(record)
        except ssl.SSLWantReadError:
            pass  # the rest of the record is still to come

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


def _raise_broken(error: BaseException | None) -> None:
    if error is not None:
        raise trio.BrokenResourceError("TLS is broken") from error
