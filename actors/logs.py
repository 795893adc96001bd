"""Logs: one line per event on stderr for the command line, records of ``logging`` when embedded. Never stdout.

Nothing is configured on import. Whatever is logged is bounded and escaped first: what the venue sends can neither
forge a line nor fill a disk.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Mapping, Set
from contextlib import suppress
from itertools import islice
from typing import Any, Final, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from actors.crash import TRACEBACK_LINES, summary, traceback_text
from actors.faults import excerpt
from engine.settings import LogSettings

NAME: Final = "updown"
"""The name of the logger of ``logging`` that an embedded engine writes to."""

MEMBERS: Final = 64
"""So many members of a list or a mapping are logged."""

_FIRST: Final = ("timestamp", "level", "event")


def configure(settings: LogSettings, *, colors: bool = False) -> None:
    """Send every log of this process to stderr; for the command line alone, as it changes structlog's global state.

    ``colors`` is for a terminal, and ignored by the JSON format.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _tell_exception,
            _bound,
            *(_JSON if settings.format == "json" else _console(colors)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )


def default_logger() -> FilteringBoundLogger:
    """The logger of an engine that was given none.

    Where the application has configured structlog, that is structlog's. Otherwise it hands records to ``logging``, as
    ``updown``: what becomes of them is the application's choice, and by default only warnings are seen, on stderr.
    (structlog's own default would print everything to stdout.)
    """
    if structlog.is_configured():
        return cast(FilteringBoundLogger, structlog.get_logger(NAME).bind())
    logger = structlog.wrap_logger(
        logging.getLogger(NAME),
        processors=[structlog.stdlib.filter_by_level, _tell_exception, _bound, _as_record],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )
    return cast(FilteringBoundLogger, logger.bind())


class _Stderr:
    """Writes to whatever ``sys.stderr`` is at the moment (a live table stands in for it); a lost stderr is no error."""

    def __init__(self, *_: object) -> None:
        pass

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = write


def _tell_exception(_: object, __: str, event: EventDict) -> EventDict:
    """Class and text always: the text of many exceptions is empty."""
    told = event.pop("exc_info", None)
    error = told[1] if isinstance(told, tuple) else sys.exc_info()[1] if told is True else told
    if isinstance(error, BaseException):
        event.setdefault("error_type", type(error).__name__)
        event.setdefault("error", str(error))
        event["traceback"] = traceback_text(error)
    return event


def _bound(_: object, __: str, event: EventDict) -> EventDict:
    plain = {excerpt(key): _plain(value) for key, value in event.items() if key != "traceback"}
    if "traceback" in event:
        lines = str(event["traceback"]).splitlines()[-TRACEBACK_LINES:]
        plain["traceback"] = "\n".join(map(excerpt, lines))
    return plain


def _plain(value: object) -> Any:
    """The value as bounded JSON types."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case BaseException():
            return summary(value)
        case Mapping():
            return {excerpt(str(key)): _plain(member) for key, member in islice(value.items(), MEMBERS)}
        case list() | tuple() | Set():
            return [_plain(member) for member in islice(value, MEMBERS)]
        case _:
            return excerpt(_text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a log line must not bring down what it tells about
        return f"<{type(value).__name__}>"


def _in_order(_: object, __: str, event: EventDict) -> EventDict:
    return {**{key: event[key] for key in _FIRST if key in event}, **event}


def _traceback_below(_: object, __: str, event: EventDict) -> EventDict:
    """The name under which structlog's console shows a text below the line."""
    if "traceback" in event:
        event["exception"] = event.pop("traceback")
    return event


def _as_record(_: object, __: str, event: EventDict) -> tuple[tuple[str], dict[str, Any]]:
    members = {key: value for key, value in event.items() if key not in {"event", "traceback"}}
    words = " ".join([str(event.get("event", "")), *(f"{key}={value}" for key, value in members.items())])
    text = f"{words}\n{event['traceback']}" if event.get("traceback") else words
    return (text,), {"extra": {NAME: members}}


def _console(colors: bool) -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )
    return [_traceback_below, renderer]


_JSON: Final[list[Processor]] = [_in_order, structlog.processors.JSONRenderer()]
