"""How much of a stretch of time the feed was truly watched.

A connected socket proves nothing; an application event does. Each event vouches for the time from itself until
``stale_after`` later, or until its socket is gone if that comes first, and nothing else is covered. So a socket that
connects and stays silent, or flaps, covers nothing, and whatever comes after an instant never changes what was covered
before it: an answer about ``[start, end)`` is the same whenever it is asked.

Times are epoch nanoseconds and run forward. Adding and evicting cost amortised O(1); an answer costs as much as there
were breaks in the window, however many events there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from itertools import chain, pairwise
from typing import Final

from engine.signals import FeedState


class _Input(Enum):
    CONNECTED = auto()
    EVENT = auto()
    SILENCE = auto()
    DISCONNECTED = auto()


_TRANSITIONS: Final[Mapping[FeedState, Mapping[_Input, FeedState]]] = {
    FeedState.CONNECTING: {
        _Input.CONNECTED: FeedState.SUBSCRIBED,
        _Input.EVENT: FeedState.CONNECTING,
        _Input.SILENCE: FeedState.CONNECTING,
        _Input.DISCONNECTED: FeedState.BACKOFF,
    },
    FeedState.SUBSCRIBED: {
        _Input.CONNECTED: FeedState.SUBSCRIBED,
        _Input.EVENT: FeedState.LIVE,
        _Input.SILENCE: FeedState.SUBSCRIBED,
        _Input.DISCONNECTED: FeedState.BACKOFF,
    },
    FeedState.LIVE: {
        _Input.CONNECTED: FeedState.SUBSCRIBED,
        _Input.EVENT: FeedState.LIVE,
        _Input.SILENCE: FeedState.STALE,
        _Input.DISCONNECTED: FeedState.BACKOFF,
    },
    FeedState.BACKOFF: {
        _Input.CONNECTED: FeedState.SUBSCRIBED,
        _Input.EVENT: FeedState.BACKOFF,
        _Input.SILENCE: FeedState.BACKOFF,
        _Input.DISCONNECTED: FeedState.BACKOFF,
    },
}
"""Silence is not remembered but found when asked, so ``STALE`` is left by the same rows as ``LIVE``."""

_LIVE: Final = FeedState.LIVE

MOST_EVENTS: Final = 256
"""So many events at most wait for somebody who wants to know of silences."""

_CONNECTED_STATES: Final = frozenset({FeedState.SUBSCRIBED, FeedState.LIVE})


def _overlap(start_ns: int, end_ns: int, from_ns: int, until_ns: int) -> int:
    # Builtins would cost several times as much.
    first_ns = from_ns if from_ns > start_ns else start_ns  # noqa: FURB136
    last_ns = until_ns if until_ns < end_ns else end_ns  # noqa: FURB136
    return last_ns - first_ns if last_ns > first_ns else 0


class Coverage:
    """The truth about one market's feed: what was covered, how it broke, how long it was silent, how it stands.

    ``evict`` bounds the memory: after it, questions may only be asked from that start on. ``last_event_ns`` is the
    latest application event of any socket.
    """

    __slots__ = (
        "_events",
        "_judged_ns",
        "_open_ns",
        "_silences",
        "_spans",
        "_stale_after_ns",
        "_state",
        "last_event_ns",
    )

    def __init__(self, *, stale_after_ns: int) -> None:
        self._stale_after_ns = stale_after_ns
        self._state = FeedState.CONNECTING
        # Start and end of unbroken stretches that are over, oldest first. The one that goes on, which there is exactly
        # while the state is live, began at `_open_ns` and ends, for all we know, some time after the last event.
        self._spans: list[tuple[int, int]] = []
        self._open_ns = 0
        # Length and end of stretches between neighbouring events, oldest first, without those that a later one is at
        # least as long as: up to the event at `_judged_ns`. The later events have yet to be judged.
        self._silences: list[tuple[int, int]] = []
        self._judged_ns = 0
        self._events: list[int] = []
        self.last_event_ns: int | None = None

    def connected(self, at_ns: int) -> None:
        """A new socket is up; if there was one before, it is gone."""
        self._end_span(at_ns)
        self._step(_Input.CONNECTED)

    def event(self, at_ns: int) -> None:
        """An application event came in; without a socket it vouches for nothing and is no event."""
        if self._state is not _LIVE or at_ns - (self.last_event_ns or 0) > self._stale_after_ns:
            if not self.connected_now:
                return
            self._end_span(at_ns)
            self._open_ns = at_ns
            self._step(_Input.EVENT)
        self.last_event_ns = at_ns
        events = self._events
        events.append(at_ns)
        if len(events) >= MOST_EVENTS:
            self._judge_silences()

    def disconnected(self, at_ns: int) -> None:
        """The socket is gone, or could not be had."""
        self._end_span(at_ns)
        self._step(_Input.DISCONNECTED)

    def evict(self, start_ns: int) -> None:
        """Forget what no question about ``start_ns`` or later needs; the latest stretch always stays."""
        spans = self._spans
        while spans and (len(spans) > 1 or self._state is _LIVE):
            resumed_ns = spans[1][0] if len(spans) > 1 else self._open_ns
            if max(resumed_ns, spans[0][1] + 1) > start_ns:
                break
            del spans[0]
        while self._silences and self._silences[0][1] <= start_ns:
            del self._silences[0]

    def covered_ns(self, start_ns: int, end_ns: int) -> int:
        """Nanoseconds of ``[start_ns, end_ns)`` that are covered."""
        covered_ns = 0
        if self._state is _LIVE and self.last_event_ns is not None:
            covered_ns = _overlap(start_ns, end_ns, self._open_ns, self.last_event_ns + self._stale_after_ns)
        for from_ns, until_ns in self._spans:
            covered_ns += _overlap(start_ns, end_ns, from_ns, until_ns)
        return covered_ns

    def gaps(self, start_ns: int, end_ns: int) -> int:
        """Breaks of coverage that touch ``[start_ns, end_ns)``.

        A break lasts from the end of one stretch to the start of the next, or until now; it counts even if it lasted no
        time, because the socket was another one. Before the first event there is nothing to break.
        """
        gaps, ended_ns = 0, end_ns
        for from_ns, until_ns in self._stretches():
            gaps += ended_ns < end_ns and max(from_ns, ended_ns + 1) > start_ns
            ended_ns = until_ns
        return gaps + (ended_ns < end_ns)

    def max_silence_ns(self, start_ns: int, end_ns: int) -> int:
        """The longest part of ``[start_ns, end_ns)`` without an event; ``end_ns`` is not before the last event."""
        self._judge_silences()
        last_ns = start_ns if self.last_event_ns is None else self.last_event_ns
        longest = end_ns - max(last_ns, start_ns)
        for silence_ns, until_ns in self._silences:
            longest = max(longest, min(silence_ns, until_ns - start_ns))
            if until_ns - silence_ns >= start_ns:
                break
        return longest

    def state(self, now_ns: int) -> FeedState:
        """How the feed stands at ``now_ns``, which is not before the last event."""
        if self.last_event_ns is not None and now_ns - self.last_event_ns > self._stale_after_ns:
            return _TRANSITIONS[self._state][_Input.SILENCE]
        return self._state

    @property
    def connected_now(self) -> bool:
        """Whether there is a socket."""
        return self._state in _CONNECTED_STATES

    @property
    def live_since_ns(self) -> int | None:
        """When the latest unbroken coverage of this socket began, ``None`` before its first event."""
        return self._open_ns if self._state is _LIVE else None

    def _step(self, happened: _Input) -> None:
        self._state = _TRANSITIONS[self._state][happened]

    def _end_span(self, at_ns: int) -> None:
        """The stretch that goes on, if one does, ends at the latest now."""
        if self._state is not _LIVE or self.last_event_ns is None:
            return
        end_ns = min(self.last_event_ns + self._stale_after_ns, at_ns)
        if end_ns > self._open_ns:
            self._spans.append((self._open_ns, end_ns))

    def _judge_silences(self) -> None:
        """Take the events since the last time into account."""
        if not self._events:
            return
        longest_ns, judged = 0, []
        for until_ns, from_ns in pairwise(chain(reversed(self._events), (self._judged_ns,))):
            if until_ns - from_ns > longest_ns:
                longest_ns = until_ns - from_ns
                judged.append((longest_ns, until_ns))
        silences = self._silences
        while silences and silences[-1][0] <= longest_ns:
            silences.pop()
        silences += reversed(judged)
        self._judged_ns = self._events[-1]
        self._events.clear()

    def _stretches(self) -> list[tuple[int, int]]:
        """Start and end of every unbroken stretch, oldest first, the one that goes on included."""
        spans = list(self._spans)
        if self._state is _LIVE and self.last_event_ns is not None:
            spans.append((self._open_ns, self.last_event_ns + self._stale_after_ns))
        return spans
