"""The service inside other people's programs: their loops, their test runners, their notebooks, their sockets."""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import trio
import trio.testing

from actors.rehearsal import RehearsalEngine
from actors.service import MarketMicrostructureService, ServiceClosed
from actors.service.waiting import ask_blocking
from engine.signals import REFUSALS, MarketSignals, SignalType
from tests.actors.local_venue import follow, rig
from tests.actors.service.embedding import (
    PATIENCE_S,
    LoopFactory,
    engine_threads,
    every_loop,
    interrupting,
    on_asyncio,
    python,
    rehearsal,
    with_signals,
)

NAMES = ("btc-15m", "eth-15m")

MockClock = trio.testing.MockClock


def scored(signal: MarketSignals) -> bool:
    """Whether it is a score of a full window."""
    return signal.signal_type not in REFUSALS and signal.window.coverage > 0.9


def service_of(engine: RehearsalEngine, name: str = NAMES[0]) -> MarketMicrostructureService:
    return MarketMicrostructureService(condition_id=name, engine=engine)


# ------------------------------------------------------------------------------------------------ asyncio and uvloop


@every_loop
def test_a_bot_on_asyncio(new_loop: LoopFactory) -> None:
    async def bot() -> list[MarketSignals]:
        async with rehearsal() as engine, service_of(engine) as service:
            first = await service.get_market_score()
            service.follow(NAMES[1])
            together = await asyncio.gather(*(service.get_market_score() for _ in range(50)))
            return [first, *together]

    signals = on_asyncio(bot, new_loop)
    assert all(scored(signal) for signal in signals)
    assert len(signals) == 51
    assert engine_threads() == []


@every_loop
def test_one_engine_for_one_asyncio_loop_after_the_other(new_loop: LoopFactory) -> None:
    with rehearsal() as engine:
        service = service_of(engine)
        assert all(scored(on_asyncio(service.get_market_score, new_loop)) for _ in range(3))


@every_loop
def test_a_cancelled_score_leaves_nothing_behind(new_loop: LoopFactory) -> None:
    async def bot() -> MarketSignals:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.get_market_score(), 0.001)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(service.get_market_score())
            await asyncio.sleep(0)
            waiting.cancel()
        assert waiting.cancelled()
        return await service.get_market_score(max_wait_s=0)

    with rehearsal(rate=1.0) as engine:
        service = service_of(engine)
        assert isinstance(on_asyncio(bot, new_loop), MarketSignals)
        assert calls_under_way(engine) == 0


def calls_under_way(engine: RehearsalEngine) -> int:
    """How many calls there are behind the door, besides this one."""

    async def count() -> int:
        await trio.testing.wait_all_tasks_blocked()
        assert engine.loop.door._nursery is not None
        return len(engine.loop.door._nursery.child_tasks) - 1

    return ask_blocking(engine.loop.door, count)


@every_loop
def test_a_call_under_way_when_the_engine_is_closed_raises(new_loop: LoopFactory) -> None:
    async def bot() -> None:
        engine = rehearsal(rate=1.0)
        service = service_of(engine)
        await service.get_market_score(max_wait_s=0)
        waiting = [asyncio.create_task(service.get_market_score()) for _ in range(3)]
        await asyncio.sleep(0)
        await engine.close()
        for task in waiting:
            with pytest.raises(ServiceClosed):
                await task

    on_asyncio(bot, new_loop)


@every_loop
def test_a_debugging_loop_finds_nothing_to_complain_about(
    new_loop: LoopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    async def bot() -> MarketSignals:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = PATIENCE_S
        async with rehearsal() as engine:
            return await service_of(engine).get_market_score()

    assert scored(on_asyncio(bot, new_loop))
    assert [record for record in caplog.records if record.name in {"asyncio", "concurrent.futures"}] == []


# ------------------------------------------------------------------------------------------------------ pytest-asyncio

THEIR_TESTS = """
import asyncio
import pytest
import pytest_asyncio
from tests.actors.service.embedding import rehearsal
from actors.service import MarketMicrostructureService

@pytest.fixture(scope="session")
def engine():
    with rehearsal() as engine:
        yield engine

@pytest_asyncio.fixture
async def service(engine):
    async with MarketMicrostructureService(condition_id="btc-15m", engine=engine) as service:
        yield service

async def test_their_bot(service):
    signal = await service.get_market_score()
    assert signal.signal_type != "MARKET_UNAVAILABLE"

@pytest.mark.parametrize("turn", range(3))
async def test_every_test_has_a_loop_of_its_own(service, turn):
    signals = await asyncio.gather(*(service.get_market_score() for _ in range(10)))
    assert {signal.signal_type for signal in signals}.isdisjoint({"MARKET_UNAVAILABLE", "MARKET_CLOSED"})

async def test_an_engine_within_a_test():
    async with rehearsal() as engine:
        service = MarketMicrostructureService(condition_id="eth-15m", engine=engine)
        assert (await service.get_market_score()).confidence > 0

def test_a_synchronous_one(engine):
    service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
    assert service.score().timestamp is not None
"""


def test_the_tests_of_a_bot_under_pytest_asyncio(tmp_path: Path) -> None:
    tmp_path.joinpath("test_their_bot.py").write_text(THEIR_TESTS, encoding="utf-8")
    tmp_path.joinpath("pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n",
        encoding="utf-8",
    )
    done = python("-m", "pytest", "-q", "-p", "no:trio", "-p", "no:cacheprovider", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_pytest_asyncio_is_kept_out_of_this_suite(request: pytest.FixtureRequest) -> None:
    assert not request.config.pluginmanager.has_plugin("asyncio")
    assert request.config.pluginmanager.has_plugin("trio")


# ------------------------------------------------------------------------------------------------------------ notebooks

CELLS = [
    """
    from actors.service import MarketMicrostructureService
    from tests.actors.service.embedding import rehearsal
    engine = rehearsal()
    service = MarketMicrostructureService(condition_id="btc-15m", engine=engine)
    """,
    "signal = await service.get_market_score()",
    "service.follow('eth-15m')",
    """
    import asyncio
    signals = await asyncio.gather(*(service.get_market_score() for _ in range(3)))
    """,
    """
    try:
        service.score()
    except RuntimeError as error:
        refused = str(error)
    """,
    "service.close()",
    "engine.close()",
    "await engine.close()",
]


@every_loop
def test_a_notebook(new_loop: LoopFactory) -> None:
    # As IPython does it: each cell is compiled with a top-level await allowed, and run in the loop that runs already.
    async def notebook() -> dict[str, Any]:
        names: dict[str, Any] = {}
        for cell in CELLS:
            code = compiled(cell)
            result = eval(code, names)
            if inspect.iscoroutine(result):
                await result
        return names

    names = on_asyncio(notebook, new_loop)
    assert scored(names["signal"])
    assert len(names["signals"]) == 3
    assert "await get_market_score()" in names["refused"]
    assert engine_threads() == []


def compiled(cell: str) -> CodeType:
    return compile(textwrap.dedent(cell), "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# ----------------------------------------------------------------------------------------------- other people's sockets


@asynccontextmanager
async def aiohttp_talk() -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A server and a client of aiohttp in this loop; each call is one request and its answer, then one by WebSocket."""
    from aiohttp import ClientSession, web  # noqa: PLC0415 - takes its time to import

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"you said": await request.text()})

    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    application = web.Application()
    application.add_routes([web.post("/", answer), web.get("/echo", echo)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        async with ClientSession(f"http://{host}:{port}") as client, client.ws_connect("/echo") as socket:

            async def talk() -> str:
                async with client.post("/", data="hello") as response:
                    said = (await response.json())["you said"]
                await socket.send_str(said)
                return str(await socket.receive_str())

            yield talk
    finally:
        await runner.cleanup()


@asynccontextmanager
async def websockets_talk() -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """The same with a server and a client of websockets."""
    from websockets.asyncio.client import connect  # noqa: PLC0415
    from websockets.asyncio.server import ServerConnection, serve  # noqa: PLC0415

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        async with connect(f"ws://{host}:{port}", proxy=None) as connection:

            async def talk() -> str:
                await connection.send("hello")
                return str(await connection.recv())

            yield talk


@pytest.mark.socket
@every_loop
@pytest.mark.parametrize("neighbour", [aiohttp_talk, websockets_talk], ids=["aiohttp", "websockets"])
def test_beside_the_sockets_of_others(new_loop: LoopFactory, neighbour: Callable[[], Any]) -> None:
    async def bot() -> tuple[list[str], list[MarketSignals]]:
        heard: list[str] = []
        async with rehearsal() as engine, service_of(engine) as service, neighbour() as talk:
            warm = asyncio.create_task(service.get_market_score())
            while not warm.done():
                heard.append(await talk())
            signals = [await warm]
            for _ in range(10):
                said, signal = await asyncio.gather(talk(), service.get_market_score())
                heard.append(said)
                signals.append(signal)
        return heard, signals

    heard, signals = on_asyncio(bot, new_loop)
    assert set(heard) == {"hello"}
    assert len(heard) > 10
    assert all(scored(signal) for signal in signals)


# ----------------------------------------------------------------------------------------------------------------- trio


async def test_a_bot_on_trio_with_an_engine_in_the_background() -> None:
    signals: list[MarketSignals] = []

    async def ask_once(service: MarketMicrostructureService) -> None:
        signals.append(await service.get_market_score())

    async with rehearsal() as engine, service_of(engine) as service:
        await ask_once(service)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask_once, service)
        with trio.move_on_after(0) as scope:
            await ask_once(service)
    assert scope.cancelled_caught
    assert len(signals) == 21
    assert all(scored(signal) for signal in signals)
    assert engine_threads() == []


async def test_a_bot_on_trio_with_an_engine_of_its_own_loop(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=60) as running:
        async with MarketMicrostructureService(condition_id=NAMES[0], engine=running.engine) as service:
            signal = await service.get_market_score()
            assert scored(signal)
            assert service.settings is running.engine.settings
            service.follow(NAMES[1])
            assert (await service.get_market_score(max_wait_s=0)).target == signal.target
            with pytest.raises(RuntimeError, match="would block the running loop"):
                service.score()
        with pytest.raises(ServiceClosed):
            await service.get_market_score()
        assert running.engine.health().markets
    assert engine_threads() == []


def test_an_engine_of_a_trio_loop_is_refused_outside_of_it() -> None:
    async def main() -> Any:
        async with rig(follow()) as running:
            return running.engine

    engine = trio.run(main)
    with pytest.raises(RuntimeError):
        MarketMicrostructureService(condition_id=NAMES[0], engine=engine)


# -------------------------------------------------------------------------------------------------------------- threads


def test_plain_threads_at_once() -> None:
    together = threading.Barrier(8)

    def bot(number: int) -> MarketSignals:
        together.wait(PATIENCE_S)
        return service.score() if number % 2 else service_of(engine, NAMES[1]).score()

    with rehearsal() as engine, ThreadPoolExecutor(8) as pool:
        service = service_of(engine)
        signals = list(pool.map(bot, range(8)))
    assert all(scored(signal) for signal in signals)
    assert len({signal.target for signal in signals}) == 2


def test_who_comes_second_finds_the_market_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[MarketSignals] = []

    def overtaken(*args: Any) -> None:
        """While one thread is about to name the market, another one comes with its first call, and is answered."""
        monkeypatch.undo()
        second = threading.Thread(target=lambda: answers.append(service.score(max_wait_s=0)))
        second.start()
        second.join(PATIENCE_S)
        service._reach.post(*args)

    with rehearsal() as engine:
        service = service_of(engine)
        monkeypatch.setattr(service._reach, "post", overtaken)
        answers.append(service.score(max_wait_s=0))
    assert [signal.reason for signal in answers if signal.reason == "no_market"] == []
    assert len({signal.target for signal in answers}) == 1


def test_every_kind_of_program_shares_one_engine() -> None:
    bots: list[Callable[[MarketMicrostructureService], MarketSignals]] = [
        lambda service: service.score(),
        lambda service: on_asyncio(service.get_market_score),
        lambda service: trio.run(service.get_market_score),
    ]
    with rehearsal() as engine, ThreadPoolExecutor(9) as pool:
        service = service_of(engine)
        futures = [pool.submit(bot, service) for bot in bots * 3]
        assert all(scored(future.result(PATIENCE_S)) for future in futures)


@with_signals
def test_ctrl_c_during_a_blocking_score() -> None:
    begun = threading.Event()
    with rehearsal(rate=1.0) as engine:
        service = service_of(engine)
        service.start()
        engine.loop.door.post(begun.set)
        with interrupting(begun):
            service.score()
        assert service.score(max_wait_s=0).signal_type in set(SignalType)
        assert calls_under_way(engine) == 0
