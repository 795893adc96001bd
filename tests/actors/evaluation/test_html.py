from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from attrs import evolve

from actors.evaluation.dataset import Label, Status
from actors.evaluation.html import page
from actors.evaluation.report import report
from actors.evaluation.rows import NO_MARKETS
from tests.actors.evaluation.synthetic import dataset

VOID = {"meta", "br", "use", "path"}


class Outline(HTMLParser):
    """What is open, what was seen, and whether tags match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return report(dataset(60, at_s=(120, 480)))


def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    assert parser.open == []
    return parser


def test_the_page_is_whole_and_alone(told: dict[str, Any]) -> None:
    text = page(told)
    found = outline(text)
    assert text.startswith("<!doctype html>")
    assert len(found.ids) == len({*found.ids})
    assert not {"script", "link", "img", "iframe"} & {*found.tags}
    assert not re.search(r"(?:src|href)=\"(?!#)|@import|url\((?!#)", text)
    assert 'name="viewport" content="width=device-width' in text
    assert "@media print" in text
    assert "color-scheme: light" in text


def test_verdict_first_then_every_decision_time(told: dict[str, Any]) -> None:
    text = page(told)
    assert text.index("btc-15m, seed: incremental skill undetermined") < text.index("What the tapes hold")
    for line in told["verdicts"][0]["lines"]:
        assert line.replace(">", "&gt;") in text
    assert [f'<section id="cell-{index}">' in text for index in range(3)] == [True, True, False]
    assert text.count('<svg viewBox="') == text.count('role="img" aria-label="') == 2 + 2 * 4
    assert text.count("<figure>") == text.count("<figcaption>") == 10
    assert "An accuracy above 55% is trivial" in text
    assert "minute 8: accuracy" not in text.lower()


def test_links_lead_somewhere(told: dict[str, Any]) -> None:
    text = page(told)
    found = outline(text)
    assert {*re.findall(r'<a href="#([^"]+)"', text)} <= {*found.ids}


def test_what_is_missing_is_said_and_nothing_is_markup() -> None:
    made = dataset(3)
    bad = tuple(evolve(market, label=Label(status=Status.AMBIGUOUS), problem="<b>torn</b>") for market in made.markets)
    text = page(report(evolve(made, markets=bad)))
    outline(text)
    assert NO_MARKETS in text
    assert "3 ambiguous" in text
    assert "&lt;b&gt;torn&lt;/b&gt;" in text


def test_gates_are_told(told: dict[str, Any]) -> None:
    gate = {"gate": "accuracy>=0.55 @8", "series": "btc-15m", "minute": 8.0, "preset": "seed", "value": None}
    text = page({**told, "gates": [{**gate, "met": False}]})
    assert "accuracy&gt;=0.55 @8" in text
    assert "NOT MET" in text
