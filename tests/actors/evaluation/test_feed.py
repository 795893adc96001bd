from __future__ import annotations

import pytest
from attrs import evolve

from actors.evaluation.feed import feed_report
from actors.evaluation.metrics import wilson
from engine.attendance import FeedFacts
from tests.actors.evaluation.synthetic import dataset


def test_totals_and_rates():
    made = dataset(3)
    first = FeedFacts(followed_s=900, live_s=450, attempts=5, sessions=3, faults=2, messages=50, malformed=1, dropped=4)
    gap = tuple(evolve(each, gaps=2, silence_s=31.0, trades=0, coverage=0.5) for each in made.markets[0].decisions)
    markets = (evolve(made.markets[0], feed=first, decisions=gap), *made.markets[1:])
    told = feed_report(evolve(made, markets=markets), "seed")
    assert (told["attempts"], told["sessions"], told["faults"], told["messages"]) == (7, 5, 2, 250)
    assert told["errors"] == 2 + 1 + 4
    assert told["errors_per_session"] == 7 / 5
    assert told["faults_per_session"] == 2 / 5
    assert told["errors_per_live_second"] == pytest.approx(7 / 2250)
    assert told["live_share"] == pytest.approx(2250 / 2700)
    assert (told["connection_success"]["value"], told["connection_success"]["low"]) == (5 / 7, wilson(5, 7)[0])
    assert (told["markets_with_gaps"], told["longest_silence_s"]) == (1, 31.0)
    assert (told["windows"], told["windows_without_trades"], told["windows_fully_covered"]) == (3, 1, 2)
    assert told["trades_per_window"]["mean"] == 20


def test_what_the_recording_did_not_reach_counts_for_no_window():
    made = dataset(2)
    torn = tuple(evolve(each, reached=False, gaps=5) for each in made.markets[0].decisions)
    told = feed_report(evolve(made, markets=(evolve(made.markets[0], decisions=torn), made.markets[1])), "seed")
    assert (told["windows"], told["markets_with_gaps"]) == (1, 0)


def test_no_markets_have_no_rates():
    told = feed_report(evolve(dataset(1), markets=()), "seed")
    assert told["connection_success"]["value"] is None
    assert (told["errors_per_session"], told["live_share"], told["longest_silence_s"]) == (None, None, None)
