"""Tapes as a source: the recorded messages again, books for whoever comes later, and how a market ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve
from trio.testing import MockClock

from actors.venue import TapedSource, VenueOptions
from actors.venue.tapes import NEVER_NS
from engine.errors import TapeError
from engine.markets import Outcome
from engine.series import SERIES
from tests.actors.venue.recording import write_recording
from tests.actors.venue.scenery import OTHER, SLUG, START_NS, S, listing, staged
from tests.actors.venue.taping import label, market_of, overheard, put

LISTING = listing()


async def test_a_bot_hears_what_the_recorder_heard(autojump_clock: MockClock, tmp_path: Path) -> None:
    heard = await overheard(LISTING, custom=True)
    put(tmp_path, LISTING, heard)
    async with staged(0.5, source=TapedSource([tmp_path])) as stage:
        client = await stage.client()
        await client.subscribe(*LISTING.asset_ids, custom=True)
        await stage.until(40)
    assert [json.loads(text) for text in client.texts[:2]] == json.loads(heard[0][1])
    assert client.texts[2:] == [text for _, text in heard[1:]]
    assert [at_ns for at_ns, _ in client.heard[2:]] == [at_ns for at_ns, _ in heard[1:]]
    assert len(client.texts) > 100


async def test_who_comes_later_gets_the_books_of_then(autojump_clock: MockClock, tmp_path: Path) -> None:
    put(tmp_path, LISTING, await overheard(LISTING))
    seen = []
    for source in (None, TapedSource([tmp_path])):
        async with staged(20.0, source=source) as stage:
            client = await stage.client()
            await client.subscribe(*LISTING.asset_ids)
            await stage.until(20.05)
            pages = [await stage.get("/book", token_id=asset) for asset in LISTING.asset_ids]
            top = await stage.get("/midpoint", token_id=LISTING.up_asset_id)
            last = await stage.get("/last-trade-price", token_id=LISTING.up_asset_id)
            trades = await stage.get("/trades", market=LISTING.condition_id)
            books = [(book["bids"], book["asks"]) for book in [*json.loads(client.texts[0]), *pages]]
            shown = [(it["price"], it["size"], it["side"]) for it in trades[:3]]
            seen.append((books, pages[0]["hash"], top, last, shown))
    assert seen[0] == seen[1]
    assert seen[0][4]


async def test_it_ends_as_it_ended(autojump_clock: MockClock, tmp_path: Path) -> None:
    put(tmp_path, LISTING, await overheard(LISTING))
    label(tmp_path, LISTING, Outcome.DOWN, at_s=330.0)
    async with staged(10, source=TapedSource([tmp_path]), idle_drop_s=1e4) as stage:
        client = await stage.client()
        await client.subscribe(*LISTING.asset_ids, custom=True)
        await stage.until(329)
        assert (await stage.get("/markets", slug=SLUG))[0]["closed"] is False
        await stage.until(335)
        [resolved] = client.events("market_resolved")
        assert resolved["winning_asset_id"] == LISTING.down_asset_id
        [market] = await stage.get("/markets", slug=SLUG, closed="true")
        assert json.loads(market["outcomePrices"]) == ["0", "1"]
        assert [book["bids"] for book in client.events("book")[-2:]] == [[], []]


async def test_the_venues_own_word_is_told_once_and_at_its_time(autojump_clock: MockClock, tmp_path: Path) -> None:
    heard = await overheard(LISTING, begin_s=250.0, until_s=480.0, custom=True)
    put(tmp_path, LISTING, heard)
    [told_ns] = [at_ns for at_ns, text in heard if "market_resolved" in text]
    source = TapedSource([tmp_path])
    [found] = source.markets
    assert (found.resolves_ns, source.known_winner(found)) == (told_ns, source.winner(found))
    async with staged(250, source=source, idle_drop_s=1e4) as stage:
        client = await stage.client()
        await client.subscribe(*LISTING.asset_ids, custom=True)
        await stage.until(480)
        [resolved] = client.events("market_resolved")
        assert resolved["winning_outcome"] == source.winner(found)


@pytest.mark.parametrize("void", [False, True])
async def test_what_nobody_knows_never_resolves(autojump_clock: MockClock, tmp_path: Path, void: bool) -> None:
    put(tmp_path, LISTING, await overheard(LISTING, until_s=5.0))
    if void:
        label(tmp_path, LISTING, None, at_s=330.0)
    source = TapedSource([tmp_path])
    [found] = source.markets
    assert (found.resolves_ns, source.fair(found, found.end_ns + S)) == (NEVER_NS, 0.5)
    with pytest.raises(ValueError, match="nobody tells who won"):
        source.winner(found)
    async with staged(10, source=source) as stage:
        await stage.until(3600)
        assert (await stage.get("/markets", slug=SLUG))[0]["closed"] is False


async def test_moved_it_falls_on_the_slot_of_now(autojump_clock: MockClock, tmp_path: Path) -> None:
    put(tmp_path, LISTING, await overheard(LISTING, begin_s=100.0, until_s=120.0))
    now_ns = START_NS + 3 * 300 * S + 105 * S
    source = TapedSource([tmp_path], now_ns=now_ns)
    [found] = source.markets
    assert found.slug == SERIES["btc-5m"].slot_at(now_ns).slug
    assert now_ns - 300 * S < source.begins_ns(found) <= now_ns
    async with staged(3 * 300 + 90, source=source) as stage:
        client = await stage.client()
        await client.subscribe(*LISTING.asset_ids)
        await stage.until(3 * 300 + 115)
        books = client.events("book")
        stamps = [int(event["timestamp"]) / 1000 - START_NS / S for event in client.events()]
    assert all(1000 - 5 < stamp < 1021 for stamp in stamps)
    assert {book["hash"] for book in books} == {""}


def test_what_would_be_over_begins_with_the_next_slot(tmp_path: Path) -> None:
    put(tmp_path, LISTING, [(START_NS + 100 * S, "PONG"), (START_NS + 110 * S, "PONG")])
    source = TapedSource([tmp_path], now_ns=START_NS + 107 * S)
    [found] = source.markets
    assert (found.start_ns, source.begins_ns(found)) == (START_NS + 300 * S, START_NS + 400 * S)


def test_sped_up_it_begins_now_under_its_recorded_slug(tmp_path: Path) -> None:
    put(tmp_path, LISTING, [(START_NS + 100 * S, "PONG"), (START_NS + 110 * S, "PONG")])
    now_ns = START_NS + 10**6 * S
    source = TapedSource([tmp_path], VenueOptions(resolve_after_s=10.0), now_ns=now_ns, speed=10.0)
    [found] = source.markets
    assert (found.slug, source.begins_ns(found), found.end_ns) == (SLUG, now_ns, now_ns + 20 * S)
    assert found.resolves_ns == NEVER_NS


def test_older_recordings_are_played_as_well(tmp_path: Path) -> None:
    write_recording(tmp_path)
    source = TapedSource([tmp_path])
    first, second = source.markets
    assert (first.derived_down, source.winner(first), source.winner(second)) == (True, Outcome.DOWN, Outcome.UP)
    assert first.resolves_ns == first.end_ns + 120 * S


def test_what_cannot_be_played_is_named(tmp_path: Path) -> None:
    put(tmp_path, LISTING, [(START_NS, "PONG")])
    other = listing(OTHER)
    put(tmp_path, other, [(START_NS, "PONG")], market=evolve(market_of(other), start_ns=other.end_ns))
    source = TapedSource([tmp_path])
    assert [found.slug for found in source.markets] == [SLUG]
    assert source.problems == [f"{OTHER}: the tape does not tell the market's tokens and times"]
    with pytest.raises(TapeError, match="does not tell"):
        TapedSource([next(tmp_path.glob(f"*/{OTHER}.*"))])
    with pytest.raises(ValueError, match="speed out of range"):
        TapedSource([tmp_path], speed=0.0)
