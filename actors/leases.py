"""Leases: what is followed for as long as anybody holds it, and a while longer.

The while spares a bot that comes and goes the two minutes a market needs to be warm again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import trio

from actors.clock import Clock
from engine.settings import FollowSettings
from engine.units import to_ns

HELD: Final = "held"
"""The owner, on the follow list, of what is held."""


class Follow(Protocol):
    """How a name gets on the follow list; raises ``ValueError`` for one that means nothing."""

    def __call__(self, follow: FollowSettings, owner: str) -> None:
        """Put it on for this owner."""


class Unfollow(Protocol):
    """How a name gets off it."""

    def __call__(self, name: str, owner: str) -> None:
        """Take it off for this owner; others may want it still."""


class Hold:
    """One claim on what is followed as ``name``."""

    __slots__ = ("_let_go", "name")

    def __init__(self, name: str, let_go: Callable[[str], None]) -> None:
        self.name = name
        self._let_go: Callable[[str], None] | None = let_go

    def release(self) -> None:
        """Give the claim up; twice is the same as once."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go(self.name)


class Leases:
    """Counts the holds of each name; ``linger_s`` after the last one of a name is released, it is held no more."""

    def __init__(self, *, clock: Clock, linger_s: float, follow: Follow, unfollow: Unfollow) -> None:
        self._clock = clock
        self._linger_ns = to_ns(linger_s)
        self._follow = follow
        self._unfollow = unfollow
        self._holds = Counter[str]()
        self._until_ns: dict[str, int] = {}
        self._woken = trio.Event()
        self._over = False

    def hold(self, follow: FollowSettings) -> Hold:
        """Have it followed until this hold, and every other one of the same name, is released."""
        self._follow(follow, HELD)
        name = follow.name
        self._holds[name] += 1
        self._until_ns.pop(name, None)
        return Hold(name, self._release)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let go of what nobody has held for long enough, until cancelled."""
        task_status.started()
        try:
            while True:
                woken = self._woken = trio.Event()
                self._let_go(self._clock.now_ns())
                next_ns = min(self._until_ns.values(), default=None)
                with trio.move_on_at(math.inf if next_ns is None else self._clock.trio_time(next_ns)):
                    await woken.wait()
        finally:
            self._over = True

    def _let_go(self, now_ns: int) -> None:
        for name in [name for name, until_ns in self._until_ns.items() if until_ns <= now_ns]:
            del self._until_ns[name]
            self._unfollow(name, HELD)

    def _release(self, name: str) -> None:
        self._holds[name] -= 1
        # A bot may tidy up after the engine, even after the loop the engine ran on.
        if self._holds[name] or self._over:
            return
        del self._holds[name]
        self._until_ns[name] = self._clock.now_ns() + self._linger_ns
        self._woken.set()
