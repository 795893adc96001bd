"""An engine in the background: when its thread begins and ends, what replaces it, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.ports import Ports
from actors.rehearsal import RehearsalEngine
from actors.service import BackgroundEngine, MarketMicrostructureService, background
from actors.service.door import DoorClosed
from actors.service.waiting import ask, ask_blocking
from actors.system import Engine
from engine.errors import PresetError, SettingsError
from engine.settings import FeedSettings, ScoringSettings, Settings, TransportKind
from engine.signals import FeedState, MarketSignals, SignalType
from tests.actors.local_venue import NOWHERE
from tests.actors.service.embedding import (
    PATIENCE_S,
    SETTINGS,
    LoopFactory,
    engine_threads,
    every_loop,
    interrupting,
    on_asyncio,
    python,
    rehearsal,
    wait_until,
    with_signals,
)
from tests.actors.service.one_market import CONDITION_ID, ONE_TRADE, served_on_loopback

FILES = Path("/proc/self/fd")


def open_files() -> int:
    """How many file descriptors there are, 0 where that cannot be seen."""
    return len(list(FILES.iterdir())) if FILES.exists() else 0


@pytest.fixture(autouse=True)
def _no_engine_is_left() -> Iterator[None]:
    assert engine_threads() == []
    yield
    if engine_threads():
        gc.collect()  # what a failed test has left behind
    for thread in engine_threads():
        thread.join(PATIENCE_S)
    assert engine_threads() == []


@asynccontextmanager
async def nowhere() -> AsyncIterator[Ports]:
    """A world for an engine that is none."""
    yield Ports()


class Log:
    """What an engine's loop says."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, **about: Any) -> None:
        self.said.append((event, about))

    critical = error


def without_engine(**changes: Any) -> tuple[BackgroundEngine, Log]:
    """A background engine whose time passes by itself; ``open_engine`` is to be replaced."""
    log = Log()
    arguments: dict[str, Any] = {"world": nowhere, "trio_clock": MockClock(autojump_threshold=0.0), "log": log}
    return BackgroundEngine(SETTINGS, **arguments | changes), log


# ------------------------------------------------------------------------------------------------------------- start


def test_nothing_is_started_by_the_constructors() -> None:
    threads, files = threading.enumerate(), open_files()
    engine = BackgroundEngine(SETTINGS)
    service = MarketMicrostructureService(SETTINGS, CONDITION_ID)
    shared = MarketMicrostructureService(condition_id=CONDITION_ID, engine=RehearsalEngine())
    assert (threading.enumerate(), open_files()) == (threads, files)
    del engine, service, shared
    gc.collect()  # nothing is unclosed, so there is no warning


def test_the_first_call_starts_it() -> None:
    with_engine = rehearsal()
    service = MarketMicrostructureService(condition_id=CONDITION_ID, engine=with_engine)
    assert engine_threads() == []
    assert isinstance(service.score(max_wait_s=0), MarketSignals)
    assert [thread.daemon for thread in engine_threads()] == [True]
    with_engine.close()


def test_starting_twice_is_starting_once() -> None:
    with rehearsal() as engine:
        engine.start()
        assert len(engine_threads()) == 1


def test_many_threads_that_start_it_at_once_start_it_once() -> None:
    engine = rehearsal()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: engine.start(), range(8)))
    assert len(engine_threads()) == 1
    engine.close()


def test_a_closed_engine_starts_no_more() -> None:
    engine = rehearsal()
    engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        engine.start()


def test_a_thread_that_cannot_be_started_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = rehearsal()
    with monkeypatch.context() as patch:
        patch.setattr(engine._thread, "start", fail_to_start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            engine.start()
    assert engine.control(lambda venue: venue.faults.down) is False
    engine.close()


def test_a_thread_that_could_not_be_started_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = rehearsal()
    monkeypatch.setattr(engine._thread, "start", fail_to_start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        engine.start()
    engine.close()


def fail_to_start() -> None:
    raise RuntimeError("can't start new thread")


def test_a_preset_that_nobody_knows_is_told_at_once() -> None:
    with pytest.raises(PresetError, match="nobodys"):
        BackgroundEngine(Settings(scoring=ScoringSettings(preset="nobodys")))
    with pytest.raises(PresetError, match="nobodys"):
        MarketMicrostructureService(Settings(scoring=ScoringSettings(preset="nobodys")))


def test_a_transport_that_is_not_installed_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.transport.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"updown\[websockets\]"):
        BackgroundEngine(Settings(feed=FeedSettings(transport=TransportKind.WEBSOCKETS)))


# ------------------------------------------------------------------------------------------------------------- close


def test_synchronous_code_sees_the_thread_gone() -> None:
    engine = rehearsal()
    engine.start()
    engine.close()
    assert engine_threads() == []
    assert engine.closed


def test_closing_twice_is_closing_once() -> None:
    with rehearsal() as engine:
        engine.close()
        engine.close()
        assert engine_threads() == []


@pytest.mark.parametrize("times", [1, 2])
def test_closing_what_never_started_is_nothing(times: int) -> None:
    engine = BackgroundEngine(SETTINGS)
    for _ in range(times):
        engine.close()
    assert engine.closed
    with pytest.raises(DoorClosed):
        ask_blocking(engine.loop.door, engine.loop.engine)


@every_loop
def test_closing_what_never_started_can_be_awaited(new_loop: LoopFactory) -> None:
    async def main() -> None:
        engine = BackgroundEngine(SETTINGS)
        await engine.close()
        await engine.close()

    on_asyncio(main, new_loop)


@every_loop
def test_awaiting_the_end_on_asyncio(new_loop: LoopFactory) -> None:
    async def wait(engine: BackgroundEngine) -> list[threading.Thread]:
        await engine.close()
        return engine_threads()

    async def main() -> None:
        engine = rehearsal()
        engine.start()
        assert await asyncio.gather(wait(engine), wait(engine)) == [[], []]
        assert await wait(engine) == []

    on_asyncio(main, new_loop)


async def test_awaiting_the_end_on_trio() -> None:
    seen_by: list[list[threading.Thread]] = []

    async def wait() -> None:
        await engine.close()
        seen_by.append(engine_threads())

    engine = rehearsal()
    engine.start()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
        await wait()
    assert seen_by == [[], [], []]


def test_an_end_that_is_not_awaited_comes_all_the_same() -> None:
    engine = rehearsal()

    async def main() -> None:
        engine.start()
        engine.close()

    on_asyncio(main)
    engine.join(PATIENCE_S)
    assert engine_threads() == []


def test_giving_up_waiting_for_the_end_does_not_undo_it() -> None:
    async def main() -> None:
        engine = rehearsal()
        engine.start()
        held_up = threading.Event()
        engine.loop.door.post(partial(held_up.wait, PATIENCE_S))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait_for_end(engine), 0.01)
        held_up.set()
        await engine.close()
        assert engine_threads() == []

    on_asyncio(main)


async def wait_for_end(engine: BackgroundEngine) -> None:
    await engine.close()


@with_signals
def test_an_interrupted_close_can_be_repeated() -> None:
    engine = rehearsal()
    held, freed = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert freed.wait(PATIENCE_S)

    engine.start()
    engine.loop.door.post(hold)
    with interrupting(held):
        engine.close()
    assert engine._thread.is_alive()
    freed.set()
    engine.close()
    assert not engine._thread.is_alive()


@every_loop
def test_a_block_on_asyncio(new_loop: LoopFactory) -> None:
    async def main() -> None:
        async with rehearsal() as engine:
            assert len(engine_threads()) == 1
            assert isinstance(await ask(engine.loop.door, engine.loop.engine), Engine)
        assert engine_threads() == []

    on_asyncio(main, new_loop)


async def test_a_block_on_trio() -> None:
    async with rehearsal() as engine:
        assert isinstance(await ask(engine.loop.door, engine.loop.engine), Engine)
    assert engine_threads() == []


def test_a_block_of_synchronous_code() -> None:
    with pytest.raises(ZeroDivisionError), rehearsal():
        raise ZeroDivisionError
    assert engine_threads() == []


def test_two_engines_in_one_process() -> None:
    with rehearsal() as early, rehearsal(start_s=1_800_000_000.0) as late:
        assert len(engine_threads()) == 2
        first, second = (
            MarketMicrostructureService(condition_id="btc-15m", engine=engine).score(max_wait_s=0)
            for engine in (early, late)
        )
        assert first.as_of_ns < 1_800_000_000 * 10**9 < second.as_of_ns
        early.close()
        assert MarketMicrostructureService(condition_id="eth-15m", engine=late).score(max_wait_s=0).reason != (
            "engine_down"
        )
        assert len(engine_threads()) == 1


# ------------------------------------------------------------------------------------------------------- replacement


class Lives:
    """Stands in for ``open_engine``: each engine breaks down after so many seconds, at once if 0."""

    def __init__(self, lives: Iterable[float]) -> None:
        self.opened_at: list[float] = []
        self._lives = iter(lives)

    @asynccontextmanager
    async def open(self, *_: object, **__: object) -> AsyncIterator[object]:
        self.opened_at.append(trio.current_time())
        life_s = next(self._lives)
        if not life_s:
            raise RuntimeError("no engine today")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._break_down, life_s)
            yield object()
            nursery.cancel_scope.cancel()

    async def _break_down(self, life_s: float) -> None:
        await trio.sleep(life_s)
        raise RuntimeError("broken")


def opened_at(monkeypatch: pytest.MonkeyPatch, *lives: float) -> tuple[list[float], Log]:
    """When engines of these lives are opened one after the other, before one that stays."""
    stand_in = Lives([*lives, math.inf])
    monkeypatch.setattr(background, "open_engine", stand_in.open)
    monkeypatch.setattr(background, "OPENING_S", math.inf)
    engine, log = without_engine()
    with engine:
        while len(stand_in.opened_at) <= len(lives):
            assert ask_blocking(engine.loop.door, engine.loop.engine) is not None
    return stand_in.opened_at, log


def test_an_engine_that_cannot_be_opened_is_tried_again_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    times, log = opened_at(monkeypatch, *[0.0] * 9)
    assert [after - before for before, after in itertools.pairwise(times)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert {event for event, _ in log.said} == {"engine.failed"}
    assert log.said[0][1] == {
        "error_type": "RuntimeError",
        "error": "RuntimeError: no engine today",
        "retry_s": 1.0,
    }


def test_an_engine_that_breaks_down_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    times, log = opened_at(monkeypatch, 10.0, 10.0)
    assert times == [0.0, 11.0, 23.0]
    assert [event for event, _ in log.said] == ["engine.failed"] * 2


def test_an_engine_that_lived_long_is_replaced_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    times, _ = opened_at(monkeypatch, 0.0, 0.0, 0.0, 100.0, 0.0)
    assert [after - before for before, after in itertools.pairwise(times)] == [1, 2, 4, 101, 2]


def test_who_waits_for_an_engine_that_cannot_be_opened_gets_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # With no limit to the wait, it would never end if the wait was for the first one alone.
    times, _ = opened_at(monkeypatch, 0.0)
    assert times == [0.0, 1.0]


def test_who_waits_too_long_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "open_engine", Lives(itertools.repeat(0.0)).open)
    engine, _ = without_engine()
    with engine:
        assert ask_blocking(engine.loop.door, engine.loop.engine) is None
        service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
        signal = service.score()
    assert (signal.signal_type, signal.reason) == (SignalType.MARKET_UNAVAILABLE, "engine_down")


def test_a_bot_gets_answers_from_the_engine_that_comes_after(monkeypatch: pytest.MonkeyPatch) -> None:
    broken: list[trio.Event] = []
    real = background.open_engine

    @asynccontextmanager
    async def fragile(settings: Settings, **more: Any) -> AsyncIterator[Engine]:
        async with real(settings, **more) as engine, trio.open_nursery() as nursery:
            broken.append(trio.Event())
            nursery.start_soon(break_down, broken[-1])
            yield engine
            nursery.cancel_scope.cancel()

    async def break_down(when: trio.Event) -> None:
        await when.wait()
        raise RuntimeError("broken")

    monkeypatch.setattr(background, "open_engine", fragile)
    with rehearsal() as engine, MarketMicrostructureService(condition_id="btc-15m", engine=engine) as service:
        before = service.score()
        engine.loop.door.post(broken[0].set)
        while len(broken) == 1:
            service.score(max_wait_s=0)
        after = service.score()
    for signal in (before, after):
        assert signal.signal_type not in (SignalType.MARKET_UNAVAILABLE, SignalType.MARKET_CLOSED)
        assert signal.window.coverage > 0.9


# ----------------------------------------------------------------------------------------------------- broken worlds


def assert_unavailable(engine: BackgroundEngine) -> None:
    service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
    for signal in (service.score(), on_asyncio(service.get_market_score)):
        assert (signal.signal_type, signal.reason) == (SignalType.MARKET_UNAVAILABLE, "engine_down")


def test_a_world_that_cannot_be_entered_is_logged_and_answered_for() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Ports]:
        raise OSError("no such world")
        yield Ports()

    engine, log = without_engine(world=broken)
    engine.start()
    engine.join(PATIENCE_S)
    assert_unavailable(engine)
    engine.close()
    assert log.said == [
        ("engine.thread_failed", {"error_type": "OSError", "error": "OSError: no such world"}),
    ]


def test_a_world_that_breaks_ends_the_calls_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "open_engine", Lives([math.inf]).open)
    breaking = trio.Event()

    @asynccontextmanager
    async def broken() -> AsyncIterator[Ports]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_down)
            yield Ports()

    async def break_down() -> None:
        await breaking.wait()
        raise OSError("the end of the world")

    engine, log = without_engine(world=broken)
    with engine, ThreadPoolExecutor(1) as pool:
        call = pool.submit(ask_blocking, engine.loop.door, trio.sleep_forever)
        ask_blocking(engine.loop.door, trio.lowlevel.checkpoint)
        engine.loop.door.post(breaking.set)
        assert isinstance(call.exception(PATIENCE_S), DoorClosed)
        assert_unavailable(engine)
    assert [event for event, _ in log.said] == ["engine.thread_failed"]


def test_a_world_that_cannot_be_left_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "open_engine", Lives([math.inf]).open)

    @asynccontextmanager
    async def broken() -> AsyncIterator[Ports]:
        yield Ports()
        raise OSError("no way out")

    engine, log = without_engine(world=broken)
    engine.start()
    engine.close()
    assert [event for event, _ in log.said] == ["engine.thread_failed"]


# ---------------------------------------------------------------------------------------------------------- forgotten


FORGETFUL: dict[str, Callable[[], object]] = {
    "engine": lambda: started(BackgroundEngine(SETTINGS)),
    "rehearsal": lambda: started(rehearsal()),
    "service": lambda: started(MarketMicrostructureService(SETTINGS, "btc-15m")),
}


def started(what: Any) -> object:
    what.start()
    return what


@pytest.mark.socket
@pytest.mark.parametrize("new", FORGETFUL.values(), ids=FORGETFUL)
def test_what_is_forgotten_unclosed_warns_and_ends(new: Callable[[], object]) -> None:
    keeping = [new()]
    (thread,) = engine_threads()
    with pytest.warns(ResourceWarning, match="unclosed engine in thread updown-engine"):
        keeping.clear()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_what_is_forgotten_ends_where_warnings_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: raised.append(about.exc_value))
    forgotten = started(rehearsal())
    (thread,) = engine_threads()
    del forgotten
    gc.collect()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert [type(error) for error in raised] == [ResourceWarning]


def test_a_service_forgotten_on_a_shared_engine_lets_go_of_its_market() -> None:
    with rehearsal(Settings(venue=NOWHERE)) as engine:
        service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
        service.score(max_wait_s=0)
        desk = weakref.ref(service._desk)
        del service
        gc.collect()
        ask_blocking(engine.loop.door, trio.lowlevel.checkpoint)
        gc.collect()
        assert desk() is None


# ---------------------------------------------------------------------------------------------------- end of program

# Registered first, so called last: what is left after everything else was done.
PREAMBLE = """
import atexit, threading
atexit.register(lambda: print("left:", [thread.name for thread in threading.enumerate() if thread.daemon]))
import asyncio, sys, trio
from contextlib import asynccontextmanager
from actors.ports import Ports
from actors.service import BackgroundEngine, MarketMicrostructureService, background
from tests.actors.service.embedding import SETTINGS, rehearsal
"""

UNCLOSED = """
engine = rehearsal()
service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
async def main():
    await service.get_market_score(max_wait_s=0)
asyncio.run(main())
"""

EXIT_DURING_A_CALL = """
engine = rehearsal()
async def main():
    service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
    call = asyncio.create_task(service.get_market_score())
    await service.get_market_score(max_wait_s=0)
    sys.exit(3)
asyncio.run(main())
"""

UNREACHABLE = """
service = MarketMicrostructureService(SETTINGS, "btc-15m")
service.score(max_wait_s=0)
"""

NOT_AWAITED = """
@asynccontextmanager
async def slow():
    yield Ports()
    await trio.sleep(0.2)
    print("the sockets are closed")
async def main():
    engine = BackgroundEngine(SETTINGS, world=slow)
    engine.start()
    engine.close()
asyncio.run(main())
"""

STUCK = """
background.AT_EXIT_S = 0.05
engine = rehearsal()
engine.start()
engine.loop.door.post(threading.Event().wait)
"""


@pytest.mark.parametrize(("program", "code"), [(UNCLOSED, 0), (EXIT_DURING_A_CALL, 3)], ids=["unclosed", "exit"])
def test_the_end_of_the_program_is_clean(program: str, code: int) -> None:
    done = python("-c", PREAMBLE + program)
    assert (done.returncode, done.stdout, done.stderr) == (code, "left: []\n", "")


@pytest.mark.socket
def test_the_end_of_the_program_is_clean_when_the_venue_cannot_be_reached() -> None:
    done = python("-c", PREAMBLE + UNREACHABLE)
    assert (done.returncode, done.stdout) == (0, "left: []\n")
    assert "Traceback" not in done.stderr


def test_a_close_that_nobody_waits_for_is_finished_before_the_program_ends() -> None:
    done = python("-c", PREAMBLE + NOT_AWAITED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the sockets are closed\nleft: []\n", "")


def test_the_end_of_the_program_waits_for_no_engine_that_is_stuck() -> None:
    done = python("-c", PREAMBLE + STUCK)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left: ['updown-engine']\n", "")


# -------------------------------------------------------------------------------------------------------------- leaks

CYCLES = 20


class Remains:
    """What was there before, and whether there is more of it now. Others may have ended meanwhile."""

    def __init__(self) -> None:
        gc.collect()
        self._threads = set(threading.enumerate())
        self._files = open_files()

    def assert_nothing_else(self, loops: Iterable[weakref.ref[object]]) -> None:
        gc.collect()
        assert set(threading.enumerate()) - self._threads == set()
        assert open_files() <= self._files
        assert [loop() for loop in loops if loop() is not None] == []


def in_synchronous_code() -> weakref.ref[object]:
    with rehearsal() as engine, MarketMicrostructureService(condition_id="btc-15m", engine=engine) as service:
        service.score(max_wait_s=0)
        service.follow("eth-15m")
        assert service.score(max_wait_s=1).quality.feed_state is not FeedState.CLOSED
        return weakref.ref(engine.loop)


async def on_a_loop() -> weakref.ref[object]:
    async with rehearsal() as engine, MarketMicrostructureService(condition_id="btc-15m", engine=engine) as service:
        await service.get_market_score(max_wait_s=0)
        service.follow("eth-15m")
        assert (await service.get_market_score(max_wait_s=1)).quality.feed_state is not FeedState.CLOSED
        return weakref.ref(engine.loop)


WAYS: dict[str, Callable[[], weakref.ref[object]]] = {
    "synchronous": in_synchronous_code,
    "asyncio": lambda: on_asyncio(on_a_loop),
    "trio": lambda: trio.run(on_a_loop),
}


@pytest.mark.untraced
@pytest.mark.parametrize("cycle", WAYS.values(), ids=WAYS)
def test_cycles_in_memory_leave_nothing_behind(cycle: Callable[[], weakref.ref[object]]) -> None:
    before = Remains()
    loops = [cycle() for _ in range(CYCLES)]
    before.assert_nothing_else(loops)


@pytest.mark.untraced
@pytest.mark.socket
def test_cycles_of_a_service_with_an_engine_of_its_own_leave_nothing_behind() -> None:
    def cycle(settings: Settings) -> weakref.ref[object]:
        with MarketMicrostructureService(settings, CONDITION_ID) as service:
            wait_until(lambda: service.score(max_wait_s=0).quality.feed_state is FeedState.LIVE)
            return weakref.ref(service._reach.home)

    with served_on_loopback(ONE_TRADE, beat_s=0.01) as settings:
        before, files = Remains(), open_files()
        loops = [cycle(settings) for _ in range(CYCLES)]
        # The venue closes its ends of the sockets in its own time.
        wait_until(lambda: open_files() <= files)
        before.assert_nothing_else(loops)
