"""One sleep for many: whoever waits for a time has a bell rung when it comes.

All markets wait for the same deadlines. A sleep of each would be a scope, a timer and a cancellation raised through the
stack every time, which costs several times what is due then; here there is one for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

import trio

from actors.clock import Clock

Ring = Callable[[], None]
"""Wakes somebody; it neither waits nor raises."""


class Alarm:
    """Rings at times of `clock`, in the order of the times and, of one time, in the order of asking."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bells: list[tuple[int, int, Ring]] = []
        self._numbers = count()
        # When each is to be rung next; of its bells that are not for that time nothing becomes.
        self._next_ns: dict[Ring, int] = {}
        self._sooner = trio.Event()

    def ring_by(self, at_ns: int, ring: Ring) -> None:
        """Have `ring` called once, at `at_ns` or when it is to be rung sooner anyway; at once if that is past.

        Whoever is rung looks what is due and asks again: so one that asks often has no more than one call to come.
        """
        if self._next_ns.get(ring, math.inf) <= at_ns:
            return
        self._next_ns[ring] = at_ns
        heappush(self._bells, (at_ns, next(self._numbers), ring))
        if self._bells[0][0] == at_ns:
            self._sooner.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ring, until cancelled."""
        task_status.started()
        while True:
            self._sooner = trio.Event()
            self._ring_due(self._clock.now_ns())
            with trio.move_on_at(self._clock.trio_time(self._bells[0][0]) if self._bells else math.inf):
                await self._sooner.wait()

    def _ring_due(self, now_ns: int) -> None:
        while self._bells and self._bells[0][0] <= now_ns:
            at_ns, _, ring = heappop(self._bells)
            if self._next_ns.get(ring) == at_ns:
                del self._next_ns[ring]
                ring()
