"""The report as one page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any, Final

from actors.evaluation.conviction import LEVELS
from actors.evaluation.drawing import Drawing
from actors.evaluation.plots import (
    accuracy_by_minute,
    calibration,
    confidences,
    deciles,
    latency_ladder,
    skill_by_minute,
)
from actors.evaluation.rows import (
    NO_MARKETS,
    NONE,
    Table,
    checks,
    decomposition,
    forecasts,
    heading,
    informations,
    ladders,
    movements,
    number,
    skills,
)
from actors.evaluation.style import CSS

TITLE: Final = "Does the score know more than the price?"

Told = Mapping[str, Any]


def page(report: Told) -> str:
    """The whole page; ``report`` is that of ``actors.evaluation.report``, with ``gates`` if there were any."""
    cells = list(enumerate(report["cells"]))
    body = [
        f"<h1>{TITLE}</h1>",
        *_verdicts(report),
        _gates(report.get("gates", [])),
        _data(report["data"]),
        _contents(cells),
        *(_series(series, list(group)) for series, group in groupby(report["cells"], lambda cell: cell["series"])),
        *(_cell(index, cell) for index, cell in cells),
        _feed(report["feed"]),
        _protocol(report["protocol"]),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _verdicts(report: Told) -> list[str]:
    told = [
        f'<section class="verdict {escape(each["answer"])}">'
        f"<h2>{escape(each['series'])}, {escape(each['preset'])}: incremental skill {escape(each['answer'])}</h2>"
        f"<p>{escape(_sentence(each['because']))}</p>{_list(each['lines'])}</section>"
        for each in report["verdicts"]
    ]
    return told or [f'<section class="verdict"><p>{NO_MARKETS}</p></section>']


def _gates(judgements: Sequence[Told]) -> str:
    if not judgements:
        return ""
    rows = tuple(
        (
            each["gate"],
            each["series"],
            f"{each['minute']:g}",
            each["preset"],
            number(each["value"], ".4g"),
            "met" if each["met"] else "NOT MET",
        )
        for each in judgements
    )
    head = ("gate", "series", "minute", "preset", "value", "")
    return f"<h2>Gates</h2>{_table(Table(title='What was required', head=head, rows=rows))}"


def _data(data: Told) -> str:
    span = "" if data["first"] is None else f", from {data['first'][:16]} to {data['last'][:16]} UTC"
    counts = "".join(f", {count} {status}" for status, count in data["excluded"].items())
    lines = [f"{data['markets']:,} markets, {data['labelled']:,} with an official outcome{counts}{span}."]
    if data["not_recorded"]:
        lines.append(f"{data['not_recorded']} of {data['decisions']} decisions were not reached by the recordings.")
    problems = data["problems"]
    listed = f"<h3>Not whole</h3>{_list(problems[:20])}" if problems else ""
    more = f"<p>And {len(problems) - 20} more.</p>" if len(problems) > 20 else ""
    return f'<h2 id="data">What the tapes hold</h2>{_list([*lines, *data["notes"]])}{listed}{more}'


def _contents(cells: Iterable[tuple[int, Told]]) -> str:
    links = [
        f'<li><a href="#cell-{at}">{escape(cell["series"])} minute {cell["minute"]:g}</a></li>' for at, cell in cells
    ]
    links += ['<li><a href="#feed">feed</a></li>', '<li><a href="#protocol">protocol</a></li>']
    return f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>'


def _series(series: str, cells: Sequence[Told]) -> str:
    drawings = [accuracy_by_minute(f"accuracy-{series}", cells), skill_by_minute(f"skill-{series}", cells)]
    return f"<h2>{escape(series)} over all decision times</h2>{_plots(drawings)}"


def _cell(index: int, cell: Told) -> str:
    told = [f"{name}: {_sentence(line['verdict']['because'])}" for name, line in cell["presets"].items()]
    trivial = next(iter(cell["presets"].values()))["verdict"]["trivial"]
    drawings = [
        calibration(f"calibration-{index}", cell),
        latency_ladder(f"latency-{index}", cell),
        confidences(f"confidence-{index}", cell, LEVELS),
        deciles(f"deciles-{index}", cell),
    ]
    items = [
        {**each, "signal": f"{name}: {each['signal']}"}
        for name, line in cell["presets"].items()
        for each in line["information"]
    ]
    tables = (
        forecasts(cell),
        skills(cell),
        ladders(cell),
        movements(cell),
        informations(items, "Does a signal go together with the next half minute?"),
        decomposition(cell),
        _conviction(cell),
        checks(cell),
    )
    title = f"{cell['series']}, minute {cell['minute']:g}"
    return (
        f'<section id="cell-{index}"><h2>{escape(title)}</h2><p>{escape(heading(cell))}. {escape(trivial)}</p>'
        f"{_list(told)}{_plots(drawings)}{''.join(map(_table, tables))}</section>"
    )


def _conviction(cell: Told) -> Table:
    rows = tuple(
        (
            f"{name}, {kind.replace('_', ' ')}, bin {place}",
            number(each["confidence"]),
            number(each["distance"], ".4f"),
            number(each["excess_loss"], "+.4f"),
            str(each["number"]),
        )
        for name, line in cell["presets"].items()
        for kind in ("confidence", "confidence_seed")
        for place, each in enumerate(line[kind]["deciles"]["bins"], 1)
    )
    head = ("bin of equal mass", "confidence", "distance to the price later", "Δlog-loss", "markets")
    return Table(title="Is more confidence better?", head=head, rows=rows)


def _feed(feed: Told) -> str:
    success, trades = feed["connection_success"], feed["trades_per_window"]
    quantiles = ", ".join(number(each, ".0f") for each in trades["quantiles"])
    rows = (
        ("markets' time followed, and live", f"{feed['followed_s']:,.0f} s, {number(feed['live_share'], '.1%')}"),
        ("connections attempted, and made", f"{feed['attempts']}, {number(success['value'], '.1%')}"),
        ("messages", f"{feed['messages']:,}"),
        ("errors (faults, malformed, dropped)", f"{feed['faults']}, {feed['malformed']}, {feed['dropped']}"),
        ("errors per session", number(feed["errors_per_session"], ".4f")),
        ("errors per live second", number(feed["errors_per_live_second"], ".6f")),
        ("duplicates, late", f"{feed['duplicates']}, {feed['late']}"),
        ("markets with silences over 5 s", str(feed["markets_with_gaps"])),
        ("longest silence", f"{number(feed['longest_silence_s'], '.1f')} s"),
        (
            "windows, fully covered, without trades",
            f"{feed['windows']}, {feed['windows_fully_covered']}, {feed['windows_without_trades']}",
        ),
        ("trades per window, mean", number(trades["mean"], ".1f")),
        (f"trades per window at {', '.join(f'{level:.0%}' for level in LEVELS)}", quantiles),
    )
    table = Table(title="Over all markets", head=("", "found"), rows=rows)
    return f'<section id="feed"><h2>The feed under it</h2>{_table(table)}</section>'


def _protocol(protocol: Told) -> str:
    fixed = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_value(value))}</dd>"
        for name, value in protocol.items()
        if name != "notes"
    )
    return (
        f'<section id="protocol"><h2>What was fixed beforehand</h2>{_list(protocol["notes"])}<dl>{fixed}</dl></section>'
    )


def _table(table: Table) -> str:
    if not table.rows:
        return f'<p class="note">{escape(table.title)}: nothing to show.</p>'
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<h3>{escape(table.title)}</h3><div class="table" tabindex="0" role="region" '
        f'aria-label="{escape(table.title)}"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{note}"
    )


def _plots(drawings: Iterable[Drawing]) -> str:
    figures = (
        f"<figure><figcaption>{escape(each.title)}</figcaption>{each.svg}"
        f"<details><summary>in words</summary>{escape(each.told)}</details></figure>"
        for each in drawings
    )
    return f'<div class="plots">{"".join(figures)}</div>'


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return NONE if value is None else f"{value:,}" if isinstance(value, int) and value < 1e6 else str(value)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
