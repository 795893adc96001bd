from __future__ import annotations

import pytest

from engine.attendance import FeedFacts
from engine.records import Connected, Disconnected, Record
from tests.engine.study_bench import begun, done, new_study, quoted, said
from tests.engine.wire_texts import at


def facts(*records: Record) -> FeedFacts:
    bench = new_study(60)
    for record in records:
        bench.receive(record)
    return bench.feed()


def lost(seconds: float, reason: str = "refused", epoch: int = 1) -> Record:
    return Disconnected(at_ns=at(seconds), epoch=epoch, reason=reason)


def test_attempts_sessions_and_faults_are_told_apart():
    told = facts(
        *begun(),
        lost(10, "stale"),
        lost(11, "refused", 2),
        lost(12, "dns", 2),
        Connected(at_ns=at(13), epoch=2),
        quoted(14, "0.4", "0.5"),
        lost(20, "closed", 2),
        lost(20, "closed", 2),
        done(21),
    )
    assert (told.attempts, told.sessions, told.faults) == (4, 2, 2)


def test_a_connection_let_go_after_the_end_is_no_fault():
    told = facts(*begun(290), lost(301, "closed"), done(302))
    assert (told.attempts, told.sessions, told.faults) == (1, 1, 0)


def test_live_time_is_covered_time_until_the_end_of_the_slot():
    # A book vouches for ten seconds: 0–10, 100–110, 295–300.
    told = facts(*begun(), quoted(100, "0.4", "0.5"), quoted(295, "0.4", "0.5"), quoted(304, "0.4", "0.5"), done(310))
    assert told.followed_s == 300.0
    assert told.live_s == 25.0


@pytest.mark.parametrize("step_s", [1, 7, 29, 31])
def test_live_time_does_not_depend_on_how_often_it_is_added_up(step_s: int) -> None:
    told = facts(*begun(), *(quoted(second, "0.4", "0.5") for second in range(step_s, 250, step_s)), done(260))
    events = [0, *range(step_s, 250, step_s)]
    expected = sum(min(10, after - before) for before, after in zip(events, [*events[1:], 260], strict=True))
    assert told.live_s == expected


def test_counts_add_up_over_followings():
    first = [*begun(), said(1, "not json"), done(2)]
    second = [*begun(3, epoch=2), said(4, "not json"), said(5, '[{"event_type": "new_thing"}]')]
    open_end, ended = facts(*first, *second), facts(*first, *second, done(6))
    assert (open_end.messages, open_end.malformed, open_end.unknown) == (5, 2, 1)
    assert (ended.messages, ended.malformed, ended.unknown) == (5, 2, 1)
    assert (open_end.live_s, ended.live_s) == (4.0, 5.0)
    assert (ended.attempts, ended.sessions) == (2, 2)


def test_nothing_recorded_is_nothing_told():
    assert facts() == FeedFacts()
