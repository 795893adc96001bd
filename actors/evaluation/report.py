"""The report: everything that evaluation has to say, as one plain dictionary of JSON types.

::

    schema_version
    verdicts   [{series, preset, answer, because, information, lines: [sentence]}]    to be said first
    protocol   what was fixed beforehand: times, clips, draws, seed, fee, number of questions asked, notes
    data       markets, what was excluded and why, which components are absent, notes
    feed       how the feed went
    cells      [{series, at_s, minute, duration_s, markets, days, blocks, theory,
                 baselines: [scorecard], presets: {name: line}}]

Numbers that cannot be said are ``null``. Equal datasets give equal reports: no clock, and seeded draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from actors.evaluation.baselines import PRICE, baselines
from actors.evaluation.dataset import BASELINE, Dataset
from actors.evaluation.economics import FEE_RATE
from actors.evaluation.feed import feed_report
from actors.evaluation.intervals import SEED, blocks
from actors.evaluation.line import Line, line
from actors.evaluation.moves import Information, information, present
from actors.evaluation.panel import Panel, PanelKey, panels
from actors.evaluation.plain import plain
from actors.evaluation.provenance import data, protocol
from actors.evaluation.scorecard import Scorecard, scorecard
from actors.evaluation.theory import sign_accuracy
from actors.evaluation.verdict import Verdict, judge, judge_preset

SCHEMA_VERSION: Final = 1


@frozen(kw_only=True, eq=False)
class _Cell:
    """All presets at one decision time of one series."""

    panels: Mapping[str, Panel]
    baselines: Sequence[Scorecard]
    lines: Mapping[str, Line]


@frozen(kw_only=True, eq=False)
class _Findings:
    """All that was measured and judged: by cell and preset, and by series and preset over all decision times.

    ``tests`` and ``pooled_tests`` count the questions asked of the one and of the other.
    """

    cells: Mapping[PanelKey, _Cell]
    pooled: Mapping[tuple[str, str], Sequence[Information]]
    tests: int
    pooled_tests: int
    verdicts: Mapping[tuple[PanelKey, str], Verdict]


def report(dataset: Dataset, *, fee_rate: float = FEE_RATE, seed: int = SEED) -> dict[str, Any]:
    """The report on a dataset; ``fee_rate`` is the venue's f, ``seed`` that of every draw."""
    found = _findings(dataset, fee_rate, seed)
    told: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "verdicts": [_verdict(series, preset, found) for series, preset in found.pooled],
            "protocol": protocol(dataset, tests=found.tests + found.pooled_tests, fee_rate=fee_rate, seed=seed),
            "data": data(dataset),
            "feed": feed_report(dataset, dataset.plan.variants[0].preset),
            "cells": [_told(key, found) for key in found.cells],
        }
    )
    return told


def _findings(dataset: Dataset, fee_rate: float, seed: int) -> _Findings:
    wanted = [scoring.preset for scoring in dataset.plan.variants]
    by_preset = {name: panels(dataset, name) for name in dict.fromkeys([*wanted, BASELINE])}
    cells = {}
    for key in by_preset[BASELINE]:
        found = {name: by_preset[name][key] for name in by_preset}
        cells[key] = _cell(found, wanted, dataset.plan.latencies_s, fee_rate, seed)
    pooled = {
        (series, name): _pooled([cell.panels[name] for key, cell in cells.items() if key[0] == series])
        for series in dict.fromkeys(series for series, _ in cells)
        for name in wanted
    }
    asked = [each.evidence for cell in cells.values() for each in cell.lines.values()]
    # One question about the outcome per line, and one about the next move per signal, at each time and over all.
    tests = len(asked) + sum(len(each.informations) for each in asked)
    pooled_tests = sum(map(len, pooled.values()))
    verdicts = {
        (key, name): judge(each.evidence, tests) for key, cell in cells.items() for name, each in cell.lines.items()
    }
    return _Findings(cells=cells, pooled=pooled, tests=tests, pooled_tests=pooled_tests, verdicts=verdicts)


def _cell(
    found: Mapping[str, Panel], wanted: Sequence[str], latencies_s: Sequence[float], fee_rate: float, seed: int
) -> _Cell:
    base = found[BASELINE]
    of = blocks(base.as_of_ns)
    cards = {each.name: scorecard(each, base.up, base.mid, of) for each in baselines(base, base.score, seed=seed)}
    lines = {name: line(found[name], cards[PRICE], latencies_s, fee_rate=fee_rate, seed=seed) for name in wanted}
    return _Cell(panels=found, baselines=list(cards.values()), lines=lines)


def _pooled(found: Sequence[Panel]) -> list[Information]:
    return [information(found, name) for name in present(found)]


def _verdict(series: str, preset: str, found: _Findings) -> dict[str, Any]:
    """The verdict on a preset in one series, with the sentences of its decision times."""
    keys = [key for key in found.cells if key[0] == series]
    lines = [found.verdicts[key, preset] for key in keys]
    days = max(found.cells[key].panels[preset].days for key in keys)
    answer, because = judge_preset(lines, found.pooled[series, preset], days, found.pooled_tests)
    return {
        "series": series,
        "preset": preset,
        "answer": answer,
        "because": because,
        "information": found.pooled[series, preset],
        "lines": [verdict.sentence for verdict in lines],
    }


def _told(key: PanelKey, found: _Findings) -> dict[str, Any]:
    series, at_s = key
    cell = found.cells[key]
    base = cell.panels[BASELINE]
    return {
        "series": series,
        "at_s": at_s,
        "minute": at_s / 60,
        "duration_s": base.duration_s,
        "markets": len(base),
        "days": base.days,
        "blocks": blocks(base.as_of_ns).kind,
        "up_share": float(base.up.mean()),
        "theory": {"sign_accuracy": sign_accuracy(at_s, base.duration_s) if base.duration_s > 0 else None},
        "baselines": cell.baselines,
        "presets": {name: {"verdict": found.verdicts[key, name], **each.measured} for name, each in cell.lines.items()},
    }
