"""A rehearsal: a background engine whose world is a stand-in venue on its own loop, in memory and in fast time.

For the tests of a bot on any loop, and for trying a bot out: no sockets, no internet, every fault at hand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio
from structlog.typing import FilteringBoundLogger

from actors.clock import Clock, PacedClock
from actors.ports import Ports
from actors.service import BackgroundEngine
from actors.service.waiting import ask, ask_blocking
from actors.venue import Venue, VenueOptions
from engine.settings import Settings
from engine.units import to_ns

T = TypeVar("T")


class RehearsalEngine(BackgroundEngine):
    """A background engine against a stand-in venue of its own.

    Time on its loop runs ``rate`` times faster than the wall, or slower than that where the machine is too busy for it,
    and begins at ``start_s`` (epoch seconds; ``None``: now). So with a rate of 60 a window of two minutes is covered in
    two seconds. ``options`` are the venue's.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        rate: float = 60.0,
        start_s: float | None = None,
        options: VenueOptions | None = None,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._stage = _Stage(start_s, options)
        super().__init__(settings, world=self._stage.world, trio_clock=PacedClock(rate), log=log)

    def control(self, function: Callable[..., T], *args: Any) -> T:
        """The result of ``function(venue, *args)``, done on the venue's loop.

        So ``lambda venue: venue.faults.reject(503)`` has it refuse every connection. Starts the rehearsal if need be,
        and blocks for a few milliseconds. What the function raises is raised here.
        """
        self.start()
        answer: T = ask_blocking(self.loop.door, self._stage.control, function, args)
        return answer

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass there, however long that takes here; on asyncio or trio. Starts it if need be."""
        self.start()
        await ask(self.loop.door, trio.sleep, seconds)


class _Stage:
    """What the loop needs of a rehearsal; not the rehearsal itself, which may be forgotten by everybody else."""

    def __init__(self, start_s: float | None, options: VenueOptions | None) -> None:
        self._start_s = start_s
        self._options = options
        self._venue: Venue | None = None
        self._up = trio.Event()

    async def control(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        await self._up.wait()
        return function(self._venue, *args)

    @asynccontextmanager
    async def world(self) -> AsyncIterator[Ports]:
        clock = Clock.anchored(None if self._start_s is None else to_ns(self._start_s))
        self._venue = Venue(clock, self._options)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._venue.run)
            self._up.set()
            yield Ports(clock=clock, dial=self._venue.dial, http_transport=self._venue.http_transport)
            nursery.cancel_scope.cancel()
