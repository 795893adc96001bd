"""One sleep for many: whoever waits for a time has a bell rung when it comes.

All markets wait for the same deadlines. A sleep of each would be a scope, a timer and a cancellation raised through the
stack every time, which costs several times what is due then; here there is one for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush

import trio

from actors.clock import Clock

Ring = Callable[[], None]
"""Wakes somebody; it neither waits nor raises."""


class Alarm:
    """Rings at times of `clock`, in the order of the times and, of one time, in the order of asking."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: list[int] = []
        self._rings: dict[int, dict[Ring, None]] = {}
        self._sooner = trio.Event()

    def ring_at(self, at_ns: int, ring: Ring) -> None:
        """Have `ring` called once at `at_ns`, at once if that is past; the same for the same time is called once.

        It cannot be taken back: whoever is rung looks what is due.
        """
        rings = self._rings.get(at_ns)
        if rings is not None:
            rings[ring] = None
            return
        self._rings[at_ns] = {ring: None}
        heappush(self._times, at_ns)
        if self._times[0] == at_ns:
            self._sooner.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ring, until cancelled."""
        task_status.started()
        while True:
            self._sooner = trio.Event()
            self._ring_due(self._clock.now_ns())
            with trio.move_on_at(self._clock.trio_time(self._times[0]) if self._times else math.inf):
                await self._sooner.wait()

    def _ring_due(self, now_ns: int) -> None:
        while self._times and self._times[0] <= now_ns:
            for ring in self._rings.pop(heappop(self._times)):
                ring()
