import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from attrs import evolve
from structlog.testing import CapturingLogger
from trio.testing import MockClock

from actors import labels as labels_module
from actors.child import ChildSpec
from actors.clock import Clock
from actors.labelbook import LabelBook, read_labels
from actors.labels import EVERY_S, GIVE_UP_S, GRACE_S, LabelActor
from actors.rest import RestFault, RestFaultKind, VenueRest
from actors.supervisor import Supervisor
from actors.venue import Resolution, Void
from engine.labels import Label, LabelSource, LabelStatus, Ruling
from engine.markets import Market, Outcome, Target
from engine.records import Followed, Frame, MarketUpdated, Unfollowed
from engine.series import slot_of_slug
from engine.settings import VenueSettings
from tests.actors.local_venue import QUARTER_S, follow, rig
from tests.actors.venue.scenery import START_S, Stage, listing, staged

S = 10**9
END_S = 1_790_000_400
END_NS = END_S * S
UP, DOWN = "71", "82"

NOT_YET = Ruling()
VOID = Ruling(status=LabelStatus.VOID, resolved_by=LabelSource.GAMMA)
AMBIGUOUS = Ruling(status=LabelStatus.AMBIGUOUS, resolved_by=LabelSource.CLOB)
UP_WON = Ruling(status=LabelStatus.RESOLVED, outcome=Outcome.UP, resolved_by=LabelSource.CLOB)

Answer = Ruling | Exception


def market_number(number: int = 1, **changes: Any) -> tuple[Target, Market]:
    """A slot, and markets beside it that have its times and tokens."""
    slug = "btc-updown-5m-1790000100" if number == 1 else f"market-{number}"
    target = Target(key=slug, slug=slug, start_ns=END_NS - 300 * S, end_ns=END_NS)
    market = Market(
        condition_id=f"0x{number:064x}",
        up_asset_id=UP,
        down_asset_id=DOWN,
        slug=slug,
        start_ns=END_NS - 300 * S,
        end_ns=END_NS,
    )
    return target, evolve(market, **changes)


TARGET, MARKET = market_number()
CONDITION_ID = MARKET.condition_id
ENDLESS = (Target(key=CONDITION_ID, condition_id=CONDITION_ID), evolve(MARKET, start_ns=None, end_ns=None))


class FakeCourt:
    """Answers by the second after the end; remembers who asked when."""

    def __init__(self) -> None:
        self.answer: Callable[[float], Answer] = lambda seconds: NOT_YET
        self.answers: dict[str, Callable[[float], Answer]] = {}
        self.asked: list[tuple[float, str]] = []
        self.takes_s = 0.0
        self.clock: Clock

    async def outcome_of(self, condition_id: str) -> Ruling:
        seconds = (self.clock.now_ns() - END_NS) / S
        self.asked.append((seconds, condition_id))
        await trio.sleep(self.takes_s)
        answer = self.answers.get(condition_id, self.answer)(seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def seconds(self, number: int = 1) -> list[float]:
        return [round(seconds, 3) for seconds, condition_id in self.asked if condition_id == f"0x{number:064x}"]


class MemoryBook:
    def __init__(self) -> None:
        self.labels: list[Label] = []
        self.tries = 0
        self.fault: Exception | None = None
        self.takes_s = 0.0

    async def add(self, label: Label) -> None:
        self.tries += 1
        await trio.sleep(self.takes_s)
        if self.fault is not None:
            raise self.fault
        self.labels.append(label)


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.court, self.book, self.logger = FakeCourt(), MemoryBook(), CapturingLogger()
        self.court.clock = clock
        self.actor = LabelActor(
            clock=clock,
            rest=self.court,
            book=self.book,
            rng=random.Random(5),
            log=structlog.wrap_logger(self.logger, processors=[]),
        )

    async def until(self, seconds: float) -> None:
        """Sleep until so many seconds after the end, and a moment more."""
        await self.clock.sleep_until(END_NS + round((seconds + 0.001) * S))

    def said(self, event: str) -> list[dict[str, Any]]:
        return [call.kwargs for call in self.logger.calls if call.kwargs["event"] == event]

    @property
    def label(self) -> Label:
        (label,) = self.book.labels
        return label

    @property
    def told(self) -> tuple[object, ...]:
        """The one label there is, its time in seconds after the end."""
        label = self.label
        return label.status, label.outcome, label.resolved_by, label.late, round((label.at_ns - END_NS) / S, 3)


@asynccontextmanager
async def world(start_s: float = -60.0) -> AsyncIterator[World]:
    """An actor that has run since so many seconds after the end."""
    here = World(Clock.anchored(END_NS + round(start_s * S)))
    async with trio.open_nursery() as nursery:
        await nursery.start(here.actor.run)
        yield here
        nursery.cancel_scope.cancel()


def fault(kind: RestFaultKind = RestFaultKind.SERVER, **more: Any) -> RestFault:
    return RestFault(kind, "no", **more)


def after(*turns: tuple[float, Answer], first: Answer = NOT_YET) -> Callable[[float], Answer]:
    """The last answer whose second has come."""
    return lambda seconds: [first, *(answer for at, answer in turns if seconds >= at)][-1]


# -- the ordinary course ---------------------------------------------------------------------------------------------


async def test_a_market_is_asked_for_from_its_end_on_until_it_is_decided(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after((120, UP_WON))
        here.actor.expect(TARGET, MARKET)
        assert here.actor.awaited == 1
        await here.until(9)
        assert here.court.asked == []
        await here.until(3600)
        assert here.court.seconds() == [10, 40, 70, 100, 130]
        assert here.told == (LabelStatus.RESOLVED, Outcome.UP, LabelSource.CLOB, False, 130)
        assert (here.label.slug, here.label.end_ns) == (TARGET.slug, END_NS)
        assert (here.label.series, here.label.condition_id) == ("btc-5m", CONDITION_ID)
        assert here.actor.awaited == 0
        (said,) = here.said("label.written")
        assert (said["condition_id"], said["outcome"], said["late"]) == (CONDITION_ID, Outcome.UP, False)


@pytest.mark.parametrize(
    ("answer", "status", "source"),
    [
        (after(), LabelStatus.UNRESOLVED, None),
        (after(first=AMBIGUOUS), LabelStatus.AMBIGUOUS, LabelSource.CLOB),
        (after((1800, AMBIGUOUS)), LabelStatus.AMBIGUOUS, LabelSource.CLOB),
        (after((1800, VOID)), LabelStatus.VOID, LabelSource.GAMMA),
        (after((100, AMBIGUOUS), (1000, NOT_YET)), LabelStatus.UNRESOLVED, None),
    ],
)
async def test_after_half_an_hour_the_last_word_holds(
    autojump_clock: MockClock, answer: Callable[[float], Answer], status: LabelStatus, source: LabelSource | None
) -> None:
    async with world() as here:
        here.court.answer = answer
        here.actor.expect(TARGET, MARKET)
        await here.until(7200)
        assert here.told == (status, None, source, True, GIVE_UP_S)
        assert here.court.seconds() == [GRACE_S + EVERY_S * n for n in range(60)] + [GIVE_UP_S]
        assert here.actor.awaited == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (after((600, UP_WON)), (LabelStatus.RESOLVED, Outcome.UP, LabelSource.CLOB, True, 610)),
        (after((1800, UP_WON)), (LabelStatus.RESOLVED, Outcome.UP, LabelSource.CLOB, True, 1800)),
        (after((100, AMBIGUOUS), (200, UP_WON)), (LabelStatus.RESOLVED, Outcome.UP, LabelSource.CLOB, False, 220)),
        (after((100, VOID)), (LabelStatus.VOID, None, LabelSource.GAMMA, False, 130)),
        (after((100, VOID), (130, UP_WON)), (LabelStatus.RESOLVED, Outcome.UP, LabelSource.CLOB, False, 130)),
        (
            after((100, VOID), (130, AMBIGUOUS), (160, VOID)),
            (LabelStatus.VOID, None, LabelSource.GAMMA, False, 190),
        ),
    ],
)
async def test_late_void_and_ambiguous_ones(
    autojump_clock: MockClock, answer: Callable[[float], Answer], told: tuple[Any, ...]
) -> None:
    async with world() as here:
        here.court.answer = answer
        here.actor.expect(TARGET, MARKET)
        await here.until(7200)
        assert here.told == told


async def test_every_market_has_its_own_course(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.takes_s = 0.5
        for number in range(1, 6):
            here.court.answers[f"0x{number:064x}"] = after((50.0 * number, UP_WON))
            here.actor.expect(*market_number(number))
        await here.until(400)
        assert [label.condition_id[-1] for label in here.book.labels] == ["1", "2", "3", "4", "5"]
        assert here.court.seconds(5)[:2] == [12, 42]


# -- what is known of a market ---------------------------------------------------------------------------------------


async def test_what_is_not_known_is_not_awaited(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.actor.expect(TARGET, None)
        assert here.actor.awaited == 0


async def test_an_end_by_the_calendar_will_do_and_the_metadatas_is_better(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.actor.expect(TARGET, evolve(MARKET, end_ns=None))
        here.actor.expect(TARGET, evolve(MARKET, end_ns=END_NS + 60 * S))
        await here.until(80)
        assert here.court.seconds() == [70]
        here.actor.expect(TARGET, evolve(MARKET, tick=10))
        await here.until(120)
        assert here.court.seconds() == [70, 100]


async def test_a_market_that_is_found_closed_is_asked_for_at_once(autojump_clock: MockClock) -> None:
    async with world(-5000) as here:
        here.actor.expect(TARGET, MARKET)
        await here.until(-4000)
        here.actor.expect(TARGET, evolve(MARKET, closed=True))
        here.actor.expect(TARGET, evolve(MARKET, closed=True, tick=10))
        await here.until(-3900)
        assert here.court.seconds() == [-3999.999, -3969.999, -3939.999, -3909.999]
        await here.until(0)
        # The time to give up counts from when it was found closed.
        assert here.told == (LabelStatus.UNRESOLVED, None, None, True, -3999.999 + GIVE_UP_S)


async def test_a_market_without_an_end_is_asked_for_once_it_is_closed(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after(first=UP_WON)
        here.actor.expect(*ENDLESS)
        await here.until(90_000)
        assert here.court.asked == []
        here.actor.expect(ENDLESS[0], evolve(ENDLESS[1], closed=True))
        await here.until(90_001)
        assert here.told == (LabelStatus.RESOLVED, Outcome.UP, LabelSource.CLOB, False, 90_000.001)


async def test_a_market_that_was_over_before_has_its_time_from_now_on(autojump_clock: MockClock) -> None:
    async with world(40_000) as here:
        here.actor.expect(TARGET, MARKET)
        await here.until(50_000)
        assert here.told == (LabelStatus.UNRESOLVED, None, None, True, 40_000 + GIVE_UP_S)


async def test_what_has_its_label_is_not_asked_for_again_unless_that_was_none(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after((5000, UP_WON))
        here.actor.expect(TARGET, MARKET)
        await here.until(4000)
        here.actor.expect(TARGET, evolve(MARKET, closed=True))
        await here.until(5100)
        assert [label.status for label in here.book.labels] == [LabelStatus.UNRESOLVED, LabelStatus.RESOLVED]
        here.actor.expect(TARGET, evolve(MARKET, closed=True, winner=Outcome.UP))
        assert here.actor.awaited == 0


# -- the stream ------------------------------------------------------------------------------------------------------


async def test_a_winner_on_the_stream_is_asked_about_at_once(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after((95, UP_WON))
        here.actor.expect(TARGET, MARKET)
        await here.until(95)
        here.actor.hear(CONDITION_ID, Outcome.UP)
        await here.until(99)
        assert here.court.seconds() == [10, 40, 70, 95.001]
        assert here.told == (LabelStatus.RESOLVED, Outcome.UP, LabelSource.CLOB, False, 95.001)
        assert here.said("label.contradicted") == []


async def test_a_winner_that_is_named_while_the_venue_is_asked_makes_it_be_asked_again(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        here.court.takes_s = 3.0
        here.court.answer = after((12, UP_WON))
        here.actor.expect(TARGET, MARKET)
        await here.until(11)
        here.actor.hear(CONDITION_ID, Outcome.UP)
        await here.until(20)
        assert here.court.seconds() == [10, 13]


async def test_the_stream_is_believed_where_the_venue_could_not_be_asked_since(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after((95, fault()))
        here.actor.expect(TARGET, MARKET)
        await here.until(95)
        for _ in range(2):
            here.actor.hear(CONDITION_ID, Outcome.DOWN)
        await here.until(1799)
        assert here.book.labels == []
        await here.until(7200)
        assert here.told[:-1] == (LabelStatus.RESOLVED, Outcome.DOWN, LabelSource.STREAM, True)
        assert GIVE_UP_S * S <= here.label.at_ns - END_NS < (GIVE_UP_S + 960) * S


@pytest.mark.parametrize("heard", [[], [Outcome.UP, Outcome.DOWN]])
async def test_without_one_word_nothing_is_resolved(autojump_clock: MockClock, heard: list[Outcome]) -> None:
    async with world() as here:
        here.court.answer = after((95, fault()))
        here.actor.expect(TARGET, MARKET)
        await here.until(100)
        for winner in heard:
            here.actor.hear(CONDITION_ID, winner)
        await here.until(7200)
        assert here.told[:3] == (LabelStatus.UNRESOLVED, None, None)


async def test_what_the_venue_says_later_outweighs_the_stream(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after((1000, fault()))
        here.actor.expect(TARGET, MARKET)
        await here.until(95)
        here.actor.hear(CONDITION_ID, Outcome.UP)
        await here.until(7200)
        assert here.told[:3] == (LabelStatus.UNRESOLVED, None, None)


async def test_a_winner_that_the_venue_contradicts_is_told(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after((130, UP_WON))
        here.actor.expect(TARGET, MARKET)
        await here.until(95)
        here.actor.hear(CONDITION_ID, Outcome.DOWN)
        await here.until(200)
        assert here.label.outcome is Outcome.UP
        (said,) = here.said("label.contradicted")
        assert (said["market"], said["outcome"]) == (TARGET.key, Outcome.UP)


async def test_a_winner_named_before_the_end_shortens_nothing(autojump_clock: MockClock) -> None:
    async with world(-5000) as here:
        here.court.answer = after((130, UP_WON))
        here.actor.expect(TARGET, MARKET)
        here.actor.hear(CONDITION_ID, Outcome.UP)
        here.actor.expect(TARGET, evolve(MARKET, tick=10))
        await here.until(200)
        assert here.court.seconds() == [-5000, 10, 40, 70, 100, 130]


async def test_a_winner_of_a_market_without_an_end_ends_it(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.actor.expect(*ENDLESS)
        here.actor.hear(CONDITION_ID, Outcome.UP)
        await here.until(7200)
        assert here.told == (LabelStatus.UNRESOLVED, None, None, True, GIVE_UP_S - 60)


async def test_winners_of_others_and_of_labelled_ones_are_ignored(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after(first=UP_WON)
        here.book.fault = OSError("full")
        here.actor.hear(CONDITION_ID, Outcome.UP)
        here.actor.expect(TARGET, MARKET)
        await here.until(15)
        here.actor.hear(CONDITION_ID, Outcome.DOWN)
        here.actor.expect(TARGET, evolve(MARKET, closed=True))
        here.book.fault = None
        await here.until(60)
        assert (len(here.court.asked), here.label.outcome) == (1, Outcome.UP)


# -- faults of the venue ---------------------------------------------------------------------------------------------


async def test_a_429_makes_everybody_wait_as_long_as_it_says(autojump_clock: MockClock) -> None:
    async with world() as here:
        refused = fault(RestFaultKind.RATE_LIMITED, retry_after=200.0)
        here.court.answer = after((100, UP_WON), first=refused)
        for number in (1, 2):
            here.actor.expect(*market_number(number))
        await here.until(400)
        assert [(seconds, condition_id[-1]) for seconds, condition_id in here.court.asked] == [
            (10, "1"),
            (210, "2"),
            (210, "1"),
        ]
        (said,) = here.said("label.lookup_failed")
        assert (said["seconds"], said["error_type"], said["market"]) == (200.0, "rate_limited", TARGET.key)


@pytest.mark.parametrize(
    "kind", [RestFaultKind.BLOCKED, RestFaultKind.UNREACHABLE, RestFaultKind.TIMEOUT, RestFaultKind.SERVER]
)
async def test_a_fault_of_the_host_makes_everybody_wait_longer_and_longer(
    autojump_clock: MockClock, kind: RestFaultKind
) -> None:
    async with world() as here:
        here.court.answer = after(first=fault(kind))
        for number in (1, 2):
            here.actor.expect(*market_number(number))
        await here.until(3600)
        waits = [later - earlier for (earlier, _), (later, _) in pairwise(here.court.asked)]
        assert all(60 <= wait <= 60 + min(900, 60 * 2**n) + 0.01 for n, wait in enumerate(waits))
        assert max(waits) > 250
        assert {condition_id[-1] for _, condition_id in here.court.asked} == {"1", "2"}
        assert [label.status for label in here.book.labels] == [LabelStatus.UNRESOLVED] * 2


async def test_an_answer_makes_the_next_waits_short_again(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after((300, NOT_YET), (1200, fault()), first=fault())
        here.actor.expect(TARGET, MARKET)
        await here.until(3600)
        asked = here.court.seconds()
        (again, after_that), *_ = [(one, two) for one, two in pairwise(asked) if one >= 1200]
        assert 60 <= after_that - again <= 120


async def test_an_unreadable_page_is_that_markets_own_trouble(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answers[CONDITION_ID] = after((1000, UP_WON), first=fault(RestFaultKind.UNEXPECTED))
        for number in (1, 2):
            here.actor.expect(*market_number(number))
        await here.until(3600)
        assert here.court.seconds(2)[:4] == [10, 40, 70, 100]
        waits = [later - earlier for earlier, later in pairwise(here.court.seconds())]
        assert all(60 <= wait <= 60 + min(900, 60 * 2**n) for n, wait in enumerate(waits))
        by_number = {label.condition_id[-1]: label.status for label in here.book.labels}
        assert by_number == {"1": LabelStatus.RESOLVED, "2": LabelStatus.UNRESOLVED}


async def test_a_page_that_stays_unreadable_is_given_up(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after(first=fault(RestFaultKind.NOT_JSON))
        here.actor.expect(TARGET, MARKET)
        await here.until(3600)
        assert here.told == (LabelStatus.UNRESOLVED, None, None, True, GIVE_UP_S)
        assert len(here.court.asked) < 15


async def test_all_whose_time_is_up_are_given_up_by_one_fault_of_the_host(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after(first=fault(RestFaultKind.RATE_LIMITED, retry_after=900.0))
        for number in range(1, 41):
            here.actor.expect(*market_number(number))
        await here.until(GIVE_UP_S + 900)
        assert len(here.court.asked) == 3
        assert (here.actor.awaited, len(here.book.labels)) == (0, 40)


# -- faults of the disk ----------------------------------------------------------------------------------------------


async def test_a_label_that_cannot_be_written_is_kept_and_not_asked_for_again(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.court.answer = after(first=UP_WON)
        here.book.fault = OSError(28, "No space left on device")
        for number in (1, 2):
            here.actor.expect(*market_number(number))
        await here.until(75)
        assert (here.actor.awaited, here.book.labels, len(here.court.asked)) == (2, [], 2)
        assert "No space left" in here.actor.problem
        assert len(here.said("labels.degraded")) == 1
        here.book.fault = None
        await here.until(105)
        assert (here.actor.awaited, here.actor.problem, len(here.court.asked)) == (0, "", 2)
        assert [label.at_ns for label in here.book.labels] == [END_NS + 10 * S] * 2
        assert len(here.said("labels.recovered")) == 1


async def test_writing_does_not_wait_for_the_venue(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.book.fault = OSError("full")
        here.court.answers[CONDITION_ID] = after(first=UP_WON)
        here.court.answer = after(first=fault(RestFaultKind.RATE_LIMITED, retry_after=900.0))
        for number in (1, 2):
            here.actor.expect(*market_number(number))
        await here.until(20)
        here.book.fault = None
        await here.until(60)
        assert here.label.condition_id == CONDITION_ID


# -- crashes, restarts, bounds ---------------------------------------------------------------------------------------


async def run_for(here: World, seconds: float) -> None:
    """One run, which ends so many seconds after the end of the market."""
    with trio.move_on_at(here.clock.trio_time(END_NS + round(seconds * S))):
        await here.actor.run()


async def test_a_crash_is_not_swallowed_and_loses_nothing(autojump_clock: MockClock) -> None:
    here = World(Clock.anchored(END_NS))
    here.court.answer = after((40, UP_WON), first=ZeroDivisionError())
    for number in (1, 2):
        here.actor.expect(*market_number(number))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await here.actor.run()
    await run_for(here, 200)
    assert here.court.seconds(1) == here.court.seconds(2) == [10, 40]
    assert len(here.book.labels) == 2


async def test_a_market_whose_judgement_always_crashes_is_given_up_in_the_end(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(END_NS)
    here = World(clock)
    here.court.answer = after(first=ZeroDivisionError())
    here.actor.expect(TARGET, MARKET)
    supervisor = Supervisor(clock, log=structlog.wrap_logger(CapturingLogger(), processors=[]))
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await supervisor.start(ChildSpec(name="labels", run=here.actor.run, counts=False))
        await here.until(GIVE_UP_S + 60)
        (report,) = supervisor.children()
        assert (report.state, report.quarantines, report.restarts) == ("running", 0, 61)
        await supervisor.stop()
    assert here.told[:2] == (LabelStatus.UNRESOLVED, None)


@pytest.mark.parametrize("where", ["court", "book"])
async def test_a_run_that_is_cancelled_at_any_point_is_taken_up_by_the_next(
    autojump_clock: MockClock, where: str
) -> None:
    here = World(Clock.anchored(END_NS))
    here.court.answer = after(first=UP_WON)
    waiting = here.court if where == "court" else here.book
    waiting.takes_s = 10.0
    here.actor.expect(TARGET, MARKET)
    await run_for(here, 15)
    assert (here.book.labels, here.actor.awaited) == ([], 1)
    await run_for(here, 100)
    assert here.label.outcome is Outcome.UP


async def test_memory_is_bounded(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_module, "ROOM", 3)
    async with world() as here:
        here.court.answer = after(first=UP_WON)
        for number in range(1, 7):
            here.actor.expect(*market_number(number))
        assert here.actor.awaited == 3
        (said,) = here.said("labels.crowded")
        assert (said["awaited"], said["market"]) == (3, "market-4")
        await here.until(20)
        assert [label.condition_id[-1] for label in here.book.labels] == ["1", "2", "3"]
        here.actor.expect(*market_number(4))
        await here.until(30)
        assert len(here.book.labels) == 4
        for number in (1, 2, 3, 4):
            here.actor.expect(*market_number(number))
        # The oldest one was forgotten, and is asked for again.
        assert here.actor.awaited == 1


async def test_what_an_earlier_process_left_is_taken_up(autojump_clock: MockClock) -> None:
    async with world(20_000) as here:
        here.court.answer = after(first=UP_WON)
        done = Label(condition_id=CONDITION_ID, status=LabelStatus.VOID, at_ns=1)
        given_up = Label(condition_id=f"0x{2:064x}", status=LabelStatus.UNRESOLVED, at_ns=1)
        left = [market_number(1), market_number(2), market_number(3), market_number(4, end_ns=END_NS - 80_000 * S)]
        here.actor.take_up(left, {label.condition_id: label for label in (done, given_up)})
        await here.until(20_010)
        assert [label.condition_id[-1] for label in here.book.labels] == ["2", "3"]
        assert all(label.late for label in here.book.labels)
        here.actor.expect(TARGET, MARKET)
        assert here.actor.awaited == 0


# -- records ---------------------------------------------------------------------------------------------------------


def resolved(market: str, asset_id: str) -> dict[str, Any]:
    return {
        "event_type": "market_resolved",
        "id": "1",
        "market": market,
        "assets_ids": [UP, DOWN],
        "winning_asset_id": asset_id,
        "winning_outcome": "Up",
        "event_message": None,
        "timestamp": "1790000500000",
        "tags": [],
    }


async def test_records_tell_everything(autojump_clock: MockClock) -> None:
    async with world() as here:
        take = here.actor.take
        take("stranger", MarketUpdated(at_ns=1, market=MARKET))
        take(TARGET.key, Followed(at_ns=1, target=TARGET))
        take(TARGET.key, MarketUpdated(at_ns=1, market=None))
        assert here.actor.awaited == 0
        take(TARGET.key, MarketUpdated(at_ns=1, market=MARKET))
        take(TARGET.key, Unfollowed(at_ns=1))
        take(TARGET.key, MarketUpdated(at_ns=1, market=market_number(2)[1]))
        take(TARGET.key, Unfollowed(at_ns=1))
        assert here.actor.awaited == 1


@pytest.mark.parametrize(
    ("message", "heard"),
    [
        (resolved(CONDITION_ID, UP), True),
        ([{"event_type": "novelty"}, resolved(CONDITION_ID, DOWN)], True),
        ([{"event_type": "price_change"}, resolved(CONDITION_ID, DOWN)], True),
        (resolved(CONDITION_ID, "99"), False),
        (resolved(f"0x{2:064x}", UP), False),
        ({"event_type": "market_resolved"}, False),
        ({"event_type": "tick_size_change", "market": CONDITION_ID}, False),
    ],
)
async def test_a_winner_may_be_told_in_any_frame_of_any_market(
    autojump_clock: MockClock, message: object, heard: bool
) -> None:
    async with world() as here:
        here.actor.expect(TARGET, MARKET)
        await here.until(20)
        here.actor.take("another", Frame(at_ns=1, text=json.dumps(message)))
        await here.until(21)
        assert here.court.seconds() == ([10, 20.001] if heard else [10])


async def test_frames_that_are_no_json_are_nothing(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.actor.expect(TARGET, MARKET)
        for text in ('"market_resolved"', '{"market_resolved"', "PONG", "[" * 10_000 + '"market_resolved"'):
            here.actor.take("another", Frame(at_ns=1, text=text))
        await here.until(0)
        assert here.court.asked == []


# -- with the venue --------------------------------------------------------------------------------------------------

DECIDED = (LabelStatus.RESOLVED, LabelSource.CLOB, False)


def switches(stage: Stage, slug: str, switch: str) -> None:
    faults = stage.venue.faults
    if switch in {*Void}:
        faults.void(slug, Void(switch))
    elif switch in {*Resolution}:
        faults.resolve(Resolution(switch), slug)
    elif switch == "hydrating":
        faults.hydrate(1000)
    elif switch == "limited":
        faults.rest(429, times=2, retry_after="100")


@pytest.mark.parametrize(
    ("switch", "resolve_after_s", "told"),
    [
        ("", 120.0, DECIDED),
        ("", 0.0, DECIDED),
        ("untold", 120.0, DECIDED),
        ("limited", 120.0, DECIDED),
        ("hydrating", 120.0, (LabelStatus.RESOLVED, LabelSource.GAMMA, False)),
        ("", 900.0, (LabelStatus.RESOLVED, LabelSource.CLOB, True)),
        ("late", 120.0, (LabelStatus.UNRESOLVED, None, True)),
        ("never", 120.0, (LabelStatus.UNRESOLVED, None, True)),
        ("halves", 120.0, (LabelStatus.VOID, LabelSource.CLOB, False)),
        ("nearly", 120.0, (LabelStatus.AMBIGUOUS, LabelSource.CLOB, True)),
        ("nothing", 120.0, (LabelStatus.AMBIGUOUS, LabelSource.CLOB, True)),
        ("both", 120.0, (LabelStatus.AMBIGUOUS, LabelSource.CLOB, True)),
    ],
)
async def test_the_label_of_a_market_of_the_venue(
    autojump_clock: MockClock, tmp_path: Path, switch: str, resolve_after_s: float, told: tuple[Any, ...]
) -> None:
    slot = slot_of_slug(f"btc-updown-5m-{START_S}")
    async with staged(250, resolve_after_s=resolve_after_s) as stage, trio.open_nursery() as nursery:
        rest = VenueRest(VenueSettings(), request_s=5.0, transport=stage.venue.http_transport)
        market = await rest.market_by_slug(slot.slug)
        assert market is not None
        switches(stage, slot.slug, switch)
        actor = LabelActor(clock=stage.clock, rest=rest, book=LabelBook(tmp_path), rng=random.Random(1))
        actor.expect(slot.target(), market)
        await nursery.start(actor.run)
        await stage.until(300 + GIVE_UP_S + 60)
        while actor.awaited:  # noqa: ASYNC110 - the worker thread does not live by the mock clock
            await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
        label = read_labels(tmp_path)[market.condition_id]
        winner = stage.venue.source.winner(listing(slot.slug))
    assert (label.status, label.resolved_by, label.late) == told
    assert label.outcome == (winner if label.status is LabelStatus.RESOLVED else None)
    assert (label.series, label.slug, label.start_ns) == ("btc-5m", slot.slug, slot.start_ns)
    await rest.aclose()


@pytest.mark.untraced
async def test_the_labels_of_an_engine_by_its_taps(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=-30) as running, trio.open_nursery() as nursery:
        rest = VenueRest(VenueSettings(), request_s=5.0, transport=running.venue.http_transport)
        book = MemoryBook()
        actor = LabelActor(clock=running.clock, rest=rest, book=book, rng=random.Random(1))
        for key, record in running.tape:
            actor.take(key, record)
        end_tap = running.engine.tap(actor.take)
        await nursery.start(actor.run)
        await trio.sleep(960)
        end_tap()
        nursery.cancel_scope.cancel()
        source = running.venue.source
        ends = [label.end_ns for label in book.labels]
        assert ends == [(QUARTER_S + seconds) * S for seconds in (0, 300, 600)]
        for label in book.labels:
            listed = source.by_condition(label.condition_id, label.at_ns)
            assert listed is not None
            assert (label.slug, label.outcome) == (listed.slug, source.winner(listed))
    await rest.aclose()
