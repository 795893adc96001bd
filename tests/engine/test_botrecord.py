"""The record of 13 fields: its words at their boundaries, what it refuses, and that it is a plain dataclass."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, asdict, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from math import inf, nan, nextafter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.botrecord import (
    MOMENTUM_DIRECTION,
    ORDER_BOOK_BIAS,
    WHALE_DIRECTION,
    BotReadable,
    BotRecord,
    Labels,
    neutral_record,
    utc_time,
)
from engine.signals import SignalType

AT = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)

RECORD = BotRecord(
    score=0.4,
    confidence=0.8,
    order_book_score=0.5,
    whale_score=-0.5,
    volume_score=0.25,
    momentum_score=0.0,
    order_book_bias="BID_HEAVY",
    whale_direction="SELLING",
    whale_count=3,
    volume_ratio=1.0,
    momentum_direction="FLAT",
    signal_type="STRONG_BULLISH",
    timestamp=AT,
)

NAMES = [
    "score",
    "confidence",
    "order_book_score",
    "whale_score",
    "volume_score",
    "momentum_score",
    "order_book_bias",
    "whale_direction",
    "whale_count",
    "volume_ratio",
    "momentum_direction",
    "signal_type",
    "timestamp",
]

SCORES = ("score", "order_book_score", "whale_score", "volume_score", "momentum_score")


def changed(name: str, value: Any) -> BotRecord:
    return replace(RECORD, **{name: value})


# ------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("labels", "band", "above", "below", "between"),
    [
        (ORDER_BOOK_BIAS, 0.3, "BID_HEAVY", "ASK_HEAVY", "BALANCED"),
        (WHALE_DIRECTION, 0.3, "BUYING", "SELLING", "NEUTRAL"),
        (MOMENTUM_DIRECTION, 0.1, "UP", "DOWN", "FLAT"),
    ],
)
def test_the_band_itself_is_the_middle_word(labels: Labels, band: float, above: str, below: str, between: str) -> None:
    scores = (-1.0, nextafter(-band, -1), -band, -0.0, 0.0, band, nextafter(band, 1), 1.0)
    assert [labels.of(score) for score in scores] == [below, below, *[between] * 4, above, above]


# ------------------------------------------------------------------------------------------------------- a dataclass


def test_the_record_has_the_13_fields_in_order() -> None:
    assert [field.name for field in fields(BotRecord)] == NAMES


def test_asdict_and_replace_work() -> None:
    assert list(asdict(RECORD)) == NAMES
    assert BotRecord(**asdict(RECORD)) == RECORD
    assert asdict(replace(RECORD, score=-1.0)) == {**asdict(RECORD), "score": -1.0}
    assert pickle.loads(pickle.dumps(RECORD)) == RECORD
    assert len({RECORD, replace(RECORD)}) == 1


def test_the_record_is_frozen_slotted_and_keyword_only() -> None:
    with pytest.raises(FrozenInstanceError):
        RECORD.score = 0.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        object.__setattr__(RECORD, "extra", 1)
    with pytest.raises(TypeError):
        BotRecord(*asdict(RECORD).values())  # type: ignore[call-arg]


# --------------------------------------------------------------------------------------------------------- what holds


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("value", [-1.0, -1, -0.0, 0, 0.0, 1, 1.0])
def test_scores_in_range_are_valid(name: str, value: float) -> None:
    changed(name, value).validate()


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("value", [nextafter(-1, -2), nextafter(1, 2), 10**400, nan, inf, -inf])
def test_scores_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} is not a number from -1 to 1: {value!r}$"):
        changed(name, value).validate()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("confidence", (0, 0.0, 0.5, 1.0)),
        ("whale_count", (0, 1, 10**9)),
        ("volume_ratio", (0, 0.0, 1.0, 12.5, 1e300)),
        ("order_book_bias", ("BID_HEAVY", "ASK_HEAVY", "BALANCED", "N/A", "UNAVAILABLE")),
        ("whale_direction", ("BUYING", "SELLING", "NEUTRAL", "UNAVAILABLE")),
        ("momentum_direction", ("UP", "DOWN", "FLAT", "UNAVAILABLE")),
        ("signal_type", (*SignalType, *(word.value for word in SignalType))),
        ("timestamp", (AT, AT.replace(tzinfo=timezone(timedelta(0))))),
    ],
)
def test_other_values_in_range_are_valid(name: str, values: tuple[object, ...]) -> None:
    for value in values:
        changed(name, value).validate()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("confidence", (-1e-300, nextafter(1, 2), nan, inf, -inf)),
        ("whale_count", (-1, 1.0, nan, inf)),
        ("volume_ratio", (-1e-300, nan, inf, 10**400)),
        ("order_book_bias", ("", "bid_heavy", "NEUTRAL", "UP", 0)),
        ("whale_direction", ("", "N/A", "BALANCED", "buying", 0)),
        ("momentum_direction", ("", "N/A", "NEUTRAL", "Up", 0)),
        ("signal_type", ("", "BULLISH", "STRONG_BULLISH ", "LOW_LIQUIDITY_MARKET_CLOSED", "UNAVAILABLE", 0)),
        (
            "timestamp",
            (AT.replace(tzinfo=None), AT.astimezone(timezone(timedelta(hours=1))), AT.date(), 1_772_368_205),
        ),
    ],
)
def test_other_values_out_of_range_are_refused_by_name(name: str, values: tuple[object, ...]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"^{name} is not ") as refused:
            changed(name, value).validate()
        assert str(refused.value).endswith(f": {value!r}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [None, True, False, [], Decimal("0.5"), b"UP"], ids=repr)
def test_another_type_is_refused_by_name_too(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} is not "):
        changed(name, value).validate()


# ------------------------------------------------------------------------------------------------------------ neutral


@pytest.mark.parametrize("signal_type", ["MARKET_CLOSED", "MARKET_UNAVAILABLE"])
def test_the_neutral_record(signal_type: str) -> None:
    record = neutral_record(signal_type, AT)
    record.validate()
    assert asdict(record) == {
        **dict.fromkeys(SCORES, 0.0),
        "confidence": 0.0,
        "order_book_bias": "UNAVAILABLE",
        "whale_direction": "UNAVAILABLE",
        "whale_count": 0,
        "volume_ratio": 1.0,
        "momentum_direction": "UNAVAILABLE",
        "signal_type": signal_type,
        "timestamp": AT,
    }


# --------------------------------------------------------------------------------------------------------------- time


def test_utc_time_rounds_down_to_the_microsecond() -> None:
    assert utc_time(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert utc_time(1_772_368_205_000_001_999) == datetime(2026, 3, 1, 12, 30, 5, 1, tzinfo=UTC)
    # Through a double this instant would be the next second.
    assert utc_time(1_772_368_205_999_999_999) == datetime(2026, 3, 1, 12, 30, 5, 999_999, tzinfo=UTC)
    assert utc_time(-1) == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2262, 4, 11)), st.integers(0, 999))  # noqa: DTZ001
def test_utc_time_is_exact(naive: datetime, below_a_microsecond: int) -> None:
    exact = naive.replace(tzinfo=UTC)
    microseconds = (exact - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    there = utc_time(microseconds * 1000 + below_a_microsecond)
    assert (there, there.utcoffset()) == (exact, timedelta(0))


# ----------------------------------------------------------------------------------------------------------- readable


class Projected(BotReadable):
    __slots__ = ("record",)

    def __init__(self, record: BotRecord) -> None:
        self.record = record

    def to_market_signals(self) -> BotRecord:
        return self.record


def test_a_readable_value_has_the_fields_it_does_not_store() -> None:
    distinct = replace(RECORD, volume_ratio=2.5, momentum_score=0.75)
    lent = [name for name in NAMES if hasattr(BotReadable, name)]
    assert [name for name in NAMES if name not in lent] == ["score", "confidence", "signal_type"]
    assert {name: getattr(Projected(distinct), name) for name in lent} == {
        name: value for name, value in asdict(distinct).items() if name in lent
    }


def test_a_readable_value_is_valid_when_its_record_is() -> None:
    Projected(RECORD).validate()
    with pytest.raises(ValueError, match="whale_count"):
        Projected(changed("whale_count", -1)).validate()


def test_a_readable_value_has_to_say_what_its_record_is() -> None:
    with pytest.raises(TypeError, match="to_market_signals"):
        BotReadable()  # type: ignore[abstract]
