import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio

from actors.cli.notify import Systemd


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket to be notified, and its address as systemd gives it."""
    name = f"@updown-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as bound:
        bound.bind(name.replace("@", "\0"))
        bound.setblocking(False)
        yield bound, name


@pytest.mark.socket
def test_a_state_is_one_datagram(listener: tuple[socket.socket, str]) -> None:
    bound, address = listener
    Systemd.of({"NOTIFY_SOCKET": address}).tell("READY=1")
    assert bound.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/absent/socket"}])
def test_nobody_listening_is_no_error(environ: dict[str, str]) -> None:
    assert Systemd.of(environ).tell("READY=1") is None


OURS = str(os.getpid())


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": OURS}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_PID": OURS}, None),
    ],
)
def test_a_watchdog_is_ours_or_none(environ: dict[str, str], seconds: float | None) -> None:
    assert Systemd.of({"NOTIFY_SOCKET": "/x", **environ}).watchdog_s == seconds
    assert Systemd.of(environ).watchdog_s is None


@pytest.mark.socket
async def test_the_watchdog_hears_twice_as_often_as_it_asks(
    listener: tuple[socket.socket, str], autojump_clock: trio.testing.MockClock
) -> None:
    bound, address = listener
    with trio.move_on_after(29.0):
        await Systemd.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000"}).keep_watchdog()
    heard = []
    while len(heard) < 6:
        heard.append(bound.recv(100))
    assert heard == [b"WATCHDOG=1"] * 6
    with pytest.raises(BlockingIOError):
        bound.recv(100)


async def test_without_a_watchdog_there_is_nothing_to_keep() -> None:
    with trio.fail_after(1):
        await Systemd().keep_watchdog()
