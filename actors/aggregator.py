"""The aggregator actor: all signals in, one aggregate per underlying and deadline out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import trio
from attrs import evolve, frozen

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

    ``roster`` tells who is followed when the actor starts, and again when notes of who came and went may be lost. A
    restart forgets nothing but the note that crashed it, so no deadline is aggregated twice.
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
        self._notes: deque[Note] = deque()
        self._lost: int | None = None
        self._aggregators: dict[str, Aggregator] = {}
        self._outside: dict[str, OutsideScore] = {}

    def tell(self, note: Note) -> None:
        """Take a note in, soon; never waits. An outside score without a time is stamped now."""
        if isinstance(note, OutsideScore) and not note.at_ns:
            note = evolve(note, at_ns=self._clock.now_ns())
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
        self._call_the_roll()
        task_status.started()
        while True:
            self._catch_up()
            for aggregator in self._aggregators.values():
                self._send(aggregator.advance(self._clock.now_ns()))
            await self._wait()

    def drain(self) -> None:
        """Take in and publish what is there now, waiting for nobody any more; for an orderly end."""
        self._catch_up()
        for aggregator in self._aggregators.values():
            aggregator.unfollow_all()
            self._send(aggregator.settle())

    async def _wait(self) -> None:
        """Wait for notes, or until a deadline runs out of grace."""
        due_ns = min((it for it in map(Aggregator.next_deadline, self._aggregators.values()) if it), default=None)
        with trio.move_on_at(float("inf") if due_ns is None else self._clock.trio_time(due_ns)):
            self._notes.extend(await self._inbox.receive())

    def _catch_up(self) -> None:
        """Take in every note there is."""
        self._notes.extend(self._inbox.drain())
        while self._notes:
            self._take(self._notes.popleft())
        self._call_the_roll()

    def _call_the_roll(self) -> None:
        """Ask the roster who is followed, unless the notes have told it all."""
        lost = self._inbox.statistics().dropped
        if lost == self._lost:
            return
        for aggregator in self._aggregators.values():
            aggregator.unfollow_all()
        for joined in self._roster():
            self._take(joined)
        self._lost = lost

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
