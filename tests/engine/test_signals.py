"""What comes out: the closed vocabulary and the bounds that no signal may leave."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
from itertools import product
from math import nextafter
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from engine.botrecord import BotRecord, neutral_record, utc_time
from engine.markets import MarketPhase
from engine.signals import (
    MAX_OUTSIDE_WEIGHT,
    REFUSALS,
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


# --------------------------------------------------------------------------------------------- the record of 13 fields

FULL = evolve(
    SIGNAL,
    as_of_ns=1_772_368_205_000_000_000,
    score=0.4,
    confidence=0.8,
    signal_type=SignalType.STRONG_BULLISH,
    components=Components(momentum=0.2, volume_flow=0.25, whale=-0.5, imbalance=0.5),
    window=WindowProof(start_ns=0, end_ns=1, coverage=1.0, trades=60, whales=3),
)


def test_a_signal_fills_the_13_fields() -> None:
    assert asdict(FULL.to_market_signals()) == {
        "score": 0.4,
        "confidence": 0.8,
        "order_book_score": 0.5,
        "whale_score": -0.5,
        "volume_score": 0.25,
        "momentum_score": 0.2,
        "order_book_bias": "BID_HEAVY",
        "whale_direction": "SELLING",
        "whale_count": 3,
        "volume_ratio": 1.0,
        "momentum_direction": "UP",
        "signal_type": "STRONG_BULLISH",
        "timestamp": datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC),
    }
    assert type(FULL.to_market_signals().signal_type) is str


def test_absent_components_count_as_zero_there() -> None:
    record = evolve(FULL, components=Components()).to_market_signals()
    scores = (record.order_book_score, record.whale_score, record.volume_score, record.momentum_score)
    assert scores == (0.0, 0.0, 0.0, 0.0)
    assert (record.whale_direction, record.momentum_direction) == ("NEUTRAL", "FLAT")
    assert record.whale_count == 3


@pytest.mark.parametrize(
    ("imbalance", "bias"),
    [
        (None, "N/A"),
        (0.0, "BALANCED"),
        (0.3, "BALANCED"),
        (-0.3, "BALANCED"),
        (nextafter(0.3, 1), "BID_HEAVY"),
        (nextafter(-0.3, -1), "ASK_HEAVY"),
    ],
)
def test_a_balanced_book_and_none_are_told_apart(imbalance: float | None, bias: str) -> None:
    record = evolve(FULL, components=Components(imbalance=imbalance)).to_market_signals()
    assert (record.order_book_score, record.order_book_bias) == (imbalance or 0.0, bias)


@pytest.mark.parametrize(
    ("whale", "direction"),
    [
        (0.3, "NEUTRAL"),
        (-0.3, "NEUTRAL"),
        (nextafter(0.3, 1), "BUYING"),
        (nextafter(-0.3, -1), "SELLING"),
    ],
)
def test_whales_point_somewhere_beyond_their_band(whale: float, direction: str) -> None:
    record = evolve(FULL, components=Components(whale=whale)).to_market_signals()
    assert (record.whale_score, record.whale_direction) == (whale, direction)


@pytest.mark.parametrize(
    ("momentum", "direction"),
    [(0.1, "FLAT"), (-0.1, "FLAT"), (nextafter(0.1, 1), "UP"), (nextafter(-0.1, -1), "DOWN")],
)
def test_momentum_points_somewhere_beyond_its_band(momentum: float, direction: str) -> None:
    record = evolve(FULL, components=Components(momentum=momentum)).to_market_signals()
    assert (record.momentum_score, record.momentum_direction) == (momentum, direction)


@pytest.mark.parametrize("refusal", [SignalType.MARKET_CLOSED, SignalType.MARKET_UNAVAILABLE])
def test_a_refusal_is_neutral_whatever_the_window_held(refusal: SignalType) -> None:
    signal = evolve(FULL, signal_type=refusal, reason="closed")
    assert signal.to_market_signals() == neutral_record(refusal.value, utc_time(signal.as_of_ns))
    assert (signal.whale_count, signal.whale_direction, signal.order_book_bias) == (0, "UNAVAILABLE", "UNAVAILABLE")
    signal.validate()


def test_refusals_are_the_two_verdicts_about_the_market() -> None:
    assert {word for word in SignalType if word.startswith("MARKET_")} == REFUSALS


def components() -> st.SearchStrategy[Components]:
    part = st.none() | st.floats(-1, 1)
    return st.builds(Components, momentum=part, volume_flow=part, whale=part, imbalance=part)


@st.composite
def signals(draw: st.DrawFn) -> MarketSignals:
    refused = draw(st.none() | st.sampled_from(sorted(REFUSALS)))
    return evolve(
        SIGNAL,
        as_of_ns=draw(st.integers(0, 2**63 - 1)),
        score=0.0 if refused else draw(st.floats(-1, 1)),
        confidence=0.0 if refused else draw(st.floats(0, 1)),
        signal_type=refused or draw(st.sampled_from(sorted(set(SignalType) - REFUSALS))),
        components=draw(components()),
        window=WindowProof(start_ns=0, end_ns=1, coverage=0.5, whales=draw(st.integers(0, 10**6))),
    )


@given(signals())
def test_a_signal_is_read_like_its_record(signal: MarketSignals) -> None:
    record = signal.to_market_signals()
    assert {field.name: getattr(signal, field.name) for field in fields(BotRecord)} == asdict(record)
    record.validate()
    signal.validate()
    assert record.timestamp == utc_time(signal.as_of_ns)


def test_a_signal_whose_record_is_out_of_range_is_refused() -> None:
    broken = evolve(FULL, window=WindowProof(start_ns=0, end_ns=1, coverage=1.0, whales=-1))
    with pytest.raises(ValueError, match=r"^whale_count is not a whole number from 0: -1$"):
        broken.validate()


def test_the_fields_of_the_record_are_read_only() -> None:
    with pytest.raises(FrozenInstanceError):
        FULL.whale_count = 4  # type: ignore[misc]
