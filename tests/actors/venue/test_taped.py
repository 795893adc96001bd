"""The tape of one market: whatever is on it, it plays (how it sounds to a bot: ``test_tapes``)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.venue.tapes import TapedSource
from engine.markets import Outcome
from tests.actors.venue.recording import TOKENS, frame
from tests.actors.venue.scenery import START_NS, S, listing
from tests.actors.venue.taping import market_of, put

LISTING = listing()
UP, DOWN = LISTING.asset_ids


def event(kind: str, **more: object) -> str:
    return json.dumps({"market": LISTING.condition_id, "timestamp": "1", "event_type": kind, **more})


BOOK = event("book", asset_id=UP, hash="a1", bids=[{"price": "0.5", "size": "3"}], asks=[])


def played(folder: Path, *texts: str) -> tuple[list[str], TapedSource]:
    put(folder, LISTING, [(START_NS + n * S, text) for n, text in enumerate(texts)])
    source = TapedSource([folder])
    tape = source.tape(source.markets[0], 0)
    told = []
    while tape.next_ns is not None:
        told += [message.text for message in tape.advance()]
    assert tape.advance() == ()
    return told, source


@pytest.mark.parametrize(
    "text",
    [
        "PONG",
        "{",
        "[1, 2",
        "[1, 2]",
        "[]",
        "{}",
        "null",
        event("new_market"),
        event("market_resolved", winning_asset_id=UP),
        json.dumps({"event_type": "book", "market": "0x" + "9" * 64}),
    ],
)
def test_what_is_not_of_this_market_is_left_out(tmp_path: Path, text: str) -> None:
    assert played(tmp_path, text, BOOK)[0] == [BOOK]


@pytest.mark.parametrize(
    "text",
    [
        event("book", asset_id=UP),
        event("book", asset_id=7, bids=[], asks=[]),
        event("price_change", price_changes=[{"asset_id": UP, "price": "x", "size": "1", "side": "BUY"}]),
        event("last_trade_price", asset_id=UP, price="0.5", size="1", side="HOLD"),
        event("something_new", asset_id=UP),
    ],
)
def test_what_is_odd_is_told_as_it_was(tmp_path: Path, text: str) -> None:
    assert played(tmp_path, BOOK, text)[0] == [BOOK, text]


def test_messages_go_to_whom_they_concern(tmp_path: Path) -> None:
    change = event("price_change", price_changes=[])
    best = event("best_bid_ask", asset_id=DOWN)
    put(tmp_path, LISTING, [(START_NS, f"[{BOOK},{change},{best}]")])
    source = TapedSource([tmp_path])
    messages = source.tape(source.markets[0], 0).advance()
    assert [(it.asset_id, it.custom, it.delta) for it in messages] == [
        (UP, False, False),
        (None, False, True),
        (DOWN, True, False),
    ]


def test_ticks_and_ends_are_followed(tmp_path: Path) -> None:
    put(tmp_path, LISTING, [(START_NS, BOOK), (START_NS, event("tick_size_change", new_tick_size="0.001"))])
    source = TapedSource([tmp_path])
    tape = source.tape(source.markets[0], 0)
    assert (tape.tick, tape.initial_book(Outcome.UP)) == (100, None)
    tape.skip()
    tape.skip()
    assert tape.tick == 10
    assert json.loads(tape.rest_book(Outcome.UP) or "")["tick_size"] == "0.001"
    assert (tape.top(Outcome.UP), tape.rest_book(Outcome.DOWN)) == ((5000, None), None)
    assert [json.loads(message.text)["bids"] for message in tape.close(5)] == [[], []]
    assert (tape.top(Outcome.UP), tape.cross(0)) == ((None, None), None)
    with pytest.raises(NotImplementedError):
        tape.heal(0, 5000)


def test_a_token_that_was_not_recorded_is_the_mirror(tmp_path: Path) -> None:
    slug = LISTING.slug
    text = frame(next(iter(TOKENS)), 0, 5).replace("0x" + "1c" * 32, LISTING.condition_id).replace("7" * 76, UP)
    put(tmp_path, LISTING, [(START_NS, text)], market=market_of(LISTING, down=False))
    source = TapedSource([tmp_path])
    [found] = source.markets
    tape = source.tape(found, 0)
    own, derived = tape.advance()
    assert (found.slug, found.derived_down, own.text) == (slug, True, text)
    assert json.loads(derived.text)["derived"] is True
    assert derived.asset_id == found.down_asset_id
    assert tape.top(Outcome.DOWN) == (4800, 5000)
