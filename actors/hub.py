"""The hub: what is emitted, handed to everybody who listens, without waiting for anybody.

A subscriber that is too slow loses its oldest signals; they are counted, and nobody else notices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Self, TypeVar

import trio
from attrs import evolve

from actors.mailbox import Mailbox, MailboxStatistics, Overflow

T = TypeVar("T")


class Subscription(Generic[T]):
    """An endless asynchronous iterator over what is published from now on; ends when the hub or itself is closed."""

    def __init__(self, mailbox: Mailbox[T], leave: Callable[[Subscription[T]], None]) -> None:
        self._mailbox = mailbox
        self._buffer = mailbox.statistics().capacity
        self._leave = leave
        # What was taken out of the mailbox and not read yet, newest first; it is older than what is in the mailbox.
        self._batch: list[T] = []
        self._dropped_from_batch = 0
        self._high_water = 0

    @property
    def dropped(self) -> int:
        """How many were lost because this subscriber was too slow."""
        return self.statistics().dropped

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._batch:
            await trio.lowlevel.checkpoint()
        if not self._batch:
            try:
                self._batch = (await self._mailbox.receive())[::-1]
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        return self._batch.pop()

    def statistics(self) -> MailboxStatistics:
        """Depth and counters of the queue behind this subscription."""
        counted = self._mailbox.statistics()
        return evolve(
            counted,
            depth=counted.depth + len(self._batch),
            dropped=counted.dropped + self._dropped_from_batch,
            high_water=self._high_water,
        )

    def close(self) -> None:
        """Leave the hub; what is queued can still be read. Idempotent."""
        self._leave(self)
        self._mailbox.close()

    def _offer(self, item: T) -> None:
        if self._batch and len(self._batch) + len(self._mailbox) >= self._buffer:
            self._batch.pop()
            self._dropped_from_batch += 1
        self._mailbox.put_nowait(item)
        self._high_water = max(self._high_water, len(self._batch) + len(self._mailbox))


class Hub(Generic[T]):
    """Publishes to any number of subscriptions; synchronous, so that publishing is never a scheduling point."""

    def __init__(self, name: str) -> None:
        self.published = 0
        self._name = name
        self._subscriptions: dict[Subscription[T], None] = {}
        self._closed = False
        self._dropped_by_the_gone = 0

    def subscribe(self, buffer: int) -> Subscription[T]:
        """A new subscription that holds at most ``buffer`` unread items. Raises ``RuntimeError`` on a closed hub."""
        if self._closed:
            raise RuntimeError(f"the {self._name} hub is closed")
        subscription = Subscription(Mailbox[T](buffer, Overflow.DROP_OLDEST, name=self._name), self._forget)
        self._subscriptions[subscription] = None
        return subscription

    def publish(self, item: T) -> None:
        """Hand the item to every subscription."""
        self.published += 1
        for subscription in self._subscriptions:
            subscription._offer(item)

    def close(self) -> None:
        """End every subscription after what it still holds. Idempotent."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.close()

    @property
    def dropped(self) -> int:
        """Lost to slow subscribers, present and gone."""
        return self._dropped_by_the_gone + sum(subscription.dropped for subscription in self._subscriptions)

    def _forget(self, subscription: Subscription[T]) -> None:
        if subscription in self._subscriptions:
            del self._subscriptions[subscription]
            self._dropped_by_the_gone += subscription.dropped
