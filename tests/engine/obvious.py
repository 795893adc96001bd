"""The venue's frames read the slow, obvious way: what ``engine.wire.decode`` means, without any of its speed.

A text is read as JSON, field by field, with nothing remembered from one text to the next. For any text the real
decoder gives the same events, or an error of the same reason with the same intact events and the same count.

What is common to all frames:

* A frame has at most 1 MiB of UTF-8 and 100,000 commas. One of the venue's plain answers, in any case and with any
  space around it, is that answer if it has at most 64 characters.
* JSON is strict: no NaN, no infinity, no double or integer out of range, no surrogate without its partner. Of two
  values of one key the later one counts.
* A message is an object, alone or in arrays of any nesting; a malformed one costs only itself. Nesting ends at 16,
  arrays and objects at 10,000 members, integers at 20 digits, texts and keys at 4 KiB; prose, and what lies inside it,
  at 64 KiB.
* Numbers stand for their texts. Of an optional field whatever is no text, or empty, is absent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sized
from decimal import Context, Decimal
from typing import Any

from engine.errors import WireError
from engine.events import (
    Answer,
    BestBidAsk,
    BookSnapshot,
    Event,
    Level,
    LevelChange,
    MarketResolved,
    NewMarket,
    PriceChange,
    TextAnswer,
    TickSizeChange,
    Trade,
    UnknownEvent,
)
from engine.markets import Side

Message = dict[str, Any]

MAX_FRAME_BYTES = 1024 * 1024
MAX_PROSE_BYTES = 64 * 1024
MAX_TEXT_BYTES = 4 * 1024
MAX_ANSWER_CHARACTERS = 64
MAX_COMMAS = 100_000
MAX_MEMBERS = 10_000
MAX_DEPTH = 16
MAX_INTEGER = 99_999_999_999_999_999_999
MAX_INTEGER_CHARACTERS = 4300

PROSE = ["description", "question", "title", "event_message"]
NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
PRICE = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?"
EXACT = Context(prec=1000)


def decode(text: str) -> tuple[Event, ...]:
    """The events of one text frame, in order; raises ``WireError``."""
    if byte_length(text) > MAX_FRAME_BYTES:
        raise WireError("oversize")
    if text.count(",") > MAX_COMMAS:
        raise WireError("too_long")
    if len(text) <= MAX_ANSWER_CHARACTERS:
        for answer in Answer:
            if text.strip().upper() == answer.value:
                return (TextAnswer(answer=answer),)
    return events_of(strict_json(text))


def byte_length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


# ---------------------------------------------------------------------------------------------------------------- JSON


def strict_json(text: str) -> Any:
    try:
        text.encode()
        if "\\u" in text:
            # Without its partner a surrogate cannot be encoded. Pairs show the values that a later one replaces.
            json.dumps(json.loads(text, object_pairs_hook=list), ensure_ascii=False).encode()
        return json.loads(text, parse_constant=refused, parse_float=finite, parse_int=integer)
    except RecursionError:
        raise WireError("too_deep") from None
    except ValueError:
        raise WireError("not_json") from None


def refused(name: str) -> None:
    raise ValueError(name)


def finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number


def integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_CHARACTERS:
        raise ValueError(digits)
    return int(digits)


# ------------------------------------------------------------------------------------------------------------ messages


def events_of(frame: Any) -> tuple[Event, ...]:
    messages = messages_of(frame, 0)
    if len(messages) > MAX_MEMBERS:
        raise WireError("too_long")
    events: list[Event] = []
    reasons: list[str] = []
    for message, depth in messages:
        try:
            events.append(event_of(message, depth))
        except WireError as error:
            reasons.append(error.reason)
    if reasons:
        raise WireError(reasons[0], events=events, malformed=len(reasons))
    return tuple(events)


def messages_of(value: Any, depth: int) -> list[tuple[Any, int]]:
    """Each message with its depth; an array that breaks a limit is one message, and a malformed one."""
    if not isinstance(value, list) or depth >= MAX_DEPTH or len(value) > MAX_MEMBERS:
        return [(value, depth)]
    return [message for member in value for message in messages_of(member, depth + 1)]


def event_of(message: Any, depth: int) -> Event:
    check_limits(message, depth, MAX_TEXT_BYTES)
    if not isinstance(message, dict):
        raise WireError("not_an_object")
    event_type = message.get("event_type")
    if not isinstance(event_type, str) or event_type == "":
        raise WireError("missing_field")
    reader = READERS.get(event_type)
    if reader is None:
        return UnknownEvent(event_type=event_type)
    try:
        return reader(texts_for_numbers(message))
    except ValueError:
        raise WireError("bad_value") from None


def check_limits(value: Any, depth: int, longest: int) -> None:
    """Raises ``WireError`` for the first thing in the value, in its order, that breaks a limit."""
    if isinstance(value, str):
        if byte_length(value) > longest:
            raise WireError("long_text")
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise WireError("long_integer")
    elif isinstance(value, list):
        check_array(value, depth)
        for member in value:
            check_limits(member, depth + 1, longest)
    elif isinstance(value, dict):
        check_array(value, depth)
        for key, member in value.items():
            check_limits(key, depth, longest)
            check_limits(member, depth + 1, MAX_PROSE_BYTES if key in PROSE else longest)


def check_array(members: Sized, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise WireError("too_deep")
    if len(members) > MAX_MEMBERS:
        raise WireError("too_long")


def texts_for_numbers(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [texts_for_numbers(member) for member in value]
    if isinstance(value, dict):
        return {key: texts_for_numbers(member) for key, member in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return value


# --------------------------------------------------------------------------------------------------------------- types
#
# Everything of a message is first read as what it has to be (``wrong_type``), a field that is missing is told when all
# that are there are right (``missing_field``), and only then does anyone look at what the texts say (``bad_value``).
# The fields are read in the order below, which tells what a message with several faults is refused for.


def book(message: Message) -> BookSnapshot:
    asset = required(message, "asset_id", text)
    bids = required(message, "bids", rows_of(level))
    asks = required(message, "asks", rows_of(level))
    market = required(message, "market", text)
    all_there(asset, bids, asks, market)
    step = optional(message, "tick_size")
    return BookSnapshot(
        market=condition_id(market),
        asset_id=asset_id(asset),
        bids=levels(bids),
        asks=levels(asks),
        venue_ms=stamp(optional(message, "timestamp")),
        hash=optional(message, "hash"),
        tick=None if step == "" else price_step(step),
    )


def level(row: Message) -> tuple[str, float]:
    price = required(row, "price", text)
    shares = required(row, "size", size)
    all_there(price, shares)
    return price, shares


def levels(rows: list[tuple[str, float]]) -> tuple[Level, ...]:
    """The later of two levels at one price counts, in the place of the earlier; a level of nothing is none."""
    sizes: dict[int, int] = {}
    for price, shares in rows:
        sizes[level_price(price)] = micro_shares(shares)
    return tuple((price, units) for price, units in sizes.items() if units > 0)


def price_change(message: Message) -> PriceChange:
    if "price_changes" not in message:
        message = message | older_changes(message)
    changes = required(message, "price_changes", rows_of(change))
    market = required(message, "market", text)
    all_there(changes, market)
    return PriceChange(
        market=condition_id(market),
        changes=tuple([level_change(row) for row in changes]),
        venue_ms=stamp(optional(message, "timestamp")),
    )


def older_changes(message: Message) -> Message:
    """In 2025 the token stood once beside a list of changes; in 2024 the message itself was the one change."""
    rows = message.get("changes", [message])
    if not isinstance(rows, list):
        return {}
    if "asset_id" in message:
        rows = [row | {"asset_id": message["asset_id"]} if isinstance(row, dict) else row for row in rows]
    return {"price_changes": rows}


def change(row: Message) -> Message:
    price = required(row, "price", text)
    shares = required(row, "size", size)
    asset = required(row, "asset_id", text)
    its_side = required(row, "side", side)
    all_there(price, shares, asset, its_side)
    return {**row, "size": shares, "side": its_side}


def level_change(row: Message) -> LevelChange:
    return LevelChange(
        asset_id=asset_id(row["asset_id"]),
        side=row["side"],
        price=level_price(row["price"]),
        size=micro_shares(row["size"]),
        best_bid=top_price(optional(row, "best_bid")),
        best_ask=top_price(optional(row, "best_ask")),
    )


def last_trade_price(message: Message) -> Trade:
    asset = required(message, "asset_id", text)
    price = required(message, "price", text)
    shares = required(message, "size", size)
    taker = optional(message, "side")
    # The text "null" says of a trade what null says.
    taker_side = None if taker.upper() in {"", "NULL"} else side(taker)
    market = required(message, "market", text)
    all_there(asset, price, shares, market)
    if micro_shares(shares) == 0:
        raise ValueError("a trade of nothing")
    return Trade(
        market=condition_id(market),
        asset_id=asset_id(asset),
        side=taker_side,
        price=level_price(price),
        size=micro_shares(shares),
        venue_ms=stamp(optional(message, "timestamp")),
        transaction_hash=optional(message, "transaction_hash") or None,
    )


def tick_size_change(message: Message) -> TickSizeChange:
    asset = required(message, "asset_id", text)
    step = required(message, "new_tick_size", text)
    market = required(message, "market", text)
    all_there(asset, step, market)
    return TickSizeChange(
        market=condition_id(market),
        asset_id=asset_id(asset),
        new_tick=price_step(step),
        venue_ms=stamp(optional(message, "timestamp")),
    )


def best_bid_ask(message: Message) -> BestBidAsk:
    asset = required(message, "asset_id", text)
    market = required(message, "market", text)
    all_there(asset, market)
    return BestBidAsk(
        market=condition_id(market),
        asset_id=asset_id(asset),
        best_bid=top_price(optional(message, "best_bid")),
        best_ask=top_price(optional(message, "best_ask")),
        venue_ms=stamp(optional(message, "timestamp")),
    )


def new_market(message: Message) -> NewMarket:
    slug = required(message, "slug", text)
    assets = required(message, "assets_ids", texts)
    outcomes = required(message, "outcomes", texts)
    market = required(message, "market", text)
    all_there(slug, assets, outcomes, market)
    return NewMarket(
        market=condition_id(market),
        slug=slug,
        asset_ids=tuple([asset_id(asset) for asset in assets]),
        outcomes=tuple(outcomes),
        venue_ms=stamp(optional(message, "timestamp")),
    )


def market_resolved(message: Message) -> MarketResolved:
    winner = required(message, "winning_asset_id", text)
    market = required(message, "market", text)
    all_there(winner, market)
    return MarketResolved(
        market=condition_id(market),
        winning_asset_id=asset_id(winner),
        winning_outcome=optional(message, "winning_outcome"),
        venue_ms=stamp(optional(message, "timestamp")),
    )


READERS: dict[str, Callable[[Message], Event]] = {
    "book": book,
    "price_change": price_change,
    "last_trade_price": last_trade_price,
    "tick_size_change": tick_size_change,
    "best_bid_ask": best_bid_ask,
    "new_market": new_market,
    "market_resolved": market_resolved,
}


# -------------------------------------------------------------------------------------------------------------- fields

MISSING: Any = object()


def required(message: Message, name: str, reader: Callable[[Any], Any]) -> Any:
    return reader(message[name]) if name in message else MISSING


def all_there(*values: Any) -> None:
    if any(value is MISSING for value in values):
        raise WireError("missing_field")


def optional(message: Message, name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise WireError("wrong_type")
    return value


def texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise WireError("wrong_type")
    return [text(member) for member in value]


def rows_of(reader: Callable[[Message], Any]) -> Callable[[Any], list[Any]]:
    def rows(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise WireError("wrong_type")
        read = []
        for row in value:
            if not isinstance(row, dict):
                raise WireError("wrong_type")
            read.append(reader(row))
        return read

    return rows


def size(value: Any) -> float:
    """Shares: a number as JSON spells it, 0 to a billion. It is a double, as fine as six decimals of a billion need."""
    if not isinstance(value, str) or not re.fullmatch(NUMBER, value):
        raise WireError("wrong_type")
    shares = float(value)
    if not 0 <= shares <= 1_000_000_000:
        raise WireError("wrong_type")
    return shares


def side(value: Any) -> Side:
    if isinstance(value, str) and value.upper() == "BUY":
        return Side.BUY
    if isinstance(value, str) and value.upper() == "SELL":
        return Side.SELL
    raise WireError("wrong_type")


# -------------------------------------------------------------------------------------------------------------- values


def micro_shares(shares: float) -> int:
    return round(shares * 1_000_000)


def price_ticks(price: str) -> int:
    """0 to 10,000 ticks of 0.0001, exactly; a number of at most 32 characters, its exponent of at most two digits."""
    if len(price) > 32 or not re.fullmatch(PRICE, price):
        raise ValueError("not a price")
    ticks = EXACT.multiply(Decimal(price), Decimal(10_000))
    if not 0 <= ticks <= 10_000 or EXACT.remainder(ticks, Decimal(1)) != 0:
        raise ValueError("not on the grid from 0 to 1")
    return int(ticks)


def level_price(price: str) -> int:
    ticks = price_ticks(price)
    if not 0 < ticks < 10_000:
        raise ValueError("not inside (0, 1)")
    return ticks


def top_price(price: str) -> int | None:
    """A price of nothing, 0 or 1 says that the side is empty."""
    ticks = 0 if price == "" else price_ticks(price)
    return ticks if 0 < ticks < 10_000 else None


def price_step(price: str) -> int:
    ticks = level_price(price)
    if 10_000 % ticks != 0:
        raise ValueError("steps of it miss 1")
    return ticks


def condition_id(name: str) -> str:
    if not re.fullmatch("0x[0-9a-f]{64}", name.lower()):
        raise ValueError("not a condition id")
    return name.lower()


def asset_id(name: str) -> str:
    if not re.fullmatch("[0-9]{1,78}", name):
        raise ValueError("not a token id")
    return name


def stamp(when: str) -> int:
    """Milliseconds of a stamp in s, ms, µs or ns; what is no stamp is 0.

    The value tells the unit, except that 13 digits are milliseconds whatever zeros they begin with.
    """
    match = re.fullmatch(r"([0-9]{1,20})(\.[0-9]{1,20})?", when)
    if match is None:
        return 0
    whole = int(match[1])
    if len(when) == 13 and match[2] is None:
        return whole
    if whole < 10**11:
        return int(EXACT.multiply(Decimal(when), Decimal(1000)))
    if whole < 10**14:
        return whole
    if whole < 10**17:
        return whole // 1_000
    return whole // 1_000_000
