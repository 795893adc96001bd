import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import open_websocket_url

from actors.clock import Clock
from actors.dial import dial
from actors.faults import FaultKind, FeedFault
from actors.venue import Ending, Venue, VenueOptions
from actors.websocket import SessionLimits, open_session
from engine.series import SERIES
from engine.wire import decode, subscription
from tests.actors.raw_server import ignore
from tests.actors.venue.client_book import ClientMarket
from tests.actors.venue.scenery import START_NS, URL, S, listing, staged

UP, DOWN = listing().asset_ids


@pytest.mark.untraced
async def test_the_engines_session_follows_a_market_to_its_end(autojump_clock: MockClock) -> None:
    async with staged(-20) as stage:
        texts: list[str] = []

        limits = SessionLimits(idle_s=60.0)
        async with open_session(
            URL, subscription([UP, DOWN]), texts.extend, limits=limits, dial=stage.venue.dial
        ) as session:
            await stage.until(300)
            assert session.statistics().pongs >= 30
        market = ClientMarket(listing())
        market.begin(*json.loads(texts[0]))
        for text in texts[1:]:
            assert decode(text)
            if text != "PONG":
                market.take(json.loads(text))
        assert market.seen["price_change"] > 2_000
        await wait_all_tasks_blocked()
        assert stage.venue.markets()[0].subscribers == 0


@pytest.mark.untraced
async def test_two_venues_of_one_seed_say_the_same_and_of_two_do_not(autojump_clock: MockClock) -> None:
    heard = []
    for seed in (1, 1, 2):
        async with staged(seed=seed) as stage:
            client = await stage.client()
            await client.subscribe(*listing(seed=seed).asset_ids, custom=True)
            await stage.until(40)
            heard.append(client.texts)
    assert heard[0] == heard[1]
    assert heard[0] != heard[2]


@pytest.mark.parametrize(
    ("status", "kind"), [(429, FaultKind.RATE_LIMITED), (403, FaultKind.BLOCKED), (503, FaultKind.HANDSHAKE)]
)
async def test_handshakes_can_be_refused(autojump_clock: MockClock, status: int, kind: FaultKind) -> None:
    async with staged() as stage:
        stage.venue.faults.reject(status, times=1, headers=[("Retry-After", "11")])
        with pytest.raises(FeedFault) as caught:
            await short_session(stage.venue)
        assert caught.value.kind is kind
        assert caught.value.retry_after in {11.0, None if status == 503 else 11.0}
        await short_session(stage.venue)


async def short_session(venue: Venue, url: str = URL) -> None:
    async with open_session(url, subscription([UP]), ignore, limits=SessionLimits(), dial=venue.dial):
        await trio.sleep(1)


@pytest.mark.parametrize("url", ["wss://venue.test/ws", "wss://venue.test/ws/user", "wss://venue.test/"])
async def test_there_is_one_channel(autojump_clock: MockClock, url: str) -> None:
    async with staged() as stage:
        with pytest.raises(FeedFault) as caught:
            await short_session(stage.venue, url)
        assert "404" in caught.value.detail


async def test_too_many_connections_are_refused(autojump_clock: MockClock) -> None:
    async with staged(max_connections=1) as stage:
        first = await stage.client()
        await first.subscribe(UP)
        with pytest.raises(FeedFault) as caught:
            await short_session(stage.venue)
        assert caught.value.kind is FaultKind.RATE_LIMITED
        await first.close()
        await trio.sleep(1)
        await short_session(stage.venue)


async def test_down_is_down_and_up_is_up(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe(UP)
        stage.venue.faults.down = True
        await client.closed.wait()
        with pytest.raises(FeedFault) as caught:
            await stage.venue.dial(URL)
        assert caught.value.kind is FaultKind.REFUSED
        with pytest.raises(httpx.ConnectError):
            await stage.rest.get("/time")
        stage.venue.faults.down = False
        assert await stage.get("/time")
        await short_session(stage.venue)


async def test_peers_that_talk_nonsense_or_nothing_are_let_go(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        nonsense, silent = await stage.venue.dial(URL), await stage.venue.dial(URL)
        await nonsense.send_all(b"\x16\x03\x01 this is TLS\r\n\r\n")
        assert b"400" in bytes(await nonsense.receive_some())
        before = trio.current_time()
        assert await silent.receive_some() == b""
        assert trio.current_time() - before == pytest.approx(10.0, abs=0.1)


async def test_a_bug_in_a_connection_is_logged_and_ends_that_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged() as stage:
        monkeypatch.setattr(stage.venue.faults, "rejection", lambda: 1 / 0)
        with pytest.raises(FeedFault):
            await short_session(stage.venue)
        monkeypatch.undo()
        await short_session(stage.venue)
    assert "venue.connection_crashed" in caplog.text


async def test_it_must_run_before_it_serves() -> None:
    with pytest.raises(RuntimeError, match="run"):
        await Venue(Clock.anchored(START_NS)).listen()


@pytest.mark.untraced
async def test_a_day_of_markets_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    """Window after window of a series for two hours: nothing of the past is kept."""
    async with staged(0, message_rate=1.0, hashes=False, idle_drop_s=1_000.0) as stage:
        series = SERIES["btc-5m"]
        slot = series.slot_at(START_NS)
        for _ in range(24):
            client = await stage.client()
            await client.subscribe(*listing(slot.slug).asset_ids)
            await stage.clock.sleep_until(slot.end_ns - 5 * S)
            await client.close()
            slot = series.next(slot)
            assert len(stage.venue.markets()) <= 2


# ------------------------------------------------------------------------------------------------------- real sockets


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[tuple[Venue, str, str]]:
    venue = Venue(Clock.anchored(START_NS + 10 * S), VenueOptions(**options))
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        websocket_url, http_url = await venue.listen()
        yield venue, websocket_url, http_url
        nursery.cancel_scope.cancel()


@pytest.mark.socket
async def test_any_client_in_the_world_can_use_it() -> None:
    async with listening(message_rate=60.0) as (_, websocket_url, http_url):
        async with httpx.AsyncClient(base_url=http_url) as rest:
            slug = f"btc-updown-5m-{START_NS // S}"
            (market,) = (await rest.get("/markets", params={"slug": slug})).json()
            assert (await rest.get("/time")).json() == START_NS // S + 10
            assert (await rest.get("/nowhere")).status_code == 404
        tokens = json.loads(market["clobTokenIds"])
        async with open_websocket_url(websocket_url) as websocket:
            await websocket.send_message(json.dumps({"type": "market", "assets_ids": tokens}))
            assert {book["asset_id"] for book in json.loads(await websocket.get_message())} == set(tokens)
            await websocket.send_message("PING")
            with trio.fail_after(3):
                while await websocket.get_message() != "PONG":
                    pass
                while "price_change" not in await websocket.get_message():
                    pass


@pytest.mark.socket
async def test_handshakes_are_refused_on_sockets_too() -> None:
    async with listening() as (venue, _, http_url), httpx.AsyncClient(base_url=http_url) as rest:
        venue.faults.reject(429, headers=[("Retry-After", "5")])
        reply = await rest.get("/ws/market", headers={"Connection": "Upgrade", "Upgrade": "WebSocket"})
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
        assert reply.json() == {"error": "Too Many Requests"}


@pytest.mark.socket
async def test_a_port_is_closed_while_the_venue_is_down_and_is_the_same_afterwards() -> None:
    async with listening() as (venue, websocket_url, http_url), httpx.AsyncClient(base_url=http_url) as rest:
        assert (await rest.get("/ok")).json() == "OK"
        async with open_socket_session(websocket_url) as session:
            venue.faults.down = True
            with pytest.raises(FeedFault) as caught:
                await session.closed()
            assert caught.value.kind is FaultKind.CLOSED
        with pytest.raises(FeedFault) as caught:
            await dial(websocket_url)
        assert caught.value.kind is FaultKind.REFUSED
        venue.faults.down = False
        with trio.fail_after(3):
            while True:
                try:
                    assert (await rest.get("/ok")).json() == "OK"
                except httpx.TransportError:
                    await trio.sleep(0.01)
                else:
                    break


@asynccontextmanager
async def open_socket_session(url: str) -> AsyncIterator[Any]:
    async with open_session(url, subscription([UP]), ignore, limits=SessionLimits(), dial=dial) as session:
        await trio.sleep(0.1)
        yield session


@pytest.mark.socket
async def test_a_reset_is_one_on_sockets() -> None:
    async with listening() as (venue, websocket_url, _):
        async with open_socket_session(websocket_url) as session:
            venue.faults.disconnect(UP, Ending.RESET)
            with trio.fail_after(2), pytest.raises(FeedFault) as caught:
                await session.closed()
            assert caught.value.kind is FaultKind.CLOSED
        assert [report.subscribers for report in venue.markets()] == [0]


@pytest.mark.socket
async def test_ipv6_hosts_are_written_in_brackets() -> None:
    venue = Venue(Clock.anchored(START_NS))
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        try:
            _, http_url = await venue.listen("::1")
        except OSError:
            pytest.skip("no IPv6 here")
        async with httpx.AsyncClient() as rest:
            assert http_url.startswith("http://[::1]:")
            assert (await rest.get(f"{http_url}/ok")).json() == "OK"
        nursery.cancel_scope.cancel()
