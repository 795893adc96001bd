"""Mending: an intact tape is left alone, and whatever is left of a damaged one replays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.tapes.layout import DAY_NS
from actors.tapes.mending import Mending
from engine.errors import TapeError
from engine.markets import Market, Target
from engine.presets import PRESETS
from engine.records import (
    Connected,
    Disconnected,
    Followed,
    Frame,
    LookupFailed,
    MarketUpdated,
    Record,
    Unfollowed,
)
from engine.replay import replay
from engine.scoring import build_scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.tape import UNSET, End, Lost, TapeHeader, TapeItem
from tests.actors.tapes.tape_texts import CONDITION, KEY, MARKET, START_S, TARGET, at, following, frame

PART = "part"
Step = TapeItem | TapeError | str | int | None


def header(
    seconds: float = 0.0,
    *,
    run: float = 0.0,
    sequence: int = 0,
    standing: tuple[Target, Market | None, int | None] | None = None,
    key: str = KEY,
    version: int = 1,
) -> TapeHeader:
    target, market, epoch = standing or (UNSET, None, None)
    return TapeHeader(
        at_ns=at(seconds),
        version=version,
        key=key,
        part=1,
        software="test",
        continues=standing is not None,
        run=at(run),
        sequence=sequence,
        target=target,
        market=UNSET if market is None else market,
        epoch=UNSET if epoch is None else epoch,
    )


def mend(steps: Iterable[Step], mending: Mending | None = None) -> list[Record]:
    """``PART`` begins a part, a number or None loses so many lines, everything else is taken."""
    mending = mending or Mending(KEY)
    mended: list[Record] = []
    mending.part()
    for step in steps:
        if step == PART:
            mending.part()
        elif step is None or isinstance(step, int):
            mending.passed(step or 0)
            mending.lose(step)
        else:
            mending.passed(1)
            mended += mending.take(step)  # type: ignore[arg-type]
    return [*mended, *mending.finish()]


def followed(seconds: float) -> Followed:
    return Followed(at_ns=at(seconds), target=TARGET)


def connected(seconds: float, epoch: int = 1) -> Connected:
    return Connected(at_ns=at(seconds), epoch=epoch)


def disconnected(seconds: float, epoch: int = 1, reason: str = "hole", dropped: int = 0) -> Disconnected:
    return Disconnected(at_ns=at(seconds), epoch=epoch, reason=reason, dropped=dropped)


def market(seconds: float) -> MarketUpdated:
    return MarketUpdated(at_ns=at(seconds), market=MARKET)


def unfollowed(seconds: float, *, more_ns: int = 0) -> Unfollowed:
    return Unfollowed(at_ns=at(seconds) + more_ns)


BEGUN: list[Record] = [followed(0), market(0), connected(0)]


def test_an_intact_tape_is_left_alone() -> None:
    lookup = LookupFailed(at_ns=at(20), reason="timeout")
    second = [followed(20), lookup, market(21), connected(21), disconnected(22, reason="stale"), frame(22)]
    records = [*following(), *second, connected(23, 2), frame(24), frame(24), unfollowed(24)]
    mending = Mending(KEY)
    assert mend([header(), *records, End(at_ns=at(24))], mending) == records
    assert not mending.torn
    assert (mending.holes, mending.missing, mending.misplaced) == (0, 0, 0)


def test_a_following_that_is_cut_off_ends_a_nanosecond_later() -> None:
    records = [*BEGUN, frame(1)]
    mending = Mending(KEY)
    assert mend([header(), *records], mending) == [*records, unfollowed(1, more_ns=1)]
    assert mending.torn
    assert mend([header(), *records, None]) == [*records, unfollowed(1, more_ns=1)]
    assert mend([]) == mend([header()]) == mend([None]) == []


def test_the_next_run_ends_what_the_one_before_left_open() -> None:
    steps = [header(), *BEGUN, frame(1), PART, header(5, run=5), followed(5), frame(6)]
    assert mend(steps) == [*BEGUN, frame(1), unfollowed(1, more_ns=1), followed(5), frame(6), unfollowed(6, more_ns=1)]


def test_an_end_is_never_later_than_what_comes_next() -> None:
    steps = [header(), *BEGUN, frame(1), PART, header(1, run=1), followed(1), frame(6)]
    assert mend(steps)[4:6] == [unfollowed(1), followed(1)]


def test_a_part_that_continues_goes_on_where_the_last_one_ended() -> None:
    rest = [frame(2), frame(3), unfollowed(4)]
    end = End(at_ns=at(1))
    steps = [header(), *BEGUN, frame(1), end, PART, header(2, sequence=6, standing=(TARGET, MARKET, 1)), *rest]
    mending = Mending(KEY)
    assert mend(steps, mending) == [*BEGUN, frame(1), *rest]
    assert mending.holes == 0


def test_lines_between_two_parts_that_are_not_there_are_a_hole() -> None:
    steps = [header(), *BEGUN, frame(1), PART, header(5, sequence=25), frame(6)]
    mending = Mending(KEY)
    assert mend(steps, mending)[4:] == [
        disconnected(1, dropped=20),
        connected(6),
        frame(6),
        unfollowed(6, more_ns=1),
    ]
    assert (mending.holes, mending.missing, mending.absent) == (1, 20, 20)


def test_damage_whose_extent_is_known_is_not_counted_twice() -> None:
    mending = Mending(KEY)
    mend([header(), *BEGUN, 7, PART, header(5, sequence=11), frame(6)], mending)
    assert (mending.missing, mending.absent) == (7, 0)


def test_where_records_are_missing_the_market_was_not_connected() -> None:
    assert mend([header(), *BEGUN, frame(1), 3, frame(5), frame(6)])[4:] == [
        disconnected(1, dropped=3),
        connected(5),
        frame(5),
        frame(6),
        unfollowed(6, more_ns=1),
    ]


@pytest.mark.parametrize("hole", [None, Lost(at_ns=at(2), records=0, until_ns=at(4), reason="full"), TapeError("x")])
def test_every_kind_of_hole_is_one(hole: Step) -> None:
    mended = mend([header(), *BEGUN, frame(1), hole, frame(5)])
    assert [type(record) for record in mended[4:]] == [Disconnected, Connected, Frame, Unfollowed]


def test_what_tells_of_the_connection_behind_a_hole_is_believed() -> None:
    hole = disconnected(1, dropped=2)
    assert mend([header(), *BEGUN, frame(1), 2, connected(5, 2), frame(6)])[4:-1] == [hole, connected(5, 2), frame(6)]
    gone = disconnected(5, 1, "closed")
    assert mend([header(), *BEGUN, frame(1), 2, gone, connected(6, 2)])[4:-1] == [hole, gone, connected(6, 2)]
    assert mend([header(), *BEGUN, frame(1), 2, unfollowed(5)])[4:] == [hole, unfollowed(5)]
    assert mend([header(), *BEGUN, frame(1), 2, followed(5), frame(5)])[4:6] == [unfollowed(1, more_ns=1), followed(5)]
    assert mend([header(), *BEGUN, frame(1), 2, market(3), frame(5)])[4:-1] == [
        hole,
        market(3),
        connected(5, 2),
        frame(5),
    ]
    cut = disconnected(1, 1, "closed")
    assert mend([header(), *BEGUN, cut, 2, frame(5)])[4:-1] == [connected(5, 2), frame(5)]


def test_a_hole_at_the_end_adds_nothing() -> None:
    assert mend([header(), *BEGUN, 5]) == [*BEGUN, unfollowed(0, more_ns=1)]
    assert mend([header(), *following(), 5]) == following()


def test_a_following_whose_beginning_is_lost_goes_by_the_header() -> None:
    steps = [header(5, sequence=40, standing=(TARGET, MARKET, 3)), frame(6), frame(7)]
    mending = Mending(KEY)
    assert mend(steps, mending) == [
        followed(6),
        market(6),
        connected(6, 3),
        frame(6),
        frame(7),
        unfollowed(7, more_ns=1),
    ]
    assert (mending.absent, mending.missing) == (40, 40)
    assert mend([header(5, sequence=4, standing=(TARGET, None, None)), market(6), connected(7), frame(8)])[:-1] == [
        followed(6),
        market(6),
        connected(7),
        frame(8),
    ]
    assert mend([header(5, sequence=4, standing=(TARGET, MARKET, 2)), disconnected(6, 2, "stale")])[:-1] == [
        followed(6),
        market(6),
        disconnected(6, 2, "stale"),
    ]


def test_without_a_header_it_goes_by_the_name_and_by_what_was_known() -> None:
    assert mend([None, frame(6)]) == [followed(6), connected(6), frame(6), unfollowed(6, more_ns=1)]
    condition = Mending(CONDITION)
    first = mend([None, frame(6)], condition)[0]
    assert isinstance(first, Followed)
    assert first.target == Target(key=CONDITION, condition_id=CONDITION)
    again = mend([header(), *following(0, 3), None, frame(6)])[len(following(0, 3)) :]
    assert again[:-1] == [followed(6), market(6), connected(6), frame(6)]


def test_a_header_of_another_target_is_not_gone_by() -> None:
    other = evolve(TARGET, key="other")
    assert mend([header(5, standing=(other, MARKET, 1)), frame(6)])[:2] == [followed(6), connected(6)]


def test_a_new_run_that_goes_on_in_the_middle_starts_anew() -> None:
    steps = [header(), *BEGUN, frame(1), PART, header(5, run=5, standing=(TARGET, MARKET, 9)), frame(6)]
    assert mend(steps)[4:] == [
        unfollowed(1, more_ns=1),
        followed(6),
        market(6),
        connected(6, 9),
        frame(6),
        unfollowed(6, more_ns=1),
    ]
    assert mend([*steps[:-1], unfollowed(6)])[4:] == [unfollowed(1, more_ns=1)]


def test_records_behind_the_end_are_misplaced_unless_something_is_missing() -> None:
    mending = Mending(KEY)
    assert mend([header(), *following(0, 3), frame(5), unfollowed(6)], mending) == following(0, 3)
    assert mending.misplaced == 2


def test_records_that_run_backwards_are_left_out() -> None:
    mending = Mending(KEY)
    assert mend([header(), *BEGUN, frame(5), frame(4), market(3), frame(6)], mending)[3:-1] == [frame(5), frame(6)]
    assert mending.misplaced == 2


def test_records_of_another_day_than_their_part_are_left_out() -> None:
    tomorrow = Frame(at_ns=at(0) + DAY_NS, text="tomorrow")
    mending = Mending(KEY)
    assert mend([header(1), *BEGUN, followed(2), tomorrow, frame(3)], mending)[:-1] == [followed(2), frame(3)]
    assert mending.misplaced == 4
    assert [type(it) for it in mend([None, tomorrow, frame(3)])] == [Followed, Connected, Frame, Unfollowed]


def test_a_day_without_a_record_is_no_following() -> None:
    later_s = 2 * DAY_NS / 1e9
    mended = mend([header(), *BEGUN, PART, header(later_s, sequence=4), frame(later_s)])
    assert mended[3:6] == [unfollowed(0, more_ns=1), followed(later_s), market(later_s)]


def test_followings_that_overlap_are_left_out_whole() -> None:
    second = [followed(5), market(5), connected(5), frame(6), frame(50), unfollowed(51)]
    mending = Mending(KEY)
    steps = [header(), *following(0, 10), PART, header(5, run=5), *second, PART, header(60, run=60), *following(60, 62)]
    assert mend(steps, mending) == [*following(0, 10), *following(60, 62)]
    assert mending.overlapping == len(second)


def test_a_run_behind_one_that_overlaps_is_read() -> None:
    overlapping = [header(5, run=5), followed(5), frame(6)]
    mending = Mending(KEY)
    steps = [header(), *following(0, 10), PART, *overlapping, PART, header(20, run=20, sequence=9), frame(21)]
    assert [type(it) for it in mend(steps, mending)[len(following(0, 10)) :]] == [
        Followed,
        MarketUpdated,
        Connected,
        Frame,
        Unfollowed,
    ]


@pytest.mark.parametrize("stranger", [header(2, key="other"), header(2, version=2)])
def test_parts_of_others_are_left_out(stranger: TapeHeader) -> None:
    mending = Mending(KEY)
    foreign = [stranger, followed(3), TapeError("x"), frame(3), End(at_ns=at(3))]
    steps = [header(), *BEGUN, PART, *foreign, PART, header(5, run=5), *following(5, 7)]
    assert mend(steps, mending) == [*BEGUN, unfollowed(0, more_ns=1), *following(5, 7)]
    assert (mending.foreign, mending.unreadable) == (1, 0)


def test_a_following_of_another_is_misplaced() -> None:
    mending = Mending(KEY)
    other = Followed(at_ns=at(1), target=evolve(TARGET, key="other"))
    assert mend([header(), *BEGUN, other, frame(2)], mending)[3:-1] == [frame(2)]
    assert mending.misplaced == 1


def test_a_header_in_the_middle_changes_nothing_where_nothing_is_missing() -> None:
    again = header(5, standing=(TARGET, MARKET, 1))
    strange = header(5, standing=(TARGET, MARKET, 1), key="other")
    assert mend([header(), *BEGUN, frame(1), again, strange, frame(5), unfollowed(6), again]) == [
        *BEGUN,
        frame(1),
        frame(5),
        unfollowed(6),
    ]
    unknown = [followed(0), connected(0), frame(1), header(5, standing=(TARGET, None, 1)), frame(6), unfollowed(6)]
    assert mend([header(), *unknown]) == [step for step in unknown if not isinstance(step, TapeHeader)]


def test_a_header_in_the_middle_tells_what_was_lost_with_the_beginning() -> None:
    again = header(60, standing=(TARGET, MARKET, 1))
    assert mend([4, frame(50), again, frame(61)])[:-1] == [
        followed(50),
        connected(50),
        frame(50),
        market(50),
        frame(61),
    ]
    assert mend([4, again, frame(61)])[:-1] == [followed(61), market(61), connected(61), frame(61)]
    assert mend([4, frame(50), header(60, standing=(evolve(TARGET, series=None), MARKET, 1)), frame(61)])[3:-1] == [
        frame(61)
    ]


instants = st.integers(0, 40) | st.sampled_from([-(10**6), 90_000, 180_000, 10**7])
any_records: st.SearchStrategy[Any] = st.one_of(
    st.builds(followed, instants),
    st.builds(lambda seconds: Followed(at_ns=max(at(seconds), 0), target=evolve(TARGET, key="other")), instants),
    st.builds(market, instants),
    st.builds(lambda seconds: LookupFailed(at_ns=at(seconds), reason="timeout"), instants),
    st.builds(connected, instants, st.integers(0, 5)),
    st.builds(disconnected, instants, st.integers(0, 5)),
    st.builds(frame, instants),
    st.builds(frame, instants),
    st.builds(unfollowed, instants),
)
any_steps: st.SearchStrategy[Any] = st.one_of(
    any_records,
    any_records,
    st.just(PART),
    st.none() | st.integers(0, 9),
    st.builds(TapeError),
    st.builds(lambda s: End(at_ns=at(s)), instants),
    st.builds(lambda s, n: Lost(at_ns=at(s), records=n, until_ns=at(s), reason="full"), instants, st.integers(0, 9)),
    st.builds(
        header,
        instants,
        run=st.sampled_from([0.0, 10.0, 20.0]),
        sequence=st.integers(0, 30),
        standing=st.none() | st.just((TARGET, MARKET, 2)) | st.just((TARGET, None, None)),
        key=st.sampled_from([KEY, KEY, KEY, "other"]),
    ),
)


def signals(records: Sequence[Record]) -> int:
    scoring, preset = ScoringSettings(cadence_s=600.0), PRESETS["seed"]
    pairs = [(KEY, record) for record in records]
    return sum(
        1
        for _ in replay(
            pairs,
            scoring=scoring,
            preset=preset,
            new_scorer=lambda: build_scorer(preset),
            aggregate=AggregateSettings(),
        )
    )


@settings(max_examples=500)
@given(steps=st.lists(any_steps, max_size=40))
def test_whatever_is_on_a_tape_replays(steps: list[Step]) -> None:
    mending = Mending(KEY)
    mended = mend(steps, mending)
    instants = [record.at_ns for record in mended]
    assert instants == sorted(instants)
    open_now = False
    for record in mended:
        assert open_now is not isinstance(record, Followed)
        open_now = not isinstance(record, Unfollowed)
    assert not open_now
    # A day without a record ends a following, so a few lines cannot make years of signals.
    assert signals(mended) <= (DAY_NS // (600 * 10**9) + 2) * len(mended)
    # What comes out was there, or stands for what was not.
    invented = [record for record in mended if not any(record is step for step in steps)]
    assert all(isinstance(it, Followed | MarketUpdated | Connected | Disconnected | Unfollowed) for it in invented)


def test_the_slot_of_these_tests_is_one() -> None:
    assert (TARGET.key, TARGET.start_ns) == (KEY, START_S * 10**9)
