from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as Tree

import pytest

from actors.evaluation import plots
from actors.evaluation.conviction import LEVELS
from actors.evaluation.drawing import Drawing
from actors.evaluation.report import report
from tests.actors.evaluation.synthetic import dataset

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = report(dataset(80, at_s=(120, 480)))["cells"]
    return told


def drawn(cells: list[dict[str, Any]]) -> list[Drawing]:
    return [
        plots.accuracy_by_minute("a", cells),
        plots.skill_by_minute("b", cells),
        plots.calibration("c", cells[0]),
        plots.latency_ladder("d", cells[0]),
        plots.confidences("e", cells[0], LEVELS),
        plots.deciles("f", cells[0]),
    ]


def test_every_drawing_has_words_and_ids_of_its_own(cells: list[dict[str, Any]]) -> None:
    for drawing in drawn(cells):
        root = Tree.fromstring(drawing.svg)
        assert root.tag == f"{SVG}svg"
        assert (root.get("role"), root.get("aria-label")) == ("img", f"{drawing.title}. {drawing.told}")
        assert (root[0].text, root[1].text) == (drawing.title, drawing.told)
        ids = [found for each in root.iter() if (found := each.get("id"))]
        assert ids
        assert all(found.startswith(f"{drawing.name}-") for found in ids)
        used = re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", drawing.svg)
        assert {one or other for one, other in used} <= {*ids}


def test_texts_are_texts(cells: list[dict[str, Any]]) -> None:
    root = Tree.fromstring(plots.accuracy_by_minute("a", cells).svg)
    texts = {"".join(each.itertext()).strip() for each in root.iter(f"{SVG}text")}
    assert {"minute", "right, %", "arcsine law", "price > ½", "seed", "corrected"} <= texts


def test_the_words_have_the_figures(cells: list[dict[str, Any]]) -> None:
    (price,) = [card["accuracy"]["value"] for card in cells[1]["baselines"] if card["name"] == "price"]
    assert f"minute 8: price {price:.1%}" in plots.accuracy_by_minute("a", cells).told
    delta = cells[0]["presets"]["seed"]["skill"]["against_mid"]["delta"]["mean"]
    assert f"minute 2: seed {delta:+.4f}" in plots.skill_by_minute("b", cells).told


@pytest.mark.untraced
def test_equal_reports_give_equal_drawings(cells: list[dict[str, Any]]) -> None:
    assert drawn(cells) == drawn(cells)


def test_what_was_not_measured_is_not_drawn() -> None:
    (cell,) = report(dataset(2))["cells"]
    assert "unknown" in plots.skill_by_minute("b", [cell]).told
    assert all("nan" not in drawing.svg.lower() for drawing in drawn([cell]))
