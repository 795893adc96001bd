import pytest
import trio
from trio.testing import memory_stream_pair

from actors.venue.memory import memory_connection
from actors.venue.streams import HEAD_BYTES, ReplayStream, Resettable, read_head, reset


async def test_what_was_read_comes_first_and_later_arrivals_are_heard() -> None:
    client, server = memory_stream_pair()
    arrivals = []
    replay = ReplayStream(server, b"head and more")
    replay.heard = lambda: arrivals.append(1)
    assert [await replay.receive_some(4), await replay.receive_some()] == [b"head", b" and more"]
    assert arrivals == []
    await client.send_all(b"fresh")
    assert await replay.receive_some(64) == b"fresh"
    assert arrivals == [1]
    await replay.wait_send_all_might_not_block()
    await replay.send_all(b"answer")
    assert await client.receive_some() == b"answer"
    await replay.aclose()
    assert await client.receive_some() == b""


async def test_a_head_is_read_to_its_end_however_it_arrives() -> None:
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, b"GET / HTTP/1.1\r\n")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(client.send_all, b"\r\nbody")
        assert await read_head(server) == b"GET / HTTP/1.1\r\n\r\nbody"


@pytest.mark.parametrize("sent", [b"GET / HT", b"x" * (HEAD_BYTES + 1)])
async def test_no_head_is_nothing(sent: bytes) -> None:
    client, server = memory_stream_pair()
    await client.send_all(sent)
    await client.aclose()
    assert await read_head(server) == b""


async def test_a_reset_in_memory_breaks_the_peer() -> None:
    client, server = memory_connection()
    await reset(server)
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()


async def test_other_streams_are_closed_at_least() -> None:
    client, server = memory_stream_pair()
    await reset(server)
    assert await client.receive_some() == b""


@pytest.mark.socket
async def test_a_reset_on_tcp_is_one() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    client = await trio.open_tcp_stream("127.0.0.1", listeners[0].socket.getsockname()[1])
    server = await listeners[0].accept()
    await reset(server)
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()
    await client.aclose()
    await listeners[0].aclose()


def test_reset_must_be_written() -> None:
    with pytest.raises(NotImplementedError):
        Resettable.reset(memory_connection()[0])
