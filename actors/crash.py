"""Running a task that may crash: what is its crash, what must travel on, and how a crash is put into words."""

import math
import traceback
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import trio

from actors.faults import excerpt

TRACEBACK_LINES: Final = 60
_CAUSES: Final = 3


class Ending(StrEnum):
    """How a task came to its end."""

    FINISHED = "finished"
    CRASHED = "crashed"


async def contained(
    play: Callable[[], Awaitable[object]], report: Callable[[BaseException], None], *, name: str
) -> Ending:
    """Run `play` in a task of its own and give its crash to `report` instead of raising it.

    A task of its own, so that context variables and cancel scopes it leaves behind die with it. What is not a crash
    (see `divide`) is raised.
    """
    ending = Ending.FINISHED

    def settle(error: BaseException) -> None:
        nonlocal ending
        crash, onward = divide(error)
        if crash is not None:
            ending = Ending.CRASHED
            report(crash)
        if onward is not None:
            raise onward

    # Settled inside the task, because a nursery would absorb a Cancelled that nobody asked for and call it success.
    async def task() -> None:
        try:
            await play()
        except BaseException as error:  # noqa: BLE001 - divided, and raised as far as it is not a crash
            settle(error)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(task, name=name)
    except BaseException as error:  # noqa: BLE001 - trio's own complaint about cancel scopes left open, or as above
        settle(error)
    return ending


def divide(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Divide what left a task into its crash and what has to travel on; either may be None.

    Every Exception is a crash. Cancelled travels on while a cancellation is in force around the caller; otherwise it
    strayed out of a scope that nobody cancelled (trio-websocket does that) and is a crash, too. The rest, such as
    KeyboardInterrupt and SystemExit, always travels on. A group is split accordingly.
    """
    cancelled = trio.current_effective_deadline() == -math.inf
    crashes = (Exception,) if cancelled else (Exception, trio.Cancelled)
    if isinstance(error, BaseExceptionGroup):
        return error.split(crashes)
    return (error, None) if isinstance(error, crashes) else (None, error)


def unwrapped(error: BaseException) -> BaseException:
    """`error` without the groups around it that hold nothing else."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def summary(error: BaseException) -> str:
    """Class and text in at most 256 printable characters; of a group, the first few members. Never raises."""
    try:
        return excerpt(_summary(unwrapped(error)))
    except Exception:  # noqa: BLE001 - a text of its own making must not turn one crash into two
        return excerpt(type(error).__name__)


def traceback_text(error: BaseException) -> str:
    """The last 60 lines of the traceback, each at most 256 printable characters. Never raises."""
    try:
        lines = "".join(traceback.format_exception(error)).splitlines()
    except Exception:  # noqa: BLE001 - see `summary`
        return ""
    return "\n".join(map(excerpt, lines[-TRACEBACK_LINES:]))


def _summary(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        text = "; ".join(summary(cause) for cause in error.exceptions[:_CAUSES])
    else:
        text = str(error)
    return f"{name}: {text}" if text else name
