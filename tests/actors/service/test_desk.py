"""Which market is answered for, when, and in which words; all of it on one loop, in the venue's own time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve

from actors.service import MarketMicrostructureService
from actors.service.desk import Desk, refusal
from actors.service.tokens import TokenLookup
from actors.system import Engine
from actors.venue import Venue
from engine.features import MarketView
from engine.markets import Market
from engine.presets import PRESETS, Preset
from engine.scoring import Scorer, Scores, build_scorer
from engine.settings import DiscoverySettings, FollowSettings, ScoringSettings, Settings, SupervisionSettings
from engine.signals import REFUSALS, FeedState, MarketSignals, SignalType
from engine.units import NS_PER_S
from tests.actors.local_venue import NOWHERE, QUARTER_S, QUIET, Rig, follow, rig

MockClock = trio.testing.MockClock
FIVE, FIFTEEN, ETHER = (f"{name}-{QUARTER_S}" for name in ("btc-updown-5m", "btc-updown-15m", "eth-updown-15m"))
STRANGER = "0x" + "9" * 64
STEADY = evolve(QUIET, message_rate=5.0)
SLOW = evolve(QUIET, message_rate=2.0)
SLACK = ScoringSettings(stale_after_s=30.0)
"""With it a slow venue is never silent for too long."""

BRIEF = DiscoverySettings(linger_s=30.0)

CLOSED, UNAVAILABLE = SignalType.MARKET_CLOSED, SignalType.MARKET_UNAVAILABLE


def of(running: Rig, name: str | None = None) -> MarketMicrostructureService:
    return MarketMicrostructureService(condition_id=name, engine=running.engine)


def condition_id(running: Rig, slug: str) -> str:
    listing = running.venue.source.by_slug(slug, running.clock.now_ns())
    assert listing is not None
    return listing.condition_id


def seconds(running: Rig) -> float:
    """Since the quarter."""
    return running.clock.now_ns() / NS_PER_S - QUARTER_S


async def timed(service: MarketMicrostructureService, **wait: float) -> tuple[MarketSignals, float]:
    """The answer, valid in every field and neutral if it is a refusal, and how long it took."""
    began = trio.current_time()
    signal = await service.get_market_score(**wait)
    signal.validate()
    assert (signal.reason is not None) == (signal.signal_type in REFUSALS)
    if signal.signal_type in REFUSALS:
        assert (signal.score, signal.confidence) == (0.0, 0.0)
        labels = (signal.order_book_bias, signal.whale_direction, signal.momentum_direction)
        assert labels == ("UNAVAILABLE",) * 3
    return signal, trio.current_time() - began


async def now(service: MarketMicrostructureService) -> MarketSignals:
    signal, took_s = await timed(service, max_wait_s=0)
    assert took_s < 0.1
    return signal


async def answered(service: MarketMicrostructureService) -> tuple[str, str | None]:
    """Target and reason of what is known now."""
    signal = await now(service)
    return signal.target, signal.reason


# -------------------------------------------------------------------------------------------------- how long it waits


async def test_the_first_answer_waits_for_its_window_and_later_ones_do_not(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        service = of(running, FIFTEEN)
        signal, took_s = await timed(service)
        assert took_s == pytest.approx(120, abs=0.1)
        assert took_s <= 120
        assert signal.window.coverage > 0.999
        for _ in range(3):
            signal, took_s = await timed(service)
            assert (took_s, signal.window.coverage) == (0, 1.0)
            await trio.sleep(1)


async def test_it_waits_for_what_is_left_of_the_window(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        service = of(running, FIFTEEN)
        service.start()
        await trio.sleep(90)
        signal, took_s = await timed(service)
        assert took_s == pytest.approx(30, abs=0.3)
        assert signal.window.coverage > 0.999


async def test_it_waits_no_longer_than_a_window_for_what_an_outage_tore_out(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_silence, running, 60, 25)
            signal, took_s = await timed(of(running, FIFTEEN))
        assert took_s == pytest.approx(120, abs=0.3)
        assert took_s <= 120
        assert signal.window.coverage == pytest.approx(1 - 15 / 120, abs=0.02)


async def _silence(running: Rig, after_s: float, for_s: float) -> None:
    await trio.sleep(after_s)
    running.venue.faults.freeze()
    await trio.sleep(for_s)
    running.venue.faults.thaw()


@pytest.mark.parametrize("wait_s", [0.0, 7.0, 30.0, 119.0])
async def test_an_answer_that_is_not_waited_for_is_true_to_its_young_window(
    autojump_clock: MockClock, wait_s: float
) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        service = of(running, FIFTEEN)
        signal, took_s = await timed(service, max_wait_s=wait_s)
        assert took_s == pytest.approx(wait_s, abs=0.05)
        assert signal.window.coverage == pytest.approx(wait_s / 120, abs=0.01)
        few = 0.5 if signal.window.trades < 10 else 1.0
        expected = few * min(signal.window.trades / 50, 1) * signal.window.coverage
        assert signal.confidence == pytest.approx(expected)
        assert signal.timestamp.timestamp() == pytest.approx(running.clock.now_ns() / NS_PER_S, abs=1e-3)


async def test_it_never_waits_longer_than_a_window(autojump_clock: MockClock) -> None:
    settings = follow(scoring=ScoringSettings(window_s=60.0))
    async with rig(settings, seconds=1, options=STEADY) as running:
        _, took_s = await timed(of(running, FIFTEEN), max_wait_s=float("inf"))
        assert took_s == pytest.approx(60, abs=0.1)


async def test_of_a_market_the_engine_follows_already_it_is_warm_by_any_name(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-15m"), seconds=1, options=STEADY) as running:
        await trio.sleep(130)
        listing = running.venue.source.by_slug(FIFTEEN, running.clock.now_ns())
        assert listing is not None
        running.venue.faults.rest(503, delay_s=5.0)
        for name in (listing.condition_id, listing.condition_id.upper(), FIFTEEN, f" {FIFTEEN.upper()} ", "btc-15m"):
            for _ in range(3):
                signal, took_s = await timed(of(running, name))
                assert (took_s, signal.target, signal.window.coverage) == (0, FIFTEEN, 1.0)
                await trio.lowlevel.checkpoint()


async def test_token_ids_alone_will_do(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        listing = running.venue.source.by_slug(FIFTEEN, running.clock.now_ns())
        assert listing is not None
        service = MarketMicrostructureService(token_ids=listing.asset_ids, engine=running.engine)
        signal, took_s = await timed(service)
        assert (signal.condition_id, signal.window.coverage > 0.999) == (listing.condition_id, True)
        assert took_s <= 120
        assert (signal.yes_asset_id, signal.no_asset_id) == listing.asset_ids


async def test_the_market_of_the_tokens_is_warmed_up_before_anybody_asks(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        listing = running.venue.source.by_slug(FIFTEEN, running.clock.now_ns())
        assert listing is not None
        desk = Desk(HomeOf(running.engine), running.engine.settings)
        desk.find(TokenLookup(listing.asset_ids))
        await desk.warm()
        await trio.sleep(121)
        began = trio.current_time()
        signal = await desk.score(None)
        assert (signal.condition_id, trio.current_time() - began) == (listing.condition_id, 0)
        assert signal.window.coverage > 0.999


# ------------------------------------------------------------------------------------------------- what is the matter


def _down(venue: Venue) -> None:
    venue.faults.down = True


def _refusing(venue: Venue, status: int, *, rest: bool, websocket: bool) -> None:
    if rest:
        venue.faults.rest(status)
    if websocket:
        venue.faults.reject(status)


def refusing(status: int, *sides: str) -> Callable[[Venue], None]:
    return partial(_refusing, status=status, rest="rest" in sides, websocket="websocket" in sides)


FAULTS = [
    pytest.param(_down, {"metadata_unreachable"}, id="down"),
    pytest.param(refusing(403, "rest"), {"metadata_blocked"}, id="403 on REST"),
    pytest.param(refusing(429, "rest"), {"metadata_rate_limited"}, id="429 on REST"),
    pytest.param(refusing(503, "rest"), {"metadata_server"}, id="503 on REST"),
    pytest.param(refusing(403, "websocket"), {"blocked"}, id="403 on WebSocket"),
    pytest.param(refusing(429, "websocket"), {"rate_limited"}, id="429 on WebSocket"),
    pytest.param(refusing(503, "websocket"), {"handshake"}, id="503 on WebSocket"),
    pytest.param(refusing(403, "rest", "websocket"), {"metadata_blocked"}, id="403 on both"),
    pytest.param(refusing(429, "rest", "websocket"), {"metadata_rate_limited"}, id="429 on both"),
    pytest.param(refusing(503, "rest", "websocket"), {"metadata_server"}, id="503 on both"),
    # There is one socket after the other, but of the market nothing is ever heard.
    pytest.param(lambda venue: venue.faults.mute(), {"connecting", "stale"}, id="mute"),
    pytest.param(lambda venue: venue.faults.freeze(), {"connecting", "stale"}, id="frozen"),
]


@pytest.mark.parametrize(("fault", "reasons"), FAULTS)
@pytest.mark.parametrize("name", [FIFTEEN, "btc-15m"])
async def test_a_fault_from_the_start_is_named_after_a_moment_of_patience(
    autojump_clock: MockClock, fault: Callable[[Venue], None], reasons: set[str], name: str
) -> None:
    async with rig(follow(), seconds=1) as running:
        fault(running.venue)
        service = of(running, name)
        signal, took_s = await timed(service)
        assert took_s == pytest.approx(10, abs=0.1)
        for pause_s in (0, 1, 60):
            assert (signal.signal_type, signal.reason in reasons) == (UNAVAILABLE, True)
            assert signal.window.coverage == 0
            await trio.sleep(pause_s)
            signal, took_s = await timed(service)
            assert took_s == 0


@pytest.mark.parametrize(("fault", "reasons"), FAULTS)
async def test_a_fault_that_passes_is_forgotten(
    autojump_clock: MockClock, fault: Callable[[Venue], None], reasons: set[str]
) -> None:
    async with rig(follow(scoring=SLACK), seconds=1, options=SLOW) as running:
        fault(running.venue)
        service = of(running, FIFTEEN)
        assert (await timed(service))[0].reason in reasons
        running.venue.faults.clear()
        # 403 and 429 are answered with patience: a minute or two.
        await trio.sleep(280)
        signal, took_s = await timed(service)
        assert (signal.reason, signal.window.coverage, took_s) == (None, 1.0, 0)


async def test_less_patience_is_a_matter_of_the_call(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        running.venue.faults.down = True
        service = of(running, FIFTEEN)
        assert await answered(service) == (FIFTEEN, "metadata_unreachable")
        signal, took_s = await timed(service, max_wait_s=3)
        assert (signal.reason, took_s) == ("metadata_unreachable", 3)


async def test_a_venue_that_dies_and_comes_back(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        running.venue.faults.down = True
        await trio.sleep(3)
        signal, took_s = await timed(service, max_wait_s=0)
        assert signal.reason is None, "a moment without a socket is forgiven"
        assert signal.quality.feed_state is FeedState.BACKOFF
        assert signal.window.coverage == pytest.approx(1 - 3 / 120, abs=0.01)
        await trio.sleep(3)
        for _ in range(3):
            signal, took_s = await timed(service)
            assert (signal.signal_type, signal.reason, took_s) == (UNAVAILABLE, "refused", 0)
            await trio.sleep(10)
        running.venue.faults.down = False
        await trio.sleep(31)
        signal, took_s = await timed(service)
        assert (signal.signal_type in REFUSALS, took_s) == (False, 0)
        assert 0.3 < signal.window.coverage < 0.8
        assert signal.quality.gaps == 1
        await trio.sleep(120)
        assert (await now(service)).window.coverage == 1.0


async def test_a_venue_that_falls_silent(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        running.venue.faults.freeze()
        seen = {}
        for second in range(0, 150, 5):
            signal, took_s = await timed(service)
            assert took_s == 0
            seen[second] = signal
            await trio.sleep(5)
        assert seen[15].quality.feed_state is FeedState.STALE
        assert seen[15].reason is None
        assert seen[25].window.coverage == pytest.approx(1 - 15 / 120, abs=0.02)
        assert [seen[second].window.coverage for second in range(15, 120, 5)] == sorted(
            (seen[second].window.coverage for second in range(15, 120, 5)), reverse=True
        )
        assert {it.signal_type for second, it in seen.items() if second > 40} == {UNAVAILABLE}
        assert {it.reason for second, it in seen.items() if second > 40} <= {"stale", "connecting"}


async def test_a_slot_closes_with_its_time(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=100, options=STEADY) as running:
        service = of(running, FIVE)
        await timed(service)
        await trio.sleep(QUARTER_S + 299.9 - running.clock.now_ns() / NS_PER_S)
        assert (await now(service)).signal_type not in REFUSALS
        await trio.sleep(0.2)
        for pause_s, reason in ((0, "closed"), (30, "closed"), (300, "resolved")):
            await trio.sleep(pause_s)
            signal, took_s = await timed(service)
            assert (signal.signal_type, signal.reason, took_s) == (CLOSED, reason, 0)
            assert signal.window.coverage < 1.0


async def test_a_market_that_the_venue_closes_in_mid_window(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=200, options=evolve(STEADY, resolve_after_s=30.0)) as running:
        service = of(running, condition_id(running, FIVE))
        signal, _ = await timed(service)
        assert signal.signal_type not in REFUSALS, "a market by its id is over only when the venue says so"
        await trio.sleep(QUARTER_S + 331 - running.clock.now_ns() / NS_PER_S)
        signal, took_s = await timed(service)
        assert (signal.signal_type, signal.reason, took_s) == (CLOSED, "resolved", 0)
        assert signal.window.coverage > 0.9, "which is the truth, though there is no score"


async def test_a_wait_ends_when_the_market_closes(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=250) as running:
        signal, took_s = await timed(of(running, FIVE))
        assert signal.signal_type is CLOSED
        assert took_s == pytest.approx(50, abs=0.3)


@pytest.mark.parametrize("name", [STRANGER, "no-such-market", "test"])
async def test_a_market_nobody_knows_is_closed(autojump_clock: MockClock, name: str) -> None:
    async with rig(follow(), seconds=1) as running:
        service = of(running, name)
        for _ in range(3):
            signal, took_s = await timed(service)
            assert (signal.signal_type, signal.reason, signal.target) == (CLOSED, "unknown_market", name)
            assert took_s < 0.5
            await trio.sleep(5)


def shaky(crashing: Callable[[], bool]) -> Callable[[Preset], Scorer]:
    sound = build_scorer(PRESETS["seed"])

    def score(view: MarketView) -> Scores:
        if crashing():
            raise ZeroDivisionError("planted")
        return sound(view)

    return lambda preset: score


async def test_a_market_in_quarantine(autojump_clock: MockClock) -> None:
    armed = False
    settings = follow(scoring=ScoringSettings(preset="shaky"), supervision=SupervisionSettings(quarantine_s=60))
    scorers = {"shaky": shaky(lambda: armed)}
    async with rig(settings, seconds=1, options=STEADY, scorers=scorers) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        armed = True
        reasons = []
        for _ in range(15):
            signal, took_s = await timed(service)
            assert (signal.signal_type, took_s < 1.1) == (UNAVAILABLE, True)
            reasons.append(signal.reason)
            await trio.sleep(1)
        assert set(reasons) <= {"actor_down", "connecting", "no_data", "quarantined"}
        [health] = running.engine.health().markets
        assert health.actor == "quarantined"
        armed = False
        await trio.sleep(200)
        signal, took_s = await timed(service)
        assert (signal.reason, signal.window.coverage, took_s) == (None, 1.0, 0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(_down, "metadata_unreachable"), (refusing(403, "rest"), "metadata_blocked")],
)
async def test_tokens_nobody_can_tell_about(
    autojump_clock: MockClock, fault: Callable[[Venue], None], reason: str
) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        listing = running.venue.source.by_slug(FIFTEEN, running.clock.now_ns())
        assert listing is not None
        fault(running.venue)
        service = MarketMicrostructureService(token_ids=listing.asset_ids, engine=running.engine)
        signal, took_s = await timed(service)
        assert (signal.signal_type, signal.reason) == (UNAVAILABLE, reason)
        assert took_s == pytest.approx(10, abs=0.3)
        signal, took_s = await timed(service)
        assert (signal.reason, took_s) == (reason, 0)
        running.venue.faults.clear()
        await trio.sleep(3)
        assert (await now(service)).target == listing.condition_id


async def test_tokens_of_no_market_are_those_of_a_closed_one(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        service = MarketMicrostructureService(token_ids=["1", "2"], engine=running.engine)
        signal, took_s = await timed(service)
        assert (signal.signal_type, signal.reason, took_s < 0.5) == (CLOSED, "unknown_market", True)


# --------------------------------------------------------------------------------------------------- another market


async def test_the_old_market_answers_until_the_new_one_is_warm(autojump_clock: MockClock) -> None:
    async with rig(follow(scoring=SLACK), seconds=1, options=SLOW) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        service.set_market(condition_id(running, ETHER))
        switched = trio.current_time()
        seen = []
        while trio.current_time() < switched + 125:
            signal, took_s = await timed(service)
            assert took_s < 0.05, "never a gap"
            assert signal.window.coverage > 0.999, "and never a young window"
            seen.append((trio.current_time() - switched, signal.underlying))
            await trio.sleep(1)
        first = next(second for second, underlying in seen if underlying == "ETH")
        assert first == pytest.approx(121, abs=1.01)
        assert [underlying for _, underlying in seen] == sorted((it for _, it in seen), reverse=False)
        assert {underlying for _, underlying in seen} == {"BTC", "ETH"}


async def test_a_market_that_is_warm_already_is_switched_to_at_once(autojump_clock: MockClock) -> None:
    async with rig(follow("eth-15m", scoring=SLACK), seconds=1, options=SLOW) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        for name in ("eth-15m", FIFTEEN, condition_id(running, ETHER), "btc-15m"):
            service.set_market(name)
            signal, took_s = await timed(service)
            assert (signal.window.coverage, took_s) == (1.0, 0)
            assert signal.underlying == ("BTC" if "btc" in name else "ETH")


async def test_the_new_market_takes_over_at_once_when_the_old_one_closes(autojump_clock: MockClock) -> None:
    async with rig(follow(scoring=SLACK), seconds=170, options=SLOW) as running:
        service = of(running, FIVE)
        await timed(service)
        service.set_market(FIFTEEN)
        assert await answered(service) == (FIVE, None)
        await trio.sleep(QUARTER_S + 300 - running.clock.now_ns() / NS_PER_S)
        signal = await now(service)
        assert (signal.target, signal.reason) == (FIFTEEN, None)
        assert signal.window.coverage == pytest.approx(10 / 120, abs=0.01)
        signal, took_s = await timed(service)
        assert signal.target == FIFTEEN
        assert took_s == pytest.approx(110, abs=0.3)


async def test_the_new_market_takes_over_at_once_when_the_old_one_is_lost(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        service.set_market(ETHER)
        await trio.sleep(20)
        running.venue.faults.mute(FIFTEEN)
        running.venue.faults.disconnect(FIFTEEN)
        await trio.sleep(4)
        assert await answered(service) == (FIFTEEN, None)
        await trio.sleep(4)
        assert await answered(service) == (ETHER, None)
        running.venue.faults.unmute(FIFTEEN)
        await trio.sleep(60)
        assert await answered(service) == (ETHER, None), "and there is no way back"


async def test_the_old_market_goes_on_answering_while_the_new_one_cannot_be_had(autojump_clock: MockClock) -> None:
    async with rig(follow(scoring=SLACK), seconds=1, options=SLOW) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        running.venue.faults.rest(503)
        service.set_market(ETHER)
        for _ in range(11):
            signal, took_s = await timed(service)
            assert (signal.target, signal.window.coverage, took_s < 0.05) == (FIFTEEN, 1.0, True)
            await trio.sleep(10)
        await trio.sleep(11)
        signal, took_s = await timed(service)
        assert (signal.target, signal.reason, took_s) == (ETHER, "metadata_server", 0), "but not for ever"


async def test_switching_twice_lets_the_one_between_go(autojump_clock: MockClock) -> None:
    async with rig(follow(scoring=SLACK, discovery=BRIEF), seconds=1, options=SLOW) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        service.set_market(ETHER)
        await trio.sleep(60)
        service.set_market("sol-15m")
        await trio.sleep(70)
        assert await answered(service) == (FIFTEEN, None), "that one has 50 s to go"
        await trio.sleep(51)
        assert (await now(service)).underlying == "SOL"
        await trio.sleep(31)
        assert {it.series for it in running.engine.health().markets} == {"sol-15m"}


async def test_switching_back_is_as_if_nothing_had_been(autojump_clock: MockClock) -> None:
    async with rig(follow(scoring=SLACK, discovery=BRIEF), seconds=1, options=SLOW) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        service.set_market(ETHER)
        service.set_market(FIFTEEN)
        for _ in range(16):
            assert await answered(service) == (FIFTEEN, None)
            await trio.sleep(10)
        assert {it.target for it in running.engine.health().markets} == {FIFTEEN}


async def test_switching_to_the_same_changes_nothing(autojump_clock: MockClock) -> None:
    async with rig(follow(scoring=SLACK), seconds=1, options=SLOW) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        service.set_market(ETHER)
        await trio.sleep(60)
        service.set_market(ETHER)
        await trio.sleep(61)
        assert await answered(service) == (ETHER, None), "not warmed up anew"
        service.set_market(ETHER)
        signal, took_s = await timed(service)
        assert (signal.target, signal.window.coverage, took_s) == (ETHER, 1.0, 0)


async def test_naming_the_same_market_again_never_lets_it_go(autojump_clock: MockClock) -> None:
    async with rig(follow(discovery=DiscoverySettings(linger_s=0.0)), seconds=1) as running:
        desk = Desk(HomeOf(running.engine), running.engine.settings)
        desk.switch(FollowSettings(slug=FIFTEEN))
        desk.switch(FollowSettings(slug=ETHER))
        await desk.warm()
        for _ in range(2):
            await trio.sleep(5)
            assert {it.target for it in running.engine.health().markets} == {FIFTEEN, ETHER}
            desk.switch(FollowSettings(slug=ETHER))
        desk.leave()
        await trio.sleep(1)
        assert running.engine.health().markets == ()


@pytest.mark.parametrize("name", [STRANGER, "no-such-market", FIVE])
async def test_switching_to_a_market_that_is_none_any_more_is_told_at_once(
    autojump_clock: MockClock, name: str
) -> None:
    async with rig(follow(scoring=SLACK), seconds=320, options=SLOW) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        service.set_market(name)
        await trio.sleep(1)
        signal, took_s = await timed(service)
        assert (signal.signal_type, signal.target, took_s) == (CLOSED, name, 0)
        service.set_market(FIFTEEN)
        signal, took_s = await timed(service)
        assert (signal.target, signal.window.coverage, took_s) == (FIFTEEN, 1.0, 0)


async def test_the_first_market_to_be_named_needs_no_other(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-5m", "btc-15m"), seconds=1) as running:
        service = of(running)
        with pytest.raises(ValueError, match=r"^no market: "):
            await service.get_market_score()
        service.set_market(ETHER)
        await trio.sleep(2)
        assert await answered(service) == (ETHER, None)


async def test_the_constructors_market_is_not_waited_for_when_another_is_named_first(
    autojump_clock: MockClock,
) -> None:
    async with rig(follow(scoring=SLACK), seconds=1) as running:
        service = of(running, FIFTEEN)
        service.set_market(ETHER)
        await trio.sleep(2)
        assert await answered(service) == (ETHER, None)
        assert [it.target for it in running.engine.health().markets] == [ETHER]


async def test_the_market_that_is_left_is_let_go_after_a_while(autojump_clock: MockClock) -> None:
    async with rig(follow(scoring=SLACK, discovery=BRIEF), seconds=1, options=SLOW) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        service.set_market(ETHER)
        await trio.sleep(121)
        assert await answered(service) == (ETHER, None)
        await trio.sleep(29)
        assert running.engine.key_of(FIFTEEN) == FIFTEEN
        await trio.sleep(2)
        assert running.engine.key_of(FIFTEEN) is None
        service.close()
        await trio.sleep(29)
        assert running.engine.key_of(ETHER) == ETHER
        await trio.sleep(2)
        assert running.engine.health().markets == ()


async def test_two_services_look_at_the_same_market_of_one_engine(autojump_clock: MockClock) -> None:
    async with rig(follow(scoring=SLACK, discovery=BRIEF), seconds=1, options=SLOW) as running:
        first, second = of(running, FIFTEEN), of(running, condition_id(running, FIFTEEN))
        await timed(first)
        signal, took_s = await timed(second)
        assert (signal.target, signal.window.coverage, took_s) == (FIFTEEN, 1.0, 0)
        assert await first.get_market_score() == await second.get_market_score()
        assert len(running.venue.markets()) == 1
        first.set_market(ETHER)
        assert (await timed(second))[1] == 0
        await first.close()
        await trio.sleep(40)
        signal, took_s = await timed(second)
        assert (signal.window.coverage, took_s) == (1.0, 0)
        assert signal.condition_id == condition_id(running, FIFTEEN)


async def test_a_market_named_meanwhile_is_not_replaced_by_that_of_the_tokens(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "market_of_asset", _late_stranger)
    async with rig(follow(scoring=SLACK), seconds=1, options=SLOW) as running:
        service = MarketMicrostructureService(token_ids=["4", "5"], engine=running.engine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(service.get_market_score, max_wait_s=5))
            await trio.sleep(1)
            service.set_market(ETHER)
        for _ in range(2):
            assert await answered(service) == (ETHER, None)
            await trio.sleep(130)
        assert {it.target for it in running.engine.health().markets} == {ETHER}


async def _late_stranger(self: Engine, asset_id: str) -> Market:
    await trio.sleep(2)
    return Market(condition_id=STRANGER, up_asset_id="4", down_asset_id="5")


async def test_what_was_left_while_another_market_was_asked_is_not_followed(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        desk = Desk(HomeOf(running.engine), running.engine.settings)
        desk.switch(FollowSettings(slug=FIFTEEN))
        desk.switch(FollowSettings(slug=ETHER))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.score, 5.0)
            await trio.testing.wait_all_tasks_blocked()
            assert {it.target for it in running.engine.health().markets} == {ETHER}, "the new one is asked first"
            desk.leave()
        await trio.sleep(1)
        assert FIFTEEN not in {it.target for it in running.engine.health().markets}


async def test_what_was_left_while_it_was_looked_up_is_not_followed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "market_of_asset", _late_stranger)
    async with rig(follow(scoring=SLACK), seconds=1) as running:
        desk = Desk(HomeOf(running.engine), running.engine.settings)
        desk.find(TokenLookup(("4",)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.score, 5.0)
            await trio.sleep(1)
            desk.leave()
        assert running.engine.health().markets == ()
        late = await desk.score(0)
        assert (late.signal_type, late.reason) == (UNAVAILABLE, "no_market")
        desk.switch(FollowSettings(slug=FIVE))
        await desk.warm()
        await trio.sleep(1)


# ------------------------------------------------------------------------------------------------- a rolling series


@pytest.mark.untraced
async def test_every_answer_is_about_the_slot_whose_time_it_is(autojump_clock: MockClock) -> None:
    """Three roll-overs; looked at closely around each, and rarely in between."""
    async with rig(follow(), seconds=700, options=evolve(QUIET, message_rate=3.0)) as running:
        service = of(running)
        service.follow("btc-15m")
        await timed(service)
        for roll in (900, 1800, 2700):
            for second in (-60, -1, -0.01, 0, 0.01, 1, 2, 5, 30, 60, 119, 121, 400):
                await running.clock.sleep_until(round((QUARTER_S + roll + second) * NS_PER_S))
                signal, took_s = await timed(service)
                slot_s = QUARTER_S + int(seconds(running) // 900) * 900
                assert (signal.target, took_s) == (f"btc-updown-15m-{slot_s}", 0)
                assert signal.reason is None
                assert signal.window.coverage == 1.0, second
                assert signal.market.seconds_to_close == pytest.approx(
                    slot_s + 900 - QUARTER_S - seconds(running), abs=1e-3
                )


async def test_an_answer_on_its_way_during_the_roll_over_is_asked_for_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(follow("btc-5m"), seconds=100, options=STEADY) as running:
        service = of(running)
        await trio.sleep(199.9)
        cast = running.engine._cast
        ask = cast.ask

        def late(*arguments: Any) -> None:
            ask(*arguments)
            autojump_clock.jump(0.2)

        monkeypatch.setattr(cast, "ask", late)
        signal = await service.get_market_score()
        assert (signal.target, signal.reason) == (f"btc-updown-5m-{QUARTER_S + 300}", None)


async def test_a_series_rolls_over_to_a_slot_that_is_not_to_be_had(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=600, options=STEADY) as running:
        service = of(running)
        service.follow("btc-15m")
        await timed(service)
        running.venue.faults.rest(429)
        await trio.sleep(150)
        assert (await now(service)).target == FIFTEEN
        await trio.sleep(60)
        signal, took_s = await timed(service)
        assert (signal.target, took_s) == (f"btc-updown-15m-{QUARTER_S + 900}", 0)
        assert (signal.signal_type, signal.reason) == (UNAVAILABLE, "metadata_rate_limited")


@pytest.mark.xfail(reason="discovery begins the slot anew when its series is followed, and lets the warm market go")
async def test_from_the_id_of_a_slot_to_its_series(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        service = of(running, condition_id(running, FIFTEEN))
        await timed(service)
        service.follow("btc-15m")
        for _ in range(3):
            signal = await service.get_market_score(max_wait_s=0)
            assert signal.window.coverage > 0.99
            await trio.sleep(1)


async def test_from_a_market_to_its_series_and_back(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1, options=STEADY) as running:
        service = of(running, FIFTEEN)
        await timed(service)
        for name in ("btc-15m", FIFTEEN, "btc-15m"):
            service.follow(name)
            signal, took_s = await timed(service)
            assert (signal.target, signal.window.coverage, took_s) == (FIFTEEN, 1.0, 0)


# ---------------------------------------------------------------------------------------------------------- without one


class HomeOf:
    """Where a test puts the engine of a desk."""

    def __init__(self, engine: Engine | None) -> None:
        self.there = engine

    async def engine(self) -> Engine | None:
        await trio.lowlevel.checkpoint()
        return self.there


async def test_without_an_engine_every_answer_says_so(autojump_clock: MockClock) -> None:
    desk = Desk(HomeOf(None), Settings(venue=NOWHERE))
    answer = await desk.score(None)
    assert (answer.signal_type, answer.reason, answer.target) == (UNAVAILABLE, "engine_down", "none")
    answer.validate()
    desk.switch(FollowSettings(slug=FIVE))
    await desk.warm()
    answer = await desk.score(None)
    assert (answer.reason, answer.slug) == ("engine_down", FIVE)
    collected = await desk.collect(FollowSettings(slug=FIVE), 10.0)
    assert (collected.trades, collected.collection_duration) == ([], 0.0)
    assert trio.current_time() < 1
    desk.leave()


async def test_an_engine_that_was_replaced_follows_the_same_markets(autojump_clock: MockClock) -> None:
    home = HomeOf(None)
    desk = Desk(home, Settings(venue=NOWHERE))
    desk.switch(FollowSettings(slug=FIFTEEN))
    desk.switch(FollowSettings(slug=ETHER))
    for _ in range(2):
        async with rig(follow(), seconds=1, options=STEADY) as running:
            home.there = running.engine
            await desk.warm()
            await trio.sleep(5)
            assert {it.target for it in running.engine.health().markets} == {FIFTEEN, ETHER}
            assert (await desk.score(0)).target == FIFTEEN
            home.there = None
        assert (await desk.score(0)).reason == "engine_down"
    desk.leave()


def test_a_refusal_names_what_was_asked_for() -> None:
    settings = Settings(scoring=ScoringSettings(preset="of a plug-in"))
    for named in (
        FollowSettings(series="btc-15m"),
        FollowSettings(slug="rain"),
        FollowSettings(condition_id=STRANGER),
        None,
    ):
        signal = refusal(settings, named, "engine_down")
        signal.validate()
        asked = (None,) * 3 if named is None else (named.series, named.slug, named.condition_id)
        assert (signal.series, signal.slug, signal.condition_id) == asked
        assert (signal.signal_type, signal.reason) == (UNAVAILABLE, "engine_down")
    assert refusal(settings, None, "unknown_market").signal_type is CLOSED


# -------------------------------------------------------------------------------------------------- a bug of our own


async def _broken(*_: object, **__: object) -> MarketSignals:
    raise ZeroDivisionError("planted")


async def test_a_bug_of_ours_is_a_neutral_answer_and_a_line_in_the_log(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig(follow("btc-15m"), seconds=1) as running:
        service = of(running, FIFTEEN)
        await trio.sleep(5)
        with monkeypatch.context() as broken:
            broken.setattr(Engine, "get_market_score", _broken)
            signal, took_s = await timed(service)
            assert (signal.signal_type, signal.reason, took_s) == (UNAVAILABLE, "internal_error", 0)
            assert signal.slug == FIFTEEN
            data = await service.collect_market_data(FIFTEEN, 10)
            assert (data["trades"], data["collection_duration"]) == ([], 0.0)
        lines = [record.getMessage() for record in caplog.records if record.name == "updown"]
        assert len(lines) == 2
        assert all("service.failed" in line and "ZeroDivisionError" in line for line in lines)
        assert all("planted" in line and "_broken" in line for line in lines), "with its traceback"
        assert (await now(service)).reason is None, "and the next call is as good as ever"
