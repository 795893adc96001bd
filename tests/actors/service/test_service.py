"""The service as a bot sees it: the original assertions, the calls, their wrong use and their end, on any loop."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
import trio.testing
from attrs import evolve

from actors import BackgroundEngine, MarketMicrostructureService, RehearsalEngine, ServiceClosed
from actors.clock import PacedClock
from actors.ports import Ports
from actors.service.background import THREAD_NAME
from actors.system import Engine, open_engine
from engine.botrecord import BotRecord
from engine.settings import FollowSettings, ScoringSettings, Settings
from engine.signals import REFUSALS, MarketSignals, SignalType
from tests.actors.local_venue import NOWHERE, QUARTER_S, QUIET, follow, rig
from tests.actors.service.one_market import (
    CONDITION_ID,
    NO,
    ONE_TRADE,
    PATIENT,
    SLUG,
    YES,
    OneMarketWorld,
    elsewhere,
    served_on_loopback,
)

T = TypeVar("T")
MockClock = trio.testing.MockClock
FIVE, FIFTEEN = (f"btc-updown-{length}-{QUARTER_S}" for length in ("5m", "15m"))
STRANGER = "0x" + "9" * 64
RATE = 60.0
STEADY = evolve(QUIET, message_rate=5.0)
THIRTEEN = [field.name for field in dataclasses.fields(BotRecord)]


# ----------------------------------------------------------------------- the original assertions, on plain dictionaries


@pytest.fixture
def service() -> MarketMicrostructureService:
    """As the original tests make it: nothing is ever started."""
    return MarketMicrostructureService(None, "test-123")


def test_1_momentum_up(service: MarketMicrostructureService) -> None:
    trades = [
        {"asset_id": "YES_TOKEN", "price": 0.50, "size": 100},
        {"asset_id": "YES_TOKEN", "price": 0.525, "size": 200},
    ]
    assert service.calculate_momentum_score(trades) == pytest.approx(0.5, abs=0.01)
    assert service.calculate_momentum_score(trades) == 0.5


def test_2_momentum_down(service: MarketMicrostructureService) -> None:
    trades = [
        {"asset_id": "YES_TOKEN", "price": 0.50, "size": 100},
        {"asset_id": "YES_TOKEN", "price": 0.45, "size": 200},
    ]
    assert service.calculate_momentum_score(trades) == -1.0


def test_3_momentum_flat(service: MarketMicrostructureService) -> None:
    trades = [
        {"asset_id": "YES_TOKEN", "price": 0.50, "size": 100},
        {"asset_id": "YES_TOKEN", "price": 0.50, "size": 200},
    ]
    assert service.calculate_momentum_score(trades) == 0.0


def test_4_flow_all_yes(service: MarketMicrostructureService) -> None:
    trades = [{"asset_id": "YES_TOKEN", "size": 1000}, {"asset_id": "YES_TOKEN", "size": 500}]
    assert service.calculate_volume_flow_score(trades) == 1.0


def test_5_flow_all_no(service: MarketMicrostructureService) -> None:
    assert service.calculate_volume_flow_score([{"asset_id": "NO_TOKEN", "size": 1000}]) == -1.0


def test_6_flow_balanced(service: MarketMicrostructureService) -> None:
    trades = [{"asset_id": "YES_TOKEN", "size": 500}, {"asset_id": "NO_TOKEN", "size": 500}]
    assert service.calculate_volume_flow_score(trades) == 0.0


def test_7_whales_buy(service: MarketMicrostructureService) -> None:
    trades = [
        {"asset_id": "YES_TOKEN", "size": 1500},
        {"asset_id": "YES_TOKEN", "size": 2000},
        {"asset_id": "NO_TOKEN", "size": 100},
    ]
    assert service.calculate_whale_activity_score(trades, whale_threshold=1000) == 1.0


def test_8_whales_on_both_sides(service: MarketMicrostructureService) -> None:
    trades = [{"asset_id": "YES_TOKEN", "size": 1500}, {"asset_id": "NO_TOKEN", "size": 1200}]
    assert service.calculate_whale_activity_score(trades, 1000) == 0.0


def test_9_no_whales(service: MarketMicrostructureService) -> None:
    trades = [{"asset_id": "YES_TOKEN", "size": 500}, {"asset_id": "NO_TOKEN", "size": 800}]
    assert service.calculate_whale_activity_score(trades, 1000) == 0.0


def test_the_prose_examples(service: MarketMicrostructureService) -> None:
    def moved(first: float, last: float) -> float:
        return service.calculate_momentum_score(
            [{"asset_id": "YES_TOKEN", "price": price, "size": 1} for price in (first, last)]
        )

    assert (moved(0.50, 0.55), moved(0.40, 0.42), moved(0.50, 0.90)) == (1.0, 0.5, 1.0)
    flow = [{"asset_id": "YES_TOKEN", "size": 60}, {"asset_id": "NO_TOKEN", "size": 40}]
    assert service.calculate_volume_flow_score(flow) == 0.2
    assert service.calculate_momentum_score([]) == 0.0
    assert service.calculate_volume_flow_score([]) == 0.0
    assert service.calculate_whale_activity_score([]) == 0.0
    whale = [{"asset_id": "YES_TOKEN", "size": 1000}]
    assert service.calculate_whale_activity_score(whale) == 0.0
    assert service.calculate_whale_activity_score([{**whale[0], "size": 1000.000001}]) == 1.0
    assert service.calculate_market_score(1.0, 1.0, 1.0) == 1.0
    assert service.calculate_market_score(0.5, -1.0, 0.0) == pytest.approx(-0.15)


@pytest.mark.parametrize(
    ("count", "seconds", "expected"),
    [
        (0, 120, 0.0),
        (9, 120, 0.09),
        (10, 120, 0.20),
        (25, 120, 0.50),
        (50, 120, 1.0),
        (5000, 120, 1.0),
        (50, 60, 0.5),
        (5, 30, 0.0125),
    ],
)
def test_the_reference_values_of_confidence(
    service: MarketMicrostructureService, count: int, seconds: float, expected: float
) -> None:
    data = {"trades": [{"asset_id": "YES_TOKEN", "size": 1}] * count, "collection_duration": seconds}
    assert service.calculate_confidence(data) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("tokens", [("111", "222"), ["111", "222"]])
def test_the_formulas_know_the_tokens_of_the_constructor(tokens: Sequence[str]) -> None:
    service = MarketMicrostructureService(token_ids=tokens)
    trades = [{"asset_id": "111", "size": 60}, {"asset_id": "222", "size": 40}]
    assert service.calculate_volume_flow_score(trades) == 0.2
    with pytest.raises(ValueError, match=r"trades\[0\].asset_id is neither Up nor Down: '333'"):
        service.calculate_volume_flow_score([{"asset_id": "333", "size": 1}])


def test_the_formulas_start_nothing_and_stay_when_the_service_is_closed(service: MarketMicrostructureService) -> None:
    threads = threading.active_count()
    service.calculate_volume_flow_score([{"outcome": "YES", "size": 500}])
    service.close()
    assert service.calculate_volume_flow_score([{"outcome": "YES", "size": 500}]) == 1.0
    assert threading.active_count() == threads


# ---------------------------------------------------------------------------------- the original assertions, end to end


def assert_10_to_12(signal: MarketSignals) -> None:
    assert -1 <= signal.score <= 1
    assert 0 <= signal.confidence <= 1
    assert signal.signal_type != "MARKET_UNAVAILABLE"


def assert_13_to_15(signal: MarketSignals) -> None:
    assert signal.score == 0.0
    assert signal.confidence == 0.0
    assert signal.signal_type == "MARKET_UNAVAILABLE"


async def test_one_trade_is_served(autojump_clock: MockClock) -> None:
    async with OneMarketWorld(ONE_TRADE)() as ports, open_engine(elsewhere(), ports=ports) as engine:
        signal = await MarketMicrostructureService(elsewhere(), CONDITION_ID, engine=engine).get_market_score()
    assert_10_to_12(signal)
    assert (signal.score, signal.window.trades, signal.whale_count) == (0.6, 1, 1)
    assert signal.confidence == pytest.approx(0.01, rel=0.02)
    assert (signal.signal_type, signal.momentum_direction) == ("LOW_LIQUIDITY_WEAK_BULLISH", "FLAT")


@pytest.mark.parametrize("name", ["test", "test-123", CONDITION_ID, SLUG, "btc-15m"])
async def test_connecting_fails(autojump_clock: MockClock, name: str) -> None:
    world = OneMarketWorld(ONE_TRADE, down=True)
    async with world() as ports, open_engine(elsewhere(), ports=ports) as engine:
        service = MarketMicrostructureService(elsewhere(), condition_id=name, engine=engine)
        signal = await service.get_market_score()
        assert_13_to_15(signal)
        assert_13_to_15(await service.get_market_score(max_wait_s=0))
    assert signal.reason == "metadata_unreachable"


async def until(ask: Callable[[], Awaitable[MarketSignals]], holds: Callable[[MarketSignals], bool]) -> MarketSignals:
    """The first answer that is as it should be; a busy machine has 30 seconds for it."""
    signal = await ask()
    for _ in range(1500):
        if holds(signal):
            break
        await asyncio.sleep(0.02)
        signal = await ask()
    return signal


def engine_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == THREAD_NAME}


def fast(world: OneMarketWorld, settings: Settings | None = None) -> BackgroundEngine:
    return BackgroundEngine(settings or elsewhere(), world=world, trio_clock=PacedClock(RATE))


def test_one_trade_is_served_on_asyncio() -> None:
    settings = elsewhere(scoring=ScoringSettings(window_s=60.0))

    async def bot() -> MarketSignals:
        async with fast(OneMarketWorld(ONE_TRADE), settings) as engine:
            service = MarketMicrostructureService(settings, CONDITION_ID, engine=engine)
            return await until(service.get_market_score, lambda it: it.window.trades == 1)

    signal = asyncio.run(bot())
    assert_10_to_12(signal)
    assert signal.score == 0.6


@pytest.mark.parametrize("name", ["test", CONDITION_ID])
def test_connecting_fails_on_asyncio(name: str) -> None:
    async def bot() -> MarketSignals:
        async with fast(OneMarketWorld(ONE_TRADE, down=True)) as engine:
            service = MarketMicrostructureService(None, name, engine=engine)
            return await until(service.get_market_score, lambda it: it.reason == "metadata_unreachable")

    signal = asyncio.run(bot())
    assert_13_to_15(signal)
    assert signal.reason == "metadata_unreachable"


@pytest.mark.socket
@pytest.mark.parametrize("tokens", [None, (YES, NO)])
def test_over_real_sockets(tokens: tuple[str, str] | None) -> None:
    """An engine of the service's own; first a venue with one trade, then nothing listens there any more."""

    async def bot(settings: Settings, holds: Callable[[MarketSignals], bool]) -> MarketSignals:
        name = CONDITION_ID if tokens is None else None
        async with MarketMicrostructureService(settings, name, tokens) as service:
            return await until(lambda: service.get_market_score(max_wait_s=0), holds)

    engines = engine_threads()
    with served_on_loopback(ONE_TRADE) as settings:
        signal = asyncio.run(bot(settings, lambda it: it.window.trades == 1))
    assert_10_to_12(signal)
    assert (signal.score, signal.condition_id) == (0.6, CONDITION_ID)
    signal = asyncio.run(bot(settings, lambda it: it.reason == "metadata_unreachable"))
    assert_13_to_15(signal)
    assert signal.reason == "metadata_unreachable"
    assert engine_threads() <= engines


# ------------------------------------------------------------------------------------------- the answer as bots read it


async def test_the_answer_can_be_read_like_the_record(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        service = MarketMicrostructureService(condition_id=FIFTEEN, engine=running.engine)
        early = await service.get_market_score(max_wait_s=0)
        warm = await service.get_market_score()
        running.venue.faults.down = True
        await trio.sleep(20)
        lost = await service.get_market_score()
        service.set_market("no-such-market")
        unknown = await service.get_market_score()
    assert [it.signal_type in REFUSALS for it in (early, warm, lost, unknown)] == [False, False, True, True]
    for signal in (early, warm, lost, unknown):
        signal.validate()
        record = signal.to_market_signals()
        assert {name: getattr(signal, name) for name in THIRTEEN} == dataclasses.asdict(record)
        assert len(THIRTEEN) == 13
        assert record.timestamp.tzinfo is UTC


# ------------------------------------------------------------------------------------------------------------ wrong use


@asynccontextmanager
async def near(condition_id: str | None = None, **more: Any) -> AsyncIterator[MarketMicrostructureService]:
    async with rig(follow(), seconds=1) as running:
        yield MarketMicrostructureService(condition_id=condition_id, engine=running.engine, **more)


BAD_IDS = [
    ("0x12", "not a condition id"),
    ("0x" + "g" * 64, "not a condition id"),
    ("0x" + "1" * 65, "not a condition id"),
    ("0X" + "1" * 63, "not a condition id"),
    ("", "neither a series nor a slug nor a condition id"),
    ("Will it rain?", "neither a series nor a slug nor a condition id"),
    ("x" * 201, "neither a series nor a slug"),
    ("doge-5m", "unknown series 'doge-5m'"),
]


@pytest.mark.parametrize(("name", "told"), BAD_IDS)
async def test_a_bad_id_is_told_by_every_call_that_needs_it_and_not_before(
    autojump_clock: MockClock, name: str, told: str
) -> None:
    async with near(name) as service:
        assert service.condition_id == name
        for _ in range(2):
            with pytest.raises(ValueError, match=told):
                await service.get_market_score()
            with pytest.raises(ValueError, match=told):
                await service.collect_market_data(duration_seconds=1)
            with pytest.raises(ValueError, match=told):
                service.start()
        with pytest.raises(ValueError, match=told):
            service.set_market(name)
        with pytest.raises(ValueError, match=told):
            service.follow(name)
        service.set_market(FIFTEEN)
        assert (await service.get_market_score(max_wait_s=1)).target == FIFTEEN


@pytest.mark.parametrize("name", [7, None, b"test", ["test"]])
async def test_what_is_no_text_names_no_market(autojump_clock: MockClock, name: Any) -> None:
    async with near() as service:
        with pytest.raises(ValueError, match="a market is named by a text"):
            service.set_market(name)
        with pytest.raises(ValueError, match="a market is named by a text"):
            service.follow(name)


@pytest.mark.parametrize("tokens", [["YES_TOKEN", "NO_TOKEN"], ["7" * 79], [""], "777", [7, 8]])
async def test_bad_token_ids_are_told_by_the_call_that_needs_them(autojump_clock: MockClock, tokens: Any) -> None:
    async with near(token_ids=tokens) as service:
        for _ in range(2):
            with pytest.raises(ValueError, match="token"):
                await service.get_market_score(max_wait_s=0)
        service.set_market(FIFTEEN)
        assert (await service.get_market_score(max_wait_s=1)).target == FIFTEEN


@pytest.mark.parametrize("wait_s", [-1, -1e-9, float("nan"), float("-inf")])
async def test_a_wait_is_zero_or_more(autojump_clock: MockClock, wait_s: float) -> None:
    async with near(FIFTEEN) as service:
        with pytest.raises(ValueError, match="max_wait_s must be 0 or more, not"):
            await service.get_market_score(max_wait_s=wait_s)


def test_a_wait_is_zero_or_more_without_a_loop_too() -> None:
    with pytest.raises(ValueError, match="max_wait_s must be 0 or more, not -1"):
        MarketMicrostructureService(None, FIFTEEN).score(max_wait_s=-1)


@pytest.mark.parametrize("series", [(), ("btc-5m", "btc-15m")])
async def test_no_market_is_named_by_none_and_not_by_two(autojump_clock: MockClock, series: tuple[str, ...]) -> None:
    async with rig(follow(*series), seconds=1) as running:
        service = MarketMicrostructureService(engine=running.engine)
        service.start()
        with pytest.raises(ValueError, match=r"^no market: pass condition_id or token_ids, or call"):
            await service.get_market_score()
        assert len(running.engine.health().markets) == len(series)


async def test_the_one_market_of_the_settings_is_the_services(autojump_clock: MockClock) -> None:
    async with rig(follow("btc-15m"), seconds=1) as running:
        service = MarketMicrostructureService(engine=running.engine)
        await trio.sleep(10)
        signal = await service.get_market_score(max_wait_s=0)
        assert (signal.target, signal.reason) == (FIFTEEN, None)
        other = MarketMicrostructureService(condition_id=FIVE, engine=running.engine)
        assert (await other.get_market_score(max_wait_s=0)).target == FIVE, "what is named wins"


async def test_what_a_service_looks_at_can_be_asked_of_it(autojump_clock: MockClock) -> None:
    async with near("TEST-123") as service:
        assert service.condition_id == "TEST-123"
        service.set_market(STRANGER.upper())
        assert service.condition_id == STRANGER
        service.follow("btc-15m")
        assert service.condition_id is None


async def test_the_answers_teach_the_formulas_the_tokens(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        listing = running.venue.source.by_slug(FIFTEEN, running.clock.now_ns())
        assert listing is not None
        up, down = listing.asset_ids
        # Given in the wrong order: which is which is the venue's to say.
        service = MarketMicrostructureService(token_ids=(down, up), engine=running.engine)
        trades = [{"asset_id": up, "size": 60}, {"asset_id": down, "size": 40}]
        assert service.calculate_volume_flow_score(trades) == -0.2
        await service.get_market_score(max_wait_s=1)
        assert service.calculate_volume_flow_score(trades) == 0.2


def test_a_loop_is_not_blocked() -> None:
    service = MarketMicrostructureService(None, FIFTEEN)

    async def bot() -> None:
        with pytest.raises(RuntimeError, match=r"would block the running loop: await get_market_score\(\)"):
            service.score()

    asyncio.run(bot())
    trio.run(bot)


async def test_an_engine_of_this_loop_serves_no_other(autojump_clock: MockClock) -> None:
    async with near(FIFTEEN) as service:

        def elsewhere_sync() -> None:
            with pytest.raises(RuntimeError, match="needs a BackgroundEngine"):
                service.score(max_wait_s=0)

        def elsewhere_async() -> None:
            with pytest.raises(RuntimeError, match="belongs to another trio loop"):
                asyncio.run(service.get_market_score(max_wait_s=0))

        await trio.to_thread.run_sync(elsewhere_sync)
        await trio.to_thread.run_sync(elsewhere_async)


# -------------------------------------------------------------------------------------------------------------- closing


CALLS: list[Callable[[MarketMicrostructureService], Awaitable[object]]] = [
    lambda service: service.get_market_score(),
    lambda service: service.get_market_score(max_wait_s=0),
    lambda service: service.collect_market_data(),
    lambda service: service.collect_market_data(FIVE, 1),
    lambda service: service.collect_market_data_with_token_ids(["1", "2"], 1),
    lambda service: service.__aenter__(),
]
COMMANDS: list[Callable[[MarketMicrostructureService], object]] = [
    lambda service: service.start(),
    lambda service: service.__enter__(),
    lambda service: service.set_market(FIVE),
    lambda service: service.follow("btc-15m"),
]


async def assert_closed(service: MarketMicrostructureService) -> None:
    for call in CALLS:
        with pytest.raises(ServiceClosed):
            await call(service)
    for command in COMMANDS:
        with pytest.raises(ServiceClosed):
            command(service)


async def test_after_close_every_call_says_so(autojump_clock: MockClock) -> None:
    async with near(FIFTEEN) as service:
        await service.get_market_score(max_wait_s=0)
        assert issubclass(ServiceClosed, RuntimeError)
        for _ in range(2):
            await service.close()
            await assert_closed(service)
    async with near(FIFTEEN) as unused:
        unused.close()
        await assert_closed(unused)


@pytest.mark.parametrize("how", ["get_market_score", "collect_market_data"])
async def test_closing_ends_the_calls_under_way(autojump_clock: MockClock, how: str) -> None:
    async with rig(follow(), seconds=1) as running:
        service = MarketMicrostructureService(condition_id=FIFTEEN, engine=running.engine)
        ended = []

        async def call() -> None:
            with pytest.raises(ServiceClosed, match="the service is closed"):
                await getattr(service, how)()
            ended.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.sleep(10)
            closed = trio.current_time()
            service.close()
        assert ended == [pytest.approx(closed, abs=0.26)]
        await trio.sleep(301)
        assert running.engine.health().markets == (), "nothing of it is left on the engine"


async def test_a_service_outlives_the_engine_of_its_loop_without_an_exception(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        service = MarketMicrostructureService(condition_id=FIFTEEN, engine=running.engine)
        await service.get_market_score(max_wait_s=15)
    signal = await service.get_market_score()
    assert (signal.signal_type, signal.reason) == (SignalType.MARKET_UNAVAILABLE, "actor_down")
    await service.close()


@asynccontextmanager
async def rehearsed(**more: Any) -> AsyncIterator[RehearsalEngine]:
    """Minute by second; the longest of windows is covered in ten seconds, so that waiting for it is waiting long."""
    scoring = ScoringSettings(window_s=600.0, stale_after_s=60.0)
    settings = Settings(**{"venue": NOWHERE, "feed": PATIENT, "scoring": scoring, **more})
    async with RehearsalEngine(settings, rate=RATE, start_s=QUARTER_S + 1, options=STEADY) as engine:
        yield engine


async def refused(call: Awaitable[object]) -> bool:
    with pytest.raises(ServiceClosed):
        await asyncio.wait_for(call, 30)
    return True


def test_a_shared_engine_that_is_closed_under_its_services() -> None:
    async def bot() -> None:
        async with rehearsed() as engine:
            busy, idle = (MarketMicrostructureService(condition_id=FIFTEEN, engine=engine) for _ in range(2))
            await busy.get_market_score(max_wait_s=1)
            waiting = [
                asyncio.ensure_future(refused(busy.get_market_score())),
                asyncio.ensure_future(refused(busy.collect_market_data(FIFTEEN, 600))),
            ]
            await asyncio.sleep(0.05)
            await engine.close()
            assert await asyncio.gather(*waiting) == [True, True]
            # One that had a call before, one that had none.
            for service in (busy, idle):
                await assert_closed(service)
                service.close()

    asyncio.run(bot())


def test_closing_a_service_leaves_a_shared_engine_to_the_others() -> None:
    async def bot() -> None:
        async with rehearsed() as engine:
            one, other = (MarketMicrostructureService(condition_id=FIFTEEN, engine=engine) for _ in range(2))
            waiting = asyncio.ensure_future(refused(one.get_market_score()))
            await asyncio.sleep(0.05)
            one.close()
            assert await waiting
            signal = await until(lambda: other.get_market_score(max_wait_s=0), lambda it: it.reason is None)
            assert (signal.target, signal.reason) == (FIFTEEN, None)

    asyncio.run(bot())


@pytest.mark.socket
def test_closing_a_service_of_its_own_engine_ends_the_calls_under_way() -> None:
    async def bot() -> None:
        service = MarketMicrostructureService(Settings(venue=NOWHERE), "test")
        waiting = [asyncio.ensure_future(refused(service.get_market_score())) for _ in range(3)]
        waiting.append(asyncio.ensure_future(refused(service.collect_market_data())))
        await asyncio.sleep(0.05)
        await service.close()
        assert await asyncio.gather(*waiting) == [True] * 4
        await assert_closed(service)

    engines = engine_threads()
    asyncio.run(bot())
    assert engine_threads() <= engines


# ---------------------------------------------------------------------------------------------- on asyncio, and on none


def test_a_bots_life_on_asyncio() -> None:
    """Warm up, look, switch, collect, meet an outage and see it pass, in venue time a minute a second."""

    async def bot() -> None:
        async with (
            rehearsed() as engine,
            MarketMicrostructureService(condition_id=FIFTEEN, engine=engine) as service,
        ):
            first = await until(lambda: service.get_market_score(max_wait_s=5), lambda it: it.reason is None)
            assert (first.target, first.reason) == (FIFTEEN, None)
            data = await service.collect_market_data(FIFTEEN, 20)
            assert data["price_changes"]
            assert data["collection_duration"] > 0
            service.follow("eth-15m")
            assert (await service.get_market_score(max_wait_s=0)).underlying == "BTC"
            engine.control(lambda venue: setattr(venue.faults, "down", True))
            lost = await until(lambda: service.get_market_score(max_wait_s=0), lambda it: it.reason is not None)
            assert lost.signal_type == "MARKET_UNAVAILABLE"
            engine.control(lambda venue: venue.faults.clear())
            back = await until(lambda: service.get_market_score(max_wait_s=0), lambda it: it.reason is None)
            assert (back.underlying, back.signal_type in REFUSALS) == ("ETH", False)

    asyncio.run(bot())


def test_the_same_without_any_loop() -> None:
    settings = Settings(venue=NOWHERE, feed=PATIENT, follow=(FollowSettings(series="btc-15m"),))
    with (
        RehearsalEngine(settings, rate=RATE, start_s=QUARTER_S + 1, options=STEADY) as engine,
        MarketMicrostructureService(engine=engine) as service,
    ):
        signal = next(it for _ in range(200) if (it := service.score(max_wait_s=5)).reason is None)
        assert signal.target == FIFTEEN
        assert service.calculate_volume_flow_score([{"asset_id": signal.yes_asset_id, "size": 1}]) == 1.0
        service.set_market("test")
        answer = next(it for _ in range(200) if (it := service.score(max_wait_s=5)).reason is not None)
        assert (answer.signal_type, answer.reason) == ("MARKET_CLOSED", "unknown_market")
        with pytest.raises(ValueError, match="not a condition id"):
            service.set_market("0x1")
    with pytest.raises(ServiceClosed):
        service.score()


def test_a_bug_of_ours_is_a_neutral_answer_on_any_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> MarketSignals:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Engine, "get_market_score", broken)

    async def bot() -> None:
        async with rehearsed() as engine:
            service = MarketMicrostructureService(condition_id=FIFTEEN, engine=engine)
            signal = await service.get_market_score()
            signal.validate()
            assert (signal.signal_type, signal.reason) == ("MARKET_UNAVAILABLE", "internal_error")
            data = await service.collect_market_data(FIFTEEN, 10)
            assert data["collection_duration"] == 0.0

    asyncio.run(bot())
    logged = [record.getMessage() for record in caplog.records if "service.failed" in record.getMessage()]
    assert len(logged) == 2
    assert all("ZeroDivisionError" in line for line in logged)


class Nowhere(AbstractAsyncContextManager[Ports]):
    """A world that cannot be entered."""

    async def __aenter__(self) -> Ports:
        raise ZeroDivisionError("planted")

    async def __aexit__(self, *_: object) -> None:
        pytest.fail("entered")


def test_a_thread_that_failed_is_no_exception_either(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(service: MarketMicrostructureService) -> MarketSignals:
        assert await service.collect_market_data(FIFTEEN, 10) == {
            "trades": [],
            "book_snapshots": [],
            "price_changes": [],
            "collection_duration": 0.0,
        }
        return await service.get_market_score()

    with BackgroundEngine(elsewhere(), world=Nowhere) as engine:
        service = MarketMicrostructureService(condition_id=FIFTEEN, engine=engine)
        for signal in (service.score(), asyncio.run(bot(service)), trio.run(bot, service), service.score(max_wait_s=0)):
            signal.validate()
            assert (signal.signal_type, signal.reason) == ("MARKET_UNAVAILABLE", "engine_down")
            assert signal.slug == FIFTEEN
    assert [record.levelname for record in caplog.records if "thread_failed" in record.getMessage()] == ["CRITICAL"]


@pytest.mark.socket
def test_settings_from_a_file_reach_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(
        '[scoring]\nwindow_s = 60.0\n[[follow]]\nseries = "btc-15m"\n'
        '[venue]\nwebsocket_url = "ws://127.0.0.1:1/"\ngamma_url = "http://127.0.0.1:1"\n'
        'clob_url = "http://127.0.0.1:1"\n',
        encoding="utf-8",
    )
    with MarketMicrostructureService(path) as service:
        signal = service.score(max_wait_s=0)
        assert (signal.series, signal.signal_type) == ("btc-15m", "MARKET_UNAVAILABLE")
        assert signal.window.end_ns - signal.window.start_ns == 60 * 10**9


async def test_a_service_that_is_forgotten_lets_its_market_go(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        service = MarketMicrostructureService(condition_id=FIFTEEN, engine=running.engine)
        await service.get_market_score(max_wait_s=0)
        assert running.engine.key_of(FIFTEEN) == FIFTEEN
        del service
        gc.collect()
        await trio.sleep(301)
        assert running.engine.health().markets == ()
