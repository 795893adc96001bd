"""The aggregator actor: all signals in, one aggregate per underlying and deadline out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio
from attrs import frozen

from actors.clock import Clock
from actors.mailbox import Mailbox, MailboxStatistics, Overflow
from engine.aggregate import Aggregator
from engine.settings import AggregateSettings
from engine.signals import AggregateSignal, MarketSignals, OutsideScore

INBOX = 65_536


@frozen(kw_only=True)
class Joined:
    """A target whose signals are to be waited for, from its first deadline on."""

    target: str
    underlying: str
    first_deadline_ns: int


@frozen(kw_only=True)
class Left:
    """A target whose signals are to be waited for no more."""

    target: str
    underlying: str


Note = MarketSignals | Joined | Left | OutsideScore


class AggregatorActor:
    """Combines the markets of every underlying it hears of.

    ``roster`` tells who is followed when the actor starts, so that a restart waits for the right markets.
    """

    def __init__(
        self,
        settings: AggregateSettings,
        *,
        clock: Clock,
        roster: Callable[[], Iterable[Joined]],
        publish: Callable[[AggregateSignal], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._roster = roster
        self._publish = publish
        self._inbox = Mailbox[Note](INBOX, Overflow.DROP_OLDEST, name="aggregator")
        self._aggregators: dict[str, Aggregator] = {}
        self._outside: dict[str, OutsideScore] = {}

    def tell(self, note: Note) -> None:
        """Take a note in, soon; never waits."""
        self._inbox.put_nowait(note)

    def statistics(self) -> MailboxStatistics:
        """Depth and losses of the inbox."""
        return self._inbox.statistics()

    @property
    def late(self) -> int:
        """Signals that came after their deadline's aggregate was out."""
        return sum(aggregator.late for aggregator in self._aggregators.values())

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Aggregate until cancelled; may be run again after a crash."""
        self._aggregators.clear()
        for joined in self._roster():
            self._take(joined)
        for score in self._outside.values():
            self._take(score)
        task_status.started()
        while True:
            await self._round()

    def drain(self) -> None:
        """Take in and publish what is there now; for an orderly end."""
        for note in self._inbox.drain():
            self._take(note)

    async def _round(self) -> None:
        due_ns = min((it for it in map(Aggregator.next_deadline, self._aggregators.values()) if it), default=None)
        notes: list[Note] = []
        with trio.move_on_at(float("inf") if due_ns is None else self._clock.trio_time(due_ns)):
            notes = await self._inbox.receive()
        for note in notes + self._inbox.drain():
            self._take(note)
        for aggregator in self._aggregators.values():
            self._send(aggregator.advance(self._clock.now_ns()))

    def _take(self, note: Note) -> None:
        if isinstance(note, OutsideScore):
            self._outside[note.name] = note
            for aggregator in self._aggregators.values():
                aggregator.offer(note)
            return
        aggregator = self._of(note.underlying)
        if isinstance(note, MarketSignals):
            self._send(aggregator.receive(note))
        elif isinstance(note, Joined):
            aggregator.follow(note.target, note.first_deadline_ns)
        else:
            aggregator.unfollow(note.target)
            self._send(aggregator.settle())

    def _of(self, underlying: str) -> Aggregator:
        aggregator = self._aggregators.get(underlying)
        if aggregator is None:
            aggregator = self._aggregators[underlying] = Aggregator(underlying, self._settings)
            for score in self._outside.values():
                aggregator.offer(score)
        return aggregator

    def _send(self, aggregates: Iterable[AggregateSignal]) -> None:
        for aggregate in aggregates:
            self._publish(aggregate)
