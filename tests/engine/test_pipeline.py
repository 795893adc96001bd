"""The pipeline: exactly one signal per deadline, whatever happens between them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.envelope import envelope_line
from engine.errors import RecordError
from engine.markets import MarketPhase, Outcome, Target
from engine.pipeline import MarketPipeline, first_deadline, neutral_signal, stamp_of
from engine.presets import PRESETS
from engine.records import Connected, Disconnected, Followed, Frame, LookupFailed, MarketUpdated, Record, Unfollowed
from engine.scoring import Scores, build_scorer
from engine.settings import ScoringSettings
from engine.signals import BookState, Components, FeedState, MarketSignals, SignalType
from engine.units import to_ns
from tests.engine.wire_texts import (
    CONDITION_ID,
    DOWN,
    END_NS,
    MARKET,
    TARGET,
    UP,
    at,
    book,
    change,
    resolved,
    tick_size_change,
    trade,
)

SCORING = ScoringSettings()


def new_pipeline(
    target: Target = TARGET, *, followed_ns: int = at(0), scoring: ScoringSettings = SCORING, preset: str = "seed"
) -> MarketPipeline:
    chosen = PRESETS[preset]
    return MarketPipeline(target, followed_ns=followed_ns, scoring=scoring, preset=chosen, scorer=build_scorer(chosen))


def feed(pipeline: MarketPipeline, records: Iterable[Record]) -> list[MarketSignals]:
    return [signal for record in records for signal in pipeline.receive(record)]


def begun(seconds: float = 0.0) -> list[Record]:
    """Followed, known and connected, with a first book."""
    return [
        Followed(at_ns=at(seconds), target=TARGET),
        MarketUpdated(at_ns=at(seconds), market=MARKET),
        Connected(at_ns=at(seconds), epoch=1),
        Frame(at_ns=at(seconds), text=book()),
    ]


def test_deadlines_lie_on_whole_cadences_and_come_strictly_after():
    assert first_deadline(10, 5) == 15
    assert first_deadline(11, 5) == 15
    assert first_deadline(14, 5) == 15
    assert first_deadline(15, 5) == 20


def test_a_late_wake_up_emits_every_deadline_once_and_in_order():
    pipeline = new_pipeline()
    signals = pipeline.advance(at(17))
    assert [signal.as_of_ns for signal in signals] == [at(5), at(10), at(15)]
    assert pipeline.advance(at(17)) == []
    assert pipeline.next_deadline() == at(20)


def test_a_record_exactly_at_a_deadline_falls_after_it():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    [signal] = pipeline.receive(Frame(at_ns=at(5), text=trade("0.5")))
    assert signal.as_of_ns == at(5)
    assert signal.window.trades == 0
    [later] = pipeline.advance(at(10))
    assert later.window.trades == 1


def test_the_window_is_half_open_and_rolls():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    feed(pipeline, [Frame(at_ns=at(5), text=trade("0.5"))])
    counts = {signal.as_of_ns: signal.window.trades for signal in pipeline.advance(at(135))}
    assert counts[at(125)] == 1, "received exactly at the window's start"
    assert counts[at(130)] == 0


def test_the_score_is_the_presets():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    frames = [trade("0.5", "100", at_ns=at(1)), trade("0.525", "200", at_ns=at(2))]
    feed(pipeline, [Frame(at_ns=at(n + 1), text=text) for n, text in enumerate(frames)])
    [signal] = pipeline.advance(at(5))
    assert signal.components == Components(momentum=0.5, volume_flow=1.0, whale=None)
    assert signal.score == pytest.approx(0.40 * 0.5 + 0.35)
    assert signal.signal_type is SignalType.LOW_LIQUIDITY_WEAK_BULLISH
    assert signal.components_present == ("momentum", "volume_flow")
    assert signal.window.volume_shares == 300.0
    assert signal.window.volume_usd == pytest.approx(50 + 105)
    assert (signal.market.best_bid, signal.market.best_ask, signal.market.mid) == (0.49, 0.51, 0.5)
    assert signal.market.seconds_to_close == 295.0


@pytest.mark.parametrize(("preset", "whales"), [("seed", 2), ("corrected", 1)])
def test_a_whale_is_what_the_preset_calls_one(preset: str, whales: int):
    pipeline = new_pipeline(preset=preset)
    feed(pipeline, begun())
    frames = [trade("0.5", size, at_ns=at(n + 1)) for n, size in enumerate(["999", "1500", "2500"])]
    feed(pipeline, [Frame(at_ns=at(n + 1), text=text) for n, text in enumerate(frames)])
    assert pipeline.advance(at(5))[0].window.whales == whales


def test_no_trades_on_a_healthy_feed_is_low_liquidity_and_not_unavailable():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    [signal] = pipeline.advance(at(5))
    assert signal.signal_type is SignalType.LOW_LIQUIDITY_WEAK_NEUTRAL
    assert signal.reason is None
    assert signal.components_present == ()


def test_before_anything_is_known_signals_say_so():
    pipeline = new_pipeline()
    [signal] = pipeline.advance(at(5))
    assert (signal.signal_type, signal.reason) == (SignalType.MARKET_UNAVAILABLE, "no_metadata")
    assert (signal.score, signal.confidence, signal.condition_id) == (0.0, 0.0, None)
    assert signal.quality.feed_state is FeedState.CONNECTING


def test_metadata_that_could_not_be_had_say_why_until_the_venue_answers():
    pipeline = new_pipeline()
    feed(pipeline, [LookupFailed(at_ns=at(1), reason="timeout")])
    [signal] = pipeline.advance(at(5))
    assert (signal.signal_type, signal.reason) == (SignalType.MARKET_UNAVAILABLE, "metadata_timeout")
    feed(pipeline, [LookupFailed(at_ns=at(6), reason="rate_limited")])
    assert pipeline.advance(at(10))[0].reason == "metadata_rate_limited"
    feed(pipeline, [MarketUpdated(at_ns=at(11), market=None)])
    assert pipeline.advance(at(15))[0].reason == "not_listed_yet"
    feed(pipeline, [LookupFailed(at_ns=at(16), reason="timeout")])
    assert pipeline.advance(at(20))[0].reason == "not_listed_yet", "the venue's last word counts"
    feed(pipeline, [MarketUpdated(at_ns=at(21), market=MARKET)])
    assert pipeline.advance(at(25))[0].reason == "connecting"
    feed(pipeline, [LookupFailed(at_ns=at(26), reason="timeout")])
    assert pipeline.advance(at(30))[0].reason == "connecting"


def test_a_slot_whose_time_is_over_is_closed_though_nothing_was_ever_known_of_it():
    pipeline = new_pipeline()
    feed(pipeline, [LookupFailed(at_ns=at(1), reason="timeout")])
    assert TARGET.end_ns is not None
    signals = pipeline.advance(TARGET.end_ns)
    assert (signals[-1].signal_type, signals[-1].reason) == (SignalType.MARKET_CLOSED, "closed")


def test_a_slot_that_is_not_listed_yet_is_unavailable_but_an_unknown_fixed_market_is_closed():
    slot = new_pipeline()
    feed(slot, [MarketUpdated(at_ns=at(1), market=None)])
    assert slot.advance(at(5))[0].reason == "not_listed_yet"
    fixed = new_pipeline(Target(key=CONDITION_ID, condition_id=CONDITION_ID))
    feed(fixed, [MarketUpdated(at_ns=at(1), market=None)])
    [signal] = fixed.advance(at(5))
    assert (signal.signal_type, signal.reason) == (SignalType.MARKET_CLOSED, "unknown_market")


def test_metadata_that_vanish_do_not_take_the_market_away():
    pipeline = new_pipeline()
    feed(pipeline, [*begun(), MarketUpdated(at_ns=at(1), market=None)])
    assert pipeline.advance(at(5))[0].condition_id == CONDITION_ID


def test_known_but_never_connected():
    pipeline = new_pipeline()
    feed(pipeline, [MarketUpdated(at_ns=at(1), market=MARKET)])
    assert pipeline.advance(at(5))[0].reason == "connecting"
    feed(pipeline, [Disconnected(at_ns=at(6), epoch=1, reason="refused")])
    assert pipeline.advance(at(10))[0].reason == "refused"


def test_connected_without_a_word_is_unavailable():
    pipeline = new_pipeline()
    feed(pipeline, begun()[:3])
    [signal] = pipeline.advance(at(5))
    assert signal.signal_type is SignalType.MARKET_UNAVAILABLE
    assert signal.quality.feed_state is FeedState.SUBSCRIBED


def test_an_outage_is_unavailable_after_its_grace_and_over_with_the_first_word():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    for second in range(1, 31):
        feed(pipeline, [Frame(at_ns=at(second), text=book())])
    feed(pipeline, [Disconnected(at_ns=at(31), epoch=1, reason="closed")])
    first, second = pipeline.advance(at(40))
    assert first.signal_type is SignalType.LOW_LIQUIDITY_WEAK_NEUTRAL, "30 s to 35 s is within the grace"
    assert (second.signal_type, second.reason) == (SignalType.MARKET_UNAVAILABLE, "closed")
    assert second.window.coverage == pytest.approx(31 / 120), "the seconds that were covered are still told"
    assert second.quality.feed_state is FeedState.BACKOFF
    assert second.market.mid is None, "a stale book must not look alive"
    feed(pipeline, [Connected(at_ns=at(61), epoch=2), Frame(at_ns=at(61), text=book())])
    recovered = pipeline.advance(at(65))[-1]
    assert recovered.signal_type is SignalType.LOW_LIQUIDITY_WEAK_NEUTRAL
    assert recovered.window.coverage == pytest.approx((31 + 4) / 120)
    assert recovered.quality.gaps == 1
    assert recovered.quality.epoch == 2


def test_a_silent_feed_loses_its_quote_and_its_coverage():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    signals = {signal.as_of_ns: signal for signal in pipeline.advance(at(130))}
    assert signals[at(10)].market.mid == 0.5
    assert signals[at(15)].quality.feed_state is FeedState.STALE
    assert signals[at(15)].market.mid is None
    assert signals[at(20)].window.coverage == pytest.approx(10 / 120)
    assert (signals[at(130)].signal_type, signals[at(130)].reason) == (SignalType.MARKET_UNAVAILABLE, "no_data")


def test_the_slots_end_closes_the_market_by_the_clock():
    pipeline = new_pipeline(followed_ns=at(290))
    feed(pipeline, begun(290))
    before, after = pipeline.advance(END_NS)
    assert (before.phase, before.signal_type) == (MarketPhase.OPEN, SignalType.LOW_LIQUIDITY_WEAK_NEUTRAL)
    assert (after.phase, after.signal_type, after.reason) == (MarketPhase.CLOSED, SignalType.MARKET_CLOSED, "closed")
    assert after.quality.feed_state is FeedState.CLOSED
    assert after.market.seconds_to_close == 0.0
    assert after.window.coverage == pytest.approx(10 / 120)


def test_a_resolution_closes_and_later_metadata_do_not_undo_it():
    pipeline = new_pipeline()
    feed(pipeline, [*begun(), Frame(at_ns=at(1), text=resolved(DOWN))])
    assert pipeline.advance(at(5))[0].reason == "resolved"
    assert pipeline.intake.market is not None
    assert pipeline.intake.market.winner is Outcome.DOWN
    feed(pipeline, [MarketUpdated(at_ns=at(6), market=MARKET)])
    assert pipeline.advance(at(10))[0].signal_type is SignalType.MARKET_CLOSED


def test_a_pending_market_is_scored_and_says_that_it_is_pending():
    pipeline = new_pipeline(followed_ns=at(-60))
    feed(pipeline, begun(-60))
    signal = pipeline.advance(at(-55))[0]
    assert signal.phase is MarketPhase.PENDING
    assert signal.signal_type is SignalType.LOW_LIQUIDITY_WEAK_NEUTRAL


def test_tokens_that_do_not_complement_each_other_are_not_scored():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    for n in range(40):
        down = book((("0.79", "5"),), (("0.81", "5"),), asset=DOWN)
        feed(pipeline, [Frame(at_ns=at(0.1 * n), text=book()), Frame(at_ns=at(0.1 * n), text=down)])
    assert pipeline.advance(at(5))[0].reason == "not_complements"


def test_on_demand_changes_no_later_signal():
    records = [*begun(), *(Frame(at_ns=at(n), text=trade(f"0.{50 + n}")) for n in range(1, 9))]
    asked, left_alone = new_pipeline(), new_pipeline()
    signals: list[list[MarketSignals]] = [[], []]
    for record in records:
        signals[0] += asked.receive(record)
        asked.evaluate(record.at_ns)
        signals[1] += left_alone.receive(record)
    signals[0] += asked.advance(at(200))
    signals[1] += left_alone.advance(at(200))
    assert [*map(envelope_line, signals[0])] == [*map(envelope_line, signals[1])]


def test_on_demand_carries_the_instant_it_was_asked_for():
    pipeline = new_pipeline()
    feed(pipeline, [*begun(), Frame(at_ns=at(1), text=trade("0.5"))])
    signal = pipeline.evaluate(at(1.5))
    assert (signal.as_of_ns, signal.window.trades) == (at(1.5), 1)
    assert pipeline.next_deadline() == at(5)


def test_records_never_run_backwards_and_nothing_follows_the_end():
    pipeline = new_pipeline()
    feed(pipeline, begun(1))
    with pytest.raises(RecordError, match="in the past"):
        pipeline.receive(Frame(at_ns=at(0), text=book()))
    pipeline.receive(Unfollowed(at_ns=at(2)))
    assert pipeline.ended
    assert pipeline.advance(at(100)) == []
    with pytest.raises(RecordError, match="after the end"):
        pipeline.receive(Frame(at_ns=at(3), text=book()))


def test_a_scorers_exception_leaves_unchanged():
    def broken(view: object) -> Scores:
        raise ZeroDivisionError("planted")

    pipeline = MarketPipeline(TARGET, followed_ns=at(0), scoring=SCORING, preset=PRESETS["seed"], scorer=broken)
    feed(pipeline, begun())
    with pytest.raises(ZeroDivisionError, match="planted"):
        pipeline.advance(at(5))


def test_a_scorer_out_of_range_is_refused():
    def wild(view: object) -> Scores:
        return Scores(components=Components(momentum=1.0), score=float("nan"), confidence=0.5, confidence_seed=0.5)

    pipeline = MarketPipeline(TARGET, followed_ns=at(0), scoring=SCORING, preset=PRESETS["seed"], scorer=wild)
    feed(pipeline, begun())
    with pytest.raises(ValueError, match="score"):
        pipeline.advance(at(5))


def test_a_book_is_unclean_while_it_is_missing():
    pipeline = new_pipeline()
    assert pipeline.unclean_since_ns is None
    feed(pipeline, begun()[:3])
    assert pipeline.unclean_since_ns == at(0)
    feed(pipeline, [Frame(at_ns=at(1), text=book())])
    assert pipeline.unclean_since_ns is None
    feed(pipeline, [Frame(at_ns=at(2), text=tick_size_change("0.001"))])
    assert pipeline.intake.book_state is BookState.UNSYNCED
    assert pipeline.unclean_since_ns == at(2)
    feed(pipeline, [Disconnected(at_ns=at(3), epoch=1, reason="closed")])
    assert pipeline.unclean_since_ns is None, "there is no socket to blame"


def test_a_lost_change_shows_as_a_book_at_odds_with_the_stated_top():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    feed(pipeline, [Frame(at_ns=at(1), text=change("0.45", "7", "BUY", "0.5", "0.51"))])
    assert pipeline.intake.book_state is BookState.CLEAN
    assert pipeline.unclean_since_ns == at(1)
    feed(pipeline, [Frame(at_ns=at(2), text=change("0.5", "7", "BUY", "0.5", "0.51"))])
    assert pipeline.unclean_since_ns is None


def test_silence_is_told_by_events_of_this_market_alone():
    pipeline = new_pipeline()
    assert pipeline.silent_since_ns is None
    feed(pipeline, begun()[:3])
    assert pipeline.silent_since_ns == at(0)
    feed(pipeline, [Frame(at_ns=at(3), text=book(asset=DOWN)), Frame(at_ns=at(4), text=book())])
    assert pipeline.silent_since_ns == at(3), "the token that has been silent longer counts"
    feed(pipeline, [Frame(at_ns=at(4), text=change("0.5", "7", "BUY", "0.5", "0.51"))])
    assert pipeline.silent_since_ns == at(4)
    announcement = '{"event_type":"new_market","market":"0x' + "cd" * 32 + '","slug":"x","timestamp":"1",'
    announcement += f'"assets_ids":["{UP}","{DOWN}"],"outcomes":["Up","Down"]}}'
    feed(pipeline, [Frame(at_ns=at(9), text=announcement), Frame(at_ns=at(9), text="[]")])
    assert pipeline.silent_since_ns == at(4)
    feed(pipeline, [Connected(at_ns=at(20), epoch=2)])
    assert pipeline.silent_since_ns == at(20)


def test_how_the_feed_stands_may_be_asked_without_a_signal():
    pipeline = new_pipeline()
    states = [pipeline.feed_state(at(0))]
    for record in begun()[1:]:
        feed(pipeline, [record])
        states.append(pipeline.feed_state(at(1)))
    states += [pipeline.feed_state(at(11)), pipeline.feed_state(END_NS)]
    assert states == [
        *(FeedState.CONNECTING, FeedState.CONNECTING, FeedState.SUBSCRIBED, FeedState.LIVE),
        *(FeedState.STALE, FeedState.CLOSED),
    ]


def test_a_one_sided_book_has_no_mid():
    pipeline = new_pipeline()
    feed(pipeline, [*begun(), Frame(at_ns=at(1), text=book((), (("0.01", "5"),)))])
    quote = pipeline.advance(at(5))[0].market
    assert (quote.best_bid, quote.best_ask, quote.mid) == (None, 0.01, None)


def test_the_stamp_covers_preset_window_and_cadence():
    seed = PRESETS["seed"]
    hashes = {
        stamp_of(seed, SCORING).config_hash,
        stamp_of(PRESETS["seed-2"], SCORING).config_hash,
        stamp_of(seed, evolve(SCORING, window_s=60.0)).config_hash,
        stamp_of(seed, evolve(SCORING, cadence_s=1.0)).config_hash,
    }
    assert len(hashes) == 4
    assert stamp_of(seed, SCORING) == stamp_of(seed, ScoringSettings())


def test_the_neutral_signal_knows_what_the_seat_knows():
    stamp = stamp_of(PRESETS["seed"], SCORING)
    signal = neutral_signal(TARGET, MARKET, at(10), reason="quarantined", scoring=SCORING, stamp=stamp)
    assert (signal.signal_type, signal.reason) == (SignalType.MARKET_UNAVAILABLE, "quarantined")
    assert (signal.condition_id, signal.yes_asset_id, signal.no_asset_id) == (CONDITION_ID, UP, DOWN)
    assert (signal.window.start_ns, signal.window.coverage) == (at(-110), 0.0)
    assert signal.market.seconds_to_close == 290.0


# ---------------------------------------------------------------------------------------------- a whole wake-up at once


def terse(text: str) -> str:
    """A message as the venue spells it, without a space."""
    return json.dumps(json.loads(text), separators=(",", ":"))


def terse_change(price: str, size: str, bid: str, ask: str) -> str:
    message = json.loads(change(price, size, "BUY", bid, ask))
    message["price_changes"] = [{**row, "hash": "5f" * 20} for row in message["price_changes"]]
    return terse(json.dumps(message))


TEXTS = (
    *(terse(book()), terse(book(asset=DOWN)), terse(book((("0.4", "5"), ("0.55", "20")), (("0.57", "6"),)))),
    *(terse_change("0.49", "7", "0.49", "0.51"), terse_change("0.5", "3", "0.5", "0.51")),
    *(terse_change("0.5", "0", "0.49", "0.51"), terse_change("0.52", "9", "0.52", "0.51")),
    *(terse(trade("0.5", "12", tx="0x" + digit * 64)) for digit in "12"),
    *(trade("0.47", "1500", side="SELL"), trade("0.6", asset=DOWN), change("0.48", "8", "BUY", "0.5", "0.51")),
    *(tick_size_change("0.001"), tick_size_change("0.01"), "PONG", "<html>", "[]", f"[{book()},{trade('0.5')}]"),
    terse(book()).replace(CONDITION_ID, "0x" + "cd" * 32),
)
CROSSED, MALFORMED = terse(book((("0.52", "1"),))), terse(book((("1", "1"),)))
OTHERS = (*TEXTS, CROSSED, MALFORMED)
texts = st.lists(st.sampled_from(OTHERS), max_size=6)
pauses = st.sampled_from([0.0, 0.01, 0.4, 1.0, 2.6, 5.0, 12.0])


def told(act: Callable[[], list[MarketSignals]]) -> list[str]:
    """The signals that came of it, or the complaint."""
    try:
        return [envelope_line(signal) for signal in act()]
    except RecordError as error:
        return [str(error)]


def one_by_one(pipeline: MarketPipeline, at_ns: int, texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in told(lambda text=text: pipeline.receive(Frame(at_ns=at_ns, text=text)))]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(pauses, texts), max_size=12),
    st.sampled_from(["seed", "corrected-imbalance"]),
    st.none() | st.integers(0, 11),
)
def test_texts_of_one_wake_up_are_as_one_record_each(
    script: list[tuple[float, list[str]]], preset: str, lost_at: int | None
) -> None:
    at_once, apart = new_pipeline(preset=preset), new_pipeline(preset=preset)
    for pipeline in (at_once, apart):
        feed(pipeline, begun())
    now_ns = at(0)
    for number, (pause, batch) in enumerate(script):
        now_ns += to_ns(pause)
        if number == lost_at:
            gone = [Disconnected(at_ns=now_ns, epoch=1, reason="closed"), Connected(at_ns=now_ns, epoch=2)]
            assert [*map(envelope_line, feed(at_once, gone))] == [*map(envelope_line, feed(apart, gone))]
        if batch:
            assert told(lambda: at_once.frames(now_ns, batch)) == one_by_one(apart, now_ns, batch)  # noqa: B023
        assert at_once.next_deadline() == apart.next_deadline()
    assert told(lambda: at_once.advance(now_ns + to_ns(20))) == told(lambda: apart.advance(now_ns + to_ns(20)))


Look = Callable[[MarketPipeline, int], object]

LOOKS: dict[str, Look] = {
    "evaluate": MarketPipeline.evaluate,
    "score": MarketPipeline.score,
    "unclean": lambda pipeline, _: pipeline.unclean_since_ns,
    "book": lambda pipeline, _: pipeline.intake.book,
    "malformed": lambda pipeline, _: pipeline.intake.malformed,
}


@settings(max_examples=40)
@given(
    st.lists(st.tuples(pauses, st.sampled_from(TEXTS), st.none() | st.sampled_from(sorted(LOOKS))), max_size=40),
    st.sampled_from(["seed", "corrected-imbalance"]),
)
def test_nobody_s_look_changes_a_later_signal(script: list[tuple[float, str, str | None]], preset: str) -> None:
    looked_at, left_alone = new_pipeline(preset=preset), new_pipeline(preset=preset)
    for pipeline in (looked_at, left_alone):
        feed(pipeline, begun())
    now_ns = at(0)
    for pause, text, look in script:
        now_ns += to_ns(pause)
        record = Frame(at_ns=now_ns, text=text)
        assert feed(looked_at, [record]) == feed(left_alone, [record])
        if look is not None:
            LOOKS[look](looked_at, now_ns)
    assert looked_at.unclean_since_ns == left_alone.unclean_since_ns
    assert looked_at.advance(now_ns + to_ns(5)) == left_alone.advance(now_ns + to_ns(5))


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([MALFORMED, terse(book())], id="malformed books"),
        pytest.param([CROSSED, CROSSED], id="crossed books"),
        pytest.param(
            [terse(book()), terse(book((("0.79", "5"),), (("0.81", "5"),), asset=DOWN))] * 20, id="no mirrors"
        ),
    ],
)
def test_nobody_s_look_at_such_books_changes_a_later_signal(texts: list[str]) -> None:
    looked_at, left_alone = new_pipeline(), new_pipeline()
    for pipeline in (looked_at, left_alone):
        feed(pipeline, begun())
    for number, text in enumerate(texts):
        for pipeline in (looked_at, left_alone):
            feed(pipeline, [Frame(at_ns=at(0.1 * number), text=text)])
        looked_at.evaluate(at(0.1 * number))
    assert looked_at.unclean_since_ns == left_alone.unclean_since_ns
    assert looked_at.advance(at(5)) == left_alone.advance(at(5))


def test_deadlines_up_to_a_wake_up_come_before_its_texts():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    assert pipeline.frames(at(4.9), [terse(trade("0.5")), trade("0.51")]) == []
    signals = pipeline.frames(at(10), [trade("0.52"), trade("0.53")])
    assert [(signal.as_of_ns, signal.window.trades) for signal in signals] == [(at(5), 2), (at(10), 2)]
    assert pipeline.advance(at(15))[0].window.trades == 4


def test_a_wake_up_without_texts_still_moves_the_clock():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    assert [signal.as_of_ns for signal in pipeline.frames(at(5), [])] == [at(5)]
    with pytest.raises(RecordError, match="in the past"):
        pipeline.frames(at(4), [])


@pytest.mark.parametrize("early", [at(0), at(2) - 1])
def test_texts_of_the_past_are_refused_and_leave_nothing(early: int):
    pipeline = new_pipeline()
    feed(pipeline, [*begun(), Frame(at_ns=at(2), text=trade("0.5"))])
    with pytest.raises(RecordError, match=f"{at(2) - early} ns in the past"):
        pipeline.frames(early, [trade("0.51")])
    assert (pipeline.intake.messages, pipeline.intake.trades.count) == (2, 1)
    assert pipeline.frames(at(2), [trade("0.51")]) == []
    pipeline.advance(at(3))
    with pytest.raises(RecordError, match="in the past"):
        pipeline.frames(at(3) - 1, [trade("0.52")])


def test_no_texts_follow_the_end():
    pipeline = new_pipeline()
    feed(pipeline, [*begun(), Unfollowed(at_ns=at(2))])
    for at_ns in (at(2), at(9)):
        with pytest.raises(RecordError, match="after the end"):
            pipeline.frames(at_ns, [trade("0.5")])
    assert pipeline.intake.messages == 1


def test_a_signal_sees_what_came_before_it_though_nobody_looked():
    pipeline = new_pipeline()
    feed(pipeline, begun())
    pipeline.frames(at(1), [terse_change("0.5", "3", "0.5", "0.51"), terse_change("0.495", "3", "0.5", "0.51")])
    [signal] = pipeline.advance(at(5))
    assert (signal.market.best_bid, signal.quality.book_state) == (0.5, BookState.CLEAN)
    pipeline.frames(at(6), [terse_change("0.52", "3", "0.52", "0.53")])
    assert pipeline.unclean_since_ns == at(6)
    assert pipeline.evaluate(at(7)).quality.book_state is BookState.CROSSED


# ---------------------------------------------------------------------------------------------------- the score alone


def traded() -> list[Record]:
    sides = ("BUY", "SELL", "BUY")
    messages = [trade(f"0.{50 + n}", str(400 * n + 1), side=sides[n % 3], at_ns=at(n)) for n in range(1, 9)]
    records = [Frame(at_ns=at(1.5 * n), text=text) for n, text in enumerate(messages, 1)]
    return [*begun(), *records, Frame(at_ns=at(13), text=terse_change("0.5", "3000", "0.5", "0.51"))]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_score_alone_is_the_signal_s_and_changes_none(preset: str):
    asked, left_alone = new_pipeline(preset=preset), new_pipeline(preset=preset)
    scored = 0
    for record in traded():
        assert feed(asked, [record]) == feed(left_alone, [record])
        for as_of_ns in (record.at_ns, record.at_ns + 7):
            scores, signal = asked.score(as_of_ns), left_alone.evaluate(as_of_ns)
            if signal.reason is None:
                scored += bool(signal.score)
                assert (scores.score, scores.confidence) == (signal.score, signal.confidence)
                assert (scores.components, scores.confidence_seed) == (signal.components, signal.confidence_seed)
    assert scored > 10
    untouched = new_pipeline(preset=preset)
    feed(untouched, traded())
    later = [pipeline.advance(at(200)) for pipeline in (asked, left_alone, untouched)]
    assert later[0] == later[1] == later[2]
    assert [*map(envelope_line, later[0])] == [*map(envelope_line, later[2])]


def test_the_score_alone_is_not_refused():
    pipeline = new_pipeline()
    feed(pipeline, [*begun(), Frame(at_ns=at(1), text=trade("0.5", "100")), Frame(at_ns=at(2), text=trade("0.55"))])
    feed(pipeline, [Frame(at_ns=at(3), text=resolved())])
    assert pipeline.evaluate(at(4)).signal_type is SignalType.MARKET_CLOSED
    assert pipeline.score(at(4)).score > 0
    assert pipeline.next_deadline() == at(5)
