"""The lines of a tape: records and notes as JSON objects with ``kind`` and ``at_ns``.

Notes are what only a tape knows: how a part begins, what never reached it, that it ended cleanly. Lines are untrusted
when they are read: any input gives an item or a ``TapeError`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from engine.errors import TapeError
from engine.markets import Market, Outcome, Target
from engine.records import (
    Connected,
    Count,
    Disconnected,
    Followed,
    Frame,
    Instant,
    LookupFailed,
    MarketUpdated,
    Record,
    Unfollowed,
)
from engine.units import PRICE_SCALE

VERSION: Final = 1
"""Of the format. A reader leaves parts of another one alone."""

MAX_TIME_NS: Final = 2**63 - 1

_AT_ONCE_BYTES: Final = 1 << 20
"""Texts up to here are decoded in one go: quicker, but everything is in memory together."""

_REASON_CHARACTERS: Final = 200


class TapeHeader(Struct, frozen=True, kw_only=True, tag_field="kind", tag="tape"):
    """The first line of every part.

    ``run`` is one recorder's time with one market: the time of its first line. ``sequence`` counts the lines of the
    run in earlier parts. ``continues`` says that the market is followed already; then ``target``, ``market`` and
    ``epoch`` (of the open socket, if any) say how it stood, for who has no earlier part. ``source``, ``outcome`` and
    ``tokens`` are there where the part was imported and no recorder wrote it.
    """

    at_ns: Instant
    version: Count
    key: str
    part: Count
    software: str
    continues: bool
    run: Instant
    sequence: Count
    scoring: dict[str, Any] = {}
    target: Target | UnsetType = UNSET
    market: Market | UnsetType = UNSET
    epoch: Count | UnsetType = UNSET
    source: str | UnsetType = UNSET
    outcome: Outcome | UnsetType | None = UNSET
    tokens: str | UnsetType = UNSET


class Lost(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="lost"):
    """Up to ``until_ns`` so many records never reached the tape; ``reason`` is a word."""

    at_ns: Instant
    records: Count
    until_ns: Instant
    reason: str


class End(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="end"):
    """The part ends here, and cleanly."""

    at_ns: Instant


TapeNote = TapeHeader | Lost | End
TapeItem = Record | TapeNote

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[TapeItem]] = msgspec.json.Decoder(TapeItem)
_BAD: Final = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)
_PLAIN: Final = frozenset({Frame, Connected, Disconnected, LookupFailed, Unfollowed, Lost, End})


def line_bytes(item: TapeItem) -> bytes:
    """The item as one line of compact JSON in UTF-8, without the newline.

    Raises ``TapeError`` for text that is no Unicode (lone surrogates), which no venue can send.
    """
    try:
        return _ENCODER.encode(item)
    except UnicodeEncodeError as error:
        raise TapeError(f"no text a tape can hold: {error.reason}") from None


def line_of(item: TapeItem) -> str:
    """``line_bytes`` as text."""
    return line_bytes(item).decode()


def record_of(line: str | bytes) -> TapeItem:
    """The record or note that a line holds.

    Raises ``TapeError`` for everything else: no JSON, unknown kinds, missing fields, values out of range.
    """
    try:
        item = _DECODER.decode(line)
    except _BAD as error:
        raise TapeError(f"no line of a tape: {str(error)[:_REASON_CHARACTERS]}") from None
    return item if type(item) in _PLAIN else _checked(item)


def items_of(text: bytes) -> Iterable[TapeItem | TapeError]:
    """The items of whole lines, in order; the error in place of a line that is none.

    Texts of ordinary size are decoded in one go, huge ones line by line as they are asked for.
    """
    if len(text) > _AT_ONCE_BYTES:
        return _one_by_one(text)
    try:
        items = [item if type(item) in _PLAIN else _checked(item) for item in _DECODER.decode_lines(text)]
    except _BAD:
        return _one_by_one(text)
    # Decoded in one go, empty lines would go by unseen.
    return items if len(items) == text.count(b"\n") else _one_by_one(text)


def _one_by_one(text: bytes) -> Iterator[TapeItem | TapeError]:
    for line in BytesIO(text):
        try:
            yield record_of(line)
        except TapeError as error:
            yield error


def _checked(item: TapeItem) -> TapeItem:
    """What ``msgspec`` cannot check by itself: the plain values inside of targets and markets."""
    if isinstance(item, Followed):
        _check_target(item.target)
    elif isinstance(item, MarketUpdated):
        _check_market(item.market)
    elif isinstance(item, TapeHeader):
        _check_target(None if item.target is UNSET else item.target)
        _check_market(None if item.market is UNSET else item.market)
    return item


def _check_target(target: Target | None) -> None:
    if target is not None:
        _check_bounds(target.start_ns, target.end_ns)


def _check_market(market: Market | None) -> None:
    if market is None:
        return
    _check_bounds(market.start_ns, market.end_ns)
    if not 0 < market.tick <= PRICE_SCALE:
        raise TapeError(f"no line of a tape: a tick outside of 1..{PRICE_SCALE}")


def _check_bounds(*instants_ns: int | None) -> None:
    if not all(instant_ns is None or 0 <= instant_ns <= MAX_TIME_NS for instant_ns in instants_ns):
        raise TapeError("no line of a tape: a time out of range")
