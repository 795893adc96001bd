"""The terminal: there, gone, never there; and the commands that end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from actors.cli.terminal import Terminal

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")

CHILD = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from actors.cli import main
raise SystemExit(main())
"""
OFFLINE = """
follow = [{ series = "btc-5m" }]
[venue]
websocket_url = "ws://127.0.0.1:9/ws/market"
gamma_url = "http://127.0.0.1:9"
clob_url = "http://127.0.0.1:9"
[log]
format = "json"
"""


def test_without_a_terminal_nothing_is_gone(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        terminal = Terminal.of_process([file.fileno()])
    assert terminal == Terminal()
    assert not terminal.is_gone()


def test_a_terminal_is_gone_once_its_other_end_is_closed() -> None:
    master, slave = os.openpty()
    terminal = Terminal.of_process([slave])
    assert terminal.descriptors == (slave,)
    assert not terminal.is_gone()
    os.close(master)
    assert terminal.is_gone()
    os.close(slave)


def test_whoever_ignores_hang_ups_has_no_terminal() -> None:
    master, slave = os.openpty()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert Terminal.of_process([slave]) == Terminal()
    finally:
        signal.signal(signal.SIGHUP, before)
        os.close(master)
        os.close(slave)


class Session:
    """A command on a terminal of its own, of which this is the other end."""

    def __init__(self, *words: str) -> None:
        self.master, slave = os.openpty()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**environ, "TERM": "xterm"},
        )
        os.close(slave)

    def until(self, text: str) -> None:
        said, deadline = b"", time.monotonic() + 20.0
        while text.encode() not in said:
            assert time.monotonic() < deadline, said
            said += os.read(self.master, 65_536)

    def hang_up(self) -> int:
        """Close the terminal; the exit code of what ran on it."""
        os.close(self.master)
        self.master = -1
        return self.process.wait(timeout=6.0)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            os.close(self.master)


@pytest.mark.socket
@pytest.mark.parametrize(
    ("words", "shown", "codes"),
    [
        (["run", "-c", "updown.toml", "--seconds", "30", "-o", "jsonl"], "market.followed", {0}),
        (["run", "-c", "updown.toml", "--seconds", "30", "-o", "table"], "underlying", {0}),
        (["demo", "-o", "table"], "Stand-in venue", {0}),
        (["serve", "--port", "0"], "clob_url", {0, -1}),
    ],
    ids=["run-lines", "run-table", "demo", "serve"],
)
def test_a_command_ends_with_its_terminal(words: list[str], shown: str, codes: set[int], tmp_path: Path) -> None:
    config = tmp_path / "updown.toml"
    config.write_text(OFFLINE, encoding="utf-8")
    session = Session(*(str(config) if word == config.name else word for word in words))
    try:
        session.until(shown)
        assert session.hang_up() in codes
    finally:
        session.close()


@pytest.mark.socket
def test_a_sighup_by_hand_reloads_while_the_terminal_is_there(tmp_path: Path) -> None:
    config = tmp_path / "updown.toml"
    config.write_text(OFFLINE, encoding="utf-8")
    session = Session("run", "-c", str(config), "--seconds", "30", "-o", "jsonl")
    try:
        session.until("market.followed")
        session.process.send_signal(signal.SIGHUP)
        session.until("config.reloaded")
        assert session.hang_up() == 0
    finally:
        session.close()
