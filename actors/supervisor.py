"""One-for-one supervision in OTP's words: restart within an intensity, then quarantine, escalate when most are down.

Source of the words and of restart, intensity and period: Erlang/OTP Design Principles, "Supervisor Behaviour".
Quarantine replaces OTP's "end the whole tree", because the children are independent of each other.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import trio
from attrs import define
from structlog.typing import FilteringBoundLogger

from actors.child import Child, ChildReport, ChildSpec, ChildState
from actors.clock import NS_PER_S, Clock
from actors.crash import Ending, contained, summary, traceback_text, unwrapped
from actors.logs import default_logger

STOP_S: Final = 5.0
"""All children together may take this long to stop."""
ENDED_KEPT: Final = 64
"""So many reports of children that ended by themselves are kept."""
_PATIENT_SHARE: Final = 0.8  # of a child's time to stop; the rest is for unwinding once it has been cancelled
_TURN_SHARE: Final = 0.1  # of the time of a stage, for asking its members one by one
_UNWIND_S: Final = 0.1
_UNDERSTUDY_PAUSE_S: Final = 1.0
_UNDERSTUDY_PAUSE_CAP_S: Final = 30.0
_NOT_READY: Final = frozenset({ChildState.STARTING, ChildState.RESTARTING})


class SupervisorFailure(Exception):
    """More than the tolerated share of the counting children is quarantined at once: the fault is not theirs."""


class SupervisorStopped(RuntimeError):
    """No child can be started: the supervisor does not run yet, is stopping, or has stopped."""


@define(eq=False)
class _Readiness:
    """The task status of one run of one child; of no use after it."""

    child: Child
    clock: Clock
    used: bool = False

    def started(self, value: None = None) -> None:
        if self.used:
            raise RuntimeError("'started' called twice, or after the run was over")
        self.used = True
        if self.child.state in _NOT_READY:
            self.child.become(ChildState.RUNNING, self.clock.now_ns())
        self.child.settled.set()


class Supervisor:
    """Runs children one-for-one: what happens to one of them neither ends nor delays another.

    Expected faults stay inside the children; every exception that leaves one is a bug, is logged with its traceback
    (`actor.crashed`), and is answered by the spec. Restarts are immediate. Every run is a task of its own.
    A child that has ended for good is forgotten but for its report; of those, the last 64 are kept.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        log: FilteringBoundLogger | None = None,
        escalation_minimum: int = 4,
        escalation_share: float = 0.5,
    ) -> None:
        """Fail once more than `escalation_share` of at least `escalation_minimum` counting children are quarantined."""
        self._clock = clock
        self._log: FilteringBoundLogger = default_logger() if log is None else log
        self._escalation_minimum = escalation_minimum
        self._escalation_share = escalation_share
        self._children: dict[str, Child] = {}
        self._ended: dict[str, ChildReport] = {}
        self._nursery: trio.Nursery | None = None
        self._halt = trio.Event()
        self._down = trio.Event()
        self._failure: SupervisorFailure | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the children until `stop`; `started()` when they may be added. Once per supervisor (RuntimeError).

        Returns when every child has ended, however long its cleanup takes. Raises SupervisorFailure, after stopping
        the children, when too many are quarantined. Cancelling it cancels them all at once.
        """
        if self._nursery is not None:
            raise RuntimeError("a supervisor runs only once")
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await self._halt.wait()
                await self._stop_children()
                self._down.set()
        finally:
            self._halt.set()
            self._down.set()
        if self._failure is not None:
            raise self._failure

    async def start(self, spec: ChildSpec) -> None:
        """Start a child and wait until it is ready, or its first run is over, however it ended.

        Cancelling the wait does not stop the child. Raises ValueError if a child of that name has not ended,
        SupervisorStopped if there is nobody to run it.
        """
        await self._add(spec).settled.wait()

    def start_soon(self, spec: ChildSpec) -> None:
        """Start a child as `start` does, without waiting."""
        self._add(spec)

    async def stop_child(self, name: str) -> None:
        """Stop a child and forget it; nothing happens if there is none. A checkpoint.

        Returns when it is gone, or if that takes clearly longer than its `shutdown_s`; then its name remains taken
        until it is gone. Once asked it will be stopped in time even if this call is cancelled.
        """
        self._ended.pop(name, None)
        child = self._children.get(name)
        if child is None:
            await trio.lowlevel.checkpoint()
        else:
            await self._bring_down([child], _time_to_stop_s(child.spec))

    async def stop(self) -> None:
        """Stop all children, the last one started first, each one after the one before is gone; idempotent.

        Neighbours that count are peers, however: they are asked in that order, too, but a slow one does not keep the
        others waiting. Within 5 s in total: a child, or a row of peers, takes what it needs up to its `shutdown_s`, but
        no more than half of what is left of the 5, so that the first ones started, which the others depend on, get
        their turn. Returns when all are gone, or after 5 s; a child that shields itself for longer holds up `run`.
        """
        self._halt.set()
        if self._nursery is None:
            await trio.lowlevel.checkpoint()
        else:
            await self._down.wait()

    def children(self) -> tuple[ChildReport, ...]:
        """The children in start order, followed by the last ones that ended by themselves (STOPPED)."""
        return (*(child.report() for child in self._children.values()), *self._ended.values())

    def _add(self, spec: ChildSpec) -> Child:
        if self._nursery is None or self._halt.is_set():
            raise SupervisorStopped(f"cannot start {spec.name!r}: the supervisor is not running")
        if spec.name in self._children:
            raise ValueError(f"there is a child named {spec.name!r} already")
        self._ended.pop(spec.name, None)
        child = Child(spec=spec, state=ChildState.STARTING, since_ns=self._clock.now_ns())
        self._children[spec.name] = child
        self._nursery.start_soon(self._keep, child, name=f"keeper of {spec.name}")
        return child

    async def _keep(self, child: Child) -> None:
        try:
            with child.scope:
                await self._live(child)
        finally:
            self._forget(child)
            child.settled.set()
            child.gone.set()

    async def _live(self, child: Child) -> None:
        while not child.asked:
            ending = await self._run_once(child)
            child.settled.set()
            if not child.runs_again(ending):
                return
            await self._before_next_run(child)
            # Gives the siblings their turn in a crash loop, and keeps a cancelled child from one more run.
            await trio.lowlevel.checkpoint()

    async def _run_once(self, child: Child) -> Ending:
        readiness = _Readiness(child, self._clock)

        async def run() -> None:
            # A request to stop that came before the first step found nobody to hear it.
            if not child.asked:
                await child.spec.run(readiness)

        try:
            return await contained(run, lambda crash: self._crashed(child, crash), name=child.spec.name)
        finally:
            readiness.used = True

    async def _before_next_run(self, child: Child) -> None:
        now_ns = self._clock.now_ns()
        if child.may_restart(now_ns):
            child.recent.append(now_ns)
            child.restarts += 1
            child.become(ChildState.RESTARTING, now_ns)
            self._say(self._log.warning, "actor.restarted", child, restarts=child.restarts)
        else:
            await self._quarantine(child)
            child.recent.clear()
            child.become(ChildState.RESTARTING, self._clock.now_ns())
            self._say(self._log.info, "actor.retried", child, quarantines=child.quarantines)

    async def _quarantine(self, child: Child) -> None:
        seconds = child.next_quarantine_s()
        until_ns = self._clock.now_ns() + round(seconds * NS_PER_S)
        child.quarantines += 1
        child.become(ChildState.QUARANTINED, self._clock.now_ns())
        self._say(self._log.error, "actor.quarantined", child, seconds=seconds, quarantines=child.quarantines)
        self._escalate()
        async with trio.open_nursery() as nursery:
            if child.spec.understudy is not None:
                nursery.start_soon(self._play, child, child.spec.understudy)
            await self._clock.sleep_until(until_ns)
            nursery.cancel_scope.cancel()

    async def _play(self, child: Child, understudy: Callable[[], Awaitable[None]]) -> None:
        """Keep the understudy on stage; the pauses after its crashes grow, for the sake of the log."""
        pause_s = _UNDERSTUDY_PAUSE_S
        while Ending.CRASHED is await contained(
            understudy,
            lambda crash: self._say_error("actor.understudy_crashed", child, crash),
            name=f"understudy of {child.spec.name}",
        ):
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s, _UNDERSTUDY_PAUSE_CAP_S)

    def _escalate(self) -> None:
        counting = [child for child in self._children.values() if child.spec.counts]
        quarantined = sum(child.state is ChildState.QUARANTINED for child in counting)
        tolerated = self._escalation_share * len(counting)
        if self._halt.is_set() or len(counting) < self._escalation_minimum or quarantined <= tolerated:
            return
        self._failure = SupervisorFailure(f"{quarantined} of {len(counting)} children are quarantined")
        self._say(self._log.critical, "supervisor.failed", quarantined=quarantined, counting=len(counting))
        self._halt.set()

    async def _stop_children(self) -> None:
        ends_ns = self._clock.now_ns() + round(STOP_S * NS_PER_S)
        stages = _stages(self._children.values())
        while stages:
            stage = stages.pop()
            left_s = max(0.0, (ends_ns - self._clock.now_ns()) / NS_PER_S)
            wanted_s = max(_time_to_stop_s(child.spec) for child in stage)
            await self._bring_down(stage, min(wanted_s, left_s / 2 if stages else left_s))

    async def _bring_down(self, children: list[Child], within_s: float) -> None:
        """Ask them one by one, each one a moment after the one before or once that is gone; then wait for all."""
        now_ns = self._clock.now_ns()
        last_call_ns = now_ns + round(_PATIENT_SHARE * within_s * NS_PER_S)
        for child in children:
            self._ask_to_stop(child, last_call_ns)
            with trio.move_on_after(_TURN_SHARE * within_s / len(children)):
                await child.gone.wait()
        with trio.CancelScope(deadline=self._clock.trio_time(now_ns + round(within_s * NS_PER_S))):
            for child in children:
                await child.gone.wait()
        for child in children:
            if not child.gone.is_set():
                self._say(self._log.error, "actor.overdue", child, seconds=within_s)

    def _ask_to_stop(self, child: Child, last_call_ns: int) -> None:
        # The scope itself keeps the time, so that whoever waits for the child may leave early.
        patient_until_ns = self._clock.now_ns() + round(child.spec.shutdown_s * NS_PER_S)
        cancelled_at = self._clock.trio_time(min(patient_until_ns, last_call_ns))
        child.scope.deadline = min(child.scope.deadline, cancelled_at)
        if child.asked:
            return
        child.asked = True
        stop = None if child.state is ChildState.QUARANTINED else child.spec.stop
        child.become(ChildState.STOPPING, self._clock.now_ns())
        try:
            if stop is None:
                child.scope.cancel()
            else:
                stop()
        except Exception as error:  # noqa: BLE001 - the child's own code, which must not keep the others from stopping
            self._say_error("actor.stop_failed", child, error)
            child.scope.cancel()

    def _forget(self, child: Child) -> None:
        del self._children[child.spec.name]
        child.become(ChildState.STOPPED, self._clock.now_ns())
        if not child.asked:
            self._ended[child.spec.name] = child.report()
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]

    def _crashed(self, child: Child, crash: BaseException) -> None:
        child.last_error = summary(crash)
        self._say_error("actor.crashed", child, crash)

    def _say_error(self, event: str, child: Child, error: BaseException) -> None:
        self._say(
            self._log.error,
            event,
            child,
            error_type=type(unwrapped(error)).__name__,
            error=summary(error),
            traceback=traceback_text(error),
        )

    def _say(self, log: Callable[..., object], event: str, child: Child | None = None, **fields: object) -> None:
        # A log that cannot be written must not take down those it is about.
        with contextlib.suppress(Exception):
            log(event, **fields) if child is None else log(event, actor=child.spec.name, **fields)


def _stages(children: Iterable[Child]) -> list[list[Child]]:
    """Who may stop together, first started first; within a stage, last started first.

    Neighbours that count toward escalation are peers: independent of each other, and many.
    """
    stages: list[list[Child]] = []
    for child in children:
        if stages and child.spec.counts and stages[-1][0].spec.counts:
            stages[-1].insert(0, child)
        else:
            stages.append([child])
    return stages


def _time_to_stop_s(spec: ChildSpec) -> float:
    return spec.shutdown_s / _PATIENT_SHARE + _UNWIND_S
