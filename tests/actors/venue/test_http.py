from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from actors.venue.http import KEEP_ALIVE_S, Reply, Request, reason, reply_error, reply_json, serve_http
from actors.venue.memory import memory_connection


def echo(request: Request) -> Reply:
    return reply_json([request.method, request.path, request.first("q", "-"), request.body.decode()])


@asynccontextmanager
async def served(respond: Callable[[Request], Reply] = echo) -> AsyncIterator[trio.abc.Stream]:
    client, server = memory_connection()
    finished = trio.Event()

    async def serve() -> None:
        await serve_http(server, respond)
        await server.aclose()
        finished.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield client
        await client.aclose()
        await finished.wait()


async def answer(client: trio.abc.Stream, raw: bytes) -> str:
    await client.send_all(raw)
    await trio.testing.wait_all_tasks_blocked()
    return bytes(await client.receive_some()).decode()


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with served() as client:
        first = await answer(client, b"GET /a?q=1&q=2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first.startswith("HTTP/1.1 200 OK\r\n")
        assert first.endswith('["GET","/a","1",""]')
        second = await answer(client, b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        assert second.endswith('["POST","/b","-","hi"]')


async def test_head_has_no_body_and_close_is_honoured() -> None:
    async with served() as client:
        told = await answer(client, b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert "content-length: 20" in told
        assert told.endswith("\r\n\r\n")
        assert await client.receive_some() == b""


async def test_a_body_may_be_announced() -> None:
    async with served() as client:
        go_on = await answer(client, b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert go_on.startswith("HTTP/1.1 100")
        assert (await answer(client, b"z")).endswith('["POST","/","-","z"]')


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"what is this\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"y" * 70_000, 413),
    ],
)
async def test_nonsense_is_told_so_and_ends_the_connection(raw: bytes, status: int) -> None:
    async with served() as client:
        assert (await answer(client, raw)).startswith(f"HTTP/1.1 {status}")
        assert await client.receive_some() == b""


async def test_an_idle_connection_is_let_go(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as client:
        assert await client.receive_some() == b""
        assert trio.current_time() == KEEP_ALIVE_S


async def test_a_reply_may_take_its_time(autojump_clock: trio.testing.MockClock) -> None:
    async with served(lambda _: Reply(body=b"1", delay_s=3.0)) as client:
        await client.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert bytes(await client.receive_some()).endswith(b"1")
        assert trio.current_time() == 3.0


def test_targets_that_are_none_ask_for_nothing() -> None:
    assert Request.of("GET", "//[", {}).path == ""
    assert Request.of("GET", "/a?" + "&".join(f"x{n}=1" for n in range(2_000)), {}).path == ""
    assert Request.of("GET", "/a?x=&y=2", {}).query == {"x": [""], "y": ["2"]}


def test_replies_as_bytes() -> None:
    raw = reply_error(404, "not found").raw()
    assert raw == (
        b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n"
        b'{"error":"not found"}'
    )
    assert reason(425) == "Too Early"
    assert reason(599) == "Unknown"
