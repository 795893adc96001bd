from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from actors.evaluation.dataset import Label
from actors.evaluation.panel import panel_of, panels
from engine.decisions import Aftermath, Top
from engine.markets import Outcome
from engine.signals import Components
from tests.actors.evaluation.synthetic import dataset
from tests.engine.study_bench import decision


def test_one_panel_per_series_and_time():
    found = panels(dataset(5, at_s=(120, 480)), "corrected")
    assert [*found] == [("btc-15m", 120.0), ("btc-15m", 480.0)]
    assert [(len(panel), panel.preset, panel.days, panel.duration_s) for panel in found.values()] == [
        (5, "corrected", 1, 900.0)
    ] * 2
    assert panels(dataset(5), "unheard-of") == {}


def test_markets_without_an_outcome_and_decisions_without_a_recording_are_left_out():
    made = dataset(4)
    first, second, *rest = made.markets
    unlabelled = evolve(first, label=Label(status="void"))  # type: ignore[arg-type]
    torn = evolve(second, decisions=tuple(evolve(each, reached=False) for each in second.decisions))
    (panel,) = panels(evolve(made, markets=(unlabelled, torn, *rest)), "seed").values()
    assert panel.keys == tuple(market.key for market in rest)


def test_rows_are_in_order_of_time():
    made = dataset(6)
    (panel,) = panels(evolve(made, markets=made.markets[::-1]), "seed").values()
    assert (np.diff(panel.as_of_ns) > 0).all()
    assert panel.up.tolist() == [float(market.label.outcome is Outcome.UP) for market in made.markets]


def test_absent_is_not_a_number():
    silent = evolve(
        decision(),
        score=0.0,
        components=Components(),
        mid=None,
        last_trade=None,
        end_ns=None,
        after=Aftermath(tops=(Top(ask=0.4, ask_shares=7.0), None), values=(0.5, None, None, None)),
    )
    panel = panel_of("btc-5m", 120.0, "seed", [(silent, Outcome.DOWN)])
    assert np.isnan([panel.score[0], panel.mid[0], panel.last_trade[0], panel.mid_move[0], panel.duration_s]).all()
    assert panel.up.tolist() == [0.0]
    assert panel.asks[0] == pytest.approx([0.4, np.nan], nan_ok=True)
    assert panel.bids[0] == pytest.approx([np.nan, np.nan], nan_ok=True)
    assert panel.ask_shares[0] == pytest.approx([7.0, np.nan], nan_ok=True)
    assert panel.ahead[0] == pytest.approx([0.5, np.nan, np.nan, np.nan], nan_ok=True)
    assert panel.end_ns[0] > panel.as_of_ns[0] + 10**18  # an unknown end never comes
