"""Tolerant reading of loosely typed JSON bodies.

The venue's REST answers spell one thing in several ways: arrays as arrays or as JSON inside a string, numbers and
booleans as such or as strings. Nothing here raises because of a field: what cannot be read counts as not said.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from engine.errors import WireError
from engine.units import NS_PER_MS, price_ticks

Body = Mapping[str, Any]
"""One JSON object."""

TICKS: Final = frozenset({1000, 100, 50, 25, 10, 1})
"""Price steps the venue lists, in ticks of 0.0001."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON, or JSON too deep or with numbers too large."""

_T = TypeVar("_T")

_EXCERPT_CHARACTERS: Final = 100


def json_of(body: bytes | str) -> object:
    """The value of a JSON text; raises ``WireError`` (``not_json``) for anything else, however deep or large."""
    try:
        return msgspec.json.decode(body)
    except UNREADABLE as error:
        raise WireError("not_json", excerpt(error)) from None


def objects(body: object) -> list[Body]:
    """The objects of an array, or the one object; raises ``WireError`` (``shape``) for any other value."""
    if isinstance(body, dict):
        return [body]
    if not isinstance(body, list):
        raise WireError("shape", "neither an object nor an array")
    return [item for item in body if isinstance(item, dict)]


def array(body: Body, name: str) -> list[Any]:
    """An array, or an array written as JSON inside a string; else empty."""
    value = body.get(name)
    if isinstance(value, str):
        try:
            value = json_of(value)
        except WireError:
            return []
    return value if isinstance(value, list) else []


def texts(body: Body, name: str) -> list[str]:
    """An array of texts or numbers, as texts; anything else in it becomes the empty text."""
    return [str(item) if isinstance(item, str | int | float) else "" for item in array(body, name)]


def text(body: Body, name: str) -> str:
    """A text field, empty if there is none."""
    return _read(body, name, str, "")


def flag(body: Body, name: str, *, default: bool) -> bool:
    """A boolean field; ``"true"`` and 1 are true."""
    return _read(body, name, bool, default)


def instant_ns(value: object) -> int | None:
    """Epoch nanoseconds, to the millisecond, of an ISO date *and* time; UTC unless it says otherwise.

    Times before the epoch are the venue's way to say nothing (``0001-01-01T00:00:00Z``).
    """
    if not isinstance(value, str) or not 16 <= len(value) <= 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return None
    return round(seconds * 1000) * NS_PER_MS if seconds > 0 else None


def price(value: object) -> int | None:
    """Ticks of a price given as text or number."""
    try:
        return price_ticks(str(value))
    except ValueError:
        return None


def price_step(value: object) -> int | None:
    """Ticks of a price step, ``None`` unless it is one of `TICKS`."""
    ticks = price(value)
    return ticks if ticks in TICKS else None


def excerpt(value: object) -> str:
    """At most 100 characters of a value, escaped to ASCII."""
    return ascii(str(value)[:_EXCERPT_CHARACTERS])[1:-1]


def _read(body: Body, name: str, kind: type[_T], default: _T) -> _T:
    try:
        return msgspec.convert(body.get(name), kind, strict=False)
    except msgspec.ValidationError:
        return default
