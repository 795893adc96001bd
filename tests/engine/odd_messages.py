"""Messages as the venue writes them, of every type and age, with all the freedom the venue has."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from tests.engine import wire_texts
from tests.engine.odd_values import ASSETS, FALSE, HASHES, MARKETS, NULL, SIDES, STEPS, TRUE, WORDS, Object


def price(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.6:
        return f"0.{rng.randrange(1, 100):02d}".rstrip("0")
    if draw < 0.9:
        return f"0.{rng.randrange(1, 1000):03d}".rstrip("0")
    return f"0.{rng.randrange(1, 10_000):04d}"


def size(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.1:
        return "0"
    if draw < 0.5:
        return str(rng.randrange(1, 10_000))
    if draw < 0.9:
        return f"{rng.randrange(1, 10_000)}.{rng.randrange(1, 100):02d}"
    if draw < 0.97:
        return f"{rng.randrange(10_000)}.{rng.randrange(1_000_000):06d}"
    # Finer than the venue ever writes, ties among them, and every digit a double has.
    if draw < 0.985:
        return f"{rng.randrange(10 ** rng.randrange(10))}.{rng.randrange(1_000_000):06d}5"
    return repr(rng.random() * 10 ** rng.randrange(-8, 10))


def top(rng: Random) -> str:
    return price(rng) if rng.random() < 0.9 else rng.choice(("0", "1", "", "0.0", "1.0", "0.999", "0.001"))


def stamp(rng: Random) -> str:
    return str(1_790_000_000_000 + rng.randrange(10**9))


def rows(rng: Random, longest: int) -> list[Object]:
    return [Object([("price", price(rng)), ("size", size(rng))]) for _ in range(rng.randrange(longest + 1))]


def book(rng: Random) -> Object:
    return long_book(rng, 5)


def long_book(rng: Random, longest: int) -> Object:
    message = Object(
        [
            ("market", rng.choice(MARKETS)),
            ("asset_id", rng.choice(ASSETS)),
            ("timestamp", stamp(rng)),
            ("hash", rng.choice(HASHES)),
            ("bids", rows(rng, longest)),
            ("asks", rows(rng, longest)),
            ("tick_size", rng.choice(STEPS)),
            ("event_type", "book"),
            ("last_trade_price", rng.choice(("", "0.310"))),
        ]
    )
    if rng.random() < 0.5:
        del message[8], message[6]
    return message


def change_row(rng: Random) -> Object:
    return Object(
        [
            ("asset_id", rng.choice(ASSETS)),
            ("price", price(rng)),
            ("size", size(rng)),
            ("side", rng.choice(SIDES)),
            ("hash", rng.choice(HASHES)),
            ("best_bid", top(rng)),
            ("best_ask", top(rng)),
        ]
    )


def price_change(rng: Random) -> Object:
    return Object(
        [
            ("market", rng.choice(MARKETS)),
            ("price_changes", [change_row(rng) for _ in range(2 if rng.random() < 0.8 else rng.randrange(6))]),
            ("timestamp", stamp(rng)),
            ("event_type", "price_change"),
        ]
    )


def changes_of_2025(rng: Random) -> Object:
    changes = [Object(field for field in change_row(rng) if field[0] != "asset_id") for _ in range(rng.randrange(4))]
    return Object(
        [
            ("asset_id", rng.choice(ASSETS)),
            ("changes", changes),
            ("event_type", "price_change"),
            ("market", rng.choice(MARKETS)),
            ("timestamp", stamp(rng)),
            ("hash", rng.choice(HASHES)),
        ]
    )


def change_of_2024(rng: Random) -> Object:
    fields = [("event_type", "price_change"), ("market", rng.choice(MARKETS)), ("timestamp", stamp(rng))]
    return Object([*change_row(rng)[: rng.choice((4, 7))], *fields])


def last_trade_price(rng: Random) -> Object:
    message = Object(
        [
            ("market", rng.choice(MARKETS)),
            ("asset_id", rng.choice(ASSETS)),
            ("price", price(rng)),
            ("size", size(rng)),
            ("fee_rate_bps", "0"),
            ("side", rng.choice(SIDES)),
            ("timestamp", stamp(rng)),
            ("event_type", "last_trade_price"),
            ("transaction_hash", rng.choice(MARKETS)),
        ]
    )
    return Object(message[:-1]) if rng.random() < 0.3 else message


def tick_size_change(rng: Random) -> Object:
    return Object(
        [
            ("market", rng.choice(MARKETS)),
            ("asset_id", rng.choice(ASSETS)),
            ("old_tick_size", rng.choice(STEPS)),
            ("new_tick_size", rng.choice(STEPS)),
            ("timestamp", stamp(rng)),
            ("event_type", "tick_size_change"),
        ]
    )


def best_bid_ask(rng: Random) -> Object:
    return Object(
        [
            ("market", rng.choice(MARKETS)),
            ("asset_id", rng.choice(ASSETS)),
            ("best_bid", top(rng)),
            ("best_ask", top(rng)),
            ("spread", "0.02"),
            ("timestamp", stamp(rng)),
            ("event_type", "best_bid_ask"),
        ]
    )


def new_market(rng: Random) -> Object:
    return Object(
        [
            ("id", "77"),
            ("question", rng.choice(WORDS)),
            ("market", rng.choice(MARKETS)),
            ("slug", rng.choice(WORDS)),
            ("description", 'Resolves to "Up" or "Down".'),
            ("assets_ids", [rng.choice(ASSETS) for _ in range(rng.randrange(4))]),
            ("outcomes", [rng.choice(WORDS) for _ in range(rng.randrange(4))]),
            ("event_message", Object([("id", "78"), ("title", rng.choice(WORDS)), ("description", "")])),
            ("timestamp", stamp(rng)),
            ("event_type", "new_market"),
            ("tags", []),
            ("active", FALSE),
            ("fee_schedule", Object([("rate", "0.07"), ("taker_only", TRUE)])),
        ]
    )


def market_resolved(rng: Random) -> Object:
    return Object(
        [
            ("id", "77"),
            ("market", rng.choice(MARKETS)),
            ("assets_ids", list(ASSETS[:2])),
            ("winning_asset_id", rng.choice(ASSETS)),
            ("winning_outcome", rng.choice(WORDS)),
            ("event_message", NULL),
            ("timestamp", stamp(rng)),
            ("event_type", "market_resolved"),
            ("tags", ["Crypto", "15M"]),
        ]
    )


def of_the_other_tests(rng: Random) -> Object:
    text = rng.choice(
        (
            wire_texts.book(),
            wire_texts.trade(price(rng), size(rng), tx="0x" + "e0" * 32),
            wire_texts.change(price(rng), size(rng), "BUY", "0.4", "0.5"),
            wire_texts.resolved(wire_texts.DOWN),
            wire_texts.tick_size_change("0.001"),
        )
    )
    message: Object = json.loads(text, object_pairs_hook=Object)
    return message


Maker = Callable[[Random], Object]
TRAFFIC: tuple[Maker, ...] = (
    *(price_change, price_change, price_change, price_change, book, book, last_trade_price, last_trade_price),
    *(tick_size_change, best_bid_ask, new_market, market_resolved),
    *(changes_of_2025, change_of_2024, of_the_other_tests),
)
