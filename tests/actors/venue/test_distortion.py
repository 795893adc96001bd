import json

import pytest

from actors.venue.distortion import FLOWS, SHAPES, UNKNOWN_TEXT
from actors.venue.render import Message
from actors.venue.tape import GeneratedTape
from engine.errors import WireError
from engine.events import PriceChange, UnknownEvent
from engine.wire import decode
from tests.actors.venue.test_tape import tape, told_until


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    play: GeneratedTape = tape()
    return [message for told in told_until(play, 30) for message in told]


def test_shapes_keep_events_readable(messages: list[Message]) -> None:
    for message in messages:
        for name, shape in SHAPES.items():
            events = decode(shape(message.text))
            assert len(events) == 1, name
            if name == "extended":
                assert events == decode(message.text)


def test_drifted_hashes_are_wrong(messages: list[Message]) -> None:
    books = [json.loads(SHAPES["drifted"](message.text)) for message in messages if '"book"' in message.text]
    assert {book["hash"] for book in books} == {"0" * 40}


def test_books_lose_one_side_or_both(messages: list[Message]) -> None:
    book = next(message.text for message in messages if '"book"' in message.text)
    assert json.loads(SHAPES["one_sided"](book))["asks"] == []
    assert json.loads(SHAPES["one_sided"](book))["bids"] != []
    assert json.loads(SHAPES["emptied"](book))["bids"] == json.loads(SHAPES["emptied"](book))["asks"] == []


def test_flows(messages: list[Message]) -> None:
    few = messages[:3]
    assert FLOWS["duplicated"](few) == [few[0], few[0], few[1], few[1], few[2], few[2]]
    assert FLOWS["reordered"](few) == few[::-1]
    assert [message.text for message in FLOWS["wrapped"](few)] == [f"[{message.text}]" for message in few]
    interspersed = FLOWS["interspersed"](few)
    assert [message.text for message in interspersed[::2]] == [UNKNOWN_TEXT] * 3
    assert interspersed[1::2] == few
    assert isinstance(decode(UNKNOWN_TEXT)[0], UnknownEvent)


def test_outdated_changes_say_the_same_in_two_frames(messages: list[Message]) -> None:
    change = next(message for message in messages if message.delta)
    flat = FLOWS["outdated"]([change])
    event = json.loads(change.text)
    assert [message.asset_id for message in flat] == [entry["asset_id"] for entry in event["price_changes"]]
    assert all("price_changes" not in message.text and "best_bid" not in message.text for message in flat)
    try:
        told = [event for message in flat for event in decode(message.text)]
    except WireError:
        told = []
    assert all(isinstance(event, PriceChange | UnknownEvent) for event in told)
