"""What was measured, as tables with ratios, as a plot, and judged.

A table is a dictionary, as JSON has it: ``title``, ``unit``, ``rows`` (by name one figure a round, the same rounds for
every row), ``base`` (the row that the ratios are over) and perhaps ``notes`` (by name what to know of a row, or why
it is missing). A ratio is taken within one round, where both rows met the same moments of the machine; what is shown
and judged is the median of these ratios, with the lowest and the highest.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

Table = dict[str, Any]
Tables = Mapping[str, Table]
HUES: Final = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0")


@frozen
class Ratio:
    """The median of the rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.median:.2f}"
        return f"{self.median:.2f} ({self.low:.2f}..{self.high:.2f})"


@frozen
class Criterion:
    """What must hold: a row is at most so many times another one, or that many units if there is no other."""

    text: str
    table: str
    row: str
    base: str | None
    most: float


@frozen
class Verdict:
    """A criterion and what was measured; ``ratio`` is ``None`` where the rows are missing."""

    criterion: Criterion
    ratio: Ratio | None

    @property
    def passed(self) -> bool | None:
        """``None`` when it was not measured."""
        return None if self.ratio is None else self.ratio.median <= self.criterion.most


def new_table(title: str, unit: str, base: str, rounds: Sequence[Mapping[str, float | None]]) -> Table:
    """A table of figures by row, a mapping a round; rows of which a figure is missing are left out."""
    names = [name for name in rounds[0] if all(it.get(name) is not None for it in rounds)]
    return {"title": title, "unit": unit, "base": base, "rows": {name: [it[name] for it in rounds] for name in names}}


def ratio(table: Table, row: str, base: str | None) -> Ratio | None:
    """A row over another one, round by round; over nothing if ``base`` is ``None``."""
    rows = table["rows"]
    if row not in rows or (base is not None and base not in rows):
        return None
    under = rows[base] if base is not None else [1.0] * len(rows[row])
    values = [value / below for value, below in zip(rows[row], under, strict=True)]
    return Ratio(statistics.median(values), min(values), max(values))


def judged(tables: Tables, criteria: Sequence[Criterion]) -> list[Verdict]:
    """Every criterion, in order."""
    return [Verdict(it, ratio(tables[it.table], it.row, it.base) if it.table in tables else None) for it in criteria]


# In words.


def in_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head, in columns as wide as they need be."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def described(table: Table) -> str:
    """The table with its title and notes."""
    unit, base = table["unit"], table["base"]
    rows = [["", f"{unit}: median", "lowest..highest", f"× {base}"]]
    for name, values in table["rows"].items():
        over = ratio(table, name, base)
        rows.append([name, figure(statistics.median(values)), spread(values), str(over) if over else "-"])
    notes = [f"{name}: {note}" for name, note in table.get("notes", {}).items()]
    return "\n".join([f"### {table['title']}", "", in_markdown(rows), *(["", *notes] if notes else [])])


def spread(values: Sequence[float]) -> str:
    """Lowest and highest."""
    return f"{figure(min(values))}..{figure(max(values))}"


def figure(value: float) -> str:
    """Three digits are all these figures are good for."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def verdicts(found: Sequence[Verdict]) -> str:
    """Each criterion with its limit, what was measured, and whether it holds."""
    words = {True: "holds", False: "BROKEN", None: "not measured"}
    rows = [["", "at most", "measured", ""]]
    rows += [
        [it.criterion.text, f"{it.criterion.most:g}", str(it.ratio) if it.ratio else "-", words[it.passed]]
        for it in found
    ]
    return "\n".join(["### Judged", "", in_markdown(rows)])


# Drawn.


def draw(tables: Tables, names: Sequence[str], path: Path, *, about: str) -> bool:
    """A panel of bars for each of the tables that are there, medians with whiskers; ``False`` without matplotlib."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - whoever only wants the figures need not have it
    except ImportError:
        return False
    shown = [tables[name] for name in names if name in tables and tables[name]["rows"]]
    if not shown:
        return False
    heights = [len(table["rows"]) + 1.6 for table in shown]
    canvas = Figure(figsize=(9.5, 0.34 * sum(heights) + 0.5), layout="constrained")
    panels = canvas.subplots(len(shown), 1, height_ratios=heights, squeeze=False)[:, 0]
    for place, (panel, table) in enumerate(zip(panels, shown, strict=True)):
        _bars(panel, table, HUES[place % len(HUES)])
    canvas.supxlabel(about, fontsize=8, color="#666666")
    canvas.savefig(path, dpi=130)
    return True


def _bars(panel: Any, table: Table, hue: str) -> None:
    names = list(table["rows"])[::-1]
    middles = [statistics.median(table["rows"][name]) for name in names]
    lows = [middle - min(table["rows"][name]) for name, middle in zip(names, middles, strict=True)]
    highs = [max(table["rows"][name]) - middle for name, middle in zip(names, middles, strict=True)]
    alphas = [1.0 if name.startswith(("our ", "updown")) else 0.45 for name in names]
    bars = panel.barh(names, middles, xerr=[lows, highs], color=hue, ecolor="#444444", capsize=2, height=0.7)
    for bar, alpha in zip(bars, alphas, strict=True):
        bar.set_alpha(alpha)
    for place, (middle, high) in enumerate(zip(middles, highs, strict=True)):
        panel.annotate(f" {figure(middle)}", (middle + high, place), va="center", fontsize=8)
    panel.set_title(f"{table['title']} ({table['unit']})", fontsize=9, loc="left")
    panel.margins(x=0.1)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
