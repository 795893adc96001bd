import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import structlog
import trio
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.child import RUNS_AGAIN, ChildReport, ChildSpec, ChildState, Restart
from actors.clock import NS_PER_S, Clock
from actors.crash import Ending
from actors.supervisor import ENDED_KEPT, Supervisor, SupervisorFailure, SupervisorStopped

START_NS = 1_000 * NS_PER_S
Run = Callable[[trio.TaskStatus[None]], Awaitable[None]]


@pytest.fixture
def journal() -> LogCapture:
    return LogCapture()


@pytest.fixture
def log(journal: LogCapture) -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.wrap_logger(
        None, processors=[journal], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    return logger


@asynccontextmanager
async def running(log: FilteringBoundLogger, **options: Any) -> AsyncIterator[Supervisor]:
    """A supervisor that runs for the length of the block and is stopped at its end."""
    supervisor = Supervisor(Clock.anchored(START_NS), log=log, **options)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: supervisor.run(task_status=task_status))
        yield supervisor
        await supervisor.stop()


def events(journal: LogCapture, event: str | None = None) -> list[Any]:
    """The events in order, or the entries of one event."""
    return [entry["event"] if event is None else entry for entry in journal.entries if event in {None, entry["event"]}]


def report_of(supervisor: Supervisor, name: str) -> ChildReport:
    return next(report for report in supervisor.children() if report.name == name)


def state_of(supervisor: Supervisor, name: str) -> ChildState:
    return report_of(supervisor, name).state


async def serve(task_status: trio.TaskStatus[None]) -> None:
    task_status.started()
    await trio.sleep_forever()


async def crash(task_status: trio.TaskStatus[None]) -> None:
    raise ValueError("bug")


async def crash_after_a_second(task_status: trio.TaskStatus[None]) -> None:
    task_status.started()
    await trio.sleep(1.0)
    raise ValueError("bug")


class Life:
    """A child that writes down when its runs begin and end, and what its understudy does."""

    def __init__(self, name: str = "child", diary: list[str] | None = None) -> None:
        self.name = name
        self.diary: list[str] = [] if diary is None else diary
        self.runs = 0
        self.finish = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        self.runs += 1
        self.diary.append(f"{self.name} begins")
        task_status.started()
        try:
            await self.finish.wait()
        finally:
            self.diary.append(f"{self.name} ends")


# ------------------------------------------------------------------------------------------------------------- starting


async def test_start_waits_until_the_child_is_ready(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async def slow(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(3.0)
        task_status.started()
        await trio.sleep_forever()

    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="soon", run=slow))
        assert state_of(supervisor, "soon") is ChildState.STARTING
        await supervisor.start(ChildSpec(name="slow", run=slow))
        assert trio.current_time() == 3.0
        assert report_of(supervisor, "slow") == ChildReport(
            name="slow",
            state=ChildState.RUNNING,
            restarts=0,
            quarantines=0,
            last_error=None,
            since_ns=START_NS + 3 * NS_PER_S,
        )
        assert [report.name for report in supervisor.children()] == ["soon", "slow"]


@pytest.mark.parametrize("restart", list(Restart))
async def test_start_returns_when_the_first_run_crashes_before_it_is_ready(
    autojump_clock: MockClock, log: FilteringBoundLogger, restart: Restart
) -> None:
    async def stillborn(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(1.0)
        raise ValueError("bug")

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="stillborn", run=stillborn, restart=restart))
        assert trio.current_time() == 1.0
        assert report_of(supervisor, "stillborn").last_error == "ValueError: bug"


async def test_start_returns_when_the_first_run_finishes_without_being_ready(log: FilteringBoundLogger) -> None:
    async def idle(task_status: trio.TaskStatus[None]) -> None:
        await trio.lowlevel.checkpoint()

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="idle", run=idle, restart=Restart.TEMPORARY))
        assert state_of(supervisor, "idle") is ChildState.STOPPED


async def test_start_returns_when_the_child_is_stopped_instead(log: FilteringBoundLogger) -> None:
    async def never_ready(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    async with running(log) as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.start, ChildSpec(name="child", run=never_ready))
        await wait_all_tasks_blocked()
        await supervisor.stop_child("child")
    assert supervisor.children() == ()


async def test_cancelling_start_leaves_the_child_alone(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async def slow(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(3.0)
        task_status.started()
        await trio.sleep_forever()

    async with running(log) as supervisor:
        with trio.move_on_after(1.0):
            await supervisor.start(ChildSpec(name="slow", run=slow))
        assert state_of(supervisor, "slow") is ChildState.STARTING
        await trio.sleep(3.0)
        assert state_of(supervisor, "slow") is ChildState.RUNNING


async def test_a_name_is_taken_until_its_child_has_ended(log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="twin", run=serve))
        with pytest.raises(ValueError, match="twin"):
            await supervisor.start(ChildSpec(name="twin", run=serve))
        with pytest.raises(ValueError, match="twin"):
            supervisor.start_soon(ChildSpec(name="twin", run=serve))
        assert state_of(supervisor, "twin") is ChildState.RUNNING


async def test_nothing_starts_outside_of_run(log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        pass
    for outside in (supervisor, Supervisor(Clock.anchored(), log=log)):
        with pytest.raises(SupervisorStopped):
            await outside.start(ChildSpec(name="late", run=serve))
        assert outside.children() == ()


async def test_run_is_for_once(log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        with pytest.raises(RuntimeError, match="only once"):
            await supervisor.run()


async def test_started_twice_or_too_late_is_the_childs_bug(log: FilteringBoundLogger, journal: LogCapture) -> None:
    statuses: list[trio.TaskStatus[None]] = []

    async def eager(task_status: trio.TaskStatus[None]) -> None:
        statuses.append(task_status)
        task_status.started()
        task_status.started()

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="eager", run=eager, restart=Restart.TEMPORARY))
        await wait_all_tasks_blocked()
        assert "called twice" in events(journal, "actor.crashed")[0]["error"]
        with pytest.raises(RuntimeError, match="after the run"):
            statuses[0].started()
        assert state_of(supervisor, "eager") is ChildState.STOPPED


async def test_the_status_of_an_earlier_run_says_nothing_about_a_later_one(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    statuses: list[trio.TaskStatus[None]] = []

    async def slow(task_status: trio.TaskStatus[None]) -> None:
        statuses.append(task_status)
        if len(statuses) == 1:
            raise ValueError("bug")
        await trio.sleep_forever()

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="slow", run=slow))
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="after the run"):
            statuses[0].started()
        assert state_of(supervisor, "slow") is ChildState.RESTARTING
        statuses[1].started()
        assert state_of(supervisor, "slow") is ChildState.RUNNING


# ----------------------------------------------------------------------------------------------------------- restarting


@pytest.mark.parametrize(("restart", "ending"), list(RUNS_AGAIN))
async def test_the_kind_and_the_ending_decide(
    autojump_clock: MockClock, log: FilteringBoundLogger, restart: Restart, ending: Ending
) -> None:
    runs = 0

    async def once(task_status: trio.TaskStatus[None]) -> None:
        nonlocal runs
        runs += 1
        task_status.started()
        if runs > 1:
            await trio.sleep_forever()
        if ending is Ending.CRASHED:
            raise ValueError("bug")

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=once, restart=restart))
        await wait_all_tasks_blocked()
        again = restart is Restart.PERMANENT or (restart, ending) == (Restart.TRANSIENT, Ending.CRASHED)
        assert runs == 1 + again
        assert state_of(supervisor, "child") is (ChildState.RUNNING if again else ChildState.STOPPED)
        assert report_of(supervisor, "child").restarts == again


async def test_a_crash_is_logged_with_class_text_and_traceback(log: FilteringBoundLogger, journal: LogCapture) -> None:
    async def rude(task_status: trio.TaskStatus[None]) -> None:
        raise ValueError("\x1b[31m\n" + "x" * 1000)

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="rude", run=rude, restart=Restart.TEMPORARY))
    (entry,) = events(journal, "actor.crashed")
    assert (entry["actor"], entry["log_level"], entry["error_type"]) == ("rude", "error", "ValueError")
    assert entry["error"].startswith("ValueError: \\x1b[31m\\n")
    assert len(entry["error"]) == 256
    assert "in rude" in entry["traceback"]
    assert "\x1b" not in entry["traceback"]


async def test_restarts_are_immediate_and_then_comes_quarantine(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=crash))
        await wait_all_tasks_blocked()
        assert trio.current_time() == 0.0
        report = report_of(supervisor, "child")
        assert (report.state, report.restarts, report.quarantines) == (ChildState.QUARANTINED, 5, 1)
    assert events(journal) == ["actor.crashed", "actor.restarted"] * 5 + ["actor.crashed", "actor.quarantined"]


async def test_intensity_counts_within_the_period_only(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async def every_13_seconds(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(13.0)
        raise ValueError("bug")

    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="child", run=every_13_seconds))
        await trio.sleep(13.0 * 100 + 1.0)
        report = report_of(supervisor, "child")
        assert (report.restarts, report.quarantines) == (100, 0)


async def test_the_sixth_restart_within_the_period_is_not_granted(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    async def every_11_seconds(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(11.0)
        raise ValueError("bug")

    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="child", run=every_11_seconds))
        await trio.sleep(11.0 * 6 + 1.0)
        report = report_of(supervisor, "child")
        assert (report.restarts, report.quarantines) == (5, 1)


async def test_intensity_zero_quarantines_at_once(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=crash, intensity=0))
        await wait_all_tasks_blocked()
        report = report_of(supervisor, "child")
        assert (report.state, report.restarts) == (ChildState.QUARANTINED, 0)


async def test_a_restarted_child_is_restarting_until_ready(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    runs = 0

    async def child(task_status: trio.TaskStatus[None]) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("bug")
        await trio.sleep(5.0)
        task_status.started()
        await trio.sleep_forever()

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=child))
        await trio.sleep(1.0)
        assert state_of(supervisor, "child") is ChildState.RESTARTING
        await trio.sleep(5.0)
        assert state_of(supervisor, "child") is ChildState.RUNNING


async def test_a_stray_cancelled_is_a_crash_and_stays_with_its_child(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async def leaky(task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.sleep_forever()
            except trio.Cancelled as error:
                stray = error
                raise
        raise BaseExceptionGroup("leak", [stray])

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="sibling", run=serve))
        await supervisor.start(ChildSpec(name="leaky", run=leaky, restart=Restart.TRANSIENT, intensity=1))
        await wait_all_tasks_blocked()
        assert state_of(supervisor, "leaky") is ChildState.QUARANTINED
        assert state_of(supervisor, "sibling") is ChildState.RUNNING
    assert [entry["error_type"] for entry in events(journal, "actor.crashed")] == ["Cancelled"] * 2


async def test_a_bug_beside_the_own_cancelled_is_logged_and_the_stop_goes_on(
    log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async def bug_in_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("bug")

    async def child(task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bug_in_cleanup)
            nursery.start_soon(trio.sleep_forever)
            task_status.started()

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="sibling", run=serve))
        await supervisor.start(ChildSpec(name="child", run=child))
        await supervisor.stop_child("child")
        assert [report.name for report in supervisor.children()] == ["sibling"]
    assert events(journal) == ["actor.crashed"]
    assert journal.entries[0]["error_type"] == "ValueError"


async def test_an_exit_ends_everything(log: FilteringBoundLogger) -> None:
    async def exits(task_status: trio.TaskStatus[None]) -> None:
        raise SystemExit(3)

    supervisor = Supervisor(Clock.anchored(), log=log)

    async def children() -> None:
        supervisor.start_soon(ChildSpec(name="child", run=exits))

    with pytest.raises(BaseExceptionGroup) as caught:
        await run_with(supervisor, children)
    assert caught.value.subgroup(SystemExit) is not None


async def test_a_log_that_cannot_be_written_takes_nobody_down(autojump_clock: MockClock) -> None:
    def broken(logger: object, name: str, entry: object) -> Any:
        raise BrokenPipeError

    log = structlog.wrap_logger(None, processors=[broken], wrapper_class=structlog.make_filtering_bound_logger(0))
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="sibling", run=serve))
        await supervisor.start(ChildSpec(name="child", run=crash))
        await wait_all_tasks_blocked()
        assert state_of(supervisor, "child") is ChildState.QUARANTINED
        assert state_of(supervisor, "sibling") is ChildState.RUNNING


async def test_without_a_log_it_takes_structlogs(autojump_clock: MockClock) -> None:
    with structlog.testing.capture_logs() as entries:
        supervisor = Supervisor(Clock.anchored(START_NS))
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: supervisor.run(task_status=task_status))
            await supervisor.start(ChildSpec(name="child", run=crash, restart=Restart.TEMPORARY))
            await supervisor.stop()
    assert [entry["event"] for entry in entries] == ["actor.crashed"]


# ----------------------------------------------------------------------------------------------------------- quarantine


async def test_quarantine_doubles_up_to_its_cap(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="child", run=crash))
        await trio.sleep(300 + 600 + 1200 + 2400 + 3600 + 3600 + 1.0)
    seconds = [entry["seconds"] for entry in events(journal, "actor.quarantined")]
    assert seconds == [300, 600, 1200, 2400, 3600, 3600, 3600]
    assert len(events(journal, "actor.retried")) == 6


async def test_a_retry_begins_with_a_clean_slate(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="child", run=crash, quarantine_s=1.0))
        await trio.sleep(2.0)
        report = report_of(supervisor, "child")
        assert (report.quarantines, report.restarts) == (2, 10)


async def test_quarantined_for_ever_does_not_overflow(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="child", run=crash, intensity=0, quarantine_s=1.0, quarantine_cap_s=1.0))
        await trio.sleep(2000.5)
        assert report_of(supervisor, "child").quarantines == 2001


async def test_a_retry_that_works_is_the_end_of_it(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    runs = 0

    async def recovers(task_status: trio.TaskStatus[None]) -> None:
        nonlocal runs
        runs += 1
        if runs <= 6:
            raise ValueError("bug")
        await serve(task_status)

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=recovers))
        await trio.sleep(301.0)
        report = report_of(supervisor, "child")
        assert (report.state, report.restarts, report.quarantines) == (ChildState.RUNNING, 5, 1)
        assert report.since_ns == pytest.approx(START_NS + 300 * NS_PER_S, abs=2)
        assert report.last_error == "ValueError: bug"
    assert events(journal)[-2:] == ["actor.quarantined", "actor.retried"]


async def test_the_understudy_plays_and_is_gone_before_the_retry(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    diary: list[tuple[float, str]] = []

    async def child(task_status: trio.TaskStatus[None]) -> None:
        diary.append((trio.current_time(), "child"))
        raise ValueError("bug")

    async def understudy() -> None:
        diary.append((trio.current_time(), "understudy"))
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2.0)
            diary.append((trio.current_time(), "bows"))

    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="child", run=child, intensity=0, understudy=understudy))
        await trio.sleep(310.0)
    assert diary == [
        (0.0, "child"),
        (0.0, "understudy"),
        (302.0, "bows"),
        (302.0, "child"),
        (302.0, "understudy"),
        (312.0, "bows"),
    ]


async def test_a_crashing_understudy_is_called_back_after_growing_pauses(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    calls: list[float] = []

    async def understudy() -> None:
        calls.append(trio.current_time())
        raise KeyError("line")

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="sibling", run=serve))
        await supervisor.start(ChildSpec(name="child", run=crash, intensity=0, understudy=understudy))
        await trio.sleep(100.0)
        assert calls == [0, 1, 3, 7, 15, 31, 61, 91]
        assert state_of(supervisor, "sibling") is ChildState.RUNNING
        report = report_of(supervisor, "child")
        assert (report.state, report.last_error) == (ChildState.QUARANTINED, "ValueError: bug")
    assert [entry["error_type"] for entry in events(journal, "actor.understudy_crashed")] == ["KeyError"] * 8


async def test_an_understudy_that_has_finished_is_not_called_back(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    calls = 0

    async def understudy() -> None:
        nonlocal calls
        calls += 1

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=crash, intensity=0, understudy=understudy))
        await trio.sleep(299.0)
        assert calls == 1


# ----------------------------------------------------------------------------------------------------------- escalation


@pytest.mark.parametrize(
    ("down", "healthy", "bystanders", "fails"),
    [
        (3, 0, 9, False),  # too few count
        (2, 2, 0, False),  # half is not more than half
        (3, 1, 0, True),
        (3, 1, 9, True),  # those who do not count do not dilute
        (3, 3, 0, False),
        (4, 3, 0, True),
    ],
)
async def test_fails_when_more_than_half_of_at_least_four_are_down(
    autojump_clock: MockClock, log: FilteringBoundLogger, down: int, healthy: int, bystanders: int, fails: bool
) -> None:
    supervisor = Supervisor(Clock.anchored(START_NS), log=log)
    failures: list[SupervisorFailure] = []

    async def run(task_status: trio.TaskStatus[None]) -> None:
        try:
            await supervisor.run(task_status=task_status)
        except SupervisorFailure as failure:
            failures.append(failure)

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        for index in range(healthy):
            await supervisor.start(ChildSpec(name=f"healthy {index}", run=serve))
        for index in range(bystanders):
            await supervisor.start(ChildSpec(name=f"bystander {index}", run=crash, counts=False))
        for index in range(down):
            await supervisor.start(ChildSpec(name=f"down {index}", run=crash))
        await wait_all_tasks_blocked()
        assert bool(failures) is fails
        if not fails:
            assert len(supervisor.children()) == down + healthy + bystanders
            await supervisor.stop()
    assert supervisor.children() == ()


async def test_failure_stops_the_children_in_order_and_leaves_run_as_it_is(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    life = Life()
    supervisor = Supervisor(Clock.anchored(START_NS), log=log, escalation_minimum=1)

    async def children() -> None:
        await supervisor.start(ChildSpec(name="first", run=life.run, stop=life.finish.set, counts=False))
        supervisor.start_soon(ChildSpec(name="down", run=crash))

    with pytest.raises(SupervisorFailure, match="1 of 1"):  # not a group
        await run_with(supervisor, children)
    assert life.diary == ["child begins", "child ends"]
    assert events(journal, "supervisor.failed")[0]["log_level"] == "critical"
    await supervisor.stop()


async def run_with(supervisor: Supervisor, children: Callable[[], Awaitable[None]]) -> None:
    """Run the supervisor in this task, and `children` beside it."""

    class Status:
        def started(self, value: None = None) -> None:
            trio.lowlevel.spawn_system_task(children)

    await supervisor.run(task_status=Status())


async def test_a_crash_while_stopping_does_not_escalate(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async def stubborn(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        with trio.CancelScope(shield=True):
            await trio.sleep(1.0)

    async with running(log, escalation_minimum=1) as supervisor:
        await supervisor.start(ChildSpec(name="doomed", run=crash_after_a_second, intensity=0))
        await supervisor.start(ChildSpec(name="stubborn", run=stubborn))
        await trio.sleep(0.5)
    assert supervisor.children() == ()


# ----------------------------------------------------------------------------------------------------- stopping a child


async def test_a_child_without_a_word_for_it_is_cancelled_at_once(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    life = Life()
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=life.run))
        await supervisor.stop_child("child")
        assert life.diary == ["child begins", "child ends"]
        assert supervisor.children() == ()
        assert trio.current_time() == 0.0


async def test_a_child_that_is_asked_finishes_in_its_own_time(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    asked = trio.Event()

    async def child(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await asked.wait()
        await trio.sleep(1.9)

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=child, stop=asked.set))
        await supervisor.stop_child("child")
        assert trio.current_time() == 1.9
    assert events(journal) == []


async def test_a_child_that_ignores_the_request_is_cancelled_after_its_time(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=serve, stop=lambda: None, shutdown_s=7.0))
        await supervisor.stop_child("child")
        assert trio.current_time() == pytest.approx(7.0, abs=1e-8)
        assert supervisor.children() == ()
    assert events(journal) == []


async def test_shielded_cleanup_within_its_time_is_waited_for(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async def tidy(task_status: trio.TaskStatus[None]) -> None:
        try:
            await serve(task_status)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2.0)

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="tidy", run=tidy))
        await supervisor.stop_child("tidy")
        assert trio.current_time() == 2.0
        assert supervisor.children() == ()
    assert events(journal) == []


async def test_an_overdue_child_keeps_its_name_until_it_is_gone(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async def overdue(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        with trio.CancelScope(shield=True):
            await trio.sleep(100.0)

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="overdue", run=overdue))
        await supervisor.stop_child("overdue")
        assert 2.0 < trio.current_time() < 3.0
        assert state_of(supervisor, "overdue") is ChildState.STOPPING
        with pytest.raises(ValueError, match="overdue"):
            supervisor.start_soon(ChildSpec(name="overdue", run=serve))
        await trio.sleep_until(100.5)
        assert supervisor.children() == ()
        await supervisor.start(ChildSpec(name="overdue", run=serve))
    assert events(journal) == ["actor.overdue"]


async def test_a_cancelled_stop_child_still_stops_the_child(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=serve, stop=lambda: None))
        with trio.move_on_after(0.5):
            await supervisor.stop_child("child")
        assert state_of(supervisor, "child") is ChildState.STOPPING
        await trio.sleep(2.0)
        assert supervisor.children() == ()


async def test_stopping_one_child_twice_asks_it_once(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    asked: list[float] = []
    async with running(log) as supervisor:
        await supervisor.start(
            ChildSpec(name="child", run=serve, stop=lambda: asked.append(trio.current_time()), shutdown_s=1.0)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.stop_child, "child")
            await trio.sleep(0.5)
            nursery.start_soon(supervisor.stop_child, "child")
        assert asked == [0.0]
        assert trio.current_time() == pytest.approx(1.0, abs=1e-8)


async def test_stopping_nobody_is_a_checkpoint(log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        with trio.testing.assert_checkpoints():
            await supervisor.stop_child("nobody")


async def test_a_request_that_raises_is_logged_and_the_child_is_cancelled(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    def stop() -> None:
        raise KeyError("who?")

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=serve, stop=stop))
        await supervisor.stop_child("child")
        assert trio.current_time() == 0.0
        assert supervisor.children() == ()
    assert events(journal) == ["actor.stop_failed"]


async def test_a_child_may_stop_itself(log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:

        async def child(task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            await supervisor.stop_child("child")

        await supervisor.start(ChildSpec(name="child", run=child))
        await wait_all_tasks_blocked()
        assert supervisor.children() == ()


async def test_a_name_is_free_again_after_stop_child(log: FilteringBoundLogger) -> None:
    life = Life()
    async with running(log) as supervisor:
        for _ in range(3):
            await supervisor.start(ChildSpec(name="child", run=life.run))
            await supervisor.stop_child("child")
    assert life.diary == ["child begins", "child ends"] * 3


async def test_a_name_is_free_again_after_its_child_has_ended(log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        for _ in range(3):
            await supervisor.start(ChildSpec(name="child", run=crash, restart=Restart.TEMPORARY))
            await wait_all_tasks_blocked()
        assert [(report.name, report.state) for report in supervisor.children()] == [("child", ChildState.STOPPED)]
        await supervisor.stop_child("child")
        assert supervisor.children() == ()


async def test_a_name_in_use_again_has_one_report(log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=crash, restart=Restart.TEMPORARY))
        await wait_all_tasks_blocked()
        await supervisor.start(ChildSpec(name="child", run=serve))
        assert [(report.name, report.state) for report in supervisor.children()] == [("child", ChildState.RUNNING)]


@pytest.mark.parametrize("attempt", range(10))
async def test_stop_in_the_very_moment_of_the_retry(
    autojump_clock: MockClock, log: FilteringBoundLogger, attempt: int
) -> None:
    """Whichever of the two wakes first, which is trio's throw of a coin."""
    life = Life()

    async def child(task_status: trio.TaskStatus[None]) -> None:
        if trio.current_time() < 300.0:
            raise ValueError("bug")
        await life.run(task_status)

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=child, intensity=0))
        await trio.sleep_until(report_of(supervisor, "child").since_ns / NS_PER_S - START_NS / NS_PER_S + 300.0)
        await supervisor.stop_child("child")
        assert supervisor.children() == ()
        assert trio.current_time() == 300.0
    assert life.diary in ([], ["child begins", "child ends"])


async def test_reports_of_the_ended_are_kept_in_bounded_number(log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        for index in range(3 * ENDED_KEPT):
            await supervisor.start(ChildSpec(name=f"child {index}", run=crash, restart=Restart.TEMPORARY))
            await wait_all_tasks_blocked()
        names = [report.name for report in supervisor.children()]
        assert names == [f"child {index}" for index in range(2 * ENDED_KEPT, 3 * ENDED_KEPT)]


@pytest.mark.parametrize("polite", [False, True])
@pytest.mark.parametrize("restart", list(Restart))
async def test_a_crash_on_the_way_out_is_logged_but_not_restarted(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture, polite: bool, restart: Restart
) -> None:
    asked = trio.Event()
    runs = 0

    async def child(task_status: trio.TaskStatus[None]) -> None:
        nonlocal runs
        runs += 1
        task_status.started()
        try:
            await asked.wait()
        finally:
            raise ValueError("bug")

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=child, restart=restart, stop=asked.set if polite else None))
        await supervisor.stop_child("child")
        assert supervisor.children() == ()
    assert runs == 1
    assert events(journal) == ["actor.crashed"]


# ---------------------------------------------------------------------------------------- stopping at the wrong moments


async def test_stop_before_the_first_step_is_no_run_at_all(log: FilteringBoundLogger) -> None:
    life = Life()
    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="child", run=life.run, stop=life.finish.set))
        await supervisor.stop_child("child")
        assert supervisor.children() == ()
    assert life.runs == 0


@pytest.mark.parametrize("polite", [False, True])
@pytest.mark.parametrize("steps", range(40))
async def test_stop_during_restarts_never_leaves_a_run_behind(
    autojump_clock: MockClock, log: FilteringBoundLogger, polite: bool, steps: int
) -> None:
    """Stops a crash loop after every possible number of scheduler steps, and hence at every point of it."""
    alive = 0
    runs_when_gone: list[int] = []
    runs = 0

    async def child(task_status: trio.TaskStatus[None]) -> None:
        nonlocal alive, runs
        runs += 1
        alive += 1
        try:
            await trio.lowlevel.checkpoint()
            raise ValueError("bug")
        finally:
            alive -= 1

    async with running(log) as supervisor:
        supervisor.start_soon(
            ChildSpec(name="child", run=child, intensity=1000, stop=(lambda: None) if polite else None)
        )
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        await supervisor.stop_child("child")
        assert alive == 0
        runs_when_gone.append(runs)
        await trio.sleep(10.0)
        assert supervisor.children() == ()
    assert [runs] == runs_when_gone
    assert trio.current_time() == 10.0, "nothing of it had to wait"


@pytest.mark.parametrize("steps", range(20))
async def test_a_request_that_finds_nobody_between_two_runs_is_not_forgotten(
    autojump_clock: MockClock, log: FilteringBoundLogger, steps: int
) -> None:
    """The request goes to whoever is running, and there is not always somebody."""
    current: list[trio.Event] = []
    runs = 0

    async def child(task_status: trio.TaskStatus[None]) -> None:
        nonlocal runs
        runs += 1
        asked = trio.Event()
        current.append(asked)
        try:
            await trio.lowlevel.checkpoint()
            if runs < 4:
                raise ValueError("bug")
            await asked.wait()
        finally:
            current.remove(asked)

    def stop() -> None:
        for asked in current:
            asked.set()

    async with running(log) as supervisor:
        supervisor.start_soon(ChildSpec(name="child", run=child, stop=stop))
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        await supervisor.stop_child("child")
        assert supervisor.children() == ()
        assert trio.current_time() == 0.0


@pytest.mark.parametrize("polite", [False, True])
async def test_stop_during_quarantine_takes_the_understudy_along(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture, polite: bool
) -> None:
    understudy = Life("understudy")

    async def play() -> None:
        await understudy.run(trio.TASK_STATUS_IGNORED)

    def never() -> None:
        pytest.fail("there is nobody to ask")

    async with running(log) as supervisor:
        await supervisor.start(
            ChildSpec(name="child", run=crash, intensity=0, understudy=play, stop=never if polite else None)
        )
        await trio.sleep(1.0)
        await supervisor.stop_child("child")
        assert trio.current_time() == 1.0
        assert understudy.diary == ["understudy begins", "understudy ends"]
        assert supervisor.children() == ()
    assert "actor.retried" not in events(journal)


async def test_stop_while_the_understudy_leaves_for_the_retry(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    runs = 0

    async def child(task_status: trio.TaskStatus[None]) -> None:
        nonlocal runs
        runs += 1
        raise ValueError("bug")

    async def understudy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1.0)

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=child, intensity=0, understudy=understudy))
        await trio.sleep_until(300.5)
        await supervisor.stop_child("child")
        assert trio.current_time() == pytest.approx(301.0, abs=1e-6)
        assert supervisor.children() == ()
    assert runs == 1
    assert events(journal) == ["actor.crashed", "actor.quarantined"]


async def test_stop_while_a_broken_understudy_pauses(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async def understudy() -> None:
        raise KeyError("line")

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=crash, intensity=0, understudy=understudy))
        await trio.sleep(0.5)
        await supervisor.stop_child("child")
        assert trio.current_time() == 0.5


# ------------------------------------------------------------------------------------------------------ stopping it all


async def test_children_stop_in_reverse_order_one_after_the_other(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    diary: list[str] = []
    async with running(log) as supervisor:
        for name in "abcd":
            life = Life(name, diary)
            stop = life.finish.set if name in "ac" else None
            await supervisor.start(ChildSpec(name=name, run=life.run, stop=stop))
        diary.clear()
    assert diary == ["d ends", "c ends", "b ends", "a ends"]


async def test_the_next_one_is_asked_only_after_the_one_before_is_gone(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    asked: dict[str, float] = {}
    gone: dict[str, float] = {}

    def spec(name: str) -> ChildSpec:
        event = trio.Event()

        async def child(task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            await event.wait()
            asked[name] = trio.current_time()
            await trio.sleep(0.5)
            gone[name] = trio.current_time()

        return ChildSpec(name=name, run=child, stop=event.set, counts=False)

    async with running(log) as supervisor:
        for name in "abc":
            await supervisor.start(spec(name))
    assert asked == {"c": 0.0, "b": 0.5, "a": 1.0}
    assert gone == {"c": 0.5, "b": 1.0, "a": 1.5}


async def test_slow_peers_do_not_wait_for_each_other_but_the_others_wait_for_them_all(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    gone: list[tuple[str, float]] = []

    def spec(name: str, counts: bool) -> ChildSpec:
        event = trio.Event()

        async def child(task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            await event.wait()
            await trio.sleep(1.5)
            gone.append((name, trio.current_time()))

        return ChildSpec(name=name, run=child, stop=event.set, counts=counts)

    async with running(log) as supervisor:
        await supervisor.start(spec("recorder", counts=False))
        for index in range(50):
            await supervisor.start(spec(f"market {index}", counts=True))
    assert [name for name, _ in gone] == [f"market {index}" for index in reversed(range(50))] + ["recorder"]
    assert gone[-2][1] < 1.8
    assert gone[-1][1] == pytest.approx(gone[-2][1] + 1.5, abs=1e-6)
    assert events(journal) == []


@pytest.mark.parametrize(("counts", "seconds"), [(True, [2.0, 2.0, 2.0]), (False, [2.0, 4.0, 5.0])])
async def test_stubborn_children_together_take_no_more_than_five_seconds(
    log: FilteringBoundLogger, journal: LogCapture, counts: bool, seconds: list[float], autojump_clock: MockClock
) -> None:
    for count, expected in zip([1, 2, 50], seconds, strict=True):
        began = trio.current_time()
        async with running(log) as supervisor:
            for index in range(count):
                await supervisor.start(ChildSpec(name=str(index), run=serve, stop=lambda: None, counts=counts))
            await supervisor.stop()
            took = trio.current_time() - began
            assert expected - 0.8 < took < expected + 0.2
            assert took <= 5.0
            await wait_all_tasks_blocked()
            assert supervisor.children() == ()


async def test_a_peer_of_the_hasty_still_has_its_own_time(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    asked = trio.Event()
    finished: list[float] = []

    async def slow(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await asked.wait()
        await trio.sleep(1.7)
        finished.append(trio.current_time())

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="slow", run=slow, stop=asked.set))
        await supervisor.start(ChildSpec(name="hasty", run=serve, stop=lambda: None, shutdown_s=0.1))
    assert finished == [pytest.approx(1.8, abs=0.1)]
    assert events(journal) == []


async def test_the_first_one_started_has_its_time_though_the_last_one_wasted_its_own(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    asked = trio.Event()
    flushed: list[float] = []

    async def recorder(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await asked.wait()
        await trio.sleep(1.9)
        flushed.append(trio.current_time())

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="recorder", run=recorder, stop=asked.set, counts=False))
        await supervisor.start(ChildSpec(name="stubborn", run=serve, stop=lambda: None))
    assert flushed == [pytest.approx(3.9, abs=1e-6)]


async def test_stop_gives_up_on_a_shielded_child_but_run_does_not(
    autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async def shielded(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        with trio.CancelScope(shield=True):
            await trio.sleep(60.0)

    life = Life("sibling")
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="sibling", run=life.run))
        await supervisor.start(ChildSpec(name="shielded", run=shielded, shutdown_s=30.0))
        await supervisor.stop()
        assert trio.current_time() <= 5.0
        assert life.diary == ["sibling begins", "sibling ends"]
        assert [report.name for report in supervisor.children()] == ["shielded"]
    assert trio.current_time() == 60.0
    assert events(journal) == ["actor.overdue"]


async def test_stop_is_idempotent_and_shared(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=serve, stop=lambda: None))
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(supervisor.stop)
        assert trio.current_time() == pytest.approx(2.0, abs=1e-6)
        await supervisor.stop()


async def test_a_cancelled_stop_goes_on(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=serve, stop=lambda: None))
        with trio.move_on_after(0.5):
            await supervisor.stop()
        with pytest.raises(SupervisorStopped):
            supervisor.start_soon(ChildSpec(name="late", run=serve))
        await trio.sleep(5.0)
        assert supervisor.children() == ()


async def test_stop_before_run_makes_it_a_short_one(log: FilteringBoundLogger) -> None:
    supervisor = Supervisor(Clock.anchored(), log=log)
    with trio.testing.assert_checkpoints():
        await supervisor.stop()
    await supervisor.run()
    assert supervisor.children() == ()


async def test_a_child_may_stop_them_all(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    supervisor = Supervisor(Clock.anchored(START_NS), log=log)

    async def child(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await supervisor.stop()

    async def children() -> None:
        await supervisor.start(ChildSpec(name="sibling", run=serve))
        supervisor.start_soon(ChildSpec(name="child", run=child))

    await run_with(supervisor, children)
    assert supervisor.children() == ()
    assert trio.current_time() == 0.0


async def test_cancelling_run_cancels_the_children_at_once(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    diary: list[str] = []
    supervisor = Supervisor(Clock.anchored(START_NS), log=log)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: supervisor.run(task_status=task_status))
        for name in "ab":
            await supervisor.start(ChildSpec(name=name, run=Life(name, diary).run, stop=lambda: None))
        nursery.cancel_scope.cancel()
    assert Counter(diary) == Counter(["a begins", "b begins", "a ends", "b ends"])
    with pytest.raises(SupervisorStopped):
        supervisor.start_soon(ChildSpec(name="late", run=serve))
    await supervisor.stop()
    assert trio.current_time() == 0.0


async def test_a_child_that_crashes_on_cancellation_is_not_restarted_while_run_is_cancelled(
    log: FilteringBoundLogger, journal: LogCapture
) -> None:
    async def spiteful(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise ValueError("bug") from None

    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(Clock.anchored(START_NS), log=log)
        await nursery.start(lambda task_status: supervisor.run(task_status=task_status))
        await supervisor.start(ChildSpec(name="spiteful", run=spiteful, intensity=1000))
        nursery.cancel_scope.cancel()
    assert events(journal).count("actor.crashed") == 1


# ------------------------------------------------------------------------------------------------------------ endurance


@pytest.mark.untraced
async def test_ten_thousand_crashes_cost_nothing_and_delay_nobody(autojump_clock: MockClock) -> None:
    silent: FilteringBoundLogger = structlog.wrap_logger(
        None, processors=[drop], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    crashes = 0
    measured: list[tuple[int, int]] = []
    ticks: list[float] = []

    async def crash_loop(task_status: trio.TaskStatus[None]) -> None:
        nonlocal crashes
        crashes += 1
        task_status.started()
        if crashes in {2_000, 12_000}:
            gc.collect()
            measured.append((trio.lowlevel.current_statistics().tasks_living, len(gc.get_objects())))
        if crashes > 12_000:
            await trio.sleep_forever()
        if crashes % 10 == 0:
            await trio.sleep(0.01)
        raise ValueError("bug")

    async def ticker(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        while True:
            await trio.sleep_until(len(ticks) + 1.0)
            ticks.append(trio.current_time())

    async with running(silent) as supervisor:
        await supervisor.start(ChildSpec(name="ticker", run=ticker))
        # A restart is remembered for one period, so the period is short.
        await supervisor.start(ChildSpec(name="crash loop", run=crash_loop, intensity=10**9, period_s=0.001))
        await trio.sleep(20.0)
        assert report_of(supervisor, "crash loop").restarts == 12_000
    (tasks_before, objects_before), (tasks_after, objects_after) = measured
    assert tasks_after == tasks_before
    assert objects_after - objects_before < 200
    assert ticks == pytest.approx(list(range(1, 21)), abs=1e-6)


def drop(logger: object, name: str, entry: object) -> Any:
    raise structlog.DropEvent


async def test_exceptions_of_earlier_runs_do_not_pile_up_in_the_context_of_later_ones(
    autojump_clock: MockClock, log: FilteringBoundLogger
) -> None:
    contexts: list[BaseException | None] = []

    async def child(task_status: trio.TaskStatus[None]) -> None:
        try:
            raise ValueError("bug")
        except ValueError as error:
            contexts.append(error.__context__)
            raise

    async with running(log) as supervisor:
        await supervisor.start(ChildSpec(name="child", run=child))
        await trio.sleep(1000.0)
    assert contexts == [None] * len(contexts)
    assert len(contexts) == 18


@pytest.mark.untraced
async def test_ten_thousand_children_come_and_go(autojump_clock: MockClock, log: FilteringBoundLogger) -> None:
    async with running(log) as supervisor:
        tasks = trio.lowlevel.current_statistics().tasks_living
        for index in range(10_000):
            await supervisor.start(ChildSpec(name=f"market {index}", run=serve))
            await supervisor.stop_child(f"market {index}")
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert supervisor.children() == ()


@attrs.define
class Stage:
    """Who is on stage under each name; nobody may share it."""

    rng: random.Random
    on: Counter[str] = attrs.field(factory=Counter)
    entries: int = 0

    @asynccontextmanager
    async def role(self, name: str) -> AsyncIterator[None]:
        self.entries += 1
        self.on[name] += 1
        assert self.on[name] == 1, f"{name} is played twice"
        try:
            yield
        finally:
            if self.rng.random() < 0.3:
                with trio.CancelScope(shield=True):
                    await trio.sleep(self.rng.choice([0.0, 0.5, 1.5]))
            self.on[name] -= 1

    def spec(self, name: str) -> ChildSpec:
        asked = trio.Event()

        async def run(task_status: trio.TaskStatus[None]) -> None:
            if self.rng.random() < 0.1:
                raise ValueError("stillborn")
            async with self.role(name):
                await trio.sleep(self.rng.choice([0.0, 0.1]))
                task_status.started()
                with trio.move_on_after(self.rng.choice([0.0, 1.0, 20.0])):
                    await asked.wait()
                    return
                if self.rng.random() < 0.7:
                    raise ExceptionGroup("bugs", [ValueError("bug")])

        async def understudy() -> None:
            async with self.role(name):
                await trio.sleep(self.rng.choice([0.0, 3.0, 1000.0]))
                raise KeyError("line")

        return ChildSpec(
            name=name,
            run=run,
            restart=self.rng.choice(list(Restart)),
            intensity=self.rng.choice([0, 1, 5]),
            quarantine_s=self.rng.choice([0.0, 1.0, 5.0]),
            understudy=self.rng.choice([None, understudy]),
            stop=self.rng.choice([None, asked.set, lambda: None]),
            shutdown_s=self.rng.choice([0.0, 1.0, 2.0]),
            counts=False,
        )


@pytest.mark.parametrize("seed", range(30))
async def test_no_role_is_ever_played_twice_and_the_stage_is_empty_in_the_end(
    seed: int, autojump_clock: MockClock, log: FilteringBoundLogger, journal: LogCapture
) -> None:
    stage = Stage(rng=random.Random(seed))
    names = [f"child {index}" for index in range(6)]

    async def direct(supervisor: Supervisor) -> None:
        for _ in range(40):
            name = stage.rng.choice(names)
            with trio.move_on_after(stage.rng.choice([0.0, 1.0, 5.0])):
                if stage.rng.random() < 0.5:
                    await supervisor.stop_child(name)
                elif name not in {report.name for report in supervisor.children()}:
                    await supervisor.start(stage.spec(name))
            await trio.sleep(stage.rng.choice([0.0, 0.0, 0.5, 3.0]))

    async with running(log) as supervisor:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(direct, supervisor)
        await supervisor.stop()
        await trio.sleep(2.0)
        assert +stage.on == Counter()
        assert [report for report in supervisor.children() if report.state is not ChildState.STOPPED] == []
        assert trio.lowlevel.current_statistics().tasks_living == tasks - 1, "all but the supervisor's own"
    assert stage.entries > 20
    assert not [entry for entry in events(journal, "actor.crashed") if "played twice" in entry["error"]]
    assert not [entry for entry in events(journal, "actor.understudy_crashed") if "played twice" in entry["error"]]
