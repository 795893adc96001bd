"""``updown check-config``, ``show-config`` and ``new-config``: configuration without an engine."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from actors.cli.columns import aligned
from actors.cli.failures import CommandFailed, Exit
from actors.cli.options import add_config_options, add_output_option, load
from actors.config import dotted, example_text

PRINTED = "-"


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command that loads a configuration."""
    add_config_options(parser)
    add_output_option(parser, "table", "json", default="table")


def check_config(arguments: argparse.Namespace) -> int:
    """Say that the configuration is right; otherwise ``ConfigError`` says everything that is wrong."""
    settings = load(arguments).settings
    followed = [follow.name for follow in settings.follow]
    if arguments.output == "json":
        _print(json.dumps({"ok": True, "follow": followed, "preset": settings.scoring.preset}))
    else:
        _print(f"ok: follows {', '.join(followed) or 'nothing'}, preset {settings.scoring.preset}")
    return Exit.DONE


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command that loads a configuration."""
    add_config_options(parser)
    add_output_option(parser, "table", "json", default="table")


def show_config(arguments: argparse.Namespace) -> int:
    """Print every setting with its origin."""
    rows = [
        {
            "key": dotted(path),
            "value": value,
            "source": origin.kind.value,
            "origin": str(origin),
            "line": origin.line,
        }
        for path, value, origin in load(arguments).rows()
    ]
    _print(json.dumps(rows, indent=2) if arguments.output == "json" else _table(rows))
    return Exit.DONE


def add_new_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and whether over what is there."""
    parser.add_argument(
        "file", nargs="?", default="updown.toml", help="where to write it (default: updown.toml); - prints it"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file if there is one")


def new_config(arguments: argparse.Namespace) -> int:
    """Write the commented example; raises ``CommandFailed`` when there is a file already, or it cannot be written."""
    if arguments.file == PRINTED:
        sys.stdout.write(example_text())
        return Exit.DONE
    try:
        with Path(arguments.file).open("w" if arguments.force else "x", encoding="utf-8", newline="\n") as file:
            file.write(example_text())
    except FileExistsError as error:
        raise CommandFailed(f"{arguments.file}: exists already (--force overwrites it)") from error
    except OSError as error:
        raise CommandFailed(f"{arguments.file}: {error.strerror}") from error
    sys.stderr.write(f"updown: wrote {arguments.file}\n")
    return Exit.DONE


def _table(rows: list[dict[str, Any]]) -> str:
    return aligned([(row["key"], json.dumps(row["value"]), row["origin"]) for row in rows])


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
