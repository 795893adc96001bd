"""A child by itself: the table of restarts, the intensity within its period, the growth of quarantine, the report."""

import itertools
from typing import Any

import attrs
import pytest
import trio

from actors.child import RUNS_AGAIN, Child, ChildReport, ChildSpec, ChildState, Restart
from actors.clock import NS_PER_S
from actors.crash import Ending

START_NS = 1_000 * NS_PER_S


async def serve(task_status: trio.TaskStatus[None]) -> None:
    task_status.started()


def a_child(**options: Any) -> Child:
    spec = ChildSpec(**{"name": "child", "run": serve, **options})
    return Child(spec=spec, state=ChildState.STARTING, since_ns=START_NS)


def restarted_at(child: Child, *seconds: int) -> Child:
    child.recent.extend(START_NS + second * NS_PER_S for second in seconds)
    return child


# ------------------------------------------------------------------------------------------------------------- the spec


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"intensity": -1},
        {"period_s": -1.0},
        {"shutdown_s": float("inf")},
        {"quarantine_s": float("nan")},
        {"quarantine_cap_s": float("inf")},
    ],
)
def test_impossible_specs_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ChildSpec(**{"name": "child", "run": serve, **wrong})


def test_a_spec_is_a_value() -> None:
    spec = ChildSpec(name="child", run=serve)
    assert spec == ChildSpec(name="child", run=serve)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        spec.name = "other"  # type: ignore[misc]


# ----------------------------------------------------------------------------------------------------------- restarting


def test_the_table_is_complete() -> None:
    assert set(RUNS_AGAIN) == set(itertools.product(Restart, Ending))


@pytest.mark.parametrize(("restart", "ending"), list(RUNS_AGAIN))
def test_a_child_that_was_asked_to_stop_never_runs_again(restart: Restart, ending: Ending) -> None:
    child = a_child(restart=restart)
    assert child.runs_again(ending) is RUNS_AGAIN[restart, ending]
    child.asked = True
    assert not child.runs_again(ending)


@pytest.mark.parametrize(
    ("seconds", "granted"),
    [
        ((), True),
        ((0,), True),
        ((0, 59), False),
        ((0, 60), False),  # what is exactly one period old still counts
        ((0, 61), True),
        ((0, 61, 61), False),
    ],
)
def test_as_many_restarts_as_the_intensity_fit_into_one_period(seconds: tuple[int, ...], granted: bool) -> None:
    child = restarted_at(a_child(intensity=2, period_s=60.0), *seconds)
    assert child.may_restart(START_NS + max(seconds, default=0) * NS_PER_S) is granted


def test_restarts_before_the_period_are_forgotten() -> None:
    child = restarted_at(a_child(period_s=60.0), 0, 10, 20, 100)
    assert child.may_restart(START_NS + 100 * NS_PER_S)
    assert list(child.recent) == [START_NS + 100 * NS_PER_S]


def test_intensity_zero_grants_nothing() -> None:
    assert not a_child(intensity=0).may_restart(START_NS)


@pytest.mark.parametrize(
    ("quarantines", "seconds"), [(0, 300.0), (1, 600.0), (2, 1200.0), (3, 2400.0), (4, 3600.0), (10_000, 3600.0)]
)
def test_quarantine_doubles_up_to_its_cap(quarantines: int, seconds: float) -> None:
    child = a_child()
    child.quarantines = quarantines
    assert child.next_quarantine_s() == seconds


# ----------------------------------------------------------------------------------------------------------- the record


def test_a_report_is_of_its_moment() -> None:
    child = a_child()
    before = child.report()
    child.become(ChildState.QUARANTINED, START_NS + 7)
    child.restarts, child.quarantines, child.last_error = 5, 1, "ValueError: bug"
    assert before == ChildReport(
        name="child", state=ChildState.STARTING, restarts=0, quarantines=0, last_error=None, since_ns=START_NS
    )
    assert child.report() == ChildReport(
        name="child",
        state=ChildState.QUARANTINED,
        restarts=5,
        quarantines=1,
        last_error="ValueError: bug",
        since_ns=START_NS + 7,
    )


async def test_children_share_nothing() -> None:
    first, second = a_child(), a_child()
    assert first != second, "a record is itself, however equal its content"
    restarted_at(first, 0)
    first.gone.set()
    first.settled.set()
    first.scope.cancel()
    assert not second.recent
    assert not second.gone.is_set()
    assert not second.settled.is_set()
    assert not second.scope.cancel_called
