"""``updown record``: what it tells while it records, and that everything is on the tapes when it ends."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve
from rich.console import Console
from trio.testing import MockClock

import actors.recorder
from actors.cli import main, record
from actors.cli.record import Minutes, Screen, as_json, board, totals
from actors.clock import PacedClock
from actors.health import EngineHealth, MarketHealth, RecorderHealth
from actors.system import Engine
from actors.tapes import examine, find_tapes
from engine.markets import MarketPhase
from engine.settings import RecordingSettings
from engine.signals import FeedState
from tests.actors.local_venue import QUIET, follow, rig

UPDOWN = [sys.executable, "-c", "from actors.cli import main; raise SystemExit(main())"]

MARKET = MarketHealth(
    target="btc-updown-5m-1",
    series="btc-5m",
    slug="btc-updown-5m-1",
    condition_id=None,
    start_ns=None,
    phase=MarketPhase.OPEN,
    feed_state=FeedState.LIVE,
    actor="running",
    restarts=0,
    epoch=1,
    last_fault=None,
    opening_gap_s=None,
    signal_type=None,
    coverage=None,
)
HEALTH = EngineHealth(
    as_of_ns=5,
    started_ns=1,
    markets=(MARKET, evolve(MARKET, target="eth-updown-5m-1", feed_state=FeedState.BACKOFF)),
    signals=0,
    aggregates=0,
    dropped=0,
    late=0,
    rollovers=0,
    worst_rollover_gap_s=None,
    problems={},
    recorder=RecorderHealth(
        written=70, lost=3, waiting_bytes=9, fault="enospc", records={MARKET.target: 70}, losses={MARKET.target: 3}
    ),
)


class Stuck:
    """An engine whose recorder does not get rid of its lines."""

    def health(self) -> EngineHealth:
        return HEALTH


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> PacedClock:
    """A mock clock that runs by itself: an autojump clock would jump while a thread writes."""
    monkeypatch.setattr(actors.recorder, "CLOSING_S", 12_000.0)
    return PacedClock(200.0)


@asynccontextmanager
async def recording(folder: Path, display: record.Report) -> AsyncIterator[Engine]:
    closed = trio.Event()
    settings = follow("btc-5m", recording=RecordingSettings(record=True, folder=str(folder), labels=False))
    async with trio.open_nursery() as nursery:
        async with rig(settings, options=QUIET) as running:
            await nursery.start(display.show, running.engine, closed)
            yield running.engine
        closed.set()


def test_what_is_told_of_each_market() -> None:
    told = as_json(HEALTH)
    assert (told["written"], told["lost"], told["fault"]) == (70, 3, "enospc")
    assert told["markets"] == [
        {"market": "btc-updown-5m-1", "records": 70, "lost": 3, "feed": "live"},
        {"market": "eth-updown-5m-1", "records": 0, "lost": 0, "feed": "backoff"},
    ]
    assert totals(HEALTH) == "70 written, 3 lost, 9 bytes waiting; cannot write: enospc"
    nothing = evolve(HEALTH, recorder=None)
    assert as_json(nothing) == {"as_of_ns": 5}
    assert totals(nothing) == "nothing is recorded"


def test_the_table_has_a_row_for_each_market() -> None:
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(board(HEALTH))
    text = console.export_text()
    assert [word for word in ("records", "lost", "feed", "live", "backoff", "enospc") if word not in text] == []


async def test_a_line_every_minute_and_one_at_the_end(fast_clock: PacedClock, tmp_path: Path) -> None:
    stream = io.StringIO()
    minutes = Minutes(stream)
    async with recording(tmp_path, minutes):
        await trio.sleep(130.0)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 3
    written = [line["written"] for line in lines]
    assert 0 < written[0] <= written[1] <= written[2]
    reports = [examine(tape) for tape in find_tapes([tmp_path])]
    assert (minutes.unwritten, [problem for report in reports for problem in report.problems()]) == (0, [])
    assert sum(sum(report.records.values()) for report in reports) == written[-1]


async def test_the_screen_ends_with_everything_written(fast_clock: PacedClock, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=100, record=True, force_terminal=True)
    screen = Screen(console)
    async with recording(tmp_path, screen):
        await trio.sleep(20.0)
    assert "lost, 0 bytes waiting" in console.export_text().splitlines()[-1]
    assert screen.unwritten == 0


async def test_what_is_not_written_in_the_end_is_known(autojump_clock: MockClock) -> None:
    class Gone(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

    for display in (Minutes(Gone()), Screen(Console(file=Gone(), force_terminal=True))):
        closed = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(display.show, Stuck(), closed)
            await trio.sleep(3.0)
            closed.set()
        assert display.unwritten == 9


def test_unwritten_lines_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_process(arguments: object, load: object, display: Callable[[], Minutes]) -> int:
        display().unwritten = 5
        return 0

    monkeypatch.setattr(record, "run_process", run_process)
    assert main(["record", "-o", "jsonl"]) == 1


def test_nothing_to_follow_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--folder", "x"]) == 2
    assert "nothing is followed" in capsys.readouterr().err


@pytest.mark.socket
def test_a_signal_ends_it_with_whole_tapes(tmp_path: Path) -> None:
    serve = [*UPDOWN, "serve", "--port", "0", "--rate", "30"]
    serving = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert serving.stdout is not None
        urls = json.loads(serving.stdout.readline())
        venue = [f"venue.{name}={json.dumps(url)}" for name, url in urls.items()]
        words = [word for it in ['follow=[{ series = "btc-5m" }]', *venue] for word in ("--set", it)]
        recorder = subprocess.Popen(
            [*UPDOWN, "record", "-o", "jsonl", "--folder", str(tmp_path), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert recorder.stderr is not None
        for line in recorder.stderr:
            if "feed.connected" in line:
                break
        recorder.send_signal(signal.SIGTERM)
        out, _ = recorder.communicate(timeout=10.0)
    finally:
        serving.kill()
        serving.communicate()
    assert recorder.returncode == 0
    last = json.loads(out.splitlines()[-1])
    reports = [examine(tape) for tape in find_tapes([tmp_path])]
    assert all(report.intact for report in reports)
    assert sum(sum(report.records.values()) for report in reports) == last["written"] > 0
    assert sum(market["records"] for market in last["markets"]) == last["written"]
