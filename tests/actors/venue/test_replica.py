"""A book kept from texts: spelt as it was told, best last."""

from __future__ import annotations

import json

import pytest

from actors.venue.replica import Replica


def level(price: str, size: str) -> dict[str, str]:
    return {"price": price, "size": size}


def told() -> Replica:
    replica = Replica(condition_id="0x1", asset_id="7")
    bids, asks = [level("0.5", "1"), level("0.40", "2.50")], [level("0.52", "3"), level("0.6", "4")]
    replica.book({"timestamp": "9", "hash": "aa", "bids": bids, "asks": asks, "last_trade_price": "0.500"})
    return replica


def test_a_book_is_told_again_best_last() -> None:
    replica = told()
    body = json.loads(replica.initial())
    assert (body["bids"], body["asks"]) == (
        [level("0.40", "2.50"), level("0.5", "1")],
        [level("0.6", "4"), level("0.52", "3")],
    )
    assert (body["timestamp"], body["hash"], body["last_trade_price"], body["tick_size"]) == (
        "9",
        "aa",
        "0.500",
        "0.01",
    )
    assert json.loads(replica.rest("5"))["min_order_size"] == "5"
    assert replica.top() == (5000, 5200)


def test_levels_change_and_go() -> None:
    replica = told()
    replica.change({"side": "BUY", "price": "0.5", "size": "0", "hash": "bb"}, "10")
    replica.change({"side": "SELL", "price": "0.51", "size": "8"}, "11")
    assert (replica.top(), replica.stamp, replica.hash) == ((4000, 5100), "11", "")


@pytest.mark.parametrize("text", [{}, {"bids": [{}], "asks": []}, {"bids": [level("x", "1")], "asks": []}])
def test_what_is_no_book_changes_nothing(text: dict[str, object]) -> None:
    replica = told()
    with pytest.raises((KeyError, ValueError)):
        replica.book(text)
    assert replica.top() == (5000, 5200)
