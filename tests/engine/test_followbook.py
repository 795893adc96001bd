from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UnknownSlug
from engine.followbook import FollowBook, follow_named
from engine.markets import Target
from engine.series import SERIES
from engine.settings import DiscoverySettings, FollowSettings
from engine.units import NS_PER_S

NOON_NS = int(datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp()) * NS_PER_S
CONDITION_ID = "0x" + "5a" * 32
SETTINGS = DiscoverySettings(warm_s=90.0, retire_after_s=15.0)


def book_of(*follows: FollowSettings, settings: DiscoverySettings = SETTINGS) -> FollowBook:
    book = FollowBook(settings)
    for follow in follows:
        book.follow(follow)
    return book


def keys(book: FollowBook, now_ns: int) -> list[str]:
    return [target.key for target in book.due(now_ns)]


def at(second: float) -> int:
    return NOON_NS + round(second * NS_PER_S)


def slug_at(second: float, series: str = "btc-5m") -> str:
    return SERIES[series].slot_at(at(second)).slug


@pytest.mark.parametrize(
    ("second", "expected"),
    [(0, [0]), (209.999, [0]), (210, [0, 300]), (299.999, [0, 300]), (300, [300])],
)
def test_the_next_slot_is_due_its_warm_up_before_it_starts(second: float, expected: list[float]) -> None:
    assert keys(book_of(FollowSettings(series="btc-5m")), at(second)) == [slug_at(start) for start in expected]


def test_a_warm_up_longer_than_a_slot_makes_several_due() -> None:
    book = book_of(FollowSettings(series="btc-5m"), settings=DiscoverySettings(warm_s=900.0))
    assert keys(book, at(0)) == [slug_at(start) for start in (0, 300, 600, 900)]


def test_a_slot_is_kept_until_some_time_after_its_end() -> None:
    book = book_of(FollowSettings(series="btc-5m"))
    target = next(book.due(at(0)))
    assert book.keeps(target, at(300), at(314.999))
    assert not book.keeps(target, at(300), at(315))
    assert book.keeps(target, at(400), at(315))  # by its metadata it ends later
    book.unfollow("btc-5m")
    assert not book.keeps(target, at(300), at(0))


def test_a_fixed_market_is_due_and_kept_while_it_is_followed() -> None:
    names = ("will-it-rain", CONDITION_ID, slug_at(0))
    book = book_of(FollowSettings(slug=names[0]), FollowSettings(condition_id=names[1]), FollowSettings(slug=names[2]))
    targets = [*book.due(at(1_000_000))]
    assert [target.key for target in targets] == [*names]
    assert [target.series for target in targets] == [None, None, "btc-5m"]
    assert [target.condition_id for target in targets] == [None, CONDITION_ID, None]
    for target in targets:
        assert book.keeps(target, 0, at(1_000_000))
        book.unfollow(target.key)
        assert not book.keeps(target, 0, at(0))


def test_a_slot_followed_in_two_ways_has_one_key_and_is_kept_by_either() -> None:
    slug = slug_at(0)
    book = book_of(FollowSettings(series="btc-5m"), FollowSettings(slug=slug))
    assert {*keys(book, at(0))} == {slug}
    target = next(book.due(at(0)))
    assert book.keeps(target, at(300), at(1000))
    book.unfollow(slug)
    assert not book.keeps(target, at(300), at(1000))
    assert book.keeps(target, at(300), at(310))


@pytest.mark.parametrize(
    ("slug", "underlying"),
    [("ethereum-above-5000", "ETH"), ("sol-flips", "SOL"), ("xrp-up-or-down-may-1-2pm-et", "XRP"), ("rain", "OTHER")],
)
def test_the_underlying_of_other_markets_is_read_off_the_slug(slug: str, underlying: str) -> None:
    (target,) = book_of(FollowSettings(slug=slug)).due(at(0))
    assert (target.underlying, target.series, target.slug) == (underlying, None, slug)


def test_an_unknown_series_is_refused_at_once() -> None:
    book = book_of()
    with pytest.raises(UnknownSlug, match="btc-2m"):
        book.follow(FollowSettings(series="btc-2m"))
    assert keys(book, at(0)) == []


def test_what_was_never_followed_cannot_be_unfollowed_but_that_is_no_error() -> None:
    book = book_of(FollowSettings(series="btc-5m"))
    book.unfollow("btc-15m")
    assert keys(book, at(0)) == [slug_at(0)]


def test_a_name_stays_for_as_long_as_any_owner_wants_it() -> None:
    book = book_of(FollowSettings(series="btc-5m"))
    book.follow(FollowSettings(series="btc-5m"), "another")
    book.follow(FollowSettings(slug="will-it-rain"), "another")
    book.unfollow("btc-5m")
    assert keys(book, at(0)) == [slug_at(0), "will-it-rain"]
    book.unfollow("will-it-rain")
    book.unfollow("btc-5m", "a third")
    assert keys(book, at(0)) == [slug_at(0), "will-it-rain"]
    book.unfollow("btc-5m", "another")
    book.unfollow("will-it-rain", "another")
    book.unfollow("will-it-rain", "another")
    assert keys(book, at(0)) == []


@pytest.mark.parametrize("name", ["btc-5m", "xrp-1d"])
def test_a_name_may_be_a_series(name: str) -> None:
    assert follow_named(name) == FollowSettings(series=name)


@pytest.mark.parametrize("name", ["btc-updown-5m-1790001000", "will-it-rain", "0x12"])
def test_a_name_may_be_a_slug(name: str) -> None:
    assert follow_named(name) == FollowSettings(slug=name)


def test_a_name_may_be_a_condition_id_or_settled_already() -> None:
    settled = follow_named(CONDITION_ID)
    assert settled == FollowSettings(condition_id=CONDITION_ID)
    assert follow_named(settled) is settled


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(UnknownSlug, match="unknown series 'doge-5m'; known: btc-5m"):
        follow_named("doge-5m")
    for name in ("", "Rain", CONDITION_ID.upper(), "a\nb", "x" * 300):
        with pytest.raises(ValueError, match=r"^neither a series nor a slug nor a condition id: '"):
            follow_named(name)


def test_fixed_markets_alone_never_wake_anyone() -> None:
    book = book_of(FollowSettings(slug=slug_at(0)))
    (target,) = book.due(at(0))
    assert book.next_ns(at(0), [(target, at(300))]) is None
    assert book_of().next_ns(at(0), []) is None


@given(
    series=st.lists(st.sampled_from([name for name in SERIES if name.startswith(("btc", "eth"))]), unique=True),
    second=st.integers(0, 2 * 365 * 86_400),
    warm_s=st.integers(60, 3600),
    retire_after_s=st.integers(0, 3600),
)
def test_nothing_changes_before_the_next_instant_and_something_does_then(
    series: list[str], second: int, warm_s: int, retire_after_s: int
) -> None:
    book = book_of(
        *(FollowSettings(series=name) for name in series),
        settings=DiscoverySettings(warm_s=warm_s, retire_after_s=retire_after_s),
    )
    now_ns = at(second)
    present: dict[str, Target] = {}
    for _ in range(8):
        present |= {target.key: target for target in book.due(now_ns)}
        present = {key: target for key, target in present.items() if book.keeps(target, end_ns(target), now_ns)}
        next_ns = book.next_ns(now_ns, [(target, end_ns(target)) for target in present.values()])
        if not series:
            assert next_ns is None
            return
        assert next_ns is not None
        assert next_ns > now_ns
        assert {*keys(book, next_ns - 1)} <= present.keys()
        assert all(book.keeps(target, end_ns(target), next_ns - 1) for target in present.values())
        new = {*keys(book, next_ns)} - present.keys()
        gone = [target for target in present.values() if not book.keeps(target, end_ns(target), next_ns)]
        assert new or gone
        now_ns = next_ns


def end_ns(target: Target) -> int:
    assert target.end_ns is not None
    return target.end_ns
