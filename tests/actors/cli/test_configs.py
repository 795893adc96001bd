import json
from pathlib import Path

import pytest

from actors.cli import main
from actors.config import example_text


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "updown.toml"
    assert main(["new-config", str(path)]) == 0
    return path


def test_the_new_example_is_right(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["check-config", "-c", str(example)]) == 0
    assert capsys.readouterr().out == "ok: follows btc-5m, btc-15m, btc-1h, preset seed\n"
    assert main(["check-config", "-c", str(example), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "follow": ["btc-5m", "btc-15m", "btc-1h"],
        "preset": "seed",
    }


def test_following_nothing_is_no_error_but_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config"]) == 0
    assert capsys.readouterr().out == "ok: follows nothing, preset seed\n"


def test_all_that_is_wrong_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[scoring]\nwindow_s = 1\npreset = 5\n", encoding="utf-8")
    assert main(["check-config", "-c", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"updown: {path}:2: scoring.window_s: must be >= 60.0: 1.0",
        f"updown: {path}:3: scoring.preset: expected a string, got an integer: 5",
    ]
    assert main(["check-config", "-c", str(path), "-o", "json"]) == 2
    problems = json.loads(capsys.readouterr().err)["problems"]
    assert [(problem["key"], problem["line"]) for problem in problems] == [
        ("scoring.window_s", 2),
        ("scoring.preset", 3),
    ]


def test_every_value_is_shown_with_its_origin(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPDOWN__SCORING__CADENCE_S", "1")
    capsys.readouterr()
    assert main(["show-config", "-c", str(example), "--set", "scoring.window_s=90"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["scoring.window_s"] == ["90.0", "--set"]
    assert rows["scoring.cadence_s"] == ["1.0", "UPDOWN__SCORING__CADENCE_S"]
    assert rows["follow[0].series"] == ['"btc-5m"', f"{example}:12"]
    assert rows["venue.ca_file"] == ["null", "default"]


def test_the_same_as_json(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["show-config", "-c", str(example), "-o", "json", "--set", "scoring.weights.whale=0.1"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["scoring.weights.whale"] == {
        "key": "scoring.weights.whale",
        "value": 0.1,
        "source": "flag",
        "origin": "--set",
        "line": None,
    }
    assert rows["feed.message_bytes"]["source"] == "file"
    assert rows["feed.message_bytes"]["line"] > 1
    assert rows["aggregate.outside"]["value"] == []


def test_what_is_there_is_not_overwritten_unless_forced(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example.write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert main(["new-config", str(example)]) == 1
    assert capsys.readouterr().err == f"updown: {example}: exists already (--force overwrites it)\n"
    assert example.read_text(encoding="utf-8") == "mine"
    assert main(["new-config", str(example), "--force"]) == 0
    assert example.read_text(encoding="utf-8") == example_text()


def test_it_is_written_beside_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-config"]) == 0
    assert (tmp_path / "updown.toml").read_text(encoding="utf-8") == example_text()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "updown: wrote updown.toml\n")


def test_a_dash_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-config", "-"]) == 0
    assert capsys.readouterr().out == example_text()


def test_where_nothing_can_be_written_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-config", str(tmp_path / "absent" / "updown.toml")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
