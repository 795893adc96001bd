"""What comes out: one ``MarketSignals`` per market and deadline, one ``AggregateSignal`` per underlying and deadline.

Absent and zero are different values all the way to the sink: an absent component is ``None``.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from attrs import Attribute, field, frozen

from engine.botrecord import (
    MOMENTUM_DIRECTION,
    NOT_AVAILABLE,
    ORDER_BOOK_BIAS,
    WHALE_DIRECTION,
    BotReadable,
    BotRecord,
    neutral_record,
    utc_time,
)
from engine.markets import MarketPhase

MAX_OUTSIDE_WEIGHT = 1e6
"""How much more than the markets' side an outside score may weigh."""


def _within(low: float, high: float) -> Callable[[object, Attribute[float], float], None]:
    # One call and not the three that attrs' own validators would be: every signal has several such fields.
    def check(_: object, attribute: Attribute[float], value: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"{attribute.name!r} must lie in {low:g}..{high:g}: {value}")

    return check


_score = _within(-1.0, 1.0)
_share = _within(0.0, 1.0)


def _component(_: object, attribute: Attribute[float | None], value: float | None) -> None:
    if value is not None and not -1.0 <= value <= 1.0:
        raise ValueError(f"{attribute.name!r} must lie in -1..1: {value}")


class SignalType(StrEnum):
    """The closed vocabulary of verdicts."""

    STRONG_BULLISH = "STRONG_BULLISH"
    STRONG_BEARISH = "STRONG_BEARISH"
    STRONG_NEUTRAL = "STRONG_NEUTRAL"
    WEAK_BULLISH = "WEAK_BULLISH"
    WEAK_BEARISH = "WEAK_BEARISH"
    WEAK_NEUTRAL = "WEAK_NEUTRAL"
    CONFLICTED_BULLISH = "CONFLICTED_BULLISH"
    CONFLICTED_BEARISH = "CONFLICTED_BEARISH"
    CONFLICTED_NEUTRAL = "CONFLICTED_NEUTRAL"
    LOW_LIQUIDITY_STRONG_BULLISH = "LOW_LIQUIDITY_STRONG_BULLISH"
    LOW_LIQUIDITY_STRONG_BEARISH = "LOW_LIQUIDITY_STRONG_BEARISH"
    LOW_LIQUIDITY_STRONG_NEUTRAL = "LOW_LIQUIDITY_STRONG_NEUTRAL"
    LOW_LIQUIDITY_WEAK_BULLISH = "LOW_LIQUIDITY_WEAK_BULLISH"
    LOW_LIQUIDITY_WEAK_BEARISH = "LOW_LIQUIDITY_WEAK_BEARISH"
    LOW_LIQUIDITY_WEAK_NEUTRAL = "LOW_LIQUIDITY_WEAK_NEUTRAL"
    LOW_LIQUIDITY_CONFLICTED_BULLISH = "LOW_LIQUIDITY_CONFLICTED_BULLISH"
    LOW_LIQUIDITY_CONFLICTED_BEARISH = "LOW_LIQUIDITY_CONFLICTED_BEARISH"
    LOW_LIQUIDITY_CONFLICTED_NEUTRAL = "LOW_LIQUIDITY_CONFLICTED_NEUTRAL"
    MARKET_CLOSED = "MARKET_CLOSED"
    MARKET_UNAVAILABLE = "MARKET_UNAVAILABLE"


REFUSALS: Final = frozenset({SignalType.MARKET_CLOSED, SignalType.MARKET_UNAVAILABLE})
"""The verdicts that carry no opinion."""


class FeedState(StrEnum):
    """How the feed of a market stands at one instant."""

    CONNECTING = "connecting"
    SUBSCRIBED = "subscribed"
    LIVE = "live"
    STALE = "stale"
    BACKOFF = "backoff"
    CLOSED = "closed"
    QUARANTINED = "quarantined"


class BookState(StrEnum):
    """Whether the book may be read, and if not, why."""

    UNSYNCED = "unsynced"
    EMPTY = "empty"
    ONE_SIDED = "one_sided"
    CROSSED = "crossed"
    CLEAN = "clean"


@frozen(kw_only=True)
class Components:
    """The score's parts, each −1..+1, or ``None`` when there was nothing to compute it from.

    Raises ``ValueError`` for anything else: not a number would be written like an absent one.
    """

    momentum: float | None = field(default=None, validator=_component)
    volume_flow: float | None = field(default=None, validator=_component)
    whale: float | None = field(default=None, validator=_component)
    imbalance: float | None = field(default=None, validator=_component)


@frozen(kw_only=True)
class WindowProof:
    """What the window held: ``[start_ns, end_ns)``, the share of it truly covered (0..1) and its trades."""

    start_ns: int
    end_ns: int
    coverage: float
    trades: int = 0
    whales: int = 0
    volume_shares: float = 0.0
    volume_usd: float = 0.0


@frozen(kw_only=True)
class Quality:
    """How good the input was.

    ``epoch`` counts sockets, ``gaps`` the breaks of the feed inside the window, ``max_silence_s`` the longest time
    inside the window without an application event. The other counts run since the market's actor started, which is when
    the market was followed unless it crashed.
    """

    epoch: int = 0
    gaps: int = 0
    max_silence_s: float = 0.0
    feed_state: FeedState = FeedState.CONNECTING
    book_state: BookState = BookState.UNSYNCED
    messages: int = 0
    duplicates: int = 0
    late: int = 0
    malformed: int = 0
    foreign: int = 0
    unknown: int = 0
    dropped: int = 0


@frozen(kw_only=True)
class Quote:
    """The Up token's top of book in USDC per share and the seconds until the slot ends; ``None`` where undefined."""

    best_bid: float | None = None
    best_ask: float | None = None
    mid: float | None = None
    seconds_to_close: float | None = None


@frozen(kw_only=True)
class PresetStamp:
    """Which formulas made the score; ``config_hash`` covers preset, window and cadence."""

    name: str
    version: str
    config_hash: str


@frozen(kw_only=True)
class MarketSignals(BotReadable):
    """The signal of one market at one deadline.

    ``as_of_ns`` is the deadline it was due at (epoch ns), never the moment a task woke up. ``score`` is −1 (bearish)
    to +1 (bullish) on the Up token, ``confidence`` 0..1 by the preset's rule, ``confidence_seed`` the same by the
    original rule. ``reason`` says why a signal is neutral when the market is closed or unavailable.

    It can be read like the record of 13 fields that bots expect: those it lacks are properties of ``BotReadable``.
    """

    as_of_ns: int
    target: str
    underlying: str
    series: str | None
    slug: str | None
    condition_id: str | None
    yes_asset_id: str | None
    no_asset_id: str | None
    phase: MarketPhase
    score: float = field(validator=_score)
    confidence: float = field(validator=_share)
    confidence_seed: float = field(validator=_share)
    signal_type: SignalType
    reason: str | None
    components: Components
    window: WindowProof
    quality: Quality
    market: Quote
    preset: PresetStamp

    @property
    def components_present(self) -> tuple[str, ...]:
        """Names of the components that are not absent."""
        names = ("momentum", "volume_flow", "whale", "imbalance")
        return tuple(name for name in names if getattr(self.components, name) is not None)

    def to_market_signals(self) -> BotRecord:
        """The record of 13 fields (signal-definitions 4.2): an absent component is 0.0 there, a refusal neutral."""
        timestamp = utc_time(self.as_of_ns)
        if self.signal_type in REFUSALS:
            return neutral_record(self.signal_type.value, timestamp)
        parts = self.components
        whale, momentum = parts.whale or 0.0, parts.momentum or 0.0
        return BotRecord(
            score=self.score,
            confidence=self.confidence,
            order_book_score=parts.imbalance or 0.0,
            whale_score=whale,
            volume_score=parts.volume_flow or 0.0,
            momentum_score=momentum,
            order_book_bias=NOT_AVAILABLE if parts.imbalance is None else ORDER_BOOK_BIAS.of(parts.imbalance),
            whale_direction=WHALE_DIRECTION.of(whale),
            whale_count=self.window.whales,
            volume_ratio=1.0,  # there is no baseline of volume yet
            momentum_direction=MOMENTUM_DIRECTION.of(momentum),
            signal_type=self.signal_type.value,
            timestamp=timestamp,
        )


@frozen(kw_only=True)
class OutsideScore:
    """A score from elsewhere, for example social sentiment: −1..+1 with its own confidence 0..1.

    ``weight`` is relative to the markets' side, which weighs 1, and at most ``MAX_OUTSIDE_WEIGHT``, so that no weighted
    sum overflows.
    """

    name: str
    score: float = field(validator=_score)
    confidence: float = field(default=1.0, validator=_share)
    weight: float = field(default=1.0, validator=_within(0.0, MAX_OUTSIDE_WEIGHT))
    at_ns: int = 0


@frozen(kw_only=True)
class Contribution:
    """What one market gave to an aggregate; ``weight`` is its share 0..1, ``None`` score when it had nothing to say."""

    target: str
    condition_id: str | None
    series: str | None
    phase: MarketPhase
    signal_type: SignalType
    score: float | None
    confidence: float
    weight: float


@frozen(kw_only=True)
class AggregateSignal:
    """All open markets of one underlying at one deadline.

    ``score`` is the confidence-weighted mean of the markets, ``None`` when no market had anything to say, which is not
    the same as 0. ``agreement`` is ``|Σ w·s| / Σ w·|s|`` (1 when all point one way), ``None`` when no score points
    anywhere. ``fused_score`` and ``fused_confidence`` take the outside scores in; without outside scores they equal the
    markets' own. ``missing`` names followed targets that did not reach the deadline in time.
    """

    as_of_ns: int
    underlying: str
    score: float | None
    confidence: float
    agreement: float | None
    fused_score: float | None
    fused_confidence: float
    markets_open: int
    markets_scored: int
    contributions: tuple[Contribution, ...]
    outside: tuple[OutsideScore, ...] = ()
    missing: tuple[str, ...] = ()


Signal = MarketSignals | AggregateSignal
