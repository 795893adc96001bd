"""Which token means what, and which phase a market is in."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from engine.markets import Market, MarketPhase, Outcome, Side, Target, outcome_from_label, phase_of, tokens_by_label

CONDITION = "0x" + "0f" * 32
MARKET = Market(condition_id=CONDITION, up_asset_id="1111", down_asset_id="2222")
SLOT = Target(key="btc-updown-15m-1", series="btc-15m", slug="btc-updown-15m-1", start_ns=1000, end_ns=2000)
FIXED = Target(key=CONDITION, condition_id=CONDITION)


def test_outcomes_and_sides_come_in_opposites() -> None:
    for word in (*Outcome, *Side):
        assert word.other is not word
        assert word.other.other is word


@pytest.mark.parametrize(
    ("label", "outcome"),
    [
        ("Up", Outcome.UP),
        ("up", Outcome.UP),
        (" YES ", Outcome.UP),
        ("Down", Outcome.DOWN),
        ("no", Outcome.DOWN),
        ("", None),
        ("Upper", None),
        ("0", None),
    ],
)
def test_outcome_from_label(label: str, outcome: Outcome | None) -> None:
    assert outcome_from_label(label) is outcome


@pytest.mark.parametrize("labels", [("Up", "Down"), ("Down", "Up"), ("no", "yes"), ("UP", "NO")])
def test_tokens_are_told_apart_by_label_and_never_by_position(labels: tuple[str, str]) -> None:
    tokens = tokens_by_label(labels, ("1111", "2222"))
    first = outcome_from_label(labels[0])
    assert first is not None
    assert tokens == {first: "1111", first.other: "2222"}


@pytest.mark.parametrize(
    ("labels", "asset_ids"),
    [
        ((), ()),
        (("Up",), ("1111",)),
        (("Up", "Up"), ("1111", "2222")),
        (("Up", "Yes"), ("1111", "2222")),
        (("Up", "Maybe"), ("1111", "2222")),
        (("Up", "Down"), ("1111",)),
        (("Up", "Down"), ("1111", "2222", "3333")),
        (("Up", "Down", "Up"), ("1111", "2222")),
        (("Up", "Down"), ("1111", "1111")),
        (("Up", "Down"), ()),
    ],
)
def test_anything_but_one_token_for_either_outcome_is_refused(
    labels: tuple[str, ...], asset_ids: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError):
        tokens_by_label(labels, asset_ids)


def test_a_market_knows_its_own_tokens() -> None:
    assert MARKET.asset_ids == ("1111", "2222")
    assert [MARKET.outcome_of(asset) for asset in ("1111", "2222", "3333", "")] == [
        Outcome.UP,
        Outcome.DOWN,
        None,
        None,
    ]


def test_a_market_of_one_token() -> None:
    market = Market(condition_id=CONDITION, up_asset_id="1111")
    assert market.asset_ids == ("1111",)
    assert market.outcome_of("2222") is None


@pytest.mark.parametrize(
    "condition_id", ["", "0x", CONDITION[:-1], CONDITION + "0", CONDITION.upper(), CONDITION + "\n"]
)
def test_a_condition_id_is_checked(condition_id: str) -> None:
    with pytest.raises(ValueError):
        evolve(MARKET, condition_id=condition_id)
    with pytest.raises(ValueError):
        Target(key="x", condition_id=condition_id)


@pytest.mark.parametrize("asset_id", ["", "0x11", "1" * 79, "-1", "1.0", "1\n"])
def test_an_asset_id_is_checked(asset_id: str) -> None:
    with pytest.raises(ValueError):
        evolve(MARKET, up_asset_id=asset_id)
    with pytest.raises(ValueError):
        evolve(MARKET, down_asset_id=asset_id)


def test_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        MARKET.tick = 10  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        SLOT.key = "x"  # type: ignore[misc]


OPEN, PENDING, CLOSED, RESOLVED = MarketPhase.OPEN, MarketPhase.PENDING, MarketPhase.CLOSED, MarketPhase.RESOLVED


@pytest.mark.parametrize(
    ("now_ns", "phase"),
    [(999, PENDING), (1000, OPEN), (1999, OPEN), (2000, CLOSED)],
)
@pytest.mark.parametrize("market", [None, MARKET], ids=["unknown", "known"])
def test_a_slot_goes_by_the_calendar_before_and_after_its_metadata_are_known(
    market: Market | None, now_ns: int, phase: MarketPhase
) -> None:
    assert phase_of(SLOT, market, now_ns) is phase


@pytest.mark.parametrize(
    ("now_ns", "phase"),
    [(1000, PENDING), (1100, OPEN), (2000, OPEN), (2100, CLOSED)],
)
def test_bounds_from_metadata_overrule_the_calendar(now_ns: int, phase: MarketPhase) -> None:
    assert phase_of(SLOT, evolve(MARKET, start_ns=1100, end_ns=2100), now_ns) is phase


def test_a_fixed_market_is_not_over_until_the_venue_says_so() -> None:
    over = evolve(MARKET, start_ns=1000, end_ns=2000)
    assert phase_of(FIXED, over, 10**18) is OPEN
    assert phase_of(FIXED, evolve(over, closed=True), 10**18) is CLOSED
    assert phase_of(FIXED, evolve(over, accepting_orders=False), 10**18) is CLOSED
    assert phase_of(FIXED, over, 999) is PENDING
    assert phase_of(FIXED, None, 0) is PENDING, "of what nothing is known nobody says that it is open"


@pytest.mark.parametrize(
    ("changes", "now_ns", "phase"),
    [
        ({"winner": Outcome.UP}, 500, RESOLVED),
        ({"winner": Outcome.DOWN, "closed": True, "accepting_orders": False}, 5000, RESOLVED),
        ({"closed": True}, 500, CLOSED),
        ({"closed": True, "accepting_orders": False}, 1500, CLOSED),
        ({"accepting_orders": False}, 500, PENDING),
        ({"accepting_orders": False}, 1500, CLOSED),
        ({"accepting_orders": False}, 2500, CLOSED),
    ],
)
def test_the_first_row_that_holds_decides(changes: dict[str, Any], now_ns: int, phase: MarketPhase) -> None:
    assert phase_of(SLOT, evolve(MARKET, **changes), now_ns) is phase
