"""The tally of a replay: counts, and what speaks against it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from attrs import evolve

from actors.captures import Capture, find_captures, read_capture
from actors.tally import MarketTally, Tally, as_json, failures
from engine.presets import PRESETS
from engine.records import Connected, Frame, Unfollowed
from engine.replay import replay
from engine.scoring import build_scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.signals import BookState, MarketSignals, Quality, Quote, WindowProof
from tests.engine.test_envelope import MARKET_SIGNAL
from tests.engine.wire_texts import CONDITION_ID, SLUG, START_S, book, trade

CAPTURE = Capture(path=Path("a.jsonl.gz"), slug="a", messages=2, up_won=True)


def signal(
    slug: str = "a",
    *,
    mid: float | None = 0.9,
    coverage: float = 0.5,
    trades: int = 1,
    malformed: int = 0,
    book_state: BookState = BookState.CLEAN,
) -> MarketSignals:
    return evolve(
        MARKET_SIGNAL,
        target=slug,
        market=Quote(mid=mid),
        window=WindowProof(start_ns=0, end_ns=1, coverage=coverage, trades=trades),
        quality=Quality(malformed=malformed, book_state=book_state),
    )


def tally_of(*signals: MarketSignals, frames: int = 2, capture: Capture = CAPTURE) -> MarketTally:
    tally = Tally([capture])
    for number in range(frames):
        tally.record(capture.slug, Frame(at_ns=number, text="PONG"))
    for it in signals:
        tally.signal(it)
    [market] = tally.markets()
    return market


def test_a_replay_without_signals_claims_nothing() -> None:
    assert tally_of(frames=0, capture=evolve(CAPTURE, messages=None)) == MarketTally(
        slug="a",
        messages=0,
        malformed=0,
        signals=0,
        trades=0,
        mean_coverage=0.0,
        final_mid=None,
        crossed=0,
        left_crossed=False,
        complete=None,
        agrees=None,
    )


def test_it_counts_what_goes_by() -> None:
    market = tally_of(
        signal(mid=0.4, coverage=0.25, trades=9, malformed=1),
        signal(mid=0.75, coverage=0.75, trades=3, malformed=2, book_state=BookState.CROSSED),
        signal(mid=None, coverage=0.5, trades=0, malformed=4),
    )
    assert (market.signals, market.trades, market.malformed) == (3, 9, 4)
    assert market.mean_coverage == pytest.approx(0.5)
    assert market.final_mid == 0.75, "the last there was"
    assert (market.crossed, market.left_crossed) == (1, False)


def test_only_frames_are_messages() -> None:
    tally = Tally([CAPTURE])
    for record in (Connected(at_ns=1, epoch=1), Frame(at_ns=2, text="x"), Unfollowed(at_ns=3)):
        tally.record("a", record)
    assert tally.markets()[0].messages == 1


def test_each_market_has_its_own_tally_by_slug() -> None:
    tally = Tally([evolve(CAPTURE, slug="b"), CAPTURE])
    tally.record("b", Frame(at_ns=1, text="x"))
    tally.signal(signal("a"))
    assert [(it.slug, it.messages, it.signals) for it in tally.markets()] == [("a", 0, 1), ("b", 1, 0)]


@pytest.mark.parametrize(
    ("mid", "up_won", "agrees"),
    [
        (0.99, True, True),
        (0.01, False, True),
        (0.99, False, False),
        (0.01, True, False),
        (0.51, True, True),
        (0.5, True, None),
        (0.5, False, None),
        (None, True, None),
        (0.99, None, None),
    ],
)
def test_the_final_mid_agrees_with_the_outcome_or_is_not_known(
    mid: float | None, up_won: bool | None, agrees: bool | None
) -> None:
    assert tally_of(signal(mid=mid), capture=evolve(CAPTURE, up_won=up_won)).agrees is agrees


@pytest.mark.parametrize(("frames", "complete"), [(1, False), (2, True), (3, False)])
def test_complete_is_exactly_what_the_manifest_says(frames: int, complete: bool) -> None:
    assert tally_of(frames=frames).complete is complete


def test_nothing_speaks_against_a_sound_replay() -> None:
    unknown = evolve(CAPTURE, messages=None, up_won=None)
    assert failures([tally_of(signal()), tally_of(signal(mid=None)), tally_of(capture=unknown)]) == []


@pytest.mark.parametrize(
    ("market", "complaint"),
    [
        (tally_of(signal(), frames=3), "a: 3 messages, which is not what the manifest says"),
        (tally_of(signal(mid=0.25)), "a: the final mid 0.25 is on the side that lost"),
        (tally_of(signal(book_state=BookState.CROSSED)), "a: the book is left crossed"),
    ],
)
def test_every_complaint_names_market_and_reason(market: MarketTally, complaint: str) -> None:
    assert failures([tally_of(signal()), market]) == [complaint]


def test_a_torn_recording_is_incomplete_and_its_last_mid_is_not_final() -> None:
    for capture in (CAPTURE, evolve(CAPTURE, messages=None, up_won=None)):
        tally = Tally([capture])
        tally.record("a", Frame(at_ns=1, text="x"))
        tally.signal(signal(mid=0.25))
        tally.tear("a", "a.jsonl.gz:2: the file is torn here")
        [market] = tally.markets()
        assert (market.messages, market.complete, market.agrees, market.final_mid) == (1, False, None, 0.25)
        assert failures([market]) == ["a.jsonl.gz:2: the file is torn here"]


def test_one_market_may_have_several_complaints() -> None:
    assert len(failures([tally_of(signal(mid=0.25, book_state=BookState.CROSSED), frames=0)])) == 3


def test_the_tallies_are_plain_json() -> None:
    [document] = json.loads(json.dumps(as_json([tally_of(signal(mid=None), capture=evolve(CAPTURE, up_won=None))])))
    assert document["slug"] == "a"
    assert document["final_mid"] is None
    assert document["agrees"] is None
    assert document["complete"] is True


def test_a_recording_replayed_and_tallied(tmp_path: Path) -> None:
    texts = [book(), trade("0.6"), book((("0.8", "5"),), (("0.9", "5"),)), "not json"]
    lines = [json.dumps({"recv_ts": START_S + 6 * number, "raw": text}) for number, text in enumerate(texts)]
    (tmp_path / f"{SLUG}.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "manifest.csv").write_text(
        f"slug,condition_id,messages,recorded_asset_won\n{SLUG},{CONDITION_ID},4,1\n", encoding="utf-8"
    )
    captures = find_captures(tmp_path)
    tally = Tally(captures)
    preset = PRESETS["seed"]

    def counted() -> object:
        for key, record in read_capture(captures[0]):
            tally.record(key, record)
            yield key, record

    for it in replay(
        counted(),  # type: ignore[arg-type]
        scoring=ScoringSettings(),
        preset=preset,
        new_scorer=lambda: build_scorer(preset),
        aggregate=AggregateSettings(),
    ):
        if isinstance(it, MarketSignals):
            tally.signal(it)
    [market] = tally.markets()
    assert (market.messages, market.signals, market.trades, market.malformed) == (4, 3, 1, 0)
    assert (market.complete, market.agrees, market.final_mid) == (True, True, pytest.approx(0.85))
    assert failures([market]) == []
