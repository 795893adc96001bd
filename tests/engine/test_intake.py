"""Intake: what each record does to the state of a market, and what is counted instead of used."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from attrs import evolve

from engine.book import Book, MirroredChange
from engine.busy import BookMessage, Ladder
from engine.events import Event, Level
from engine.intake import Intake
from engine.markets import Market, Outcome
from engine.records import Connected, Disconnected, Followed, Frame, LookupFailed, MarketUpdated, Record, Unfollowed
from engine.signals import BookState, FeedState
from engine.units import NS_PER_S
from engine.wire import decode
from tests.engine.wire_texts import (
    CONDITION_ID,
    DOWN,
    MARKET,
    TARGET,
    UP,
    Levels,
    at,
    book,
    change,
    resolved,
    tick_size_change,
    trade,
)


def new_intake(*, wants_pressure: bool = False) -> Intake:
    intake = Intake(window_ns=120 * NS_PER_S, stale_after_ns=10 * NS_PER_S, wants_pressure=wants_pressure)
    for record in (MarketUpdated(at_ns=at(0), market=MARKET), Connected(at_ns=at(0), epoch=1)):
        intake.apply(record)
    return intake


@pytest.mark.parametrize("market", [MARKET, None])
def test_a_failed_look_up_counts_until_the_venue_answers(market: Market | None) -> None:
    intake = Intake(window_ns=120 * NS_PER_S, stale_after_ns=10 * NS_PER_S)
    for reason in ("timeout", "server"):
        intake.apply(LookupFailed(at_ns=at(0), reason=reason))
        assert (intake.lookup_failure, intake.answered) == (reason, False)
    intake.apply(MarketUpdated(at_ns=at(1), market=market))
    assert (intake.lookup_failure, intake.answered) == (None, True)


def say(intake: Intake, *texts: str, seconds: float = 1.0) -> Intake:
    for text in texts:
        intake.apply(Frame(at_ns=at(seconds), text=text))
    return intake


def best_bid_ask(bid: str, ask: str) -> str:
    message = {"market": CONDITION_ID, "asset_id": UP, "best_bid": bid, "best_ask": ask, "timestamp": "1"}
    return json.dumps({**message, "spread": "0.02", "event_type": "best_bid_ask"})


@pytest.mark.parametrize("record", [Followed(at_ns=at(1), target=TARGET), Unfollowed(at_ns=at(1))])
def test_following_is_not_the_intakes_business(record: Record) -> None:
    intake = new_intake()
    intake.apply(record)
    assert intake.messages == 0


def test_every_kind_of_event_finds_its_place():
    intake = say(new_intake(), book(), trade("0.5"), change("0.5", "7", "BUY", "0.5", "0.51"))
    assert intake.book is not None
    assert (intake.book.best_bid, intake.book.best_ask) == (5000, 5100)
    assert intake.book_state is BookState.CLEAN
    assert intake.trades.count == 1
    assert intake.messages == 3
    assert intake.coverage.state(at(1)) is FeedState.LIVE
    assert (intake.malformed, intake.foreign, intake.unknown) == (0, 0, 0)


def test_the_other_token_is_the_same_book():
    intake = say(new_intake(), book((("0.3", "5"),), (("0.32", "6"),), asset=DOWN))
    assert intake.book is not None
    assert (intake.book.best_bid, intake.book.best_ask) == (6800, 7000)


def test_the_stated_top_gives_a_quote():
    intake = say(new_intake(), best_bid_ask("0.4", "0.42"))
    assert intake.book is not None
    assert intake.book.quote() is not None
    assert intake.coverage.last_event_ns == at(1)


def test_before_the_market_is_known_everything_is_foreign():
    intake = Intake(window_ns=120 * NS_PER_S, stale_after_ns=10 * NS_PER_S)
    intake.apply(Connected(at_ns=at(0), epoch=1))
    say(intake, book(), trade("0.5"), change("0.5", "7", "BUY", "0.5", "0.51"), resolved(), best_bid_ask("0.4", "0.5"))
    assert intake.foreign == 4
    assert intake.book_state is BookState.UNSYNCED
    assert intake.coverage.last_event_ns is None


def test_another_markets_events_are_counted_and_prove_nothing():
    other = [text.replace(CONDITION_ID, "0x" + "cd" * 32) for text in (book(), trade("0.5"), resolved())]
    intake = say(new_intake(), *other, change("0.5", "7", "BUY", "0.5", "0.51").replace(CONDITION_ID, "0x" + "cd" * 32))
    assert intake.foreign == 3
    assert intake.trades.count == 0
    assert intake.coverage.last_event_ns is None


def test_a_foreign_token_of_our_market_is_foreign():
    stranger = "3" * 77
    intake = say(
        new_intake(),
        book(asset=stranger),
        tick_size_change("0.001", asset=stranger),
        change("0.5", "7", "BUY", "0.5", "0.51").replace(UP, stranger).replace(DOWN, stranger),
    )
    assert intake.foreign == 4
    assert intake.coverage.last_event_ns is None


def test_a_recording_of_one_token_does_not_count_the_mirror_as_foreign():
    intake = Intake(window_ns=120 * NS_PER_S, stale_after_ns=10 * NS_PER_S)
    intake.apply(MarketUpdated(at_ns=at(0), market=evolve(MARKET, down_asset_id=None)))
    intake.apply(Connected(at_ns=at(0), epoch=1))
    say(intake, book(), change("0.5", "7", "BUY", "0.5", "0.51"))
    assert intake.foreign == 0
    assert intake.book is not None
    assert intake.book.best_bid == 5000


def test_what_cannot_be_read_is_counted_and_its_siblings_are_kept():
    mixed = f"[{book()},{trade('0.5').replace('0.5', '1.5')},{trade('0.6')}]"
    intake = say(new_intake(), mixed, "<html>", '{"event_type":"brand_new"}', "PONG")
    assert intake.malformed == 2
    assert intake.unknown == 1
    assert intake.trades.count == 1
    assert intake.messages == 4


def test_texts_without_an_event_of_ours_do_not_prove_life():
    announcement = {"event_type": "new_market", "market": CONDITION_ID, "slug": "x", "timestamp": "1"}
    body = {**announcement, "assets_ids": [UP, DOWN], "outcomes": ["Up", "Down"]}
    intake = say(new_intake(), "PONG", "[]", "NO NEW ASSETS", json.dumps(body))
    assert intake.coverage.last_event_ns is None
    assert intake.foreign == 0


def test_a_disconnect_drops_the_book_and_keeps_the_trades():
    intake = say(new_intake(), book(), trade("0.5"))
    intake.apply(Disconnected(at_ns=at(2), epoch=1, reason="closed", dropped=3))
    assert intake.book_state is BookState.UNSYNCED
    assert intake.trades.count == 1
    assert (intake.fault, intake.dropped) == ("closed", 3)
    assert intake.unclean_since_ns == at(2)
    intake.apply(Connected(at_ns=at(3), epoch=2))
    assert (intake.fault, intake.epoch) == (None, 2)


def test_a_trade_repeated_across_the_seam_is_a_duplicate():
    twice = trade("0.5", tx="0x" + "1" * 64)
    intake = say(new_intake(), twice)
    intake.apply(Disconnected(at_ns=at(2), epoch=1, reason="closed"))
    intake.apply(Connected(at_ns=at(3), epoch=2))
    say(intake, twice, seconds=4)
    assert intake.trades.count == 1
    assert intake.trades.duplicates == 1


def test_a_tick_size_change_drops_the_book_once():
    intake = say(new_intake(), book(), tick_size_change("0.001"))
    assert intake.book_state is BookState.UNSYNCED
    say(intake, book(), seconds=2)
    say(intake, tick_size_change("0.001"), tick_size_change("0.001", asset=DOWN), seconds=3)
    assert intake.book_state is BookState.CLEAN, "the same change again is no change"
    assert intake.unclean_since_ns is None


def test_a_snapshot_may_bring_its_own_tick():
    with_tick = json.dumps({**json.loads(book((("0.495", "1"),))), "tick_size": "0.001"})
    intake = say(new_intake(), with_tick)
    assert intake.book is not None
    assert intake.book.tick == 10
    assert intake.book.best_bid == 4950


def test_a_crossed_book_is_unclean_until_it_heals():
    intake = say(new_intake(), book())
    say(intake, change("0.52", "1", "BUY", "0.52", "0.51"), seconds=2)
    assert intake.book_state is BookState.CROSSED
    say(intake, change("0.53", "1", "BUY", "0.53", "0.51"), seconds=3)
    assert intake.unclean_since_ns == at(2)
    say(intake, book(), seconds=4)
    assert intake.unclean_since_ns is None


def test_pressure_is_kept_only_when_wanted():
    wanted, unwanted = say(new_intake(wants_pressure=True), book()), say(new_intake(), book())
    say(wanted, book((("0.49", "300"),)), seconds=2)
    assert wanted.features.depth_imbalance(at(8)) is not None
    assert unwanted.features.depth_imbalance(at(8)) is None
    say(wanted, book((), (("0.5", "1"),)), seconds=8)
    wanted.evict(at(10))
    assert wanted.features.depth_imbalance(at(30)) is None


def test_the_winner_is_the_token_that_won():
    intake = say(new_intake(), book(), resolved(DOWN))
    assert intake.market is not None
    assert intake.market.winner is Outcome.DOWN
    assert intake.market.closed
    unknown = say(new_intake(), resolved("3" * 77))
    assert unknown.market is not None
    assert unknown.market.winner is None


def test_new_metadata_keep_the_book_unless_the_tokens_are_others():
    intake = say(new_intake(), book())
    intake.apply(MarketUpdated(at_ns=at(2), market=evolve(MARKET, accepting_orders=False)))
    assert intake.book_state is BookState.CLEAN
    intake.apply(MarketUpdated(at_ns=at(3), market=evolve(MARKET, up_asset_id="4" * 77)))
    assert intake.book_state is BookState.UNSYNCED


def test_eviction_reaches_everything():
    intake = say(new_intake(), book(), trade("0.5"))
    intake.evict(at(100))
    assert intake.trades.count == 0
    assert intake.coverage.covered_ns(at(100), at(200)) == 0


def test_features_are_kept_only_when_wanted():
    sparing = Intake(window_ns=120 * NS_PER_S, stale_after_ns=10 * NS_PER_S, wants_features=False)
    sparing.apply(MarketUpdated(at_ns=at(0), market=MARKET))
    sparing.apply(Connected(at_ns=at(0), epoch=1))
    for intake, expected in ((sparing, 0), (new_intake(), 1)):
        say(intake, book(), trade("0.5"))
        assert len(intake.features.orders) == expected
        assert (intake.features.fair.logit_at_end(at(2)) is not None) is bool(expected)
        assert intake.book_state is BookState.CLEAN


# ------------------------------------------------------------------------------------ busy messages, read straight in


class Calls:
    """How often the long ways are taken."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.settled = self.read = self.patient = 0
        set_levels, ladders = Book.set_levels, BookMessage.ladders

        def count_settled(book: Book, changes: list[MirroredChange], since: int | None) -> int | None:
            self.settled += len(changes)
            return set_levels(book, changes, since)

        def count_read(message: BookMessage) -> tuple[Ladder, Ladder]:
            self.read += 1
            return ladders(message)

        def count_patient(text: str) -> tuple[Event, ...]:
            self.patient += 1
            return decode(text)

        patch.setattr(Book, "set_levels", count_settled)
        patch.setattr(BookMessage, "ladders", count_read)
        patch.setattr("engine.intake.decode", count_patient)
        patch.setattr("engine.latebook.decode", count_patient)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def terse(text: str, **fields: object) -> str:
    """A message as the venue spells it, without a space and its type last, fields added or replaced."""
    message = json.loads(text) | fields
    ends = [name for name in ("event_type", "transaction_hash") if name in message]
    return json.dumps({**message, **{name: message.pop(name) for name in ends}}, separators=(",", ":"))


def level(price: str, size: str, side: str = "BUY", bid: str = "0.49", ask: str = "0.51", **fields: object) -> str:
    message = json.loads(change(price, size, side, bid, ask))
    rows = [{"hash": "5f" * 20, **row} for row in message["price_changes"]]
    return terse(json.dumps({**message, "price_changes": rows}), **fields)


def both_books(bids: Levels, asks: Levels, **fields: object) -> tuple[str, str]:
    """The views of both tokens of a book whose prices have two decimals; ``fields`` are of the second one."""
    other_bids, other_asks = ([(f"{1 - float(price):.2f}", size) for price, size in side] for side in (asks, bids))
    return terse(book(bids, asks)), terse(book(other_bids, other_asks, asset=DOWN), **fields)


BIDS, ASKS = (("0.40", "5"), ("0.49", "100")), (("0.60", "6"), ("0.51", "100"))


def sparing_intake(*, wants_features: bool = False) -> Intake:
    intake = Intake(window_ns=120 * NS_PER_S, stale_after_ns=10 * NS_PER_S, wants_features=wants_features)
    for record in (MarketUpdated(at_ns=at(0), market=MARKET), Connected(at_ns=at(0), epoch=1)):
        intake.apply(record)
    assert say(intake, terse(book(BIDS, ASKS))).book_state is BookState.CLEAN
    return intake


def levels_of(intake: Intake) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    assert intake.book is not None
    return intake.book.levels(Outcome.UP)


@pytest.mark.parametrize("look", ["book", "book_state", "unclean_since_ns"])
def test_level_changes_wait_until_somebody_looks(calls: Calls, look: str) -> None:
    intake = say(sparing_intake(), level("0.49", "7"), level("0.51", "8", "SELL"), level("0.4", "0"), seconds=2)
    intake.evict(at(0))
    assert (calls.settled, intake.messages, intake.silent_since_ns) == (0, 4, at(2))
    assert intake.coverage.last_event_ns == at(2)
    for _ in range(2):
        getattr(intake, look)
        assert calls.settled == 3
    assert levels_of(intake) == (((4900, 7_000_000),), ((5100, 8_000_000), (6000, 6_000_000)))
    assert (intake.book_state, intake.unclean_since_ns, calls.patient) == (BookState.CLEAN, None, 0)


def test_features_are_of_the_moment_so_nothing_waits_for_them(calls: Calls) -> None:
    intake = say(new_intake(), terse(book()), level("0.49", "7"))
    assert (calls.settled, calls.patient) == (1, 0)
    assert intake.features.fair.logit_at_end(at(2)) is not None


def test_messages_that_need_the_book_settle_it_first(calls: Calls) -> None:
    crossed = level("0.52", "1", bid="0.5", ask="0.51")
    intake = say(sparing_intake(), crossed, seconds=2)
    say(intake, change("0.53", "1", "BUY", "0.53", "0.51"), seconds=3)
    assert (calls.settled, calls.patient) == (1, 1)
    assert (intake.book_state, intake.unclean_since_ns) == (BookState.CROSSED, at(2))


def test_no_more_than_so_many_changes_wait(calls: Calls) -> None:
    intake = sparing_intake()
    texts = [level("0.49", str(size)) for size in range(1, 1101)]
    intake.frames(at(2), texts[:1023])
    assert calls.settled == 0
    intake.frames(at(2), texts[1023:])
    assert calls.settled == 1024
    assert levels_of(intake)[0][0] == (4900, 1_100_000_000)
    assert calls.settled == 1100


def test_a_snapshot_overtakes_what_waits(calls: Calls) -> None:
    intake = say(sparing_intake(), level("0.52", "1", bid="0.5", ask="0.51"), seconds=2)
    say(intake, terse(book((("0.3", "1"),), (("0.7", "2"),))), seconds=3)
    assert levels_of(intake) == (((3000, 1_000_000),), ((7000, 2_000_000),))
    assert (calls.settled, intake.unclean_since_ns, intake.book_state) == (0, None, BookState.CLEAN)


def test_what_is_overtaken_unread_has_made_the_book_unclean_or_clean_all_the_same() -> None:
    crossed = terse(book((("0.6", "1"),), (("0.4", "2"),)))
    intake = say(sparing_intake(), crossed, level("0.3", "1", bid="0.3"), seconds=2)
    say(intake, crossed, seconds=3)
    assert (intake.book_state, intake.unclean_since_ns) == (BookState.CROSSED, at(2))
    say(intake, terse(book()), crossed, seconds=4)
    assert (intake.book_state, intake.unclean_since_ns) == (BookState.CROSSED, at(4))
    assert say(intake, terse(book()), seconds=5).unclean_since_ns is None


@pytest.mark.parametrize("waiting", [level("0.49", "7"), terse(book())])
@pytest.mark.parametrize(
    "record",
    [
        Disconnected(at_ns=at(3), epoch=1, reason="closed"),
        Connected(at_ns=at(3), epoch=2),
        MarketUpdated(at_ns=at(3), market=evolve(MARKET, up_asset_id="4" * 77)),
        Frame(at_ns=at(3), text=tick_size_change("0.001")),
    ],
)
def test_a_lost_book_takes_with_it_what_waits(record: Record, waiting: str) -> None:
    intake = say(sparing_intake(), waiting, seconds=2)
    intake.apply(record)
    assert (intake.book_state, levels_of(intake)) == (BookState.UNSYNCED, ((), ()))


def test_statements_of_both_tokens_count_even_if_overtaken() -> None:
    intake = sparing_intake()
    for _ in range(15):
        for text in (book(), book((("0.79", "5"),), (("0.81", "5"),), asset=DOWN)):
            assert say(intake, terse(text)).book is not None
    assert intake.book is not None
    assert intake.book.mirror_sum_off
    say(intake, *[level("0.49", "7")] * 15, terse(book()))
    assert not intake.book.mirror_sum_off


# --------------------------------------------------------------------------------------------- the books after a trade


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("bids", "asks"), [(BIDS, ASKS), ((), ASKS), (BIDS, ()), ((), ())])
def test_the_second_book_of_a_trade_is_not_read(calls: Calls, bids: Levels, asks: Levels, order: int) -> None:
    first, second = both_books(bids, asks)[::order]
    intake = say(sparing_intake(wants_features=True), level("0.49", "7"), first, seconds=2)
    expected, calls.read = levels_of(intake), 0
    say(intake, terse(trade("0.5", tx="0x" + "1" * 64)), second, seconds=3)
    assert (levels_of(intake), intake.unclean_since_ns) == (expected, None)
    assert (calls.read, calls.patient, intake.malformed, intake.trades.count) == (0, 0, 0, 1)
    assert intake.coverage.last_event_ns == at(3)


def test_each_of_both_books_states_its_top() -> None:
    intake = sparing_intake()
    accused = []
    for down in [book((("0.79", "5"),), (("0.81", "5"),), asset=DOWN)] * 15 + [book(asset=DOWN)] * 15:
        for text in (book(), down):
            say(intake, terse(text))
            assert intake.book is not None
            accused.append(intake.book.mirror_sum_off)
    assert accused.index(True) == 9, "from five samples on"
    assert accused[9:].index(False) == 36, "until most samples are of the later ones"


def test_what_is_overtaken_is_never_read(calls: Calls) -> None:
    intake = say(sparing_intake(), *both_books(BIDS, ASKS), terse(book()), seconds=2)
    assert (calls.read, intake.silent_since_ns, intake.coverage.last_event_ns) == (1, at(2), at(2))
    assert levels_of(intake) == (((4900, 100_000_000),), ((5100, 100_000_000),))
    assert calls.read == 2


BETWEEN: dict[str, Sequence[str | Record]] = {
    "a level of ours": [level("0.49", "100")],
    "a stated top": [best_bid_ask("0.49", "0.51")],
    "a step of the price": [tick_size_change("0.001")],
    "a new connection": [Disconnected(at_ns=at(2), epoch=1, reason="closed"), Connected(at_ns=at(2), epoch=2)],
    "a reconnect": [Connected(at_ns=at(2), epoch=2)],
    "another market": [
        MarketUpdated(at_ns=at(2), market=evolve(MARKET, up_asset_id="4" * 77)),
        MarketUpdated(at_ns=at(2), market=MARKET),
    ],
}


@pytest.mark.parametrize("between", BETWEEN)
def test_the_second_book_is_read_when_anything_of_the_book_came_between(calls: Calls, between: str) -> None:
    first, second = both_books(BIDS, ASKS)
    intake = say(sparing_intake(wants_features=True), first, seconds=2)
    assert levels_of(intake)
    for came in BETWEEN[between]:
        intake.apply(Frame(at_ns=at(2), text=came) if isinstance(came, str) else came)
    calls.read = 0
    assert levels_of(say(intake, second, seconds=3))
    assert calls.read == 1
    assert levels_of(intake) == levels_of(say(sparing_intake(), first))


@pytest.mark.parametrize(
    ("bids", "asks", "fields"),
    [
        pytest.param(BIDS, ASKS, {"timestamp": "1790000100001"}, id="stamp"),
        pytest.param(BIDS[1:], ASKS, {}, id="length of the bids"),
        pytest.param(BIDS, (("0.60", "66"), ("0.51", "100")), {}, id="length of the asks"),
        pytest.param((("0.40", "5"), ("0.48", "100")), ASKS, {}, id="best bid"),
        pytest.param((("0.40", "5"), ("0.49", "101")), ASKS, {}, id="size of the best bid"),
        pytest.param(BIDS, (("0.60", "6"), ("0.52", "100")), {}, id="best ask"),
        pytest.param(BIDS, (("0.60", "6"), ("0.51", "101")), {}, id="size of the best ask"),
        pytest.param(BIDS, ASKS, {"asset_id": UP}, id="token"),
        pytest.param(BIDS[::-1], ASKS, {}, id="order"),
    ],
)
def test_the_second_book_is_read_when_it_is_another_one(
    calls: Calls, bids: Levels, asks: Levels, fields: dict[str, str]
) -> None:
    (first, _), (_, second) = both_books(BIDS, ASKS), both_books(bids, asks, **fields)
    if fields.get("asset_id") == UP:
        second = terse(book((("0.30", "5"), ("0.49", "100")), ASKS))
    intake = say(sparing_intake(wants_features=True), first, seconds=2)
    assert levels_of(intake)
    calls.read = 0
    assert levels_of(say(intake, second, seconds=3))
    assert (calls.read, calls.patient) == (1, 0)
    assert levels_of(intake) == levels_of(say(sparing_intake(), second))


def test_a_book_that_brings_a_price_step_is_taken_patiently(calls: Calls) -> None:
    first, second = both_books(BIDS, ASKS, tick_size="0.001")
    intake = say(sparing_intake(), first, second)
    assert intake.book is not None
    assert (intake.book.tick, intake.book_state, calls.patient) == (10, BookState.CLEAN, 1)


# ------------------------------------------------------------------------------- what the quick way leaves to the other

STRANGER = "3" * 77
ELSEWHERE = "0x" + "cd" * 32


@pytest.mark.parametrize(
    ("text", "foreign", "malformed"),
    [
        pytest.param(level("0.49", "7", market=ELSEWHERE), 1, 0, id="a level of another market"),
        pytest.param(terse(book(), market=ELSEWHERE), 1, 0, id="a book of another market"),
        pytest.param(terse(trade("0.5", tx="0x" + "1" * 64), market=ELSEWHERE), 1, 0, id="a trade of another market"),
        pytest.param(level("0.49", "7").replace(UP, STRANGER), 1, 0, id="half a level of ours"),
        pytest.param(
            level("0.49", "7").replace(UP, STRANGER).replace(DOWN, "5"), 2, 0, id="a level of no token of ours"
        ),
        pytest.param(terse(book(asset=STRANGER)), 1, 0, id="a book of a token that is not ours"),
        pytest.param(terse(trade("0.5", asset=STRANGER, tx="0x" + "1" * 64)), 1, 0, id="a trade of such a token"),
        pytest.param(terse(book(), tick_size="0.003"), 0, 1, id="an impossible step"),
        pytest.param(terse(book(), asset_id="x"), 0, 1, id="no token"),
        pytest.param(level("0.49", "7", market="0xg"), 0, 1, id="no market"),
        pytest.param(level("0.49", "-7"), 0, 1, id="a change to less than nothing"),
        pytest.param(terse(trade("0.5", "0", tx="0x" + "1" * 64)), 0, 1, id="a trade of nothing"),
        pytest.param(level("0.49", "7").replace("5f" * 20, "5f" * 4000), 0, 1, id="a change with too long a text"),
        pytest.param(level("0.49", "7")[:-1], 0, 1, id="a message without its end"),
    ],
)
def test_foreign_and_malformed_messages_are_counted_patiently(
    calls: Calls, text: str, foreign: int, malformed: int
) -> None:
    intake = say(sparing_intake(), level("0.49", "7"), seconds=2)
    say(intake, text, seconds=3)
    assert (intake.foreign, intake.malformed, calls.patient) == (foreign, malformed, 1)
    assert levels_of(intake)[0][0] == (4900, 7_000_000)


def test_no_message_is_ours_before_the_market_is_known(calls: Calls) -> None:
    intake = Intake(window_ns=120 * NS_PER_S, stale_after_ns=10 * NS_PER_S)
    intake.apply(Connected(at_ns=at(0), epoch=1))
    say(intake, terse(book()), level("0.49", "7"), terse(trade("0.5", tx="0x" + "1" * 64)))
    assert (intake.foreign, calls.patient, intake.coverage.last_event_ns) == (3, 3, None)


@pytest.mark.parametrize("top", [("0.49", "0.48"), ("0.49", "0.49"), ("0", "0.51"), ("0.49", "1")])
def test_changes_that_state_no_usable_top_are_taken_patiently(calls: Calls, top: tuple[str, str]) -> None:
    intake = say(sparing_intake(), level("0.49", "7", bid=top[0], ask=top[1]), seconds=2)
    assert (calls.patient, calls.settled, intake.malformed) == (1, 0, 0)
    assert (levels_of(intake)[0][0], intake.unclean_since_ns) == ((4900, 7_000_000), at(2))


def test_entries_that_do_not_mirror_each_other_are_taken_patiently(calls: Calls) -> None:
    message = json.loads(level("0.49", "7"))
    for number, (name, value) in enumerate(
        [("price", "0.5"), ("size", "8"), ("side", "BUY"), ("best_bid", "0.48"), ("best_ask", "0.52"), ("asset_id", UP)]
    ):
        rows = [message["price_changes"][0], {**message["price_changes"][1], name: value}]
        intake = say(sparing_intake(), terse(json.dumps({**message, "price_changes": rows})))
        assert (calls.patient, calls.settled) == (number + 1, 0), name
        assert intake.malformed == intake.foreign == 0


def test_a_patient_text_does_not_lose_what_waits(calls: Calls) -> None:
    intake = say(sparing_intake(), level("0.49", "7"), "<html>", "PONG", seconds=2)
    assert calls.settled == 0
    assert levels_of(intake)[0][0] == (4900, 7_000_000)


@pytest.mark.parametrize("levels", [(("1", "5"),), (("0.49", "-5"),), (("0.4", "x"),)])
def test_a_book_whose_best_level_is_malformed_is_counted_at_once(calls: Calls, levels: Levels) -> None:
    intake = say(sparing_intake(), terse(book(levels)), seconds=2)
    assert (intake.malformed, calls.patient) == (1, 1)
    assert (intake.book_state, intake.unclean_since_ns) == (BookState.CLEAN, None), "as before it"


@pytest.mark.parametrize("deep", [("0", "5"), ("0.4", "-5"), ("0.4", "x")])
def test_a_book_whose_deeper_level_is_malformed_leaves_none(deep: tuple[str, str]) -> None:
    intake = say(sparing_intake(), terse(book((deep, ("0.49", "5")))), seconds=2)
    assert (intake.book_state, intake.unclean_since_ns, intake.malformed) == (BookState.UNSYNCED, at(2), 0)
    assert say(intake, terse(book()), seconds=3).book_state is BookState.CLEAN
    assert intake.unclean_since_ns is None


@pytest.mark.parametrize("levels", [(("0.49", "5"), ("0.4", "0")), (("0.49000", "5"),)])
def test_a_book_of_unusual_levels_is_read_patiently(calls: Calls, levels: Levels) -> None:
    intake = say(sparing_intake(), terse(book(levels)), seconds=2)
    assert levels_of(intake)[0] == ((4900, 5_000_000),)
    assert (intake.malformed, calls.patient) == (0, 1)
