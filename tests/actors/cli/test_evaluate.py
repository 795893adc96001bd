"""``updown evaluate``: the verdict first, files, gates and exit codes."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.captures import find_captures
from actors.cli import main
from actors.simulate import Design
from actors.simulate.tapes import write_tapes
from actors.tapes import import_capture
from tests.actors.evaluation.test_dataset import write_captures

WORDS = ["--at", "1,4", "--latency", "0,2", "--jobs", "1"]


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tapes")
    write_tapes(Design(series="btc-5m", trades_per_minute=6.0), 8, folder)
    return str(folder)


def test_the_verdict_is_said_first(tapes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", tapes, *WORDS]) == 0
    out = capsys.readouterr().out
    assert out.startswith("btc-5m, seed: undetermined\n  too few markets or days; needs about ")
    assert out.count("incremental skill: undetermined") == 4
    assert "8 markets, 8 with an official outcome; from 2026-01-01T00:00 to 2026-01-01T00:35 UTC" in out
    assert "btc-5m, minute 4: 8 markets, 1 day" in out
    assert "no trades" not in out


def test_page_and_json_are_written(tapes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, told = tmp_path / "report.html", tmp_path / "report.json"
    words = ["evaluate", tapes, *WORDS, "--preset", "corrected", "--html", str(page), "--json", str(told)]
    assert main([*words, "--fee-rate", "0.02", "-o", "json", "--require", "accuracy>=0 @4"]) == 0
    report = json.loads(told.read_text())
    assert json.loads(capsys.readouterr().out) == report
    assert (report["protocol"]["presets"], report["protocol"]["fee_rate"]) == (["corrected"], 0.02)
    assert report["protocol"]["latencies_s"] == [0.0, 2.0]
    assert [(gate["minute"], gate["met"]) for gate in report["gates"]] == [(4.0, True)]
    assert "btc-5m, corrected: incremental skill undetermined" in page.read_text()


def test_a_gate_that_is_not_met_fails(tapes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", tapes, *WORDS, "--require", "accuracy>1 @4 seed", "--require", "markets>=8"]) == 1
    out = capsys.readouterr().out
    assert "NOT MET accuracy>1 @4 seed: " in out
    assert out.count("met     markets>=8: 8 (btc-5m, minute ") == 4


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--require", "beauty>1"], "unknown metric 'beauty'"),
        (["--require", "accuracy>=0.5 @8"], "no minute 8 in this report"),
        (["--preset", "seed,seed"], "each once"),
        (["--preset", "mine"], "unknown preset 'mine'"),
        (["--at", "-1"], "not numbers of 0 or more"),
        (["--latency", ","], "not numbers of 0 or more"),
        (["--fee-rate", "7"], "not a rate"),
    ],
)
def test_what_makes_no_sense_is_bad_usage(
    words: list[str], complaint: str, tapes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", tapes, *WORDS, *words]) == 2
    assert complaint in capsys.readouterr().err


def test_files_are_written_even_if_a_gate_is_about_nothing(tapes: str, tmp_path: Path) -> None:
    told = tmp_path / "report.json"
    assert main(["evaluate", tapes, *WORDS, "--json", str(told), "--require", "accuracy>=0.5 @8"]) == 2
    assert "gates" not in json.loads(told.read_text())


def test_captures_without_trades_are_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_captures(tmp_path, 2)
    assert main(["evaluate", str(tmp_path), "--at", "1", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "These tapes hold no trades" in out
    assert "Preset corrected: volume_flow, whale absent throughout." in out


def test_nothing_there_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path / "nowhere")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


PROGRAM = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == sys.argv[1] else real(name, package)
from actors.cli import main
sys.exit(main(["evaluate", *sys.argv[2:]]))
"""


@pytest.mark.parametrize(("library", "words"), [("scipy", ["x"]), ("matplotlib", ["x", "--html", "y"])])
def test_a_missing_library_names_the_extra(library: str, words: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, library, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert f"{library} not installed" in result.stderr
    assert "pip install 'updown[evaluate]'" in result.stderr


# ------------------------------------------------------------------------------------------------------- real captures


@pytest.fixture(scope="module")
def imported(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command makes of the recorded markets, imported into tapes: a report and a page."""
    folder = tmp_path_factory.mktemp("imported")
    for capture in find_captures(captures):
        import_capture(capture, folder / "tapes")
    page, told = folder / "report.html", folder / "report.json"
    assert main(["evaluate", str(folder / "tapes"), "--html", str(page), "--json", str(told)]) == 0
    return folder


@pytest.fixture
def recorded(imported: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((imported / "report.json").read_text())
    return told


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
        "seed": ["momentum", "volume_flow", "whale"],
        "corrected": ["volume_flow", "whale"],
    }
    assert {each["answer"] for each in told["verdicts"]} == {"undetermined"}
    assert told["feed"]["connection_success"]["value"] == 1.0


@pytest.mark.slow
def test_the_page_on_real_markets_says_it_too(imported: Path) -> None:
    page = (imported / "report.html").read_text()
    assert "These tapes hold no trades" in page
    assert "Preset seed: momentum, volume_flow, whale absent throughout." in page
