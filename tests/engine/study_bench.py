"""Decisions and journals of one made-up market, for everything that studies."""

from __future__ import annotations

from engine.decisions import Aftermath, Decision
from engine.presets import PRESETS
from engine.records import Connected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.scoring import build_scorer
from engine.settings import ScoringSettings
from engine.signals import Components, PresetStamp, SignalType
from engine.study import Study
from tests.engine.wire_texts import CONDITION_ID, END_NS, MARKET, SLUG, START_NS, TARGET, at, book

SCORING = ScoringSettings()


def decision() -> Decision:
    """A decision at minute 2 with an opinion."""
    return Decision(
        target=SLUG,
        underlying="BTC",
        series="btc-5m",
        condition_id=CONDITION_ID,
        start_ns=START_NS,
        end_ns=END_NS,
        at_s=120.0,
        as_of_ns=at(120),
        preset=PresetStamp(name="seed", version="1", config_hash="0" * 16),
        reached=True,
        score=0.2,
        confidence=0.5,
        confidence_seed=0.5,
        signal_type=SignalType.WEAK_BULLISH,
        reason=None,
        components=Components(momentum=0.5),
        coverage=1.0,
        trades=30,
        gaps=0,
        silence_s=1.0,
        mid=0.55,
        price=0.55,
        fair=0.56,
        spread=0.02,
        last_trade=0.54,
        mid_before=0.5,
        delayed=0.1,
        after=Aftermath(tops=(None,) * 4, values=(None,) * 4),
    )


def begun(seconds: float = 0.0, epoch: int = 1) -> list[Record]:
    """Followed, known, connected and with a book."""
    return [
        Followed(at_ns=at(seconds), target=TARGET),
        MarketUpdated(at_ns=at(seconds), market=MARKET),
        Connected(at_ns=at(seconds), epoch=epoch),
        said(seconds, book()),
    ]


def said(seconds: float, text: str) -> Record:
    return Frame(at_ns=at(seconds), text=text)


def done(seconds: float) -> Record:
    return Unfollowed(at_ns=at(seconds))


def quoted(seconds: float, bid: str, ask: str) -> Record:
    """A whole book of one level a side."""
    return said(seconds, book(((bid, "100"),), ((ask, "100"),), at_ns=at(seconds)))


def new_study(*at_s: float, preset: str = "corrected", latencies_s: tuple[float, ...] = (0.0, 1.0, 5.0)) -> Study:
    chosen = PRESETS[preset]
    return Study(
        TARGET, at_s=at_s, scoring=SCORING, preset=chosen, scorer=build_scorer(chosen), latencies_s=latencies_s
    )
