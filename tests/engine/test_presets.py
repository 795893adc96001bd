import json
from typing import Any, cast

import pytest
from attrs import asdict

from engine.errors import PresetError
from engine.presets import PRESETS, Preset, choose_preset
from engine.settings import ScoringSettings


def test_seed_has_the_original_weights() -> None:
    assert dict(PRESETS["seed"].weights) == {"momentum": 0.40, "volume_flow": 0.35, "whale": 0.25}


def test_seed_2_has_the_later_weights_and_the_same_formulas() -> None:
    assert dict(PRESETS["seed-2"].weights) == {"momentum": 0.20, "volume_flow": 0.50, "whale": 0.30}
    assert PRESETS["seed-2"].scorer == PRESETS["seed"].scorer == "seed"


def test_imbalance_is_off_unless_asked_for() -> None:
    assert "imbalance" not in PRESETS["corrected"].weights
    assert dict(PRESETS["corrected-imbalance"].weights) == {
        "momentum": 0.36,
        "volume_flow": 0.315,
        "whale": 0.225,
        "imbalance": 0.10,
    }


@pytest.mark.parametrize("preset", PRESETS.values(), ids=str)
def test_weights_sum_to_one(preset: Preset) -> None:
    assert sum(preset.weights.values()) == pytest.approx(1.0, abs=1e-15)


def test_presets_are_found_by_their_own_name() -> None:
    assert set(PRESETS) == {"seed", "seed-2", "corrected", "corrected-imbalance"}
    assert all(name == preset.name for name, preset in PRESETS.items())


def test_a_preset_is_a_value() -> None:
    weights = {"momentum": 1.0}
    preset = Preset(name="mine", version="1", scorer="seed", weights=weights)
    weights["momentum"] = 0.5
    assert preset.weights["momentum"] == 1.0
    with pytest.raises(TypeError):
        cast("dict[str, float]", preset.weights)["momentum"] = 0.5
    with pytest.raises(TypeError):
        cast("dict[str, Any]", PRESETS)["seed"] = preset


def test_a_preset_can_be_hashed_as_json() -> None:
    text = json.dumps(asdict(PRESETS["seed"]), sort_keys=True, default=dict)
    assert json.loads(text)["weights"]["whale"] == 0.25


@pytest.mark.parametrize("field", ["name", "version", "scorer"])
def test_names_are_not_empty(field: str) -> None:
    values: dict[str, Any] = {"name": "mine", "version": "1", "scorer": "seed", "weights": {}}
    with pytest.raises(ValueError, match=field):
        Preset(**values | {field: ""})


# ------------------------------------------------------------------------------------------------------------- choosing


@pytest.mark.parametrize("name", PRESETS)
def test_settings_choose_by_name(name: str) -> None:
    assert choose_preset(ScoringSettings(preset=name)) == PRESETS[name]


def test_settings_replace_single_weights_and_options() -> None:
    scoring = ScoringSettings(preset="corrected", weights={"whale": 0.0}, options={"lambda_flow": 2.0})
    preset = choose_preset(scoring)
    assert preset.name == "corrected"
    assert dict(preset.weights) == {"momentum": 0.40, "volume_flow": 0.35, "whale": 0.0}
    assert dict(preset.options) == {"lambda_flow": 2.0}
    assert dict(PRESETS["corrected"].options) == {}


def test_a_plug_in_is_its_own_preset() -> None:
    preset = choose_preset(ScoringSettings(preset="mine", options={"depth": 3.0}), plugins=["mine"])
    assert (preset.scorer, dict(preset.weights), dict(preset.options)) == ("mine", {}, {"depth": 3.0})


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(PresetError, match=r"unknown preset 'magic' \(known: seed, seed-2, .*, mine\)$"):
        choose_preset(ScoringSettings(preset="magic"), plugins=["mine"])
