from math import inf, nan, nextafter

import pytest

from engine.signals import SignalType
from engine.verdict import classify

ABOVE = nextafter(0.1, 1)
BELOW = nextafter(-0.1, -1)


@pytest.mark.parametrize(
    ("score", "direction"),
    [
        (1.0, "BULLISH"),
        (ABOVE, "BULLISH"),
        (0.1, "NEUTRAL"),
        (0.0, "NEUTRAL"),
        (-0.0, "NEUTRAL"),
        (-0.1, "NEUTRAL"),
        (BELOW, "BEARISH"),
        (-1.0, "BEARISH"),
    ],
)
def test_direction(score: float, direction: str) -> None:
    assert classify(score, 0.6, 10, None, None) == f"WEAK_{direction}"


@pytest.mark.parametrize(
    ("confidence", "momentum", "flow", "strength"),
    [
        (1.0, 0.5, -0.5, "STRONG"),
        (0.7, 0.5, -0.5, "STRONG"),
        (nextafter(0.7, 0), 0.5, -0.5, "WEAK"),
        (0.5, 0.5, -0.5, "WEAK"),
        (nextafter(0.5, 0), 0.5, -0.5, "CONFLICTED"),
        (0.0, -0.5, 0.5, "CONFLICTED"),
        (0.4, ABOVE, BELOW, "CONFLICTED"),
        (0.4, BELOW, ABOVE, "CONFLICTED"),
        (0.4, 0.1, BELOW, "WEAK"),
        (0.4, ABOVE, -0.1, "WEAK"),
        (0.4, 0.5, 0.5, "WEAK"),
        (0.4, -0.5, -0.5, "WEAK"),
        (0.4, 0.0, -0.5, "WEAK"),
        (0.4, None, -0.5, "WEAK"),
        (0.4, 0.5, None, "WEAK"),
        (0.4, None, None, "WEAK"),
    ],
)
def test_strength(confidence: float, momentum: float | None, flow: float | None, strength: str) -> None:
    assert classify(0.0, confidence, 10, momentum, flow) == f"{strength}_NEUTRAL"


@pytest.mark.parametrize(("trades", "prefix"), [(0, True), (9, True), (10, False), (5_000, False)])
def test_low_liquidity(trades: int, prefix: bool) -> None:
    assert classify(0.5, 0.9, trades, None, None).startswith("LOW_LIQUIDITY_") is prefix


@pytest.mark.parametrize(
    ("signal_type", "arguments"),
    [
        ("STRONG_BULLISH", (0.5, 0.8, 60, 0.5, 0.5)),
        ("CONFLICTED_NEUTRAL", (0.02, 0.4, 20, 0.4, -0.4)),
        ("LOW_LIQUIDITY_WEAK_BULLISH", (0.3, 0.09, 9, 0.5, 0.3)),
        ("LOW_LIQUIDITY_WEAK_NEUTRAL", (0.0, 0.0, 0, None, None)),
    ],
)
def test_examples(signal_type: str, arguments: tuple[float, float, int, float | None, float | None]) -> None:
    assert classify(*arguments) is SignalType(signal_type)


def test_the_set_is_closed() -> None:
    found = {
        classify(score, confidence, trades, momentum, flow)
        for score in (-1.0, -0.1, 0.0, 0.1, 1.0)
        for confidence in (0.0, 0.49, 0.5, 0.69, 0.7, 1.0)
        for trades in (0, 9, 10, 100)
        for momentum in (None, -1.0, 0.0, 1.0)
        for flow in (None, -1.0, 0.0, 1.0)
    }
    assert len(SignalType) == 20
    assert found == set(SignalType) - {SignalType.MARKET_CLOSED, SignalType.MARKET_UNAVAILABLE}


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_verdict_for_any_number(value: float) -> None:
    assert classify(value, value, 10, value, value) in set(SignalType)
