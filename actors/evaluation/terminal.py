"""The report on a terminal: the verdicts first, then a table for each decision time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, Final

from actors.evaluation.rows import NO_MARKETS, Table, forecasts, heading, ladders, sentences

WIDTH: Final = 110


def terminal(report: Mapping[str, Any]) -> str:
    """The report as text, with the essential tables; the page has all of them."""
    parts = [*_verdicts(report), _data(report["data"])]
    parts += [
        f"{heading(cell)}{_law(cell)}\n{columns(forecasts(cell))}\n\n{columns(ladders(cell))}"
        for cell in report["cells"]
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def columns(table: Table) -> str:
    """A table as lines, its first column flush left and its numbers flush right."""
    rows = [table.head, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _law(cell: Mapping[str, Any]) -> str:
    expected = cell["theory"]["sign_accuracy"]
    return "" if expected is None else f"; the sign of a fair price is right {expected:.1%} of the time by now"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = row
    cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
    return "  ".join(cells).rstrip()


def _verdicts(report: Mapping[str, Any]) -> list[str]:
    told = [
        "\n".join([headline, fill(f"  {because}", WIDTH, subsequent_indent="  "), *(f"  {line}" for line in lines)])
        for headline, because, lines in sentences(report)
    ]
    return told or [NO_MARKETS]


def _data(data: Mapping[str, Any]) -> str:
    line = f"{data['markets']} markets, {data['labelled']} with an official outcome"
    line += "".join(f", {count} {status}" for status, count in data["excluded"].items())
    if data["first"] is not None:
        line += f"; from {data['first'][:16]} to {data['last'][:16]} UTC"
    lines = [line, *data["notes"]]
    if data["problems"]:
        lines += [f"{len(data['problems'])} tapes are not whole, the first: {data['problems'][0]}"]
    return "\n".join(lines)
