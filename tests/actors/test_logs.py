import io
import json
import logging
import re
import subprocess
import sys

import pytest
import structlog

from actors import logs
from engine.settings import LogSettings


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_json_line_begins_with_time_level_and_event(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"))
    logs.default_logger().bind(market="m").info("feed.connected", epoch=1)
    (line,) = json_lines(capsys)
    assert list(line) == ["timestamp", "level", "event", "market", "epoch"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", str(line["timestamp"]))
    assert (line["level"], line["event"], line["market"], line["epoch"]) == ("info", "feed.connected", "m", 1)


def test_the_console_has_the_same_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    logs.default_logger().warning("feed.lost", epoch=2, error="it is gone")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"\S+Z \[warning +\] feed\.lost +epoch=2 error='it is gone'\n", captured.err)


def test_colors_only_when_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(), colors=True)
    logs.default_logger().info("a")
    assert "\x1b[" in capsys.readouterr().err
    logs.configure(LogSettings(format="json"), colors=True)
    logs.default_logger().info("a")
    assert "\x1b[" not in capsys.readouterr().err


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_not_said(level: str, heard: int, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(level=level, format="json"))
    log = logs.default_logger()
    for say in (log.debug, log.info, log.warning, log.error):
        say("something")
    assert len(json_lines(capsys)) == heard


def test_an_exception_is_told_with_class_text_and_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"))
    try:
        raise TimeoutError
    except TimeoutError as error:
        logs.default_logger().exception("actor.crashed")
        logs.default_logger().error("actor.crashed", exc_info=error)
        logs.default_logger().error("actor.crashed", exc_info=(type(error), error, None))
    for line in json_lines(capsys):
        assert (line["error_type"], line["error"]) == ("TimeoutError", "")
        assert str(line["traceback"]).endswith("TimeoutError")
        assert "exc_info" not in line


def test_without_an_exception_there_is_nothing_to_tell_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"))
    logs.default_logger().error("odd", exc_info=True)
    (line,) = json_lines(capsys)
    assert {"error", "error_type", "traceback", "exc_info"}.isdisjoint(line)


def test_the_console_shows_a_traceback_below_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    logs.default_logger().error("actor.crashed", traceback="first\nsecond\x1b[2J")
    assert capsys.readouterr().err.splitlines()[1:] == ["first", "second\\x1b[2J"]


class Sulky:
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        ("plain", "plain"),
        ("a\nb\x1b[31m\u202e", "a\\nb\\x1b[31m\\u202e"),
        ("x" * 1000, "x" * 255 + "…"),
        (None, None),
        (True, True),
        (5, 5),
        (0.5, 0.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (ValueError("why"), "ValueError: why"),
        (TimeoutError(), "TimeoutError"),
        ({"a\n": [1, "\n"]}, {"a\\n": [1, "\\n"]}),
        (("a", 1), ["a", 1]),
        ({7}, [7]),
        (range(3), "range(0, 3)"),
        (Sulky(), "<Sulky>"),
    ],
)
def test_values_are_bounded_escaped_and_plain(
    value: object, logged: object, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogSettings(format="json"))
    logs.default_logger().info("event", value=value)
    assert json_lines(capsys)[0]["value"] == logged


def test_long_lists_and_tracebacks_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"))
    logs.default_logger().info("event", many=list(range(1000)), traceback="\n".join(map(str, range(1000))))
    (line,) = json_lines(capsys)
    assert line["many"] == list(range(logs.MEMBERS))
    assert str(line["traceback"]).splitlines()[-1] == "999"
    assert len(str(line["traceback"]).splitlines()) == 60


def test_a_lost_stderr_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure(LogSettings())
    log = logs.default_logger()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    log.error("nobody.hears")
    monkeypatch.setattr(sys, "stderr", None)
    log.error("nobody.hears")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    log.error("somebody.hears")
    assert "somebody.hears" in sys.stderr.getvalue()  # type: ignore[attr-defined] - the stream of the line above


def test_an_embedded_engine_hands_its_logs_to_logging(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logs.default_logger().bind(market="m")
    with caplog.at_level(logging.INFO, logger="updown"):
        log.debug("unheard")
        log.info("feed.connected", epoch=1, name="kept", rate="100%")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("updown", "INFO")
    assert record.getMessage() == "feed.connected market=m epoch=1 name=kept rate=100%"
    assert vars(record)["updown"] == {"market": "m", "epoch": 1, "name": "kept", "rate": "100%"}
    assert capsys.readouterr().out == ""


def test_an_embedded_exception_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logs.default_logger().exception("actor.crashed")
    text = caplog.records[0].getMessage()
    assert text.startswith("actor.crashed error_type=ValueError error=why\nTraceback")


def test_structlog_of_the_application_is_respected() -> None:
    with structlog.testing.capture_logs() as captured:
        structlog.configure(processors=structlog.get_config()["processors"])
        logs.default_logger().info("feed.connected", epoch=1)
    assert captured == [{"event": "feed.connected", "epoch": 1, "log_level": "info"}]


def test_embedded_without_any_configuration_only_warnings_are_seen_and_never_on_stdout() -> None:
    program = (
        "from actors.logs import default_logger; log = default_logger();"
        "log.info('quiet'); log.warning('feed.lost', market='m')"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == ""
    assert result.stderr == "feed.lost market=m\n"


def test_importing_configures_nothing() -> None:
    program = "import structlog, actors.logs, actors.system; print(structlog.is_configured())"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
