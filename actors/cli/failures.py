"""How a command ends: exit codes, and errors in words or as JSON on stderr."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TextIO

from engine.errors import PresetError, SettingsError, UnknownSlug, UpdownError


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INTERNAL = 70


class CommandFailed(UpdownError):
    """The command was understood and could not be carried out."""


class BadUsage(UpdownError):
    """The command was not understood; ``usage`` is what would be."""

    def __init__(self, message: str, usage: str = "") -> None:
        super().__init__(message)
        self.usage = usage


EXITS: Final[Mapping[type[BaseException], Exit]] = MappingProxyType(
    {
        BadUsage: Exit.USAGE,
        SettingsError: Exit.USAGE,
        PresetError: Exit.USAGE,
        UnknownSlug: Exit.USAGE,
        UpdownError: Exit.FAILED,
        OSError: Exit.FAILED,
        KeyboardInterrupt: Exit.FAILED,
        BaseException: Exit.INTERNAL,
    }
)
"""Exit codes by class, the more special ones first."""


def exit_of(error: BaseException) -> Exit:
    """The exit code of an error that ended a command."""
    return next(code for kind, code in EXITS.items() if isinstance(error, kind))


def report(error: BaseException, *, as_json: bool) -> None:
    """Say on stderr why the command ended; a lost stderr is no error, and a reader that has enough no news."""
    if isinstance(error, BrokenPipeError):
        return
    text = json.dumps(_record(error)) + "\n" if as_json else _words(error)
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def ensure_stdout() -> None:
    """Let results go nowhere where the process was started without a stdout."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it lives as long as the process


def abandon_stdout() -> None:
    """Let nobody trip over a broken stdout any more: what is still buffered goes nowhere."""
    _abandon(sys.stdout)


def let_go_of_streams() -> None:
    """A reader or a terminal that is gone has been told of in the logs, and is no failure."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            _abandon(stream)


def _abandon(stream: TextIO) -> None:
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _words(error: BaseException) -> str:
    match error:
        case BadUsage():
            return f"{error.usage}updown: {error}\n"
        case SettingsError():
            return "".join(f"updown: {problem}\n" for problem in error.problems)
        case _ if exit_of(error) is Exit.INTERNAL:
            return f"{''.join(traceback.format_exception(error))}updown: internal error\n"
        case _:
            return f"updown: {_text(error)}\n"


def _record(error: BaseException) -> dict[str, Any]:
    record: dict[str, Any] = {
        "error": exit_of(error).name.lower(),
        "error_type": type(error).__name__,
        "message": _text(error),
    }
    if isinstance(error, SettingsError):
        # A ConfigError has found them, with file, line and key.
        found = getattr(error, "found", ())
        record["message"] = f"{len(error.problems)} to be put right"
        record["problems"] = [problem.as_json() for problem in found] or [{"text": text} for text in error.problems]
    if exit_of(error) is Exit.INTERNAL:
        record["traceback"] = "".join(traceback.format_exception(error))
    return record


def _text(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) or type(error).__name__
