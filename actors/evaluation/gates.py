"""Gates: requirements on a report, as text, and whether it meets them.

``accuracy>=0.55 @8``, ``skill>=0 @8 corrected``, ``log_loss<0.5 btc-15m``: a metric, a comparison and a number, then in
any order the minute, the preset and the series it is about. What is not named means all there are; all must hold. A
metric that could not be measured is not met.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from engine.errors import UpdownError


class GateError(UpdownError, ValueError):
    """A requirement that cannot be read, or that is about something that the report does not have."""


Line = Mapping[str, Any]


def _at(*path: str | int) -> Callable[[Line], float | None]:
    def read(line: Line) -> float | None:
        value: Any = line
        for step in path:
            value = None if value is None else value[step]
        return None if value is None else float(value)

    return read


def _negated(*path: str | int) -> Callable[[Line], float | None]:
    read = _at(*path)

    def negated(line: Line) -> float | None:
        value = read(line)
        return None if value is None else -value

    return negated


_LEARNED: Final = ("probabilities", "learned_score", "probability")

METRICS: Final[Mapping[str, Callable[[Line], float | None]]] = {
    "accuracy": _at("score", "accuracy", "value"),
    "accuracy_low": _at("score", "accuracy", "low"),
    "abstention": _at("score", "accuracy", "abstention"),
    "auc": _at("score", "area_under_curve"),
    "brier": _at(*_LEARNED, "brier"),
    "log_loss": _at(*_LEARNED, "log_loss"),
    "ece": _at(*_LEARNED, "calibration_error"),
    "skill": _negated("skill", "against_mid", "delta", "mean"),
    "skill_low": _negated("skill", "against_mid", "delta", "high"),
    "skill_over_level": _negated("skill", "against_level", "delta", "mean"),
    "move": _at("moves", "all", 1, "mean"),
    "profit": _at("latency", 0, "rung", "profit", "mean"),
    "coverage": _at("mean_coverage"),
    "trades": _at("mean_trades"),
    "markets": _at("markets"),
    "days": _at("days"),
}
"""What can be required of a line: of the score's sign ``accuracy`` to ``auc``; of its probability ``brier`` to ``ece``.

``skill`` is the mid's log-loss less the learned probability's (above 0: better than the mid), ``skill_low`` its lower
95 % bound. ``move`` is in ticks over the primary horizon, ``profit`` per share at the smallest latency.
"""

_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_GATE: Final = re.compile(r"\s*([a-z_]+)\s*(>=|<=|>|<)\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(.*)", re.DOTALL)


@frozen(kw_only=True)
class Gate:
    """One requirement; ``minute`` ``None`` and an empty ``scope`` mean all there are."""

    text: str
    metric: str
    comparison: str
    bound: float
    minute: float | None = None
    scope: tuple[str, ...] = ()


@frozen(kw_only=True)
class Judgement:
    """A gate at one line: the value found (``None``: not measured), and whether it is met."""

    gate: str
    series: str
    minute: float
    preset: str
    value: float | None
    met: bool


def parse(text: str) -> Gate:
    """Read a requirement; raises ``GateError`` that says what is wrong with it."""
    match = _GATE.fullmatch(text)
    if match is None:
        raise GateError(f"not a requirement: {text!r}; write one like 'accuracy>=0.55 @8' or 'skill>=0 @8 corrected'")
    metric, comparison, bound, rest = match.groups()
    if metric not in METRICS:
        raise GateError(f"unknown metric {metric!r} in {text!r}; known: {', '.join(METRICS)}")
    words = rest.split()
    minutes = [_minute(word, text) for word in words if word.startswith("@")]
    if len(minutes) > 1:
        raise GateError(f"more than one minute in {text!r}; write one requirement for each")
    return Gate(
        text=text.strip(),
        metric=metric,
        comparison=comparison,
        bound=float(bound),
        minute=minutes[0] if minutes else None,
        scope=tuple(word for word in words if not word.startswith("@")),
    )


def judge_gates(gates: Sequence[Gate], report: Mapping[str, Any]) -> list[Judgement]:
    """Each gate at each line it is about; raises ``GateError`` for a gate that is about none."""
    return [judgement for gate in gates for judgement in _judged(gate, report)]


def _judged(gate: Gate, report: Mapping[str, Any]) -> list[Judgement]:
    lines = [(cell, name, line) for cell in report["cells"] for name, line in cell["presets"].items()]
    _check_names(gate, lines)
    about = [
        (cell, name, line)
        for cell, name, line in lines
        if gate.minute in {None, cell["minute"]} and {*gate.scope} <= {name, cell["series"]}
    ]
    if not about:
        raise GateError(f"no line of this report is about {gate.text!r}")
    return [_judgement(gate, cell, name, line) for cell, name, line in about]


def _check_names(gate: Gate, lines: Sequence[tuple[Mapping[str, Any], str, Line]]) -> None:
    minutes = sorted({cell["minute"] for cell, _, _ in lines})
    if gate.minute is not None and gate.minute not in minutes:
        known = ", ".join(f"{minute:g}" for minute in minutes) or "none"
        raise GateError(f"no minute {gate.minute:g} in this report, as {gate.text!r} asks for; it has: {known}")
    names = {name for cell, preset, _ in lines for name in (preset, cell["series"])}
    if unknown := [word for word in gate.scope if word not in names]:
        known = ", ".join(sorted(names)) or "none"
        raise GateError(
            f"neither a preset nor a series of this report: {unknown[0]!r} in {gate.text!r}; it has: {known}"
        )


def _judgement(gate: Gate, cell: Mapping[str, Any], preset: str, line: Line) -> Judgement:
    value = METRICS[gate.metric](line)
    return Judgement(
        gate=gate.text,
        series=cell["series"],
        minute=cell["minute"],
        preset=preset,
        value=value,
        met=value is not None and _COMPARISONS[gate.comparison](value, gate.bound),
    )


def _minute(word: str, text: str) -> float:
    try:
        return float(word.removeprefix("@"))
    except ValueError:
        raise GateError(f"not a minute: {word!r} in {text!r}; write one like @8") from None
