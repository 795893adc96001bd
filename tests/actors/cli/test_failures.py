import json

import pytest

from actors.captures import CaptureError
from actors.cli.failures import BadUsage, CommandFailed, Exit, exit_of, report
from actors.config import ConfigError, Problem
from actors.supervisor import SupervisorFailure
from engine.errors import PresetError, SettingsError, UnknownSlug


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadUsage("no"), Exit.USAGE),
        (ConfigError([Problem(message="no")]), Exit.USAGE),
        (PresetError("no"), Exit.USAGE),
        (UnknownSlug("no"), Exit.USAGE),
        (CommandFailed("no"), Exit.FAILED),
        (CaptureError("no"), Exit.FAILED),
        (FileNotFoundError("no"), Exit.FAILED),
        (KeyboardInterrupt(), Exit.FAILED),
        (SupervisorFailure("no"), Exit.INTERNAL),
        (ValueError("no"), Exit.INTERNAL),
        (ExceptionGroup("no", [ValueError()]), Exit.INTERNAL),
    ],
)
def test_every_error_has_its_exit_code(error: BaseException, code: Exit) -> None:
    assert exit_of(error) == code


def told(error: BaseException, capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    report(error, as_json=as_json)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_every_problem_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError([Problem(message="one", key="a.b"), Problem(message="two")])
    assert told(error, capsys) == "updown: a.b: one\nupdown: two\n"


def test_bad_usage_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(BadUsage("no such thing", "usage: updown\n"), capsys) == "usage: updown\nupdown: no such thing\n"


def test_an_error_without_text_is_told_by_its_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(TimeoutError(), capsys) == "updown: TimeoutError\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_reader_that_has_enough_is_told_nothing(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(BrokenPipeError(32, "Broken pipe"), capsys, as_json=as_json) == ""


def test_json_has_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError([Problem(message="one", key="a.b"), Problem(message="two")])
    record = json.loads(told(error, capsys, as_json=True))
    assert (record["error"], record["error_type"]) == ("usage", "ConfigError")
    assert [problem["key"] for problem in record["problems"]] == ["a.b", None]
    assert json.loads(told(SettingsError(["x"]), capsys, as_json=True))["problems"] == [{"text": "x"}]


def test_json_of_a_bug_has_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(told(ZeroDivisionError("oh"), capsys, as_json=True))
    assert (record["error"], record["message"]) == ("internal", "oh")
    assert "ZeroDivisionError: oh" in record["traceback"]
