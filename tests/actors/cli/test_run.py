import io
import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

import pytest
import structlog
import trio
from rich.console import Console
from structlog.testing import capture_logs
from trio.testing import MockClock

from actors.cli import main, run
from actors.cli.failures import Exit, let_go_of_streams
from actors.cli.run import Board, Display, Lines, run_engine, scorers_for
from actors.clock import Clock
from actors.config import ConfigError, Loaded, load_settings
from actors.plugins import PluginError
from actors.ports import Ports
from actors.supervisor import SupervisorFailure
from actors.system import Engine
from actors.venue import Venue
from engine.errors import PresetError
from engine.settings import ScoringSettings, Settings

START_NS = 1_786_891_600 * 10**9
"""100 seconds into a slot of five and of fifteen minutes."""


def loaded(*names: str, window_s: float = 60) -> Loaded:
    follow = ", ".join(f'{{ series = "{name}" }}' for name in names or ("btc-5m",))
    return load_settings(overrides=[f"follow=[{follow}]", f"scoring.window_s={window_s}"])


def unused() -> Loaded:
    raise AssertionError("nobody asked for a reload")


class Kept:
    """A display that keeps what it was shown."""

    def __init__(self, at_start: Callable[[Engine], object] = lambda engine: None) -> None:
        self.slugs: list[str | None] = []
        self.deadlines: list[int] = []
        self.ended = False
        self._at_start = at_start

    async def show(self, engine: Engine, closed: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        signals = engine.signals()
        task_status.started()
        self._at_start(engine)
        async for market_signal in signals:
            self.slugs.append(market_signal.slug)
            self.deadlines.append(market_signal.as_of_ns)
        self.ended = True


class GaveUp(list[float]):
    def arm(self, seconds: float, code: Exit) -> None:
        self.append(seconds)


@asynccontextmanager
async def world() -> AsyncIterator[Ports]:
    """The ports of an engine at a venue in memory."""
    clock = Clock.anchored(START_NS)
    venue = Venue(clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        yield Ports(dial=venue.dial, http_transport=venue.http_transport, clock=clock)
        nursery.cancel_scope.cancel()


async def test_the_time_is_up(autojump_clock: MockClock) -> None:
    kept, gave_up = Kept(), GaveUp()
    async with world() as ports:
        code = await run_engine(
            loaded(), load_again=unused, display=kept, seconds=21.0, ports=ports, give_up=gave_up.arm
        )
    assert code == Exit.DONE
    assert len(kept.deadlines) == 4
    assert kept.ended
    assert len(gave_up) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
async def test_a_signal_ends_it_after_the_last_line(number: signal.Signals, autojump_clock: MockClock) -> None:
    kept, gave_up = Kept(), GaveUp()

    async def send() -> None:
        await trio.sleep(12.0)
        signal.raise_signal(number)

    async with world() as ports, trio.open_nursery() as nursery:
        nursery.start_soon(send)
        with trio.fail_after(18.0):
            code = await run_engine(loaded(), load_again=unused, display=kept, ports=ports, give_up=gave_up.arm)
    assert code == Exit.DONE
    assert len(kept.deadlines) == 2
    assert kept.ended
    assert gave_up == [run.FIRST_S]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
async def test_a_reload_applies_the_follow_list(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(load: Callable[[], Loaded]) -> Loaded:
        await trio.lowlevel.checkpoint()
        return load()

    # The clock would not wait for a thread.
    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)
    kept = Kept()
    following = [loaded("eth-5m", window_s=90), None, loaded("eth-5m", "btc-5m")]

    def load_again() -> Loaded:
        following_one = following.pop(0)
        if following_one is None:
            raise ConfigError([])
        return following_one

    async def send() -> None:
        for _ in range(3):
            await trio.sleep(20.0)
            signal.raise_signal(signal.SIGHUP)

    async with world() as ports, trio.open_nursery() as nursery:
        nursery.start_soon(send)
        with capture_logs() as logged:
            await run_engine(
                loaded(), load_again=load_again, display=kept, seconds=80.0, ports=ports, give_up=GaveUp().arm
            )
    events = [entry["event"] for entry in logged if entry["event"].startswith("config.")]
    assert events == ["config.reloaded", "config.reload_failed", "config.reloaded"]
    families = [str(slug).partition("-")[0] for slug in kept.slugs]
    assert families[:3] == ["btc"] * 3
    assert families[-8:].count("eth") == 4
    assert "btc" not in families[5:10]
    assert "btc" in families[-4:]


async def test_the_failure_of_the_supervisor_is_exit_70(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gave_up = Kept(), GaveUp()

    @asynccontextmanager
    async def failing(*arguments: object, **others: object) -> AsyncIterator[Engine]:
        async with engine_of(*arguments, **others) as engine:
            yield engine
        raise SupervisorFailure("most are down")

    engine_of = run.open_engine
    monkeypatch.setattr(run, "open_engine", failing)
    async with world() as ports:
        with capture_logs() as logged:
            code = await run_engine(
                loaded(), load_again=unused, display=kept, seconds=6.0, ports=ports, give_up=gave_up.arm
            )
    assert code == Exit.INTERNAL
    assert [entry["event"] for entry in logged if entry["log_level"] == "critical"] == ["engine.failed"]
    assert kept.ended
    assert len(gave_up) == 2


async def test_lines_are_the_signals_and_the_aggregates(autojump_clock: MockClock) -> None:
    stream = io.StringIO()
    display: Display = Lines(stream, structlog.get_logger())
    async with world() as ports:
        with capture_logs() as logged:
            await run_engine(
                loaded("btc-5m", "btc-15m"),
                load_again=unused,
                display=display,
                seconds=11.0,
                ports=ports,
                give_up=GaveUp().arm,
            )
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    kinds = [line["event_type"] for line in lines]
    assert kinds.count("market_signal") == 4
    assert kinds.count("aggregate_signal") == 2
    (closed,) = (entry for entry in logged if entry["event"] == "sink.closed")
    assert (closed["written"], closed["lost"]) == (6, 0)


async def test_a_lost_stdout_does_not_end_it(autojump_clock: MockClock) -> None:
    async with world() as ports:
        with capture_logs() as logged:
            code = await run_engine(
                loaded(),
                load_again=unused,
                display=Lines(Gone(), structlog.get_logger()),
                seconds=21.0,
                ports=ports,
                give_up=GaveUp().arm,
            )
    assert code == Exit.DONE
    assert [entry["event"] for entry in logged].count("sink.failed") == 1
    (closed,) = (entry for entry in logged if entry["event"] == "sink.closed")
    assert closed["lost"] >= 4


async def test_the_board_is_drawn_until_the_end(autojump_clock: MockClock) -> None:
    stream = io.StringIO()
    display: Display = Board(Console(file=stream, width=200, force_terminal=False), structlog.get_logger())
    async with world() as ports:
        await run_engine(loaded(), load_again=unused, display=display, seconds=11.0, ports=ports, give_up=GaveUp().arm)
    assert "btc-5m" in stream.getvalue()


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(5, "Input/output error")], ids=repr)
async def test_a_lost_screen_does_not_end_it(error: OSError, autojump_clock: MockClock) -> None:
    display: Display = Board(Console(file=Gone(error), width=200, force_terminal=True), structlog.get_logger())
    async with world() as ports:
        with capture_logs() as logged:
            code = await run_engine(
                loaded(), load_again=unused, display=display, seconds=11.0, ports=ports, give_up=GaveUp().arm
            )
    assert code == Exit.DONE
    assert [entry["event"] for entry in logged].count("table.lost") == 1


def test_plugins_are_loaded_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise PluginError("scorer 'mine' of acme 1.2: cannot be loaded")

    monkeypatch.setattr(run, "discover", broken)
    assert scorers_for(Settings()) == {}
    with pytest.raises(PluginError):
        scorers_for(Settings(scoring=ScoringSettings(preset="mine")))


def test_following_nothing_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "updown: follow: nothing is followed" in captured.err


# ----------------------------------------------------------------------------------------- the process and its signals

FOLLOWING = '[[follow]]\nseries = "btc-5m"\n'
OFFLINE = """
[scoring]
cadence_s = 0.25
[venue]
websocket_url = "ws://127.0.0.1:9/ws/market"
gamma_url = "http://127.0.0.1:9"
clob_url = "http://127.0.0.1:9"
[log]
format = "json"
"""
"""A venue that refuses every connect: there is a signal every quarter of a second all the same."""


@contextmanager
def running(config: Path, *words: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A process that has started to follow, and would end by itself if the test hung."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    program = "from actors.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "run", "-c", str(config), "--seconds", "20", *words]
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environ) as process:
        try:
            until(process.stderr, "market.followed")
            yield process
        finally:
            process.kill()


def until(stream: IO[str] | None, event: str) -> dict[str, object]:
    """The next log line of this event."""
    assert stream is not None
    for line in stream:
        record: dict[str, object] = json.loads(line)
        if record["event"] == event:
            return record
    raise AssertionError(f"no {event}")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "updown.toml"
    path.write_text(FOLLOWING + OFFLINE, encoding="utf-8")
    return path


@pytest.mark.socket
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_the_process_ends_with_0_and_whole_lines(config: Path, number: signal.Signals) -> None:
    with running(config) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(number)
        rest, _ = process.communicate(timeout=5.0)
        assert process.returncode == 0
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert lines[0]["signal_type"] == "MARKET_UNAVAILABLE"
    assert rest == "" or rest.endswith("\n")


@pytest.mark.socket
def test_sighup_applies_what_is_right_and_keeps_the_old_otherwise(config: Path) -> None:
    with running(config) as process:
        config.write_text("[scoring]\nwindow_s = 1\nwindow = 2\n" + FOLLOWING, encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        failed = until(process.stderr, "config.reload_failed")
        assert len(failed["problems"]) == 2  # type: ignore[arg-type]
        config.write_text(FOLLOWING + '[[follow]]\nseries = "eth-5m"\n' + OFFLINE + 'level="debug"', encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        applied = until(process.stderr, "config.reloaded")
        assert (applied["followed"], applied["unfollowed"]) == (["eth-5m"], [])
        assert applied["needs_restart"] == ["log.level"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=5.0)
        assert process.returncode == 0


@pytest.mark.socket
def test_a_reader_that_leaves_changes_nothing(config: Path) -> None:
    with running(config) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        until(process.stderr, "sink.failed")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=5.0)
        assert process.returncode == 0
        assert "Exception ignored" not in said


@pytest.mark.socket
def test_a_reader_that_is_stuck_delays_the_end_by_less_than_a_second(config: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    try:
        with running(config, stdout=writing) as process:
            until(process.stderr, "market.lookup_failed")
            trio.run(partial(trio.sleep, 0.3))  # the first line is being written, and never will be
            process.send_signal(signal.SIGTERM)
            until(process.stderr, "engine.stopping")
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=1.5)
            assert process.returncode == 0
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.socket
def test_it_ends_by_itself(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-c", str(config), "--seconds", "0.6"]) == 0
    captured = capsys.readouterr()
    assert {json.loads(line)["event_type"] for line in captured.out.splitlines()} <= {
        "market_signal",
        "aggregate_signal",
    }
    assert json.loads(captured.out.splitlines()[0])["series"] == "btc-5m"
    assert json.loads(captured.err.splitlines()[-1])["event"] == "sink.closed"


class Gone(io.StringIO):
    """A stdout whose reader has gone."""

    def __init__(self, error: OSError | None = None) -> None:
        super().__init__()
        self._error = error or BrokenPipeError(32, "Broken pipe")

    def write(self, text: str) -> int:
        raise self._error


def test_a_lost_stdout_is_no_failure_in_the_end_either(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        stream.write("the last line")
        monkeypatch.setattr(sys, "stdout", stream)
        let_go_of_streams()
        monkeypatch.undo()
        assert os.path.samestat(os.fstat(writing), Path(os.devnull).stat())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stdout", "output", "display"),
    [
        (io.StringIO(), None, Lines),
        (Terminal(), None, Board),
        (Terminal(), "jsonl", Lines),
        (io.StringIO(), "table", Board),
    ],
)
def test_a_terminal_shows_the_table_and_a_pipe_has_lines(
    stdout: io.StringIO, output: str | None, display: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    assert isinstance(run._display(Namespace(output=output, no_color=False)), display)


def test_what_travels_in_groups_arrives_alone(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refusing(*arguments: object, **others: object) -> Exit:
        raise ExceptionGroup("", [ExceptionGroup("", [PresetError("no such option")])])

    monkeypatch.setattr(run, "run_engine", refusing)
    assert main(["run", "-c", str(config)]) == 2
    assert capsys.readouterr().err == "updown: no such option\n"
