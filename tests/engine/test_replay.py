"""Replay equals live: late wake-ups, split batches and reconnects change no byte."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.envelope import envelope_line
from engine.errors import RecordError
from engine.pipeline import MarketPipeline
from engine.presets import PRESETS
from engine.records import Connected, Disconnected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.replay import replay
from engine.scoring import Scorer, build_scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.signals import AggregateSignal, MarketSignals, Signal
from engine.units import NS_PER_S
from tests.engine.wire_texts import DOWN, MARKET, TARGET, UP, at, book, change, tick_size_change, trade

SCORING = ScoringSettings()
OTHER = evolve(TARGET, key="btc-updown-15m-1", series="btc-15m", slug="btc-updown-15m-1")


def scorer_of(preset: str) -> Callable[[], Scorer]:
    return lambda: build_scorer(PRESETS[preset])


def run(pairs: Sequence[tuple[str, Record]], *, preset: str = "seed") -> list[Signal]:
    return list(
        replay(
            pairs,
            scoring=SCORING,
            preset=PRESETS[preset],
            new_scorer=scorer_of(preset),
            aggregate=AggregateSettings(),
        )
    )


def begun(seconds: float = 0.0, *, target: str = TARGET.key) -> list[tuple[str, Record]]:
    followed = TARGET if target == TARGET.key else OTHER
    return [
        (target, Followed(at_ns=at(seconds), target=followed)),
        (target, MarketUpdated(at_ns=at(seconds), market=MARKET)),
        (target, Connected(at_ns=at(seconds), epoch=1)),
        (target, Frame(at_ns=at(seconds), text=book())),
    ]


texts = st.one_of(
    st.builds(
        trade,
        st.sampled_from(["0.4", "0.45", "0.5", "0.55", "0.61"]),
        st.sampled_from(["0.02", "10", "999", "1000.5", "5000"]),
        asset=st.sampled_from([UP, DOWN]),
        side=st.sampled_from(["BUY", "SELL", ""]),
        tx=st.sampled_from([None, "0x" + "1" * 64, "0x" + "2" * 64]),
    ),
    st.sampled_from(
        [
            book(),
            book((("0.4", "3"), ("0.45", "9")), (("0.6", "2"), ("0.47", "1"))),
            book((), (("0.01", "5"),)),
            change("0.5", "7", "BUY", "0.5", "0.51"),
            tick_size_change("0.001"),
            "PONG",
            "[]",
            "not json",
        ]
    ),
)
steps = st.lists(
    st.tuples(
        st.integers(0, 4 * NS_PER_S) | st.sampled_from([0, NS_PER_S, 5 * NS_PER_S, 40 * NS_PER_S]),
        st.one_of(texts, st.sampled_from(["<connect>", "<disconnect>"])),
    ),
    max_size=60,
)


@st.composite
def journals(draw: st.DrawFn) -> list[Record]:
    """What one market's actor may have seen, from follow to unfollow."""
    records = [record for _, record in begun()]
    now_ns, epoch = at(0), 1
    for wait_ns, what in draw(steps):
        now_ns += wait_ns
        if what == "<connect>":
            epoch += 1
            records.append(Connected(at_ns=now_ns, epoch=epoch))
        elif what == "<disconnect>":
            records.append(Disconnected(at_ns=now_ns, epoch=epoch, reason="closed"))
        else:
            records.append(Frame(at_ns=now_ns, text=what))
    return [*records, Unfollowed(at_ns=now_ns + draw(st.integers(0, 30 * NS_PER_S)))]


@given(journal=journals(), preset=st.sampled_from(sorted(PRESETS)), scheduler=st.randoms(use_true_random=False))
def test_live_with_late_wake_ups_and_split_batches_equals_replay(
    journal: list[Record], preset: str, scheduler: random.Random
) -> None:
    replayed = run([(TARGET.key, record) for record in journal], preset=preset)
    pipeline = MarketPipeline(
        TARGET, followed_ns=journal[0].at_ns, scoring=SCORING, preset=PRESETS[preset], scorer=scorer_of(preset)()
    )
    live: list[MarketSignals] = []
    position = 0
    while position < len(journal):
        taken = journal[position : position + scheduler.randint(1, 5)]
        position += len(taken)
        for record in taken:
            live += pipeline.receive(record)
        if position < len(journal):
            # The owner drains its inbox first, so it never looks at a clock that is past the next record.
            done_ns = taken[-1].at_ns if taken else (journal[position - 1].at_ns if position else journal[0].at_ns)
            wake_ns = scheduler.randint(done_ns, journal[position].at_ns)
            live += pipeline.advance(wake_ns)
            pipeline.evaluate(wake_ns)
    markets = [signal for signal in replayed if isinstance(signal, MarketSignals)]
    assert [*map(envelope_line, live)] == [*map(envelope_line, markets)]
    deadlines = [signal.as_of_ns for signal in live]
    assert deadlines == [*range(at(5), journal[-1].at_ns + 1, 5 * NS_PER_S)]


@given(journal=journals())
def test_two_replays_print_the_same_bytes(journal: list[Record]) -> None:
    pairs = [(TARGET.key, record) for record in journal]
    assert [*map(envelope_line, run(pairs))] == [*map(envelope_line, run(pairs))]


@given(journal=journals(), cut=st.integers(4, 64))
def test_what_comes_later_never_changes_an_earlier_signal(journal: list[Record], cut: int) -> None:
    pairs = [(TARGET.key, record) for record in journal]
    whole, part = run(pairs), run(pairs[:cut])
    assert [*map(envelope_line, part)] == [*map(envelope_line, whole[: len(part)])]


def test_several_markets_come_out_by_deadline_then_target_then_the_aggregate():
    pairs = [*begun(), *begun(1, target=OTHER.key), (TARGET.key, Unfollowed(at_ns=at(12)))]
    signals = run([*pairs, (OTHER.key, Unfollowed(at_ns=at(16)))])
    order = [
        (round((it.as_of_ns - at(0)) / NS_PER_S), it.target if isinstance(it, MarketSignals) else "aggregate")
        for it in signals
    ]
    assert order == [
        (5, OTHER.key),
        (5, TARGET.key),
        (5, "aggregate"),
        (10, OTHER.key),
        (10, TARGET.key),
        (10, "aggregate"),
        (15, OTHER.key),
        (15, "aggregate"),
    ]
    aggregates = [signal for signal in signals if isinstance(signal, AggregateSignal)]
    assert [aggregate.markets_open for aggregate in aggregates] == [2, 2, 1]
    assert not any(aggregate.missing for aggregate in aggregates)


def test_a_market_that_joins_later_does_not_hold_up_earlier_deadlines():
    pairs = [*begun(), *begun(7, target=OTHER.key), (TARGET.key, Unfollowed(at_ns=at(11)))]
    aggregates = [signal for signal in run(pairs) if isinstance(signal, AggregateSignal)]
    assert [(aggregate.as_of_ns, aggregate.markets_open) for aggregate in aggregates] == [(at(5), 1), (at(10), 2)]


def test_a_gap_in_following_starts_a_new_grid():
    pairs = [*begun(), (TARGET.key, Unfollowed(at_ns=at(6))), *begun(61), (TARGET.key, Unfollowed(at_ns=at(66)))]
    markets = [signal.as_of_ns for signal in run(pairs) if isinstance(signal, MarketSignals)]
    assert markets == [at(5), at(65)]


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        ([(TARGET.key, Connected(at_ns=at(0), epoch=1))], "not followed"),
        ([*begun(), *begun()[:1]], "already"),
        ([*begun(), (TARGET.key, Unfollowed(at_ns=at(1))), begun(2)[1]], "not followed"),
        ([*begun(5), (TARGET.key, Frame(at_ns=at(4), text="PONG"))], "past"),
    ],
)
def test_records_out_of_order_are_refused(pairs: list[tuple[str, Record]], complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        run(pairs)
