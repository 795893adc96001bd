"""What comes out: the closed vocabulary and the bounds that no signal may leave."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from engine.markets import MarketPhase
from engine.signals import (
    MAX_OUTSIDE_WEIGHT,
    AggregateSignal,
    Components,
    MarketSignals,
    OutsideScore,
    PresetStamp,
    Quality,
    Quote,
    SignalType,
    WindowProof,
)

NAN, INFINITY = float("nan"), float("inf")

SIGNAL = MarketSignals(
    as_of_ns=1,
    target="btc-updown-15m-1",
    underlying="BTC",
    series="btc-15m",
    slug="btc-updown-15m-1",
    condition_id="0x" + "ab" * 32,
    yes_asset_id="1111",
    no_asset_id="2222",
    phase=MarketPhase.OPEN,
    score=0.0,
    confidence=0.0,
    confidence_seed=0.0,
    signal_type=SignalType.WEAK_NEUTRAL,
    reason=None,
    components=Components(),
    window=WindowProof(start_ns=0, end_ns=1, coverage=0.0),
    quality=Quality(),
    market=Quote(),
    preset=PresetStamp(name="seed", version="1", config_hash="00"),
)


def test_the_vocabulary_is_closed_and_spelled_as_it_is_named() -> None:
    composed = {
        prefix + strength + direction
        for prefix, strength, direction in product(
            ("", "LOW_LIQUIDITY_"), ("STRONG_", "WEAK_", "CONFLICTED_"), ("BULLISH", "BEARISH", "NEUTRAL")
        )
    }
    assert {word.value for word in SignalType} == composed | {"MARKET_CLOSED", "MARKET_UNAVAILABLE"}
    assert len(SignalType) == 20
    assert all(word.name == word.value == str(word) for word in SignalType)


@pytest.mark.parametrize(
    ("name", "lowest"),
    [("score", -1.0), ("confidence", 0.0), ("confidence_seed", 0.0)],
)
def test_a_signal_keeps_its_bounds(name: str, lowest: float) -> None:
    changes: list[dict[str, Any]] = [{name: value} for value in (lowest, 0.0, 1.0)]
    assert [getattr(evolve(SIGNAL, **change), name) for change in changes] == [lowest, 0.0, 1.0]
    refused: list[dict[str, Any]] = [{name: value} for value in (lowest - 1e-12, 1.0 + 1e-12, NAN, INFINITY, -INFINITY)]
    for change in refused:
        with pytest.raises(ValueError):
            evolve(SIGNAL, **change)


@pytest.mark.parametrize(
    ("components", "present"),
    [
        (Components(), ()),
        (Components(momentum=0.0), ("momentum",)),
        (Components(imbalance=0.1, whale=-1.0), ("whale", "imbalance")),
        (
            Components(momentum=0.0, volume_flow=0.0, whale=0.0, imbalance=0.0),
            ("momentum", "volume_flow", "whale", "imbalance"),
        ),
    ],
)
def test_zero_is_present_and_none_is_not(components: Components, present: tuple[str, ...]) -> None:
    assert evolve(SIGNAL, components=components).components_present == present


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 1.01},
        {"score": NAN},
        {"confidence": -0.01},
        {"confidence": NAN},
        {"weight": -0.01},
        {"weight": NAN},
        {"weight": INFINITY},
        {"weight": 2 * MAX_OUTSIDE_WEIGHT},
    ],
)
def test_an_outside_score_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        evolve(OutsideScore(name="mood", score=0.5), **changes)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, MAX_OUTSIDE_WEIGHT), st.integers(min_value=0))
def test_an_outside_score_in_range_is_kept_as_it_is(score: float, confidence: float, weight: float, at_ns: int) -> None:
    outside = OutsideScore(name="mood", score=score, confidence=confidence, weight=weight, at_ns=at_ns)
    assert (outside.score, outside.confidence, outside.weight, outside.at_ns) == (score, confidence, weight, at_ns)


def test_signals_are_values() -> None:
    assert evolve(SIGNAL) == SIGNAL
    assert evolve(SIGNAL, as_of_ns=2) != SIGNAL
    with pytest.raises(FrozenInstanceError):
        SIGNAL.score = 1.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        object.__setattr__(SIGNAL, "extra", 1)


def test_an_aggregate_may_have_nothing_to_say() -> None:
    silent = AggregateSignal(
        as_of_ns=1,
        underlying="BTC",
        score=None,
        confidence=0.0,
        agreement=None,
        fused_score=None,
        fused_confidence=0.0,
        markets_open=0,
        markets_scored=0,
        contributions=(),
    )
    assert (silent.outside, silent.missing) == ((), ())
    assert silent.score != 0.0
