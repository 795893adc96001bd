"""``updown evaluate``: whether a score knows more than the market's own price, said by the tapes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from actors.cli.failures import BadUsage, Exit
from actors.cli.options import add_config_options, add_output_option, load, positive_integer
from actors.cli.progress import counting
from actors.tapes import find_tapes
from engine.settings import ScoringSettings

if TYPE_CHECKING:
    from actors.evaluation.dataset import Dataset
    from actors.evaluation.gates import Gate, Judgement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to evaluate, when to look, and what to require."""
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="tapes, recordings, or folders of them")
    parser.add_argument(
        "--at", type=_numbers, metavar="M,M,…", help="minutes to decide at (default: 2,5,8,11,14 of a 15-minute slot)"
    )
    parser.add_argument(
        "--preset", type=_names, default=("seed", "corrected"), metavar="P,P,…", help="presets (default: both)"
    )
    parser.add_argument(
        "--latency", type=_numbers, default=(0.0, 1.0, 2.0, 5.0), metavar="S,S,…", help="seconds until an order fills"
    )
    parser.add_argument("--fee-rate", type=_rate, metavar="F", help="the taker fee is F·p(1−p) a share (default: 0.07)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the whole report as one page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole report as JSON")
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="GATE",
        help="fail unless it holds, such as 'accuracy>=0.55 @8' or 'skill>=0 @8 corrected'; may be repeated",
    )
    parser.add_argument("--jobs", type=positive_integer, metavar="N", help="processor cores (default: all)")
    add_config_options(parser)
    add_output_option(parser, "table", "json", default="table")


def main(arguments: argparse.Namespace) -> int:
    """Evaluate, write and print; ``FAILED`` when a gate is not met."""
    from actors.evaluation.extra import LIBRARIES, require  # noqa: PLC0415 - the package needs the extra

    if arguments.html is not None:
        require((*LIBRARIES, "matplotlib"))
    gates = _gates(arguments.require)
    told = _report(_dataset(arguments), arguments)
    try:
        judgements = _judged(gates, told)
    finally:
        _write(told, arguments)
    if arguments.output == "json":
        sys.stdout.write(_as_json(told))
    else:
        _print(told, judgements)
    return Exit.DONE if all(each.met for each in judgements) else Exit.FAILED


def _dataset(arguments: argparse.Namespace) -> Dataset:
    from actors.evaluation.dataset import Plan, build  # noqa: PLC0415 - needs the extra
    from actors.evaluation.tapes import tape_source  # noqa: PLC0415

    scoring = load(arguments).settings.scoring
    try:
        plan = Plan(
            variants=tuple(_variant(scoring, name) for name in arguments.preset),
            at_s=None if arguments.at is None else tuple(60 * minute for minute in arguments.at),
            latencies_s=arguments.latency,
        )
    except ValueError as error:
        raise BadUsage(str(error)) from None
    sources = [tape_source(tape) for tape in find_tapes(arguments.paths)]
    with counting("evaluate", len(sources)) as step:
        return build(sources, plan, jobs=arguments.jobs, done=lambda _: step())


def _variant(scoring: ScoringSettings, preset: str) -> ScoringSettings:
    """The configured scoring under a preset; weights and options are those of the configured preset alone."""
    return scoring if preset == scoring.preset else evolve(scoring, preset=preset, weights={}, options={})


def _report(dataset: Dataset, arguments: argparse.Namespace) -> dict[str, Any]:
    from actors.evaluation.economics import FEE_RATE  # noqa: PLC0415 - needs the extra
    from actors.evaluation.report import report  # noqa: PLC0415

    return report(dataset, fee_rate=FEE_RATE if arguments.fee_rate is None else arguments.fee_rate)


def _gates(texts: Sequence[str]) -> list[Gate]:
    from actors.evaluation.gates import GateError, parse  # noqa: PLC0415 - needs the extra

    try:
        return [parse(text) for text in texts]
    except GateError as error:
        raise BadUsage(str(error)) from None


def _judged(gates: Sequence[Gate], told: dict[str, Any]) -> list[Judgement]:
    """Every gate at every line it is about; the report is told of it."""
    from actors.evaluation.gates import GateError, judge_gates  # noqa: PLC0415 - needs the extra
    from actors.evaluation.plain import plain  # noqa: PLC0415

    try:
        judgements = judge_gates(gates, told)
    except GateError as error:
        raise BadUsage(str(error)) from None
    told["gates"] = plain(judgements)
    return judgements


def _write(told: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json is not None:
        arguments.json.write_text(_as_json(told), encoding="utf-8")
    if arguments.html is not None:
        from actors.evaluation.html import page  # noqa: PLC0415 - needs the extra

        arguments.html.write_text(page(told), encoding="utf-8")


def _as_json(told: Mapping[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _print(told: Mapping[str, Any], judgements: Sequence[Judgement]) -> None:
    from actors.evaluation.terminal import terminal  # noqa: PLC0415 - needs the extra

    sys.stdout.write(terminal(told))
    for each in judgements:
        value = "not measured" if each.value is None else f"{each.value:.4g}"
        where = f"{each.series}, minute {each.minute:g}, {each.preset}"
        sys.stdout.write(f"{'met    ' if each.met else 'NOT MET'} {each.gate}: {value} ({where})\n")


def _numbers(text: str) -> tuple[float, ...]:
    numbers = tuple(float(part) for part in text.split(",") if part.strip())
    if not numbers or not all(0 <= number < 1e6 for number in numbers):
        raise argparse.ArgumentTypeError(f"not numbers of 0 or more with commas between: {text}")
    return numbers


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError(f"not a rate from 0 to 1: {text}")
    return rate
