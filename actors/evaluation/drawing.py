"""Drawing: axes in, inline SVG out, with a title and a description in words.

Drawn by matplotlib, which ``updown[evaluate]`` brings, without its global state; equal data give equal drawings.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np
from attrs import frozen

from actors.evaluation.extra import require
from actors.evaluation.rows import Told

require(("matplotlib",))

import matplotlib as mpl  # noqa: E402 - only when it is there
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

SIZE_IN: Final = (4.7, 3.3)
"""338 × 238 points: the texts are legible where the page is as narrow as a phone."""

GREY: Final = "#6b7280"

REFERENCE: Final[Mapping[str, str]] = {"color": "#111827", "marker": "x"}
"""How the market's own price looks."""

LOOKS: Final[tuple[Mapping[str, str], ...]] = (
    {"color": "#0b63ce", "marker": "o"},
    {"color": "#c2410c", "marker": "s"},
    {"color": "#15803d", "marker": "^"},
    {"color": "#7e22ce", "marker": "D"},
    {"color": "#a16207", "marker": "v"},
)
"""How presets look, in their order: colour is never the only difference."""

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
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "updown",
}

_NOTHING_ELSE: Final[dict[Any, Any]] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_ID: Final = re.compile(r'(\bid="|url\(#|href="#)')


@frozen(kw_only=True)
class Drawing:
    """A plot: its ``name`` in the page, a short ``title``, what it shows in words (``told``), and the picture."""

    name: str
    title: str
    told: str
    svg: str


def drawing(name: str, title: str, told: str, paint: Callable[[Axes], None]) -> Drawing:
    """Have ``paint`` fill the axes."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=SIZE_IN)
        axes = figure.add_subplot()
        paint(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=3)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=_NOTHING_ELSE)
    return Drawing(name=name, title=title, told=told, svg=_inline(text.getvalue(), name, title, told))


def looks(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The look of each preset, with its name as label."""
    return {name: {**LOOKS[index % len(LOOKS)], "label": name} for index, name in enumerate(names)}


def intervals(
    axes: Axes, at: Sequence[float], values: Sequence[Told], mean: str, *, scale: float = 1.0, **look: Any
) -> None:
    """Means with their intervals; nothing where there is no mean."""
    known = [(place, each) for place, each in zip(at, values, strict=True) if each[mean] is not None]
    if not known:
        return
    middle = scale * np.array([each[mean] for _, each in known], dtype=float)
    low, high = (
        scale * np.array([each[mean] if each[end] is None else each[end] for _, each in known], dtype=float)
        for end in ("low", "high")
    )
    ends = np.clip([middle - low, high - middle], 0, None)
    axes.errorbar([place for place, _ in known], middle, yerr=ends, elinewidth=1, capsize=2, **look)


def beside(at: Sequence[float], index: int, number: int) -> list[float]:
    """Places a little to the side, for the ``index``-th of ``number`` rows of intervals at the same ones."""
    width = (max(at) - min(at) or 1) / 60
    return [place + width * (index - (number - 1) / 2) for place in at]


def _inline(document: str, name: str, title: str, told: str) -> str:
    """The SVG element alone, with ids of its own and words for whoever does not see it."""
    body = _ID.sub(rf"\g<1>{name}-", document[document.index("<svg") :])
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = body.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    head, _, rest = body.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    label = escape(f"{title}. {told}", quote=True)
    return (
        f'<svg {view[0] if view else ""} role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink"><title>{escape(title)}</title><desc>{escape(told)}</desc>{rest}'
    )
