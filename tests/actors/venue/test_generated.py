import pytest

from actors.venue.generated import RESOLUTION_S, GeneratedSource
from actors.venue.options import VenueOptions
from engine.markets import Outcome
from engine.series import SERIES
from tests.actors.venue.scenery import SLUG, START_NS, START_S, S

DAY_S = 86_400


def slug_after(seconds: int) -> str:
    return f"btc-updown-5m-{START_S + seconds}"


def test_every_series_has_a_live_market_and_the_next() -> None:
    source = GeneratedSource(VenueOptions())
    listed = {listing.slug for listing in source.listed(START_NS)}
    for series in SERIES.values():
        slot = series.slot_at(START_NS)
        assert {slot.slug, series.next(slot).slug} <= listed | {series.next(slot).slug}
        assert source.by_slug(slot.slug, START_NS) is not None
    assert len(listed) > 1_600


def test_a_market_exists_from_a_day_before_its_slot_and_for_ever_by_slug() -> None:
    source = GeneratedSource(VenueOptions())
    assert source.by_slug(slug_after(DAY_S), START_NS) is not None
    assert source.by_slug(slug_after(DAY_S + 300), START_NS) is None
    assert source.by_slug(slug_after(-30 * DAY_S), START_NS) is not None


def test_four_hours_exist_in_one_alignment_alone() -> None:
    source = GeneratedSource(VenueOptions())
    series = SERIES["btc-4h"]
    slot = series.slot_at(START_NS)
    assert source.by_slug(slot.slug, START_NS) is not None
    assert [source.by_slug(other.slug, START_NS) for other in series.alternatives(slot)] == [None]


def test_ids_are_forgotten_a_while_after_the_end() -> None:
    source = GeneratedSource(VenueOptions(remember_s=600.0))
    found = source.by_slug(SLUG, START_NS)
    assert found is not None
    assert source.by_asset(found.up_asset_id, START_NS) == found
    assert source.by_asset(found.up_asset_id, found.end_ns + 599 * S) == found
    assert source.by_asset(found.up_asset_id, found.end_ns + 601 * S) is None
    assert all(listing.end_ns > found.end_ns for listing in source.listed(found.end_ns + 601 * S))


def test_the_index_survives_a_long_pause() -> None:
    source = GeneratedSource(VenueOptions())
    before = len(source.listed(START_NS))
    after = source.listed(START_NS + 10 * DAY_S * S)
    assert len(after) == pytest.approx(before, abs=5)
    assert all(listing.end_ns >= START_NS + 10 * DAY_S * S - 3_600 * S for listing in after)


def test_resolution_comes_when_it_is_seen_to_come() -> None:
    delays = []
    for window in range(50):
        found = GeneratedSource(VenueOptions()).by_slug(slug_after(300 * window), START_NS)
        assert found is not None
        delays.append((found.resolves_ns - found.end_ns) / S)
    assert min(delays) >= RESOLUTION_S[0]
    assert max(delays) <= RESOLUTION_S[1]
    assert len(set(delays)) == 50
    fixed = GeneratedSource(VenueOptions(resolve_after_s=5.0)).by_slug(SLUG, START_NS)
    assert fixed is not None
    assert fixed.resolves_ns == fixed.end_ns + 5 * S


def test_windows_of_one_underlying_agree_on_the_price() -> None:
    source = GeneratedSource(VenueOptions())
    five, fifteen = (source.by_slug(f"btc-updown-{length}-{START_S}", START_NS) for length in ("5m", "15m"))
    ether = source.by_slug(f"eth-updown-5m-{START_S}", START_NS)
    assert five is not None
    assert fifteen is not None
    assert ether is not None
    assert source.spot(five, START_NS) == source.spot(fifteen, START_NS) != source.spot(ether, START_NS)
    up = source.spot(five, five.end_ns) >= source.spot(five, five.start_ns)
    assert source.winner(five) is (Outcome.UP if up else Outcome.DOWN)
