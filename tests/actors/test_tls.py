from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import permutations

import pytest
import trio
import trustme
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from actors.readable import PIECE_BYTES
from actors.tls import TlsStream

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
HOST = "feed.example"

RECORD_BYTES = 16 * 1024
"""Most plaintext bytes in one record (RFC 8446, 5.1)."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def both_ends(
    authority: trustme.CA,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    pair: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]] = memory_stream_pair,
    greet: Callable[[trio.SSLStream[trio.abc.Stream]], Awaitable[None]] = trio.SSLStream.do_handshake,
) -> AsyncIterator[tuple[TlsStream, trio.SSLStream[trio.abc.Stream]]]:
    """A client of ours and a server of trio's, hands shaken."""
    client_context, server_context = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(client_context)
    authority.issue_cert(HOST).configure_cert(server_context)
    client_context.minimum_version = client_context.maximum_version = version
    client_end, server_end = pair()
    client = TlsStream(client_end, client_context, host=HOST)
    server = trio.SSLStream(server_end, server_context, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(greet, server)
        await client.do_handshake()
    yield client, server
    await trio.aclose_forcefully(client)
    await trio.aclose_forcefully(server)


@pytest.mark.parametrize("version", VERSIONS)
async def test_one_receive_brings_all_records_that_came(authority: trustme.CA, version: ssl.TLSVersion) -> None:
    async with both_ends(authority, version) as (client, server):
        assert client.version() == server.version()
        await client.wait_send_all_might_not_block()
        said = [b"%d" % number * 100 for number in range(50)]
        for record in said:
            await server.send_all(record)
        assert await client.receive_some() == b"".join(said)
        await client.send_all(b"answer")
        assert await server.receive_some() == b"answer"


async def test_records_in_single_bytes(authority: trustme.CA) -> None:
    async with both_ends(authority) as (client, server):
        await server.send_all(b"first")
        await server.send_all(b"second")
        transport = server.transport_stream
        records = await client._transport.receive_some()
        heard = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one_by_one, transport, records)
            while len(heard) < len(b"firstsecond"):
                heard += await client.receive_some()
        assert heard == b"firstsecond"


async def one_by_one(stream: trio.abc.SendStream, data: bytes) -> None:
    for byte in data:
        await stream.send_all(bytes([byte]))
        await trio.lowlevel.checkpoint()


async def test_no_more_bytes_than_asked_for(authority: trustme.CA) -> None:
    async with both_ends(authority) as (client, server):
        await server.send_all(b"abcdef")
        assert await client.receive_some(4) == b"abcd"
        assert await client.receive_some(4) == b"ef"


async def test_a_piece_is_bounded_whatever_a_receive_completes(authority: trustme.CA) -> None:
    async with both_ends(authority) as (client, server):
        said = bytes(range(256)) * 2 * (RECORD_BYTES // 256)
        await server.send_all(said)
        records = await client._transport.receive_some()
        await server.transport_stream.send_all(records[:RECORD_BYTES])
        await client.readable()
        assert client.receive_nowait() is None
        await server.transport_stream.send_all(records[RECORD_BYTES:])
        pieces = []
        while sum(map(len, pieces)) < len(said):
            await client.readable()
            pieces.append(client.receive_nowait() or b"")
        assert b"".join(pieces) == said
        assert max(map(len, pieces)) <= PIECE_BYTES


def patient_pair() -> tuple[trio.abc.Stream, trio.abc.Stream]:
    """Whose first end receives when the other one has said all it has to say."""
    client, server = memory_stream_pair()
    receive_some = client.receive_stream.receive_some

    async def receive(max_bytes: int | None = None) -> bytearray:
        await wait_all_tasks_blocked()
        return await receive_some(max_bytes)

    client.receive_stream.receive_some = receive  # type: ignore[method-assign]
    return client, server


async def test_what_came_with_the_end_of_the_handshake_is_not_lost(authority: trustme.CA) -> None:
    async def greet(server: trio.SSLStream[trio.abc.Stream]) -> None:
        await server.do_handshake()
        await server.send_all(b"first ")
        await server.send_all(b"words")

    # Whose last word of the handshake is the server's.
    async with both_ends(authority, ssl.TLSVersion.TLSv1_2, patient_pair, greet) as (client, _):
        assert client._rest == b"first words"
        heard = b""
        while len(heard) < len(b"first words"):
            heard += await client.receive_some()
        assert heard == b"first words"


async def test_large_messages_both_ways_at_once(authority: trustme.CA) -> None:
    """Over a stream that holds nothing: a client that stopped receiving while it sends would hang."""
    said, heard = b"x" * (5 * RECORD_BYTES + 7), {True: b"", False: b""}

    async def receive(stream: trio.abc.ReceiveStream, *, ours: bool) -> None:
        while len(heard[ours]) < len(said):
            heard[ours] += await stream.receive_some()

    async with (
        both_ends(authority, pair=lockstep_stream_pair) as (client, server),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(lambda: receive(client, ours=True))
        nursery.start_soon(lambda: receive(server, ours=False))
        nursery.start_soon(client.send_all, said)
        nursery.start_soon(server.send_all, said)
    assert heard == {True: said, False: said}


async def test_whoever_sends_meanwhile_has_to_wait(authority: trustme.CA) -> None:
    async with both_ends(authority, pair=lockstep_stream_pair) as (client, server):
        heard = b""
        async with trio.open_nursery() as nursery:
            for word in (b"one", b"two", b"three"):
                nursery.start_soon(client.send_all, word)
            while len(heard) < len(b"onetwothree"):
                heard += await server.receive_some()
        assert heard in {b"".join(words) for words in permutations((b"one", b"two", b"three"))}


async def test_a_peer_that_says_good_bye(authority: trustme.CA) -> None:
    async with both_ends(authority) as (client, server):
        await server.send_all(b"last")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.aclose)
            heard = await client.receive_some()
            assert [await client.receive_some() for _ in range(2)] == [b"", b""]
            await client.aclose()
        assert heard == b"last"


async def test_a_peer_that_hangs_up_in_a_record(authority: trustme.CA) -> None:
    async with both_ends(authority) as (client, server):
        await server.send_all(b"whole")
        await server.send_all(b"cut off")
        records = await client._transport.receive_some()
        await server.transport_stream.send_all(records[:-1])
        await server.transport_stream.aclose()
        assert [await client.receive_some() for _ in range(3)] == [b"whole", b"", b""]


async def test_a_record_that_is_none_breaks_the_stream_after_what_came_before(authority: trustme.CA) -> None:
    async with both_ends(authority) as (client, server):
        await server.send_all(b"whole")
        await server.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert await client.receive_some() == b"whole"
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError) as caught:
                await client.receive_some()
            assert isinstance(caught.value.__cause__, ssl.SSLError)
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"too late")


async def test_a_receive_that_is_cancelled_loses_nothing(authority: trustme.CA, autojump_clock: MockClock) -> None:
    async with both_ends(authority) as (client, server):
        with trio.move_on_after(1) as scope:
            await client.receive_some()
        assert scope.cancelled_caught
        await server.send_all(b"here")
        assert await client.receive_some() == b"here"


async def test_a_send_that_is_cancelled_breaks_sending(authority: trustme.CA, autojump_clock: MockClock) -> None:
    async with both_ends(authority, pair=lockstep_stream_pair) as (client, _):
        with trio.move_on_after(1) as scope:
            await client.send_all(b"nobody takes this")
        assert scope.cancelled_caught
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"nor this")


async def test_the_other_end_of_the_transport_gone(authority: trustme.CA) -> None:
    async with both_ends(authority) as (client, server):
        await trio.aclose_forcefully(server.transport_stream)
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"x")
        assert await client.receive_some() == b""
