"""The seat: every due deadline yields exactly one signal, whoever sits on it, and in order."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from actors.clock import Clock
from actors.seat import Seat
from engine.markets import Market, MarketPhase
from engine.pipeline import stamp_of
from engine.presets import PRESETS
from engine.settings import ScoringSettings
from engine.signals import Components, FeedState, MarketSignals, SignalType
from tests.engine.wire_texts import CONDITION_ID, MARKET, SLUG, TARGET, UP, at

MockClock = trio.testing.MockClock
SCORING = ScoringSettings()
STAMP = stamp_of(PRESETS["seed"], SCORING)


class Stage:
    """A seat followed from some second of the slot on, and what was published through it."""

    def __init__(self, seconds: float = 0.0, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(wall_ns=at(seconds), trio_time=0.0)
        self.published: list[MarketSignals] = []
        self.broken = False
        self.seat = Seat(
            TARGET, followed_ns=at(seconds), clock=self.clock, scoring=SCORING, stamp=STAMP, publish=self.publish
        )

    def publish(self, signal: MarketSignals) -> None:
        self.published.append(signal)
        if self.broken:
            raise ZeroDivisionError("planted")

    def scored(self, seconds: float) -> MarketSignals:
        """A signal as a pipeline makes it."""
        unavailable = self.seat.neutral(at(seconds), "no_data")
        return evolve(
            unavailable,
            signal_type=SignalType.WEAK_NEUTRAL,
            reason=None,
            components=Components(momentum=0.0),
        )

    def said(self) -> list[tuple[float, str | None]]:
        """Deadline (seconds of the slot) and reason of everything published."""
        return [((it.as_of_ns - at(0)) / 1e9, it.reason) for it in self.published]


@pytest.mark.parametrize(("seconds", "first"), [(0.0, 5), (4.9, 5), (5.0, 10), (5.1, 10)])
def test_the_first_deadline_is_the_first_of_the_grid_after_following(seconds: float, first: int) -> None:
    stage = Stage(seconds)
    assert stage.seat.first_deadline_ns == at(first)
    stage.seat.emit(stage.scored(first))
    assert stage.said() == [(first, None)]


def test_signals_pass_through_and_the_last_is_kept() -> None:
    stage = Stage()
    assert stage.seat.latest is None
    signals = [stage.scored(second) for second in (5, 10, 15)]
    for signal in signals:
        stage.seat.emit(signal)
    assert stage.published == signals
    assert stage.seat.latest is signals[-1]


@pytest.mark.parametrize("market", [MARKET, None])
def test_a_failed_look_up_is_kept_until_the_venue_answers(market: Market | None) -> None:
    seat = Stage().seat
    seat.lookup_failed("timeout")
    assert (seat.lookup_failure, seat.answered) == ("timeout", False)
    seat.learn(market)
    assert (seat.lookup_failure, seat.answered, seat.market) == (None, True, market)


def test_a_deadline_is_not_emitted_twice() -> None:
    stage = Stage()
    for second in (5, 10, 10, 5):
        stage.seat.emit(stage.scored(second))
    assert stage.said() == [(5, None), (10, None)]
    assert stage.seat.latest is stage.published[-1]


def test_skipped_deadlines_are_made_up_for_first() -> None:
    stage = Stage()
    stage.seat.emit(stage.scored(20))
    assert stage.said() == [(5, "actor_down"), (10, "actor_down"), (15, "actor_down"), (20, None)]


def test_making_up_includes_the_deadline_of_this_very_instant_and_none_later() -> None:
    stage = Stage()
    stage.seat.make_up(at(10) - 1, "actor_down", FeedState.BACKOFF)
    assert stage.said() == [(5, "actor_down")]
    stage.seat.make_up(at(10), "actor_down", FeedState.BACKOFF)
    stage.seat.make_up(at(10), "actor_down", FeedState.BACKOFF)
    assert stage.said() == [(5, "actor_down"), (10, "actor_down")]


def test_the_first_occupant_speaks_from_the_beginning_the_next_from_now_on() -> None:
    stage = Stage(1)
    assert stage.seat.occupy(at(3)) == at(1)
    stage.seat.emit(stage.scored(5))
    assert stage.seat.occupy(at(15)) == at(15)
    assert stage.said() == [(5, None), (10, "actor_down"), (15, "actor_down")]
    assert {it.quality.feed_state for it in stage.published[1:]} == {FeedState.CONNECTING}
    assert stage.seat.occupy(at(16)) == at(16)
    assert len(stage.published) == 3


def test_a_publication_that_fails_is_not_repeated() -> None:
    stage = Stage()
    stage.broken = True
    with pytest.raises(ZeroDivisionError):
        stage.seat.emit(stage.scored(10))
    stage.broken = False
    stage.seat.emit(stage.scored(10))
    assert stage.said() == [(5, "actor_down"), (10, None)]


def test_what_is_made_up_is_unavailable_and_says_what_the_seat_knows() -> None:
    stage = Stage()
    before = stage.seat.neutral(at(7), "actor_down")
    assert (before.signal_type, before.reason) == (SignalType.MARKET_UNAVAILABLE, "actor_down")
    assert (before.score, before.confidence, before.confidence_seed, before.components) == (0.0, 0.0, 0.0, Components())
    assert (before.target, before.series, before.slug, before.condition_id) == (SLUG, "btc-5m", SLUG, None)
    assert (before.window.coverage, before.window.start_ns, before.window.end_ns) == (0.0, at(-113), at(7))
    assert (before.market.seconds_to_close, before.phase, before.preset) == (293.0, MarketPhase.OPEN, STAMP)
    stage.seat.learn(MARKET)
    known = stage.seat.neutral(at(301), "quarantined", FeedState.QUARANTINED)
    assert (known.condition_id, known.yes_asset_id) == (CONDITION_ID, UP)
    assert (known.phase, known.quality.feed_state) == (MarketPhase.CLOSED, FeedState.QUARANTINED)
    assert stage.published == []


def test_an_unknown_market_is_an_answer_but_takes_nothing_back() -> None:
    stage = Stage()
    assert not stage.seat.answered
    stage.seat.learn(None)
    assert (stage.seat.answered, stage.seat.market) == (True, None)
    stage.seat.learn(MARKET)
    stage.seat.learn(None)
    assert stage.seat.market == MARKET


async def test_the_understudy_speaks_at_every_deadline_on_time(autojump_clock: MockClock) -> None:
    stage = Stage(3, Clock.anchored(at(3)))
    spoken_s: list[float] = []
    stage.seat._publish = lambda signal: spoken_s.append((stage.clock.now_ns() - signal.as_of_ns) / 1e9)
    await trio.sleep(8)
    with trio.move_on_after(14.5):
        await stage.seat.understudy()
    assert spoken_s == pytest.approx([6.0, 1.0, 0.0, 0.0, 0.0], abs=1e-6)
    assert stage.seat.latest is not None
    assert (stage.seat.latest.reason, stage.seat.latest.as_of_ns) == ("quarantined", at(25))
    assert stage.seat.latest.quality.feed_state is FeedState.QUARANTINED


async def test_between_actor_understudy_and_actor_no_deadline_is_lost_or_doubled(autojump_clock: MockClock) -> None:
    stage = Stage(0, Clock.anchored(at(0)))
    seat = stage.seat
    seat.occupy(stage.clock.now_ns())
    await trio.sleep(6)
    seat.emit(stage.scored(5))
    with trio.move_on_after(10):
        await seat.understudy()
    seat.occupy(stage.clock.now_ns())
    seat.emit(stage.scored(15))
    await trio.sleep(4)
    seat.emit(stage.scored(20))
    assert stage.said() == [(5, None), (10, "quarantined"), (15, "quarantined"), (20, None)]


steps = st.lists(
    st.tuples(st.sampled_from(["emit", "occupy", "make up"]), st.integers(0, 60), st.floats(0, 4)), max_size=30
)


@given(st.floats(0, 20), steps)
def test_exactly_one_signal_per_deadline_whatever_happens(
    followed_s: float, script: list[tuple[str, int, float]]
) -> None:
    stage = Stage(followed_s)
    for what, number, more in script:
        if what == "emit":
            stage.seat.emit(stage.scored(5 * number))
        elif what == "occupy":
            stage.seat.occupy(at(5 * number + more))
        else:
            stage.seat.make_up(at(5 * number + more), "quarantined", FeedState.QUARANTINED)
    deadlines = [it.as_of_ns for it in stage.published]
    first_ns = stage.seat.first_deadline_ns
    assert deadlines == [first_ns + index * 5 * 10**9 for index in range(len(deadlines))]
    assert stage.seat.latest is (stage.published[-1] if stage.published else None)
