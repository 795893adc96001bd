"""The door into a trio loop: other threads have things done there, and never wait for being let in.

anyio's portal hands a call over by waiting until the loop has taken it, which holds the caller's own loop up whenever
this one is busy. Here a call is put into a queue and the loop is woken; the answer comes through a future.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import trio
from attrs import frozen

T = TypeVar("T")


class DoorClosed(RuntimeError):
    """The loop behind the door has ended, or ended before the call was answered."""


@frozen
class _Call:
    """One thing to be done: a synchronous one without a future, an asynchronous one with it.

    ``shared`` calls that are equal and let in together are done once.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    future: Future[Any] | None = None
    shared: bool = False


class Door:
    """One door into one trio loop; calls made before ``run`` are done once it runs.

    ``post``, ``submit`` and ``close`` may be called from any thread, ``run`` once, on the loop.
    """

    def __init__(self) -> None:
        self._calls: deque[_Call] = deque()
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._closed = False

    def submit(self, function: Callable[..., Awaitable[T]], *args: Any, shared: bool = False) -> Future[T]:
        """Have ``await function(*args)`` done on the loop, without waiting for anything.

        ``shared`` calls of the same function with the same (hashable) arguments that come in together are done once,
        and all get that one result. Cancelling the future cancels the call, once nobody else waits for it. It fails
        with ``DoorClosed`` if the loop ends first.
        """
        future: Future[T] = Future()
        self._put(_Call(function, args, future, shared))
        return future

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have the synchronous ``function(*args)`` done on the loop before anything that is asked for later.

        It must not raise. Nothing happens if the loop ends first.
        """
        self._put(_Call(function, args))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let calls in until cancelled; those under way are cancelled with it."""
        try:
            async with trio.open_nursery() as self._nursery:
                self._token = trio.lowlevel.current_trio_token()
                self._let_in()
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    def close(self) -> None:
        """Refuse every call that was not let in; to be called when the loop has ended. Idempotent."""
        self._closed = True
        self._refuse()

    def _put(self, call: _Call) -> None:
        self._calls.append(call)
        # The token is read after the call was put down, and the loop looks for calls after it gave the token: one of
        # the two sees the other.
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._let_in, idempotent=True)
            except trio.RunFinishedError:
                self._refuse()
        if self._closed:
            self._refuse()

    def _let_in(self) -> None:
        nursery = self._nursery
        if nursery is None:
            return
        together: dict[tuple[Any, ...], list[Future[Any]]] = {}
        while self._calls:
            call = self._calls.popleft()
            if call.future is None:
                call.function(*call.args)
            elif call.shared:
                together.setdefault((call.function, call.args), []).append(call.future)
            else:
                nursery.start_soon(_attend, [call.future], call.function, call.args)
        for (function, args), futures in together.items():
            nursery.start_soon(_attend, futures, function, args)

    def _refuse(self) -> None:
        while self._calls:
            call = self._calls.popleft()
            if call.future is not None:
                _settle([call.future], DoorClosed("the engine's loop has ended"), None)


async def _attend(
    futures: Sequence[Future[Any]], function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]
) -> None:
    scope = trio.CancelScope()
    cancel = partial(_cancel, trio.lowlevel.current_trio_token(), scope, futures)
    for future in futures:
        future.add_done_callback(cancel)
    error: Exception | None = DoorClosed("the engine's loop ended before the call was answered")
    result = None
    try:
        with scope:
            try:
                result, error = await function(*args), None
            except Exception as raised:  # noqa: BLE001 - whoever called is to have it
                error = raised
    finally:
        _settle(futures, error, result)


def _settle(futures: Sequence[Future[Any]], error: Exception | None, result: Any) -> None:
    for future in futures:
        if not future.set_running_or_notify_cancel():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _cancel(
    token: trio.lowlevel.TrioToken, scope: trio.CancelScope, futures: Sequence[Future[Any]], last: Future[Any]
) -> None:
    """Cancel what nobody waits for any more."""
    if last.cancelled() and all(future.cancelled() for future in futures):
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(scope.cancel)
