"""What ``docs/evaluation.md`` says is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from actors.cli import main
from actors.evaluation.gates import METRICS
from actors.evaluation.theory import DAY_S, days_of, markets_for_mean, markets_for_share, sign_accuracy
from actors.evaluation.verdict import DAYS_NEEDED, MARKETS_NEEDED, RELEVANT

PAGE = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("title", "unit_s", "duration_s"), [("minute of 15", 60, 900), ("second of 300", 1, 300)])
def test_the_arcsine_tables(title: str, unit_s: int, duration_s: int) -> None:
    found = re.search(rf"^\| {title} \|(.*)\|\n.*\n\| right, % \|(.*)\|$", PAGE, re.MULTILINE)
    assert found is not None
    at, right = ([float(cell) for cell in row.split("|")] for row in found.groups())
    assert right == [round(100 * sign_accuracy(each * unit_s, duration_s), 1) for each in at]


def test_the_figures_of_the_text() -> None:
    assert sign_accuracy(22, 900) == pytest.approx(0.55, abs=0.0005)
    assert round(days_of(markets_for_share(0.55, 0.5), 900)) == 8
    assert round(days_of(markets_for_share(0.64, 0.619), 900)) == 43
    assert 48 <= days_of(markets_for_mean(RELEVANT, 0.05), 900) <= 52
    assert DAY_S / 900 == 96
    assert f"at least {MARKETS_NEEDED:,} markets held out and {DAYS_NEEDED} days" in PAGE


def test_every_metric_of_a_gate_is_told() -> None:
    table = PAGE.partition("| metric | |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(METRICS)


def test_every_option_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    [block] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for command in re.split(r"\n|&&", block):
        words = shlex.split(command, comments=True)
        if words[:1] != ["updown"]:
            continue
        with pytest.raises(SystemExit):
            main([words[1], "--help"])
        help_text = capsys.readouterr().out
        assert all(word in help_text for word in words if word.startswith("--"))
