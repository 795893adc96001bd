"""What the switches do to data on their way out: pure functions in two tables.

Shapes change the text of single events, first books included; flows change which messages are sent, and in what order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from actors.venue.render import Message

UNKNOWN_TEXT: Final = '{"event_type":"liquidity_hint","market":"0x00","weights":{"a":[1,2,3]},"timestamp":"0"}'
EXTRA_TEXT: Final = ',"server_build":"a1","nested":{"trace":[null,true]}}'
_HASH: Final = re.compile(r'"hash":"[0-9a-f]*"')
_ASKS: Final = re.compile(r'"asks":\[[^\]]*\]')
_BIDS: Final = re.compile(r'"bids":\[[^\]]*\]')
_DRIFTED: Final = '"hash":"' + "0" * 40 + '"'


def drifted(text: str) -> str:
    """No hash agrees with its book."""
    return _HASH.sub(_DRIFTED, text)


def one_sided(text: str) -> str:
    """Books without asks."""
    return _ASKS.sub('"asks":[]', text)


def emptied(text: str) -> str:
    """Books without any level."""
    return _BIDS.sub('"bids":[]', one_sided(text))


def extended(text: str) -> str:
    """Unknown fields in every event."""
    return text[:-1] + EXTRA_TEXT


def outdated(messages: Sequence[Message]) -> list[Message]:
    """``price_change`` in the flat form of 2024: one frame for each entry, without the best prices."""
    return [told for message in messages for told in (_flat(message) if message.delta else [message])]


def interspersed(messages: Sequence[Message]) -> list[Message]:
    """An event of an unknown type before each of the known ones."""
    return [told for message in messages for told in (replace(message, text=UNKNOWN_TEXT, delta=False), message)]


def duplicated(messages: Sequence[Message]) -> list[Message]:
    """Every frame twice."""
    return [message for message in messages for _ in range(2)]


def reordered(messages: Sequence[Message]) -> list[Message]:
    """What happened at once is told backwards."""
    return list(reversed(messages))


def wrapped(messages: Sequence[Message]) -> list[Message]:
    """Single events come as arrays of one."""
    return [replace(message, text=f"[{message.text}]") for message in messages]


SHAPES: Final[Mapping[str, Callable[[str], str]]] = {
    "drifted": drifted,
    "one_sided": one_sided,
    "emptied": emptied,
    "extended": extended,
}
"""Switch → what it does to the text of an event, in the order in which several of them apply."""

FLOWS: Final[Mapping[str, Callable[[Sequence[Message]], list[Message]]]] = {
    "outdated": outdated,
    "interspersed": interspersed,
    "duplicated": duplicated,
    "reordered": reordered,
    "wrapped": wrapped,
}
"""Switch → what it does to the messages of one moment, after the shapes, in the order in which several apply."""


def _flat(message: Message) -> list[Message]:
    event = msgspec.json.decode(message.text)
    told = []
    for entry in event["price_changes"]:
        kept = {key: entry[key] for key in ("asset_id", "hash", "price", "side", "size")}
        flat = {**kept, "event_type": "price_change", "market": event["market"], "timestamp": event["timestamp"]}
        told.append(Message(msgspec.json.encode(flat).decode(), entry["asset_id"], delta=True))
    return told
