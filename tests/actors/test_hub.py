"""The hub: everybody hears everything, in order; who is slow loses its own oldest, counted, and disturbs nobody."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors.hub import Hub, Subscription

MockClock = trio.testing.MockClock


def hub() -> Hub[int]:
    return Hub[int]("numbers")


def publish(numbers: Hub[int], *items: int) -> None:
    for item in items:
        numbers.publish(item)


async def rest(subscription: Subscription[int]) -> list[int]:
    return [item async for item in subscription]


async def test_everybody_hears_everything_from_the_subscription_on() -> None:
    numbers = hub()
    early = numbers.subscribe(10)
    publish(numbers, 1)
    late = numbers.subscribe(10)
    publish(numbers, 2, 3)
    numbers.close()
    assert await rest(early) == [1, 2, 3]
    assert await rest(late) == [2, 3]
    assert numbers.published == 3
    assert numbers.dropped == 0


async def test_a_subscriber_waits_for_what_is_published(autojump_clock: MockClock) -> None:
    numbers = hub()
    subscription = numbers.subscribe(10)
    heard: list[tuple[int, float]] = []

    async def listen() -> None:
        heard.extend([(item, trio.current_time()) async for item in subscription])

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        for item in (1, 2):
            await trio.sleep(1)
            publish(numbers, item)
        await trio.sleep(1)
        numbers.close()
    assert [(item, at - began) for item, at in heard] == [(1, 1.0), (2, 2.0)]


async def test_publishing_to_nobody_is_no_loss() -> None:
    numbers = hub()
    publish(numbers, 1, 2)
    assert (numbers.published, numbers.dropped) == (2, 0)


async def test_the_oldest_make_room_and_are_counted() -> None:
    numbers = hub()
    slow, quick = numbers.subscribe(3), numbers.subscribe(10)
    publish(numbers, *range(8))
    assert (slow.dropped, quick.dropped, numbers.dropped) == (5, 0, 5)
    numbers.close()
    assert await rest(slow) == [5, 6, 7]
    assert await rest(quick) == list(range(8))


async def test_what_was_read_in_one_go_but_not_handed_out_counts_as_unread() -> None:
    numbers = hub()
    subscription = numbers.subscribe(3)
    publish(numbers, 1, 2, 3)
    assert await anext(subscription) == 1
    publish(numbers, 4, 5, 6, 7)
    assert subscription.dropped == 3
    assert subscription.statistics().depth == 3
    numbers.close()
    assert await rest(subscription) == [5, 6, 7], "the oldest went first, not those in between"


@pytest.mark.parametrize("attempt", range(16))
async def test_an_item_that_goes_while_its_reader_wakes_up_is_replaced_by_a_later_one(attempt: int) -> None:
    numbers = hub()
    subscription = numbers.subscribe(2)
    publish(numbers, 1, 2)
    assert await anext(subscription) == 1
    heard: list[int] = []

    async def read() -> None:
        heard.append(await anext(subscription))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.lowlevel.checkpoint()  # who runs first is random: often enough the reader has the 2 in sight
        publish(numbers, 3, 4)
    assert heard == [3]
    assert subscription.dropped == 1


async def test_statistics_are_those_of_everything_unread() -> None:
    numbers = hub()
    subscription = numbers.subscribe(3)
    publish(numbers, *range(7))
    await anext(subscription)
    statistics = subscription.statistics()
    assert statistics.name == "numbers"
    assert (statistics.depth, statistics.capacity, statistics.high_water) == (2, 3, 3)
    assert (statistics.received, statistics.dropped) == (7, 4)


async def test_who_leaves_hears_what_was_queued_and_no_more() -> None:
    numbers = hub()
    leaver, stayer = numbers.subscribe(3), numbers.subscribe(10)
    publish(numbers, *range(5))
    leaver.close()
    leaver.close()
    publish(numbers, 5)
    assert await rest(leaver) == [2, 3, 4]
    assert numbers.dropped == 2, "what the gone lost stays counted, once"
    assert leaver.dropped == 2
    numbers.close()
    assert await rest(stayer) == list(range(6))
    assert numbers.dropped == 2


async def test_the_end_of_the_hub_is_the_end_of_every_subscription(autojump_clock: MockClock) -> None:
    numbers = hub()
    waiting = numbers.subscribe(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rest, waiting)
        await trio.testing.wait_all_tasks_blocked()
        numbers.close()
        numbers.close()
    with pytest.raises(StopAsyncIteration):
        await anext(waiting)
    with pytest.raises(RuntimeError, match="numbers hub is closed"):
        numbers.subscribe(3)
    publish(numbers, 1)
    assert numbers.published == 1


async def test_a_reader_that_is_cancelled_loses_nothing(autojump_clock: MockClock) -> None:
    numbers = hub()
    subscription = numbers.subscribe(5)
    publish(numbers, 1, 2)
    for wanted in (1, 2):
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(subscription)
        assert await anext(subscription) == wanted
    with trio.move_on_after(1):
        await anext(subscription)
    publish(numbers, 3)
    assert await anext(subscription) == 3


async def test_reading_is_a_checkpoint_from_batch_and_queue() -> None:
    numbers = hub()
    subscription = numbers.subscribe(5)
    publish(numbers, 1, 2)
    for wanted in (1, 2):
        with trio.testing.assert_checkpoints():
            assert await anext(subscription) == wanted


async def test_a_reader_may_leave_the_hub_while_everybody_is_told() -> None:
    numbers = hub()
    subscriptions = [numbers.subscribe(5) for _ in range(5)]
    for subscription in subscriptions:
        publish(numbers, 1)
        subscription.close()
    assert [len(await rest(subscription)) for subscription in subscriptions] == [1, 2, 3, 4, 5]


@given(st.integers(1, 6), st.lists(st.integers(0, 9), max_size=60))
def test_a_reader_always_hears_the_newest_in_order_and_the_rest_is_counted(buffer: int, script: list[int]) -> None:
    async def play() -> None:
        numbers = hub()
        subscription = numbers.subscribe(buffer)
        unread: list[int] = []
        heard = dropped = published = 0
        for step in script:
            if step < 6:
                numbers.publish(published)
                unread.append(published)
                published += 1
                dropped += len(unread) > buffer
                unread = unread[-buffer:]
            elif unread:
                assert await anext(subscription) == unread.pop(0)
                heard += 1
            assert (subscription.dropped, subscription.statistics().depth) == (dropped, len(unread))
        assert published == heard + dropped + len(unread)
        numbers.close()
        assert await rest(subscription) == unread

    trio.run(play)
