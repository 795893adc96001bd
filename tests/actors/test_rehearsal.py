"""A rehearsal: an engine and its venue in one thread, in memory, in fast time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import NoReturn

import pytest
import trio

from actors.clock import wall_ns
from actors.rehearsal import RehearsalEngine
from actors.service import MarketMicrostructureService
from actors.service.door import DoorClosed
from actors.venue import Venue, VenueOptions
from engine.settings import ScoringSettings, Settings
from engine.signals import FeedState, SignalType
from engine.units import to_ns
from tests.actors.local_venue import QUARTER_S, QUIET
from tests.actors.service.embedding import SETTINGS, engine_threads, on_asyncio, rehearsal, wait_until

START_S = QUARTER_S + 60.0


def test_a_window_is_covered_in_fast_time() -> None:
    with rehearsal(rate=600.0) as engine:
        signal = MarketMicrostructureService(condition_id="btc-15m", engine=engine).score()
    assert signal.signal_type not in (SignalType.MARKET_UNAVAILABLE, SignalType.MARKET_CLOSED)
    assert signal.window.coverage > 0.9
    assert signal.window.trades > 0
    assert signal.as_of_ns > to_ns(START_S + 50.0)


def test_time_begins_where_it_is_told() -> None:
    with rehearsal(rate=1.0, start_s=1_800_000_000.0) as engine:
        signal = MarketMicrostructureService(condition_id="btc-15m", engine=engine).score(max_wait_s=0)
    assert signal.as_of_ns >= 1_800_000_000 * 10**9
    assert (signal.slug or signal.target).endswith("-1800000000")


def test_time_begins_now_unless_it_is_told() -> None:
    before = wall_ns()
    with rehearsal(rate=1.0, start_s=None) as engine:
        signal = MarketMicrostructureService(condition_id="btc-15m", engine=engine).score(max_wait_s=0)
        assert before <= signal.as_of_ns <= wall_ns() + to_ns(1.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_time_cannot_stand_still_or_go_back(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        RehearsalEngine(rate=rate)


def test_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket in a rehearsal")

    for name in ("socket", "getaddrinfo", "from_stdlib_socket"):
        monkeypatch.setattr(trio.socket, name, refuse)
    with rehearsal() as engine:
        signal = MarketMicrostructureService(condition_id="btc-15m", engine=engine).score()
    assert signal.window.coverage > 0.9


def test_the_venue_has_the_options() -> None:
    options = VenueOptions(seed=3, message_rate=2.0)
    with rehearsal(options=options) as engine:
        assert engine.control(lambda venue: venue.options) is options


def test_the_same_seed_has_the_same_markets() -> None:
    def condition_id(venue: Venue) -> str:
        listing = venue.source.by_slug(f"btc-updown-15m-{QUARTER_S}", to_ns(START_S))
        assert listing is not None
        return listing.condition_id

    with rehearsal() as first, rehearsal() as second, rehearsal(options=VenueOptions(seed=8)) as other:
        assert first.control(condition_id) == second.control(condition_id) != other.control(condition_id)


# ------------------------------------------------------------------------------------------------------------- control


def test_control_starts_the_rehearsal_and_answers_from_its_thread() -> None:
    engine = rehearsal()
    assert engine_threads() == []

    def where(venue: Venue, *words: str) -> tuple[str, tuple[str, ...], bool]:
        return threading.current_thread().name, words, venue.faults.down

    assert engine.control(where, "one", "two") == ("updown-engine", ("one", "two"), False)
    engine.close()


def test_control_raises_what_the_function_does() -> None:
    def fail(_: Venue) -> None:
        raise LookupError("nothing there")

    with rehearsal() as engine:
        with pytest.raises(LookupError, match="nothing there"):
            engine.control(fail)
        assert engine.control(lambda _: 1) == 1


def test_control_works_inside_a_loop() -> None:
    async def main() -> int:
        async with rehearsal() as engine:
            return engine.control(lambda _: 1)

    assert on_asyncio(main) == 1
    assert trio.run(main) == 1


def test_control_ends_with_the_engine() -> None:
    engine = rehearsal()
    engine.control(lambda _: None)
    engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        engine.control(lambda _: None)


def test_control_does_not_hang_when_the_engine_is_closed_meanwhile() -> None:
    engine = rehearsal()
    errors: list[BaseException] = []
    inside, closed = threading.Event(), threading.Event()

    def hold(_: Venue) -> None:
        inside.set()
        assert closed.wait(10)

    def second() -> None:
        try:
            engine.control(lambda _: None)
        except RuntimeError as error:
            errors.append(error)

    first = threading.Thread(target=engine.control, args=(hold,))
    first.start()
    assert inside.wait(10)
    late = threading.Thread(target=second)
    late.start()

    async def close() -> None:
        closing = engine.close()
        closed.set()
        await closing

    on_asyncio(close)
    first.join(10)
    late.join(10)
    assert not any(thread.is_alive() for thread in (first, late))
    assert all(isinstance(error, DoorClosed) or "closed" in str(error) for error in errors)


# -------------------------------------------------------------------------------------------------------------- faults


def feed_state(service: MarketMicrostructureService) -> FeedState:
    return service.score(max_wait_s=0).quality.feed_state


def unavailable(service: MarketMicrostructureService) -> bool:
    return service.score(max_wait_s=0).signal_type is SignalType.MARKET_UNAVAILABLE


FAULTS: dict[str, Callable[[Venue], None]] = {
    "down": lambda venue: setattr(venue.faults, "down", True),
    "refuses": lambda venue: (venue.faults.reject(503), venue.faults.disconnect())[0],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen_by_the_bot_and_goes_away(fault: str) -> None:
    with rehearsal() as engine, MarketMicrostructureService(condition_id="btc-15m", engine=engine) as service:
        assert service.score().window.coverage > 0.9
        engine.control(FAULTS[fault])
        wait_until(lambda: unavailable(service))
        engine.control(lambda venue: venue.faults.clear())
        wait_until(lambda: not unavailable(service))
        wait_until(lambda: feed_state(service) is FeedState.LIVE)


def test_a_bot_can_be_rehearsed_on_asyncio() -> None:
    async def bot(service: MarketMicrostructureService) -> list[str]:
        said = []
        for _ in range(3):
            signal = await service.get_market_score()
            said.append(signal.signal_type)
            await asyncio.sleep(0)
        return said

    async def main() -> list[str]:
        async with RehearsalEngine(SETTINGS, rate=600.0, start_s=START_S, options=QUIET) as engine:
            return await bot(MarketMicrostructureService(condition_id="btc-15m", engine=engine))

    said = on_asyncio(main)
    assert len(said) == 3
    assert SignalType.MARKET_UNAVAILABLE not in said


def test_settings_are_those_of_the_engine() -> None:
    settings = Settings(scoring=ScoringSettings(window_s=90.0))
    engine = RehearsalEngine(settings)
    assert engine.settings is settings
    assert MarketMicrostructureService(engine=engine).settings is settings


def test_a_pause_there_is_as_long_as_it_is_there() -> None:
    async def pause(engine: RehearsalEngine) -> float:
        begin = engine.control(lambda venue: trio.current_time())
        await engine.sleep(90)
        return engine.control(lambda venue: trio.current_time()) - begin

    with RehearsalEngine(rate=600) as engine:
        assert asyncio.run(pause(engine)) >= 90
        assert trio.run(pause, engine) >= 90
