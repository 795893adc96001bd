"""Intake: what each record does to the state of a market, and what is counted instead of used."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from engine.intake import Intake
from engine.markets import Market, Outcome
from engine.records import Connected, Disconnected, Followed, Frame, LookupFailed, MarketUpdated, Record, Unfollowed
from engine.signals import BookState, FeedState
from engine.units import NS_PER_S
from tests.engine.wire_texts import (
    CONDITION_ID,
    DOWN,
    MARKET,
    TARGET,
    UP,
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
