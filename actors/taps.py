"""Taps: who looks on while the markets' actors take in what happens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from engine.records import Record

Tap = Callable[[str, Record], None]
"""Called with the market's key and the record, before it is used. Must not wait."""


class Taps:
    """Shows every record to every tap, oldest tap first; what a tap raises leaves here."""

    def __init__(self, *taps: Tap) -> None:
        self._taps = taps

    def __bool__(self) -> bool:
        """Whether anybody looks on; if not, records need not be made for it."""
        return bool(self._taps)

    def __call__(self, key: str, record: Record) -> None:
        """Show one record of one market."""
        for tap in self._taps:
            tap(key, record)

    def add(self, listener: Tap) -> Callable[[], None]:
        """Show it every record from now on; the answer ends that, as often as it is called."""
        mine = partial(listener)  # told apart from the same listener, added twice
        self._taps = (*self._taps, mine)

        def end() -> None:
            self._taps = tuple(tap for tap in self._taps if tap is not mine)

        return end
