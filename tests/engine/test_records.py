"""Records are plain values."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec import Struct

from engine import records
from engine.markets import Market, Target
from engine.records import (
    Connected,
    Disconnected,
    Followed,
    Frame,
    LookupFailed,
    MarketUpdated,
    Record,
    Unfollowed,
)

MARKET = Market(condition_id="0x" + "ab" * 32, up_asset_id="1111", down_asset_id="2222")

EXAMPLES: list[Record] = [
    Followed(at_ns=1, target=Target(key="btc-updown-15m-1")),
    MarketUpdated(at_ns=2, market=MARKET),
    MarketUpdated(at_ns=2, market=None),
    LookupFailed(at_ns=2, reason="timeout"),
    Connected(at_ns=3, epoch=1),
    Frame(at_ns=4, text="PONG"),
    Disconnected(at_ns=5, epoch=1, reason="stale"),
    Unfollowed(at_ns=6),
]


def test_the_union_names_every_record_of_the_module() -> None:
    defined = {
        value
        for value in vars(records).values()
        if isinstance(value, type) and issubclass(value, Struct) and value is not Struct
    }
    assert set(get_args(Record)) == defined == {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_a_record_is_frozen_named_and_equal_by_content(record: Record) -> None:
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    assert type(record)(**values) == record
    assert hash(type(record)(**values)) == hash(record)
    with pytest.raises(AttributeError):
        record.at_ns = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        type(record)(*values.values())  # type: ignore[call-arg]


def test_records_of_different_kinds_are_never_equal() -> None:
    assert len(set(EXAMPLES)) == len(EXAMPLES)


def test_a_disconnect_has_lost_nothing_unless_it_says_so() -> None:
    assert Disconnected(at_ns=5, epoch=1, reason="stale").dropped == 0
