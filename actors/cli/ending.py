"""How a long-running command ends: politely on the first signal, soon after the second, in any case.

What can hang at the end (a reader that reads no more, a name server that does not answer) must not keep the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

import trio
from structlog.typing import FilteringBoundLogger

from actors.cli.failures import Exit
from actors.cli.terminal import SETTLE_S, Terminal

FIRST_S: Final = 4.5
"""From the first signal to the end at the latest."""
SECOND_S: Final = 0.5
"""From the second signal."""

STOPPING: Final = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGINT"))
RELOADING: Final = tuple(signal.Signals[name] for name in ("SIGHUP",) if hasattr(signal, name))

GiveUp = Callable[[float, Exit], object]
"""Ends the process after so many seconds with this code, whatever is still under way."""


class LastResort:
    """Ends the process from a thread of its own unless it is disarmed in time."""

    def __init__(self) -> None:
        self._timers: list[threading.Timer] = []

    def arm(self, seconds: float, code: Exit) -> None:
        """End the process in so many seconds; the earliest time counts."""
        timer = threading.Timer(seconds, _leave, (code,))
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def disarm(self) -> None:
        """All is well."""
        for timer in self._timers:
            timer.cancel()


class Stop:
    """The wish to end; ``wished`` is set by the first signal, or by ``wish``."""

    def __init__(self, give_up: GiveUp, *, log: FilteringBoundLogger, terminal: Terminal | None = None) -> None:
        self.wished = trio.Event()
        self._terminal = terminal or Terminal()
        self._give_up = give_up
        self._log = log

    def wish(self, why: str) -> None:
        """Ask for the end; the second time, insist."""
        if self.wished.is_set():
            self._give_up(SECOND_S, Exit.DONE)
            return
        self._log.info("engine.stopping", reason=why)
        self._give_up(FIRST_S, Exit.DONE)
        self.wished.set()

    async def obey(self, signals: AsyncIterator[int], on_reload: Callable[[], object]) -> None:
        """Follow the signals until cancelled; a hang-up is a wish to end, but never insists (shells repeat it)."""
        async for number in signals:
            if number not in RELOADING:
                self.wish(signal.Signals(number).name)
            elif not await self._hung_up():
                on_reload()
            elif not self.wished.is_set():
                self.wish("the terminal is gone")

    async def _hung_up(self) -> bool:
        if self._terminal.descriptors and not self._terminal.is_gone():
            await trio.sleep(SETTLE_S)
        return self._terminal.is_gone()


def _leave(code: Exit) -> None:
    with suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), b"updown: did not wait for the rest to finish\n")
    os._exit(code)
