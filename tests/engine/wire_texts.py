"""Texts as the venue sends them, for one made-up market."""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine.markets import Market, Target
from engine.units import NS_PER_S

CONDITION_ID = "0x" + "ab" * 32
UP = "1" * 77
DOWN = "2" * 77
START_S = 1_790_000_100
START_NS = START_S * NS_PER_S
END_NS = START_NS + 300 * NS_PER_S
SLUG = f"btc-updown-5m-{START_S}"

TARGET = Target(key=SLUG, series="btc-5m", slug=SLUG, start_ns=START_NS, end_ns=END_NS)
MARKET = Market(
    condition_id=CONDITION_ID, up_asset_id=UP, down_asset_id=DOWN, slug=SLUG, start_ns=START_NS, end_ns=END_NS
)

Levels = Sequence[tuple[str, str]]


def at(seconds: float) -> int:
    """An instant that many seconds after the slot's start, epoch ns."""
    return START_NS + round(seconds * NS_PER_S)


def ms(at_ns: int) -> str:
    return str(at_ns // 1_000_000)


def book(
    bids: Levels = (("0.49", "100"),), asks: Levels = (("0.51", "100"),), *, asset: str = UP, at_ns: int = START_NS
) -> str:
    """A full book; levels best last, as on the wire."""
    return json.dumps(
        {
            "market": CONDITION_ID,
            "asset_id": asset,
            "timestamp": ms(at_ns),
            "hash": "0" * 40,
            "bids": [{"price": price, "size": size} for price, size in bids],
            "asks": [{"price": price, "size": size} for price, size in asks],
            "event_type": "book",
        }
    )


def trade(
    price: str, size: str = "10", *, asset: str = UP, side: str = "BUY", at_ns: int = START_NS, tx: str | None = None
) -> str:
    """One taker order."""
    message = {
        "market": CONDITION_ID,
        "asset_id": asset,
        "price": price,
        "size": size,
        "side": side,
        "fee_rate_bps": "0",
        "timestamp": ms(at_ns),
        "event_type": "last_trade_price",
    }
    return json.dumps(message if tx is None else {**message, "transaction_hash": tx})


def change(price: str, size: str, side: str, best_bid: str, best_ask: str, *, at_ns: int = START_NS) -> str:
    """One level of the Up token changed, with its mirror."""
    mirror = f"{1 - float(price):.4f}".rstrip("0")
    entries = [
        {"asset_id": UP, "price": price, "size": size, "side": side, "best_bid": best_bid, "best_ask": best_ask},
        {
            "asset_id": DOWN,
            "price": mirror,
            "size": size,
            "side": "SELL" if side == "BUY" else "BUY",
            "best_bid": f"{1 - float(best_ask):.4f}",
            "best_ask": f"{1 - float(best_bid):.4f}",
        },
    ]
    return json.dumps(
        {"market": CONDITION_ID, "price_changes": entries, "timestamp": ms(at_ns), "event_type": "price_change"}
    )


def resolved(winner: str = UP) -> str:
    """The market was decided."""
    return json.dumps(
        {
            "id": "1",
            "market": CONDITION_ID,
            "assets_ids": [UP, DOWN],
            "winning_asset_id": winner,
            "winning_outcome": "Up" if winner == UP else "Down",
            "timestamp": ms(END_NS),
            "event_type": "market_resolved",
        }
    )


def tick_size_change(new: str, *, asset: str = UP) -> str:
    """The price step changed."""
    return json.dumps(
        {
            "market": CONDITION_ID,
            "asset_id": asset,
            "old_tick_size": "0.01",
            "new_tick_size": new,
            "timestamp": ms(START_NS),
            "event_type": "tick_size_change",
        }
    )
