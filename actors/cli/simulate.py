"""``updown simulate``: made-up markets whose truth is known, as tapes, or as a table of what scores are worth there."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actors.cli.columns import aligned
from actors.cli.failures import BadUsage, Exit
from actors.cli.options import add_output_option, positive_integer
from actors.cli.progress import counting
from actors.simulate import Design, Habit
from actors.simulate.tapes import write_tapes

if TYPE_CHECKING:
    from actors.simulate import Accuracy, Move

_SHARES_OF_SLOT: Final = (2 / 15, 6 / 15, 10 / 15, 14 / 15)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the markets are like, and where they go."""
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="where the tapes and their labels go")
    parser.add_argument(
        "--markets", type=positive_integer, default=100, metavar="N", help="how many (default: %(default)d)"
    )
    parser.add_argument(
        "--rho",
        type=float,
        default=0.0,
        help="the share of takers who know the price half a minute ahead, 0 to 1 (default: 0, nobody knows anything)",
    )
    parser.add_argument(
        "--habit", choices=[*Habit], default=Habit.SHARES, help="what takers size in (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, help="another seed, other markets (default: %(default)d)")
    parser.add_argument("--series", default="btc-15m", help="of 5m or 15m (default: %(default)s)")
    parser.add_argument(
        "--features",
        action="store_true",
        help="write nothing; print how often each score names the winner, and how the price moves after it",
    )
    parser.add_argument("--jobs", type=positive_integer, metavar="N", help="processor cores (default: all)")
    add_output_option(parser, "table", "json", default="table")


def main(arguments: argparse.Namespace) -> int:
    """Write the tapes, or print the table."""
    design = _design(arguments)
    if arguments.features == (arguments.folder is not None):
        raise BadUsage("name a FOLDER for the tapes, or --features for the table: one of them")
    if arguments.features:
        _features(design, arguments.markets, as_json=arguments.output == "json")
        return Exit.DONE
    jobs = arguments.jobs or os.cpu_count() or 1
    with counting("simulate", arguments.markets) as step:
        write_tapes(design, arguments.markets, arguments.folder, jobs=jobs, done=lambda _: step())
    _say(design, arguments)
    return Exit.DONE


def _design(arguments: argparse.Namespace) -> Design:
    try:
        return Design(seed=arguments.seed, series=arguments.series, rho=arguments.rho, habit=Habit(arguments.habit))
    except ValueError as error:
        raise BadUsage(str(error)) from None


def _say(design: Design, arguments: argparse.Namespace) -> None:
    told = {
        "folder": str(arguments.folder),
        "markets": arguments.markets,
        "series": design.series,
        "rho": design.rho,
        "habit": design.habit.value,
        "seed": design.seed,
    }
    if arguments.output == "json":
        sys.stdout.write(json.dumps(told) + "\n")
        return
    known = f"{design.rho:.0%} of the takers know the next half minute" if design.rho else "nobody knows anything"
    sys.stdout.write(f"{arguments.markets} markets of {design.series} in {arguments.folder}: {known}\n")


def _features(design: Design, markets: int, *, as_json: bool) -> None:
    from actors.simulate import accuracies, arcsine, feature_tables, moves  # noqa: PLC0415 - need the extra

    ends_s = [round(share * design.seconds) for share in _SHARES_OF_SLOT]
    # The last look is close to the end, and the price ahead must still be there.
    tables = feature_tables(design, markets, ends_s, ahead_s=min(60, design.seconds - ends_s[-1]))
    hits = {end_s: accuracies(table) for end_s, table in tables.items()}
    ahead = {end_s: moves(table) for end_s, table in tables.items()}
    if as_json:
        told = [
            {"at_s": end_s, "theory": arcsine(end_s / design.seconds), "scores": _told(hits[end_s], ahead[end_s])}
            for end_s in ends_s
        ]
        sys.stdout.write(json.dumps({"markets": markets, "moments": told}, indent=2) + "\n")
        return
    head = ("score", *(f"minute {end_s / 60:g}" for end_s in ends_s))
    theory = ("in theory", *(f"{arcsine(end_s / design.seconds):.3f}" for end_s in ends_s))
    right = [(name, *(f"{hits[end_s][name].rate:.3f}" for end_s in ends_s)) for name in hits[ends_s[0]]]
    moved = [(name, *(_ticks(ahead[end_s][name]) for end_s in ends_s)) for name in ahead[ends_s[0]]]
    lines = [
        f"{markets} markets of {design.series}; how often the sign names the winner:",
        aligned([head, theory, *right]),
        "",
        "mean move of the price in the direction called, in ticks of 1 ¢, ± standard error:",
        aligned([head, *moved]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def _told(hits: Mapping[str, Accuracy], ahead: Mapping[str, Move]) -> dict[str, Any]:
    return {
        name: {
            "accuracy": _number(hits[name].rate),
            "calls": hits[name].calls,
            "move_ticks": _number(100 * ahead[name].mean),
            "standard_error": _number(100 * ahead[name].standard_error),
        }
        for name in hits
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ticks(move: Move) -> str:
    return f"{100 * move.mean:+.2f} ± {100 * move.standard_error:.2f}"
