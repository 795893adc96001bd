"""Sinks: what becomes of signals outside the process. A sink that fails or is slow touches nothing but itself."""

from __future__ import annotations

from typing import TextIO

import trio
from structlog.typing import FilteringBoundLogger

from actors.hub import Subscription
from engine.envelope import envelope_line
from engine.signals import AggregateSignal, MarketSignals, Signal


class LineSink:
    """Writes one JSON envelope per line to a text stream, each line flushed, from a worker thread.

    When the stream is gone (a closed pipe, a full disk) it says so once, counts what is lost and lets the engine run.
    """

    def __init__(self, stream: TextIO, *, log: FilteringBoundLogger) -> None:
        self.written = 0
        self.lost = 0
        self._stream = stream
        self._log = log
        self._broken = False
        self._turn = trio.Lock()

    async def run(self, subscription: Subscription[MarketSignals] | Subscription[AggregateSignal]) -> None:
        """Write everything the subscription yields, until it ends; several may be written side by side."""
        async for signal in subscription:
            await self.write(signal)

    async def write(self, signal: Signal) -> None:
        """Write one signal; never raises because of the stream."""
        async with self._turn:
            if self._broken:
                self.lost += 1
                return
            line = envelope_line(signal)
            try:
                await trio.to_thread.run_sync(self._write, line)
            except (OSError, ValueError) as error:
                self._broken = True
                self.lost += 1
                self._log.warning("sink.failed", error_type=type(error).__name__, error=str(error))
            else:
                self.written += 1

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
