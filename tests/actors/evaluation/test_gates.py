from __future__ import annotations

from typing import Any

import pytest

from actors.evaluation.gates import METRICS, GateError, judge_gates, parse
from actors.evaluation.report import report
from tests.actors.evaluation.synthetic import dataset


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return report(dataset(120, at_s=(120, 480)))


def test_reading_a_requirement():
    gate = parse(" accuracy>=0.55 @8 corrected btc-15m ")
    assert (gate.metric, gate.comparison, gate.bound) == ("accuracy", ">=", 0.55)
    assert (gate.minute, gate.scope) == (8.0, ("corrected", "btc-15m"))
    assert parse("skill > -1e-3").bound == -0.001
    assert parse("skill<=.5 @2.5").minute == 2.5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a requirement"),
        ("accuracy", "not a requirement"),
        ("accuracy=0.5", "not a requirement"),
        ("accuracy>=high", "not a requirement"),
        ("winnings>=1", "unknown metric 'winnings'.*accuracy"),
        ("accuracy>=0.5 @eight", "not a minute: '@eight'"),
        ("accuracy>=0.5 @8 @9", "more than one minute"),
    ],
)
def test_what_cannot_be_read(text: str, complaint: str) -> None:
    with pytest.raises(GateError, match=complaint):
        parse(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("accuracy>=0.5 @9", "no minute 9 in this report.*it has: 2, 8"),
        ("accuracy>=0.5 mine", "neither a preset nor a series of this report: 'mine'.*corrected, seed"),
        ("accuracy>=0.5 seed corrected", "no line of this report"),
    ],
)
def test_what_the_report_does_not_have(told: dict[str, Any], text: str, complaint: str) -> None:
    with pytest.raises(GateError, match=complaint):
        judge_gates([parse(text)], told)


def test_a_report_of_nothing_meets_no_requirement():
    with pytest.raises(GateError, match=r"no minute 8.*none"):
        judge_gates([parse("accuracy>=0 @8")], {"cells": []})
    with pytest.raises(GateError, match="no line"):
        judge_gates([parse("accuracy>=0")], {"cells": []})


def test_what_is_not_named_means_all(told: dict[str, Any]) -> None:
    judged = judge_gates([parse("markets>=120")], told)
    assert [(each.minute, each.preset) for each in judged] == [
        (2.0, "seed"),
        (2.0, "corrected"),
        (8.0, "seed"),
        (8.0, "corrected"),
    ]
    assert all(each.met and each.value == 120 for each in judged)


@pytest.mark.parametrize(
    ("text", "met"),
    [("markets>120", False), ("markets<=120", True), ("markets<120", False), ("accuracy>=0 @8 seed", True)],
)
def test_comparisons(told: dict[str, Any], text: str, met: bool) -> None:
    assert {each.met for each in judge_gates([parse(text)], told)} == {met}


def test_skill_is_what_is_gained_over_the_mid(told: dict[str, Any]) -> None:
    (judged,) = judge_gates([parse("skill>=0 @8 corrected")], told)
    delta = told["cells"][1]["presets"]["corrected"]["skill"]["against_mid"]["delta"]
    assert judged.value == -delta["mean"]
    assert judged.met is (delta["mean"] <= 0)


def test_every_metric_is_found_in_a_report(told: dict[str, Any]) -> None:
    gates = [parse(f"{metric}>=-1000 @8 seed") for metric in METRICS]
    assert [each.gate for each in judge_gates(gates, told) if not each.met] == []


def test_what_was_not_measured_is_not_met(told: dict[str, Any]) -> None:
    line = told["cells"][0]["presets"]["seed"]
    silent = {**line, "score": {**line["score"], "area_under_curve": None}, "probabilities": {"learned_score": None}}
    quiet = {"cells": [{**told["cells"][0], "presets": {"seed": silent}}]}
    for metric in ("auc", "brier"):
        (judged,) = judge_gates([parse(f"{metric}<=1")], quiet)
        assert (judged.value, judged.met) == (None, False)
