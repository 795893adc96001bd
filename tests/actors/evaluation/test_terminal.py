from __future__ import annotations

from attrs import evolve

from actors.evaluation.dataset import Label, Status
from actors.evaluation.report import report
from actors.evaluation.rows import NO_MARKETS, Table
from actors.evaluation.terminal import columns, terminal
from tests.actors.evaluation.synthetic import dataset


def test_the_verdict_comes_first():
    told = report(dataset(40))
    text = terminal(told)
    assert text.startswith("btc-15m, seed: undetermined\n")
    assert told["verdicts"][0]["lines"][0] in text.split("\n\n")[0]
    assert "40 markets, 40 with an official outcome; from 2026-09-10T00:00 to" in text
    assert "btc-15m, minute 8: 40 markets, 1 day, Up won" in text
    assert "the sign of a fair price is right 76.1% of the time by now" in text
    assert "Preset seed: momentum, whale absent throughout." in text


def test_nothing_to_judge_by_is_said_first():
    made = dataset(3)
    void = tuple(evolve(market, label=Label(status=Status.VOID), problem="torn") for market in made.markets)
    text = terminal(report(evolve(made, markets=void)))
    assert text.startswith(NO_MARKETS)
    assert "3 markets, 0 with an official outcome, 3 void" in text
    assert "3 tapes are not whole, the first: btc-updown-15m-" in text


def test_numbers_are_flush_right():
    table = Table(title="", head=("who", "n"), rows=(("me", "1"), ("somebody", "200")))
    assert columns(table) == "who         n\nme          1\nsomebody  200"
