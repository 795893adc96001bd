import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bookhash import book_hash

BOOK: dict[str, Any] = {
    "market": "0xaabbcc",
    "asset_id": "100",
    "timestamp": "123456789",
    "bids": [("0.3", "100"), ("0.4", "100")],
    "asks": [("0.6", "100"), ("0.7", "100")],
    "min_order_size": "100",
    "tick_size": "0.01",
    "neg_risk": False,
    "last_trade_price": "0.5",
}

texts = st.text(max_size=12)
levels = st.lists(st.tuples(texts, texts), max_size=4)


def test_published_vector_of_a_book_with_levels() -> None:
    assert book_hash(**BOOK) == "0458ea5755c9f73d64a14636fa5c36ed460ec394"


def test_published_vector_of_an_empty_book_without_a_stamp() -> None:
    empty = {**BOOK, "bids": [], "asks": [], "timestamp": ""}
    assert book_hash(**empty) == "74c6a7c81c1d572f1c877b7d3e25b80c336d8a6e"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("market", "0xaabbcd"),
        ("asset_id", "101"),
        ("timestamp", "123456790"),
        ("bids", [("0.4", "100"), ("0.3", "100")]),
        ("asks", [("0.6", "100"), ("0.7", "100.0")]),
        ("min_order_size", "5"),
        ("tick_size", "0.001"),
        ("neg_risk", True),
        ("last_trade_price", "0.50"),
    ],
)
def test_every_field_counts_in_its_exact_spelling_and_order(name: str, value: object) -> None:
    assert book_hash(**{**BOOK, name: value}) != book_hash(**BOOK)


@given(texts, texts, texts, levels, levels, st.booleans(), texts)
def test_equals_the_digest_of_the_standard_library_s_compact_json(
    market: str,
    asset_id: str,
    timestamp: str,
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
    neg_risk: bool,
    last: str,
) -> None:
    document = {
        "market": market,
        "asset_id": asset_id,
        "timestamp": timestamp,
        "hash": "",
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
        "min_order_size": "5",
        "tick_size": "0.01",
        "neg_risk": neg_risk,
        "last_trade_price": last,
    }
    compact = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    assert (
        book_hash(
            market=market,
            asset_id=asset_id,
            timestamp=timestamp,
            bids=iter(bids),
            asks=iter(asks),
            min_order_size="5",
            tick_size="0.01",
            neg_risk=neg_risk,
            last_trade_price=last,
        )
        == hashlib.sha1(compact.encode()).hexdigest()
    )
