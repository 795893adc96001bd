import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from actors.mailbox import Mailbox, MailboxStatistics, Overflow


def mailbox(overflow: Overflow, capacity: int = 3) -> Mailbox[int]:
    return Mailbox(capacity, overflow, name="box")


def filled(overflow: Overflow, items: int, capacity: int = 3) -> Mailbox[int]:
    box = mailbox(overflow, capacity)
    for item in range(items):
        assert box.put_nowait(item)
    return box


# ------------------------------------------------------------------------------------------------------------ policies


@pytest.mark.parametrize("overflow", [Overflow.BLOCK, Overflow.REFUSE])
async def test_full_box_does_not_take_the_item(overflow: Overflow) -> None:
    box = filled(overflow, 3)
    assert not box.put_nowait(99)
    assert await box.receive() == [0, 1, 2]
    assert box.statistics().refused == 1
    assert box.statistics().dropped == 0


async def test_drop_oldest_makes_room_and_counts() -> None:
    box = filled(Overflow.DROP_OLDEST, 5)
    assert await box.receive() == [2, 3, 4]
    assert box.statistics().dropped == 2


async def test_latest_keeps_only_the_newest_whatever_the_capacity() -> None:
    box = filled(Overflow.LATEST, 5, capacity=64)
    assert box.statistics().depth == box.statistics().capacity == 1
    assert await box.receive() == [4]
    assert box.statistics().dropped == 4


async def test_put_to_a_full_refusing_box_would_block() -> None:
    box = filled(Overflow.REFUSE, 3)
    with pytest.raises(trio.WouldBlock):
        await box.put(99)
    assert box.drain() == [0, 1, 2]


@pytest.mark.parametrize(("overflow", "kept"), [(Overflow.DROP_OLDEST, [2, 3, 4]), (Overflow.LATEST, [4])])
async def test_put_that_makes_room_does_not_wait(overflow: Overflow, kept: list[int]) -> None:
    box = mailbox(overflow)
    for item in range(5):
        with assert_checkpoints():
            await box.put(item)
    assert box.drain() == kept


def test_statistics_tell_the_whole_story() -> None:
    box = filled(Overflow.DROP_OLDEST, 5)
    box.drain()
    box.put_nowait(5)
    assert len(box) == 1
    assert box.statistics() == MailboxStatistics(
        name="box", depth=1, capacity=3, received=6, dropped=2, refused=0, high_water=3
    )


def test_statistics_begin_at_nothing() -> None:
    statistics = mailbox(Overflow.REFUSE).statistics()
    assert (statistics.depth, statistics.received, statistics.dropped, statistics.refused) == (0, 0, 0, 0)
    assert statistics.high_water == 0


@pytest.mark.parametrize("capacity", [0, -1])
@pytest.mark.parametrize("overflow", list(Overflow))
def test_a_box_without_room_is_refused(capacity: int, overflow: Overflow) -> None:
    with pytest.raises(ValueError, match="at least one item"):
        mailbox(overflow, capacity)


# -------------------------------------------------------------------------------------------------- waiting, waking up


async def test_receive_waits_for_the_first_item_and_takes_all_that_came_with_it() -> None:
    box = mailbox(Overflow.BLOCK)
    received: list[list[int]] = []

    async def consumer() -> None:
        received.append(await box.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer)
        await wait_all_tasks_blocked()
        assert received == []
        box.put_nowait(1)
        box.put_nowait(2)
    assert received == [[1, 2]]


async def test_receive_is_a_checkpoint_when_it_need_not_wait() -> None:
    box = filled(Overflow.BLOCK, 1)
    with assert_checkpoints():
        assert await box.receive() == [0]


async def test_put_waits_for_room_in_the_order_of_asking() -> None:
    box = filled(Overflow.BLOCK, 2, capacity=2)
    done: list[int] = []

    async def producer(item: int) -> None:
        await box.put(item)
        done.append(item)

    async with trio.open_nursery() as nursery:
        for item in range(2, 7):
            nursery.start_soon(producer, item)
            await wait_all_tasks_blocked()
        assert done == []
        assert not box.put_nowait(99), "nobody overtakes those who wait"
        assert await box.receive() == [0, 1]
        await wait_all_tasks_blocked()
        assert sorted(done) == [2, 3]
        assert not box.put_nowait(99)
        assert box.drain() == [2, 3]
        assert await box.receive() == [4, 5]
        assert await box.receive() == [6]
    assert sorted(done) == [2, 3, 4, 5, 6]
    assert box.statistics().high_water == 2


async def test_second_consumer_is_told() -> None:
    box = mailbox(Overflow.BLOCK)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await box.receive()
        box.put_nowait(1)


async def test_drain_that_was_quicker_sends_the_consumer_back_to_waiting() -> None:
    box = mailbox(Overflow.BLOCK)
    received: list[list[int]] = []

    async def consumer() -> None:
        received.append(await box.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer)
        await wait_all_tasks_blocked()
        box.put_nowait(1)
        assert box.drain() == [1]
        await wait_all_tasks_blocked()
        assert received == []
        box.put_nowait(2)
    assert received == [[2]]


def test_drain_of_an_empty_box_is_empty() -> None:
    assert mailbox(Overflow.BLOCK).drain() == []


# -------------------------------------------------------------------------------------------------------- cancellation


async def test_cancelled_receive_loses_nothing() -> None:
    box = filled(Overflow.BLOCK, 2)
    with trio.CancelScope() as scope:
        scope.cancel()
        await box.receive()
        pytest.fail("a cancelled receive returned")
    assert box.drain() == [0, 1]


async def test_cancelled_while_waiting_leaves_the_place_to_the_next(autojump_clock: MockClock) -> None:
    box = mailbox(Overflow.BLOCK)
    with trio.move_on_after(1.0) as scope:
        await box.receive()
    assert scope.cancelled_caught
    box.put_nowait(7)
    assert await box.receive() == [7]


async def test_cancelled_in_the_moment_of_waking_keeps_what_it_was_woken_for() -> None:
    box = mailbox(Overflow.BLOCK)
    received: list[list[int]] = []
    scope = trio.CancelScope()

    async def consumer() -> None:
        with scope:
            received.append(await box.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer)
        await wait_all_tasks_blocked()
        box.put_nowait(1)
        scope.cancel()
    assert [*received, box.drain()] == [[1], []]


async def test_cancelled_put_has_not_put(autojump_clock: MockClock) -> None:
    box = filled(Overflow.BLOCK, 3)
    with trio.move_on_after(1.0) as scope:
        await box.put(99)
    assert scope.cancelled_caught
    with trio.CancelScope() as scope:
        scope.cancel()
        await box.put(98)
    assert scope.cancelled_caught
    assert box.drain() == [0, 1, 2]
    assert box.drain() == []


async def test_put_taken_in_the_moment_of_its_cancellation_counts_as_put() -> None:
    box = filled(Overflow.BLOCK, 1, capacity=1)
    returned: list[int] = []
    scope = trio.CancelScope()

    async def producer() -> None:
        with scope:
            await box.put(1)
            returned.append(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(producer)
        await wait_all_tasks_blocked()
        assert box.drain() == [0]
        scope.cancel()
    assert returned == box.drain() == [1]


# -------------------------------------------------------------------------------------------------------------- closing


async def test_close_wakes_everyone_and_keeps_what_is_there() -> None:
    box = filled(Overflow.BLOCK, 1, capacity=1)
    ends: list[str] = []

    async def producer(item: int) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await box.put(item)
        ends.append("turned away")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(producer, 8)
        nursery.start_soon(producer, 9)
        await wait_all_tasks_blocked()
        box.close()
        box.close()
        assert box.drain() == [0], "those turned away do not slip in behind"
    assert ends == ["turned away"] * 2
    with pytest.raises(trio.EndOfChannel):
        await box.receive()


async def test_close_ends_a_waiting_consumer() -> None:
    box = mailbox(Overflow.BLOCK)

    async def consumer() -> None:
        with pytest.raises(trio.EndOfChannel):
            await box.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer)
        await wait_all_tasks_blocked()
        box.close()
    assert box.statistics().received == 0


async def test_what_was_put_before_close_is_received_before_the_end() -> None:
    box = filled(Overflow.DROP_OLDEST, 2)
    box.close()
    assert await box.receive() == [0, 1]
    with pytest.raises(trio.EndOfChannel):
        await box.receive()


@pytest.mark.parametrize("overflow", list(Overflow))
async def test_a_closed_box_takes_nothing(overflow: Overflow) -> None:
    box = mailbox(overflow)
    box.close()
    with pytest.raises(trio.BrokenResourceError):
        box.put_nowait(1)
    with pytest.raises(trio.BrokenResourceError):
        await box.put(1)
    assert box.statistics().received == 0


async def test_producer_taken_before_the_close_is_not_turned_away() -> None:
    box = filled(Overflow.BLOCK, 1, capacity=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.put, 1)
        await wait_all_tasks_blocked()
        assert box.drain() == [0]
        box.close()
    assert box.drain() == [1]


# ----------------------------------------------------------------------------------------------------------- properties


@given(st.sampled_from(Overflow), st.integers(1, 5), st.lists(st.none() | st.integers(), max_size=60))
def test_agrees_with_the_naive_model(overflow: Overflow, capacity: int, script: list[int | None]) -> None:
    """None drains, an integer is put."""
    box = mailbox(overflow, capacity)
    model: list[int] = []
    dropped = refused = 0
    for step in script:
        if step is None:
            assert box.drain() == model
            model = []
            continue
        room = 1 if overflow is Overflow.LATEST else capacity
        makes_room = overflow in {Overflow.LATEST, Overflow.DROP_OLDEST}
        taken = len(model) < room or makes_room
        assert box.put_nowait(step) is taken
        model += [step] if taken else []
        refused += not taken
        dropped += max(0, len(model) - room)
        model = model[-room:]
        statistics = box.statistics()
        assert (statistics.depth, statistics.dropped, statistics.refused) == (len(model), dropped, refused)


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_is_lost_doubled_or_overtaken_under_random_cancellation(
    seed: int, autojump_clock: MockClock
) -> None:
    rng = random.Random(seed)
    box: Mailbox[tuple[int, int]] = Mailbox(rng.randint(1, 4), Overflow.BLOCK, name="box")
    put: list[tuple[int, int]] = []
    received: list[tuple[int, int]] = []

    async def producer(index: int) -> None:
        for number in range(60):
            with trio.move_on_after(rng.choice([0.0, 0.01, 0.02])) as scope:
                await box.put((index, number))
            if not scope.cancelled_caught:
                put.append((index, number))
            await trio.sleep(rng.choice([0.0, 0.0, 0.01]))

    async def consumer() -> None:
        while True:
            with trio.move_on_after(rng.choice([0.0, 0.005, 0.01, 0.03])):
                try:
                    received.extend(await box.receive())
                except trio.EndOfChannel:
                    return
            await trio.sleep(rng.choice([0.0, 0.0, 0.01]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer)
        async with trio.open_nursery() as producers:
            for index in range(5):
                producers.start_soon(producer, index)
        box.close()
    assert len(put) > 50
    assert sorted(received) == sorted(put)
    for index in range(5):
        assert [item for item in received if item[0] == index] == [item for item in put if item[0] == index]
    assert box.statistics().received == len(put)
