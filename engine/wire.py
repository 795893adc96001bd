"""The venue's market channel as text: frames in, typed events out; subscriptions and the heartbeat out.

A frame is read in one of two ways. Today's documented frames of the busy types fit their shape exactly, so nothing in
them can break a limit, and they are decoded straight into it. Everything else (arrays, older forms, numbers instead of
texts, unknown or odd fields, rare types) is decoded without a shape, held against every limit, reduced to what its
shape knows, and then read by that same shape. A frame that fits both ways means the same in both.

An optional field that is ``null``, empty or not a text counts as absent; one that holds a wrong text is malformed.
Integers have at most 20 digits, nesting is at most 16 deep, arrays and objects hold at most 10,000 members, texts at
most 4 KiB (64 KiB where the venue writes prose) and frames at most 1 MiB, counted in bytes of UTF-8. A frame that is
not as documented has at most 100,000 commas, far more than any honest one: reading it value by value takes its time,
and nobody else has a turn meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.busy import read
from engine.errors import WireError
from engine.events import Answer, Event, TextAnswer, UnknownEvent
from engine.shapes import (
    MAX_COMMAS,
    MAX_FRAME_BYTES,
    MAX_MEMBERS,
    MAX_TEXT_BYTES,
    ROW_SHAPES,
    SHAPES,
    BusyShape,
    PriceChangeShape,
    asset_id,
    may_hold_long_text,
)

PING: Final = "PING"
"""The heartbeat: a text frame every ten seconds, never the first frame of a connection."""

MAX_PROSE_BYTES: Final = 1 << 16
MAX_DEPTH: Final = 16
MAX_INTEGER: Final = 10**20 - 1

_PROSE: Final = frozenset({"description", "question", "title", "event_message"})
_MAX_DETAIL: Final = 256
_MAX_ANSWER: Final = 64


def subscription(asset_ids: Sequence[str], *, custom_features: bool = True) -> str:
    """The first frame of a connection, to be sent once and before anything else.

    ``asset_ids`` are decimal token ids (``ValueError`` otherwise), possibly none. ``custom_features`` adds
    ``best_bid_ask``, ``new_market`` and ``market_resolved``, and holds for the whole connection.
    """
    return _request(asset_ids, type="market", custom_feature_enabled=custom_features, initial_dump=True, level=2)


def subscribe_more(asset_ids: Sequence[str], *, custom_features: bool = True) -> str:
    """A later frame that adds tokens to a connection; arguments as for :func:`subscription`."""
    return _request(asset_ids, operation="subscribe", custom_feature_enabled=custom_features)


def unsubscribe(asset_ids: Sequence[str]) -> str:
    """A later frame that takes tokens off a connection; the venue does not answer it."""
    return _request(asset_ids, operation="unsubscribe")


def _request(asset_ids: Sequence[str], **fields: object) -> str:
    return msgspec.json.encode({"assets_ids": [asset_id(text) for text in asset_ids], **fields}).decode()


def decode(text: str) -> tuple[Event, ...]:
    """The events of one text frame, in order; ``[]`` gives none.

    Raises :class:`WireError` and nothing else, whatever the text. When some elements of an array are malformed, the
    error carries the intact events and the count of the others; an error about the whole frame carries no events.
    """
    events = _busy(text) or _documented(text)
    return _tolerated(text) if events is None else events


def _busy(text: str) -> tuple[Event] | None:
    """The event of a frame of one of the busiest types exactly as documented today, ``None`` for any other."""
    message = read(text)
    try:
        return None if message is None else (message.event(),)
    except (ValueError, RecursionError):
        return None


_decode_busy: Final = msgspec.json.Decoder[Any](BusyShape | list[BusyShape], strict=False).decode


def _documented(text: str) -> tuple[Event, ...] | None:
    """The events of a frame exactly as documented today, ``None`` for any other frame, malformed ones included."""
    if not text.isascii() or (len(text) > MAX_TEXT_BYTES and may_hold_long_text(text)):
        return None
    if len(text) > MAX_COMMAS and text.count(",") > MAX_COMMAS:
        return None
    try:
        message: BusyShape | list[BusyShape] = _decode_busy(text)
        if isinstance(message, list):
            return tuple([member.event() for member in message])
        return (message.event(),)
    except (ValueError, RecursionError):
        return None


_ANSWERS: Final = {answer.value: (TextAnswer(answer=answer),) for answer in Answer}


def _tolerated(text: str) -> tuple[Event, ...]:
    """The events of any frame; raises ``WireError``."""
    if _byte_length(text) > MAX_FRAME_BYTES:
        raise _fault("oversize", f"more than {MAX_FRAME_BYTES} bytes")
    if text.count(",") > MAX_COMMAS:
        raise _fault("too_long", f"more than {MAX_COMMAS} commas")
    answer = _ANSWERS.get(text.strip().upper()) if len(text) <= _MAX_ANSWER else None
    if answer is not None:
        return answer
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        raise _fault("too_deep", f"more than {MAX_DEPTH} levels") from None
    except ValueError:
        raise _fault("not_json", text) from None
    return _events(value)


def _events(value: object) -> tuple[Event, ...]:
    events: list[Event] = []
    first: WireError | None = None
    malformed = 0
    for count, (element, depth) in enumerate(_elements(value, 0)):
        if count == MAX_MEMBERS:
            raise _fault("too_long", f"more than {MAX_MEMBERS} messages")
        try:
            events.append(_event(element, depth))
        except WireError as error:
            first = first or error
            malformed += 1
    if first is not None:
        raise WireError(first.reason, first.detail, events=events, malformed=malformed)
    return tuple(events)


def _elements(value: object, depth: int) -> Iterator[tuple[object, int]]:
    """The members of an array of any nesting, or the value itself; an array beyond a limit is one bad element."""
    if isinstance(value, list) and depth < MAX_DEPTH and len(value) <= MAX_MEMBERS:
        for member in value:
            yield from _elements(member, depth + 1)
    else:
        yield value, depth


def _event(element: object, depth: int) -> Event:
    """The event of one message found at ``depth``; raises ``WireError``."""
    message = _bounded(element, depth, MAX_TEXT_BYTES)
    if not isinstance(element, dict):
        raise _fault("not_an_object", type(element).__name__)
    event_type = element.get("event_type")
    if not isinstance(event_type, str) or not event_type:
        raise _fault("missing_field", "event_type")
    shape = SHAPES.get(event_type)
    if shape is None:
        return UnknownEvent(event_type=event_type)
    if shape is PriceChangeShape:
        message = _current_form(message)
    try:
        return msgspec.convert(_known(message, shape), shape, strict=False).event()
    except msgspec.ValidationError as error:
        reason = "missing_field" if "missing required field" in str(error) else "wrong_type"
        raise _fault(reason, f"{event_type}: {error}") from None
    except ValueError as error:
        raise _fault("bad_value", f"{event_type}: {error}") from None


def _bounded(value: Any, depth: int, longest: int) -> Any:
    """The value with every number as text; raises ``WireError`` when anything in it breaks a limit."""
    if isinstance(value, str):
        if _byte_length(value) > longest:
            raise _fault("long_text", f"more than {longest} bytes")
        return value
    if isinstance(value, list | dict):
        return _bounded_members(value, depth, longest)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise _fault("long_integer", f"beyond {MAX_INTEGER}")
    return repr(value)


def _bounded_members(value: list[Any] | dict[str, Any], depth: int, longest: int) -> list[Any] | dict[str, Any]:
    if depth >= MAX_DEPTH:
        raise _fault("too_deep", f"more than {MAX_DEPTH} levels")
    if len(value) > MAX_MEMBERS:
        raise _fault("too_long", f"more than {MAX_MEMBERS} members")
    if isinstance(value, list):
        return [_bounded(member, depth + 1, longest) for member in value]
    return {
        _bounded(key, depth, longest): _bounded(member, depth + 1, MAX_PROSE_BYTES if key in _PROSE else longest)
        for key, member in value.items()
    }


def _current_form(message: dict[str, Any]) -> dict[str, Any]:
    """A ``price_change`` of any age in today's form.

    Until September 2025 it named its one token once, beside a list of changes; in 2024 it was itself the one change.
    """
    if "price_changes" in message:
        return message
    rows = message.get("changes", [message])
    if not isinstance(rows, list):
        return message
    token = {name: message[name] for name in message.keys() & {"asset_id"}}
    return {**message, "price_changes": [{**row, **token} if isinstance(row, dict) else row for row in rows]}


@cache
def _fields(shape: type[Struct]) -> tuple[tuple[str, bool], ...]:
    return tuple((field.name, field.required) for field in msgspec.structs.fields(shape))


def _known(value: object, shape: type[Struct]) -> object:
    """What the shape knows of an object: its fields, the absent ones left out, its rows reduced alike."""
    if not isinstance(value, dict):
        return value
    known = {
        name: value[name]
        for name, required in _fields(shape)
        if name in value and (required or (value[name] and isinstance(value[name], str)))
    }
    if isinstance(known.get("side"), str):
        known["side"] = known["side"].upper()
    for name, row_shape in ROW_SHAPES.items():
        if isinstance(known.get(name), list):
            known[name] = [_known(row, row_shape) for row in known[name]]
    return known


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _fault(reason: str, about: str) -> WireError:
    """The error with its detail escaped and cut, so that any log can take it."""
    return WireError(reason, ascii(about[:_MAX_DETAIL])[1:-1][:_MAX_DETAIL])
