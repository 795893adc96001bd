"""Attendance: how well one market was watched, from its following to the end of its slot.

A fold over the records and the intake they went through: connections tried, had and lost, covered time, silences.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from engine.intake import Intake
from engine.records import Connected, Disconnected, Followed, Record, Unfollowed
from engine.units import NS_PER_S, to_seconds

GAP_NS: Final = 5 * NS_PER_S
"""A silence of the feed longer than this is a gap (signal-definitions 5.2.3)."""

_CLOSED: Final = "closed"
"""How an actor that lets its connection go says so; without a session it is no failed attempt."""

_MEASURE_NS: Final = 30 * NS_PER_S
"""How often covered time is added up: more often than any pipeline forgets it."""


@frozen(kw_only=True)
class FeedFacts:
    """How the feed of one market went until the slot's end.

    ``attempts`` are tries to connect, ``sessions`` those that came up, ``faults`` sessions lost before the end.
    ``followed_s`` is the time the market was followed, ``live_s`` what of it was covered. The others are counts of
    messages, as in ``Quality``.
    """

    followed_s: float = 0.0
    live_s: float = 0.0
    attempts: int = 0
    sessions: int = 0
    faults: int = 0
    messages: int = 0
    malformed: int = 0
    unknown: int = 0
    foreign: int = 0
    dropped: int = 0
    duplicates: int = 0
    late: int = 0


class Attendance:
    """The attendance of one market over all its followings; an unknown end (``None``) never comes.

    For each record ``measure`` is called before the pipeline takes it or passes any deadline on the way to it, and
    ``note`` after the pipeline took it.
    """

    def __init__(self, *, start_ns: int, end_ns: int | None) -> None:
        self._end_ns = end_ns
        self._heard_ns = start_ns
        self._gaps = self._longest_ns = 0
        self._now_ns = self._measured_ns = self._live_ns = self._followed_ns = 0
        self._is_up = False
        self._attempts = self._sessions = self._faults = 0
        self._messages: dict[str, int] = {}

    def measure(self, now_ns: int, intake: Intake, *, at_once: bool = False) -> None:
        """Add up what was covered until now, if it is time or asked for."""
        until_ns = now_ns if self._end_ns is None else min(now_ns, self._end_ns)
        if at_once or until_ns - self._measured_ns >= _MEASURE_NS:
            self._live_ns += intake.coverage.covered_ns(self._measured_ns, until_ns)
            self._followed_ns += max(0, until_ns - self._measured_ns)
            self._measured_ns = max(until_ns, self._measured_ns)

    def note(self, record: Record, intake: Intake) -> None:
        """Take notice of a record and of what it did to the intake."""
        self._now_ns = record.at_ns
        match record:
            case Followed():
                self._measured_ns = record.at_ns
            case Connected():
                self._attempts += 1
                self._sessions += 1
                self._is_up = True
            case Disconnected():
                self._lost(record)
            case Unfollowed():
                self.measure(record.at_ns, intake, at_once=True)
                self._messages = self._with(intake)
                self._is_up = False
            case _:
                pass
        heard_ns = intake.coverage.last_event_ns
        if heard_ns is not None and heard_ns > self._heard_ns:
            self._note_silence(heard_ns - self._heard_ns)
            self._heard_ns = heard_ns

    def silences(self, now_ns: int) -> tuple[int, int]:
        """Silences over 5 s between the slot's start and ``now_ns``, and the longest of all in ns."""
        present_ns = max(0, now_ns - self._heard_ns)
        return self._gaps + (present_ns > GAP_NS), max(self._longest_ns, present_ns)

    def facts(self, intake: Intake | None) -> FeedFacts:
        """The facts so far; ``intake`` is the present following's, ``None`` between two."""
        if intake is not None:
            self.measure(self._now_ns, intake, at_once=True)
        return FeedFacts(
            followed_s=to_seconds(self._followed_ns),
            live_s=to_seconds(self._live_ns),
            attempts=self._attempts,
            sessions=self._sessions,
            faults=self._faults,
            **(self._messages if intake is None else self._with(intake)),
        )

    def _lost(self, record: Disconnected) -> None:
        over = self._end_ns is not None and record.at_ns >= self._end_ns
        if self._is_up:
            self._faults += not over
        elif record.reason != _CLOSED:
            self._attempts += 1
        self._is_up = False

    def _note_silence(self, silence_ns: int) -> None:
        self._gaps += silence_ns > GAP_NS
        self._longest_ns = max(self._longest_ns, silence_ns)

    def _with(self, intake: Intake) -> dict[str, int]:
        """The counts of messages, those of the present following included."""
        counts = {
            "messages": intake.messages,
            "malformed": intake.malformed,
            "unknown": intake.unknown,
            "foreign": intake.foreign,
            "dropped": intake.dropped,
            "duplicates": intake.trades.duplicates,
            "late": intake.trades.late,
        }
        return {name: self._messages.get(name, 0) + count for name, count in counts.items()}
