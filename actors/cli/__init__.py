"""The command line: ``updown COMMAND``. Results go to stdout, everything else to stderr.

A command's module is imported when the command is chosen, so that the others cost nothing.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final, NoReturn, cast

from attrs import frozen

from actors.cli.failures import BadUsage, abandon_stdout, ensure_stdout, exit_of, report


@frozen
class Command:
    """A sub-command: its line in the help, its module, and two functions of that module."""

    help: str
    module: str
    add_arguments: str = "add_arguments"
    main: str = "main"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Import the module and let it say what it takes."""
        module = import_module(self.module)
        getattr(module, self.add_arguments)(parser)
        parser.set_defaults(run=getattr(module, self.main))


COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        "demo": Command("see it work, offline: the engine against a stand-in venue", "actors.cli.demo"),
        "run": Command("follow markets and print their signals", "actors.cli.run"),
        "serve": Command("the stand-in venue by itself, for any bot", "actors.cli.serve"),
        "markets": Command("what would be followed now, and whether the venue knows it", "actors.cli.markets"),
        "replay": Command("recorded markets through the same pipelines", "actors.cli.replay"),
        "record": Command("follow markets and record them, with the outcomes", "actors.cli.record"),
        "tape": Command("look into recorded markets; verify, merge, export and import them", "actors.cli.tape"),
        "evaluate": Command("whether a score knows more than the market's own price", "actors.cli.evaluate"),
        "simulate": Command("made-up markets whose truth is known, as tapes", "actors.cli.simulate"),
        "check-config": Command(
            "every mistake of the configuration at once", "actors.cli.configs", "add_check_arguments", "check_config"
        ),
        "show-config": Command(
            "every setting, and where it comes from", "actors.cli.configs", "add_show_arguments", "show_config"
        ),
        "new-config": Command("write a commented example", "actors.cli.configs", "add_new_arguments", "new_config"),
        "version": Command("print the version", "actors.cli.version"),
    }
)

_JSON_WANTED: Final = re.compile(r"(?:^|\0)(?:-o\0?|--output[=\0])jsonl?(?:\0|$)")
_EPILOG: Final = "exit codes: 0 done, 1 failed, 2 bad usage or configuration, 70 internal error"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name; ``None``: the process's own) and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    ensure_stdout()
    try:
        arguments = _parser(words).parse_args(words)
        code = cast(Callable[[argparse.Namespace], int], arguments.run)(arguments)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every end has its exit code
        if isinstance(error, OSError):
            abandon_stdout()
        report(error, as_json=_wants_json(words))
        code = exit_of(error)
    return int(code)


class _Parser(argparse.ArgumentParser):
    """Raises ``BadUsage`` instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise BadUsage(message, self.format_usage())


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="updown",
        description="Microstructure signals for up/down prediction markets.",
        epilog=_EPILOG,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for name, command in COMMANDS.items():
        of_command = commands.add_parser(name, help=command.help, description=command.help.capitalize() + ".")
        if words[:1] == [name]:
            command.prepare(of_command)
    return parser


def _wants_json(words: Sequence[str]) -> bool:
    """Whether errors are to be JSON, told even when the rest of the command line cannot be understood."""
    return _JSON_WANTED.search("\0".join(words)) is not None
