import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.book import Book, MirroredChange
from engine.busy import BookMessage, read
from engine.latebook import MOST_WAITING, LateBook
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


def change_text(
    price: int,
    shares: float,
    up_bid: int,
    down_bid: int,
    *,
    side: str = "BUY",
    down_first: bool = False,
    **replaced: str,
) -> str:
    """A level in Up's prices, as both tokens show it, with the top after it; ``down_…`` replaces a field of Down's."""
    opposite = {"BUY": "SELL", "SELL": "BUY"}[side]
    entries = [
        ("71", price, side, up_bid, PRICE_SCALE - down_bid),
        ("72", PRICE_SCALE - price, opposite, down_bid, PRICE_SCALE - up_bid),
    ]
    rows = [
        {
            "asset_id": token,
            "price": price_text(ticks),
            "size": f"{shares:g}",
            "side": own,
            "hash": "5c" * 20,
            "best_bid": price_text(best_bid),
            "best_ask": price_text(best_ask),
        }
        for token, ticks, own, best_bid, best_ask in entries
    ]
    rows[1] |= {name.removeprefix("down_"): value for name, value in replaced.items()}
    message = {"market": MARKET.condition_id, "price_changes": rows[::-1] if down_first else rows}
    message |= {"timestamp": "1790000000000", "event_type": "price_change"}
    return json.dumps(message, separators=(",", ":"))


def change(late: LateBook, at_ns: int, price: int, shares: float, up_bid: int = 5000, down_bid: int = 4900) -> None:
    assert late.change(at_ns, change_text(price, shares, up_bid, down_bid)) is not None


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


@pytest.mark.parametrize("down_first", [False, True])
def test_a_level_change_is_a_bid_of_the_token_whose_price_it_has(down_first: bool) -> None:
    late = LateBook(MARKET, 0)
    of_up = late.change(1, change_text(4900, 5.0, 5000, 4800, down_first=down_first))
    of_down = late.change(2, change_text(5300, 6.5, 5000, 4800, side="SELL", down_first=down_first))
    assert of_up == MirroredChange(1, True, 4900, 5.0, 5000, 4800)
    assert of_down == MirroredChange(2, False, 4700, 6.5, 5000, 4800)


@pytest.mark.parametrize(
    "said",
    [
        change_text(4900, 5.0, 5000, 4800, down_asset_id="73"),
        change_text(4900, 5.0, 5000, 4800, down_price="0.52"),
        change_text(4900, 5.0, 5000, 4800, down_size="6"),
        change_text(4900, 5.0, 5000, 4800, side="SELL").replace('"SELL"', '"BUY"'),
        change_text(4900, 5.0, 5000, 4800, down_best_bid="0.47"),
        change_text(4900, 5.0, 5000, 4800, down_best_ask="0.51"),
        change_text(4900, 5.0, 5000, 5000),
        change_text(4900, 5.0, 0, 4800),
        change_text(4900, 5.0, 5000, 0),
        change_text(4900, 5.0, 5000, 4800).replace("5c" * 32, "5d" * 32),
        change_text(4900, 5.0, 5000, 4800).replace("},{", "},{},{"),
        text(UP, {5000: "10"}, {5200: "10"}),
        "[" * 100_000,
    ],
)
def test_what_both_tokens_do_not_say_alike_is_left_alone(said: str) -> None:
    late = LateBook(MARKET, 0)
    assert late.change(1, said) is None
    assert (late.look().best_bid, late.look().best_ask) == (None, None)


def test_level_changes_wait_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[int] = []
    set_levels = Book.set_levels

    def counted(book: Book, changes: Sequence[MirroredChange], since: int | None) -> int | None:
        settled.append(len(changes))
        return set_levels(book, changes, since)

    monkeypatch.setattr(Book, "set_levels", counted)
    late = LateBook(MARKET, 0)
    for at_ns in range(1, MOST_WAITING + 5):
        change(late, at_ns, 4900, 5.0)
    late.look()
    assert settled == [MOST_WAITING, 4]


def test_what_nobody_looks_at_is_not_read(read_levels: list[str]) -> None:
    late = LateBook(MARKET, 0)
    for at_ns in range(1, 5):
        show(late, at_ns, UP, text(UP, BIDS, ASKS))
        show(late, at_ns, DOWN, text(DOWN, BIDS, ASKS))
        change(late, at_ns, 4900, 5.0)
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
        change(late, 2, 4900, 5.0)
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
    change(late, 3, 5000, 7.0)
    assert late.look().state is BookState.UNSYNCED
    assert late.unsound_since_ns == 2
    show(late, 4, UP, text(UP, BIDS, ASKS))
    assert (late.look().state, late.unsound_since_ns) == (BookState.CLEAN, None)


def test_unsound_since_the_first_message_that_made_it_so() -> None:
    late = LateBook(MARKET, 0)
    assert late.unsound_since_ns == 0
    show(late, 1, UP, text(UP, BIDS, ASKS))
    change(late, 2, 4900, 5.0)
    assert late.unsound_since_ns is None
    change(late, 3, 4900, 6.0, up_bid=4950)
    change(late, 4, 4900, 7.0, up_bid=4950)
    assert late.unsound_since_ns == 3
    change(late, 5, 4900, 8.0)
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
    change(late, 2, 4900, 5.0)
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
        change(late, at_ns, 4900, 5.0)
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
                change(late, at_ns, about[0] * 100, about[1])
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
