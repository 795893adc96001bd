from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from actors.captures import find_captures
from actors.evaluation.dataset import Label, Plan, Status, build, capture_source
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


# ------------------------------------------------------------------------------------------------------- real captures


@pytest.fixture(scope="module")
def recorded(captures: Path) -> dict[str, Any]:
    variants = (ScoringSettings(preset="seed"), ScoringSettings(preset="corrected"))
    return report(build([capture_source(capture) for capture in find_captures(captures)], Plan(variants=variants)))


def messages(path: Path) -> Iterator[tuple[float, dict[str, Any]]]:
    with gzip.open(path, "rt") as file:
        for text in file:
            line = json.loads(text)
            yield line["recv_ts"], json.loads(line["raw"])


def mids_at(path: Path, instants: list[float]) -> list[float | None]:
    """Mid of the last book received before each instant, straight from the file; ``None`` if a side was empty."""
    mids: list[float | None] = [None] * len(instants)
    for received, book in messages(path):
        bids, asks = ([float(level["price"]) for level in book[side]] for side in ("bids", "asks"))
        mid = (max(bids) + min(asks)) / 2 if bids and asks else None
        mids = [mid if received < instant else found for instant, found in zip(instants, mids, strict=True)]
    return mids


@pytest.mark.slow
def test_the_mid_baseline_of_real_markets_agrees_with_the_raw_books(captures: Path, recorded: dict[str, Any]) -> None:
    with (captures / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = [60.0, 120.0, 180.0, 240.0]
    mids = [
        mids_at(captures / f"{row['slug']}.jsonl.gz", [int(row["window_start"]) + at for at in times]) for row in rows
    ]
    won = [int(row["recorded_asset_won"]) for row in rows]
    assert [cell["at_s"] for cell in recorded["cells"]] == times
    for index, cell in enumerate(recorded["cells"]):
        known = [(mid[index], up) for mid, up in zip(mids, won, strict=True) if mid[index] is not None]
        called = [(mid, up) for mid, up in known if mid != 0.5]
        hits = sum((mid > 0.5) == bool(up) for mid, up in called)
        (row,) = [each for each in cell["baselines"] if each["name"] == "mid"]
        assert cell["markets"] == len(rows) == 24
        assert (row["accuracy"]["hits"], row["accuracy"]["calls"]) == (hits, len(called))
        assert row["number"] == len(known)
        assert row["probability"]["brier"] == pytest.approx(sum((mid - up) ** 2 for mid, up in known) / len(known))
        pairs = [(high > low) + 0.5 * (high == low) for high, up in known if up for low, down in known if not down]
        assert row["area_under_curve"] == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.slow
def test_the_report_on_real_markets_says_what_they_lack(recorded: dict[str, Any]) -> None:
    told = recorded
    assert told["data"]["trades_seen"] is False
    assert told["data"]["one_token"] == 24
    assert "hold no trades" in " ".join(told["data"]["notes"])
    assert told["data"]["absent_components"] == {
        "seed": ["momentum", "volume_flow", "whale", "imbalance"],
        "corrected": ["volume_flow", "whale", "imbalance"],
    }
    assert {each["answer"] for each in told["verdicts"]} == {"undetermined"}
    assert told["feed"]["connection_success"]["value"] == 1.0
