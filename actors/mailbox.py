"""A bounded queue into one actor, with a stated policy for the moment it is full."""

from collections import OrderedDict, deque
from enum import StrEnum
from typing import Generic, TypeVar

import trio
from attrs import frozen
from trio.lowlevel import Abort, RaiseCancelT, Task

T = TypeVar("T")


class Overflow(StrEnum):
    """What a full mailbox does with one more item."""

    BLOCK = "block"
    """The producer waits."""
    LATEST = "latest"
    """Only the newest item is kept: a mailbox of one, whatever its capacity."""
    DROP_OLDEST = "drop_oldest"
    """The oldest item makes room, and is counted."""
    REFUSE = "refuse"
    """The item is not taken, and the producer is told."""


_MAKES_ROOM = frozenset({Overflow.LATEST, Overflow.DROP_OLDEST})


@frozen(kw_only=True)
class MailboxStatistics:
    """A mailbox at one moment; `received`, `dropped`, `refused` and `high_water` are over its whole life.

    `received` counts the items taken in, `dropped` those of them that made room unread, `refused` those that were not
    taken in. `depth` and `high_water` (items) never exceed `capacity`.
    """

    name: str
    depth: int
    capacity: int
    received: int
    dropped: int
    refused: int
    high_water: int


class Mailbox(Generic[T]):
    """Many producers, one consumer, one trio thread, first in first out; every operation is O(1) per item.

    No wake-up is lost and nothing is lost to a cancellation: a cancelled `receive` leaves every item in the queue, and
    a cancelled `put` has not put. Producers that wait are served in the order they came; while any of them waits the
    queue is full, so nobody overtakes them.
    """

    def __init__(self, capacity: int, overflow: Overflow, *, name: str) -> None:
        """Hold at most `capacity` items (>= 1, else ValueError)."""
        if capacity < 1:
            raise ValueError(f"mailbox {name!r} needs room for at least one item, not {capacity}")
        self._name = name
        self._overflow = overflow
        self._capacity = 1 if overflow is Overflow.LATEST else capacity
        self._items: deque[T] = deque()
        self._consumer: Task | None = None
        self._producers: OrderedDict[Task, T] = OrderedDict()
        self._closed = False
        self._received = 0
        self._dropped = 0
        self._refused = 0
        self._high_water = 0

    def __len__(self) -> int:
        """How many items wait to be received."""
        return len(self._items)

    def put_nowait(self, item: T) -> bool:
        """Take `item` if the policy finds room for it; False (BLOCK, REFUSE) when it was not taken.

        Raises trio.BrokenResourceError once closed.
        """
        if self._put(item):
            return True
        self._refused += 1
        return False

    async def put(self, item: T) -> None:
        """Take `item`, waiting for room if the policy is BLOCK. A checkpoint.

        Raises trio.WouldBlock if the policy is REFUSE and there is no room, trio.BrokenResourceError once closed, also
        to a producer that was waiting.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._overflow is not Overflow.BLOCK:
            if not self.put_nowait(item):
                raise trio.WouldBlock
        elif not self._put(item):
            await self._wait_for_room(item)
            return
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def receive(self) -> list[T]:
        """Everything that is there, oldest first, at least one item. A checkpoint.

        Raises trio.EndOfChannel when closed and empty, trio.BusyResourceError if another task is already waiting.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._items:
            await trio.lowlevel.cancel_shielded_checkpoint()
        # A loop, because `drain` may have been quicker.
        while not self._items:
            if self._closed:
                raise trio.EndOfChannel
            await self._wait_for_items()
        return self.drain()

    def drain(self) -> list[T]:
        """Everything that is there now, oldest first, perhaps nothing; does not wait."""
        items = list(self._items)
        self._items.clear()
        while self._producers and not self._closed and len(self._items) < self._capacity:
            producer, item = self._producers.popitem(last=False)
            self._append(item)
            trio.lowlevel.reschedule(producer)
        return items

    def close(self) -> None:
        """Take nothing more and wake everyone; what is there can still be received. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._wake_consumer()
        for producer in self._producers:
            trio.lowlevel.reschedule(producer)

    def statistics(self) -> MailboxStatistics:
        """The counters, now."""
        return MailboxStatistics(
            name=self._name,
            depth=len(self._items),
            capacity=self._capacity,
            received=self._received,
            dropped=self._dropped,
            refused=self._refused,
            high_water=self._high_water,
        )

    def _put(self, item: T) -> bool:
        if self._closed:
            raise trio.BrokenResourceError(f"mailbox {self._name!r} is closed")
        if len(self._items) >= self._capacity:
            if self._overflow not in _MAKES_ROOM:
                return False
            self._items.popleft()
            self._dropped += 1
        self._append(item)
        return True

    def _append(self, item: T) -> None:
        self._items.append(item)
        self._received += 1
        self._high_water = max(self._high_water, len(self._items))
        self._wake_consumer()

    def _wake_consumer(self) -> None:
        if self._consumer is not None:
            trio.lowlevel.reschedule(self._consumer)
            self._consumer = None

    async def _wait_for_items(self) -> None:
        if self._consumer is not None:
            raise trio.BusyResourceError(f"mailbox {self._name!r} has a consumer already")
        self._consumer = trio.lowlevel.current_task()

        def abort(_: RaiseCancelT) -> Abort:
            self._consumer = None
            return Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def _wait_for_room(self, item: T) -> None:
        task = trio.lowlevel.current_task()
        self._producers[task] = item

        def abort(_: RaiseCancelT) -> Abort:
            del self._producers[task]
            return Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        # Whoever takes the item takes the task off the list; still on it means woken by `close`.
        if task in self._producers:
            del self._producers[task]
            raise trio.BrokenResourceError(f"mailbox {self._name!r} was closed")
