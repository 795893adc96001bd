"""What both kinds of source must do alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.venue.generated import GeneratedSource
from actors.venue.options import VenueOptions
from actors.venue.recorded import RecordedSource
from actors.venue.source import TRADES_KEPT, Source
from engine.markets import Outcome
from tests.actors.venue.recording import write_recording
from tests.actors.venue.scenery import SLUG, START_NS, S

Make = Callable[[Path], Source]


def recorded(folder: Path) -> Source:
    write_recording(folder)
    return RecordedSource(folder)


@pytest.fixture(params=[lambda _: GeneratedSource(VenueOptions()), recorded], ids=["generated", "recorded"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    make: Make = request.param
    return make(tmp_path)


def test_a_market_is_the_same_by_any_name(source: Source) -> None:
    found = source.by_slug(SLUG, START_NS)
    assert found is not None
    assert source.by_condition(found.condition_id, START_NS) == found
    assert [source.by_asset(asset, START_NS) for asset in found.asset_ids] == [found, found]
    assert found in source.listed(START_NS)


def test_nobody_knows_strangers(source: Source) -> None:
    assert source.by_slug("btc-updown-5m-1", START_NS) is None
    assert source.by_slug("who-wins-the-cup", START_NS) is None
    assert source.by_asset("12345", START_NS) is None
    assert source.by_condition("0x" + "0" * 64, START_NS) is None


def test_openings_are_in_the_future_and_all_at_once(source: Source) -> None:
    at_ns = START_NS - 172_800 * S
    opening = source.opening_after(at_ns)
    assert opening
    assert {listing.opens_ns for listing in opening} == {opening[0].opens_ns}
    assert opening[0].opens_ns > at_ns
    assert all(source.by_slug(listing.slug, listing.opens_ns) == listing for listing in opening)
    assert all(source.by_slug(listing.slug, listing.opens_ns - 1) is None for listing in opening)


def test_tapes_run_forward(source: Source) -> None:
    found = source.by_slug(SLUG, START_NS)
    assert found is not None
    tape = source.tape(found, START_NS)
    times = []
    while tape.next_ns is not None and tape.next_ns < START_NS + 5 * S:
        times.append(tape.next_ns)
        assert tape.advance()
    assert times == sorted(times) != []
    assert tape.tick == 100
    assert all(tape.initial_book(outcome) and tape.rest_book(outcome) for outcome in Outcome)
    assert all(len(tape.close(1)) == 2 for _ in range(2))
    assert len(tape.trades) < TRADES_KEPT


def test_the_outcome_is_the_fair_price_in_the_end(source: Source) -> None:
    found = source.by_slug(SLUG, START_NS)
    assert found is not None
    assert source.fair(found, found.start_ns - S) == 0.5
    assert source.fair(found, found.end_ns) == (1.0 if source.winner(found) is Outcome.UP else 0.0)
