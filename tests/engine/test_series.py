from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import UnknownSlug
from engine.series import NAMES, SERIES, Series, Slot, series_named, slot_of_slug, slots_of_slug, underlying_of
from engine.units import NS_PER_S

HOUR_NS = 3600 * NS_PER_S

BTC = [SERIES[f"btc-{family}"] for family in ("5m", "15m", "1h", "4h", "1d")]
every_btc_series = pytest.mark.parametrize("series", BTC, ids=lambda series: series.name)
seconds = st.integers(1_600_000_000, 2_200_000_000)  # 2020 to 2039


def utc(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * NS_PER_S  # type: ignore[misc, arg-type]


def slots(series: Series, start_ns: int, end_ns: int) -> list[Slot]:
    found = [series.slot_at(start_ns)]
    while found[-1].end_ns < end_ns:
        found.append(series.next(found[-1]))
    return found


@pytest.mark.parametrize(
    ("name", "instant", "slug", "start", "end"),
    [
        (
            "btc-5m",
            utc(2026, 9, 9, 10, 3),
            "btc-updown-5m-1788948000",
            utc(2026, 9, 9, 10),
            utc(2026, 9, 9, 10, 5),
        ),
        (
            "eth-15m",
            utc(2026, 9, 9, 10, 15),
            "eth-updown-15m-1788948900",
            utc(2026, 9, 9, 10, 15),
            utc(2026, 9, 9, 10, 30),
        ),
        (
            "btc-1h",
            utc(2026, 8, 16, 18, 59),
            "bitcoin-up-or-down-august-16-2026-2pm-et",
            utc(2026, 8, 16, 18),
            utc(2026, 8, 16, 19),
        ),
        (
            "sol-1h",
            utc(2026, 1, 1, 5),
            "solana-up-or-down-january-1-2026-12am-et",
            utc(2026, 1, 1, 5),
            utc(2026, 1, 1, 6),
        ),
        (
            "xrp-1h",
            utc(2026, 1, 1, 17, 30),
            "xrp-up-or-down-january-1-2026-12pm-et",
            utc(2026, 1, 1, 17),
            utc(2026, 1, 1, 18),
        ),
        # Under UTC-5 a multiple of four hours plus one, under UTC-4 a multiple of four hours.
        (
            "btc-4h",
            utc(2026, 1, 15, 12, 59),
            "btc-updown-4h-1768467600",
            utc(2026, 1, 15, 9),
            utc(2026, 1, 15, 13),
        ),
        (
            "btc-4h",
            utc(2026, 7, 15, 11, 59),
            "btc-updown-4h-1784102400",
            utc(2026, 7, 15, 8),
            utc(2026, 7, 15, 12),
        ),
        (
            "btc-1d",
            utc(2026, 6, 23, 15, 59),
            "bitcoin-up-or-down-on-june-23-2026",
            utc(2026, 6, 22, 16),
            utc(2026, 6, 23, 16),
        ),
        (
            "eth-1d",
            utc(2026, 6, 23, 16),
            "ethereum-up-or-down-on-june-24-2026",
            utc(2026, 6, 23, 16),
            utc(2026, 6, 24, 16),
        ),
        (
            "btc-1d",
            utc(2026, 12, 31, 18),
            "bitcoin-up-or-down-on-january-1-2027",
            utc(2026, 12, 31, 17),
            utc(2027, 1, 1, 17),
        ),
    ],
)
def test_the_slot_of_an_instant(name: str, instant: int, slug: str, start: int, end: int) -> None:
    slot = SERIES[name].slot_at(instant)
    assert (slot.series, slot.slug, slot.start_ns, slot.end_ns) == (name, slug, start, end)
    assert slot_of_slug(slug) == slot


def test_the_series_are_five_families_of_every_underlying() -> None:
    assert {*SERIES} == {f"{ticker}-{family}" for ticker in NAMES for family in ("5m", "15m", "1h", "4h", "1d")}
    assert {(name, series.name) for name, series in SERIES.items() if name != series.name} == set()
    assert {series.underlying for series in SERIES.values()} == {"BTC", "ETH", "SOL", "XRP"}
    assert [series.duration_s for series in BTC] == [300, 900, 3600, 14_400, 86_400]
    assert series_named("xrp-4h") is SERIES["xrp-4h"]


@every_btc_series
@given(second=seconds)
@example(second=utc(2026, 3, 8, 7) // NS_PER_S)
@example(second=utc(2026, 11, 1, 6) // NS_PER_S)
def test_the_slot_of_an_instant_holds_it_and_its_neighbours_touch_it(series: Series, second: int) -> None:
    now_ns = second * NS_PER_S + 999_999_999
    slot = series.slot_at(now_ns)
    assert slot.start_ns <= now_ns < slot.end_ns
    assert abs(slot.end_ns - slot.start_ns - series.duration_s * NS_PER_S) in (0, HOUR_NS)
    assert series.slot_at(slot.start_ns) == slot == series.slot_at(slot.end_ns - 1)
    assert series.next(slot).start_ns == slot.end_ns
    assert series.slot_at(slot.start_ns - 1).end_ns == slot.start_ns


@pytest.mark.parametrize("name", SERIES)
@given(second=seconds)
def test_slot_and_slug_lead_to_each_other(name: str, second: int) -> None:
    slot = SERIES[name].slot_at(second * NS_PER_S)
    assert slot_of_slug(slot.slug) == slot
    target = slot.target()
    assert (target.key, target.slug, target.series, target.underlying) == (
        slot.slug,
        slot.slug,
        name,
        slot.underlying,
    )
    assert (target.start_ns, target.end_ns, target.condition_id) == (slot.start_ns, slot.end_ns, None)


@pytest.mark.untraced
@pytest.mark.parametrize("name", ["btc-1h", "btc-4h", "btc-1d"])
def test_ten_years_are_covered_without_gap_overlap_or_namesake(name: str) -> None:
    series = SERIES[name]
    found = slots(series, utc(2025, 1, 1, 5), utc(2035, 1, 1, 5))
    assert all(before.end_ns == after.start_ns for before, after in pairwise(found))
    assert all(slot.start_ns < slot.end_ns for slot in found)
    assert len({slot.slug for slot in found}) == len(found)
    irregular = [slot for slot in found if slot.end_ns - slot.start_ns != series.duration_s * NS_PER_S]
    assert len(irregular) == (0 if name == "btc-1h" else 20)  # two changes of the clocks a year


def test_the_hour_repeated_in_november_has_two_slots() -> None:
    first, second = slots(SERIES["btc-1h"], utc(2026, 11, 1, 5), utc(2026, 11, 1, 7))
    assert first.slug == "bitcoin-up-or-down-november-1-2026-1am-et"
    assert second.slug == "bitcoin-up-or-down-november-1-2026-1am-et-2"
    assert (second.start_ns, second.end_ns) == (utc(2026, 11, 1, 6), utc(2026, 11, 1, 7))
    assert [slot_of_slug(slot.slug) for slot in (first, second)] == [first, second]


def test_the_plain_slug_of_the_repeated_hour_may_name_either_slot() -> None:
    series = SERIES["btc-1h"]
    first = series.slot_at(utc(2026, 11, 1, 5))
    second = series.next(first)
    (plain,) = series.alternatives(second)
    assert plain.slug == first.slug
    assert (plain.start_ns, plain.end_ns) == (second.start_ns, second.end_ns)
    assert slots_of_slug(first.slug) == (first, plain)
    assert not series.admits(first, plain.end_ns)
    assert series.alternatives(first) == ()


def test_the_hour_skipped_in_march_has_no_slot() -> None:
    one, three = slots(SERIES["btc-1h"], utc(2026, 3, 8, 6), utc(2026, 3, 8, 8))
    assert one.slug == "bitcoin-up-or-down-march-8-2026-1am-et"
    assert three.slug == "bitcoin-up-or-down-march-8-2026-3am-et"
    with pytest.raises(UnknownSlug, match="3am"):
        slot_of_slug("bitcoin-up-or-down-march-8-2026-2am-et")


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 8), (3, 4)), ((2026, 11, 1), (5, 4))], ids=["spring", "autumn"])
def test_four_hour_slots_keep_to_new_york_midnight(day: tuple[int, int, int], hours: tuple[int, int]) -> None:
    midnight = utc(*day, 5 if day[1] == 3 else 4)
    first, second = slots(SERIES["btc-4h"], midnight, midnight + 8 * HOUR_NS)[:2]
    assert first.start_ns == midnight
    assert tuple((slot.end_ns - slot.start_ns) // HOUR_NS for slot in (first, second)) == hours


@given(second=seconds)
def test_a_four_hour_slot_has_one_alternative_of_the_other_alignment(second: int) -> None:
    series = SERIES["btc-4h"]
    slot = series.slot_at(second * NS_PER_S)
    (other,) = series.alternatives(slot)
    assert abs(other.start_ns - slot.start_ns) == HOUR_NS
    assert {slot.start_ns // HOUR_NS % 4, other.start_ns // HOUR_NS % 4} == {0, 1}
    assert other.end_ns - other.start_ns == 4 * HOUR_NS
    assert slot_of_slug(other.slug) == other
    assert series.admits(slot, other.end_ns) or slot.end_ns - slot.start_ns != 4 * HOUR_NS


@pytest.mark.parametrize("name", ["btc-5m", "btc-15m", "btc-1d"])
def test_other_series_have_no_alternatives(name: str) -> None:
    assert SERIES[name].alternatives(SERIES[name].slot_at(utc(2026, 5, 1))) == ()


@pytest.mark.parametrize(
    ("name", "off_by_s", "admitted"),
    [
        ("btc-5m", 0, True),
        ("btc-5m", 60, True),
        ("btc-5m", -61, False),
        ("btc-1h", 3600, False),
        ("btc-4h", -3600, True),
        ("btc-4h", 4 * 3600, False),
        ("btc-1d", 86_400, True),
        ("btc-1d", 86_401, False),
        ("btc-1d", -365 * 86_400, False),
    ],
)
def test_the_end_in_the_metadata_tells_a_namesake(name: str, off_by_s: int, admitted: bool) -> None:
    slot = SERIES[name].slot_at(utc(2026, 5, 1))
    assert SERIES[name].admits(slot, slot.end_ns + off_by_s * NS_PER_S) is admitted


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "btc-updown-1h-1788948000",  # hours are named by the clock
        "btc-updown-5m-1788948001",  # off the grid
        "btc-updown-15m-1788948300",
        "btc-updown-4h-1768474800",  # neither alignment
        "btc-updown-5m-0300",  # leading zero
        "btc-updown-5m-99999999999",  # beyond the calendar
        "btc-updown-5m-１７８８９４８０００",  # digits, but not ASCII
        "doge-updown-5m-1788948000",
        "bitcoin-up-or-down-august-16-2pm-et",  # no year: any year's market may answer
        "bitcoin-up-or-down-august-16-2026-13pm-et",
        "bitcoin-up-or-down-august-16-2026-0am-et",
        "bitcoin-up-or-down-august-06-2026-2pm-et",
        "bitcoin-up-or-down-february-30-2026-2pm-et",
        "bitcoin-up-or-down-august-16-2026-2pm-et-2",  # only one hour a year is repeated
        "bitcoin-up-or-down-on-february-29-2026",
        "bitcoin-up-or-down-on-august-16",
        "btc-updown-5m-1788948000\n",
    ],
)
def test_a_slug_outside_the_calendar_is_refused(slug: str) -> None:
    with pytest.raises(UnknownSlug):
        slot_of_slug(slug)


@given(st.text() | st.from_regex(r"(btc-updown-(5m|4h)|bitcoin-up-or-down(-on)?)-[a-z0-9-]{0,40}"))
def test_any_text_is_a_slot_or_unknown(text: str) -> None:
    try:
        found = slots_of_slug(text)
    except UnknownSlug:
        return
    assert {slot.slug for slot in found} == {text}


def test_a_refusal_is_short_whatever_was_asked() -> None:
    with pytest.raises(UnknownSlug) as refusal:
        slot_of_slug("x" * 100_000)
    assert len(str(refusal.value)) < 500


def test_an_unknown_series_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownSlug, match=r"'btc-1m'; known: btc-5m, btc-15m"):
        series_named("btc-1m")


@pytest.mark.parametrize(
    ("slug", "underlying"),
    [("btc-updown-5m-1", "BTC"), ("bitcoin-up-or-down-on-may-1", "BTC"), ("xrp-100", "XRP"), ("btcusd", "OTHER")],
)
def test_the_underlying_of_a_slug(slug: str, underlying: str) -> None:
    assert underlying_of(slug) == underlying
