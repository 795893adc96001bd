"""``updown tape``: what is on tapes, whether it is whole, and other shapes of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from attrs import frozen

from actors.cli.columns import aligned
from actors.cli.failures import CommandFailed, Exit
from actors.cli.gauge import reading
from actors.cli.options import add_output_option
from actors.cli.playback import total_bytes
from actors.labelbook import read_labels
from actors.tapes import Tape, TapeReport, examine, export_parquet, find_tapes, import_capture, merge_tapes
from actors.tapes.layout import root_of
from engine.units import NS_PER_S

_HEAD: Final = ("market", "parts", "bytes", "records", "frames", "first (UTC)", "last (UTC)", "gaps", "won", "intact")


T = TypeVar("T")


@frozen(kw_only=True)
class Action:
    """One of the things to do: its line in the help, what it is given beside paths, and what does it."""

    help: str
    act: Callable[[argparse.Namespace, list[Tape]], Exit]
    option: tuple[str, str, str] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, to what, and where the result goes."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True, title="actions")
    for name, action in ACTIONS.items():
        of_action = actions.add_parser(name, help=action.help, description=action.help.capitalize() + ".")
        of_action.add_argument(
            "paths",
            type=Path,
            nargs="+",
            metavar="PATH",
            help="a tape (.jsonl.zst), an older recording (.jsonl.gz), or a folder of either",
        )
        if action.option is not None:
            flag, metavar, text = action.option
            of_action.add_argument(flag, type=Path, required=True, metavar=metavar, dest="target", help=text)
        add_output_option(of_action, "table", "json", default="table")


def main(arguments: argparse.Namespace) -> int:
    """Do it; raises ``TapeError`` for paths where nothing is, ``MissingExtra`` where a library is not installed."""
    return ACTIONS[arguments.action].act(arguments, find_tapes(arguments.paths))


def info(arguments: argparse.Namespace, tapes: list[Tape]) -> Exit:
    """A row, or an object, for each market."""
    reports = list(_examined(tapes))
    if arguments.output == "json":
        _print(json.dumps([report.as_json() for report in reports], indent=2))
        return Exit.DONE
    problems = [problem for report in reports for problem in report.problems()]
    more = [f"{len(problems)} problems; updown tape verify names them"] if problems else []
    _print("\n".join([aligned([_HEAD, *map(_row, reports)]), _total(reports), *more]))
    return Exit.DONE


def verify(arguments: argparse.Namespace, tapes: list[Tape]) -> Exit:
    """Name everything that is damaged, torn, lost or unreadable; ``FAILED`` if anything is."""
    reports = list(_examined(tapes))
    problems = [*(problem for report in reports for problem in report.problems()), *_of_labels(tapes)]
    if arguments.output == "json":
        _print(json.dumps({"tapes": len(reports), "intact": not problems, "problems": problems}, indent=2))
    else:
        _print("\n".join([*problems, _total(reports) if problems else f"ok: {_total(reports)}"]))
    return Exit.FAILED if problems else Exit.DONE


def merge(arguments: argparse.Namespace, tapes: list[Tape]) -> Exit:
    """One part for each market and day; what was missing is told."""
    reports = _written(lambda: merge_tapes(tapes, arguments.target))
    problems = [problem for report in reports for problem in report.problems()]
    written = {"folder": str(arguments.target), "tapes": len(reports), "problems": problems}
    return _said(arguments, written, f"merged into {arguments.target}: {_total(reports)}", problems)


def export(arguments: argparse.Namespace, tapes: list[Tape]) -> Exit:
    """One row for each record."""
    rows = _written(lambda: export_parquet(tapes, arguments.target))
    written = {"file": str(arguments.target), "tapes": len(tapes), "rows": rows}
    return _said(arguments, written, f"wrote {rows} rows of {len(tapes)} markets to {arguments.target}")


def import_(arguments: argparse.Namespace, tapes: list[Tape]) -> Exit:
    """Older recordings as tapes; ``FAILED`` where one could not be read to its end, with what is before that written.

    Raises ``CommandFailed`` for what is a tape already.
    """
    captures = [tape.capture for tape in tapes if tape.capture is not None]
    if len(captures) < len(tapes):
        named = next(tape.key for tape in tapes if tape.capture is None)
        raise CommandFailed(f"{named}: is a tape already; only older recordings (.jsonl.gz) are imported")
    with reading("import", total_bytes(tapes)) as watch:

        def each() -> Iterator[tuple[str, int, str | None]]:
            for tape, capture in zip(tapes, captures, strict=True):
                imported = import_capture(capture, arguments.target)
                watch(total_bytes([tape]), imported.records)
                yield imported.key, imported.records, imported.problem

        done = _written(lambda: list(each()))
    problems = [problem for _, _, problem in done if problem is not None]
    records = sum(count for _, count, _ in done)
    written = {"folder": str(arguments.target), "tapes": len(done), "records": records, "problems": problems}
    _said(arguments, written, f"imported {len(done)} markets, {records} records into {arguments.target}", problems)
    return Exit.FAILED if problems else Exit.DONE


ACTIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "info": Action(help="what is on tapes", act=info),
        "verify": Action(help="name whatever is damaged, torn, lost or unreadable; exit code 1 if any", act=verify),
        "merge": Action(
            help="one recorder's many parts as one for each market and day, in a folder without them",
            act=merge,
            option=("--into", "FOLDER", "where the merged tapes go"),
        ),
        "export": Action(
            help="a Parquet file of all records (needs updown[export])",
            act=export,
            option=("--to", "FILE", "the Parquet file; one that is there is replaced"),
        ),
        "import": Action(
            help="older recordings (.jsonl.gz) as tapes",
            act=import_,
            option=("--into", "FOLDER", "where the tapes go"),
        ),
    }
)


def _examined(tapes: Sequence[Tape]) -> Iterator[TapeReport]:
    with reading("read", total_bytes(tapes)) as watch:
        for tape in tapes:
            report = examine(tape)
            watch(report.size_bytes, report.records.get("frame", 0))
            yield report


def _of_labels(tapes: Sequence[Tape]) -> Iterator[str]:
    for root in sorted({root_of(part) for tape in tapes for part in tape.parts}):
        labels = read_labels(root)
        if labels.damaged:
            yield f"{root / 'labels.jsonl'}: {labels.damaged} lines hold no label"
        if labels.problem:
            yield f"{root / 'labels.jsonl'}: {labels.problem}"


def _row(report: TapeReport) -> tuple[str, ...]:
    return (
        report.key,
        str(len(report.parts)),
        str(report.size_bytes),
        str(sum(report.records.values())),
        str(report.records.get("frame", 0)),
        _time(report.first_ns),
        _time(report.last_ns),
        str(report.gaps),
        str(report.outcome or (report.label.status if report.label is not None else "unknown")),
        "yes" if report.intact else "NO",
    )


def _total(reports: Sequence[TapeReport]) -> str:
    records = sum(sum(report.records.values()) for report in reports)
    size_mb = sum(report.size_bytes for report in reports) / 1e6
    missing = sum(report.missing for report in reports)
    lost = f", {missing} missing" if missing else ""
    return f"{len(reports)} markets, {records} records{lost}, {size_mb:.1f} MB"


def _time(at_ns: int | None) -> str:
    return "none" if at_ns is None else datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _written(write: Callable[[], T]) -> T:
    """Say which file it was that the system refused."""
    try:
        return write()
    except OSError as error:
        raise CommandFailed(f"{error.filename or 'cannot write'}: {error.strerror}") from error


def _said(arguments: argparse.Namespace, written: Mapping[str, Any], words: str, problems: Sequence[str] = ()) -> Exit:
    _print(json.dumps(written, indent=2) if arguments.output == "json" else "\n".join([*problems, words]))
    return Exit.DONE


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
