"""Coverage must never claim more than was watched; a naive account of every single nanosecond checks it."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.coverage import MOST_EVENTS, Coverage
from engine.signals import FeedState

STALE_AFTER = 10
HORIZON = 400

Record = tuple[int, str]


def coverage(*records: Record) -> Coverage:
    account = Coverage(stale_after_ns=STALE_AFTER)
    for at_ns, kind in records:
        getattr(account, kind)(at_ns)
    return account


class NaiveCoverage:
    """Keeps every record and looks at every instant."""

    def __init__(self, records: list[Record]) -> None:
        self.sessions: list[tuple[list[int], int]] = []
        self.events: list[int] = []
        self.connected = False
        events: list[int] = []
        for at_ns, kind in records:
            if kind == "event":
                if self.connected:
                    events.append(at_ns)
                    self.events.append(at_ns)
                continue
            if self.connected:
                self.sessions.append((events, at_ns))
            events = []
            self.connected = kind == "connected"
        if self.connected:
            self.sessions.append((events, 2 * HORIZON))
        self.session_events = events if self.connected else []

    def instants(self) -> list[set[int]]:
        return [
            {t for event in events for t in range(event, min(event + STALE_AFTER, lost))}
            for events, lost in self.sessions
        ]

    def covered(self, start: int, end: int) -> int:
        return len(set().union(*self.instants()) & set(range(start, end)))

    def stretches(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for instants in self.instants():
            begins = sorted(t for t in instants if t - 1 not in instants)
            found += [(begin, next(t for t in range(begin, 3 * HORIZON) if t not in instants)) for begin in begins]
        return found

    def gaps(self, start: int, end: int) -> int:
        stretches = self.stretches()
        breaks = [(before[1], after[0]) for before, after in pairwise(stretches)]
        breaks += [(last[1], HORIZON) for last in stretches[-1:]]
        return sum(bool(set(range(begin, max(until, begin + 1))) & set(range(start, end))) for begin, until in breaks)

    def silence(self, start: int, end: int) -> int:
        marks = [start, *(t for t in self.events if start <= t < end), end]
        return max(after - before for before, after in pairwise(marks))

    def state(self, now: int) -> FeedState:
        if self.session_events:
            return FeedState.STALE if now - self.session_events[-1] > STALE_AFTER else FeedState.LIVE
        return FeedState.SUBSCRIBED if self.connected else FeedState.BACKOFF


kinds = st.sampled_from(["event", "event", "event", "event", "connected", "disconnected"])
histories = st.lists(st.tuples(st.integers(0, 14), kinds), max_size=25)


def timed(history: list[tuple[int, str]]) -> list[Record]:
    records, now = [], 0
    for pause, kind in history:
        now += pause
        records.append((now, kind))
    return records


@given(histories, st.integers(1, 60), st.integers(1, 20))
def test_equals_a_naive_account_at_every_deadline(history: list[tuple[int, str]], window: int, cadence: int) -> None:
    records = timed(history)
    account = Coverage(stale_after_ns=STALE_AFTER)
    taken: list[Record] = []
    for deadline in range(cadence, HORIZON, cadence):
        while records and records[0][0] < deadline:
            at_ns, kind = records.pop(0)
            getattr(account, kind)(at_ns)
            taken.append((at_ns, kind))
        naive = NaiveCoverage(taken)
        start = max(0, deadline - window)
        account.evict(start)
        assert account.covered_ns(start, deadline) == naive.covered(start, deadline)
        assert account.gaps(start, deadline) == naive.gaps(start, deadline)
        assert account.max_silence_ns(start, deadline) == naive.silence(start, deadline)
        assert account.connected_now == naive.connected
        assert account.last_event_ns == (naive.events[-1] if naive.events else None)
        if any(kind != "event" for _, kind in taken):
            assert account.state(deadline) is naive.state(deadline)
        else:
            assert account.state(deadline) is FeedState.CONNECTING
        last_stretches = naive.stretches()[-1:] if naive.session_events else []
        assert account.live_since_ns == (last_stretches[0][0] if last_stretches else None)
        if not records and deadline - window > (taken[-1][0] if taken else 0) + STALE_AFTER:
            break


@given(histories, st.integers(0, 25), st.integers(0, 100), st.integers(0, 100))
def test_what_comes_later_never_changes_what_was_covered(
    history: list[tuple[int, str]], cut: int, start: int, length: int
) -> None:
    records = timed(history)
    before = records[:cut]
    end = min(start + length, before[-1][0] if before else 0)
    if cut < len(records):
        end = min(start + length, records[cut][0])
    early, late = coverage(*before), coverage(*records)
    assert early.covered_ns(start, end) == late.covered_ns(start, end)


@given(histories, st.integers(0, 400), st.integers(0, 100))
def test_coverage_lies_between_nothing_and_the_whole_window(
    history: list[tuple[int, str]], start: int, length: int
) -> None:
    assert 0 <= coverage(*timed(history)).covered_ns(start, start + length) <= length


@given(histories, st.integers(1, 60))
def test_memory_is_bounded_by_the_breaks_in_the_window(history: list[tuple[int, str]], window: int) -> None:
    account = Coverage(stale_after_ns=STALE_AFTER)
    for at_ns, kind in timed(history):
        account.evict(at_ns - window)
        getattr(account, kind)(at_ns)
    account.max_silence_ns(0, 10**6)
    account.evict(10**6)
    assert len(account._stretches()) <= 1
    assert not account._silences
    assert not account._events


@pytest.mark.parametrize(("start", "spans", "silences"), [(7, 2, 1), (8, 1, 0), (100, 1, 0)])
def test_evicting_keeps_what_reaches_into_the_window_and_no_more(start: int, spans: int, silences: int) -> None:
    account = coverage((0, "connected"), (0, "event"), (5, "disconnected"), (6, "connected"), (8, "event"))
    account.max_silence_ns(0, 8)
    account.evict(start)
    assert (len(account._stretches()), len(account._silences)) == (spans, silences)


@pytest.mark.parametrize("asked_every", [1, 7, MOST_EVENTS - 1, MOST_EVENTS, 10 * MOST_EVENTS])
def test_how_often_silences_are_asked_for_changes_no_answer(asked_every: int) -> None:
    chance = Random(asked_every)
    account, events, now = coverage((0, "connected")), [0], 0
    for turn in range(1, 3 * MOST_EVENTS):
        now += chance.choice((0, 1, 1, 2, 3, STALE_AFTER + 4))
        account.event(now)
        events.append(now)
        if turn % asked_every == 0 or turn == 3 * MOST_EVENTS - 1:
            start = max(0, now - 50)
            marks = [start, *(at_ns for at_ns in events if at_ns >= start), now]
            assert account.max_silence_ns(start, now) == max(after - before for before, after in pairwise(marks))


def test_a_steady_feed_is_held_in_one_stretch() -> None:
    account = coverage((0, "connected"))
    for at_ns in range(0, 100_000, 5):
        account.event(at_ns)
        assert len(account._events) < MOST_EVENTS
    assert len(account._stretches()) == 1
    assert account.max_silence_ns(1_000, 100_000) == 5
    assert len(account._silences) == 1
    assert account.covered_ns(0, 100_000) == 100_000


# -------------------------------------------------------------------------------------------------- truth, by cases


def test_a_socket_without_events_covers_nothing() -> None:
    account = coverage((0, "connected"))
    assert account.covered_ns(0, 100) == 0
    assert account.gaps(0, 100) == 0
    assert account.max_silence_ns(0, 100) == 100
    assert account.live_since_ns is None


def test_flapping_without_events_covers_nothing() -> None:
    account = Coverage(stale_after_ns=STALE_AFTER)
    for at_ns in range(0, 100, 2):
        account.connected(at_ns)
        account.disconnected(at_ns + 1)
    assert account.covered_ns(0, 100) == 0


def test_flapping_does_not_prolong_what_an_event_vouched_for() -> None:
    account = coverage((0, "connected"), (5, "event"), (6, "disconnected"))
    for at_ns in range(7, 100):
        account.connected(at_ns)
        account.disconnected(at_ns)
    assert account.covered_ns(0, 100) == 1
    assert account.gaps(0, 100) == 1


def test_reconnecting_without_disconnecting_ends_the_old_socket() -> None:
    account = coverage((0, "connected"), (5, "event"), (8, "connected"))
    assert account.covered_ns(0, 100) == 3
    assert account.state(8) is FeedState.SUBSCRIBED


def test_an_event_without_a_socket_is_none() -> None:
    account = coverage((1, "event"))
    assert account.covered_ns(0, 100) == 0
    assert account.last_event_ns is None
    account = coverage((0, "connected"), (1, "disconnected"), (2, "event"))
    assert account.covered_ns(0, 100) == 0
    assert account.last_event_ns is None
    assert account.state(2) is FeedState.BACKOFF


@pytest.mark.parametrize(("second", "covered", "gaps"), [(9, 19, 0), (10, 20, 0), (11, 20, 1)])
def test_silence_is_covered_up_to_the_limit_and_not_beyond(second: int, covered: int, gaps: int) -> None:
    account = coverage((0, "connected"), (0, "event"), (second, "event"))
    assert account.covered_ns(0, second + STALE_AFTER) == covered
    assert account.gaps(0, second + STALE_AFTER) == gaps


def test_the_window_is_half_open() -> None:
    account = coverage((0, "connected"), (20, "event"), (25, "disconnected"))
    assert account.covered_ns(0, 20) == 0
    assert account.covered_ns(0, 21) == 1
    assert account.covered_ns(24, 25) == 1
    assert account.covered_ns(25, 30) == 0
    assert account.covered_ns(22, 22) == 0


def test_a_break_counts_where_it_touches_the_window() -> None:
    account = coverage((0, "connected"), (0, "event"), (5, "disconnected"), (6, "connected"), (8, "event"))
    assert [account.gaps(*window) for window in ((0, 5), (0, 6), (7, 12), (8, 12), (0, 18))] == [0, 1, 1, 0, 1]


def test_a_reconnect_that_lost_no_time_still_counts() -> None:
    account = coverage((0, "connected"), (0, "event"), (5, "disconnected"), (5, "connected"), (5, "event"))
    assert account.covered_ns(0, 15) == 15
    assert [account.gaps(*window) for window in ((0, 5), (5, 15), (6, 15))] == [0, 1, 0]
    account.evict(5)
    assert account.gaps(5, 15) == 1
    account.evict(6)
    assert account.gaps(6, 15) == 0


def test_an_event_in_the_instant_of_the_disconnect_covers_nothing() -> None:
    account = coverage((0, "connected"), (5, "event"), (5, "disconnected"))
    assert account.covered_ns(0, 100) == 0
    assert account.gaps(0, 100) == 0


def test_a_break_that_began_long_ago_and_lasts_counts_after_eviction() -> None:
    account = coverage((0, "connected"), (0, "event"), (5, "disconnected"))
    account.evict(1_000)
    assert account.gaps(1_000, 1_120) == 1
    assert account.covered_ns(1_000, 1_120) == 0


def test_silence_is_clipped_to_the_window_even_when_a_longer_one_reaches_into_it() -> None:
    account = coverage((0, "connected"), (10, "event"), (110, "event"), (150, "event"), (160, "event"))
    assert account.max_silence_ns(0, 160) == 100
    account.evict(100)
    assert account.max_silence_ns(100, 160) == 40
    account.evict(140)
    assert account.max_silence_ns(140, 175) == 15


def test_live_since_starts_anew_after_silence_and_after_a_reconnect() -> None:
    records = [(0, "connected"), (1, "event"), (5, "event"), (30, "event"), (31, "disconnected"), (32, "connected")]
    records.append((33, "event"))
    since = [coverage(*records[:count]).live_since_ns for count in range(len(records) + 1)]
    assert since == [None, None, 1, 1, 30, None, None, 33]


# --------------------------------------------------------------------------------------------------- states, by row

REACHED: dict[FeedState, list[Record]] = {
    FeedState.CONNECTING: [],
    FeedState.SUBSCRIBED: [(0, "connected")],
    FeedState.LIVE: [(0, "connected"), (1, "event")],
    FeedState.BACKOFF: [(0, "connected"), (1, "event"), (2, "disconnected")],
}


@pytest.mark.parametrize(
    ("before", "happened", "after"),
    [
        (FeedState.CONNECTING, "connected", FeedState.SUBSCRIBED),
        (FeedState.CONNECTING, "event", FeedState.CONNECTING),
        (FeedState.CONNECTING, "disconnected", FeedState.BACKOFF),
        (FeedState.SUBSCRIBED, "connected", FeedState.SUBSCRIBED),
        (FeedState.SUBSCRIBED, "event", FeedState.LIVE),
        (FeedState.SUBSCRIBED, "disconnected", FeedState.BACKOFF),
        (FeedState.LIVE, "connected", FeedState.SUBSCRIBED),
        (FeedState.LIVE, "event", FeedState.LIVE),
        (FeedState.LIVE, "disconnected", FeedState.BACKOFF),
        (FeedState.BACKOFF, "connected", FeedState.SUBSCRIBED),
        (FeedState.BACKOFF, "event", FeedState.BACKOFF),
        (FeedState.BACKOFF, "disconnected", FeedState.BACKOFF),
    ],
)
def test_state_transitions(before: FeedState, happened: str, after: FeedState) -> None:
    account = coverage(*REACHED[before])
    assert account.state(2) is before
    getattr(account, happened)(3)
    assert account.state(3) is after


@pytest.mark.parametrize("state", REACHED)
def test_silence_makes_a_live_feed_stale_and_nothing_else(state: FeedState) -> None:
    account = coverage(*REACHED[state])
    assert account.state(1 + STALE_AFTER) is state
    assert account.state(2 + STALE_AFTER) is (FeedState.STALE if state is FeedState.LIVE else state)


@pytest.mark.parametrize(
    ("happened", "after"),
    [
        ("event", FeedState.LIVE),
        ("connected", FeedState.SUBSCRIBED),
        ("disconnected", FeedState.BACKOFF),
    ],
)
def test_a_stale_feed_is_left_like_a_live_one(happened: str, after: FeedState) -> None:
    account = coverage((0, "connected"), (1, "event"))
    assert account.state(50) is FeedState.STALE
    getattr(account, happened)(50)
    assert account.state(50) is after


def test_an_old_socket_s_silence_does_not_make_the_new_one_stale() -> None:
    account = coverage((0, "connected"), (1, "event"), (50, "disconnected"), (60, "connected"))
    assert account.state(100) is FeedState.SUBSCRIBED
