import json

import pytest
import trio
from trio.testing import MockClock

from actors.venue.faults import Ending
from actors.venue.websocket import Order
from tests.actors.venue.scenery import OTHER, SLUG, URL, listing, staged

UP, DOWN = listing().asset_ids


async def test_the_first_frame_subscribes_and_books_are_the_first_answer(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe(UP, DOWN, operation="subscribe", markets=[])
        await stage.until(20)
        assert {book["asset_id"] for book in json.loads(client.texts[0])} == {UP, DOWN}
        assert all(text.startswith("{") for text in client.texts[1:])


@pytest.mark.parametrize(
    "first",
    [
        "PING",
        "[]",
        "{",
        "[" * 5_000,
        {"type": "market"},
        {"type": "market", "assets_ids": "1"},
        {"type": "market", "assets_ids": [1]},
        {"type": "user", "assets_ids": ["1"]},
        {"type": "MARKET", "assets_ids": ["1"]},
        {"operation": "subscribe", "assets_ids": ["1"]},
        {"type": "market", "assets_ids": []},
        {"type": "market", "assets_ids": [], "custom_features_enabled": True},
    ],
    ids=str,
)
async def test_any_other_first_frame_is_closed_1008(autojump_clock: MockClock, first: object) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.say(first)
        await client.closed.wait()
        assert client.reason is not None
        assert (client.reason.code, client.reason.reason) == (1008, "invalid subscription payload")


@pytest.mark.parametrize("subscribed", [True, False])
async def test_binary_is_closed_1003(autojump_clock: MockClock, *, subscribed: bool) -> None:
    async with staged() as stage:
        client = await stage.client()
        if subscribed:
            await client.subscribe(UP)
        await client.say(b"{}")
        await client.closed.wait()
        assert client.reason is not None
        assert client.reason.code == 1003


async def test_ping_is_answered_pong(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe("123")
        await client.say("PING")
        await stage.until(11)
        assert client.texts == ["[]", "PONG"]


async def test_no_books_when_none_are_wanted(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe(UP, initial_dump=False)
        await stage.until(20)
        assert client.texts
        assert "[" not in {text[0] for text in client.texts}


async def test_an_empty_list_with_the_flag_hears_of_new_markets_alone(autojump_clock: MockClock) -> None:
    async with staged(280) as stage:
        client = await stage.client()
        await client.subscribe(custom=True)
        await stage.until(310)
        assert {event["event_type"] for event in client.events()} == {"new_market"}


async def test_subscribing_more_and_less(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe(UP)
        other = listing(OTHER)
        await client.say({"operation": "subscribe", "assets_ids": [UP, *other.asset_ids]})
        await stage.until(30)
        arrays = [json.loads(text) for text in client.texts if text.startswith("[")]
        assert [{book["asset_id"] for book in books} for books in arrays] == [{UP}, set(other.asset_ids)]
        await client.say({"operation": "unsubscribe", "assets_ids": [UP, "456"]})
        await trio.sleep(0.5)
        heard = len(client.texts)
        await stage.until(60)
        assert {event["market"] for event in client.events()[heard + 2 :]} == {other.condition_id}


async def test_nothing_new_is_said_so_and_still_sets_the_flag(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe(UP, DOWN)
        await client.say({"operation": "subscribe", "assets_ids": [UP]})
        await client.say({"operation": "subscribe", "assets_ids": []})
        await stage.until(30)
        assert client.texts.count("NO NEW ASSETS") == 2
        assert len(client.events("best_bid_ask")) == 0
        await client.say({"operation": "subscribe", "assets_ids": [UP], "custom_feature_enabled": True})
        await stage.until(60)
        assert len(client.events("best_bid_ask")) > 0
        await client.say({"operation": "subscribe", "assets_ids": [UP], "custom_feature_enabled": False})
        await trio.sleep(0.5)
        told = len(client.events("best_bid_ask"))
        await stage.until(90)
        assert len(client.events("best_bid_ask")) == told


@pytest.mark.parametrize(
    "later",
    [{"type": "market", "assets_ids": ["1"]}, "nonsense", "ping", "[]", {"operation": "dance", "assets_ids": []},
     {"operation": ["subscribe"], "assets_ids": []}, {"operation": "subscribe"}],
    ids=str,
)  # fmt: skip
async def test_other_later_frames_are_invalid_operations(autojump_clock: MockClock, later: object) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe("123")
        await client.say(later)
        await stage.until(11)
        assert client.texts == ["[]", "INVALID OPERATION"]
        assert not client.closed.is_set()


async def test_a_connection_that_says_nothing_is_dropped_without_a_close_frame(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        silent, talking = await stage.client(), await stage.client()
        await silent.subscribe(UP)
        await talking.subscribe(UP)
        for at_s in range(20, 200, 30):
            await stage.until(at_s)
            await talking.say("PING")
        assert silent.closed.is_set()
        assert silent.reason is not None
        assert silent.reason.code == 1006
        assert silent.heard[-1][0] / 1e9 == pytest.approx(stage.clock.now_ns() / 1e9 - 100, abs=2)
        assert not talking.closed.is_set()


async def test_a_protocol_ping_is_a_sign_of_life(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        client = await stage.client()
        await client.subscribe(UP)
        for at_s in range(40, 200, 40):
            await stage.until(at_s)
            await client.ping()
        assert not client.closed.is_set()


async def test_the_idle_limit_is_a_switch_as_well(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        stage.venue.faults.idle_drop_s = 5.0
        client = await stage.client()
        await client.subscribe(UP)
        await stage.until(16)
        assert client.closed.is_set()


async def test_a_client_that_does_not_read_is_dropped(autojump_clock: MockClock) -> None:
    async with staged(send_queue=50) as stage:
        stream = await stage.venue.dial(URL)
        await stream.send_all(HANDSHAKE)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101")
        await stream.send_all(masked(json.dumps({"type": "market", "assets_ids": [UP, DOWN]}).encode()))
        await stage.until(300)
        assert stage.venue.markets()[0].subscribers == 0
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


@pytest.mark.parametrize(("ending", "code"), [(Ending.CLOSE, 1012), (Ending.FIN, 1006), (Ending.RESET, 1006)], ids=str)
async def test_connections_end_as_they_are_told(autojump_clock: MockClock, ending: Ending, code: int) -> None:
    async with staged() as stage:
        ours, theirs = await stage.client(), await stage.client()
        await ours.subscribe(UP)
        await theirs.subscribe(listing(OTHER).up_asset_id)
        await stage.until(12)
        stage.venue.faults.disconnect(SLUG, ending, 1012)
        await ours.closed.wait()
        assert ours.reason is not None
        assert ours.reason.code == code
        await stage.until(20)
        assert not theirs.closed.is_set()
        assert [report.subscribers for report in stage.venue.markets()] == [0, 1]


async def test_leaving_is_noticed_either_way(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        polite, rude = await stage.client(), await stage.client()
        for client in (polite, rude):
            await client.subscribe(UP)
        await stage.until(12)
        await polite.close()
        await rude.vanish()
        await stage.until(14)
        assert [report.subscribers for report in stage.venue.markets()] == [0]


async def test_a_handshake_without_a_key_is_refused_and_one_that_stalls_is_let_go(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        stream = await stage.venue.dial(URL)
        await stream.send_all(HANDSHAKE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""))
        received = bytearray()
        while chunk := await stream.receive_some():
            received += chunk
        assert received.startswith(b"HTTP/1.1 400")


def test_orders_are_read_leniently() -> None:
    order = Order.read('{"assets_ids":["2","1","2"],"type":"market","level":3,"auth":null,"initial_dump":"no"}')
    assert order is not None
    assert (order.assets, order.custom, order.dump) == (("2", "1"), None, True)


HANDSHAKE = (
    b"GET /ws/market HTTP/1.1\r\nHost: venue.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def masked(payload: bytes) -> bytes:
    """A short text frame of a client, its mask all zeros."""
    return bytes([0x81, 0x80 | 126]) + len(payload).to_bytes(2, "big") + b"\0\0\0\0" + payload
