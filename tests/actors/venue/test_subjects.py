"""What a tape is about, and who won: the label, the venue's message, the header, or nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.tapes import find_tapes
from actors.venue.subjects import events_of, subjects_of
from engine.markets import Outcome
from engine.records import Frame
from tests.actors.tapes.tape_texts import KEY, record
from tests.actors.tapes.tape_texts import frame as tape_frame
from tests.actors.venue.scenery import START_NS, S, listing
from tests.actors.venue.taping import label, put

LISTING = listing()
END_NS = LISTING.end_ns


def resolved(winner: str) -> str:
    body = {"market": LISTING.condition_id, "winning_asset_id": winner, "event_type": "market_resolved"}
    return json.dumps(body)


@pytest.mark.parametrize(
    ("texts", "labelled", "winner", "resolved_ns"),
    [
        (["PONG"], False, None, None),
        (["PONG"], True, Outcome.UP, START_NS + 330 * S),
        ([resolved(LISTING.down_asset_id)], False, Outcome.DOWN, END_NS + S),
        (["[" + resolved(LISTING.down_asset_id) + "]"], True, Outcome.UP, END_NS + S),
        ([resolved("7"), "market_resolved", "[market_resolved", '["market_resolved"]'], False, None, None),
    ],
)
def test_who_won_and_when(
    tmp_path: Path, texts: list[str], labelled: bool, winner: Outcome | None, resolved_ns: int | None
) -> None:
    put(tmp_path, LISTING, [(START_NS, "PONG"), *((END_NS + S, text) for text in texts)])
    if labelled:
        label(tmp_path, LISTING, Outcome.UP, at_s=330.0)
    [subject], problems = subjects_of(find_tapes([tmp_path]))
    assert (subject.winner, subject.resolved_ns, subject.first_ns) == (winner, resolved_ns, START_NS)
    assert problems == []


def test_a_void_market_has_no_winner(tmp_path: Path) -> None:
    put(tmp_path, LISTING, [(START_NS, "PONG"), (END_NS + S, resolved(LISTING.up_asset_id))])
    label(tmp_path, LISTING, None, at_s=330.0)
    [subject], _ = subjects_of(find_tapes([tmp_path]))
    assert (subject.winner, subject.resolved_ns) == (None, None)


def test_a_tape_that_tells_no_market_is_named(tmp_path: Path) -> None:
    record(tmp_path, [Frame(at_ns=tape_frame(1).at_ns, text="PONG")])
    assert subjects_of(find_tapes([tmp_path])) == (
        [],
        [f"{KEY}: the tape does not tell the market's tokens and times"],
    )


def test_frames_are_taken_apart_verbatim() -> None:
    assert events_of('[{"a": 1},{"b":2}]') == ['{"a": 1}', '{"b":2}']
    assert (events_of("PONG"), events_of("[oops")) == (["PONG"], [])
