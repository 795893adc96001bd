from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.decisions import Aftermath, Decision
from engine.markets import Target
from engine.presets import PRESETS
from engine.records import Connected, Disconnected, Frame, Record, Unfollowed
from engine.replay import replay
from engine.scoring import build_scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.signals import MarketSignals, SignalType
from engine.study import default_at_s, study
from engine.units import NS_PER_S
from tests.engine.study_bench import SCORING, begun, done, new_study, quoted, said
from tests.engine.wire_texts import CONDITION_ID, DOWN, MARKET, TARGET, UP, at, book, trade


def studied(records: Sequence[Record], *at_s: float, preset: str = "corrected") -> list[Decision]:
    bench = new_study(*at_s, preset=preset)
    for record in records:
        bench.receive(record)
    return bench.decisions()


def one(records: Sequence[Record], at_s: float, preset: str = "corrected") -> Decision:
    (decision,) = studied(records, at_s, preset=preset)
    return decision


texts = st.one_of(
    st.builds(
        trade,
        st.sampled_from(["0.4", "0.45", "0.5", "0.55", "0.61"]),
        st.sampled_from(["0.02", "10", "999", "1000.5", "5000"]),
        asset=st.sampled_from([UP, DOWN]),
        side=st.sampled_from(["BUY", "SELL", ""]),
        tx=st.sampled_from([None, "0x" + "1" * 64]),
    ),
    st.sampled_from(
        [
            book(),
            book((("0.4", "3"), ("0.45", "9")), (("0.47", "1"), ("0.6", "2"))),
            book((("0.97", "5"),), ()),
            book((("0.5", "5"),), (("0.5", "5"),)),
            "PONG",
            "not json",
        ]
    ),
)
steps = st.lists(
    st.tuples(
        st.integers(0, 6 * NS_PER_S) | st.sampled_from([0, NS_PER_S, 40 * NS_PER_S]),
        st.one_of(texts, st.sampled_from(["<connect>", "<disconnect>"])),
    ),
    max_size=60,
)


@st.composite
def journals(draw: st.DrawFn) -> list[Record]:
    records = begun(draw(st.integers(-100, 20)))
    now_ns, epoch = records[0].at_ns, 1
    for wait_ns, what in draw(steps):
        now_ns += wait_ns
        if what == "<connect>":
            epoch += 1
            records.append(Connected(at_ns=now_ns, epoch=epoch))
        elif what == "<disconnect>":
            records.append(Disconnected(at_ns=now_ns, epoch=epoch, reason="refused"))
        else:
            records.append(Frame(at_ns=now_ns, text=what))
    return [*records, Unfollowed(at_ns=now_ns + draw(st.integers(0, 30 * NS_PER_S)))]


# ----------------------------------------------------------------------------------------------------------- no leaks


def made_from(decision: Decision) -> Decision:
    return evolve(decision, after=Aftermath())


@given(journal=journals(), cut=st.integers(4, 64), preset=st.sampled_from(sorted(PRESETS)))
def test_later_messages_never_change_an_earlier_decision(journal: list[Record], cut: int, preset: str) -> None:
    times = (0.0, 5.0, 30.0, 60.0, 61.0, 120.0)
    whole, part = studied(journal, *times, preset=preset), studied(journal[:cut], *times, preset=preset)
    for full, early in zip(whole, part, strict=True):
        if early.reached:
            assert made_from(full) == made_from(early)
            seen_later = zip((*early.after.tops, *early.after.values), (*full.after.tops, *full.after.values))  # noqa: B905
            assert all(before is None or before == after for before, after in seen_later)
        else:
            assert early.reason == "not_followed"


@given(journal=journals(), preset=st.sampled_from(sorted(PRESETS)))
def test_a_decision_on_a_deadline_is_the_signal_that_replay_gives(journal: list[Record], preset: str) -> None:
    pairs = [(TARGET.key, record) for record in journal]
    chosen = PRESETS[preset]
    signals = replay(
        pairs,
        scoring=SCORING,
        preset=chosen,
        new_scorer=lambda: build_scorer(chosen),
        aggregate=AggregateSettings(),
    )
    replayed = {signal.as_of_ns: signal for signal in signals if isinstance(signal, MarketSignals)}
    for decision in studied(journal, *range(0, 300, 5), preset=preset):
        signal = replayed.get(decision.as_of_ns)
        if signal is None:
            assert decision.reason == "not_followed"
            continue
        assert (decision.score, decision.confidence, decision.confidence_seed) == (
            signal.score,
            signal.confidence,
            signal.confidence_seed,
        )
        assert (decision.signal_type, decision.reason) == (signal.signal_type, signal.reason)
        assert decision.components == signal.components
        assert (decision.coverage, decision.trades) == (signal.window.coverage, signal.window.trades)
        assert decision.mid == signal.market.mid
        assert decision.preset == signal.preset


def test_what_is_received_at_the_instant_itself_comes_too_late():
    records = [*begun(), quoted(59.999, "0.60", "0.62"), quoted(60, "0.80", "0.82"), done(200)]
    decision = one(records, 60)
    assert decision.mid == 0.61
    assert decision.after.tops[0] is not None
    assert decision.after.tops[0].ask == 0.62


# ------------------------------------------------------------------------------------------------------ what is seen


def ticking(*steps: tuple[float, str, str]) -> list[Record]:
    """Quotes, each restated every second until the next: a live feed."""
    records = begun()
    for (from_s, bid, ask), until_s in zip(steps, [*(step[0] for step in steps[1:]), 300.0], strict=True):
        records += [quoted(second, bid, ask) for second in range(int(from_s), int(until_s))]
    return [*records, done(310)]


def test_prices_of_the_window_and_of_the_aftermath():
    decision = one(ticking((1, "0.49", "0.51"), (30, "0.59", "0.61"), (125, "0.64", "0.66"), (170, "0.7", "0.72")), 120)
    assert (decision.mid, decision.price, decision.spread) == (0.6, 0.6, 0.02)
    assert decision.fair == pytest.approx(0.6)
    assert decision.mid_before == 0.5
    assert decision.mid_move == pytest.approx(0.1)
    assert decision.after.values == (0.65, 0.65, 0.71, 0.71)
    assert [top and (top.bid, top.ask) for top in decision.after.tops] == [(0.59, 0.61), (0.59, 0.61), (0.59, 0.61)]
    assert decision.after.tops[0] is not None
    assert (decision.after.tops[0].bid_shares, decision.after.tops[0].ask_shares) == (100, 100)


def test_a_window_that_begins_before_there_is_a_book_begins_with_the_first_mid():
    records = [*begun()[:3], said(3, book((), (("0.6", "1"),))), quoted(4, "0.3", "0.32"), quoted(8, "0.4", "0.42")]
    decision = one([*records, quoted(9, "0.4", "0.42"), done(20)], 10)
    assert decision.mid_before == 0.31
    assert decision.mid == 0.41


def test_nothing_is_read_after_the_end_of_the_slot():
    decision = one(ticking((1, "0.49", "0.51")), 290)
    assert [value is None for value in decision.after.values] == [False, True, True, True]
    assert one(ticking((1, "0.49", "0.51")), 270).after.values[1] == 0.5  # the instant of the end itself is the last


def test_a_side_that_is_gone_near_certainty_is_a_price_but_no_mid():
    records = [*begun(), said(58, book((("0.99", "10"),), ())), quoted(65, "0.97", "0.99"), done(90)]
    decision = one(records, 60)
    assert (decision.mid, decision.price, decision.spread, decision.probability) == (None, 0.995, None, None)


def test_the_last_trade_is_a_price_of_up_whatever_its_token():
    records = [
        *begun(),
        said(10, trade("0.45", asset=UP, tx="0x" + "1" * 64)),
        said(20, trade("0.30", asset=DOWN, side="SELL", tx="0x" + "2" * 64)),
        done(100),
    ]
    assert one(records, 60).last_trade == pytest.approx(0.7)
    assert one(records, 15).last_trade == pytest.approx(0.45)
    assert one(records, 5).last_trade is None


def test_the_delayed_score_is_the_score_of_half_a_minute_before():
    records = ticking((1, "0.49", "0.51"), (50, "0.50", "0.52"), (100, "0.55", "0.57"))
    late, early = studied(records, 120, 90)[::-1]
    assert late.delayed == early.score
    assert late.score != early.score
    assert one(records, 0).delayed is None


def test_a_tape_of_one_token_without_trades_is_scored_from_what_there_is():
    alone = evolve(MARKET, down_asset_id=None)
    records = ticking((1, "0.49", "0.51"), (100, "0.55", "0.57"))
    records[1] = type(records[1])(at_ns=records[1].at_ns, market=alone)
    corrected, seed = one(records, 120), one(records, 120, preset="seed")
    assert corrected.components.momentum is not None
    assert corrected.components.volume_flow is corrected.components.whale is None
    assert corrected.opinion
    assert seed.opinion is None
    assert (seed.mid, seed.fair) == (corrected.mid, corrected.fair)  # whatever the preset itself reads


# ------------------------------------------------------------------------------------------- gaps, breaks and bounds


def test_silences_since_the_start_are_gaps():
    records = [*begun(-20), quoted(3, "0.49", "0.51"), quoted(9, "0.49", "0.51"), quoted(13, "0.49", "0.51"), done(60)]
    assert [(each.gaps, each.silence_s) for each in studied(records, 4, 10, 20)] == [(0, 3.0), (1, 6.0), (2, 7.0)]


def test_between_two_followings_there_is_nothing_to_decide_from():
    first, second = [*begun(0), done(30)], [*begun(50, epoch=2), quoted(58, "0.60", "0.62"), done(200)]
    before, between, after = studied([*first, *second], 20, 40, 60)
    assert before.reached
    assert before.mid is None  # the only book is 20 s old
    assert (between.signal_type, between.reason) == (SignalType.MARKET_UNAVAILABLE, "not_followed")
    assert between.opinion is None
    assert after.mid == 0.61


def test_a_recording_that_ends_early_says_so():
    decision = one([*begun(), done(30)], 60)
    assert (decision.reached, decision.reason, decision.opinion) == (False, "not_followed", None)
    assert decision.after.tops == (None, None, None)
    assert decision.after.values == (None,) * 4


def test_offsets_outside_the_slot_are_left_out():
    assert [decision.at_s for decision in studied([*begun(), done(1)], -1, 0, 300, 299, 299, 900)] == [0, 299]


def test_a_market_without_a_start_has_no_decision_times():
    fixed = Target(key=CONDITION_ID, condition_id=CONDITION_ID)
    preset = PRESETS["seed"]
    scorer = build_scorer(preset)
    with pytest.raises(ValueError, match="not known when it starts"):
        study([], fixed, at_s=[60], scoring=SCORING, preset=preset, scorer=scorer)
    decisions = study([], fixed, at_s=[60], scoring=ScoringSettings(), preset=preset, scorer=scorer, market=MARKET)
    assert [decision.as_of_ns for decision in decisions] == [at(60)]


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (300, (60, 120, 180, 240)),
        (900, (120, 300, 480, 660, 840)),
        (3600, (480, 1200, 1920, 2640, 3360)),
    ],
)
def test_usual_decision_times(duration_s: float, expected: tuple[float, ...]) -> None:
    assert default_at_s(duration_s) == expected


def test_the_feed_of_the_market_is_told():
    bench = new_study(60)
    for record in [*begun(), quoted(5, "0.49", "0.51"), done(6)]:
        bench.receive(record)
    assert bench.feed().messages == 2
    assert bench.feed().live_s == 6.0
