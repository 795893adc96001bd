from __future__ import annotations

import pytest

from actors.cli.progress import counting


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("work", 2) as step:
        step()
        step()
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_counts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with counting("work", 2) as step:
        step()
        step()
    out, err = capsys.readouterr()
    assert out == ""
    assert "work" in err
    assert "2/2" in err
