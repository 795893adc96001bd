"""``updown simulate``: tapes of markets whose truth is known, and what scores are worth there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.cli import main
from actors.simulate import Design, market_number
from actors.tapes import examine, find_tapes


def test_it_writes_tapes_with_their_outcomes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "--markets", "2", "--series", "btc-5m", "--seed", "3", "--rho", "0.1", "--jobs", "1"]
    assert main([*words, str(tmp_path / "tapes")]) == 0
    assert "2 markets of btc-5m" in capsys.readouterr().out
    tapes = find_tapes([tmp_path / "tapes"])
    made = [market_number(Design(seed=3, series="btc-5m", rho=0.1), number) for number in range(2)]
    assert [(tape.key, tape.outcome) for tape in tapes] == [(each.slot.slug, each.outcome) for each in made]
    assert all(tape.label is not None and examine(tape).intact for tape in tapes)
    assert main([*words, str(tmp_path / "tapes"), "-o", "json"]) == 1
    assert "holds tapes already" in json.loads(capsys.readouterr().err)["message"]


def test_it_says_what_it_did_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tapes"
    assert main(["simulate", "--markets", "1", "--series", "btc-5m", "--jobs", "1", str(folder), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(folder),
        "markets": 1,
        "series": "btc-5m",
        "rho": 0.0,
        "habit": "shares",
        "seed": 7,
    }


def test_the_features_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--features", "--markets", "50"]) == 0
    out = capsys.readouterr().out
    assert "in theory               0.619     0.718     0.804      0.917" in out
    assert out.count("signed order count") == 2
    assert main(["simulate", "--features", "--markets", "50", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [moment["at_s"] for moment in told["moments"]] == [120, 360, 600, 840]
    assert told["moments"][0]["scores"]["price > 0.5"]["calls"] <= 50


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "name a FOLDER for the tapes, or --features"),
        (["--features", "folder"], "one of them"),
        (["--features", "--rho", "2"], "rho"),
        (["--features", "--series", "btc-1h"], "btc-1h"),
        (["--markets", "0", "folder"], "above 0"),
        (["--habit", "gold", "folder"], "gold"),
    ],
)
def test_what_makes_no_sense_is_bad_usage(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *words]) == 2
    assert complaint in capsys.readouterr().err
