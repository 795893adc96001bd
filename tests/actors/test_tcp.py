from __future__ import annotations

import pytest
import trio

from actors.tcp import ReadyStream
from tests.actors.raw_server import RawPeer, on_loopback, open_descriptors

pytestmark = pytest.mark.socket


async def connected(port: int) -> ReadyStream:
    return ReadyStream(await trio.open_tcp_stream("127.0.0.1", port))


async def echo(peer: RawPeer) -> None:
    while data := await peer.stream.receive_some():
        await peer.send(bytes(data))


async def test_bytes_go_both_ways_and_the_end_is_empty() -> None:
    async with on_loopback(echo) as port, await connected(port) as stream:
        await stream.wait_send_all_might_not_block()
        await stream.send_all(b"abc")
        assert await stream.receive_some(2) == b"ab"
        assert await stream.receive_some() == b"c"

    async def leave(peer: RawPeer) -> None:
        await peer.send(b"last")

    async with on_loopback(leave) as port, await connected(port) as stream:
        assert [await stream.receive_some() for _ in range(3)] == [b"last", b"", b""]


async def test_a_quiet_stream_can_be_left() -> None:
    async with on_loopback(echo) as port, await connected(port) as stream:
        with trio.move_on_after(0) as scope:
            await stream.receive_some()
        assert scope.cancelled_caught
        await stream.send_all(b"still there")
        assert await stream.receive_some() == b"still there"


async def test_waiting_and_receiving_apart() -> None:
    async with on_loopback(echo) as port, await connected(port) as stream:
        assert stream.receive_nowait() is None
        await stream.send_all(b"abc")
        await stream.readable()
        assert stream.receive_nowait(2) == b"ab"
        await stream.readable()
        assert stream.receive_nowait() == b"c"
        assert stream.receive_nowait() is None


async def test_a_reset_is_a_broken_stream() -> None:
    async def reset(peer: RawPeer) -> None:
        await peer.stream.receive_some()
        await peer.reset()

    async with on_loopback(reset) as port, await connected(port) as stream:
        await stream.send_all(b"x")
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


async def test_closing_wakes_whoever_receives_and_leaves_nothing_behind() -> None:
    async with on_loopback(echo) as port:
        before = open_descriptors()
        stream = await connected(port)

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert open_descriptors() == before
