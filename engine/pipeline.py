"""The pipeline of one market: records in, one ``MarketSignals`` per deadline out.

Deadlines lie on a grid of whole cadences since the epoch, so that all markets share them. ``receive`` first fires every
deadline up to the record's time: a record exactly at a deadline falls after it. A signal carries the deadline it was
due at. The pipeline is a function of its records: how late it is woken and how records are batched change nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from attrs import asdict

from engine.book import Book
from engine.errors import RecordError
from engine.features import MarketView
from engine.intake import Intake
from engine.markets import Market, MarketPhase, Target, phase_of
from engine.presets import Preset
from engine.records import Frame, Record, Unfollowed
from engine.scoring import Scorer, Scores
from engine.settings import ScoringSettings
from engine.signals import (
    BookState,
    Components,
    FeedState,
    MarketSignals,
    PresetStamp,
    Quality,
    Quote,
    SignalType,
    WindowProof,
)
from engine.units import notional_usd, price_usd, shares, to_ns, to_seconds
from engine.verdict import classify

_UNHEARD = (FeedState.CONNECTING, FeedState.SUBSCRIBED, FeedState.BACKOFF)
_OVER = (MarketPhase.CLOSED, MarketPhase.RESOLVED)

NOTHING = Scores(components=Components(), score=0.0, confidence=0.0, confidence_seed=0.0)


def stamp_of(preset: Preset, scoring: ScoringSettings) -> PresetStamp:
    """Name, version and a 16-digit hash over everything that shapes a score."""
    shape = json.dumps([asdict(preset), asdict(scoring)], sort_keys=True, default=dict)
    digest = hashlib.blake2b(shape.encode(), digest_size=8).hexdigest()
    return PresetStamp(name=preset.name, version=preset.version, config_hash=digest)


def neutral_signal(
    target: Target,
    market: Market | None,
    as_of_ns: int,
    *,
    reason: str,
    scoring: ScoringSettings,
    stamp: PresetStamp,
    feed_state: FeedState = FeedState.BACKOFF,
) -> MarketSignals:
    """The signal of a market that has no pipeline right now: unavailable, score 0, confidence 0."""
    start_ns = as_of_ns - to_ns(scoring.window_s)
    return _signal(
        target,
        market,
        as_of_ns,
        phase=phase_of(target, market, as_of_ns),
        scores=NOTHING,
        verdict=(SignalType.MARKET_UNAVAILABLE, reason),
        window=WindowProof(start_ns=start_ns, end_ns=as_of_ns, coverage=0.0),
        quality=Quality(feed_state=feed_state),
        quote=Quote(seconds_to_close=_seconds_to_close(target, market, as_of_ns)),
        stamp=stamp,
    )


def first_deadline(after_ns: int, cadence_ns: int) -> int:
    """The first grid point strictly later than ``after_ns``."""
    return (after_ns // cadence_ns + 1) * cadence_ns


class MarketPipeline:
    """One market from ``followed_ns`` on.

    ``scorer`` is called once per deadline. Raises ``RecordError`` for records that run backwards or follow the end;
    whatever a scorer raises leaves ``receive``, ``advance`` and ``evaluate`` unchanged. ``keep_features`` keeps the
    features for others even where the preset does not read them; it changes no signal.
    """

    __slots__ = (
        "_cadence_ns",
        "_deadline_ns",
        "_grace_ns",
        "_now_ns",
        "_scorer",
        "_window_ns",
        "ended",
        "intake",
        "stamp",
        "target",
    )

    def __init__(
        self,
        target: Target,
        *,
        followed_ns: int,
        scoring: ScoringSettings,
        preset: Preset,
        scorer: Scorer,
        keep_features: bool = False,
    ) -> None:
        self.target = target
        self.stamp = stamp_of(preset, scoring)
        self.intake = Intake(
            window_ns=to_ns(scoring.window_s),
            stale_after_ns=to_ns(scoring.stale_after_s),
            wants_features=keep_features or preset.reads_features,
            wants_pressure=bool(preset.weights.get("imbalance")),
        )
        self._scorer = scorer
        self._window_ns = to_ns(scoring.window_s)
        self._cadence_ns = to_ns(scoring.cadence_s)
        self._grace_ns = to_ns(scoring.outage_grace_s)
        self._now_ns = followed_ns
        self._deadline_ns = first_deadline(followed_ns, self._cadence_ns)
        self.ended = False

    def next_deadline(self) -> int:
        """When the next signal is due, epoch ns."""
        return self._deadline_ns

    def receive(self, record: Record) -> list[MarketSignals]:
        """Fire every deadline up to the record's time, then take the record in."""
        if type(record) is Frame:
            return self.frames(record.at_ns, (record.text,))
        signals = self._until(record.at_ns)
        self.intake.apply(record)
        self.ended = type(record) is Unfollowed
        return signals

    def frames(self, at_ns: int, texts: Sequence[str]) -> list[MarketSignals]:
        """The same for messages of the venue that were received at one time, in order, as if each were a record."""
        signals = [] if self._now_ns <= at_ns < self._deadline_ns and not self.ended else self._until(at_ns)
        self._now_ns = at_ns
        self.intake.frames(at_ns, texts)
        return signals

    def _until(self, at_ns: int) -> list[MarketSignals]:
        """What is due before the next record, which comes now."""
        if self.ended:
            raise RecordError(f"a record after the end of {self.target.key}")
        if at_ns < self._now_ns:
            raise RecordError(f"a record of {self.target.key} is {self._now_ns - at_ns} ns in the past")
        return self.advance(at_ns)

    def advance(self, now_ns: int) -> list[MarketSignals]:
        """The signals of every deadline that is due at ``now_ns``, oldest first; usually none or one."""
        signals: list[MarketSignals] = []
        while self._deadline_ns <= now_ns and not self.ended:
            signals.append(self.evaluate(self._deadline_ns))
            self._deadline_ns += self._cadence_ns
        self._now_ns = max(self._now_ns, now_ns)
        return signals

    def evaluate(self, as_of_ns: int) -> MarketSignals:
        """The signal of this instant, on demand; changes no later signal.

        ``as_of_ns`` must not lie before the last record or after the next deadline.
        """
        start_ns, coverage = self._move_window(as_of_ns)
        market, book = self.intake.market, self.intake.book
        phase = phase_of(self.target, market, as_of_ns)
        feed_state = self.intake.coverage.state(as_of_ns)
        refusal = self._refusal(as_of_ns, coverage, phase, feed_state, book)
        scores = NOTHING if refusal is not None else self._scorer(self._view(start_ns, as_of_ns, coverage))
        return _signal(
            self.target,
            market,
            as_of_ns,
            phase=phase,
            scores=scores,
            verdict=refusal or (self._classify(scores), None),
            window=self._window(start_ns, as_of_ns, coverage, scores),
            quality=self._quality(start_ns, as_of_ns, _of_feed(phase, feed_state)),
            quote=self._quote(as_of_ns, book if feed_state is FeedState.LIVE else None),
            stamp=self.stamp,
        )

    def score(self, as_of_ns: int) -> Scores:
        """The scores of this instant alone: of the window as it is, without verdict, proof or refusal.

        For whoever looks at every trade and knows by other ways that the market is open and its feed alive;
        ``as_of_ns`` as for ``evaluate``.
        """
        start_ns, coverage = self._move_window(as_of_ns)
        return self._scorer(self._view(start_ns, as_of_ns, coverage))

    def _move_window(self, as_of_ns: int) -> tuple[int, float]:
        """Its start, and the share of it that was truly covered."""
        start_ns = as_of_ns - self._window_ns
        self.intake.evict(start_ns)
        return start_ns, self.intake.coverage.covered_ns(start_ns, as_of_ns) / self._window_ns

    @property
    def unclean_since_ns(self) -> int | None:
        """Since when a connected market's book is missing, crossed or at odds with the stated top, if it is."""
        return self.intake.unclean_since_ns if self.intake.coverage.connected_now else None

    @property
    def silent_since_ns(self) -> int | None:
        """Since when one of a connected market's tokens has had no event; other markets' events do not count."""
        return self.intake.silent_since_ns if self.intake.coverage.connected_now else None

    def _view(self, start_ns: int, end_ns: int, coverage: float) -> MarketView:
        last_ns = self.intake.coverage.last_event_ns
        return MarketView(
            start_ns=start_ns,
            end_ns=end_ns,
            coverage=coverage,
            age_s=None if last_ns is None else to_seconds(end_ns - last_ns),
            trades=self.intake.trades,
            features=self.intake.features,
        )

    def _refusal(
        self, as_of_ns: int, coverage: float, phase: MarketPhase, feed_state: FeedState, book: Book | None
    ) -> tuple[SignalType, str] | None:
        """Why there is nothing to score, by the first line that holds; ``None`` when there is."""
        intake = self.intake
        if phase in _OVER:
            return SignalType.MARKET_CLOSED, phase.value
        if intake.market is None:
            return self._unknown()
        if feed_state in _UNHEARD and as_of_ns - (intake.coverage.last_event_ns or 0) > self._grace_ns:
            return SignalType.MARKET_UNAVAILABLE, intake.fault or "connecting"
        if coverage <= 0.0:
            return SignalType.MARKET_UNAVAILABLE, "no_data"
        if book is not None and book.mirror_sum_off:
            return SignalType.MARKET_UNAVAILABLE, "not_complements"
        return None

    def _unknown(self) -> tuple[SignalType, str]:
        """Why the market is not known."""
        intake = self.intake
        if intake.answered and self.target.series is None:
            return SignalType.MARKET_CLOSED, "unknown_market"
        if intake.answered:
            return SignalType.MARKET_UNAVAILABLE, "not_listed_yet"
        failure = intake.lookup_failure
        return SignalType.MARKET_UNAVAILABLE, "no_metadata" if failure is None else f"metadata_{failure}"

    def _classify(self, scores: Scores) -> SignalType:
        components = scores.components
        return classify(
            scores.score, scores.confidence, self.intake.trades.count, components.momentum, components.volume_flow
        )

    def _window(self, start_ns: int, end_ns: int, coverage: float, scores: Scores) -> WindowProof:
        trades = self.intake.trades
        return WindowProof(
            start_ns=start_ns,
            end_ns=end_ns,
            coverage=coverage,
            trades=trades.count,
            whales=trades.whales_yes + trades.whales_no if scores.whales is None else scores.whales,
            volume_shares=shares(trades.yes_units + trades.no_units),
            volume_usd=notional_usd(trades.notional),
        )

    def _quality(self, start_ns: int, end_ns: int, feed_state: FeedState) -> Quality:
        intake = self.intake
        return Quality(
            epoch=intake.epoch,
            gaps=intake.coverage.gaps(start_ns, end_ns),
            max_silence_s=to_seconds(intake.coverage.max_silence_ns(start_ns, end_ns)),
            feed_state=feed_state,
            book_state=intake.book_state,
            messages=intake.messages,
            duplicates=intake.trades.duplicates,
            late=intake.trades.late,
            malformed=intake.malformed,
            foreign=intake.foreign,
            unknown=intake.unknown,
            dropped=intake.dropped,
        )

    def feed_state(self, now_ns: int) -> FeedState:
        """How the feed stands; closed once the market is."""
        return _of_feed(phase_of(self.target, self.intake.market, now_ns), self.intake.coverage.state(now_ns))

    def _quote(self, as_of_ns: int, book: Book | None) -> Quote:
        left_s = _seconds_to_close(self.target, self.intake.market, as_of_ns)
        if book is None or book.state in (BookState.UNSYNCED, BookState.CROSSED):
            return Quote(seconds_to_close=left_s)
        bid, ask = book.best_bid, book.best_ask
        return Quote(
            best_bid=None if bid is None else price_usd(bid),
            best_ask=None if ask is None else price_usd(ask),
            mid=None if bid is None or ask is None else price_usd((bid + ask) / 2),
            seconds_to_close=left_s,
        )


def _of_feed(phase: MarketPhase, state: FeedState) -> FeedState:
    return FeedState.CLOSED if phase in _OVER else state


def _seconds_to_close(target: Target, market: Market | None, now_ns: int) -> float | None:
    end_ns = market.end_ns if market is not None and market.end_ns is not None else target.end_ns
    return None if end_ns is None else max(0.0, to_seconds(end_ns - now_ns))


def _signal(
    target: Target,
    market: Market | None,
    as_of_ns: int,
    *,
    phase: MarketPhase,
    scores: Scores,
    verdict: tuple[SignalType, str | None],
    window: WindowProof,
    quality: Quality,
    quote: Quote,
    stamp: PresetStamp,
) -> MarketSignals:
    return MarketSignals(
        as_of_ns=as_of_ns,
        target=target.key,
        underlying=target.underlying,
        series=target.series,
        slug=target.slug if market is None else market.slug or target.slug,
        condition_id=target.condition_id if market is None else market.condition_id,
        yes_asset_id=None if market is None else market.up_asset_id,
        no_asset_id=None if market is None else market.down_asset_id,
        phase=phase,
        score=scores.score,
        confidence=scores.confidence,
        confidence_seed=scores.confidence_seed,
        signal_type=verdict[0],
        reason=verdict[1],
        components=scores.components,
        window=window,
        quality=quality,
        market=quote,
        preset=stamp,
    )
