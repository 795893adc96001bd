import gzip
import json
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from actors.clock import Clock
from actors.venue import Venue, VenueOptions
from actors.venue.recorded import RecordedSource, Timeline, mirrored
from engine.events import BookSnapshot
from engine.markets import Outcome
from engine.wire import decode
from tests.actors.venue.recording import LATER, TOKENS, write_recording
from tests.actors.venue.scenery import SLUG, START_NS, START_S, S, Stage, staged

DAY_NS = 86_400 * S


async def test_recorded_frames_go_out_verbatim_at_their_time(autojump_clock: MockClock, tmp_path: Path) -> None:
    frames = write_recording(tmp_path)[SLUG]
    async with staged(10.5, source=RecordedSource(tmp_path)) as stage:
        client = await stage.client()
        await client.subscribe(TOKENS[SLUG])
        await stage.until(60)
        assert client.texts[0] == f"[{frames[10]}]"
        assert client.texts[1:] == frames[11:]
        assert [round(at / S - START_S) for at, _ in client.heard[1:]] == list(range(11, 30))


async def test_the_other_token_is_derived_if_wanted(autojump_clock: MockClock, tmp_path: Path) -> None:
    write_recording(tmp_path)
    async with staged(0.5, source=RecordedSource(tmp_path)) as stage:
        market = (await stage.get("/markets", slug=SLUG))[0]
        up, down = json.loads(market["clobTokenIds"])
        client = await stage.client()
        await client.subscribe(up, down)
        await stage.until(40)
        books = client.events("book")
        derived = [book for book in books if book.get("derived")]
        assert up == TOKENS[SLUG]
        assert {book["asset_id"] for book in derived} == {down}
        assert len(derived) * 2 == len(books)
        first = next(book for book in derived if "tick_size" in book)
        assert first["bids"] == [{"price": "0.4", "size": "3.25"}, {"price": "0.48", "size": "9"}]
        assert first["asks"] == [{"price": "0.6", "size": "12.5"}, {"price": "0.5", "size": "7"}]
        assert (first["last_trade_price"], first["hash"]) == ("0.69", "")


async def test_without_the_mirror_one_token_stays_silent(autojump_clock: MockClock, tmp_path: Path) -> None:
    write_recording(tmp_path)
    source = RecordedSource(tmp_path, mirror=False)
    async with staged(0.5, source=source) as stage:
        found = source.by_slug(SLUG, START_NS)
        assert found is not None
        client = await stage.client()
        await client.subscribe(found.down_asset_id)
        await stage.until(40)
        assert client.texts == []
        assert (await stage.rest.get("/book", params={"token_id": found.down_asset_id})).status_code == 404
        assert (await stage.get("/book", token_id=found.up_asset_id))["min_order_size"] == "5"
        assert await stage.get("/midpoint", token_id=found.up_asset_id) == {"mid": "0.8"}


async def test_a_recorded_market_is_decided_by_its_manifest(autojump_clock: MockClock, tmp_path: Path) -> None:
    write_recording(tmp_path)
    async with staged(250, source=RecordedSource(tmp_path), idle_drop_s=1_000.0) as stage:
        client = await stage.client()
        await client.subscribe(TOKENS[SLUG], TOKENS[LATER], custom=True)
        await stage.until(1_000)
        won = [(event["market"][:4], event["winning_outcome"]) for event in client.events("market_resolved")]
        assert won == [("0x1c", "Down"), ("0x2d", "Up")]
        assert [book["bids"] for book in client.events("book")[-2:]] == [[], []]
        assert stage.venue.markets() == ()


async def test_windows_can_be_moved_to_another_time(autojump_clock: MockClock, tmp_path: Path) -> None:
    frames = write_recording(tmp_path)[SLUG]
    source = RecordedSource(tmp_path, begin_ns=START_NS + DAY_NS)
    async with staged(86_400 + 0.5, source=source) as stage:
        moved = [listing.slug for listing in source.listed(stage.clock.now_ns())]
        assert moved == [f"btc-updown-5m-{START_S + 86_400}", f"btc-updown-5m-{START_S + 86_700}"]
        client = await stage.client()
        await client.subscribe(TOKENS[SLUG])
        await stage.until(86_400 + 3.5)
        assert [int(book["timestamp"]) for book in client.events("book")] == (
            [(START_S + 86_400 + second) * 1000 + 20 for second in range(4)]
        )
        assert client.events("book")[1]["bids"] == json.loads(frames[1])["bids"]


async def test_recordings_play_at_any_speed(autojump_clock: MockClock, tmp_path: Path) -> None:
    write_recording(tmp_path)
    source = RecordedSource(tmp_path, VenueOptions(resolve_after_s=100.0), speed=10.0)
    async with staged(0, source=source) as stage:
        found = source.by_slug(SLUG, START_NS)
        assert found is not None
        assert (found.end_ns - found.start_ns, found.resolves_ns - found.end_ns) == (30 * S, 10 * S)
        client = await stage.client()
        await client.subscribe(TOKENS[SLUG])
        await stage.until(2.95)
        assert len(client.events("book")) == 30


def test_a_moved_window_off_the_calendar_keeps_its_name(tmp_path: Path) -> None:
    write_recording(tmp_path)
    source = RecordedSource(tmp_path, begin_ns=START_NS + 7 * S)
    assert source.by_slug(SLUG, START_NS) is not None


def test_what_cannot_be_played_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recordings"):
        RecordedSource(tmp_path)
    write_recording(tmp_path)
    with pytest.raises(ValueError, match="speed"):
        RecordedSource(tmp_path, speed=0.0)
    (tmp_path / "manifest.csv").unlink()
    with pytest.raises(ValueError, match="manifest"):
        RecordedSource(tmp_path)


@pytest.mark.parametrize("torn", [b"nonsense", b'{"recv_ts":1,"raw":"[{"}'])
def test_a_torn_recording_ends_where_it_is_torn(tmp_path: Path, torn: bytes) -> None:
    frames = write_recording(tmp_path)[SLUG]
    path = tmp_path / f"{SLUG}.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines()[:5]
    path.write_bytes(gzip.compress(b"\n".join([*lines, torn])))
    source = RecordedSource(tmp_path)
    found = source.by_slug(SLUG, START_NS)
    assert found is not None
    tape = source.tape(found, START_NS)
    while tape.next_ns is not None:
        tape.skip()
    tape.skip()
    assert tape.initial_book(Outcome.UP) == frames[4]
    assert tape.cross(START_NS) is None
    with pytest.raises(NotImplementedError):
        tape.heal(START_NS, 1)


def test_arrays_are_taken_apart(tmp_path: Path) -> None:
    frames = write_recording(tmp_path)[SLUG]
    path = tmp_path / f"{SLUG}.jsonl.gz"
    whole = f"[{frames[1]},{frames[2]}]"
    first = json.dumps({"recv_ts": START_S, "raw": frames[0]})
    path.write_bytes(gzip.compress(f"{first}\n{json.dumps({'recv_ts': START_S + 1, 'raw': whole})}\n".encode()))
    source = RecordedSource(tmp_path)
    found = source.by_slug(SLUG, START_NS)
    assert found is not None
    tape = source.tape(found, START_NS)
    assert (tape.initial_book(Outcome.UP), tape.rest_book(Outcome.UP), tape.top(Outcome.UP)) == (
        None,
        None,
        (None, None),
    )
    told = []
    while tape.next_ns is not None:
        told += [message.text for message in tape.advance() if message.asset_id == found.up_asset_id]
    assert told == frames[:3]
    assert tape.top(Outcome.DOWN) == (4_600, 4_800)


def test_timelines() -> None:
    assert Timeline(recorded_ns=5, begin_ns=5, speed=1.0).verbatim
    slow = Timeline(recorded_ns=100, begin_ns=1_000, speed=0.5)
    assert (slow.verbatim, slow.played(110), slow.played(90)) == (False, 1_020, 980)


def test_mirrors_of_empty_books() -> None:
    text = '{"market":"0x1","asset_id":"1","bids":[],"asks":[{"price":"0.001","size":"2"}],"hash":"","timestamp":"1"}'
    assert json.loads(mirrored(text, "2"))["bids"] == [{"price": "0.999", "size": "2"}]


async def test_real_recordings_play(autojump_clock: MockClock, captures: Path) -> None:
    """A real window, one minute of it, as a client in its own time hears it."""
    source = RecordedSource(captures)
    found = source.listed(2**62)[0]
    clock = Clock.anchored(found.start_ns + 60 * S)
    venue = Venue(clock, source=source)
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        stage = Stage(venue, clock, nursery)
        client = await stage.client()
        await client.subscribe(*found.asset_ids, custom=True)
        await clock.sleep_until(found.start_ns + 120 * S)
        nursery.cancel_scope.cancel()
    await stage.rest.aclose()
    assert len(client.texts) > 300
    for text in client.texts:
        assert all(isinstance(event, BookSnapshot) for event in decode(text))
    assert {book["asset_id"] for book in client.events("book")} == set(found.asset_ids)
