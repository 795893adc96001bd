"""The record of 13 fields that a bot reads, and the words it uses (signal-definitions 4.2).

``BotRecord`` is a dataclass of the standard library, because bots use ``dataclasses.asdict`` and ``replace`` on it.
``BotReadable`` lends its fields to a richer value that can be projected onto it, so that either serves the same bot.
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import frozen

NOT_AVAILABLE: Final = "N/A"
"""The bias of a book that is not looked at, or may not be read."""

UNAVAILABLE: Final = "UNAVAILABLE"
"""Every label of a refusal."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Labels:
    """Words for a score −1..+1: above ``+band``, below ``-band``, and between; ±band itself lies between."""

    band: float
    above: str
    below: str
    between: str

    def of(self, score: float) -> str:
        """The word for this score."""
        rows = ((score > self.band, self.above), (score < -self.band, self.below))
        return next((word for holds, word in rows if holds), self.between)

    def known(self) -> tuple[str, ...]:
        """Every word a record may have here."""
        return (self.above, self.below, self.between, UNAVAILABLE)


ORDER_BOOK_BIAS: Final = Labels(0.3, "BID_HEAVY", "ASK_HEAVY", "BALANCED")
WHALE_DIRECTION: Final = Labels(0.3, "BUYING", "SELLING", "NEUTRAL")
MOMENTUM_DIRECTION: Final = Labels(0.1, "UP", "DOWN", "FLAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRecord:
    """One signal in 13 fields: scores −1..+1, ``confidence`` 0..1, ``volume_ratio`` and ``whale_count`` from 0.

    ``timestamp`` is aware and in UTC. Nothing is checked before ``validate`` is called.
    """

    score: float
    confidence: float
    order_book_score: float
    whale_score: float
    volume_score: float
    momentum_score: float
    order_book_bias: str
    whale_direction: str
    whale_count: int
    volume_ratio: float
    momentum_direction: str
    signal_type: str
    timestamp: datetime

    def validate(self) -> None:
        """Raises ``ValueError`` naming the first field that is out of range or no value of its type, and its value."""
        for name, (wanted, holds) in _RULES.items():
            value = getattr(self, name)
            if not holds(value):
                raise ValueError(f"{name} is not {wanted}: {value!r}")


def neutral_record(signal_type: str, timestamp: datetime) -> BotRecord:
    """The record of a refusal: scores and confidence 0, no whales, ratio 1, every label ``UNAVAILABLE``."""
    return BotRecord(
        score=0.0,
        confidence=0.0,
        order_book_score=0.0,
        whale_score=0.0,
        volume_score=0.0,
        momentum_score=0.0,
        order_book_bias=UNAVAILABLE,
        whale_direction=UNAVAILABLE,
        whale_count=0,
        volume_ratio=1.0,
        momentum_direction=UNAVAILABLE,
        signal_type=signal_type,
        timestamp=timestamp,
    )


def utc_time(at_ns: int) -> datetime:
    """The aware UTC time of epoch nanoseconds, rounded down to the microsecond; by integers, so never off by one."""
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


class BotReadable(ABC):
    """A value that is read like the record it projects onto, whose fields it has beside its own.

    Each of these properties makes the whole projection: who reads many of them had better project once.
    """

    __slots__ = ()

    @abstractmethod
    def to_market_signals(self) -> BotRecord:
        """The 13 fields of this value."""

    def validate(self) -> None:
        """Raises ``ValueError`` if a field of the record is out of range."""
        self.to_market_signals().validate()

    @property
    def order_book_score(self) -> float:
        """Which side of Up's book is deeper, −1 (asks) to +1 (bids); 0.0 when off or absent."""
        return self.to_market_signals().order_book_score

    @property
    def whale_score(self) -> float:
        """Which way large trades lean, −1..+1; 0.0 when absent."""
        return self.to_market_signals().whale_score

    @property
    def volume_score(self) -> float:
        """Which way trades lean, −1..+1; 0.0 when absent."""
        return self.to_market_signals().volume_score

    @property
    def momentum_score(self) -> float:
        """How the price of Up moved, −1..+1; 0.0 when absent."""
        return self.to_market_signals().momentum_score

    @property
    def order_book_bias(self) -> str:
        """``BID_HEAVY``, ``ASK_HEAVY``, ``BALANCED``, ``N/A`` (off or absent) or ``UNAVAILABLE`` (a refusal)."""
        return self.to_market_signals().order_book_bias

    @property
    def whale_direction(self) -> str:
        """``BUYING``, ``SELLING``, ``NEUTRAL`` or ``UNAVAILABLE`` (a refusal)."""
        return self.to_market_signals().whale_direction

    @property
    def whale_count(self) -> int:
        """Large trades of the window, both directions; 0 for a refusal."""
        return self.to_market_signals().whale_count

    @property
    def volume_ratio(self) -> float:
        """The window's volume in relation to its baseline; 1.0 without one."""
        return self.to_market_signals().volume_ratio

    @property
    def momentum_direction(self) -> str:
        """``UP``, ``DOWN``, ``FLAT`` or ``UNAVAILABLE`` (a refusal)."""
        return self.to_market_signals().momentum_direction

    @property
    def timestamp(self) -> datetime:
        """The deadline the signal was due at, aware, in UTC, rounded down to the microsecond."""
        return self.to_market_signals().timestamp


# ---------------------------------------------------------------------------------------------------- what is valid

_Rule = tuple[str, Callable[[object], bool]]


def _number(low: float, high: float) -> Callable[[object], bool]:
    def holds(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return holds


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_utc(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() == timedelta(0)


def _words(*words: str) -> _Rule:
    return f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words


# The closed vocabulary of SignalType, which is defined above this floor.
_signal_type: Final = re.compile(
    r"(?:LOW_LIQUIDITY_)?(?:STRONG|WEAK|CONFLICTED)_(?:BULLISH|BEARISH|NEUTRAL)|MARKET_(?:CLOSED|UNAVAILABLE)"
).fullmatch

_SCORE: Final[_Rule] = ("a number from -1 to 1", _number(-1.0, 1.0))

_RULES: Final[Mapping[str, _Rule]] = MappingProxyType(
    {
        "score": _SCORE,
        "confidence": ("a number from 0 to 1", _number(0.0, 1.0)),
        "order_book_score": _SCORE,
        "whale_score": _SCORE,
        "volume_score": _SCORE,
        "momentum_score": _SCORE,
        "order_book_bias": _words(*ORDER_BOOK_BIAS.known(), NOT_AVAILABLE),
        "whale_direction": _words(*WHALE_DIRECTION.known()),
        "whale_count": ("a whole number from 0", _is_count),
        "volume_ratio": ("a finite number from 0", _number(0.0, sys.float_info.max)),
        "momentum_direction": _words(*MOMENTUM_DIRECTION.known()),
        "signal_type": ("a signal type", lambda value: isinstance(value, str) and _signal_type(value) is not None),
        "timestamp": ("an aware time in UTC", _is_utc),
    }
)
