from __future__ import annotations

from typing import Any

import pytest

from actors.evaluation import rows
from actors.evaluation.report import report
from tests.actors.evaluation.synthetic import dataset


@pytest.fixture(scope="module")
def cell() -> dict[str, Any]:
    told: dict[str, Any] = report(dataset(60))["cells"][0]
    return told


def test_what_cannot_be_said_is_a_dash():
    assert rows.number(None) == rows.NONE
    assert rows.number(0.12345, ".2f") == "0.12"
    assert rows.interval(None) == rows.interval({"mean": None, "low": None, "high": None}) == rows.NONE
    assert rows.interval({"mean": 0.5, "low": None, "high": None}, ".1f") == "0.5"
    assert rows.interval({"mean": 0.015, "low": -0.01, "high": 0.02}, "+.1f", 100) == "+1.5 [-1.0, +2.0]"
    assert rows.share({"calls": 0}) == rows.NONE
    assert rows.share({"calls": 4, "value": 0.5, "low": 0.25, "high": 0.75}) == "50.0% [25.0%, 75.0%]"


def test_every_table_is_a_rectangle(cell: dict[str, Any]) -> None:
    tables = [
        *(make(cell) for make in (rows.forecasts, rows.decomposition, rows.skills, rows.ladders, rows.movements)),
        rows.checks(cell),
        rows.informations(cell["presets"]["seed"]["information"], "title"),
    ]
    for table in tables:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.head)}


def test_everybody_is_among_the_forecasts(cell: dict[str, Any]) -> None:
    names = [row[0] for row in rows.forecasts(cell).rows]
    assert names[:4] == [
        "seed: sign of the score",
        "seed: mid corrected by it",
        "corrected: sign of the score",
        "corrected: mid corrected by it",
    ]
    assert names[4] == "mid as a probability"
    assert {"a coin", "last trade > ½", "sign of the seed score", "sign of the mid's move over the window"} <= {*names}
    assert rows.forecasts(cell).rows[4][-1] == "0"


def test_the_ladder_has_a_rung_for_each_latency(cell: dict[str, Any]) -> None:
    assert [row[0] for row in rows.ladders(cell).rows] == ["seed +0 s", "seed +1 s", "corrected +0 s", "corrected +1 s"]


def test_the_heading(cell: dict[str, Any]) -> None:
    share = cell["up_share"]
    assert rows.heading(cell) == f"btc-15m, minute 8: 60 markets, 1 day, Up won {share:.1%}"
