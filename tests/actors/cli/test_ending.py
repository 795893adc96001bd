import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import structlog
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from actors.cli.ending import FIRST_S, RELOADING, SECOND_S, LastResort, Stop
from actors.cli.failures import Exit
from actors.cli.terminal import SETTLE_S, Terminal


class GaveUp(list[tuple[float, Exit]]):
    """Remembers how long it was to wait."""

    def arm(self, seconds: float, code: Exit) -> None:
        self.append((seconds, code))


def stop_of(gave_up: GaveUp) -> Stop:
    return Stop(gave_up.arm, log=structlog.get_logger())


def test_the_first_wish_is_patient_and_the_second_is_not() -> None:
    gave_up = GaveUp()
    stop = stop_of(gave_up)
    with capture_logs() as logged:
        stop.wish("SIGTERM")
        assert stop.wished.is_set()
        stop.wish("SIGTERM")
    assert gave_up == [(FIRST_S, Exit.DONE), (SECOND_S, Exit.DONE)]
    assert FIRST_S < 5.0
    assert SECOND_S < 1.0
    assert [(entry["event"], entry["reason"]) for entry in logged] == [("engine.stopping", "SIGTERM")]


async def signals(*numbers: int) -> AsyncIterator[int]:
    for number in numbers:
        await trio.lowlevel.checkpoint()
        yield number


async def test_signals_end_or_reload() -> None:
    gave_up, reloads = GaveUp(), []
    stop = stop_of(gave_up)
    await stop.obey(signals(*RELOADING, *RELOADING), lambda: reloads.append(1))
    assert reloads == [1, 1]
    assert not stop.wished.is_set()
    await stop.obey(signals(signal.SIGINT, signal.SIGTERM), lambda: reloads.append(2))
    assert stop.wished.is_set()
    assert len(gave_up) == 2
    assert reloads == [1, 1]


@pytest.mark.skipif(not RELOADING, reason="no SIGHUP here")
async def test_a_hang_up_ends_and_never_insists(autojump_clock: MockClock) -> None:
    master, slave = os.openpty()
    gave_up, reloads = GaveUp(), []
    stop = Stop(gave_up.arm, log=structlog.get_logger(), terminal=Terminal.of_process([slave]))
    await stop.obey(signals(*RELOADING), lambda: reloads.append(1))
    assert (reloads, stop.wished.is_set()) == ([1], False), "it is still there"
    os.close(master)
    await stop.obey(signals(*RELOADING, *RELOADING), lambda: reloads.append(2))
    os.close(slave)
    assert stop.wished.is_set()
    assert gave_up == [(FIRST_S, Exit.DONE)]
    assert reloads == [1]


@pytest.mark.skipif(not RELOADING, reason="no SIGHUP here")
async def test_a_terminal_may_go_right_after_its_signal(autojump_clock: MockClock) -> None:
    master, slave = os.openpty()
    stop = Stop(GaveUp().arm, log=structlog.get_logger(), terminal=Terminal.of_process([slave]))

    async def going() -> None:
        await trio.sleep(SETTLE_S / 2)
        os.close(master)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(going)
        await stop.obey(signals(*RELOADING), lambda: pytest.fail("reloaded"))
    os.close(slave)
    assert stop.wished.is_set()


def after(program: str) -> tuple[int, str]:
    """The exit code of a program, and what it said."""
    prelude = "import time; from actors.cli.ending import LastResort; from actors.cli.failures import Exit\n"
    result = subprocess.run(
        [sys.executable, "-c", prelude + program], capture_output=True, text=True, timeout=20, check=False
    )
    return result.returncode, result.stderr


@pytest.mark.socket
def test_the_last_resort_ends_what_hangs() -> None:
    hanging = "last = LastResort(); last.arm(30, Exit.DONE); last.arm(0.05, Exit.INTERNAL); time.sleep(30)"
    code, said = after(hanging)
    assert code == Exit.INTERNAL
    assert said == "updown: did not wait for the rest to finish\n"


@pytest.mark.socket
def test_a_disarmed_last_resort_ends_nothing() -> None:
    code, said = after("last = LastResort(); last.arm(0.05, Exit.INTERNAL); last.disarm(); time.sleep(0.2)")
    assert (code, said) == (0, "")


def test_disarming_twice_or_unarmed_is_no_error() -> None:
    last_resort = LastResort()
    last_resort.disarm()
    last_resort.arm(30.0, Exit.DONE)
    last_resort.disarm()
    last_resort.disarm()
    assert all(timer.finished.is_set() for timer in last_resort._timers)
