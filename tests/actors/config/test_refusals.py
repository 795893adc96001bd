"""Who is to blame for what a scorer refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.config import ConfigError, dotted, load_settings
from actors.config.origins import KeyPath, Kind, Origin
from actors.config.refusals import refusals

FILE, FLAG = Origin(kind=Kind.FILE, name="a.toml", line=1), Origin(kind=Kind.FLAG, name="--set")


def blamed(scoring: dict[str, object], *by_flag: str) -> list[str]:
    origins: dict[KeyPath, Origin] = {("scoring",): FILE}
    origins.update({("scoring", *key.split(".")): FLAG for key in by_flag})
    return [dotted(path).removeprefix("scoring.") for path, _ in refusals(scoring, origins)]


@pytest.mark.parametrize(
    ("scoring", "by_flag", "guilty"),
    [
        ({}, [], []),
        ({"weights": {"momentum": 0.6, "volume_flow": 0.1}}, [], []),
        (
            {"weights": {"momentum": 0.6, "whales": 0.1, "volume_flow": 0.1, "x": 1}},
            [],
            ["weights.whales", "weights.x"],
        ),
        ({"weights": {"momentum": 0.6, "volume_flow": 0.1, "whale": 0.9}}, ["weights.whale"], ["weights.whale"]),
        ({"weights": {"whale": 0.1, "x": 1}, "options": {"y": 1}}, ["options.y"], ["weights.x", "options.y"]),
        ({"preset": "a-plug-in", "weights": {"x": 5}}, [], []),
    ],
)
def test_the_entries_to_blame(scoring: dict[str, object], by_flag: list[str], guilty: list[str]) -> None:
    assert blamed(scoring, *by_flag) == guilty


def test_a_flag_is_blamed_and_not_the_table_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[scoring]\npreset = 'seed'\n[scoring.weights]\nmomentum = 0.3\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings([file], ["scoring.weights.x=0.5"])
    (problem,) = caught.value.problems
    assert problem.startswith("--set: scoring.weights.x: preset 'seed': unknown component x")
