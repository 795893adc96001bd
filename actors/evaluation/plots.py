"""Plots as inline SVG: small enough for a phone at their own size, with a title and a description in words.

Drawn by matplotlib, which ``updown[evaluate]`` brings, without its global state; equal reports give equal drawings.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import cycle
from typing import Any, Final

import numpy as np
from attrs import frozen

from actors.evaluation.extra import require
from actors.evaluation.rows import Told
from actors.evaluation.theory import sign_accuracy

require(("matplotlib",))

import matplotlib as mpl  # noqa: E402 - only when it is there
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

SIZE_IN: Final = (4.7, 3.3)
"""338 × 238 points: the texts are legible where the page is as narrow as a phone."""

GREY: Final = "#6b7280"
COLORS: Final = ("#0b63ce", "#c2410c", "#15803d", "#7e22ce", "#a16207")
MARKERS: Final = ("o", "s", "^", "D", "v")
"""Colour is never the only difference."""

_STYLE: Final[dict[Any, Any]] = {
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": "#e5e7eb",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "updown",
}

_ID: Final = re.compile(r'(\bid="|url\(#|href="#)')


@frozen(kw_only=True)
class Drawing:
    """A plot: its ``name`` in the page, a short ``title``, what it shows in words (``told``), and the picture."""

    name: str
    title: str
    told: str
    svg: str


def accuracy_by_minute(name: str, cells: Sequence[Told]) -> Drawing:
    """How often a direction was right, against what a fair price reaches without any knowledge."""

    def paint(axes: Axes) -> None:
        duration_s = cells[-1]["duration_s"]
        if duration_s:
            elapsed = np.linspace(0, duration_s, 200)
            law = [100 * sign_accuracy(float(each), duration_s) for each in elapsed]
            axes.plot(elapsed / 60, law, color=GREY, linewidth=1.2, label="arcsine law")
        axes.axhline(55, color=GREY, linestyle=":", linewidth=1, label="55 %")
        rows = {"price > ½": [_baseline(cell, "price")["accuracy"] for cell in cells]}
        rows |= {each: [cell["presets"][each]["score"]["accuracy"] for cell in cells] for each in _presets(cells)}
        _points(axes, [cell["minute"] for cell in cells], rows, "value", 100)
        axes.set(xlabel="minute", ylabel="right, %")
        _legend(axes)

    last = cells[-1]
    told = "; ".join(
        f"minute {cell['minute']:g}: price {_percent(_baseline(cell, 'price'))}, "
        + ", ".join(f"{each} {_percent(cell['presets'][each]['score'])}" for each in _presets(cells))
        for cell in cells
    )
    return _drawn(name, f"Accuracy by minute, {last['series']}", f"Accuracy with 95 % intervals. {told}.", paint)


def skill_by_minute(name: str, cells: Sequence[Told]) -> Drawing:
    """Δlog-loss against the mid with its intervals."""

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=GREY, linewidth=1.2)
        rows = {
            each: [cell["presets"][each]["skill"]["against_mid"]["delta"] for cell in cells] for each in _presets(cells)
        }
        _points(axes, [cell["minute"] for cell in cells], rows, "mean", 1)
        axes.set(xlabel="minute", ylabel="Δlog-loss (below 0: better)")
        _legend(axes)

    told = "; ".join(
        f"minute {cell['minute']:g}: "
        + ", ".join(
            f"{each} {_signed(cell['presets'][each]['skill']['against_mid']['delta'])}" for each in _presets(cells)
        )
        for cell in cells
    )
    title = f"Skill against the mid, {cells[-1]['series']}"
    return _drawn(name, title, f"Loss of the mid corrected by the score less the mid's. {told}.", paint)


def calibration(name: str, cell: Told) -> Drawing:
    """How often Up won where it was said to be so likely."""
    said = {"mid": _baseline(cell, "mid")["probability"]}
    said |= {
        f"mid and {each}": line["probabilities"]["learned_score"]["probability"]
        for each, line in cell["presets"].items()
    }
    bins = {who: (each or {}).get("calibration", []) for who, each in said.items()}

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.2)
        for (who, points), color, marker in zip(bins.items(), cycle(COLORS), cycle(MARKERS), strict=False):
            _bars(
                axes,
                [point["forecast"] for point in points],
                [{**point, "value": point["observed"]} for point in points],
                "value",
                {"color": color, "marker": marker, "label": who},
            )
        axes.set(xlabel="said", ylabel="Up won", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        _legend(axes)

    told = "; ".join(
        f"{who}: {len(points)} bins, the largest distance from the diagonal "
        f"{max(abs(point['forecast'] - point['observed']) for point in points):.2f}"
        for who, points in bins.items()
        if points
    )
    return _drawn(name, "Calibration", f"Said against happened, with 95 % intervals. {told}.", paint)


def latency_ladder(name: str, cell: Told) -> Drawing:
    """Mean profit of a share by how late it was bought."""
    rows = {each: [rung["rung"]["profit"] for rung in line["latency"]] for each, line in cell["presets"].items()}
    late = [rung["rung"]["latency_s"] for rung in next(iter(cell["presets"].values()))["latency"]]

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=GREY, linewidth=1.2)
        _points(axes, late, rows, "mean", 100)
        axes.set(xlabel="seconds after the decision", ylabel="profit, ¢ per share")
        _legend(axes)

    told = "; ".join(
        f"{who}: " + ", ".join(f"+{at:g} s {_signed(each, 100, '.2f')} ¢" for at, each in zip(late, found, strict=True))
        for who, found in rows.items()
    )
    return _drawn(name, "Latency ladder", f"Bought at the ask, fee paid, held to the end. {told}.", paint)


def confidences(name: str, cell: Told, levels: Sequence[float]) -> Drawing:
    """Which share of the markets had at most this confidence."""
    spread = {each: line["confidence"]["distribution"]["quantiles"] for each, line in cell["presets"].items()}
    known = {who: values for who, values in spread.items() if None not in values}

    def paint(axes: Axes) -> None:
        for (who, values), color, marker in zip(known.items(), cycle(COLORS), cycle(MARKERS), strict=False):
            axes.plot(values, [100 * level for level in levels], color=color, marker=marker, label=who)
        axes.set(xlabel="confidence", ylabel="markets at or below, %", xlim=(-0.02, 1.02))
        _legend(axes)

    middle = len(levels) // 2
    told = "; ".join(
        f"{who}: from {values[0]:.2f} over {values[middle]:.2f} in the middle to {values[-1]:.2f}"
        for who, values in known.items()
    )
    return _drawn(name, "Confidence: how it is spread", f"{told or 'No confidence was ever stated'}.", paint)


def deciles(name: str, cell: Told) -> Drawing:
    """Whether more confidence means a lower loss against the mid."""
    found = {each: line["confidence"]["deciles"]["bins"] for each, line in cell["presets"].items()}

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=GREY, linewidth=1.2)
        for (who, bins), color, marker in zip(found.items(), cycle(COLORS), cycle(MARKERS), strict=False):
            known = [each for each in bins if each["excess_loss"] is not None]
            axes.plot(
                [each["confidence"] for each in known],
                [each["excess_loss"] for each in known],
                color=color,
                marker=marker,
                label=who,
            )
        axes.set(xlabel="confidence, bins of equal mass", ylabel="Δlog-loss (below 0: better)")
        _legend(axes)

    words = {None: "cannot be said", True: "falls steadily", False: "does not fall steadily"}
    told = "; ".join(
        f"{who}: with more confidence the loss "
        f"{words[None if falls is None else falls >= 0.8]} ({len(found[who])} bins)"
        for who, line in cell["presets"].items()
        for falls in (line["confidence"]["deciles"]["loss_falls"],)
    )
    return _drawn(name, "Confidence: is more of it better?", f"{told}.", paint)


def _points(axes: Axes, at: Sequence[float], rows: Mapping[str, Sequence[Told]], mean: str, scale: float) -> None:
    """Means with their intervals, those of one place side by side."""
    width = (max(at) - min(at) or 1) / 60
    for index, (who, values) in enumerate(rows.items()):
        shifted = [place + width * (index - (len(rows) - 1) / 2) for place in at]
        scaled = [
            {key: None if each[key] is None else each[key] * scale for key in (mean, "low", "high")} for each in values
        ]
        style = {"color": COLORS[index % len(COLORS)], "marker": MARKERS[index % len(MARKERS)], "label": who}
        _bars(axes, shifted, scaled, mean, style)


def _bars(axes: Axes, at: Sequence[float], values: Sequence[Told], mean: str, style: Mapping[str, Any]) -> None:
    known = [(place, each) for place, each in zip(at, values, strict=True) if each[mean] is not None]
    middle = np.array([each[mean] for _, each in known], dtype=float)
    low, high = (
        np.array([each[mean] if each[name] is None else each[name] for _, each in known], dtype=float)
        for name in ("low", "high")
    )
    ends = np.clip([middle - low, high - middle], 0, None)
    axes.errorbar([place for place, _ in known], middle, yerr=ends, linewidth=1.2, elinewidth=1, capsize=2, **style)


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=3)


def _drawn(name: str, title: str, told: str, paint: Callable[[Axes], None]) -> Drawing:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=SIZE_IN)
        paint(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Drawing(name=name, title=title, told=told, svg=_inline(text.getvalue(), name, title, told))


def _inline(document: str, name: str, title: str, told: str) -> str:
    """The SVG element alone, with ids of its own and words for whoever does not see it."""
    body = _ID.sub(rf"\g<1>{name}-", document[document.index("<svg") :])
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = body.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    head, _, rest = body.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    words = f"<title>{escape(title)}</title><desc>{escape(told)}</desc>"
    label = escape(f"{title}. {told}", quote=True)
    return (
        f'<svg {view[0] if view else ""} role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{words}{rest}'
    )


def _baseline(cell: Told, name: str) -> Told:
    found: Told = next(card for card in cell["baselines"] if card["name"] == name)
    return found


def _presets(cells: Sequence[Told]) -> list[str]:
    return list(cells[0]["presets"])


def _percent(card: Told) -> str:
    value = card["accuracy"]["value"]
    return "silent" if value is None else f"{value:.1%}"


def _signed(told: Told, scale: float = 1.0, form: str = ".4f") -> str:
    return "unknown" if told["mean"] is None else format(told["mean"] * scale, f"+{form}")
