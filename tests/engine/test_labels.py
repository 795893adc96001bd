import json
from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import LabelError, WireError
from engine.labels import (
    LATE_NS,
    YOUNG_NS,
    Label,
    LabelSource,
    LabelStatus,
    Ruling,
    label_for,
    label_of,
    line_of,
    ruling_of_clob,
    ruling_of_gamma,
    stronger,
    unlabelled,
)
from engine.markets import Market, Outcome, Target

CONDITION_ID = "0x" + "5a" * 32
OTHER_ID = "0x" + "6b" * 32
START_NS = 1_790_000_100 * 10**9
END_NS = START_NS + 300 * 10**9
SLUG = "btc-updown-5m-1790000100"

TARGET = Target(key=SLUG, series="btc-5m", slug=SLUG, start_ns=START_NS, end_ns=END_NS)
MARKET = Market(
    condition_id=CONDITION_ID,
    up_asset_id="71",
    down_asset_id="82",
    slug=SLUG,
    start_ns=START_NS,
    end_ns=END_NS,
)
UP_WON = Ruling(status=LabelStatus.RESOLVED, outcome=Outcome.UP, resolved_by=LabelSource.CLOB)
LABEL = label_for(TARGET, MARKET, UP_WON, over_ns=END_NS, at_ns=END_NS + 130 * 10**9)

NOT_YET = Ruling()


def clob(up: bool, down: bool, *, closed: bool = True, **more: Any) -> dict[str, Any]:
    tokens = [
        {"outcome": "Down", "token_id": "82", "winner": down, "price": 0.5},
        {"outcome": "Up", "token_id": "71", "winner": up, "price": 0.5},
    ]
    return {"condition_id": CONDITION_ID, "market_slug": SLUG, "closed": closed, "tokens": tokens} | more


def gamma(prices: object, *, closed: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "conditionId": CONDITION_ID,
        "slug": SLUG,
        "outcomes": '["Up", "Down"]',
        "clobTokenIds": '["71", "82"]',
        "outcomePrices": prices,
        "closed": closed,
        "endDate": "2026-09-21T14:20:00Z",
    } | more


def ruled(status: LabelStatus, source: LabelSource, outcome: Outcome | None = None) -> Ruling:
    return Ruling(status=status, outcome=outcome, resolved_by=source)


# -- the order book's page -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        (clob(True, False), LabelStatus.RESOLVED, Outcome.UP),
        (clob(False, True), LabelStatus.RESOLVED, Outcome.DOWN),
        # One that is closed may still take orders by its page: the winner decides.
        (clob(True, False, accepting_orders=True), LabelStatus.RESOLVED, Outcome.UP),
        (clob(False, False), LabelStatus.AMBIGUOUS, None),
        (clob(True, True), LabelStatus.AMBIGUOUS, None),
        (clob(False, False, is_50_50_outcome=True), LabelStatus.VOID, None),
        (clob(True, True, is_50_50_outcome=True), LabelStatus.VOID, None),
        (clob(True, False, is_50_50_outcome=True), LabelStatus.AMBIGUOUS, None),
    ],
)
def test_the_closed_page_of_the_order_book(body: object, status: LabelStatus, outcome: Outcome | None) -> None:
    assert ruling_of_clob(body, CONDITION_ID) == ruled(status, LabelSource.CLOB, outcome)


@pytest.mark.parametrize(
    "body",
    [
        clob(True, False, closed=False),
        clob(False, False, closed=False, is_50_50_outcome=True),
        clob(True, False, condition_id=""),
        clob(True, False, tokens=[]),
    ],
)
def test_an_open_or_unfinished_page_of_the_order_book_decides_nothing(body: object) -> None:
    assert ruling_of_clob(body, CONDITION_ID) == NOT_YET


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (clob(True, False, condition_id=OTHER_ID), "foreign_market"),
        ([clob(True, False)], "shape"),
        (None, "shape"),
        (clob(True, False, condition_id="0x1"), "bad_id"),
    ],
)
def test_a_page_of_something_else_is_refused(body: object, reason: str) -> None:
    with pytest.raises(WireError) as raised:
        ruling_of_clob(body, CONDITION_ID)
    assert raised.value.reason == reason


# -- the catalogue's -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prices", "status", "outcome"),
    [
        ('["1", "0"]', LabelStatus.RESOLVED, Outcome.UP),
        ('["0", "1"]', LabelStatus.RESOLVED, Outcome.DOWN),
        ([1, 0.0], LabelStatus.RESOLVED, Outcome.UP),
        ('["1.00", "0.0"]', LabelStatus.RESOLVED, Outcome.UP),
        ('["0.5", "0.5"]', LabelStatus.VOID, None),
        ([0.5, 0.5], LabelStatus.VOID, None),
        ('["0.9995", "0.0005"]', LabelStatus.AMBIGUOUS, None),
        ('["0.99999999", "0"]', LabelStatus.AMBIGUOUS, None),
        ('["0", "0"]', LabelStatus.AMBIGUOUS, None),
        ('["1", "1"]', LabelStatus.AMBIGUOUS, None),
        ('["0.5"]', LabelStatus.AMBIGUOUS, None),
        ('["0.5", "0.5", "0.5"]', LabelStatus.AMBIGUOUS, None),
        ("", LabelStatus.AMBIGUOUS, None),
        (None, LabelStatus.AMBIGUOUS, None),
    ],
)
def test_a_closed_market_of_the_catalogue(prices: object, status: LabelStatus, outcome: Outcome | None) -> None:
    for body in (gamma(prices), [gamma(prices)], [gamma("", conditionId=OTHER_ID), gamma(prices)]):
        assert ruling_of_gamma(body, CONDITION_ID) == ruled(status, LabelSource.GAMMA, outcome)


@pytest.mark.parametrize("prices", ['["1", "0"]', '["0.9995", "0.0005"]', '["0.5", "0.5"]'])
def test_an_open_market_of_the_catalogue_decides_nothing(prices: str) -> None:
    assert ruling_of_gamma([gamma(prices, closed=False)], CONDITION_ID) == NOT_YET


def test_a_catalogue_without_the_market_decides_nothing() -> None:
    assert ruling_of_gamma([], CONDITION_ID) == NOT_YET
    assert ruling_of_gamma([gamma('["1", "0"]', clobTokenIds='["", ""]')], CONDITION_ID) == NOT_YET


def test_outcomes_of_the_catalogue_go_by_their_labels() -> None:
    turned = gamma('["1", "0"]', outcomes='["Down", "Up"]')
    assert ruling_of_gamma(turned, CONDITION_ID).outcome is Outcome.DOWN


def test_a_catalogue_of_other_markets_is_refused() -> None:
    with pytest.raises(WireError, match="foreign_market"):
        ruling_of_gamma([gamma('["1", "0"]', conditionId=OTHER_ID)], CONDITION_ID)


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers(-1, 2) | st.text(max_size=5) | st.sampled_from(["1", "0", "0.5", "Up"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*gamma(""), *clob(True, True)]), inner)
        ),
        max_leaves=12,
    )
)
def test_no_body_does_more_than_rule_or_break_the_protocol(body: object) -> None:
    for judge in (ruling_of_clob, ruling_of_gamma):
        try:
            assert isinstance(judge(body, CONDITION_ID), Ruling)
        except WireError:
            continue


def test_the_stronger_word_counts_and_the_first_of_equals() -> None:
    rulings = [
        NOT_YET,
        *(ruled(status, LabelSource.GAMMA) for status in (LabelStatus.AMBIGUOUS, LabelStatus.VOID)),
        UP_WON,
    ]
    for weak, strong in pairwise(rulings):
        assert stronger(weak, strong) is stronger(strong, weak) is strong
    down = evolve(UP_WON, outcome=Outcome.DOWN)
    assert stronger(UP_WON, down) is UP_WON


@pytest.mark.parametrize("status", LabelStatus)
def test_who_is_resolved_has_an_outcome_and_nobody_else(status: LabelStatus) -> None:
    resolved = status is LabelStatus.RESOLVED
    outcome = None if resolved else Outcome.UP
    with pytest.raises(ValueError, match="outcome"):
        Ruling(status=status, outcome=outcome)
    with pytest.raises(ValueError, match="outcome"):
        Label(condition_id=CONDITION_ID, status=status, outcome=outcome, at_ns=1)
    label = evolve(LABEL, status=status, outcome=Outcome.UP if resolved else None)
    assert label.settled is (status in {LabelStatus.RESOLVED, LabelStatus.VOID})


# -- labels ----------------------------------------------------------------------------------------------------------


def test_the_label_of_a_slot() -> None:
    assert label_for(TARGET, MARKET, UP_WON, over_ns=END_NS, at_ns=LABEL.at_ns) == Label(
        condition_id=CONDITION_ID,
        slug=SLUG,
        series="btc-5m",
        status=LabelStatus.RESOLVED,
        outcome=Outcome.UP,
        resolved_by=LabelSource.CLOB,
        late=False,
        start_ns=START_NS,
        end_ns=END_NS,
        at_ns=END_NS + 130 * 10**9,
    )


@pytest.mark.parametrize(("after_ns", "late"), [(0, False), (LATE_NS, False), (LATE_NS + 1, True)])
def test_late_is_what_took_more_than_ten_minutes(after_ns: int, late: bool) -> None:
    assert label_for(TARGET, MARKET, UP_WON, over_ns=END_NS, at_ns=END_NS + after_ns).late is late


def test_a_market_that_was_followed_by_its_id_alone() -> None:
    target = Target(key=CONDITION_ID, condition_id=CONDITION_ID)
    known = label_for(target, MARKET, UP_WON, over_ns=END_NS, at_ns=END_NS)
    assert (known.slug, known.series, known.end_ns) == (SLUG, "btc-5m", END_NS)
    bare = evolve(MARKET, slug=None, start_ns=None, end_ns=None)
    unknown = label_for(target, bare, UP_WON, over_ns=None, at_ns=END_NS)
    assert (unknown.slug, unknown.series, unknown.end_ns, unknown.late) == (None, None, None, False)


def test_an_end_beyond_all_times_is_left_out() -> None:
    endless = evolve(MARKET, end_ns=2**63, start_ns=-1)
    label = label_for(TARGET, endless, UP_WON, over_ns=START_NS, at_ns=START_NS)
    assert (label.start_ns, label.end_ns) == (None, None)


@pytest.mark.parametrize("slug", ["", "a b", "x" * 201, "näh", "a\nb"])
def test_a_slug_that_is_none_is_left_out(slug: str) -> None:
    target = evolve(TARGET, slug=None, series=None)
    assert label_for(target, evolve(MARKET, slug=slug), UP_WON, over_ns=None, at_ns=1).slug is None
    assert label_for(TARGET, evolve(MARKET, slug=slug), UP_WON, over_ns=None, at_ns=1).slug == SLUG


# -- lines -----------------------------------------------------------------------------------------------------------

TIMES = st.none() | st.integers(0, 2**63 - 1)
LABELS = st.builds(
    lambda status, **fields: Label(
        status=status,
        outcome=Outcome.DOWN if status is LabelStatus.RESOLVED else None,
        condition_id=CONDITION_ID,
        **fields,
    ),
    status=st.sampled_from(LabelStatus),
    slug=st.none() | st.from_regex(r"[!-~]{1,200}", fullmatch=True),
    series=st.none() | st.just("btc-15m"),
    resolved_by=st.none() | st.sampled_from(LabelSource),
    late=st.booleans(),
    start_ns=TIMES,
    end_ns=TIMES,
    at_ns=st.integers(0, 2**63 - 1),
)


@given(label=LABELS)
def test_a_line_holds_the_whole_label(label: Label) -> None:
    line = line_of(label)
    assert line.isascii()
    assert "\n" not in line
    assert label_of(line) == label_of(line.encode()) == label


def test_a_line_is_plain_json_for_anybody() -> None:
    assert list(json.loads(line_of(LABEL)).items()) == [
        ("condition_id", CONDITION_ID),
        ("slug", SLUG),
        ("series", "btc-5m"),
        ("status", "resolved"),
        ("outcome", "Up"),
        ("resolved_by", "clob"),
        ("late", False),
        ("start_ns", START_NS),
        ("end_ns", END_NS),
        ("at_ns", END_NS + 130 * 10**9),
    ]


def test_a_line_of_a_later_version_and_a_short_one_are_read() -> None:
    short = {"condition_id": CONDITION_ID, "status": "void", "at_ns": 3, "outcome": None, "colour": "blue"}
    assert label_of(json.dumps(short)) == Label(condition_id=CONDITION_ID, status=LabelStatus.VOID, at_ns=3)


@given(text=st.text() | st.binary() | st.builds(lambda label, end: line_of(label)[:end], LABELS, st.integers(-200, -1)))
@example(text="[" * 100_000)
@example(text='{"at_ns":1e400}')
@example(text="\ud800")
@example(text=line_of(LABEL).replace('"Up"', "null"))
@example(text=line_of(LABEL).replace(CONDITION_ID, "0x1"))
@example(text=line_of(LABEL).replace('"resolved"', '"won"'))
@example(text=line_of(LABEL).replace(str(START_NS), "-1"))
@example(text=line_of(LABEL).replace(str(START_NS), "9" * 30))
@example(text=line_of(LABEL).replace(SLUG, "a b"))
def test_anything_else_is_no_label(text: str | bytes) -> None:
    with pytest.raises(LabelError, match="no label"):
        label_of(text)


# -- what is still wanted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "now_ns", "wanted"),
    [
        (None, END_NS, True),
        (None, START_NS, True),
        (None, END_NS + YOUNG_NS - 1, True),
        (None, END_NS + YOUNG_NS, False),
        (LABEL, END_NS, False),
        (evolve(LABEL, status=LabelStatus.VOID, outcome=None), END_NS, False),
        (evolve(LABEL, status=LabelStatus.UNRESOLVED, outcome=None), END_NS, True),
        (evolve(LABEL, status=LabelStatus.AMBIGUOUS, outcome=None), END_NS, True),
    ],
)
def test_young_markets_without_a_settled_label_are_wanted(label: Label | None, now_ns: int, wanted: bool) -> None:
    labels = {} if label is None else {CONDITION_ID: label}
    assert unlabelled([(TARGET, MARKET)], labels, now_ns) == ([(TARGET, MARKET)] if wanted else [])


def test_of_a_market_without_an_end_nobody_knows_how_old_it_is() -> None:
    endless = (Target(key=CONDITION_ID, condition_id=CONDITION_ID), evolve(MARKET, end_ns=None))
    assert unlabelled([endless], {}, END_NS) == []
