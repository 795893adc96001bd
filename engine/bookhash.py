"""The venue's checksum of one token's book.

SHA-1 over the compact JSON of ten fields in a fixed order, the checksum's own field empty. It is a diagnostic and no
more: two of the fields are not on the WebSocket, and the last trade price may run ahead of the trade it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1

import msgspec

_encode = msgspec.json.Encoder().encode


def book_hash(
    *,
    market: str,
    asset_id: str,
    timestamp: str,
    bids: Iterable[tuple[str, str]],
    asks: Iterable[tuple[str, str]],
    min_order_size: str,
    tick_size: str,
    neg_risk: bool,
    last_trade_price: str,
) -> str:
    """The 40 hex digits the venue gives as a book's ``hash``.

    Every text goes in verbatim, so spelling counts (``"0.310"`` is not ``"0.31"``). ``bids`` and ``asks`` are
    ``(price, size)`` texts worst first, as the venue sends them: bids ascending, asks descending. ``timestamp`` is in
    epoch milliseconds, ``last_trade_price`` is ``""`` when the token has never traded.
    """
    fields = {
        "market": market,
        "asset_id": asset_id,
        "timestamp": timestamp,
        "hash": "",
        "bids": _levels(bids),
        "asks": _levels(asks),
        "min_order_size": min_order_size,
        "tick_size": tick_size,
        "neg_risk": neg_risk,
        "last_trade_price": last_trade_price,
    }
    return sha1(_encode(fields), usedforsecurity=False).hexdigest()


def _levels(levels: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"price": price, "size": size} for price, size in levels]
