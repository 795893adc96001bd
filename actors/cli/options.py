"""The options that commands share, and what they mean."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from actors.config import Loaded, load_settings
from actors.plugins import names
from engine.settings import LogSettings

_SCORING: Final = {"preset": "scoring.preset", "window": "scoring.window_s", "cadence": "scoring.cadence_s"}


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """``-c FILE`` and ``--set section.key=value``, both repeatable."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a TOML file; may be repeated, later files override earlier ones",
    )
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="one setting, stronger than files and environment; may be repeated",
    )


def add_scoring_options(parser: argparse.ArgumentParser) -> None:
    """``--preset``, ``--window`` and ``--cadence``: settings that people change most often."""
    parser.add_argument(
        "--preset", dest="scoring_preset", metavar="NAME", help="score with these formulas (scoring.preset)"
    )
    parser.add_argument(
        "--window", dest="scoring_window", metavar="SECONDS", help="score over so long a window (scoring.window_s)"
    )
    parser.add_argument(
        "--cadence", dest="scoring_cadence", metavar="SECONDS", help="score so often (scoring.cadence_s)"
    )


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """``--log-format``, ``-v`` and ``--no-color``."""
    parser.add_argument("--log-format", choices=("console", "json"), help="how logs look (default: console)")
    parser.add_argument("-v", "--verbose", action="store_true", help="log details as well")
    parser.add_argument("--no-color", action="store_true", help="no colors (as the variable NO_COLOR)")


def add_output_option(parser: argparse.ArgumentParser, *choices: str, default: str | None = None) -> None:
    """``-o``, with the choices that make sense for the command."""
    parser.add_argument(
        "-o", "--output", choices=choices, default=default, help="how results look; with json, errors look so, too"
    )


def positive_number(text: str) -> float:
    """A finite number above 0, for ``argparse``."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"not a number above 0: {text}")
    return number


def positive_integer(text: str) -> int:
    """A whole number above 0, for ``argparse``."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"not a whole number above 0: {text}")
    return number


def port_number(text: str) -> int:
    """A TCP port or 0, for ``argparse``: the resolver would take any number for one."""
    number = int(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"not a port from 0 to 65535: {text}")
    return number


def load(arguments: argparse.Namespace, more: Mapping[str, str] = MappingProxyType({})) -> Loaded:
    """The settings of this command line and its surroundings; raises ``ConfigError``.

    ``more`` are ``section.key=value`` texts by the flag that stands for them.
    """
    flags = dict(more)
    if getattr(arguments, "verbose", False):
        flags["-v"] = "log.level=debug"
    if getattr(arguments, "log_format", None):
        flags["--log-format"] = f"log.format={arguments.log_format}"
    for flag, key in _SCORING.items():
        value = getattr(arguments, f"scoring_{flag}", None)
        if value is not None:
            flags[f"--{flag}"] = f"{key}={value}"
    return load_settings(arguments.config, arguments.set, os.environ, flags=flags, plugins=names())


def log_settings(arguments: argparse.Namespace) -> LogSettings:
    """The logs of a command without a configuration, from its flags alone."""
    return LogSettings(
        level="debug" if arguments.verbose else "info",
        format=arguments.log_format or "console",
    )


def wants_color(arguments: argparse.Namespace) -> bool:
    """Whether colors are allowed at all; whether they make sense, the stream must tell."""
    return not (arguments.no_color or os.environ.get("NO_COLOR"))


def logs_in_color(arguments: argparse.Namespace) -> bool:
    """Whether logs are to be colored: allowed, and stderr is a terminal."""
    return wants_color(arguments) and sys.stderr is not None and sys.stderr.isatty()
