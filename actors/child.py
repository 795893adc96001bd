"""A supervisor's child: its spec, its record, its report, and whether and when it runs again.

The kinds of restart, intensity and period are those of Erlang/OTP Design Principles, "Supervisor Behaviour".
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import trio
from attrs import define, field, frozen
from attrs.validators import ge, lt, min_len

from actors.clock import NS_PER_S
from actors.crash import Ending

_DOUBLINGS: Final = 64
_DURATION = (ge(0.0), lt(math.inf))


class Restart(StrEnum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


RUNS_AGAIN: Final[Mapping[tuple[Restart, Ending], bool]] = MappingProxyType(
    {
        (Restart.PERMANENT, Ending.FINISHED): True,
        (Restart.PERMANENT, Ending.CRASHED): True,
        (Restart.TRANSIENT, Ending.FINISHED): False,
        (Restart.TRANSIENT, Ending.CRASHED): True,
        (Restart.TEMPORARY, Ending.FINISHED): False,
        (Restart.TEMPORARY, Ending.CRASHED): False,
    }
)
"""Whether a child that nobody asked to stop is started again, by its kind and its ending."""


class ChildState(StrEnum):
    """What a child is doing; RESTARTING is a later run that is not ready yet, as STARTING is the first."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    QUARANTINED = "quarantined"
    STOPPING = "stopping"
    STOPPED = "stopped"


@frozen(kw_only=True)
class ChildSpec:
    """A child as data. All durations are finite seconds, at least 0.

    After `intensity` restarts within `period_s` the next ending leads to quarantine for `quarantine_s`, twice as long
    each time up to `quarantine_cap_s`. Meanwhile `understudy` plays; it is cancelled, and gone, before the child is
    tried again. `run` calls `task_status.started()` once it is ready.
    `stop` asks a running child to finish, which it may take `shutdown_s` for before it is cancelled; without `stop` it
    is cancelled at once. `counts` tells whether its quarantine counts toward the failure of the whole.
    """

    name: str = field(validator=min_len(1))
    run: Callable[[trio.TaskStatus[None]], Awaitable[None]]
    restart: Restart = Restart.PERMANENT
    intensity: int = field(default=5, validator=ge(0))
    period_s: float = field(default=60.0, validator=_DURATION)
    quarantine_s: float = field(default=300.0, validator=_DURATION)
    quarantine_cap_s: float = field(default=3600.0, validator=_DURATION)
    understudy: Callable[[], Awaitable[None]] | None = None
    shutdown_s: float = field(default=2.0, validator=_DURATION)
    stop: Callable[[], None] | None = None
    counts: bool = True


@frozen(kw_only=True)
class ChildReport:
    """A child at one moment: in `state` since `since_ns` (ns since the epoch), with its counts so far.

    `restarts` leaves out the retries after a quarantine. `last_error` is at most 256 printable characters.
    """

    name: str
    state: ChildState
    restarts: int
    quarantines: int
    last_error: str | None
    since_ns: int


@define(eq=False, kw_only=True)
class Child:
    """What a supervisor knows of one child; `since_ns` in ns since the epoch. The supervisor alone changes it."""

    spec: ChildSpec
    state: ChildState
    since_ns: int
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    settled: trio.Event = field(factory=trio.Event)  # ready for the first time, or its first run is over
    gone: trio.Event = field(factory=trio.Event)
    asked: bool = False  # to stop
    restarts: int = 0
    quarantines: int = 0
    last_error: str | None = None
    recent: list[int] = field(factory=list)  # when it was restarted, within the period

    def become(self, state: ChildState, now_ns: int) -> None:
        """Enter `state` at `now_ns` (ns since the epoch)."""
        self.state = state
        self.since_ns = now_ns

    def report(self) -> ChildReport:
        """The child as it is at this moment."""
        return ChildReport(
            name=self.spec.name,
            state=self.state,
            restarts=self.restarts,
            quarantines=self.quarantines,
            last_error=self.last_error,
            since_ns=self.since_ns,
        )

    def runs_again(self, ending: Ending) -> bool:
        """Whether another run follows one that ended so; never once it was asked to stop."""
        return not self.asked and RUNS_AGAIN[self.spec.restart, ending]

    def may_restart(self, now_ns: int) -> bool:
        """Whether the period up to `now_ns` has room for one more restart; forgets those before it."""
        horizon_ns = now_ns - round(self.spec.period_s * NS_PER_S)
        while self.recent and self.recent[0] < horizon_ns:
            del self.recent[0]
        return len(self.recent) < self.spec.intensity

    def next_quarantine_s(self) -> float:
        """How long the next quarantine lasts, in seconds: doubled by each one so far, up to the cap."""
        doubled = self.spec.quarantine_s * 2.0 ** min(self.quarantines, _DOUBLINGS)
        return min(doubled, self.spec.quarantine_cap_s)
