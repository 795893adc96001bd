"""The plots of the page: what each paints, and what it says in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from actors.evaluation.conviction import MONOTONE
from actors.evaluation.drawing import GREY, REFERENCE, Drawing, beside, drawing, intervals, looks
from actors.evaluation.rows import Told
from actors.evaluation.theory import sign_accuracy


def accuracy_by_minute(name: str, cells: Sequence[Told]) -> Drawing:
    """How often a direction was right, against what a fair price reaches without any knowledge."""
    minutes = [cell["minute"] for cell in cells]
    rows = {each: [cell["presets"][each]["score"] for cell in cells] for each in cells[0]["presets"]}
    price = [_baseline(cell, "price") for cell in cells]

    def paint(axes: Axes) -> None:
        _law(axes, cells[-1]["duration_s"])
        axes.axhline(55, color=GREY, linestyle=":", linewidth=1, label="55 %")
        every = [(price, {**REFERENCE, "label": "price > ½"}), *((rows[each], look) for each, look in _looks(rows))]
        for index, (cards, look) in enumerate(every):
            shares = [card["accuracy"] for card in cards]
            intervals(axes, beside(minutes, index, len(every)), shares, "value", scale=100, **look)
        axes.set(xlabel="minute", ylabel="right, %")

    told = "; ".join(
        f"minute {minute:g}: price {_percent(price[index])}, "
        + ", ".join(f"{each} {_percent(cards[index])}" for each, cards in rows.items())
        for index, minute in enumerate(minutes)
    )
    return drawing(name, f"Accuracy by minute, {cells[-1]['series']}", f"With 95 % intervals. {told}.", paint)


def skill_by_minute(name: str, cells: Sequence[Told]) -> Drawing:
    """Δlog-loss against the mid with its intervals."""
    minutes = [cell["minute"] for cell in cells]
    rows = {
        each: [cell["presets"][each]["skill"]["against_mid"]["delta"] for cell in cells] for each in cells[0]["presets"]
    }

    def paint(axes: Axes) -> None:
        _means(axes, minutes, rows)
        axes.set(xlabel="minute", ylabel="Δlog-loss (below 0: better)")

    told = "; ".join(
        f"minute {minute:g}: " + ", ".join(f"{each} {_signed(found[index])}" for each, found in rows.items())
        for index, minute in enumerate(minutes)
    )
    title = f"Skill against the mid, {cells[-1]['series']}"
    return drawing(name, title, f"Loss of the mid corrected by the score less the mid's. {told}.", paint)


def calibration(name: str, cell: Told) -> Drawing:
    """How often Up won where it was said to be so likely."""
    rows = {
        each: (line["probabilities"]["learned_score"]["probability"] or {}).get("calibration", [])
        for each, line in cell["presets"].items()
    }
    mid = (_baseline(cell, "mid")["probability"] or {}).get("calibration", [])

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY)
        every = [(mid, {**REFERENCE, "label": "mid"}), *((rows[each], look) for each, look in _looks(rows))]
        for points, look in every:
            said = [point["forecast"] for point in points]
            # No line between the points: with few markets it would suggest a course where there is only noise.
            intervals(axes, said, points, "observed", linestyle="none", **look)
        axes.set(xlabel="said", ylabel="Up won", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))

    told = "; ".join(
        f"{who}: {len(points)} bins, the largest distance from the diagonal "
        f"{max(abs(point['forecast'] - point['observed']) for point in points):.2f}"
        for who, points in {"mid": mid, **rows}.items()
        if points
    )
    return drawing(name, "Calibration", f"Said against happened, with 95 % intervals. {told}.", paint)


def latency_ladder(name: str, cell: Told) -> Drawing:
    """Mean profit of a share by how late it was bought."""
    rows = {each: [rung["rung"]["profit"] for rung in line["latency"]] for each, line in cell["presets"].items()}
    late = [rung["rung"]["latency_s"] for rung in next(iter(cell["presets"].values()))["latency"]]

    def paint(axes: Axes) -> None:
        _means(axes, late, rows, scale=100)
        axes.set(xlabel="seconds after the decision", ylabel="profit, ¢ per share")

    told = "; ".join(
        f"{who}: " + ", ".join(f"+{at:g} s {_signed(each, 100, '.2f')} ¢" for at, each in zip(late, found, strict=True))
        for who, found in rows.items()
    )
    return drawing(name, "Latency ladder", f"Bought at the ask, fee paid, held to the end. {told}.", paint)


def confidences(name: str, cell: Told, levels: Sequence[float]) -> Drawing:
    """Which share of the markets had at most this confidence."""
    spread = {each: line["confidence"]["distribution"]["quantiles"] for each, line in cell["presets"].items()}
    known = {who: values for who, values in spread.items() if None not in values}

    def paint(axes: Axes) -> None:
        for who, look in _looks(spread):
            if who in known:
                axes.plot(known[who], [100 * level for level in levels], **look)
        axes.set(xlabel="confidence", ylabel="markets at or below, %", xlim=(-0.03, 1.03))

    middle = len(levels) // 2
    told = "; ".join(
        f"{who}: from {values[0]:.2f} over {values[middle]:.2f} in the middle to {values[-1]:.2f}"
        for who, values in known.items()
    )
    return drawing(name, "Confidence: how it is spread", f"{told or 'No confidence was ever stated'}.", paint)


def deciles(name: str, cell: Told) -> Drawing:
    """Whether more confidence means a lower loss against the mid."""
    rows = {
        each: [found for found in line["confidence"]["deciles"]["bins"] if found["excess_loss"] is not None]
        for each, line in cell["presets"].items()
    }

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=GREY)
        for who, look in _looks(rows):
            if bins := rows[who]:
                axes.plot([each["confidence"] for each in bins], [each["excess_loss"] for each in bins], **look)
        axes.set(xlabel="confidence, bins of equal mass", ylabel="Δlog-loss (below 0: better)", xlim=(-0.03, 1.03))

    told = "; ".join(
        f"{who}: {_steadiness(line['confidence']['deciles']['loss_falls'])} ({len(rows[who])} bins)"
        for who, line in cell["presets"].items()
    )
    return drawing(name, "Confidence: is more of it better?", f"With more confidence the loss … {told}.", paint)


def _law(axes: Axes, duration_s: float | None) -> None:
    if duration_s:
        elapsed = np.linspace(0, duration_s, 200)
        law = [100 * sign_accuracy(float(each), duration_s) for each in elapsed]
        axes.plot(elapsed / 60, law, color=GREY, label="arcsine law")


def _means(axes: Axes, at: Sequence[float], rows: Mapping[str, Sequence[Told]], *, scale: float = 1.0) -> None:
    axes.axhline(0, color=GREY)
    for index, (who, look) in enumerate(_looks(rows)):
        intervals(axes, beside(at, index, len(rows)), rows[who], "mean", scale=scale, **look)


def _looks(rows: Mapping[str, object]) -> list[tuple[str, dict[str, Any]]]:
    return list(looks(rows).items())


def _baseline(cell: Told, name: str) -> Told:
    found: Told = next(card for card in cell["baselines"] if card["name"] == name)
    return found


def _percent(card: Told) -> str:
    value = card["accuracy"]["value"]
    return "silent" if value is None else f"{value:.1%}"


def _signed(told: Told, scale: float = 1.0, form: str = ".4f") -> str:
    return "unknown" if told["mean"] is None else format(told["mean"] * scale, f"+{form}")


def _steadiness(falls: float | None) -> str:
    if falls is None:
        return "cannot be compared"
    return "falls steadily" if falls >= MONOTONE else "does not fall steadily"
