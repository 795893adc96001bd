"""The one place that reads clocks: wall time anchored once, advanced by the trio clock."""

import math
import time
from collections.abc import Callable
from typing import Self

import trio

NS_PER_S = 1_000_000_000

BEHIND_S = 0.1
"""So much of the wall's time a paced clock makes up for after a busy moment; the rest is lost to it."""


def wall_ns() -> int:
    """The system's wall clock, nanoseconds since the epoch: for what is stamped outside of any engine."""
    return time.time_ns()


class Clock:
    """Maps the monotonic trio clock (seconds) onto one timeline of integer nanoseconds since the Unix epoch.

    The map is a pure, non-decreasing function fixed at construction, so the timeline never goes backwards, steps of
    the system's wall clock do not reach it, and a trio MockClock drives it. One instance per engine.
    """

    def __init__(
        self, *, wall_ns: int, trio_time: float, current_time: Callable[[], float] = trio.current_time
    ) -> None:
        """Declare that the trio clock showed `trio_time` (seconds) at the moment `wall_ns` (ns since the epoch).

        `current_time` reads the trio clock.
        """
        self._wall_ns = wall_ns
        self._origin = trio_time
        self._current_time = current_time

    @classmethod
    def anchored(cls, wall_ns: int | None = None) -> Self:
        """Anchor the timeline here and now; `wall_ns` stands in for the system's wall clock when given.

        The clock is read directly, for every message is stamped: so it is for the present `trio.run` alone. Raises
        RuntimeError outside of one.
        """
        current_time = trio.lowlevel.current_clock().current_time
        wall_ns = time.time_ns() if wall_ns is None else wall_ns
        return cls(wall_ns=wall_ns, trio_time=current_time(), current_time=current_time)

    def now_ns(self) -> int:
        """Nanoseconds since the epoch; never decreases, and equal trio times give equal answers."""
        return self._ns_at(self._current_time())

    def trio_time(self, at_ns: int) -> float:
        """The trio clock value (seconds) at which `now_ns()` reaches `at_ns`; never one at which it has not yet."""
        value = self._origin + (at_ns - self._wall_ns) / NS_PER_S
        # The steps are as coarse as the larger operand: near zero, a float's own neighbour would be lost in `_ns_at`.
        step = math.ulp(max(abs(value), abs(self._origin)))
        while self._ns_at(value) < at_ns:
            value += step
        return value

    async def sleep_until(self, at_ns: int) -> None:
        """Sleep until `now_ns() >= at_ns`; a checkpoint even when that is in the past."""
        await trio.sleep_until(self.trio_time(at_ns))

    def _ns_at(self, trio_time: float) -> int:
        return self._wall_ns + round((trio_time - self._origin) * NS_PER_S)


class PacedClock(trio.abc.Clock):
    """A trio clock up to `rate` times faster than the wall, which stands still while the loop is at work.

    Time passes only while every task waits, and never beyond the next deadline: whatever is due happens in its order
    and at its time. A machine that is too busy makes it slower, where a clock that is tied to the wall would make
    deadlines be missed. `wall` (seconds) stands in for the system's monotonic clock.
    """

    def __init__(self, rate: float, *, wall: Callable[[], float] = time.perf_counter) -> None:
        if not 0 < rate < math.inf:
            raise ValueError(f"the rate must be above 0: {rate!r}")
        self._rate = rate
        self._wall = wall
        self._last = wall()
        self._owed = 0.0  # what the wall is ahead, in seconds of this clock
        self._now = 0.0
        self._next: float | None = None

    def start_clock(self) -> None:
        """Begin at 0 (for trio)."""
        self._last = self._wall()

    def current_time(self) -> float:
        """Seconds since the start; the same until all tasks wait again."""
        if self._next is not None:
            self._look_at_wall()
            reached = min(self._now + self._owed, max(self._now, self._next))
            self._owed -= reached - self._now
            self._now, self._next = reached, None
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How long to wait for it (for trio, which asks when all tasks wait)."""
        self._look_at_wall()
        self._next = deadline
        return max(0.0, deadline - self._now - self._owed) / self._rate

    def _look_at_wall(self) -> None:
        wall = self._wall()
        self._owed = min(self._owed + (wall - self._last) * self._rate, BEHIND_S * self._rate)
        self._last = wall
