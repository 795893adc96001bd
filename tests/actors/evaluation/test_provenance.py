from __future__ import annotations

from attrs import evolve

from actors.evaluation.dataset import Label, Plan, Status
from actors.evaluation.intervals import DRAWS
from actors.evaluation.metrics import CLIP
from actors.evaluation.provenance import data, protocol
from engine.settings import ScoringSettings
from engine.signals import Components
from tests.actors.evaluation.synthetic import dataset


def test_what_was_fixed_beforehand_is_told():
    told = protocol(dataset(2), tests=17, fee_rate=0.05, seed=3)
    assert (told["configurations"], told["fee_rate"], told["seed"]) == (17, 0.05, 3)
    assert (told["clip"], told["bootstrap_draws"]) == (CLIP, DRAWS)
    assert told["presets"] == ["seed", "corrected"]
    assert any("not a probability" in note for note in told["notes"])


def test_what_the_tapes_hold_is_told():
    told = data(dataset(3))
    assert (told["markets"], told["labelled"], told["excluded"], told["decisions"]) == (3, 3, {}, 6)
    assert told["trades_seen"] is True
    assert told["absent_components"]["seed"] == ["momentum", "whale"]
    assert told["first"] == "2026-09-10T00:00:00+00:00"
    assert told["notes"] == [
        "Preset seed: momentum, whale absent throughout.",
        "Preset corrected: momentum, whale absent throughout.",
    ]


def test_what_is_missing_is_told_plainly():
    made = dataset(2)
    silent = [
        evolve(
            market,
            decisions=tuple(
                evolve(each, trades=0, components=Components(), reached=False) for each in market.decisions
            ),
            label=Label(status=Status.VOID),
            tokens=1,
            problem="torn",
        )
        for market in made.markets
    ]
    told = data(evolve(made, markets=tuple(silent)))
    assert (told["labelled"], told["excluded"], told["not_recorded"], told["one_token"]) == (0, {"void": 2}, 4, 2)
    assert len(told["problems"]) == 2
    notes = " ".join(told["notes"])
    assert "hold no trades" in notes
    assert "one of the two tokens" in notes
    assert "without an official outcome" in notes


def test_no_markets_have_no_dates():
    told = data(evolve(dataset(1), markets=()))
    assert (told["first"], told["last"], told["notes"]) == (None, None, [])


def test_absent_is_only_what_the_preset_takes() -> None:
    made = dataset(3, presets=("corrected-imbalance", "corrected"))
    told = data(made)["absent_components"]
    assert told == {"corrected-imbalance": ["momentum", "whale", "imbalance"], "corrected": ["momentum", "whale"]}
    plugged = evolve(made, plan=Plan(variants=(ScoringSettings(preset="mine"),)), markets=())
    assert data(plugged)["absent_components"] == {"mine": ["momentum", "volume_flow", "whale", "imbalance"]}
