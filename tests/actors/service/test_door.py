"""The door into a trio loop: in which order and how often things are done, and that every call is answered."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from actors.service.door import Call, Carry, Door, DoorClosed, Nobody
from tests.actors.service.embedding import PATIENCE_S, Behind, Endless

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


class Asked:
    """A caller that remembers its answer."""

    def __init__(self, carry: Carry | None = None) -> None:
        self.carry = carry
        self.settled = threading.Event()
        self.answers: list[tuple[Any, Exception | None]] = []

    def settle(self, result: Any, error: Exception | None) -> None:
        self.answers.append((result, error))
        self.settled.set()

    @property
    def result(self) -> Any:
        ((result, error),) = self.answers
        assert error is None, error
        return result

    @property
    def error(self) -> Exception | None:
        ((_, error),) = self.answers
        return error


def submit(door: Door, function: Callable[..., Any], *args: Any, shared: bool = False) -> Asked:
    caller = Asked()
    door.submit(Call(caller, function, args, shared=shared))
    return caller


async def idle() -> None:
    await trio.testing.wait_all_tasks_blocked()


@contextmanager
def switching_often() -> Iterator[None]:
    """Have the threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """Do it in so many threads at once; all must end."""
    together = threading.Barrier(count)

    def one(number: int) -> None:
        together.wait(PATIENCE_S)
        work(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)


# --------------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("early", [True, False], ids=["before the loop runs", "while it runs"])
async def test_what_is_posted_is_done_before_what_is_submitted_later(nursery: trio.Nursery, early: bool) -> None:
    door, done = Door(), list[str]()

    async def call(name: str) -> None:
        done.append(name)

    if not early:
        await nursery.start(door.run)
    door.post(partial(done.append, "first post"))
    submit(door, call, "call")
    door.post(partial(done.append, "second post"))
    assert done == []
    if early:
        await nursery.start(door.run)
    await idle()
    assert done[0] == "first post"
    assert sorted(done) == ["call", "first post", "second post"]


async def test_posts_keep_their_order(nursery: trio.Nursery) -> None:
    door, done = Door(), list[int]()
    for number in range(50):
        door.post(partial(done.append, number))
    await nursery.start(door.run)
    for number in range(50, 100):
        door.post(partial(done.append, number))
    await idle()
    assert done == list(range(100))


async def test_calls_made_before_the_loop_runs_are_answered_once_it_does(nursery: trio.Nursery) -> None:
    door = Door()
    callers = [submit(door, returned, number) for number in range(3)]
    await idle()
    assert [caller.answers for caller in callers] == [[], [], []]
    await nursery.start(door.run)
    await idle()
    assert [caller.result for caller in callers] == [0, 1, 2]


async def test_nobody_wants_no_answer(nursery: trio.Nursery) -> None:
    door, done = Door(), list[str]()

    async def call() -> None:
        done.append("called")
        raise ValueError("nobody hears")

    await nursery.start(door.run)
    door.submit(Call(Nobody(), call, ()))
    await idle()
    assert done == ["called"]


async def returned(value: object) -> object:
    return value


# -------------------------------------------------------------------------------------------------------------- shared


class Counted:
    """A call that counts how often it is done, and ends when it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.cancelled = 0
        self.go_on = trio.Event()

    async def call(self, *args: object) -> int:
        self.calls.append(args)
        number = len(self.calls)
        try:
            await self.go_on.wait()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        return number


async def test_equal_shared_calls_that_come_together_are_done_once(nursery: trio.Nursery) -> None:
    door, counted = Door(), Counted()
    counted.go_on.set()
    await nursery.start(door.run)
    callers = [submit(door, counted.call, None, shared=True) for _ in range(5)]
    await idle()
    assert counted.calls == [(None,)]
    assert [caller.result for caller in callers] == [1] * 5


async def test_only_equal_calls_are_shared(nursery: trio.Nursery) -> None:
    door, counted, other = Door(), Counted(), Counted()
    counted.go_on.set()
    other.go_on.set()
    await nursery.start(door.run)
    for args in ((None,), (0.0,), (1.0,)):
        submit(door, counted.call, *args, shared=True)
    submit(door, counted.call, None)
    submit(door, other.call, None, shared=True)
    await idle()
    assert sorted(counted.calls, key=repr) == [(0.0,), (1.0,), (None,), (None,)]
    assert other.calls == [(None,)]


async def test_who_comes_later_is_answered_anew(nursery: trio.Nursery) -> None:
    door, counted = Door(), Counted()
    await nursery.start(door.run)
    first = submit(door, counted.call, shared=True)
    await idle()
    second = submit(door, counted.call, shared=True)
    await idle()
    counted.go_on.set()
    await idle()
    assert (first.result, second.result) == (1, 2)


async def test_an_error_of_a_shared_call_reaches_all(nursery: trio.Nursery) -> None:
    door = Door()

    async def fail() -> None:
        raise ValueError("no")

    await nursery.start(door.run)
    callers = [submit(door, fail, shared=True) for _ in range(3)] + [submit(door, fail)]
    await idle()
    assert [repr(caller.error) for caller in callers] == ["ValueError('no')"] * 4


# ------------------------------------------------------------------------------------------------------------ given up


async def test_what_nobody_waits_for_is_cancelled(nursery: trio.Nursery) -> None:
    door, counted = Door(), Counted()
    await nursery.start(door.run)
    caller = Asked()
    call = Call(caller, counted.call, ())
    door.submit(call)
    await idle()
    door.give_up(call)
    await idle()
    assert (counted.cancelled, caller.answers) == (1, [])


async def test_each_waiter_of_a_shared_call_gives_up_by_itself(nursery: trio.Nursery) -> None:
    door, counted = Door(), Counted()
    await nursery.start(door.run)
    callers = [Asked() for _ in range(3)]
    calls = [Call(caller, counted.call, (), shared=True) for caller in callers]
    for call in calls:
        door.submit(call)
    await idle()
    door.give_up(calls[0])
    door.give_up(calls[2])
    await idle()
    assert counted.cancelled == 0
    counted.go_on.set()
    await idle()
    assert (callers[0].answers, callers[1].result, callers[2].answers) == ([], 1, [])


async def test_the_last_of_a_shared_call_that_gives_up_cancels_it(nursery: trio.Nursery) -> None:
    door, counted = Door(), Counted()
    await nursery.start(door.run)
    calls = [Call(Asked(), counted.call, (), shared=True) for _ in range(2)]
    for call in calls:
        door.submit(call)
    await idle()
    for cancelled, call in enumerate(calls):
        door.give_up(call)
        await idle()
        assert counted.cancelled == cancelled


@pytest.mark.parametrize("shared", [True, False])
async def test_what_is_given_up_before_it_is_let_in_is_not_done(nursery: trio.Nursery, shared: bool) -> None:
    door, counted = Door(), Counted()
    call = Call(Asked(), counted.call, (), shared=shared)
    door.submit(call)
    door.give_up(call)
    await nursery.start(door.run)
    await idle()
    assert counted.calls == []


async def test_giving_up_too_late_changes_nothing(nursery: trio.Nursery) -> None:
    door = Door()
    caller = Asked()
    call = Call(caller, returned, (1,))
    await nursery.start(door.run)
    door.submit(call)
    await idle()
    door.give_up(call)
    await idle()
    assert caller.result == 1


# ----------------------------------------------------------------------------------------------------- the loop's end


async def test_calls_under_way_fail_when_the_loop_ends() -> None:
    door, counted = Door(), Counted()
    async with trio.open_nursery() as nursery:
        await nursery.start(door.run)
        callers = [submit(door, counted.call), *(submit(door, counted.call, shared=True) for _ in range(2))]
        await idle()
        nursery.cancel_scope.cancel()
    await idle()
    assert [type(caller.error) for caller in callers] == [DoorClosed] * 3
    assert counted.cancelled == 2


async def test_calls_after_the_end_fail_once_the_door_is_closed() -> None:
    door, done = Door(), list[str]()
    async with trio.open_nursery() as nursery:
        await nursery.start(door.run)
        nursery.cancel_scope.cancel()
    between = submit(door, returned, 1)
    await idle()
    assert between.answers == []
    door.close()
    after = submit(door, returned, 1)
    door.post(partial(done.append, "too late"))
    door.close()
    assert [type(caller.error) for caller in (between, after)] == [DoorClosed] * 2
    assert done == []


def test_a_door_that_never_opened_refuses_when_it_is_closed() -> None:
    door = Door()
    before, after = submit(door, returned, 1), Asked()
    door.close()
    door.submit(Call(after, returned, (1,)))
    assert [type(caller.error) for caller in (before, after)] == [DoorClosed] * 2


def test_a_call_after_the_loop_is_gone_waits_for_nothing() -> None:
    behind = Behind()
    with behind:
        assert submit(behind.door, returned, 1).settled.wait(PATIENCE_S)
    assert type(submit(behind.door, returned, 1).error) is DoorClosed


# The order of two tasks that are ready at the same time is drawn by lot, so one run proves little.
@pytest.mark.parametrize("attempt", range(20))
async def test_who_comes_while_the_loop_ends_does_not_crash_it(attempt: int) -> None:
    door, late = Door(), list[Asked]()

    async def call() -> None:
        try:
            await trio.sleep_forever()
        finally:
            late.append(submit(door, returned, attempt))

    async with trio.open_nursery() as nursery:
        await nursery.start(door.run)
        caller = submit(door, call)
        await idle()
        nursery.cancel_scope.cancel()
    await idle()
    door.close()
    assert [type(caller.error), type(late[0].error)] == [DoorClosed] * 2


async def test_what_ends_the_loop_from_within_is_no_answer() -> None:
    door = Door()

    async def fatal() -> None:
        raise KeyboardInterrupt

    callers = [submit(door, fatal), submit(door, trio.sleep_forever)]
    with pytest.raises(BaseExceptionGroup) as caught:
        await door.run()
    await idle()
    assert caught.group_contains(KeyboardInterrupt)
    assert [type(caller.error) for caller in callers] == [DoorClosed] * 2


# ------------------------------------------------------------------------------------------------------------- answers


class Lane:
    """A loop that is told everything at once, or is over."""

    def __init__(self, *, over: bool = False) -> None:
        self.told: list[tuple[object, ...]] = []
        self._over = over

    def carry(self, function: Callable[..., object], *args: object) -> None:
        if self._over:
            raise RuntimeError("the loop is closed")
        self.told.append(args)
        function(*args)


def ask_from(door: Door, lane: Lane, number: int) -> Asked:
    caller = Asked(lane.carry)
    door.submit(Call(caller, returned, (number,)))
    return caller


async def test_answers_go_back_once_for_each_loop(nursery: trio.Nursery) -> None:
    door, lanes = Door(), (Lane(), Lane())
    await nursery.start(door.run)
    callers = [ask_from(door, lane, number) for number in range(5) for lane in lanes]
    await idle()
    assert [len(lane.told) for lane in lanes] == [1, 1]
    assert [caller.result for caller in callers] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


async def test_a_loop_that_is_over_keeps_no_answer_from_another(nursery: trio.Nursery) -> None:
    door, over, alive = Door(), Lane(over=True), Lane()
    await nursery.start(door.run)
    lost, found = ask_from(door, over, 1), ask_from(door, alive, 2)
    await idle()
    assert (lost.answers, found.result) == ([], 2)
    again = ask_from(door, alive, 3)
    await idle()
    assert again.result == 3


async def test_context_variables_stay_on_their_side(nursery: trio.Nursery) -> None:
    door, posted = Door(), list[str]()

    async def call() -> str:
        found = VARIABLE.get()
        VARIABLE.set("of the call")
        return found

    await nursery.start(door.run)
    VARIABLE.set("of the caller")
    door.post(lambda: posted.append(VARIABLE.get()))
    first = submit(door, call)
    await idle()
    second = submit(door, call)
    await idle()
    assert (first.result, second.result, posted) == ("unset", "unset", ["unset"])
    assert VARIABLE.get() == "of the caller"


# ------------------------------------------------------------------------------------------------------------- threads


def test_every_call_of_many_threads_gets_its_own_answer() -> None:
    answers: dict[int, Sequence[Asked]] = {}

    def ask_often(number: int) -> None:
        answers[number] = [submit(behind.door, returned, (number, turn)) for turn in range(200)]

    with switching_often(), Behind() as behind:
        in_threads(6, ask_often)
        assert all(caller.settled.wait(PATIENCE_S) for callers in answers.values() for caller in callers)
    for number, callers in answers.items():
        assert [caller.result for caller in callers] == [(number, turn) for turn in range(200)]


def test_the_posts_of_each_thread_keep_their_order() -> None:
    done: list[tuple[int, int]] = []

    def post_often(number: int) -> None:
        for turn in range(200):
            behind.door.post(partial(done.append, (number, turn)))

    with switching_often(), Behind() as behind:
        in_threads(6, post_often)
        assert submit(behind.door, returned, None).settled.wait(PATIENCE_S)
    assert len(done) == 1_200
    for number in range(6):
        assert [turn for thread, turn in done if thread == number] == list(range(200))


def test_no_call_is_lost_while_the_loop_ends() -> None:
    answers: list[Asked] = []

    def ask_until_refused(_: int) -> None:
        while True:
            caller = submit(behind.door, returned, 1)
            answers.append(caller)
            assert caller.settled.wait(PATIENCE_S)
            if caller.error is not None:
                return

    def work(number: int) -> None:
        if number:
            ask_until_refused(number)
        else:
            assert started.wait(PATIENCE_S)
            behind.end()

    started = threading.Event()
    with switching_often(), Behind() as behind:
        behind.door.post(started.set)
        in_threads(5, work)
    assert {type(caller.error) for caller in answers} <= {type(None), DoorClosed}
    assert all(len(caller.answers) == 1 for caller in answers)


def test_no_call_is_lost_at_a_closed_door() -> None:
    door = Door()
    door.close()
    unanswered: list[Asked] = []

    def ask_often(_: int) -> None:
        for _ in range(1_000):
            caller = submit(door, returned, 1)
            if not caller.settled.wait(PATIENCE_S / 10):
                unanswered.append(caller)
                return

    with switching_often():
        in_threads(6, ask_often)
    assert unanswered == []


def test_two_threads_may_clear_the_queue_at_once() -> None:
    class Contended(deque[Any]):
        """Between a look and a grasp, somebody else takes the last one."""

        def __bool__(self) -> bool:
            return True

    door = Door()
    door._queue = Contended()
    callers = [submit(door, returned, number) for number in range(2)]
    door.close()
    assert [type(caller.error) for caller in callers] == [DoorClosed] * 2


def test_an_interrupt_while_the_loop_is_woken_does_not_leave_it_asleep() -> None:
    class Struck:
        """A token whose owner is interrupted the first time it is used."""

        def __init__(self, token: trio.lowlevel.TrioToken) -> None:
            self._token = token
            self._struck = False

        def run_sync_soon(self, *args: Any) -> None:
            if not self._struck:
                self._struck = True
                raise KeyboardInterrupt
            self._token.run_sync_soon(*args)

    with Behind() as behind:
        assert submit(behind.door, returned, 1).settled.wait(PATIENCE_S)
        assert behind.door._token is not None
        behind.door._token = Struck(behind.door._token)  # type: ignore[assignment]
        endless = Endless()
        with pytest.raises(KeyboardInterrupt):
            submit(behind.door, endless.call)
        assert submit(behind.door, returned, 2).settled.wait(PATIENCE_S)
        assert endless.begun.is_set()
