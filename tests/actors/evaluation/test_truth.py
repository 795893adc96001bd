"""What the verdict makes of markets whose truth is known: no *yes* where nothing is, but where enough is planted."""

from __future__ import annotations

import pytest

from actors.evaluation.moves import information
from actors.evaluation.panel import panels
from actors.evaluation.report import report
from actors.simulate import Design, Habit
from tests.actors.evaluation.simulated import dataset

ENOUGH = 2_200
"""Markets after which *yes* is possible: 2,000 held out behind the first of 22 days."""


@pytest.mark.slow
@pytest.mark.parametrize("design", [Design(seed=0), Design(seed=1, habit=Habit.USD)])
def test_where_nothing_is_known_it_is_never_yes(design: Design) -> None:
    told = report(dataset(design, ENOUGH))
    answers = [each["answer"] for each in told["verdicts"]]
    answers += [line["verdict"]["answer"] for cell in told["cells"] for line in cell["presets"].values()]
    assert len(answers) == 2 + 2 * 5
    assert "yes" not in answers
    enough = [line["verdict"]["checks"]["enough_data"] for cell in told["cells"] for line in cell["presets"].values()]
    assert all(enough)


@pytest.mark.slow
def test_the_share_that_the_protocol_names_is_found() -> None:
    # Not a lucky seed: of the first twenty few have less to be seen.
    told = report(dataset(Design(seed=0, rho=0.1), 2_000))
    answers = {each["preset"]: each["answer"] for each in told["verdicts"]}
    assert answers["corrected"] == "yes"
    assert "volume_flow" in told["verdicts"][1]["because"]


@pytest.mark.slow
def test_more_planted_is_more_found() -> None:
    found = []
    for rho in (0.0, 0.05, 0.1, 0.2):
        of_all = panels(dataset(Design(seed=3, rho=rho), 1_500, at_s=(300, 480, 660)), "corrected")
        found.append(information(list(of_all.values()), "volume_flow").test.statistic)
    assert found == sorted(found)
    assert abs(found[0]) < 3
    assert found[-1] > 5
