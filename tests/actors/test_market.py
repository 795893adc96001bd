"""The market actor: every deadline one signal, through crashes, outages and floods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random

import pytest
import structlog
import trio
import trio.testing
from attrs import evolve

from actors.alarm import Alarm
from actors.clock import Clock
from actors.faults import FaultKind
from actors.market import (
    INBOX_ASKS,
    INBOX_RECORDS,
    UNREAD_CHARACTERS,
    UNREAD_WAKE_UPS,
    Ask,
    MarketActor,
    MarketTools,
)
from actors.reconnect import Listener
from actors.seat import Seat
from actors.taps import Taps
from engine.features import MarketView
from engine.markets import Market, Target
from engine.pipeline import MarketPipeline, stamp_of
from engine.presets import PRESETS
from engine.records import (
    Connected,
    Disconnected,
    Followed,
    Frame,
    LookupFailed,
    MarketUpdated,
    Record,
    Unfollowed,
)
from engine.scoring import Scorer, Scores, build_scorer
from engine.settings import FeedSettings, ScoringSettings
from engine.signals import FeedState, MarketSignals, SignalType
from tests.engine.wire_texts import CONDITION_ID, DOWN, MARKET, TARGET, at, book, resolved, trade

SCORING = ScoringSettings()
FEED = FeedSettings()
SEED = PRESETS["seed"]


class FakeConnection:
    """Stands for the reconnector: says when it was started, with what, and how often it was hung up."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.epochs: list[int] = []
        self.hung_up: list[FaultKind] = []
        self.running = False

    def hang_up(self, kind: FaultKind, detail: str) -> None:
        self.hung_up.append(kind)

    async def run(self, market: Market, first_epoch: int) -> None:
        self.epochs.append(first_epoch)
        self.running = True
        try:
            await trio.sleep_forever()
        finally:
            self.running = False


class Stage:
    """A market actor, its seat, and everything around it as seen from outside."""

    def __init__(
        self,
        target: Target = TARGET,
        *,
        seconds: float = 0.0,
        scoring: ScoringSettings = SCORING,
        feed: FeedSettings = FEED,
    ) -> None:
        self.clock = Clock.anchored(at(seconds))
        self.alarm = Alarm(self.clock)
        self.scoring = scoring
        self.signals: list[MarketSignals] = []
        self.tape: list[Record] = []
        self.refreshed: list[str] = []
        self.connections: list[FakeConnection] = []
        self.pipelines: list[MarketPipeline] = []
        self.scorer: Scorer = build_scorer(SEED)
        self.seat = Seat(
            target,
            followed_ns=self.clock.now_ns(),
            clock=self.clock,
            scoring=scoring,
            stamp=stamp_of(SEED, scoring),
            publish=self.signals.append,
        )
        self.tools = MarketTools(
            clock=self.clock,
            alarm=self.alarm,
            new_pipeline=self.pipeline,
            new_reconnector=self.reconnector,  # type: ignore[arg-type]
            refresh=self.refreshed.append,
            feed=feed,
            log=structlog.get_logger(),
            tape=lambda key, record: self.tape.append(record),
        )
        self.actor = MarketActor(self.seat, self.tools)

    def pipeline(self, seat: Seat, followed_ns: int) -> MarketPipeline:
        made = MarketPipeline(
            seat.target,
            followed_ns=followed_ns,
            scoring=self.scoring,
            preset=SEED,
            scorer=self.score,
        )
        self.pipelines.append(made)
        return made

    def score(self, view: MarketView) -> Scores:
        return self.scorer(view)

    def reconnector(self, seat: Seat, listener: Listener) -> FakeConnection:
        self.connections.append(FakeConnection(listener))
        return self.connections[-1]

    @property
    def connection(self) -> FakeConnection:
        return self.connections[-1]

    def connect(self, epoch: int = 1) -> None:
        self.connection.listener.connected(epoch)
        self.say(book())

    def say(self, *texts: str) -> None:
        """What comes with one wake-up of the connection."""
        self.connection.listener.deliver(texts)

    def due(self) -> list[float]:
        """Deadlines of the signals so far, seconds after the slot's start."""
        return [(signal.as_of_ns - at(0)) / 1e9 for signal in self.signals]


@asynccontextmanager
async def playing(stage: Stage) -> AsyncIterator[Stage]:
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.alarm.run)
        await nursery.start(stage.actor.run)
        yield stage
        nursery.cancel_scope.cancel()


def frames(stage: Stage) -> list[Frame]:
    return [record for record in stage.tape if isinstance(record, Frame)]


def grid(seconds: Iterable[int]) -> list[float]:
    return [float(second) for second in seconds]


async def test_every_deadline_yields_one_signal_with_nothing_known(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        await trio.sleep(21)
    assert stage.due() == grid([5, 10, 15, 20])
    assert {signal.reason for signal in stage.signals} == {"no_metadata"}
    assert stage.connection.epochs == [], "no market, no socket"


async def test_it_connects_once_the_market_is_known_and_scores(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        await trio.sleep(1)
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        assert stage.connection.epochs == [1]
        stage.connect()
        stage.say(trade("0.5"), trade("0.55"))
        await trio.sleep(4)
        assert stage.actor.feed_state is FeedState.LIVE
    [signal] = stage.signals
    assert signal.components.momentum == 1.0
    assert signal.window.coverage == pytest.approx(3 / 120)
    assert stage.seat.market == MARKET


async def test_a_deadline_is_exact_and_what_comes_with_it_falls_after(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        stage.connect()
        await trio.sleep(5)
        stage.say(trade("0.5"))
        await trio.sleep(5.1)
    first, second = stage.signals
    assert (first.window.trades, second.window.trades) == (0, 1)
    assert stage.due() == grid([5, 10])


async def test_an_ask_is_answered_at_once_and_published_to_nobody(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        stage.connect()
        await trio.sleep(2)
        request = Ask()
        stage.actor.ask(request)
        await request.done.wait()
        assert request.answer is not None
        assert request.answer.as_of_ns == at(2)
        assert request.answer.signal_type is SignalType.LOW_LIQUIDITY_WEAK_NEUTRAL
    assert stage.signals == []


async def test_all_who_ask_at_one_time_get_one_answer_that_is_made_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    evaluated: list[MarketView] = []
    stage = Stage()
    sound = stage.scorer

    def counting(view: MarketView) -> Scores:
        evaluated.append(view)
        return sound(view)

    stage.scorer = counting
    async with playing(stage):
        stage.actor.learn(MARKET)
        stage.connect()
        await trio.sleep(2)
        asks = [Ask() for _ in range(50)]
        for ask in asks:
            stage.actor.ask(ask)
        for ask in asks:
            await ask.done.wait()
        assert len(evaluated) == 1
        assert all(ask.answer is asks[0].answer for ask in asks)
        assert asks[0].answer is not None
        assert asks[0].answer.as_of_ns == at(2)


async def test_who_asks_a_gone_actor_is_answered_neutrally(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        pass
    late = Ask()
    stage.actor.ask(late)
    assert late.answer is not None
    assert late.answer.reason == "actor_down"


async def test_a_crowd_that_asks_is_bounded_and_in_nobodys_way(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        await trio.sleep(1)
        asks = [Ask() for _ in range(1000)]
        for ask in asks:
            stage.actor.ask(ask)
        stage.connection.listener.disconnected(1, "closed")
        await trio.sleep(1)
        assert stage.actor.feed_state is FeedState.BACKOFF
        refused = 1000 - INBOX_ASKS
        assert [ask.answer.reason for ask in asks if ask.answer] == [None] * INBOX_ASKS + ["no_answer"] * refused


async def test_of_more_news_than_there_is_room_for_the_newest_holds(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        await trio.sleep(1)
        for _ in range(2 * INBOX_RECORDS):
            stage.actor.lookup_failed("timeout")
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        assert stage.connection.running
    assert [type(record) for record in stage.tape[1:-1]] == [LookupFailed] * (INBOX_RECORDS - 1) + [MarketUpdated]


async def test_stop_emits_what_is_due_and_ends(autojump_clock: trio.testing.MockClock) -> None:
    stage = Stage()
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.actor.run)
        await trio.sleep(5)
        stage.actor.stop()
    assert stage.due() == grid([5])
    assert isinstance(stage.tape[-1], Unfollowed)


async def test_a_cancelled_actor_says_nothing_while_its_connection_takes_leave(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow_to_leave(connection: FakeConnection, market: Market, first_epoch: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(12)

    monkeypatch.setattr(FakeConnection, "run", slow_to_leave)
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(6)
    assert trio.current_time() == 18
    assert stage.due() == [5]
    assert stage.seat.left_ns == at(18)


async def test_what_arrives_with_the_end_or_after_it_is_no_crash(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        stage.actor.stop()
        stage.say(trade("0.5"), trade("0.6"))
        late = Ask()
        stage.actor.ask(late)
        await late.done.wait()
    assert late.answer is not None
    assert late.answer.reason == "actor_down"
    assert isinstance(stage.tape[-1], Unfollowed), "a tape ends with the market"


async def test_the_tape_holds_every_record_in_order(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        await trio.sleep(1)
    assert [type(record) for record in stage.tape] == [Followed, MarketUpdated, Connected, Frame, Unfollowed]
    stamps = [record.at_ns for record in stage.tape]
    assert stamps == sorted(stamps)


async def test_a_crashing_scorer_leaves_and_the_next_actor_makes_up_for_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stage = Stage()
    healthy = stage.scorer

    def broken(view: object) -> object:
        raise ZeroDivisionError("planted")

    stage.actor.learn(MARKET)
    stage.scorer = broken  # type: ignore[assignment]
    with pytest.RaisesGroup(pytest.RaisesExc(ZeroDivisionError, match="planted"), flatten_subgroups=True):
        async with playing(stage):
            await trio.sleep(1)
            stage.connect()
            await trio.sleep(10)
    assert stage.due() == []
    stage.scorer = healthy
    stage.actor = MarketActor(stage.seat, stage.tools)
    assert stage.due() == grid([5]), "made up for as soon as somebody sits down"
    assert stage.signals[0].reason == "actor_down"
    async with playing(stage):
        await trio.sleep(1)
        assert stage.connection.epochs == [2], "the market is known from the seat, the epoch goes on"
        stage.connect(2)
        await trio.sleep(10)
    assert stage.due() == grid([5, 10, 15])
    assert stage.signals[-1].signal_type is SignalType.LOW_LIQUIDITY_WEAK_NEUTRAL


async def test_why_there_are_no_metadata_is_said_and_survives_a_restart(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stage = Stage()
    async with playing(stage):
        await trio.sleep(1)
        stage.actor.lookup_failed("timeout")
        await trio.sleep(5)
    stage.actor = MarketActor(stage.seat, stage.tools)
    async with playing(stage):
        await trio.sleep(6)
        stage.actor.learn(MARKET)
        await trio.sleep(5)
    assert [signal.reason for signal in stage.signals] == ["metadata_timeout", "metadata_timeout", "connecting"]
    kinds = [Followed, LookupFailed, Unfollowed, Followed, LookupFailed, MarketUpdated, Unfollowed]
    assert [type(record) for record in stage.tape] == kinds
    stage.actor = MarketActor(stage.seat, stage.tools)
    async with playing(stage):
        await trio.sleep(1)
    assert [type(record) for record in stage.tape[-3:]] == [Followed, MarketUpdated, Unfollowed]


async def test_an_ask_that_meets_a_crash_is_answered_all_the_same(autojump_clock: trio.testing.MockClock) -> None:
    stage = Stage()

    def broken(view: object) -> object:
        raise ZeroDivisionError("planted")

    stage.actor.learn(MARKET)
    request, behind = Ask(), Ask()
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with playing(stage):
            await trio.sleep(1)
            stage.connect()
            await trio.sleep(1)
            stage.scorer = broken  # type: ignore[assignment]
            stage.actor.ask(request)
            stage.actor.ask(behind)
            await trio.sleep(1)
    assert request.answer is not None
    assert behind.answer is not None
    assert {request.answer.reason, behind.answer.reason} == {"actor_down"}


# What the connection's task does.


async def test_a_wake_up_has_one_time_and_keeps_its_order(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        await trio.sleep(1)
        words = [trade(f"0.{cents}", tx=f"0x{cents}") for cents in range(40, 60)]
        stage.say(*words)
    assert [(it.at_ns, it.text) for it in frames(stage)[1:]] == [(at(2), word) for word in words]


async def test_without_anybody_who_looks_on_the_signals_are_the_same(autojump_clock: trio.testing.MockClock) -> None:
    shown, hidden = Stage(), Stage()
    hidden.actor = MarketActor(hidden.seat, evolve(hidden.tools, tape=Taps()))
    async with playing(shown), playing(hidden):
        for stage in (shown, hidden):
            stage.actor.learn(MARKET)
        await trio.sleep(1)
        for stage in (shown, hidden):
            stage.connect()
            stage.say(trade("0.5"), trade("0.55"))
        await trio.sleep(5)
    assert hidden.signals == shown.signals
    assert shown.signals[0].window.trades == 2
    assert hidden.tape == []


async def test_what_waits_is_older_than_a_message_and_goes_in_first(mock_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        await trio.testing.wait_all_tasks_blocked()
        stage.actor.lookup_failed("timeout")
        mock_clock.jump(1)
        stage.actor.learn(MARKET)
        mock_clock.jump(1)
        stage.connect()  # and the actor's task has not had its turn
        assert [(type(it), it.at_ns) for it in stage.tape[1:]] == [
            (LookupFailed, at(0)),
            (MarketUpdated, at(1)),
            (Connected, at(2)),
            (Frame, at(2)),
        ]


async def test_a_late_message_fires_what_was_due_before_it_and_the_actor_not_again(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.testing.wait_all_tasks_blocked()
        stage.connect()
        for _ in range(4):
            mock_clock.jump(3)
            stage.say(trade("0.5"))
        assert stage.actor.feed_state is FeedState.LIVE
        assert stage.due() == grid([5, 10])
        request = Ask()
        stage.actor.ask(request)
        await trio.testing.wait_all_tasks_blocked()
        assert request.answer is not None
        assert request.answer.as_of_ns == at(12)
    assert stage.due() == grid([5, 10])


def _hang_up(stage: Stage) -> None:
    stage.connection.listener.disconnected(1, "closed")


def _flood(stage: Stage) -> None:
    stage.say("x" * (UNREAD_CHARACTERS + 1))


@pytest.mark.parametrize("look", [_hang_up, _flood, lambda stage: stage.actor.feed_state])
async def test_a_crash_over_a_message_is_the_actors_and_nobody_elses(
    mock_clock: trio.testing.MockClock, look: Callable[[Stage], object]
) -> None:
    stage = Stage()
    request = Ask()

    def broken(view: object) -> Scores:
        raise ZeroDivisionError("planted")

    with pytest.RaisesGroup(pytest.RaisesExc(ZeroDivisionError, match="planted"), flatten_subgroups=True):
        async with playing(stage):
            stage.actor.learn(MARKET)
            await trio.testing.wait_all_tasks_blocked()
            stage.connect()
            stage.scorer = broken
            mock_clock.jump(6)
            stage.say(trade("0.5"))
            look(stage)  # raises nothing: a session would take it for a bug of its own
            told = len(stage.tape)
            stage.say(trade("0.6"))
            stage.connection.listener.disconnected(1, "closed")
            assert stage.actor.feed_state is FeedState.LIVE
            assert len(stage.tape) == told, "the wreck takes in nothing"
            stage.actor.learn(MARKET)
            stage.actor.ask(request)
            assert stage.connection.running
            await trio.testing.wait_all_tasks_blocked()
    assert request.answer is not None
    assert request.answer.reason == "actor_down"
    assert not stage.connection.running
    assert stage.due() == []


async def test_a_tap_that_crashes_over_a_message_crashes_the_actor(autojump_clock: trio.testing.MockClock) -> None:
    stage = Stage()

    def broken(key: str, record: Record) -> None:
        if isinstance(record, Frame):
            raise ZeroDivisionError

    stage.tools = evolve(stage.tools, tape=broken)
    stage.actor = MarketActor(stage.seat, stage.tools)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with playing(stage):
            stage.actor.learn(MARKET)
            await trio.sleep(1)
            stage.connect()
            await trio.sleep(1)


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        ([trade("0.5", tx=f"0x{number}") for number in range(UNREAD_WAKE_UPS - 1)], 0),
        ([trade("0.5", tx=f"0x{number}") for number in range(UNREAD_WAKE_UPS)], UNREAD_WAKE_UPS),
        ([trade("0.5", tx=f"0x{number}") for number in range(UNREAD_WAKE_UPS + 1)], UNREAD_WAKE_UPS),
        (["x" * UNREAD_CHARACTERS], 0),
        (["x" * (UNREAD_CHARACTERS + 1)], 1),
        (["x" * UNREAD_CHARACTERS, "y", "z"], 2),
    ],
)
async def test_messages_wait_to_be_read_but_not_too_many(
    mock_clock: trio.testing.MockClock, texts: list[str], read: int
) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.testing.wait_all_tasks_blocked()
        stage.connection.listener.connected(1)
        for text in texts:
            stage.say(text)
        assert stage.pipelines[0].intake.messages == read
        assert [it.text for it in frames(stage)] == texts, "what waits is on the tape"
        mock_clock.jump(6)
        await trio.testing.wait_all_tasks_blocked()
        assert stage.signals[-1].quality.messages == len(texts)


async def test_a_market_that_is_resolved_by_a_message_is_left_at_the_next_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with playing(Stage(scoring=ScoringSettings(cadence_s=600.0))) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        await trio.sleep(0.25)
        stage.say(resolved())
        await trio.sleep(FEED.resync_s)
        assert not stage.connection.running
        (gone,) = [it for it in stage.tape if isinstance(it, Disconnected)]
        assert at(1.25) <= gone.at_ns <= at(1.25 + FEED.resync_s)


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_the_order_of_turns_the_tape_says_what_was_live(
    mock_clock: trio.testing.MockClock, seed: int
) -> None:
    """Late wake-ups, split batches, reconnects and news in any order; the pure pipeline has the tape alone."""
    chance = Random(seed)
    stage = Stage()
    epoch = 0
    async with playing(stage):
        for _ in range(150):
            turn = chance.randrange(12)
            if turn == 0:
                stage.actor.learn(evolve(MARKET, accepting_orders=chance.random() < 0.9))
            elif turn == 1:
                stage.actor.lookup_failed("timeout")
            elif turn == 2:
                stage.actor.ask(Ask())
            elif turn == 3:
                epoch += 1
                stage.connection.listener.connected(epoch)
            elif turn == 4:
                stage.connection.listener.disconnected(epoch, "closed")
            elif turn == 5:
                await trio.lowlevel.checkpoint()
            elif turn == 6:
                await trio.testing.wait_all_tasks_blocked()
            elif turn == 7:
                mock_clock.jump(chance.choice((0.0, 0.001, 0.5, 5.0, 12.5)))
            else:
                words = (book(), book(asset=DOWN), trade("0.5", tx=str(chance.random())), trade("0.6"), "[]", "rubbish")
                stage.say(*chance.choices(words, k=chance.randrange(5)))
        stage.actor.stop()
        await trio.testing.wait_all_tasks_blocked()
    stamps = [record.at_ns for record in stage.tape]
    assert stamps == sorted(stamps)
    pure = stage.pipeline(stage.seat, stage.tape[0].at_ns)
    assert stage.signals == [signal for record in stage.tape for signal in pure.receive(record)]
    assert len(stage.signals) > 1


# How it looks after the feed.


@pytest.mark.parametrize("unclean_at_s", [1.0, 13.3, 24.9])
async def test_a_bad_book_is_found_in_time_however_rare_the_deadlines(
    autojump_clock: trio.testing.MockClock, unclean_at_s: float
) -> None:
    async with playing(Stage(scoring=ScoringSettings(cadence_s=600.0))) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(0.5)
        stage.connect()
        stage.say(book(asset=DOWN))
        await trio.sleep(unclean_at_s - 0.5)
        stage.say(book((("0.6", "1"),), (("0.5", "1"),)))
        await trio.sleep(FEED.resync_s - 0.01)
        assert stage.connection.hung_up == []
        await trio.sleep(0.02)
        assert stage.connection.hung_up == [FaultKind.RESYNC]


async def test_a_short_patience_makes_no_hot_loop(autojump_clock: trio.testing.MockClock) -> None:
    looks = 0

    class Counting(MarketPipeline):
        @property
        def unclean_since_ns(self) -> int | None:
            nonlocal looks
            looks += 1
            return super().unclean_since_ns

    stage = Stage(feed=FeedSettings(resync_s=1e-9, idle_s=1e-9))
    stage.tools = evolve(
        stage.tools,
        new_pipeline=lambda seat, followed_ns: Counting(
            seat.target, followed_ns=followed_ns, scoring=SCORING, preset=SEED, scorer=stage.score
        ),
    )
    stage.actor = MarketActor(stage.seat, stage.tools)
    async with playing(stage):
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connection.listener.connected(1)
        await trio.sleep(60)
    assert looks < 100


async def test_a_crowd_that_asked_once_leaves_no_looks_behind(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    monkeypatch.setattr(MarketPipeline, "silent_since_ns", property(lambda _: looks.append(trio.current_time())))
    async with playing(Stage(scoring=ScoringSettings(cadence_s=600.0))) as stage:
        stage.actor.learn(MARKET)
        for _ in range(100):
            await trio.sleep(0.01)
            stage.actor.ask(Ask())
        await trio.testing.wait_all_tasks_blocked()
        assert len(looks) > 100
        looks.clear()
        await trio.sleep(100 * FEED.resync_s)
    assert 0 < len(looks) <= 101, "one every resync_s"


async def test_a_book_that_stays_away_calls_for_a_new_socket(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connection.listener.connected(1)
        await trio.sleep(FEED.first_event_s + 0.99)
        assert stage.connection.hung_up == [], "of silence the session speaks first"
        await trio.sleep(0.02)
        assert stage.connection.hung_up == [FaultKind.RESYNC]


async def test_a_book_that_does_not_come_right_is_not_asked_for_all_the_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        for _ in range(40):
            crossed = (("0.6", "1"),), (("0.5", "1"),)
            stage.say(book(*crossed), book((("0.5", "1"),), (("0.4", "1"),), asset=DOWN))
            await trio.sleep(1)
        assert stage.connection.hung_up == [FaultKind.RESYNC] * 2


async def test_one_token_that_falls_silent_while_the_other_speaks_is_found_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        for _ in range(35):
            await trio.sleep(1)
            stage.say(book(asset=DOWN))
        assert FaultKind.STALE in stage.connection.hung_up


async def test_a_socket_that_speaks_of_other_markets_only_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        for _ in range(35):
            await trio.sleep(1)
            stage.say(book().replace(CONDITION_ID, "0x" + "cd" * 32), "[]")
        assert FaultKind.STALE in stage.connection.hung_up


async def test_the_connection_ends_with_the_slot(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage(seconds=290)) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        await trio.sleep(8)
        assert stage.connection.running
        await trio.sleep(2)
        assert not stage.connection.running
        assert stage.actor.feed_state is FeedState.CLOSED
    assert stage.signals[-1].signal_type is SignalType.MARKET_CLOSED


async def test_a_market_that_takes_orders_again_is_listened_to_again(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        stage.actor.learn(evolve(MARKET, accepting_orders=False))
        await trio.sleep(20)
        assert not stage.connection.running
        assert [it.epoch for it in stage.tape if isinstance(it, Disconnected)] == [1]
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        assert stage.actor.feed_state is FeedState.BACKOFF
        assert stage.connection.running
        assert stage.connection.epochs == [1, 2]
        stage.connect(epoch=2)
        await trio.sleep(5)
    assert stage.signals[2].signal_type is SignalType.MARKET_CLOSED
    assert stage.signals[-1].quality.feed_state is FeedState.LIVE


async def test_other_tokens_need_another_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage()) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        stage.actor.learn(evolve(MARKET, up_asset_id="77"))
        await trio.sleep(1)
        assert stage.connection.running
        assert stage.connection.epochs == [1, 2]


async def test_a_fixed_market_is_looked_up_again_after_a_fault_a_slot_is_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    fixed = Target(key=CONDITION_ID, condition_id=CONDITION_ID)
    for target, expected in ((fixed, [CONDITION_ID]), (TARGET, [])):
        async with playing(Stage(target)) as stage:
            stage.actor.learn(evolve(MARKET, start_ns=None, end_ns=None))
            await trio.sleep(1)
            stage.connection.listener.disconnected(1, "closed")
            await trio.sleep(1)
        assert stage.refreshed == expected


async def test_the_gap_of_a_roll_over_is_measured(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage(seconds=-60)) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        for _ in range(62):
            await trio.sleep(1)
            stage.say(book())
        assert stage.seat.opening_gap_s == 0.0


async def test_a_slot_that_comes_alive_late_says_how_late(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage(seconds=-60)) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(60.75)
        assert stage.seat.opening_gap_s is None
        stage.connect()
        await trio.sleep(1)
        assert stage.seat.opening_gap_s == pytest.approx(0.75)


async def test_a_slot_followed_after_its_start_has_no_roll_over(autojump_clock: trio.testing.MockClock) -> None:
    async with playing(Stage(seconds=10)) as stage:
        stage.actor.learn(MARKET)
        await trio.sleep(1)
        stage.connect()
        await trio.sleep(6)
        assert stage.seat.opening_gap_s is None
