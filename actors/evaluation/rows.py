"""The report in rows of text: what the terminal and the page show alike.

A number that cannot be said is a dash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

Told = Mapping[str, Any]
"""A part of the report, as ``actors.evaluation.report`` describes it."""

NONE: Final = "–"
NO_MARKETS: Final = "No verdict: there is no market with an official outcome and a decision time to judge by."


@frozen(kw_only=True)
class Table:
    """A title, a head and rows as long as the head; the first column is text, the others are numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def number(value: float | None, form: str = ".3f") -> str:
    """A number in a format, or the dash."""
    return NONE if value is None else format(value, form)


def interval(told: Told | None, form: str = "+.4f", scale: float = 1.0) -> str:
    """A mean and its interval."""
    if told is None or told["mean"] is None:
        return NONE
    mean, low, high = (None if told[name] is None else told[name] * scale for name in ("mean", "low", "high"))
    return number(mean, form) + ("" if low is None else f" [{number(low, form)}, {number(high, form)}]")


def share(told: Told) -> str:
    """An accuracy with its interval, in per cent."""
    if not told["calls"]:
        return NONE
    return f"{told['value']:.1%} [{told['low']:.1%}, {told['high']:.1%}]"


def sentences(report: Told) -> list[tuple[str, str, list[str]]]:
    """Every verdict: who it is about with the answer, why, and the sentences of its decision times."""
    return [
        (f"{each['series']}, {each['preset']}: {each['answer']}", each["because"], list(each["lines"]))
        for each in report["verdicts"]
    ]


def heading(cell: Told) -> str:
    """What a decision time is about."""
    return (
        f"{cell['series']}, minute {cell['minute']:g}: {_count(cell['markets'], 'market')}, "
        f"{_count(cell['days'], 'day')}, Up won {cell['up_share']:.1%}"
    )


def forecasts(cell: Told) -> Table:
    """Everybody who said something, presets first and then the baselines."""
    cards = []
    for name, line in cell["presets"].items():
        cards.append((f"{name}: sign of the score", line["score"]))
        cards.append((f"{name}: mid corrected by it", line["probabilities"]["learned_score"]))
    cards += [(card["title"], card) for card in cell["baselines"]]
    return Table(
        title="Who was right, and how sure",
        head=("forecast", "accuracy", "abstains", "AUC", "Brier", "log-loss", "Δlog-loss against mid"),
        rows=tuple(_card(name, card) for name, card in cards),
        note="Δ below 0 is better than the mid at the same instant. In brackets: 95 %.",
    )


def _card(name: str, card: Told) -> tuple[str, ...]:
    proper = card["probability"] or {}
    delta = proper.get("delta_log_loss", {}).get("delta")
    return (
        name,
        share(card["accuracy"]),
        number(card["accuracy"]["abstention"], ".0%"),
        number(card["area_under_curve"]),
        number(proper.get("brier"), ".4f"),
        number(proper.get("log_loss"), ".4f"),
        interval(delta) if card["name"] != "mid" else "0",
    )


def decomposition(cell: Told) -> Table:
    """Brier scores in their parts, and the calibration error."""
    cards = [(f"{name}: mid corrected by it", _learned(line)) for name, line in cell["presets"].items()]
    cards += [(card["title"], card["probability"]) for card in cell["baselines"]]
    names = ("reliability", "resolution", "uncertainty", "within")
    return Table(
        title="Brier scores in their parts",
        head=("probability", "Brier", *names, "calibration error"),
        rows=tuple(
            (
                name,
                number(card["brier"], ".4f"),
                *(number(card["murphy"][part], ".4f") for part in names),
                number(card["calibration_error"], ".4f"),
            )
            for name, card in cards
            if card is not None
        ),
        note="Brier = reliability − resolution + uncertainty + within; calibration error over bins of equal mass.",
    )


def _learned(line: Told) -> Told | None:
    learned: Told | None = line["probabilities"]["learned_score"]["probability"]
    return learned


def skills(cell: Told) -> Table:
    """Every preset's score against the mid in all the ways it is asked, and the leak tests."""
    return Table(
        title="Skill: Δlog-loss of the mid corrected by the score, below 0 is better",
        head=("who", "Δ", "p", "markets held out"),
        rows=tuple(row for name, line in cell["presets"].items() for row in _skill(name, line)),
        note="The last two lines of each are leak tests. With outcomes dealt at random only chance is left; a score "
        "that is half a minute older must not be better than the fresh one.",
    )


def _skill(name: str, line: Told) -> list[tuple[str, ...]]:
    if not line["skill"]["tested"]:
        return [(f"{name}: nothing was held out, or it never had an opinion", NONE, NONE, "0")]
    asked = (
        ("against the mid", line["skill"]["against_mid"]),
        ("against the mid recalibrated", line["skill"]["against_level"]),
        ("markets without gaps", line["gaps"]["without"]["against_mid"]),
        ("markets with gaps", line["gaps"]["with"]["against_mid"]),
        ("half a minute older", line["leaks"]["delayed"]),
        ("outcomes dealt at random", line["leaks"]["shuffled"]),
    )
    return [
        (f"{name}: {what}", interval(gain["delta"]), number(gain["test"]["p_value"]), str(gain["delta"]["number"]))
        for what, gain in asked
    ]


def ladders(cell: Told) -> Table:
    """What the direction would have earned, by latency."""
    rows = [
        (
            f"{name} +{rung['latency_s']:g} s",
            share(rung["wins"]),
            number(rung["ask"]),
            number(rung["break_even"], ".1%"),
            interval(rung["profit"], "+.2f", 100),
            number(rung["shares"], ".0f"),
            interval(each["delta_log_loss"]["delta"]),
        )
        for name, line in cell["presets"].items()
        for each in line["latency"]
        for rung in (each["rung"],)
    ]
    head = ("bought after", "wins", "mean ask", "break-even", "profit, ¢ per share", "shares shown")
    return Table(
        title="Latency ladder: bought at the ask, fee paid, held to the end",
        head=(*head, "Δlog-loss against the mid by then"),
        rows=tuple(rows),
    )


def movements(cell: Told) -> Table:
    """The mean move in the direction called, over all and for the strongest tenth of the scores."""
    horizons: Sequence[float] = ()
    rows = []
    for name, line in cell["presets"].items():
        horizons = [move["horizon_s"] for move in line["moves"]["all"]]
        rows.append((name, *map(_move, line["moves"]["all"])))
        for place, decile in enumerate(line["moves"]["deciles"], 1):
            bounds = f"|score| {decile['low']:.2f} to {decile['high']:.2f}"
            rows.append((f"{name} {place}: {bounds}", *map(_move, decile["moves"])))
    return Table(
        title="Mean move of the price in the direction called, in ticks of 1 ¢, ± standard error",
        head=("score", *(f"{horizon:g} s later" for horizon in horizons)),
        rows=tuple(rows),
        note="Means and not signs: the mean of a useless score is 0 within two or three of its errors.",
    )


def _move(told: Told) -> str:
    if told["mean"] is None:
        return NONE
    error = told["standard_error"]
    return f"{told['mean']:+.2f}" + ("" if error is None else f" ± {error:.2f}")


def informations(items: Iterable[Told], title: str) -> Table:
    """How the signals go together with the next half minute."""
    return Table(
        title=title,
        head=("signal", "correlation", "p (one-sided)", "markets"),
        rows=tuple(
            (
                each["signal"],
                interval(each["correlation"]),
                number(_upper(each["test"]), ".2g"),
                str(each["correlation"]["number"]),
            )
            for each in items
        ),
    )


def _upper(test: Told) -> float | None:
    p_value, statistic = test["p_value"], test["statistic"]
    if p_value is None or statistic is None:
        return None
    return float(p_value / 2 if statistic > 0 else 1 - p_value / 2)


def checks(cell: Told) -> Table:
    """The criteria one by one."""
    words = {True: "yes", False: "no", None: NONE}
    names = list(dict.fromkeys(name for line in cell["presets"].values() for name in line["verdict"]["checks"]))
    return Table(
        title="What counts, one by one",
        head=("criterion", *cell["presets"]),
        rows=tuple(
            (
                name.replace("_", " "),
                *(words[line["verdict"]["checks"][name]] for line in cell["presets"].values()),
            )
            for name in names
        ),
    )


def _count(many: int, what: str) -> str:
    return f"{many:,} {what}{'' if many == 1 else 's'}"
