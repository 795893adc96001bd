import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.venue.http import Reply, Request
from actors.venue.memory import MemoryTransport, memory_connection


async def test_bytes_arrive_in_order_both_ways() -> None:
    one, other = memory_connection()
    await one.send_all(b"abc")
    await one.send_all(b"def")
    assert await other.receive_some(4) == b"abcd"
    assert await other.receive_some() == b"ef"
    await other.send_all(b"back")
    assert await one.receive_some() == b"back"


async def test_a_sender_waits_while_nobody_reads() -> None:
    one, other = memory_connection(10)
    sent = []

    async def send() -> None:
        await one.send_all(b"0123456789abcde")
        sent.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert sent == []
        nursery.start_soon(one.wait_send_all_might_not_block)
        await wait_all_tasks_blocked()
        assert await other.receive_some(8) == b"01234567"
        await wait_all_tasks_blocked()
        assert sent == [True]
        assert await other.receive_some() == b"89abcde"


async def test_closing_ends_the_peers_reading_after_what_was_sent() -> None:
    one, other = memory_connection()
    await one.send_all(b"last words")
    await one.aclose()
    assert await other.receive_some() == b"last words"
    assert await other.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await other.send_all(b"too late")
    with pytest.raises(trio.ClosedResourceError):
        await one.send_all(b"closed here")
    with pytest.raises(trio.ClosedResourceError):
        await one.receive_some()


async def test_a_reset_breaks_whoever_waits() -> None:
    one, other = memory_connection(4)

    async def broken(wait: trio.abc.Stream, *, sending: bool) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await (wait.send_all(b"more than fits") if sending else wait.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: broken(other, sending=True))
        nursery.start_soon(lambda: broken(other, sending=False))
        await wait_all_tasks_blocked()
        one.reset()


async def test_closing_wakes_the_own_reader() -> None:
    one, _ = memory_connection()

    async def closed() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(closed)
        await wait_all_tasks_blocked()
        await one.aclose()


async def test_httpx_reaches_the_handler(autojump_clock: trio.testing.MockClock) -> None:
    asked: list[Request] = []
    open_for_business = True

    def respond(request: Request) -> Reply:
        asked.append(request)
        return Reply(status=429, body=b"{}", headers=(("retry-after", "7"),), delay_s=2.0)

    transport = MemoryTransport(respond, lambda: open_for_business)
    async with httpx.AsyncClient(
        transport=transport, base_url="https://any.host", headers={"User-Agent": "me"}
    ) as rest:
        before = trio.current_time()
        reply = await rest.post("/books", params={"a": ["1", "2"]}, content=b"[]")
        assert trio.current_time() - before == 2.0
        assert (reply.status_code, reply.headers["retry-after"], reply.json()) == (429, "7", {})
        assert (asked[0].method, asked[0].path, asked[0].query, asked[0].body) == (
            "POST",
            "/books",
            {"a": ["1", "2"]},
            b"[]",
        )
        assert asked[0].headers["user-agent"] == "me"
        open_for_business = False
        with pytest.raises(httpx.ConnectError):
            await rest.get("/time")
