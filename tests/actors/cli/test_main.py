import io
import json
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from types import ModuleType

import pytest

from actors import cli
from actors.cli import COMMANDS, Command, main

HEAVY = {"trio", "httpx", "rich", "structlog", "cattrs", "asyncio"}


def imported_by(*words: str) -> tuple[set[str], str]:
    """The top-level packages that a command line imports, and what it prints."""
    program = (
        "import sys; from actors.cli import main\n"
        f"try: main({list(words)!r})\n"
        "except SystemExit: pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stderr.split()), result.stdout


def test_help_lists_every_command_and_imports_none() -> None:
    imported, text = imported_by("--help")
    assert not imported & HEAVY
    assert [name for name in COMMANDS if f"\n    {name}" not in text] == []
    assert "exit codes" in text


def test_version_imports_nothing_heavy() -> None:
    imported, text = imported_by("version")
    assert not imported & HEAVY
    assert text.startswith("updown ")


@pytest.mark.parametrize("command", ["check-config", "show-config", "new-config"])
def test_configuration_needs_no_network(command: str) -> None:
    imported, text = imported_by(command, "--help")
    assert not imported & {"httpx", "rich", "trio_websocket"}
    assert f"usage: updown {command}" in text


def test_one_command_does_not_need_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, command in COMMANDS.items():
        if name != "version":
            monkeypatch.setitem(sys.modules, command.module, None)
    assert main(["version"]) == 0
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "demo" in capsys.readouterr().out


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A command ``end`` whose ending the test decides."""
    module = ModuleType("ending_command")
    module.add_arguments = lambda parser: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "COMMANDS", {"end": Command("end somehow", module.__name__)})
    return module


@pytest.mark.parametrize("code", [0, 1, 70])
def test_the_exit_code_is_the_command_s(ends: ModuleType, code: int) -> None:
    ends.main = lambda arguments: code
    assert main(["end"]) == code


def raising(error: BaseException) -> object:
    def command(arguments: Namespace) -> int:
        raise error

    return command


def test_a_bug_is_exit_70_with_its_traceback(ends: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    ends.main = raising(ZeroDivisionError("oh"))
    assert main(["end"]) == 70
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Traceback")
    assert captured.err.endswith("ZeroDivisionError: oh\nupdown: internal error\n")


def test_an_interrupt_is_no_traceback(ends: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    ends.main = raising(KeyboardInterrupt())
    assert main(["end"]) == 1
    assert capsys.readouterr().err == "updown: interrupted\n"


def test_a_reader_that_has_gone_is_told_nothing(ends: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    ends.main = raising(BrokenPipeError())
    assert main(["end"]) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["version", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["show-config", "-o", "yaml"], "invalid choice: 'yaml'"),
        (["-v", "version"], "unrecognized arguments: -v"),
    ],
)
def test_bad_usage_is_exit_2_with_the_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: updown")
    assert message in captured.err


@pytest.mark.parametrize("output", [["-o", "json"], ["-ojson"], ["--output=json"], ["--output", "jsonl"]])
def test_errors_are_json_where_results_are(output: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show-config", *output, "--nonsense"]) == 2
    record = json.loads(capsys.readouterr().err)
    assert record["error"] == "usage"
    assert "--nonsense" in record["message"] or "jsonl" in record["message"]


def test_results_that_cannot_be_written_are_a_failure(
    ends: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends.main = lambda arguments: sys.stdout.write("result") * 0
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["end"]) == 1
        monkeypatch.undo()
    assert capsys.readouterr().err == "updown: [Errno 28] No space left on device\n"


def test_a_process_without_stdout_can_work(ends: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.main = lambda arguments: sys.stdout.write("result") * 0
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["end"]) == 0
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.close()


def test_every_command_that_is_there_takes_help() -> None:
    for name, command in COMMANDS.items():
        parser = ArgumentParser(prog=name)
        command.prepare(parser)
        assert parser.format_help()
        assert callable(parser.get_default("run"))
