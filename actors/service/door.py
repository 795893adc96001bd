"""The door into a trio loop: other threads have things done there, and never wait for being let in.

anyio's portal hands a call over by waiting until the loop has taken it, which holds the caller's own loop up whenever
this one is busy. Here calls are put into a queue and the loop is woken once for all of them; the answers go back once
for each loop that waits for some. Every wake-up of a thread costs a change of hands under the interpreter's lock, which
is most of what a call costs; ``tests/bench/bridge.py`` has the figures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import trio

Carry = Callable[..., object]
"""Has a function called soon in its own thread, from any thread; raises ``RuntimeError`` when its loop is over."""


class DoorClosed(RuntimeError):
    """The loop behind the door has ended, or ended before the call was answered."""


class Caller(Protocol):
    """Who waits for an answer."""

    carry: Carry | None
    """How to reach its thread; ``None``: ``settle`` may be called in any."""

    def settle(self, result: Any, error: Exception | None) -> None:
        """Take the answer; at most once."""


class Nobody:
    """Who does not care for the answer."""

    carry: Carry | None = None

    def settle(self, result: Any, error: Exception | None) -> None:
        """Let it go."""


class Call:
    """One asynchronous function to be called on the loop, and who waits for what it returns or raises.

    ``shared`` calls of the same function with the same (hashable) arguments that come in together are done once.
    """

    __slots__ = ("args", "caller", "errand", "function", "given_up", "shared")

    def __init__(
        self, caller: Caller, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], *, shared: bool = False
    ) -> None:
        self.caller = caller
        self.function = function
        self.args = args
        self.shared = shared
        self.given_up = False
        self.errand: _Errand | None = None


_Answer = tuple[Call, Any, Exception | None]


class Door:
    """One door into one trio loop; calls made before ``run`` are done once it runs.

    Everything but ``run`` may be called from any thread.
    """

    def __init__(self) -> None:
        self._queue: deque[Call | Callable[[], object]] = deque()
        self._answers: list[_Answer] = []
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._woken = False
        self._closed = False

    def submit(self, call: Call) -> None:
        """Have a call done, without waiting for anything; it fails with ``DoorClosed`` if the loop ends first."""
        self._put(call)

    def post(self, function: Callable[[], object]) -> None:
        """Have a synchronous function called on the loop before anything that is asked for later.

        It must not raise. Nothing happens if the loop ends first.
        """
        self._put(function)

    def give_up(self, call: Call) -> None:
        """Want no answer any more; what nobody waits for is cancelled."""
        call.given_up = True
        self.post(partial(_cancel_if_given_up, call))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let calls in until cancelled; those under way are cancelled with it."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            # Nobody is let in after this block: a nursery whose last task has ended takes no more.
            try:
                self._token = trio.lowlevel.current_trio_token()
                self._let_in()
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def close(self) -> None:
        """Refuse every call that was not let in; for when the loop has ended. Idempotent."""
        self._closed = True
        self._refuse()

    def _put(self, item: Call | Callable[[], object]) -> None:
        self._queue.append(item)
        # Put down first, looked for second: on the loop's side the token is given, and the mark taken back, before the
        # queue is emptied. So whatever this sees, one of the two sides sees the other.
        token = self._token
        if token is not None and not self._woken:
            self._woken = True
            try:
                token.run_sync_soon(self._let_in)
            except trio.RunFinishedError:
                self._refuse()
            except BaseException:  # Ctrl-C just here must not leave the loop asleep for good
                self._woken = False
                raise
        if self._closed:
            self._refuse()

    def _let_in(self) -> None:
        self._woken = False
        nursery = self._nursery
        if nursery is None:
            return
        together: dict[tuple[Any, ...], _Errand] = {}
        while self._queue:
            item = self._queue.popleft()
            if not isinstance(item, Call):
                item()
            elif not item.given_up:
                key = (item.function, item.args) if item.shared else (item,)
                errand = together.setdefault(key, _Errand(self._answer))
                errand.take(item)
        for errand in together.values():
            nursery.start_soon(errand.run)

    def _answer(self, calls: Sequence[Call], result: Any, error: Exception | None) -> None:
        """Keep the answers until everything that is ready now has added its own."""
        if not self._answers and self._token is not None:
            self._token.run_sync_soon(self._deliver)
        self._answers += [(call, result, error) for call in calls if not call.given_up]

    def _deliver(self) -> None:
        answers, self._answers = self._answers, []
        _hand_back(answers)

    def _refuse(self) -> None:
        # Several threads may be at it: each hands back what it took itself.
        refused: list[_Answer] = []
        with suppress(IndexError):
            while True:
                item = self._queue.popleft()
                if isinstance(item, Call):
                    refused.append((item, None, DoorClosed("the engine's loop has ended")))
        _hand_back(refused)


class _Errand:
    """What some equal calls want, done once."""

    def __init__(self, answer: Callable[[Sequence[Call], Any, Exception | None], None]) -> None:
        self._answer = answer
        self._calls: list[Call] = []
        self._scope = trio.CancelScope()

    def take(self, call: Call) -> None:
        call.errand = self
        self._calls.append(call)

    def cancel_if_given_up(self) -> None:
        if all(call.given_up for call in self._calls):
            self._scope.cancel()

    async def run(self) -> None:
        error: Exception | None = DoorClosed("the engine's loop ended before the call was answered")
        result = None
        try:
            with self._scope:
                try:
                    result, error = await self._calls[0].function(*self._calls[0].args), None
                except Exception as raised:  # noqa: BLE001 - whoever called is to have it
                    error = raised
        finally:
            self._answer(self._calls, result, error)


def _hand_back(answers: Sequence[_Answer]) -> None:
    """Settle them, all those of one thread at once."""
    by_thread: dict[Carry | None, list[_Answer]] = {}
    for answer in answers:
        by_thread.setdefault(answer[0].caller.carry, []).append(answer)
    for carry, theirs in by_thread.items():
        if carry is None:
            _settle(theirs)
        else:
            with suppress(RuntimeError):  # a loop that is over waits for nothing
                carry(_settle, theirs)


def _settle(answers: Sequence[_Answer]) -> None:
    for call, result, error in answers:
        call.caller.settle(result, error)


def _cancel_if_given_up(call: Call) -> None:
    if call.errand is not None:
        call.errand.cancel_if_given_up()
