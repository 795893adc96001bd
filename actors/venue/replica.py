"""The book of one token as the venue's texts tell it, for whoever subscribes in the middle of a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from attrs import define, field

from engine.units import price_ticks

CENT_TEXT: Final = "0.01"


@define
class Replica:
    """Prices and sizes as they were spelt, best last on either side; nothing is ``known`` before the first book.

    ``hash`` and ``stamp`` are the last ones that were told with a change.
    """

    condition_id: str
    asset_id: str
    known: bool = False
    stamp: str = "0"
    hash: str = ""
    last_trade: str = ""
    tick_size: str = CENT_TEXT
    bids: dict[int, tuple[str, str]] = field(factory=dict)
    asks: dict[int, tuple[str, str]] = field(factory=dict)

    def book(self, told: Mapping[str, Any]) -> None:
        """Take a whole book in; raises ``KeyError``, ``TypeError`` or ``ValueError`` for what is none."""
        bids, asks = (_levels(told[side]) for side in ("bids", "asks"))
        self.bids, self.asks, self.known = bids, asks, True
        self.stamp, self.hash = str(told["timestamp"]), str(told.get("hash", ""))
        self.last_trade = str(told.get("last_trade_price") or self.last_trade)
        self.tick_size = str(told.get("tick_size") or self.tick_size)

    def change(self, told: Mapping[str, Any], stamp: str) -> None:
        """Take the new size of one level in; raises as ``book``."""
        side = self.bids if told["side"] == "BUY" else self.asks
        price = price_ticks(told["price"])
        if float(told["size"]):
            side[price] = (told["price"], told["size"])
        else:
            side.pop(price, None)
        self.stamp, self.hash = stamp, str(told.get("hash", ""))

    def top(self) -> tuple[int | None, int | None]:
        """Best bid and ask in ticks."""
        return max(self.bids, default=None), min(self.asks, default=None)

    def body(self) -> dict[str, Any]:
        """What every form of the book has, in the venue's order."""
        return {
            "market": self.condition_id,
            "asset_id": self.asset_id,
            "timestamp": self.stamp,
            "hash": self.hash,
            "bids": [_level(self.bids[price]) for price in sorted(self.bids)],
            "asks": [_level(self.asks[price]) for price in sorted(self.asks, reverse=True)],
        }

    def initial(self) -> str:
        """The book as an element of the first array."""
        told = {"tick_size": self.tick_size, "event_type": "book", "last_trade_price": self.last_trade}
        return msgspec.json.encode(self.body() | told).decode()

    def rest(self, minimum_order: str) -> str:
        """The book as ``/book`` gives it."""
        told = {"min_order_size": minimum_order, "tick_size": self.tick_size, "neg_risk": False}
        return msgspec.json.encode(self.body() | told | {"last_trade_price": self.last_trade}).decode()


def _levels(told: Sequence[Mapping[str, str]]) -> dict[int, tuple[str, str]]:
    return {price_ticks(level["price"]): (level["price"], level["size"]) for level in told}


def _level(spelt: tuple[str, str]) -> dict[str, str]:
    return {"price": spelt[0], "size": spelt[1]}
