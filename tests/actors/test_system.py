"""The engine as a whole, against the stand-in venue."""

from __future__ import annotations

import re

import pytest
import trio
import trio.testing
from attrs import evolve

from actors.clock import Clock
from actors.market import Ask
from actors.rest import RestFault
from actors.supervisor import SupervisorFailure
from actors.system import open_engine
from actors.venue import Venue
from engine.envelope import envelope_line
from engine.errors import PresetError
from engine.features import MarketView
from engine.presets import PRESETS, Preset
from engine.records import Disconnected, Record
from engine.replay import replay
from engine.scoring import Scorer, Scores, build_scorer
from engine.settings import AggregateSettings, FollowSettings, ScoringSettings, Settings, SupervisionSettings
from engine.signals import FeedState, MarketSignals, OutsideScore, SignalType
from tests.actors.local_venue import NOWHERE, QUARTER_S, QUIET, every_deadline, follow, ports, rig

MockClock = trio.testing.MockClock
FIVE = f"btc-updown-5m-{QUARTER_S}"
FIVE_NEXT = f"btc-updown-5m-{QUARTER_S + 300}"
FIFTEEN = f"btc-updown-15m-{QUARTER_S}"


async def test_several_series_are_followed_scored_and_aggregated(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m", "btc-15m"), seconds=1) as running:
        await trio.sleep(60)
    for target in (FIVE, FIFTEEN):
        assert every_deadline(running.of(target), running, 5, 60)
        last = running.of(target)[-1]
        assert last.quality.feed_state is FeedState.LIVE
        assert last.signal_type not in (SignalType.MARKET_UNAVAILABLE, SignalType.MARKET_CLOSED)
        assert last.window.coverage == pytest.approx(59 / 120, abs=0.02)
    assert [running.seconds(it) for it in running.aggregates] == [5.0 * n for n in range(1, 13)]
    assert {it.markets_open for it in running.aggregates} == {2}
    assert not any(it.missing for it in running.aggregates)
    assert max(late for lates in running.lateness_s.values() for late in lates) < 0.001


async def test_live_signals_are_the_replay_of_the_tape_byte_for_byte(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m", "btc-15m"), seconds=-80) as running:
        running.venue.faults.down = True
        await trio.sleep(12)
        running.venue.faults.down = False
        await trio.sleep(28)
        running.venue.faults.disconnect(FIFTEEN)
        await trio.sleep(60)
        running.venue.faults.disconnect()
        await trio.sleep(60.5)
    preset = PRESETS["seed"]
    replayed = list(
        replay(
            sorted(running.tape, key=lambda pair: pair[1].at_ns),
            scoring=ScoringSettings(),
            preset=preset,
            new_scorer=lambda: build_scorer(preset),
            aggregate=AggregateSettings(),
        )
    )

    def lines(signals: object) -> list[str]:
        return sorted(envelope_line(signal) for signal in signals)  # type: ignore[attr-defined]

    assert lines(running.signals) == lines(it for it in replayed if isinstance(it, MarketSignals))
    assert lines(running.aggregates) == lines(it for it in replayed if not isinstance(it, MarketSignals))
    assert len(running.signals) > 80
    assert {"metadata_unreachable", "connecting"} & {it.reason for it in running.signals} == {"metadata_unreachable"}


async def test_a_roll_over_leaves_no_gap_and_lets_the_old_slot_go(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=140) as running:
        await trio.sleep(8)
        assert [it.target for it in running.engine.health().markets] == [FIVE]
        await trio.sleep(32)
        assert [it.target for it in running.engine.health().markets] == [FIVE, FIVE_NEXT], "warm before it opens"
        await trio.sleep(140)
        health = running.engine.health()
    assert [it.target for it in health.markets] == [FIVE_NEXT]
    assert health.rollovers == 1
    assert health.worst_rollover_gap_s is not None
    assert health.worst_rollover_gap_s < 1.0
    opened = [it for it in running.of(FIVE_NEXT) if running.seconds(it) >= 300]
    assert opened[0].window.coverage > 0.99
    assert {it.phase.value for it in running.of(FIVE)} == {"open", "closed"}
    assert running.of(FIVE)[-1].signal_type is SignalType.MARKET_CLOSED


async def test_the_venue_dies_for_a_minute_and_everything_recovers_by_itself(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m", "btc-15m"), seconds=1) as running:
        await trio.sleep(29)
        running.venue.faults.down = True
        await trio.sleep(60)
        running.venue.faults.down = False
        await trio.sleep(60)
    for target in (FIVE, FIFTEEN):
        signals = running.of(target)
        assert every_deadline(signals, running, 5, 150)
        types = {running.seconds(it): it.signal_type for it in signals}
        during = [types[second] for second in range(45, 95, 5)]
        assert set(during) == {SignalType.MARKET_UNAVAILABLE}
        assert all(it.score == it.confidence == 0.0 for it in signals if it.signal_type in during)
        last = signals[-1]
        assert last.quality.feed_state is FeedState.LIVE
        assert last.quality.gaps >= 1
        # 29 s before and what came after the outage, of the 120 s up to the last deadline.
        assert last.window.coverage < 0.51
    assert not any(it.missing for it in running.aggregates)
    silent = [it for it in running.aggregates if running.seconds(it) == 60]
    assert [(it.score, it.markets_open, it.markets_scored) for it in silent] == [(None, 2, 0)]


async def test_a_feed_that_freezes_with_its_socket_alive_is_found_out(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m", "btc-15m"), seconds=1) as running:
        await trio.sleep(29)
        running.venue.faults.freeze(FIVE)
        await trio.sleep(60)
        running.venue.faults.thaw(FIVE)
        await trio.sleep(60)
    signals = {running.seconds(it): it for it in running.of(FIVE)}
    assert every_deadline(running.of(FIVE), running, 5, 150)
    assert signals[45].quality.feed_state is FeedState.STALE
    assert signals[45].market.mid is None
    assert signals[70].signal_type is SignalType.MARKET_UNAVAILABLE
    assert signals[70].quality.epoch > 1, "a new socket was tried"
    assert signals[150].quality.feed_state is FeedState.LIVE
    assert signals[150].window.coverage < 0.6
    assert {it.quality.epoch for it in running.of(FIFTEEN)} == {1}


async def test_lost_level_changes_are_noticed_and_mended_by_a_fresh_book(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1, options=evolve(QUIET, message_rate=15.0)) as running:
        running.venue.faults.drop_every(3)
        await trio.sleep(60)
        running.venue.faults.drop_every(0)
        await trio.sleep(60)
    faults = {record.reason for _, record in running.tape if isinstance(record, Disconnected)}
    assert faults == {"resync"}
    assert every_deadline(running.of(FIVE), running, 5, 120)


async def test_everything_down_from_the_start_still_speaks(autojump_clock: MockClock) -> None:
    settings = follow("btc-5m")
    clock = Clock.anchored(QUARTER_S * 10**9)
    venue = Venue(clock, QUIET)
    signals: list[MarketSignals] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        venue.faults.down = True
        async with open_engine(settings, ports=ports(clock, venue)) as engine:
            subscription = engine.signals()
            await trio.sleep(31)
            subscription.close()
            signals = [signal async for signal in subscription]
        nursery.cancel_scope.cancel()
    assert [it.reason for it in signals] == ["metadata_unreachable"] * 6


async def test_a_crash_in_one_scorer_quarantines_that_market_and_touches_no_other(autojump_clock: MockClock) -> None:
    built, armed = 0, False

    def factory(preset: Preset) -> Scorer:
        nonlocal built
        number, sound = built, build_scorer(PRESETS["seed"])
        built += 1

        def score(view: MarketView) -> Scores:
            # The engine tries one out (0); then come the two markets (1, 2), and whoever is restarted.
            if armed and number != 2:
                raise ZeroDivisionError("planted")
            return sound(view)

        return score

    settings = follow(
        "btc-5m", scoring=ScoringSettings(preset="shaky"), supervision=SupervisionSettings(quarantine_s=60)
    )
    async with rig(settings, seconds=1, scorers={"shaky": factory}) as running:
        await trio.sleep(1)
        running.engine.follow("btc-15m")
        await trio.sleep(19)
        armed = True
        await trio.sleep(60)
        states = {it.target: it.actor for it in running.engine.health().markets}
        assert states == {FIVE: "quarantined", FIFTEEN: "running"}
        answer = await running.engine.get_market_score(FIVE)
        assert answer.signal_type is SignalType.MARKET_UNAVAILABLE
        armed = False
        await trio.sleep(120)
        states = {it.target: it.actor for it in running.engine.health().markets}
        assert states == {FIVE: "running", FIFTEEN: "running", FIVE_NEXT: "running"}
    for target in (FIVE, FIFTEEN):
        assert every_deadline(running.of(target), running, 5, 200)
    assert max(running.lateness_s[FIFTEEN]) < 0.25
    reasons = {running.seconds(it): it.reason for it in running.of(FIVE)}
    assert reasons[25] == "actor_down"
    assert reasons[75] == "quarantined"
    assert running.of(FIVE)[-1].signal_type is not SignalType.MARKET_UNAVAILABLE


async def test_most_markets_crashing_is_the_engines_failure(autojump_clock: MockClock) -> None:
    def factory(preset: Preset) -> Scorer:
        def score(view: MarketView) -> Scores:
            raise ZeroDivisionError("planted")

        return score

    settings = follow("btc-5m", "btc-15m", "btc-1h", "btc-4h", scoring=ScoringSettings(preset="broken"))
    with pytest.RaisesGroup(SupervisorFailure, allow_unwrapped=True, flatten_subgroups=True):
        async with rig(settings, seconds=1, scorers={"broken": factory}):
            await trio.sleep(300)


async def test_a_score_on_demand(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(7.5)
        engine = running.engine
        by_slug = await engine.get_market_score(FIVE)
        assert by_slug.condition_id is not None
        by_id = await engine.get_market_score(by_slug.condition_id)
        by_series = await engine.get_market_score("btc-5m")
        assert by_slug == by_id == by_series
        assert running.seconds(by_slug) == pytest.approx(8.5)
        latest = engine.latest(by_slug.condition_id)
        assert latest is not None
        assert running.seconds(latest) == 5
        assert engine.latest("btc-5m") == engine.latest(FIVE) == latest
        assert engine.latest_aggregate() in engine.latest_aggregates()
        assert engine.latest("btc-1d") is None
        stranger = await engine.get_market_score("0x" + "9" * 64)
        assert (stranger.signal_type, stranger.reason) == (SignalType.MARKET_UNAVAILABLE, "not_followed")
        with pytest.raises(ValueError, match=r"^neither a series nor a slug nor a condition id"):
            await engine.get_market_score("No Such Thing!")


async def test_who_asks_the_same_meanwhile_shares_the_answer(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: dict[int, MarketSignals] = {}
    async with rig(follow("btc-5m"), seconds=1) as running, trio.open_nursery() as nursery:
        await trio.sleep(7.5)
        engine = running.engine
        signal = await engine.get_market_score(FIVE)
        put: list[Ask] = []
        monkeypatch.setattr(engine._cast, "ask", lambda _, request: put.append(request))

        async def ask(place: int, scope: trio.CancelScope) -> None:
            with scope:
                answers[place] = await engine.get_market_score((FIVE, "btc-5m")[place % 2])

        scopes = [trio.CancelScope() for _ in range(5)]
        for place, scope in enumerate(scopes):
            nursery.start_soon(ask, place, scope)
            await trio.testing.wait_all_tasks_blocked()
        assert len(put) == 1
        scopes[0].cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert (len(put), answers) == (2, {}), "one of the others has asked in the place of who gave up"
        put[1].reply(signal)
        nursery.start_soon(ask, 5, trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        assert all(answers.pop(place) is signal for place in range(1, 5))
        assert (len(put), answers) == (3, {}), "an answer is for those who asked before it was given"
        asked = trio.current_time()
        await ask(6, trio.CancelScope())
        assert (answers[5].reason, answers[6].reason) == ("no_answer", "no_answer")
        assert trio.current_time() - asked <= 1.0
        assert engine._asked == {}


async def test_markets_come_and_go_while_running(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(10)
        running.engine.follow("btc-15m")
        await trio.sleep(20)
        market = running.engine.latest(FIFTEEN)
        assert market is not None
        running.engine.unfollow("btc-5m")
        await trio.sleep(20)
        assert [it.target for it in running.engine.health().markets] == [FIFTEEN]
        running.engine.follow(f"btc-updown-5m-{QUARTER_S + 600}")
        running.engine.follow(FollowSettings(condition_id=market.condition_id))
        await trio.sleep(20)
        assert market.condition_id is not None
        assert running.engine.latest(market.condition_id) is not None
        assert f"btc-updown-5m-{QUARTER_S + 600}" in {it.target for it in running.engine.health().markets}
    assert every_deadline(running.of(FIVE), running, 5, 30)
    assert every_deadline(running.of(FIFTEEN), running, 15, 70)


@pytest.mark.untraced
async def test_a_market_is_followed_while_somebody_holds_it_and_lingers(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        engine = running.engine
        first, second = engine.hold("btc-15m"), engine.hold("btc-15m")
        await trio.sleep(10)
        assert first.name == second.name == "btc-15m"
        first.release()
        second.release()
        second.release()
        await trio.sleep(200)
        again = engine.hold(FollowSettings(series="btc-15m"))
        await trio.sleep(150)
        again.release()
        await trio.sleep(290)
        assert engine.key_of("btc-15m") == FIFTEEN
        await trio.sleep(12)
        assert engine.key_of("btc-15m") is None
        engine.hold("btc-5m").release()
        await trio.sleep(301)
        assert engine.key_of("btc-5m") is not None, "the settings want it still"
        with pytest.raises(ValueError, match="unknown series 'doge-5m'"):
            engine.hold("doge-5m")
    assert every_deadline(running.of(FIFTEEN), running, 5, 660)
    assert {it.quality.epoch for it in running.of(FIFTEEN)[1:]} == {1}, "without a break"


async def test_what_is_known_of_a_market_is_told(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        engine = running.engine
        await trio.testing.wait_all_tasks_blocked()
        assert engine.key_of("btc-5m") == FIVE
        assert engine.followed_ns("btc-5m") == running.clock.now_ns()
        await trio.sleep(5)
        market = engine.market("btc-5m")
        assert market is not None
        assert market.slug == FIVE
        assert engine.key_of(market.condition_id) == engine.key_of(FIVE) == FIVE
        assert engine.followed_ns(market.condition_id) == (QUARTER_S + 1) * 10**9
        assert (engine.key_of("btc-15m"), engine.market("btc-15m"), engine.followed_ns("btc-15m")) == (None,) * 3


async def test_a_market_is_found_by_its_token_followed_or_not(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(5)
        engine, market = running.engine, running.engine.market("btc-5m")
        assert market is not None
        assert market.down_asset_id is not None
        found = await engine.market_of_asset(market.down_asset_id)
        assert found is not None
        assert found.condition_id == market.condition_id
        assert await engine.market_of_asset("1") is None
        with pytest.raises(ValueError, match="no id of the venue"):
            await engine.market_of_asset("YES_TOKEN")
        running.venue.faults.down = True
        with pytest.raises(RestFault, match="unreachable"):
            await engine.market_of_asset("1")


async def test_a_tap_sees_every_record_of_every_market_until_it_is_ended(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        seen: list[tuple[str, Record]] = []
        await trio.sleep(10)
        already = len(running.tape)
        end = running.engine.tap(lambda key, record: seen.append((key, record)))
        running.engine.follow("btc-15m")
        await trio.sleep(10)
        assert {key for key, _ in seen} == {FIVE, FIFTEEN}
        assert seen == running.tape[already:]
        end()
        end()
        count = len(seen)
        await trio.sleep(10)
        assert (len(seen), len(running.tape) > already + count) == (count, True)


async def test_a_slot_the_venue_closed_early_still_answers_for_its_series(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        await trio.sleep(150)
        engine = running.engine
        market = engine.market("btc-5m")
        assert market is not None
        engine._cast.learn(FIVE, evolve(market, closed=True))
        await trio.sleep(10)
        answer = await engine.get_market_score("btc-5m")
        assert (answer.target, answer.signal_type, answer.reason) == (FIVE, SignalType.MARKET_CLOSED, "closed")
        assert engine.key_of(FIVE_NEXT) == FIVE_NEXT, "the next one is warm, but its time has not come"
        await trio.sleep(139)
        assert engine.key_of("btc-5m") == FIVE_NEXT


async def test_a_series_that_is_none_is_told_at_once(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        with pytest.raises(ValueError, match="unknown series 'doge-5m'; known: btc-5m"):
            running.engine.follow("doge-5m")


async def test_another_underlying_by_condition_id_stays_out_of_the_btc_aggregate(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-15m"), seconds=1) as running:
        running.engine.follow("eth-15m")
        await trio.sleep(10)
        ether = running.engine.latest("eth-15m")
        assert ether is not None
        assert ether.condition_id is not None
        running.engine.unfollow("eth-15m")
        await trio.sleep(1)
        running.engine.follow(ether.condition_id)
        await trio.sleep(30)
        again = running.engine.latest(ether.condition_id)
    assert again is not None
    assert again.underlying == "ETH"
    assert {it.markets_open for it in running.aggregates if it.underlying == "BTC"} == {1}


async def test_a_fixed_market_nobody_knows_is_closed_with_a_reason(autojump_clock: MockClock) -> None:
    stranger = "0x" + "9" * 64
    settings = Settings(follow=(FollowSettings(condition_id=stranger),), venue=NOWHERE)
    async with rig(settings, seconds=1) as running:
        await trio.sleep(20)
    types = {(it.signal_type, it.reason) for it in running.of(stranger)}
    assert (SignalType.MARKET_CLOSED, "unknown_market") in types


async def test_outside_scores_are_fused_into_the_aggregate(autojump_clock: MockClock) -> None:
    settings = follow("btc-15m", aggregate=AggregateSettings(outside=("social",)))
    async with rig(settings, seconds=1) as running:
        await trio.sleep(30)
        running.engine.offer(OutsideScore(name="social", score=0.8, confidence=0.9, at_ns=running.clock.now_ns()))
        await trio.sleep(10)
    before, after = running.aggregates[4], running.aggregates[-1]
    assert before.outside == ()
    assert before.fused_confidence == pytest.approx(0.7 * before.confidence)
    assert [it.name for it in after.outside] == ["social"]
    assert after.fused_confidence != after.confidence


async def test_a_slow_subscriber_loses_its_oldest_and_slows_nobody(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        slow = running.engine.signals(buffer=3)
        await trio.sleep(58.5)
        assert slow.dropped == 8
        assert running.seconds(await slow.__anext__()) == 45
        assert running.engine.health().dropped == 8
        slow.close()
        assert running.engine.health().dropped == 8
    assert every_deadline(running.of(FIVE), running, 5, 55)


async def test_two_engines_in_one_process_do_not_know_each_other(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as one:
        async with open_engine(follow("btc-15m"), ports=ports(one.clock, one.venue)) as other:
            heard = other.signals()
            await trio.sleep(20)
            heard.close()
            assert {it.target async for it in heard} == {FIFTEEN}
        await trio.sleep(20)
    assert {it.target for it in one.signals} == {FIVE}
    assert every_deadline(one.of(FIVE), one, 5, 40)


async def test_the_blocks_own_exception_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(QUARTER_S * 10**9)
    cause = KeyError("cause")
    boom = ValueError("the bot's own")
    with pytest.raises(ValueError, match="the bot's own") as caught:
        async with open_engine(follow("btc-5m"), ports=ports(clock, Venue(clock, QUIET))):
            raise boom from cause
    assert caught.value is boom
    assert caught.value.__cause__ is cause
    own_group = ExceptionGroup("the bot's", [ValueError("inner")])
    with pytest.raises(ExceptionGroup) as caught_group:
        async with open_engine(follow("btc-5m"), ports=ports(clock, Venue(clock, QUIET))):
            raise own_group
    assert caught_group.value is own_group


async def test_cancelling_the_block_ends_everything_and_drains_the_last_signals(autojump_clock: MockClock) -> None:
    clock = Clock.anchored(round((QUARTER_S + 1) * 1e9))
    venue = Venue(clock, QUIET)
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        with trio.move_on_after(9) as scope:
            async with open_engine(follow("btc-5m"), ports=ports(clock, venue)) as engine:
                subscription, aggregates = engine.signals(), engine.aggregates()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert [it.as_of_ns // 10**9 - QUARTER_S async for it in subscription] == [5, 10]
        assert [it.as_of_ns // 10**9 - QUARTER_S async for it in aggregates] == [5, 10]
        nursery.cancel_scope.cancel()


async def test_nothing_stays_behind(autojump_clock: MockClock) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    for _ in range(3):
        async with rig(follow("btc-5m", "btc-15m"), seconds=1):
            await trio.sleep(10)
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_an_unknown_preset_is_told_at_once(autojump_clock: MockClock) -> None:
    settings = evolve(follow("btc-5m"), scoring=ScoringSettings(preset="sead"))
    with pytest.raises(PresetError, match=re.escape("unknown preset 'sead'")):
        async with open_engine(settings):
            pytest.fail("opened")
