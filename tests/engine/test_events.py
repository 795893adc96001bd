from typing import Any, get_args

import msgspec
import pytest

from engine.events import Answer, BestBidAsk, Event, LevelChange, PriceChange, TextAnswer, Trade
from engine.markets import Side

MARKET = "0x" + "1c" * 32
TOKEN = "12" * 38


FIELDS: dict[str, Any] = {
    "market": MARKET,
    "asset_id": TOKEN,
    "side": Side.BUY,
    "price": 5_500,
    "size": 1_000_000,
    "venue_ms": 1_790_000_000_000,
}


def trade(**fields: Any) -> Trade:
    return Trade(**{**FIELDS, **fields})


@pytest.mark.parametrize("event", get_args(Event), ids=lambda event: event.__name__)
def test_events_are_frozen_keyword_only_values_outside_the_garbage_collector(event: type[msgspec.Struct]) -> None:
    config = event.__struct_config__
    assert config.frozen
    assert not config.gc
    with pytest.raises(TypeError, match="positional"):
        event(*event.__struct_fields__)


def test_events_compare_and_hash_by_value() -> None:
    assert trade() == trade()
    assert hash(trade()) == hash(trade())
    assert trade() != trade(side=None)


def test_events_refuse_to_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        trade().price = 1  # type: ignore[misc]


def test_what_the_venue_may_leave_out_has_a_default() -> None:
    change = LevelChange(asset_id=TOKEN, side=Side.SELL, price=5_600, size=0)
    assert (change.best_bid, change.best_ask) == (None, None)
    assert trade().transaction_hash is None


def test_events_nest_and_print_readably() -> None:
    change = LevelChange(asset_id="7", side=Side.SELL, price=5_600, size=0)
    event = PriceChange(market=MARKET, changes=(change,), venue_ms=0)
    assert event.changes[0] is change
    assert "price=5600" in repr(event)


def test_an_empty_side_differs_from_a_price_of_zero() -> None:
    empty = BestBidAsk(market=MARKET, asset_id=TOKEN, best_bid=None, best_ask=5_000, venue_ms=0)
    assert empty != msgspec.structs.replace(empty, best_bid=0)


@pytest.mark.parametrize("answer", Answer)
def test_answers_are_the_venue_s_own_words(answer: Answer) -> None:
    assert str(TextAnswer(answer=answer).answer) == answer.value == answer.value.upper()
