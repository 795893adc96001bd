from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import WireError
from engine.markets import Market, Outcome
from engine.metadata import (
    book_from_clob,
    epoch_seconds,
    market_from_clob,
    market_from_events,
    market_from_gamma,
    market_with_token,
    merged,
    with_window_of,
)
from engine.units import NS_PER_S

CONDITION_ID = "0x" + "5a" * 32
OTHER_ID = "0x" + "6b" * 32
UP, DOWN = "7" * 76, "8" * 77
START_S = 1_790_000_100
SLUG = f"btc-updown-5m-{START_S}"
START_NS, END_NS = START_S * NS_PER_S, (START_S + 300) * NS_PER_S


def iso(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")


def gamma(**fields: Any) -> dict[str, Any]:
    body = {
        "id": "77",
        "conditionId": CONDITION_ID,
        "slug": SLUG,
        "outcomes": '["Up", "Down"]',
        "outcomePrices": '["0.5", "0.5"]',
        "clobTokenIds": f'["{UP}", "{DOWN}"]',
        "startDate": iso(START_S - 86_000),
        "eventStartTime": iso(START_S),
        "endDate": iso(START_S + 300),
        "orderPriceMinTickSize": 0.01,
        "acceptingOrders": True,
        "closed": False,
        **fields,
    }
    return {name: value for name, value in body.items() if value is not ...}


def clob(**fields: Any) -> dict[str, Any]:
    body = {
        "condition_id": CONDITION_ID,
        "market_slug": SLUG,
        "end_date_iso": "2026-09-21T00:00:00Z",
        "minimum_tick_size": 0.001,
        "accepting_orders": True,
        "closed": False,
        "tokens": [
            {"outcome": "Down", "token_id": DOWN, "price": 0.4, "winner": False},
            {"outcome": "Up", "token_id": UP, "price": 0.6, "winner": False},
        ],
        **fields,
    }
    return {name: value for name, value in body.items() if value is not ...}


def won(up: Any, down: Any) -> list[dict[str, Any]]:
    return [
        {"outcome": "Down", "token_id": DOWN, "winner": down},
        {"outcome": "Up", "token_id": UP, "winner": up},
    ]


MARKET = Market(
    condition_id=CONDITION_ID,
    up_asset_id=UP,
    down_asset_id=DOWN,
    slug=SLUG,
    start_ns=START_NS,
    end_ns=END_NS,
    tick=100,
)


@pytest.mark.parametrize(
    "body",
    [
        gamma(),
        [gamma()],
        [gamma(slug="some-other-market", conditionId=OTHER_ID), gamma()],
        gamma(outcomes=["Up", "Down"], clobTokenIds=[UP, DOWN]),
        gamma(outcomes=["Down", "Up"], clobTokenIds=[DOWN, UP]),
        gamma(outcomes='["No", "YES"]', clobTokenIds=f'["{DOWN}", "{UP}"]'),
        gamma(orderPriceMinTickSize="0.010", acceptingOrders="true", closed="false"),
        gamma(orderPriceMinTickSize=..., acceptingOrders=..., closed=..., outcomePrices=..., startDate=...),
        gamma(orderPriceMinTickSize=None, acceptingOrders={}, closed=[], outcomePrices=3, events="[[["),
        gamma(eventStartTime=..., events=[{"startTime": iso(START_S)}]),
        gamma(eventStartTime=...),
        gamma(eventStartTime=..., endDate=...),
        gamma(eventStartTime=iso(START_S - 86_000)),
        gamma(slug=...),
        gamma(conditionId=CONDITION_ID.upper().replace("0X", "0x")),
    ],
)
def test_every_spelling_of_a_market_is_one_market(body: object) -> None:
    assert market_from_gamma(body, slug=SLUG) == MARKET


def test_a_market_is_found_by_its_condition_id() -> None:
    body = [gamma(conditionId=OTHER_ID), gamma()]
    assert market_from_gamma(body, condition_id=CONDITION_ID) == MARKET


@pytest.mark.parametrize("token", [UP, DOWN])
@pytest.mark.parametrize("body", [gamma(), [gamma()], [gamma(clobTokenIds='["1", "2"]'), gamma()]])
def test_a_market_is_found_by_either_of_its_tokens(body: object, token: str) -> None:
    assert market_with_token(body, token) == MARKET


@pytest.mark.parametrize("body", [[], [gamma(conditionId="")]])
def test_no_market_with_a_token_or_none_that_is_ready_is_none(body: object) -> None:
    assert market_with_token(body, UP) is None


@pytest.mark.parametrize("body", [gamma(), [gamma(clobTokenIds="")], [gamma(), gamma(slug="rain")]])
def test_markets_without_the_token_are_no_answer(body: object) -> None:
    with pytest.raises(WireError, match="none with the token") as raised:
        market_with_token(body, "9")
    assert raised.value.reason == "foreign_market"


def test_the_window_of_other_slugs_is_what_the_metadata_say() -> None:
    named = market_from_gamma(gamma(slug="will-it-rain"), slug="will-it-rain")
    assert named is not None
    assert (named.start_ns, named.end_ns) == (START_NS, END_NS)
    bare = market_from_gamma(gamma(slug="will-it-rain", eventStartTime=..., endDate="2026-09-21"), slug="will-it-rain")
    assert bare is not None
    assert (bare.start_ns, bare.end_ns) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        [],
        gamma(conditionId=""),
        gamma(conditionId=...),
        gamma(clobTokenIds=""),
        gamma(clobTokenIds=...),
        gamma(clobTokenIds="[]"),
        gamma(clobTokenIds='["", ""]'),
        gamma(clobTokenIds=[UP, ""]),
        gamma(clobTokenIds=[UP, None]),
        gamma(outcomes="[]"),
        gamma(clobTokenIds="[]", endDate=iso(0.5)),
    ],
)
def test_a_market_that_is_not_ready_is_unknown(body: object) -> None:
    assert market_from_gamma(body, slug=SLUG) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("text", "shape"),
        (None, "shape"),
        ([gamma(slug="btc-updown-5m-1790000400")], "foreign_market"),
        (gamma(conditionId="0x12"), "bad_id"),
        (gamma(clobTokenIds=[UP, "12/../34"]), "bad_id"),
        (gamma(clobTokenIds=[UP, "1" * 79]), "bad_id"),
        (gamma(clobTokenIds=[UP, UP]), "not_two_outcomes"),
        (gamma(clobTokenIds=[UP]), "not_two_outcomes"),
        (gamma(outcomes=["Up", "Up"]), "not_two_outcomes"),
        (gamma(outcomes=["Red", "Blue"]), "not_two_outcomes"),
        (gamma(outcomes=["Up", "Down", "Tie"], clobTokenIds=[UP, DOWN, "3"]), "not_two_outcomes"),
        (gamma(endDate=iso(START_S + 300 - 365 * 86_400)), "stale_market"),
        (gamma(endDate=iso(START_S + 600)), "stale_market"),
    ],
)
def test_a_market_that_cannot_be_the_one_is_refused_with_a_reason(body: object, reason: str) -> None:
    with pytest.raises(WireError) as refused:
        market_from_gamma(body, slug=SLUG)
    assert refused.value.reason == reason
    assert len(str(refused.value)) < 400


def test_the_refusal_of_a_namesake_tells_both_ends() -> None:
    slug = "bitcoin-up-or-down-august-16-2026-2pm-et"
    body = gamma(slug=slug, eventStartTime=..., endDate="2025-08-16T19:00:00Z")
    with pytest.raises(WireError, match=r"ends 2025-08-16T19:00:00\S+ by its metadata, 2026-08-16T19:00"):
        market_from_gamma(body, slug=slug)


def test_within_a_day_the_metadata_of_a_daily_market_win() -> None:
    slug = "bitcoin-up-or-down-on-june-23-2026"
    shifted = gamma(slug=slug, eventStartTime="2026-06-21T16:00:10Z", endDate="2026-06-23T20:00:00Z")
    market = market_from_gamma(shifted, slug=slug)
    assert market is not None
    assert market.end_ns == int(datetime(2026, 6, 23, 20, tzinfo=UTC).timestamp()) * NS_PER_S
    assert market.start_ns == market.end_ns - 86_400 * NS_PER_S  # not the creation, two days before
    with pytest.raises(WireError, match="stale_market"):
        market_from_gamma(gamma(slug=slug, endDate="2026-06-24T17:00:00Z"), slug=slug)


def test_a_four_hour_market_across_a_change_of_the_clocks_may_last_four_hours() -> None:
    start_s = int(datetime(2026, 3, 8, 5, tzinfo=UTC).timestamp())
    slug = f"btc-updown-4h-{start_s}"
    body = gamma(slug=slug, eventStartTime=iso(start_s), endDate=iso(start_s + 4 * 3600))
    market = market_from_gamma(body, slug=slug)
    assert market is not None
    assert (market.start_ns, market.end_ns) == (start_s * NS_PER_S, (start_s + 4 * 3600) * NS_PER_S)


@pytest.mark.parametrize("utc_hour", [5, 6])
def test_the_repeated_hour_is_told_by_the_end(utc_hour: int) -> None:
    slug = "bitcoin-up-or-down-november-1-2026-1am-et"
    end = datetime(2026, 11, 1, utc_hour + 1, tzinfo=UTC)
    market = market_from_gamma(gamma(slug=slug, eventStartTime=..., endDate=end.isoformat()), slug=slug)
    assert market is not None
    assert market.end_ns == int(end.timestamp()) * NS_PER_S
    assert market.start_ns == market.end_ns - 3600 * NS_PER_S


@pytest.mark.parametrize(
    ("closed", "prices", "winner"),
    [
        (True, '["1", "0"]', Outcome.UP),
        (True, [0, 1], Outcome.DOWN),
        (True, '["0", "0"]', None),
        (True, '["1", "1"]', None),
        (True, '["0.5", "0.5"]', None),
        (True, '["0.9995", "0.0005"]', None),
        (True, '["1"]', None),
        (True, '["1", "0", "0"]', None),
        (True, '["1", "x"]', None),
        (True, ..., None),
        (False, '["1", "0"]', None),
    ],
)
def test_gamma_names_a_winner_only_by_one_and_zero(closed: bool, prices: Any, winner: Outcome | None) -> None:
    market = market_from_gamma(gamma(closed=closed, outcomePrices=prices), slug=SLUG)
    assert market is not None
    assert (market.closed, market.winner, market.accepting_orders) == (closed, winner, not closed)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([{"slug": SLUG, "markets": [gamma()]}], MARKET),
        ({"slug": SLUG, "markets": [gamma()]}, MARKET),
        (
            [
                {
                    "slug": SLUG,
                    "startTime": iso(START_S),
                    "endDate": iso(START_S + 300),
                    "markets": [gamma(slug=..., eventStartTime=..., endDate=...)],
                }
            ],
            MARKET,
        ),
        ([{"slug": "rain", "markets": [gamma(slug="rain-today"), gamma()]}], MARKET),
        ([{"slug": SLUG, "markets": []}], None),
        ([{"slug": SLUG}], None),
        ([], None),
    ],
)
def test_a_market_is_found_inside_its_event(body: object, expected: Market | None) -> None:
    assert market_from_events(body, slug=SLUG) == expected


def test_an_event_without_the_market_is_refused() -> None:
    with pytest.raises(WireError, match="foreign_market"):
        market_from_events([{"slug": "rain", "markets": [gamma(slug="rain-today")]}], slug=SLUG)


def test_the_clob_tells_tokens_by_label_and_has_the_window_of_the_calendar() -> None:
    assert market_from_clob(clob()) == Market(
        condition_id=CONDITION_ID,
        up_asset_id=UP,
        down_asset_id=DOWN,
        slug=SLUG,
        start_ns=START_NS,
        end_ns=END_NS,
        tick=10,
    )


def test_the_clob_has_no_window_of_other_markets() -> None:
    market = market_from_clob(clob(market_slug="will-it-rain", minimum_tick_size="0.1"))
    assert market is not None
    assert (market.start_ns, market.end_ns, market.tick) == (None, None, 1000)


@pytest.mark.parametrize(
    ("fields", "winner"),
    [
        ({"closed": True, "tokens": won(True, False)}, Outcome.UP),
        ({"closed": True, "tokens": won(False, True)}, Outcome.DOWN),
        ({"closed": True, "tokens": won("true", "false")}, Outcome.UP),
        ({"closed": True, "tokens": won(False, False)}, None),
        ({"closed": True, "tokens": won(True, True)}, None),
        ({"closed": True, "tokens": won(None, ...)}, None),
        ({"closed": False, "tokens": won(True, False)}, None),
    ],
)
def test_the_clob_names_a_winner_only_if_exactly_one_is_marked(fields: dict[str, Any], winner: Outcome | None) -> None:
    market = market_from_clob(clob(accepting_orders=True, **fields))
    assert market is not None
    assert market.winner is winner
    assert (market.closed, market.accepting_orders) == (fields["closed"], not fields["closed"])


@pytest.mark.parametrize(
    "fields", [{"tokens": ...}, {"tokens": []}, {"tokens": [{"outcome": "Up", "token_id": ""}]}, {"condition_id": ""}]
)
def test_a_market_of_the_clob_that_is_not_ready_is_unknown(fields: dict[str, Any]) -> None:
    assert market_from_clob(clob(**fields)) is None


def test_a_list_is_no_market_of_the_clob() -> None:
    with pytest.raises(WireError, match="shape"):
        market_from_clob([clob()])


def test_a_window_is_taken_over_as_far_as_it_is_known() -> None:
    market = market_from_clob(clob(market_slug=""))
    assert market is not None
    assert (market.slug, market.start_ns, market.end_ns) == (None, None, None)
    assert with_window_of(market, None) is market
    completed = with_window_of(market, MARKET)
    assert (completed.slug, completed.start_ns, completed.end_ns, completed.tick) == (SLUG, START_NS, END_NS, 10)
    assert with_window_of(MARKET, market) == MARKET


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "Up", UP, "[1]"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*gamma(), *clob()]), inner, max_size=6)
    ),
    max_leaves=12,
)
readers = st.sampled_from(
    [
        lambda body: market_from_gamma(body, slug=SLUG),
        lambda body: market_from_gamma(body, condition_id=CONDITION_ID),
        lambda body: market_from_events(body, slug=SLUG),
        market_from_clob,
    ]
)


@given(reader=readers, changed=st.dictionaries(st.sampled_from([*gamma(), *clob()]), json_values), body=json_values)
def test_any_body_is_a_market_unknown_or_one_typed_error(
    reader: Callable[[object], Market | None], changed: dict[str, Any], body: object
) -> None:
    for value in (body, {**gamma(), **clob(), **changed}, [{"markets": [{**gamma(), **changed}]}]):
        try:
            market = reader(value)
        except WireError:
            continue
        assert market is None or market.condition_id.startswith("0x")


def book(**fields: Any) -> bytes:
    body = {
        "market": CONDITION_ID,
        "asset_id": UP,
        "timestamp": "1790000123456",
        "hash": "ab12",
        "bids": [{"price": "0.01", "size": "100"}, {"price": "0.4", "size": "0.5"}, {"price": "0.41", "size": "0"}],
        "asks": [{"price": "0.99", "size": "7"}, {"price": 0.5, "size": 20}],
        "tick_size": "0.01",
        **fields,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not ...})


def test_a_book_is_read_with_prices_in_ticks_and_sizes_in_micro_shares() -> None:
    snapshot = book_from_clob(book(), UP)
    assert (snapshot.market, snapshot.asset_id, snapshot.venue_ms) == (CONDITION_ID, UP, 1_790_000_123_456)
    assert snapshot.bids == ((100, 100_000_000), (4000, 500_000))
    assert snapshot.asks == ((9900, 7_000_000), (5000, 20_000_000))
    assert (snapshot.hash, snapshot.tick) == ("ab12", 100)


def test_the_optional_fields_of_a_book_may_be_missing_or_odd() -> None:
    for body in (book(timestamp=..., hash=..., tick_size=...), book(timestamp="soon", hash="<b>", tick_size=0.3)):
        snapshot = book_from_clob(body, UP)
        assert (snapshot.venue_ms, snapshot.hash, snapshot.tick) == (0, "", None)
    assert book_from_clob(book(timestamp=1_790_000_123_456), UP).venue_ms == 1_790_000_123_456


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "not_json"),
        (b"[]", "shape"),
        (book(bids=...), "shape"),
        (book(bids=[{"price": "0.5"}]), "shape"),
        (book(asks=[{"price": "1.2", "size": "1"}]), "bad_number"),
        (book(asks=[{"price": "0.5", "size": "-1"}]), "bad_number"),
        (book(asks=[{"price": "0.5", "size": "1e99"}]), "bad_number"),
        (book(asks=[{"price": "half", "size": "1"}]), "bad_number"),
        (book(bids=[{"price": "0.5", "size": "1"}] * 10_001), "oversize"),
        (book(asset_id=DOWN), "foreign_asset"),
        (book(market="0x1"), "bad_id"),
    ],
)
def test_a_malformed_book_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(WireError) as refused:
        book_from_clob(body, UP)
    assert refused.value.reason == reason


def test_the_venues_clock() -> None:
    assert epoch_seconds(b"1790000123") == 1_790_000_123
    assert epoch_seconds(b'"1790000123"') == 1_790_000_123
    for body in (b"0", b"1790000123456", b'{"time": 1}', b"null", b'"now"'):
        with pytest.raises(WireError, match="bad_number"):
            epoch_seconds(body)


def test_what_was_known_and_is_not_said_again_still_holds() -> None:
    known = Market(
        condition_id="0x" + "1" * 64, up_asset_id="1", down_asset_id="2", slug="s", start_ns=1, end_ns=2, closed=True
    )
    news = evolve(known, slug=None, start_ns=None, end_ns=None, closed=False, winner=Outcome.UP)
    assert merged(None, news) == news
    assert merged(known, news) == evolve(known, accepting_orders=False, winner=Outcome.UP)
    assert merged(evolve(known, winner=Outcome.DOWN), evolve(known, end_ns=9)).end_ns == 9
    stranger = evolve(news, condition_id="0x" + "2" * 64)
    assert merged(known, stranger) == stranger
