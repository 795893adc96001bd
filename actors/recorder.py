"""The recorder actor: every record of every market onto its tape, without ever holding a market up.

``take`` turns a record into a line and puts it into a queue bounded in bytes; a worker thread writes. What finds no
room, or cannot be written, is counted and named on the tape where it is missing; scoring never notices.
"""

from __future__ import annotations

import errno
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import trio
from structlog.typing import FilteringBoundLogger

from actors.clock import Clock
from actors.health import RecorderHealth
from actors.tapes.keeping import Kept, keep
from actors.tapes.writer import TapeWriteError, TapeWriter
from engine.errors import TapeError
from engine.records import Followed, Record, Unfollowed
from engine.settings import RecordingSettings, ScoringSettings
from engine.tape import Lost, line_bytes
from engine.units import to_ns

FLUSH_S: Final = 0.25
"""How long a line waits at most before a thread is given it, while the disk keeps up."""

KEEP_EVERY_S: Final = 60.0
RETRY_S: Final = (1.0, 30.0)
"""Pause after a write that failed: at first, doubling, and at most."""

CLOSING_S: Final = 2.0

COUNTED: Final = 4096
"""So many markets are counted one by one."""

T = TypeVar("T")
Line = tuple[str, bytes, int]


class RecorderActor:
    """Records into ``settings.folder``; a restart goes on with the tapes it left."""

    def __init__(
        self, settings: RecordingSettings, *, scoring: ScoringSettings, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._writer = TapeWriter(Path(settings.folder), settings, scoring=scoring)
        self._room = round(settings.queue_mb * 1_000_000)
        self._waiting: list[Line] = []
        self._waiting_bytes = 0
        self._ended: list[str] = []
        self._missing = Counter[str]()
        self._records, self._losses = Counter[str](), Counter[str]()
        self._written = self._lost = 0
        self._fault: str | None = None
        self._retry_s = RETRY_S[0]
        self._keep_ns = 0
        self._one = trio.CapacityLimiter(1)
        self._outcomes: deque[tuple[Sequence[Line], TapeWriteError | None]] = deque()

    def take(self, key: str, record: Record) -> None:
        """Have a record written. Never waits and never fails: what finds no room is counted."""
        try:
            line = line_bytes(record)
        except TapeError:  # half of a character, which no venue can send
            self._miss(key, 1)
            return
        if self._waiting_bytes + len(line) > self._room:
            self._miss(key, 1)
            return
        if key in self._missing:
            self._confess(key, record.at_ns)
        self._put(key, line, record.at_ns)
        self._count(key)
        if isinstance(record, Followed) and key in self._ended:
            self._ended.remove(key)  # it goes on in the same part
        if isinstance(record, Unfollowed):
            self._ended.append(key)

    def health(self) -> RecorderHealth:
        """How it does, now."""
        return RecorderHealth(
            written=self._written,
            lost=self._lost,
            waiting_bytes=self._waiting_bytes,
            fault=self._fault,
            records=dict(self._records),
            losses=dict(self._losses),
        )

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled, and then what is left, within 2 seconds."""
        task_status.started()
        try:
            while True:
                await trio.sleep(FLUSH_S if self._fault is None else self._retry_s)
                await self._flush()
                await self._keep()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSING_S), suppress(TapeWriteError):
                # A thread may be at it still, which nobody waits for any more: this one does.
                await self._in_thread(lambda: None)
                self._settle()
                await self._flush()
                await self._in_thread(self._writer.close)
            self._log.info("recorder.closed", written=self._written, lost=self._lost, unwritten=len(self._waiting))

    def _put(self, key: str, line: bytes, at_ns: int) -> None:
        self._waiting.append((key, line, at_ns))
        self._waiting_bytes += len(line)

    def _miss(self, key: str, lines: int) -> None:
        self._missing[key] += lines
        self._losses[key] += lines
        self._lost += lines

    def _count(self, key: str) -> None:
        """One record more; of markets long over the counts are forgotten, for there is no end of them."""
        self._records[key] += 1
        if len(self._records) > COUNTED:
            oldest = next(iter(self._records))
            del self._records[oldest]
            self._losses.pop(oldest, None)

    def _confess(self, key: str, until_ns: int) -> None:
        """Say on the tape what is missing there, before anything that comes after it."""
        reason = self._fault or "queue_full"
        note = Lost(at_ns=until_ns, records=self._missing.pop(key), until_ns=until_ns, reason=reason)
        self._put(key, line_bytes(note), until_ns)

    async def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        ended, self._ended = self._ended, []
        if batch:
            await self._in_thread(partial(self._write, batch, ended))
        self._settle()

    def _write(self, batch: Sequence[Line], ended: Sequence[str]) -> None:
        """In a thread: all of it, and the end of every market that has ended; how it went is settled later."""
        fault: TapeWriteError | None = None
        try:
            self._writer.write(batch)
        except TapeWriteError as error:
            fault = error
        for key in ended:
            with suppress(TapeWriteError):
                self._writer.close(key)
        self._outcomes.append((batch, fault))

    def _settle(self) -> None:
        """Take in how the writes went that are over, one that was not waited for included."""
        while self._outcomes:
            batch, fault = self._outcomes.popleft()
            kept = [] if fault is None else self._kept(batch, fault)
            self._waiting[:0] = kept
            self._waiting_bytes -= sum(len(line) for _, line, _ in batch) - sum(len(line) for _, line, _ in kept)
            self._written += len(batch) - len(kept)
            if fault is None:
                self._recover()
            else:
                self._degrade(fault)

    def _kept(self, batch: Sequence[Line], fault: TapeWriteError) -> list[Line]:
        """What is to be written again: of every market, the last lines of the batch, as many as were refused."""
        if fault.errno == errno.EINVAL:  # no tape takes them, ever
            for key, lines in fault.lost.items():
                self._miss(key, lines)
            return []
        left, kept = Counter(fault.lost), list[Line]()
        for line in reversed(batch):
            if left[line[0]] > 0:
                left[line[0]] -= 1
                kept.append(line)
        return kept[::-1]

    def _degrade(self, fault: OSError) -> None:
        if self._fault is None:
            self._log.error("recorder.degraded", folder=self._settings.folder, error=str(fault), errno=fault.errno)
            self._retry_s = RETRY_S[0]
        else:
            self._retry_s = min(2 * self._retry_s, RETRY_S[1])
        self._fault = errno.errorcode.get(fault.errno or 0, "io_error").lower()

    def _recover(self) -> None:
        if self._fault is not None:
            self._log.warning("recorder.recovered", folder=self._settings.folder, lost=self._lost)
            self._fault = None

    async def _keep(self) -> None:
        """From time to time, delete what is too old or too much."""
        now_ns = self._clock.now_ns()
        if not (self._settings.keep_days or self._settings.max_gb) or now_ns < self._keep_ns:
            return
        self._keep_ns = now_ns + to_ns(KEEP_EVERY_S)
        kept: Kept = await self._in_thread(
            partial(
                keep,
                Path(self._settings.folder),
                now_ns=now_ns,
                keep_days=self._settings.keep_days,
                max_gb=self._settings.max_gb,
                open_parts=self._writer.open_parts,
            )
        )
        if kept.deleted or kept.problems or kept.over_quota:
            self._log.info(
                "recorder.kept",
                deleted=len(kept.deleted),
                deleted_bytes=kept.deleted_bytes,
                left_bytes=kept.left_bytes,
                over_quota=kept.over_quota,
                problems=kept.problems,
            )

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """One thread at a time; a disk that hangs holds up nothing that is cancelled."""
        return await trio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=self._one)
