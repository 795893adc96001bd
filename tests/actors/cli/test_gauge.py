"""The bar over files: shown on a terminal only, with a rate."""

from __future__ import annotations

import io

import pytest

from actors.cli.gauge import reading


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_rate_and_share(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with reading("replay", 200) as watch:
        watch(50, 7)
        watch(50, 8)
    text = terminal.getvalue()
    assert "replay" in text
    assert "50%" in text
    assert "messages/s" in text


def test_a_pipe_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with reading("replay", 200) as watch:
        watch(200, 1)
    assert capsys.readouterr() == ("", "")
