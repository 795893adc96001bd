"""What is collected, as plain data: the content of the tape, and the time that was truly covered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve

from actors.service import MarketMicrostructureService
from actors.service.collection import Collection
from actors.system import open_engine
from actors.venue import VenueOptions
from engine.markets import Outcome
from engine.records import Connected, Frame, Unfollowed
from engine.settings import DiscoverySettings, Settings
from engine.units import NS_PER_S
from tests.actors.local_venue import QUARTER_S, QUIET, Rig, follow, rig
from tests.actors.service.one_market import CONDITION_ID, NO, ONE_TRADE, SLUG, YES, OneMarketWorld, Traded, elsewhere

MockClock = trio.testing.MockClock
FIVE, FIFTEEN = (f"btc-updown-{length}-{QUARTER_S}" for length in ("5m", "15m"))
STEADY = evolve(QUIET, message_rate=5.0)
LISTS = ("trades", "book_snapshots", "price_changes")
EMPTY = {"trades": [], "book_snapshots": [], "price_changes": [], "collection_duration": 0.0}


@asynccontextmanager
async def serviced(
    settings: Settings, *, seconds: float = 1, options: VenueOptions = STEADY, condition_id: str | None = None
) -> AsyncIterator[tuple[Rig, MarketMicrostructureService]]:
    async with rig(settings, seconds=seconds, options=options) as running:
        yield running, MarketMicrostructureService(engine=running.engine, condition_id=condition_id)


def ids(running: Rig, slug: str = FIFTEEN) -> tuple[str, str, str]:
    """Condition id, YES token and NO token."""
    listing = running.venue.source.by_slug(slug, running.clock.now_ns())
    assert listing is not None
    return listing.condition_id, listing.up_asset_id, listing.down_asset_id


def on_tape(running: Rig, slug: str, start_ns: int, end_ns: int) -> dict[str, list[dict[str, Any]]]:
    """What the frames of the tape hold of one market, read without any of the code under test."""
    condition_id, yes, _ = ids(running, slug)
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}

    def named(asset_id: str) -> dict[str, str]:
        return {"asset_id": asset_id, "outcome": "YES" if asset_id == yes else "NO"}

    def levels(side: list[Mapping[str, str]]) -> list[dict[str, float]]:
        return [{"price": float(level["price"]), "size": float(level["size"])} for level in side]

    frames = [record for _, record in running.tape if isinstance(record, Frame) and start_ns <= record.at_ns < end_ns]
    for frame in frames:
        value = json.loads(frame.text) if frame.text[0] in "[{" else []
        for event in value if isinstance(value, list) else [value]:
            if event.get("market") != condition_id:
                continue
            kind = event["event_type"]
            common = {"event_type": kind, "timestamp": int(event["timestamp"]), "received_at": frame.at_ns / NS_PER_S}
            match kind:
                case "last_trade_price":
                    row = {
                        **named(event["asset_id"]),
                        "price": float(event["price"]),
                        "size": float(event["size"]),
                        "side": event["side"],
                        "transaction_hash": event["transaction_hash"],
                    }
                    told["trades"].append(common | row)
                case "book":
                    row = named(event["asset_id"]) | {side: levels(event[side]) for side in ("bids", "asks")}
                    told["book_snapshots"].append(common | row)
                case "price_change":
                    changes = [
                        named(change["asset_id"])
                        | {key: float(change[key]) for key in ("price", "size", "best_bid", "best_ask")}
                        | {"side": change["side"]}
                        for change in event["price_changes"]
                    ]
                    told["price_changes"].append(common | {"price_changes": changes})
    return told


# -------------------------------------------------------------------------------------------------------------- content


async def test_of_a_followed_market_it_is_what_the_tape_shows(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-15m", "btc-5m")) as (running, service):
        await trio.sleep(20)
        start_ns = running.clock.now_ns()
        data = await service.collect_market_data(ids(running)[0], 60)
        expected = on_tape(running, FIFTEEN, start_ns, running.clock.now_ns())
        assert {name: data[name] for name in LISTS} == expected
        assert all(len(data[name]) >= 10 for name in LISTS)
        assert data["collection_duration"] == pytest.approx(60, abs=2.0)
        assert list(data) == [*LISTS, "collection_duration"]
        json.dumps(data)


async def test_of_a_market_that_is_not_followed_it_begins_with_both_books(autojump_clock: MockClock) -> None:
    async with serviced(follow()) as (running, service):
        condition_id, yes, no = ids(running)
        start_ns = running.clock.now_ns()
        data = await service.collect_market_data(condition_id, 30)
        assert {name: data[name] for name in LISTS} == on_tape(running, FIFTEEN, start_ns, running.clock.now_ns())
        first, second = data["book_snapshots"][:2]
        assert {(it["asset_id"], it["outcome"]) for it in (first, second)} == {(yes, "YES"), (no, "NO")}
        assert first["received_at"] == second["received_at"] < start_ns / 1e9 + 1
        assert len(first["bids"]) > 5
        assert data["collection_duration"] == pytest.approx(30, abs=0.1)


async def test_numbers_names_and_order(autojump_clock: MockClock) -> None:
    async with serviced(follow()) as (running, service):
        data = await service.collect_market_data(FIFTEEN, 120)
        _, yes, no = ids(running)
    for name in LISTS:
        times = [row["received_at"] for row in data[name]]
        assert times == sorted(times)
    names = {yes: "YES", no: "NO"}
    assert {trade["outcome"] for trade in data["trades"]} == {"YES", "NO"}
    for trade in data["trades"]:
        assert trade["outcome"] == names[trade["asset_id"]]
        assert (type(trade["price"]), type(trade["size"]), type(trade["timestamp"])) == (float, float, int)
        assert 0 < trade["price"] < 1
        assert trade["side"] in ("BUY", "SELL")
        assert abs(trade["timestamp"] / 1000 - trade["received_at"]) < 1
    for change in data["price_changes"]:
        assert [names[it["asset_id"]] for it in change["price_changes"]] in (["YES", "NO"], ["NO", "YES"])


async def test_what_the_venue_leaves_out_is_none(autojump_clock: MockClock) -> None:
    def frame(at_ns: int, **event: Any) -> Frame:
        return Frame(at_ns=at_ns, text=json.dumps({"market": condition_id, **event}))

    async with serviced(follow("btc-15m")) as (running, _):
        await trio.sleep(1)
        condition_id, yes, _ = ids(running)
        collection, now_ns = Collection(running.engine, "btc-15m"), running.clock.now_ns()
        trade = {"event_type": "last_trade_price", "asset_id": yes, "price": "0.5", "size": "2.5"}
        change = {"asset_id": yes, "price": "0.5", "size": "0", "side": "BUY"}
        book = {"event_type": "book", "bids": [], "asks": []}
        for record in (
            frame(now_ns, **trade),
            frame(now_ns, event_type="price_change", price_changes=[change, {**change, "asset_id": "1"}]),
            frame(now_ns, **book, asset_id=yes),
            # Not of this market, not of this kind, or nothing at all.
            frame(now_ns, **{**trade, "market": "0x" + "1" * 64}),
            frame(now_ns, **{**trade, "asset_id": "1"}),
            frame(now_ns, event_type="price_change", price_changes=[{**change, "asset_id": "1"}]),
            frame(now_ns, event_type="weather", asset_id=yes),
            Frame(at_ns=now_ns, text="PONG"),
            Frame(at_ns=now_ns, text="{"),
        ):
            collection.take(FIFTEEN, record)
        collection.take(FIVE, frame(now_ns, **trade))
        collected = collection.collected(now_ns + 10**9)
    assert [(it["side"], it["timestamp"], it["transaction_hash"]) for it in collected.trades] == [(None, 0, None)]
    [row] = collected.price_changes
    assert [(it["asset_id"], it["best_bid"], it["best_ask"]) for it in row["price_changes"]] == [(yes, None, None)]
    assert [(it["bids"], it["asks"]) for it in collected.book_snapshots] == [([], [])]
    assert collected.collection_duration == 1.0


async def test_what_is_whole_of_a_torn_frame_is_kept(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-15m")) as (running, _):
        await trio.sleep(1)
        condition_id, yes, _ = ids(running)
        good = {"event_type": "last_trade_price", "market": condition_id, "asset_id": yes, "price": "0.5", "size": "1"}
        text = json.dumps([good, {**good, "price": "nonsense"}, {**good, "size": "3"}])
        collection, now_ns = Collection(running.engine, "btc-15m"), running.clock.now_ns()
        collection.take(FIFTEEN, Frame(at_ns=now_ns, text=text))
    assert [trade["size"] for trade in collection.collected(now_ns).trades] == [1.0, 3.0]


# ------------------------------------------------------------------------------------------------------------- duration


async def test_the_duration_is_what_was_truly_covered(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-15m")) as (running, service):
        await trio.sleep(20)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_outage, running, 30.0, 40.0)
            began = trio.current_time()
            data = await service.collect_market_data(ids(running)[0], 120)
            assert trio.current_time() - began == 120
        silent = [it for it in data["price_changes"] if QUARTER_S + 51.1 < it["received_at"] < QUARTER_S + 91]
        assert silent == []
        back = next(it["received_at"] for it in data["book_snapshots"] if it["received_at"] > QUARTER_S + 91)
        outage = back - (QUARTER_S + 51)
        assert 40 < outage < 75
        assert data["collection_duration"] == pytest.approx(120 - outage, abs=1.0)
        assert service.calculate_confidence(data) <= data["collection_duration"] / 120


async def _outage(running: Rig, after_s: float, for_s: float) -> None:
    await trio.sleep(after_s)
    running.venue.faults.down = True
    await trio.sleep(for_s)
    running.venue.faults.down = False


async def test_silence_is_not_covered(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-15m")) as (running, service):
        await trio.sleep(20)
        running.venue.faults.freeze()
        data = await service.collect_market_data(ids(running)[0], 25)
    assert data == EMPTY


async def test_a_crash_of_the_markets_actor_ends_what_is_covered(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-15m")) as (running, _):
        await trio.sleep(1)
        condition_id, yes, _ = ids(running)
        text = json.dumps({"event_type": "book", "market": condition_id, "asset_id": yes, "bids": [], "asks": []})
        start_ns = running.clock.now_ns()
        collection = Collection(running.engine, FIFTEEN)
        seconds = 10**9
        for record in (
            Frame(at_ns=start_ns, text=text),
            Unfollowed(at_ns=start_ns + seconds),
            Connected(at_ns=start_ns + 3 * seconds, epoch=2),
            Frame(at_ns=start_ns + 4 * seconds, text=text),
        ):
            collection.take(FIFTEEN, record)
        assert collection.collected(start_ns + 6 * seconds).collection_duration == 1.0 + 2.0


async def test_it_ends_early_when_the_market_is_closed(autojump_clock: MockClock) -> None:
    async with serviced(follow(), seconds=240) as (_, service):
        began = trio.current_time()
        data = await service.collect_market_data(FIVE, 120)
        assert trio.current_time() - began == pytest.approx(60, abs=0.5)
        assert data["collection_duration"] == pytest.approx(60, abs=0.5)
        assert len(data["trades"]) > 5
        assert max(it["received_at"] for it in data["price_changes"]) <= QUARTER_S + 300.5


async def test_of_a_market_that_is_closed_or_unknown_there_is_nothing_to_wait_for(autojump_clock: MockClock) -> None:
    async with serviced(follow(), seconds=310) as (_, service):
        for name in (FIVE, "0x" + "9" * 64, "no-such-market"):
            began = trio.current_time()
            assert await service.collect_market_data(name, 120) == EMPTY
            assert trio.current_time() - began < 1.5


async def test_from_a_venue_that_is_down_there_is_nothing_but_no_exception(autojump_clock: MockClock) -> None:
    async with serviced(follow()) as (running, service):
        condition_id, *tokens = ids(running)
        running.venue.faults.down = True
        for collect in (
            service.collect_market_data(condition_id, 30),
            service.collect_market_data_with_token_ids(tokens, 30),
        ):
            began = trio.current_time()
            assert await collect == EMPTY
            assert trio.current_time() - began == 30, "who asks again at once would hammer the venue"


async def test_a_market_is_collected_from_when_its_tokens_are_known(autojump_clock: MockClock) -> None:
    async with serviced(follow()) as (running, service):
        running.venue.faults.rest(503)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_mend, running, 10.0)
            began = trio.current_time()
            data = await service.collect_market_data_with_token_ids(ids(running)[1:], 60)
            assert trio.current_time() - began == 60
    assert 40 < data["collection_duration"] <= 50
    assert data["trades"]


async def _mend(running: Rig, after_s: float) -> None:
    await trio.sleep(after_s)
    running.venue.faults.rest_works()


async def test_no_time_at_all_is_a_collection_of_nothing(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-15m")) as (running, service):
        await trio.sleep(20)
        assert await service.collect_market_data("btc-15m", 0) == EMPTY
        assert await service.collect_market_data_with_token_ids(ids(running)[1:], 0) == EMPTY


# --------------------------------------------------------------------------------------------------- which market it is


async def test_token_ids_name_the_market_whichever_comes_first(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-15m")) as (running, service):
        await trio.sleep(20)
        _, yes, no = ids(running)
        start_ns = running.clock.now_ns()
        data = await service.collect_market_data_with_token_ids([no, yes], 40)
        assert {name: data[name] for name in LISTS} == on_tape(running, FIFTEEN, start_ns, running.clock.now_ns())


async def test_without_a_name_it_is_the_market_of_the_service(autojump_clock: MockClock) -> None:
    async with serviced(follow(), condition_id=FIFTEEN) as (running, service):
        yes = {slug: ids(running, slug)[1] for slug in (FIVE, FIFTEEN)}

        async def collected_from(service: MarketMicrostructureService) -> set[str]:
            data = await service.collect_market_data(duration_seconds=20)
            return {it["asset_id"] for it in data["book_snapshots"] if it["outcome"] == "YES"}

        assert await collected_from(service) == {yes[FIFTEEN]}
        service.set_market(FIVE)
        assert await collected_from(service) == {yes[FIVE]}, "named by its slug"
        service.follow("btc-15m")
        assert await collected_from(service) == {yes[FIFTEEN]}, "named by its series"
        tokens = MarketMicrostructureService(token_ids=ids(running, FIVE)[1:], engine=running.engine)
        assert await collected_from(tokens) == {yes[FIVE]}, "named by its tokens"
        nameless = MarketMicrostructureService(engine=running.engine)
        with pytest.raises(ValueError, match="no market"):
            await nameless.collect_market_data(duration_seconds=20)
        assert (await nameless.collect_market_data(FIVE, 20))["trades"]


async def test_the_market_of_the_settings_is_that_of_the_service(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-15m")) as (_, service):
        assert (await service.collect_market_data(duration_seconds=20))["book_snapshots"]


async def test_another_market_is_collected_whatever_the_services_own_is_called(autojump_clock: MockClock) -> None:
    async with serviced(follow(), condition_id="0x12") as (_, service):
        assert (await service.collect_market_data(FIFTEEN, 20))["book_snapshots"]
        with pytest.raises(ValueError, match="not a condition id"):
            await service.collect_market_data(duration_seconds=20)


async def test_a_condition_id_of_a_slot_that_is_followed_already(autojump_clock: MockClock) -> None:
    """The catalogue is slow to tell that both are the same market; nothing of it is missed meanwhile."""
    async with serviced(follow("btc-15m")) as (running, service):
        await trio.sleep(20)
        running.venue.faults.rest(503, delay_s=3.0)
        start_ns = running.clock.now_ns()
        data = await service.collect_market_data(ids(running)[0], 30)
        assert {name: data[name] for name in LISTS} == on_tape(running, FIFTEEN, start_ns, running.clock.now_ns())
        assert data["collection_duration"] == pytest.approx(30, abs=2.0)


async def test_a_series_goes_on_with_the_next_slot(autojump_clock: MockClock) -> None:
    async with serviced(follow(), seconds=270) as (running, service):
        data = await service.collect_market_data("btc-5m", 60)
        tokens = [ids(running, slug)[1:] for slug in (FIVE, f"btc-updown-5m-{QUARTER_S + 300}")]
    for row in data["trades"] + data["book_snapshots"]:
        assert row["asset_id"] in tokens[row["received_at"] >= QUARTER_S + 300]
    assert {it["asset_id"] for it in data["book_snapshots"]} == {*tokens[0], *tokens[1]}
    assert data["collection_duration"] == pytest.approx(60, abs=1.0)


async def test_a_series_goes_on_though_the_old_slot_was_lost(autojump_clock: MockClock) -> None:
    async with serviced(follow("btc-5m"), seconds=200) as (running, service):
        await trio.sleep(80)
        running.venue.faults.mute(FIVE)
        running.venue.faults.disconnect(FIVE)
        data = await service.collect_market_data("btc-5m", 60)
    assert data["collection_duration"] == pytest.approx(40, abs=2.0)


@pytest.mark.parametrize("market", [None, FIFTEEN])
async def test_a_collected_market_is_let_go_after_a_while(autojump_clock: MockClock, market: str | None) -> None:
    async with serviced(follow(discovery=DiscoverySettings(linger_s=30.0)), condition_id=market) as (running, service):
        await service.collect_market_data(FIFTEEN, 20)
        with trio.move_on_after(5):
            await service.collect_market_data(FIFTEEN, 20)
        await trio.sleep(29)
        assert running.engine.key_of(FIFTEEN) == FIFTEEN, "the engine lingers"
        await trio.sleep(2)
        assert running.engine.key_of(FIFTEEN) is None


@pytest.mark.parametrize(
    ("name", "seconds", "told"),
    [
        ("0x12", 10, "not a condition id"),
        ("No Such!", 10, "neither a series nor a slug"),
        (FIFTEEN, -1, "duration_seconds must be 0 or more, not -1"),
        (FIFTEEN, float("nan"), "duration_seconds"),
        (FIFTEEN, float("inf"), "duration_seconds"),
    ],
)
async def test_wrong_use_is_told_at_once(autojump_clock: MockClock, name: str, seconds: float, told: str) -> None:
    async with serviced(follow()) as (running, service):
        with pytest.raises(ValueError, match=told):
            await service.collect_market_data(name, seconds)
        assert running.engine.health().markets == ()


@pytest.mark.parametrize("tokens", [[], ["YES_TOKEN"], ["1", 2], "12", ["7" * 79]])
async def test_what_can_be_no_token_ids_is_told_at_once(autojump_clock: MockClock, tokens: list[str]) -> None:
    async with serviced(follow()) as (_, service):
        with pytest.raises(ValueError, match="token"):
            await service.collect_market_data_with_token_ids(tokens, 10)


# ------------------------------------------------------------------------------------------------- what is made of it


async def test_the_original_formulas_on_it_are_the_signals_own_components(autojump_clock: MockClock) -> None:
    dice = Random(11)
    script = [
        Traded(dice.choice([*Outcome]), dice.randrange(1, 10_000), dice.randrange(1, 2_000_000_000)) for _ in range(400)
    ]
    seen = set()
    async with OneMarketWorld(script)() as ports, open_engine(elsewhere(), ports=ports) as engine:
        service = MarketMicrostructureService(condition_id=CONDITION_ID, engine=engine)
        for _ in range(3):
            data = await service.collect_market_data(CONDITION_ID, 120)
            signal = await service.get_market_score(max_wait_s=0)
            trades, parts = data["trades"], signal.components
            momentum, flow = service.calculate_momentum_score(trades), service.calculate_volume_flow_score(trades)
            whale = service.calculate_whale_activity_score(trades)
            assert signal.window.trades == len(trades) >= 119
            assert (momentum, flow, whale) == (parts.momentum, parts.volume_flow, parts.whale)
            assert service.calculate_market_score(momentum, flow, whale) == signal.score
            assert service.calculate_confidence(data) == pytest.approx(signal.confidence_seed, abs=0.02)
            # The rows name their outcome; without it the service knows the tokens from its own answers.
            plain = [{key: row[key] for key in ("asset_id", "price", "size")} for row in trades]
            assert service.calculate_momentum_score(plain) == momentum
            assert service.calculate_volume_flow_score(plain) == flow
            seen.add((momentum, flow, whale))
    assert len(seen) == 3


async def test_one_trade_is_one_row_with_exact_numbers(autojump_clock: MockClock) -> None:
    async with OneMarketWorld(ONE_TRADE)() as ports, open_engine(elsewhere(), ports=ports) as engine:
        service = MarketMicrostructureService(engine=engine)
        data = await service.collect_market_data(SLUG, 20)
        [trade] = data["trades"]
        assert trade == {
            "event_type": "last_trade_price",
            "asset_id": YES,
            "outcome": "YES",
            "price": 0.52,
            "size": 1500.0,
            "side": "BUY",
            "timestamp": trade["timestamp"],
            "received_at": pytest.approx(trade["timestamp"] / 1000, abs=0.01),
            "transaction_hash": "0x" + "0" * 63 + "1",
        }
        [first, second, *_] = data["book_snapshots"]
        assert first == {
            "event_type": "book",
            "asset_id": YES,
            "outcome": "YES",
            "bids": [{"price": 0.5, "size": 90.0}],
            "asks": [{"price": 0.54, "size": 70.0}],
            "timestamp": first["timestamp"],
            "received_at": first["received_at"],
        }
        assert (second["asset_id"], second["bids"]) == (NO, [{"price": 0.46, "size": 70.0}])
        down = {"asset_id": NO, "outcome": "NO", "price": 0.51, "side": "SELL", "best_bid": 0.46, "best_ask": 0.5}
        assert data["price_changes"][0]["price_changes"][1] == {**down, "size": 1.0}
        assert (await service.collect_market_data(CONDITION_ID, 5))["trades"] == [], "another one, another list"
        assert service.calculate_whale_activity_score(data["trades"]) == 1.0
