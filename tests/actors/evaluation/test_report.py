from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from actors.evaluation import report as evaluation
from actors.evaluation.dataset import Label, Plan, Status
from actors.evaluation.report import report
from engine.settings import ScoringSettings
from tests.actors.evaluation.synthetic import LATENCIES_S, dataset

QUARTERS = (120, 300, 480, 660, 840)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return report(dataset(150, at_s=(120, 480)))


def test_it_is_plain_json(told: dict[str, Any]) -> None:
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["schema_version"] == 1
    assert [*told] == ["schema_version", "verdicts", "protocol", "data", "feed", "cells"]


def test_equal_datasets_give_equal_reports(told: dict[str, Any]) -> None:
    assert report(dataset(150, at_s=(120, 480))) == told


def test_every_preset_is_judged_at_every_time(told: dict[str, Any]) -> None:
    assert [(each["preset"], len(each["lines"])) for each in told["verdicts"]] == [("seed", 2), ("corrected", 2)]
    assert [cell["minute"] for cell in told["cells"]] == [2.0, 8.0]
    assert [*told["cells"][0]["presets"]] == ["seed", "corrected"]
    assert told["cells"][0]["theory"]["sign_accuracy"] == pytest.approx(0.619, abs=1e-3)
    sentence = told["cells"][1]["presets"]["corrected"]["verdict"]["sentence"]
    assert sentence == told["verdicts"][1]["lines"][1]
    assert sentence.startswith("At minute 8 accuracy ")


def test_the_questions_asked_are_counted(told: dict[str, Any]) -> None:
    # Two times and two presets ask about the outcome and about score and flow; both presets about these over all times.
    assert told["protocol"]["configurations"] == 4 * 3 + 2 * 2


def test_lines_and_presets_have_an_error_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, set[int]] = {}

    def counting(name: str) -> Callable[..., Any]:
        real = getattr(evaluation, name)
        return lambda *words: asked.setdefault(name, set()).add(words[-1]) or real(*words)

    for name in ("judge", "judge_preset"):
        monkeypatch.setattr(evaluation, name, counting(name))
    report(dataset(40, at_s=(120, 480)))
    assert asked == {"judge": {4 * 3}, "judge_preset": {2 * 2}}


def test_the_seed_score_is_a_baseline_of_other_presets():
    told = report(
        evolve(dataset(60), plan=Plan(variants=(ScoringSettings(preset="corrected"),), latencies_s=LATENCIES_S))
    )
    (cell,) = told["cells"]
    assert [*cell["presets"]] == ["corrected"]
    assert {each["name"] for each in cell["baselines"]} >= {"seed", "mid", "majority", "coin"}


def test_nothing_recorded_is_nothing_said():
    told = report(evolve(dataset(1), markets=()))
    assert (told["verdicts"], told["cells"]) == ([], [])
    assert told["data"]["markets"] == 0


def test_a_market_without_an_outcome_is_counted_and_left_out():
    made = dataset(30)
    void = tuple(evolve(market, label=Label(status=Status.VOID)) for market in made.markets[:3])
    told = report(evolve(made, markets=(*void, *made.markets[3:])))
    assert told["data"]["excluded"] == {"void": 3}
    assert told["cells"][0]["markets"] == 27


@pytest.mark.slow
def test_on_markets_without_information_it_is_never_yes():
    for seed in range(3):
        told = report(dataset(2_200, at_s=QUARTERS, seed=seed))
        answers = {each["answer"] for each in told["verdicts"]}
        answers |= {line["verdict"]["answer"] for cell in told["cells"] for line in cell["presets"].values()}
        assert answers <= {"no", "undetermined"}


@pytest.mark.slow
def test_planted_information_is_found_and_its_bystander_is_not():
    for seed in range(2):
        told = report(dataset(2_000, at_s=QUARTERS, knowledge=0.1, seed=seed))
        assert [each["answer"] for each in told["verdicts"]] == ["yes", "undetermined"]
        assert "half minute" in told["verdicts"][0]["because"]
