"""The aggregator actor: aggregates in time, over crashes and losses, never two of one deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from actors.aggregator import AggregatorActor, Joined, Left
from actors.clock import Clock
from engine.settings import AggregateSettings
from engine.signals import AggregateSignal, MarketSignals, OutsideScore
from engine.units import NS_PER_S
from tests.actors.local_venue import follow, rig
from tests.engine.test_aggregate import says, silent

MockClock = trio.testing.MockClock
SETTINGS = AggregateSettings(grace_s=1.0, outside_max_age_s=30.0)


def joined(target: str, first_s: int = 5, underlying: str = "BTC") -> Joined:
    return Joined(target=target, underlying=underlying, first_deadline_ns=first_s * NS_PER_S)


def left(target: str, underlying: str = "BTC") -> Left:
    return Left(target=target, underlying=underlying)


class Stage:
    """An aggregator actor on a clock that starts at the epoch, and what it published when."""

    def __init__(self, *targets: str, settings: AggregateSettings = SETTINGS) -> None:
        self.clock = Clock.anchored(0)
        self.roster = [joined(target) for target in targets]
        self.published: list[AggregateSignal] = []
        self.published_s: list[float] = []
        self.poisoned = 0
        self.actor = AggregatorActor(settings, clock=self.clock, roster=lambda: self.roster, publish=self.publish)

    def publish(self, aggregate: AggregateSignal) -> None:
        if self.poisoned:
            self.poisoned -= 1
            raise ZeroDivisionError("planted")
        self.published.append(aggregate)
        self.published_s.append(self.clock.now_ns() / NS_PER_S)

    def tell(self, *notes: MarketSignals | Joined | Left | OutsideScore) -> None:
        for note in notes:
            self.actor.tell(note)

    def due(self) -> list[float]:
        return [it.as_of_ns / NS_PER_S for it in self.published]

    async def crash(self, *notes: MarketSignals) -> None:
        """Run until the next aggregate, which is lost, and the actor with it."""
        self.poisoned = 1
        self.tell(*notes)
        with pytest.raises(ZeroDivisionError, match="planted"):
            await self.actor.run()


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Stage]:
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.actor.run)
        yield stage
        nursery.cancel_scope.cancel()


async def test_an_aggregate_is_out_as_soon_as_the_last_market_has_spoken(autojump_clock: MockClock) -> None:
    async with running(Stage("a", "b")) as stage:
        await trio.sleep(5)
        stage.tell(says("a"))
        await trio.sleep(0.25)
        assert stage.published == []
        stage.tell(says("b"))
        await trio.sleep(10)
    assert (stage.due(), stage.published_s) == ([5], [5.25])
    assert stage.published[0].missing == ()


async def test_a_deadline_waits_for_the_missing_exactly_as_long_as_its_grace(autojump_clock: MockClock) -> None:
    async with running(Stage("a", "b")) as stage:
        await trio.sleep(5)
        stage.tell(says("a"))
        await trio.sleep(5)
        stage.tell(says("a", at_s=10))
        await trio.sleep(10)
        stage.tell(silent("b"), silent("b", at_s=10))
        await trio.sleep(1)
    assert (stage.due(), stage.published_s) == ([5, 10], [6.0, 11.0])
    assert {it.missing for it in stage.published} == {("b",)}
    assert stage.actor.late == 2


async def test_a_signal_that_comes_with_the_end_of_the_grace_is_still_in_time(autojump_clock: MockClock) -> None:
    async with running(Stage("a", "b")) as stage:
        await trio.sleep(5)
        stage.tell(says("a"))

        async def at_the_last_moment() -> None:
            await stage.clock.sleep_until(6 * NS_PER_S)
            stage.tell(says("b"))

        await at_the_last_moment()
        await trio.sleep(1)
    assert stage.due() == [5]
    assert stage.actor.late == (1 if stage.published[0].missing else 0), "whoever is not named is counted"


async def test_underlyings_do_not_wait_for_each_other(autojump_clock: MockClock) -> None:
    stage = Stage("a")
    stage.roster.append(joined("e", underlying="ETH"))
    async with running(stage):
        await trio.sleep(5)
        stage.tell(evolve(says("e"), underlying="ETH"))
        await trio.sleep(0.5)
        assert [it.underlying for it in stage.published] == ["ETH"]
        stage.tell(says("a"))
        await trio.sleep(0.5)
    assert [it.underlying for it in stage.published] == ["ETH", "BTC"]


async def test_who_comes_and_goes_is_waited_for_from_then_until_then(autojump_clock: MockClock) -> None:
    async with running(Stage("a")) as stage:
        stage.tell(joined("b", 10))
        await trio.sleep(5)
        stage.tell(says("a"))
        await trio.sleep(5)
        stage.tell(says("a", at_s=10))
        await trio.sleep(0.5)
        assert stage.due() == [5]
        stage.tell(left("b"))
        await trio.sleep(0.25)
        assert stage.due() == [5, 10]
    assert stage.published_s == [5.0, 10.5]
    assert stage.published[-1].missing == ()


async def test_an_outside_score_without_a_time_is_stamped_when_it_is_told(autojump_clock: MockClock) -> None:
    async with running(Stage("a")) as stage:
        await trio.sleep(3)
        stage.tell(OutsideScore(name="social", score=0.5), OutsideScore(name="old", score=0.5, at_ns=2 * NS_PER_S))
        await trio.sleep(2)
        stage.tell(says("a"))
        await trio.sleep(1)
    [aggregate] = stage.published
    assert [(it.name, it.at_ns // NS_PER_S) for it in aggregate.outside] == [("old", 2), ("social", 3)]


async def test_an_outside_score_holds_for_underlyings_that_come_later(autojump_clock: MockClock) -> None:
    async with running(Stage("a")) as stage:
        stage.tell(OutsideScore(name="social", score=0.5, at_ns=NS_PER_S))
        await trio.sleep(5)
        stage.tell(joined("e", underlying="ETH"), evolve(says("e"), underlying="ETH"), says("a"))
        await trio.sleep(1)
    assert [[it.name for it in aggregate.outside] for aggregate in stage.published] == [["social"], ["social"]]


async def test_an_orderly_end_publishes_what_is_there_and_waits_for_nobody(autojump_clock: MockClock) -> None:
    async with running(Stage("a", "b")) as stage:
        await trio.sleep(5)
        stage.tell(says("a"))
        await trio.sleep(0.5)
    stage.tell(says("b"), says("a", at_s=10))
    assert stage.published == []
    stage.actor.drain()
    assert stage.due() == [5, 10]
    assert [it.missing for it in stage.published] == [(), ()]
    stage.actor.drain()
    assert stage.due() == [5, 10]


# ------------------------------------------------------------------------------------------------------------ restarts


async def test_a_restart_does_not_aggregate_a_deadline_again(autojump_clock: MockClock) -> None:
    stage = Stage("a", "b")
    async with running(stage):
        stage.tell(says("a"), silent("b"), says("a"))
        await trio.sleep(1)
        assert (stage.due(), stage.actor.late) == ([5], 1)
    await stage.crash(says("a", at_s=10), says("b", at_s=10))
    async with running(stage):
        stage.tell(says("b"), says("b", at_s=10), says("a", at_s=10))
        await trio.sleep(10)
    assert stage.due() == [5], "10 s is the note that crashed it; it is not tried again"
    assert stage.actor.late == 4, "no count is lost"


async def test_a_restart_keeps_what_was_heard_of_open_deadlines(autojump_clock: MockClock) -> None:
    stage = Stage("a", "b")
    async with running(stage):
        stage.tell(says("a", at_s=10))
        await trio.sleep(1)
    await stage.crash(says("a"), says("b"))
    async with running(stage):
        stage.tell(says("b", at_s=10))
        await trio.sleep(1)
    assert stage.due() == [10]
    assert stage.published[0].missing == ()


async def test_notes_behind_the_one_that_crashed_it_are_not_lost(autojump_clock: MockClock) -> None:
    stage = Stage("a", "b")
    await stage.crash(says("a"), says("b"), says("a", at_s=10), says("b", at_s=10))
    async with running(stage):
        await trio.sleep(1)
    assert stage.due() == [10]


async def test_what_was_told_while_nobody_ran_is_taken_in_order(autojump_clock: MockClock) -> None:
    stage = Stage("a", "b")
    await stage.crash(says("a"), says("b"))
    stage.roster = [joined("a"), joined("c", 15)]
    stage.tell(says("a", at_s=10), says("b", at_s=10), left("b"), joined("c", 15), says("a", at_s=15))
    async with running(stage):
        await trio.testing.wait_all_tasks_blocked()
        assert stage.due() == [10]
        assert [it.target for it in stage.published[0].contributions] == ["a", "b"], "b was still there at 10 s"
        stage.tell(says("c", at_s=15))
        await trio.testing.wait_all_tasks_blocked()
    assert stage.due() == [10, 15]
    assert stage.actor.late == 0


async def test_after_losses_the_roster_is_asked(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.aggregator.INBOX", 4)
    stage = Stage("a", "b")
    async with running(stage):
        await trio.sleep(1)
    stage.roster = [joined("a"), joined("c")]
    stage.tell(left("b"), joined("c"), *[says("a", at_s=second) for second in (5, 10, 15, 20)])
    assert stage.actor.statistics().dropped == 2
    async with running(stage):
        await trio.sleep(0.5)
        assert stage.due() == [], "c, of whom no note told, is waited for"
        stage.tell(*[says("c", at_s=second) for second in (5, 10, 15)])
        await trio.sleep(0.25)
    assert stage.due() == [5, 10, 15]
    assert {it.missing for it in stage.published} == {()}


async def test_a_roster_that_cannot_be_read_is_asked_again(autojump_clock: MockClock) -> None:
    stage = Stage("a")

    def broken() -> Iterable[Joined]:
        raise ZeroDivisionError("planted")

    sound, stage.actor._roster = stage.actor._roster, broken
    with pytest.raises(ZeroDivisionError, match="planted"):
        await stage.actor.run()
    stage.actor._roster = sound
    async with running(stage):
        stage.tell(says("b"))
        await trio.sleep(0.5)
        assert stage.due() == []


async def test_a_crash_in_a_running_engine_costs_one_aggregate_and_no_signal(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m", "btc-15m"), seconds=1) as running:
        sound = running.engine._aggregator._publish

        def broken(aggregate: AggregateSignal) -> None:
            running.engine._aggregator._publish = sound
            raise ZeroDivisionError("planted")

        await trio.sleep(21)
        running.engine._aggregator._publish = broken
        await trio.sleep(20)
    assert [running.seconds(it) for it in running.aggregates] == [5, 10, 15, 20, 30, 35, 40]
    assert not any(it.missing for it in running.aggregates)
    assert {it.markets_open for it in running.aggregates} == {2}
    assert len(running.signals) == 2 * 8


# ---------------------------------------------------------------------------------------------------------- properties


@given(
    st.permutations("aaabbbccc"),
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 2.0]), min_size=9, max_size=9),
    st.sets(st.integers(0, 8), max_size=3),
)
def test_whatever_the_order_and_the_crashes_no_deadline_comes_twice_or_out_of_order(
    order: list[str], waits: list[float], crashes: set[int]
) -> None:
    async def play() -> None:
        stage = Stage("a", "b", "c")
        poisoned = 0
        for position, (target, wait_s) in enumerate(zip(order, waits, strict=True)):
            # Each market speaks in order, whatever the others do.
            stage.tell(says(target, at_s=5 * order[: position + 1].count(target)))
            stage.poisoned = position in crashes
            try:
                with trio.move_on_after(wait_s):
                    await stage.actor.run()
            except ZeroDivisionError:
                poisoned += 1
            stage.poisoned = 0
        with trio.move_on_after(60):
            await stage.actor.run()
        assert stage.due() == sorted({*stage.due()})
        heard = sum(len(it.contributions) for it in stage.published)
        assert len(stage.published) + poisoned == 3
        assert poisoned or heard + stage.actor.late == 9

    trio.run(play, clock=MockClock(autojump_threshold=0))
