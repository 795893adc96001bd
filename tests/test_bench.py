"""The benchmark of speed stays alive: it runs, what it compares gives the same scores, and it judges as it says."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.speed import compare, offline, report
from tests.bench.speed.corpus import VENUE, generated
from tests.bench.speed.stored import load, plain, store

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, report.Table]]:
    """What the smallest run writes."""
    path = tmp_path_factory.mktemp("bench") / "new" / "speed.json"
    words = [sys.executable, "tests/bench/speed/speed.py", "--tiny", "--json", str(path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "### Judged" in done.stdout
    return dict(json.loads(path.read_text()))


def test_the_smallest_run_has_every_table_of_what_needs_no_socket(answer: dict[str, dict[str, report.Table]]) -> None:
    assert {"offline", "stages", "growth-bursts", "growth-window", "latency", "pipeline-memory"} <= set(
        answer["tables"]
    )
    for key, table in answer["tables"].items():
        assert set(table) <= {"title", "unit", "base", "rows", "notes"}, key
        assert table["base"] in table["rows"], key
        assert all(len(figures) == 1 and figures[0] > 0 for figures in table["rows"].values()), key


def test_the_rows_that_need_nothing_else_are_all_there(answer: dict[str, dict[str, report.Table]]) -> None:
    table = answer["tables"]["offline"]
    assert list(table["rows"]) == list(offline.ROWS)
    assert set(table["notes"]) == set(offline.PEERS)


@pytest.mark.parametrize("seed", range(3))
def test_the_original_the_reference_and_the_pipeline_agree(seed: int) -> None:
    for corpus in (generated(2, 400, seed=seed), generated(2, 900, seed=seed, mix=VENUE)):
        asked, furthest = offline.disagreement(plain(corpus))
        assert asked >= 10
        assert furthest < 1e-12


def test_a_stored_corpus_is_read_as_it_was(tmp_path: Path) -> None:
    stored = plain(generated(2, 30))
    store(stored, tmp_path / "corpus.json")
    assert load(tmp_path / "corpus.json") == stored


def test_a_ratio_is_taken_within_a_round() -> None:
    table = report.new_table("x", "µs", "a", [{"a": 1.0, "b": 2.0}, {"a": 10.0, "b": 30.0}, {"a": 2.0, "b": 4.0}])
    assert report.ratio(table, "b", "a") == report.Ratio(2.0, 2.0, 3.0)
    assert report.ratio(table, "b", None) == report.Ratio(4.0, 2.0, 30.0)
    assert report.ratio(table, "c", "a") is None


def test_a_row_without_all_its_figures_is_left_out() -> None:
    table = report.new_table("x", "µs", "a", [{"a": 1.0, "b": None}, {"a": 1.0, "b": None}])
    assert table["rows"] == {"a": [1.0, 1.0]}


def test_what_was_not_measured_is_neither_held_nor_broken() -> None:
    tables = {"t": report.new_table("x", "µs", "a", [{"a": 2.0, "b": 3.0}])}
    criteria = [
        report.Criterion("holds", "t", "a", "b", 0.7),
        report.Criterion("broken", "t", "b", None, 2.9),
        report.Criterion("no row", "t", "c", None, 1.0),
        report.Criterion("no table", "u", "a", None, 1.0),
    ]
    assert [it.passed for it in report.judged(tables, criteria)] == [True, False, None, None]
    assert "BROKEN" in report.verdicts(report.judged(tables, criteria))


def test_a_plot_shows_the_tables_that_are_there(tmp_path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    tables = {"t": report.new_table("x", "µs", "a", [{"a": 2.0, "our b": 3.0}, {"a": 1.0, "our b": 3.0}])}
    assert report.draw(tables, ["t", "u"], tmp_path / "plot.svg", about="here")
    assert "our b" in (tmp_path / "plot.svg").read_text()
    assert not report.draw(tables, ["u"], tmp_path / "none.svg", about="here")


@pytest.mark.parametrize(
    ("control", "row", "is_slower"),
    [
        ([1.0, 1.01, 0.99], [1.2, 1.18, 1.22], True),
        ([1.0, 1.01, 0.99], [1.03, 1.04, 1.02], False),
        ([1.0, 1.3, 1.2], [1.2, 1.18, 1.22], False),
        ([1.0, 1.01, 0.99], [0.8, 1.2, 1.3], False),
        ([1.0, 1.01, 0.99], [0.5, 0.5, 0.5], False),
    ],
    ids=["slower", "within the threshold", "the machine was", "not always", "faster"],
)
def test_slower_is_what_is_above_the_threshold_and_clear_of_noise(
    control: list[float], row: list[float], is_slower: bool
) -> None:
    pairs = {compare.CONTROL: [(1.0, it) for it in control], "ours": [(1.0, it) for it in row]}
    assert compare.slower(pairs, 0.05) == (["ours"] if is_slower else [])
    assert ("SLOWER" in compare.described(pairs, compare.slower(pairs, 0.05))) is is_slower


def test_a_commit_that_git_does_not_know_is_refused(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    with pytest.raises(SystemExit, match="git cannot give"):
        compare.checked_out("no-such-commit", tmp_path)
