import io
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

import pytest

from actors.cli import options
from actors.config import ConfigError
from engine.settings import LogSettings


def parsed(*words: str) -> Namespace:
    parser = ArgumentParser()
    options.add_config_options(parser)
    options.add_log_options(parser)
    options.add_output_option(parser, "table", "json", default="table")
    return parser.parse_args(words)


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.os, "environ", {})


def test_flags_become_settings() -> None:
    loaded = options.load(parsed("--set", "scoring.window_s=90", "-v", "--log-format", "json"))
    assert loaded.settings.scoring.window_s == 90.0
    assert loaded.settings.log == LogSettings(level="debug", format="json")
    told = {path: str(origin) for path, _, origin in loaded.rows()}
    assert told["log", "level"] == "-v"
    assert told["log", "format"] == "--log-format"


def test_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(options.os.environ, "UPDOWN__SCORING__CADENCE_S", "1")
    assert options.load(parsed()).settings.scoring.cadence_s == 1.0


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        options.load(parsed("-c", "absent.toml", "--set", "a.b=1", "--set", "c"))
    assert len(caught.value.problems) == 3


def test_a_command_without_configuration_logs_by_its_flags() -> None:
    assert options.log_settings(parsed()) == LogSettings()
    assert options.log_settings(parsed("-v", "--log-format=json")) == LogSettings(level="debug", format="json")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colors_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert options.logs_in_color(parsed())
    assert not options.logs_in_color(parsed("--no-color"))
    monkeypatch.setitem(options.os.environ, "NO_COLOR", "1")
    assert not options.logs_in_color(parsed())
    monkeypatch.setitem(options.os.environ, "NO_COLOR", "")
    assert options.logs_in_color(parsed())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not options.logs_in_color(parsed())


def test_a_positive_number_is_above_zero_and_finite() -> None:
    assert options.positive_number("0.5") == 0.5
    for text in ("0", "-1", "inf", "nan"):
        with pytest.raises(ArgumentTypeError):
            options.positive_number(text)
    with pytest.raises(ValueError, match="could not convert"):
        options.positive_number("many")


def test_a_port_is_one_that_can_be() -> None:
    assert [options.port_number(text) for text in ("0", "8765", "65535")] == [0, 8765, 65535]
    for text in ("-1", "65536"):
        with pytest.raises(ArgumentTypeError):
            options.port_number(text)
