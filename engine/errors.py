"""The error tree of the pure core.

::

    UpdownError
    ├── WireError          a frame of the venue that is not what the protocol allows
    ├── UnknownSlug        a slug or series name outside the calendar
    ├── SettingsError      settings out of range, every problem at once
    ├── PresetError        a preset that names an unknown scorer or option
    ├── RecordError        records out of order, or after the end
    ├── TapeError          a line of a tape that is no record, or a tape that cannot be had
    └── LabelError         a line that holds no outcome of a market

``WireError`` keeps the intact siblings of the bad element, so that one bad element of an array loses nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class UpdownError(Exception):
    """Base of every error that updown raises on purpose."""


class WireError(UpdownError):
    """A frame, or one element of it, that breaks the protocol or a limit of the strict decoder.

    ``reason`` is a short snake_case word for counters (``not_json``, ``oversize``, ``missing_field`` …), ``detail`` a
    bounded explanation, ``events`` the intact events of the same frame and ``malformed`` how many elements were not.
    """

    def __init__(self, reason: str, detail: str = "", *, events: Sequence[Any] = (), malformed: int = 1) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.events = tuple(events)
        self.malformed = malformed


class UnknownSlug(UpdownError, ValueError):
    """A slug or series name that the calendar does not know."""


class SettingsError(UpdownError, ValueError):
    """Settings out of range; ``problems`` holds one ``key: what is wrong`` text for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class PresetError(UpdownError, ValueError):
    """A preset that names an unknown scorer, component or option."""


class RecordError(UpdownError, ValueError):
    """Records that run backwards in time, or that follow the end of their market."""


class TapeError(UpdownError, ValueError):
    """A line of a tape that is no record, a record that no line can hold, or a tape that cannot be had."""


class LabelError(UpdownError, ValueError):
    """A line that holds no outcome of a market."""
