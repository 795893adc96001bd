import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.book import MirroredChange
from engine.busy import BookMessage, read
from engine.latebook import LateBook
from engine.markets import Market, Outcome
from engine.signals import BookState
from engine.units import PRICE_SCALE, price_text

UP, DOWN = Outcome.UP, Outcome.DOWN
MARKET = Market(condition_id="0x" + "5c" * 32, up_asset_id="71", down_asset_id="72", tick=100)
ASSETS = {UP: "71", DOWN: "72"}


def text(outcome: Outcome, bids: dict[int, str], asks: dict[int, str], stamp: str = "1790000000000") -> str:
    """The book of a token as it follows a trade, from levels in Up's prices, best first."""
    sides = (bids, asks)
    if outcome is DOWN:
        sides = tuple({PRICE_SCALE - price: size for price, size in side.items()} for side in (asks, bids))
    levels = [[{"price": price_text(price), "size": side[price]} for price in reversed(side)] for side in sides]
    fields = {"market": MARKET.condition_id, "asset_id": ASSETS[outcome], "timestamp": stamp, "hash": "5c" * 20}
    message = fields | {"bids": levels[0], "asks": levels[1], "event_type": "book"}
    return json.dumps(message, separators=(",", ":"))


def show(late: LateBook, at_ns: int, outcome: Outcome, shown: str) -> None:
    message = read(shown)
    assert isinstance(message, BookMessage), shown
    late.snapshot(at_ns, outcome, message, shown)


def bid(at_ns: int, price: int, shares: float, up_bid: int = 5000, down_bid: int = 4900) -> MirroredChange:
    return MirroredChange(at_ns, True, price, shares, up_bid, down_bid)


BIDS, ASKS = {5000: "10", 4900: "20"}, {5100: "30", 5200: "40"}


@pytest.fixture
def read_levels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose levels were read, as often as they were."""
    seen: list[str] = []
    ladders = BookMessage.ladders

    def counted(message: BookMessage) -> Any:
        seen.append(message.asset_id)
        return ladders(message)

    monkeypatch.setattr(BookMessage, "ladders", counted)
    return seen


def test_what_nobody_looks_at_is_not_read(read_levels: list[str]) -> None:
    late = LateBook(MARKET, 0)
    for at_ns in range(1, 5):
        show(late, at_ns, UP, text(UP, BIDS, ASKS))
        show(late, at_ns, DOWN, text(DOWN, BIDS, ASKS))
        late.waiting.append(bid(at_ns, 4900, 5.0))
    assert read_levels == []
    assert late.look().levels(UP)[0] == ((5000, 10_000_000), (4900, 5_000_000))
    assert read_levels == ["72"], "the last one, and nothing before it"
    late.look()
    assert read_levels == ["72"]


def test_the_second_book_of_a_trade_is_known_by_its_outside(read_levels: list[str]) -> None:
    late = LateBook(MARKET, 0, eager=True)
    show(late, 1, UP, text(UP, BIDS, ASKS))
    before = late.look().levels(UP)
    show(late, 2, DOWN, text(DOWN, BIDS, ASKS))
    assert late.look().levels(UP) == before
    assert read_levels == ["71"]


@pytest.mark.parametrize("between", ["change", "another stamp", "another size"])
def test_any_other_book_is_read(read_levels: list[str], between: str) -> None:
    late = LateBook(MARKET, 0, eager=True)
    show(late, 1, UP, text(UP, BIDS, ASKS))
    if between == "change":
        late.waiting.append(bid(2, 4900, 5.0))
        late.look()
    bids = {5000: "11", 4900: "20"} if between == "another size" else BIDS
    stamp = "1790000000001" if between == "another stamp" else "1790000000000"
    show(late, 3, DOWN, text(DOWN, bids, ASKS, stamp))
    late.look()
    assert read_levels == ["71", "72"]


def test_a_book_with_odd_levels_is_read_with_patience() -> None:
    late = LateBook(MARKET, 0)
    show(late, 1, UP, text(UP, {5000: "10", 4900: "0"}, ASKS))
    assert late.look().levels(UP)[0] == ((5000, 10_000_000),)
    assert late.unsound_since_ns is None


def test_a_book_that_turns_out_malformed_leaves_none() -> None:
    late = LateBook(MARKET, 0)
    show(late, 1, UP, text(UP, BIDS, ASKS))
    late.look()
    show(late, 2, UP, text(UP, {5000: "10", 4900: "-1"}, ASKS))
    late.waiting.append(bid(3, 5000, 7.0))
    assert late.look().state is BookState.UNSYNCED
    assert late.unsound_since_ns == 2
    show(late, 4, UP, text(UP, BIDS, ASKS))
    assert (late.look().state, late.unsound_since_ns) == (BookState.CLEAN, None)


def test_unsound_since_the_first_message_that_made_it_so() -> None:
    late = LateBook(MARKET, 0)
    assert late.unsound_since_ns == 0
    show(late, 1, UP, text(UP, BIDS, ASKS))
    late.waiting.append(bid(2, 4900, 5.0))
    assert late.unsound_since_ns is None
    late.waiting.append(bid(3, 4900, 6.0, up_bid=4950))
    late.waiting.append(bid(4, 4900, 7.0, up_bid=4950))
    assert late.unsound_since_ns == 3
    late.waiting.append(bid(5, 4900, 8.0))
    assert late.unsound_since_ns is None
    show(late, 6, UP, text(UP, {5200: "1"}, {5100: "1"}))
    assert (late.look().state, late.unsound_since_ns) == (BookState.CROSSED, 6)
    late.lose(7)
    assert (late.look().state, late.unsound_since_ns) == (BookState.UNSYNCED, 7)


def test_whoever_changes_the_book_has_it_judged() -> None:
    late = LateBook(MARKET, 0)
    show(late, 1, UP, text(UP, BIDS, ASKS))
    late.look().top(UP, 4000, 6000)
    late.touched(2)
    assert late.unsound_since_ns == 2
    late.look().top(UP, 5000, 5100)
    late.touched(3)
    assert late.unsound_since_ns is None


def test_a_lost_book_forgets_what_waits() -> None:
    late = LateBook(MARKET, 0)
    show(late, 1, UP, text(UP, BIDS, ASKS))
    late.waiting.append(bid(2, 4900, 5.0))
    late.lose(3)
    assert late.look().levels(UP) == ((), ())


def test_what_was_overtaken_still_counts_as_agreement_of_the_tokens() -> None:
    late = LateBook(MARKET, 0)
    for _ in range(4):
        late.look().top(UP, 2000, 2100)
        late.look().top(DOWN, 2000, 2100)
    late.look().top(UP, 2000, 2100)
    late.look().top(DOWN, 2000, 2100)
    assert late.look().mirror_sum_off
    show(late, 1, UP, text(UP, BIDS, ASKS))
    for at_ns in range(2, 12):
        late.waiting.append(bid(at_ns, 4900, 5.0))
    show(late, 12, UP, text(UP, BIDS, ASKS))
    assert not late.look().mirror_sum_off


def test_a_look_at_a_malformed_book_does_not_spoil_the_comparison_of_the_tokens() -> None:
    seldom, often = LateBook(MARKET, 0), LateBook(MARKET, 0)
    for at_ns in range(1, 13):
        for late in (seldom, often):
            show(late, at_ns, UP, text(UP, {5000: "10", 4900: "x"}, ASKS))
        often.look()
        for late in (seldom, often):
            show(late, at_ns, DOWN, text(DOWN, {2000: "1", 1900: "x"}, {2100: "1"}))
        often.look()
    assert seldom.look().mirror_sum_off
    assert often.look().mirror_sum_off


_sizes = st.sampled_from(["1", "2.5", "1000", "x", "0"])
_steps = st.one_of(
    st.tuples(st.just("book"), st.sampled_from([UP, DOWN]), st.dictionaries(st.integers(45, 53), _sizes, max_size=4)),
    st.tuples(st.just("change"), st.integers(45, 50), st.sampled_from([0.0, 1.0, 7.25])),
    st.tuples(st.just("lose")),
)


@given(st.lists(_steps, max_size=20), st.data())
def test_how_often_somebody_looks_changes_no_book(steps: list[Any], data: st.DataObject) -> None:
    seldom, often = LateBook(MARKET, 0), LateBook(MARKET, 0)
    for at_ns, (kind, *about) in enumerate(steps, 1):
        for late in (seldom, often):
            if kind == "lose":
                late.lose(at_ns)
            elif kind == "change":
                late.waiting.append(bid(at_ns, about[0] * 100, about[1]))
            else:
                bids = {price * 100: about[1][price] for price in sorted(about[1], reverse=True)}
                with suppress(ValueError):
                    show(late, at_ns, about[0], text(about[0], bids, ASKS, str(1_790_000_000_000 + at_ns)))
        often.look()
        if data.draw(st.booleans()):
            assert seldom.look().levels(UP) == often.look().levels(UP)
            assert seldom.look().state is often.look().state
            assert seldom.look().quote() == often.look().quote()
            assert seldom.unsound_since_ns == often.unsound_since_ns
            assert seldom.look().mirror_sum_off == often.look().mirror_sum_off
