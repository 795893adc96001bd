"""The original design's code, written anew from its description: whole messages, plain dictionaries, whole-list passes.

Each text is read with ``json.loads``. By its ``event_type`` a message becomes a dictionary with the time it was seen,
appended to one of the lists ``trades``, ``book_snapshots`` and ``price_changes``, which nothing ever bounds: the
collection of two minutes is all that ends them. Numbers of a trade become floats when it is kept; books and level
changes are kept as they came and never applied, since the score reads trades alone. A score goes over the whole list
of trades once for each figure, as one function each, in floats.

It is fair to it: no logging, no task hop, no queue and no model classes are charged, an unknown event costs one
dictionary look-up, and the fields that a message does not have are not missed. What it does not do is not made up for
either: it checks nothing, knows no repeated print, keeps no book and never forgets.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final, Protocol

MOMENTUM_WEIGHT: Final = 0.40
FLOW_WEIGHT: Final = 0.35
WHALE_WEIGHT: Final = 0.25
WHALE_SHARES: Final = 1000.0
WINDOW_S: Final = 120.0


class TwoTokens(Protocol):
    """What the original has to know of a market."""

    @property
    def up_asset_id(self) -> str:
        """The Up token."""


class Original:
    """One market's collection."""

    def __init__(self, market: TwoTokens) -> None:
        self._yes = market.up_asset_id
        self._started = time.time()
        self.trades: list[dict[str, Any]] = []
        self.book_snapshots: list[dict[str, Any]] = []
        self.price_changes: list[dict[str, Any]] = []

    def message(self, text: str) -> bool:
        """Take in one text; whether a trade was in it."""
        content = json.loads(text)
        traded = False
        for message in content if isinstance(content, list) else [content]:
            traded |= self._keep(message)
        return traded

    def score(self) -> tuple[float, float]:
        """Score and confidence of everything collected so far."""
        momentum = self.calculate_momentum_score(self.trades)
        flow = self.calculate_volume_flow_score(self.trades)
        whale = self.calculate_whale_activity_score(self.trades)
        score = MOMENTUM_WEIGHT * momentum + FLOW_WEIGHT * flow + WHALE_WEIGHT * whale
        return score, self.calculate_confidence(self.trades, time.time() - self._started)

    def collected(self) -> dict[str, Any]:
        """The dictionary that the original's collection ends with."""
        return {
            "trades": self.trades,
            "book_snapshots": self.book_snapshots,
            "price_changes": self.price_changes,
            "collection_duration": time.time() - self._started,
        }

    def _keep(self, message: dict[str, Any]) -> bool:
        event_type = message.get("event_type")
        if event_type == "last_trade_price":
            self.trades.append(
                {
                    "asset_id": message.get("asset_id"),
                    "price": float(message.get("price", 0)),
                    "size": float(message.get("size", 0)),
                    "side": message.get("side"),
                    "timestamp": time.time(),
                }
            )
            return True
        if event_type == "book":
            self.book_snapshots.append(
                {
                    "asset_id": message.get("asset_id"),
                    "bids": message.get("bids", []),
                    "asks": message.get("asks", []),
                    "timestamp": time.time(),
                }
            )
        elif event_type == "price_change":
            self.price_changes.append({"changes": message.get("price_changes", []), "timestamp": time.time()})
        return False

    def calculate_momentum_score(self, trades: list[dict[str, Any]]) -> float:
        """From the first to the last price of the Up token; a tenth is full scale."""
        prices = [trade["price"] for trade in trades if trade["asset_id"] == self._yes]
        if len(prices) < 2 or prices[0] == 0:
            return 0.0
        return float(max(-1.0, min(1.0, (prices[-1] - prices[0]) / prices[0] * 10)))

    def calculate_volume_flow_score(self, trades: list[dict[str, Any]]) -> float:
        """Shares of Up against shares of Down."""
        yes = sum(trade["size"] for trade in trades if trade["asset_id"] == self._yes)
        no = sum(trade["size"] for trade in trades if trade["asset_id"] != self._yes)
        return float((yes - no) / (yes + no)) if yes + no else 0.0

    def calculate_whale_activity_score(self, trades: list[dict[str, Any]]) -> float:
        """Trades of more than a thousand shares in Up against those in Down."""
        whales = [trade for trade in trades if trade["size"] > WHALE_SHARES]
        yes = sum(1 for trade in whales if trade["asset_id"] == self._yes)
        return (yes - (len(whales) - yes)) / len(whales) if whales else 0.0

    def calculate_confidence(self, trades: list[dict[str, Any]], collected_s: float) -> float:
        """Fifty trades of a full window are certainty; fewer than ten halve it."""
        confidence = min(len(trades) / 50, 1.0)
        if collected_s < WINDOW_S:
            confidence *= collected_s / WINDOW_S
        return confidence * 0.5 if len(trades) < 10 else confidence
