"""The line sink: one line per signal, on time; a stream that is slow or gone hurts nobody else."""

from __future__ import annotations

import json
import re
import threading
from io import StringIO
from pathlib import Path

import pytest
import structlog
import trio
import trio.testing
from attrs import evolve
from jsonschema import Draft202012Validator

from actors.faults import FaultKind
from actors.hub import Hub
from actors.rest import RestFaultKind
from actors.sinks import LineSink
from engine.envelope import envelope_line
from engine.signals import Signal
from tests.actors.local_venue import follow, rig
from tests.engine.test_envelope import AGGREGATE, MARKET_SIGNAL, UNAVAILABLE

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "signal-envelope.schema.json").read_text("utf-8"))
REASONS = set(SCHEMA["$defs"]["market_signal"]["properties"]["reason"]["enum"]) - {None}


def sink_on(stream: StringIO) -> LineSink:
    return LineSink(stream, log=structlog.get_logger())


class Broken(StringIO):
    """A stream that takes so many lines, and then nothing but complaints."""

    def __init__(self, error: Exception, lines: int = 0) -> None:
        super().__init__()
        self.tries = 0
        self._error = error
        self._lines = lines

    def write(self, text: str) -> int:
        self.tries += 1
        if self.tries > self._lines:
            raise self._error
        return super().write(text)


class Slow(StringIO):
    """A stream whose reader has stopped reading until ``go`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        assert self.go.wait(10)
        return super().write(text)


class Buffered(StringIO):
    """A stream that shows what was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


async def test_every_signal_is_one_line_to_the_end_of_the_subscription() -> None:
    hub, stream = Hub[Signal]("signals"), StringIO()
    sink, subscription = sink_on(stream), hub.subscribe(10)
    for signal in (MARKET_SIGNAL, UNAVAILABLE, AGGREGATE):
        hub.publish(signal)
    hub.close()
    await sink.run(subscription)
    assert stream.getvalue() == "".join(f"{envelope_line(it)}\n" for it in (MARKET_SIGNAL, UNAVAILABLE, AGGREGATE))
    assert (sink.written, sink.lost) == (3, 0)


async def test_a_line_is_there_as_soon_as_it_is_written() -> None:
    stream = Buffered()
    sink = sink_on(stream)
    await sink.write(MARKET_SIGNAL)
    assert stream.flushed == [f"{envelope_line(MARKET_SIGNAL)}\n"]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (BrokenPipeError(32, "Broken pipe"), "BrokenPipeError"),
        (OSError(28, "No space left on device"), "OSError"),
        (ValueError("I/O operation on closed file"), "ValueError"),
    ],
)
async def test_a_stream_that_is_gone_is_told_of_once_and_counted(error: Exception, name: str) -> None:
    stream = Broken(error, lines=1)
    with structlog.testing.capture_logs() as logs:
        sink = sink_on(stream)
        for _ in range(4):
            await sink.write(MARKET_SIGNAL)
    assert (sink.written, sink.lost, stream.tries) == (1, 3, 2)
    assert [(it["event"], it["log_level"], it["error_type"]) for it in logs] == [("sink.failed", "warning", name)]
    assert str(error) in logs[0]["error"]


async def test_a_stream_that_cannot_flush_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    stream = StringIO()
    sink = sink_on(stream)
    stream.close()
    await sink.write(MARKET_SIGNAL)
    assert (sink.written, sink.lost) == (0, 1)


async def test_what_is_no_fault_of_the_stream_is_not_blamed_on_it() -> None:
    class Mistaken(StringIO):
        def write(self, text: str) -> int:
            raise ZeroDivisionError("planted")

    sink = sink_on(Mistaken())
    with pytest.raises(ZeroDivisionError, match="planted"):
        await sink.write(MARKET_SIGNAL)


async def test_a_reader_that_stops_reading_stops_nobody_else() -> None:
    hub, stream = Hub[Signal]("signals"), Slow()
    sink, other = sink_on(stream), hub.subscribe(100)
    subscription = hub.subscribe(3)
    signals = [evolve(MARKET_SIGNAL, as_of_ns=number) for number in range(10)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.run, subscription)
        for signal in signals:
            hub.publish(signal)
            await trio.testing.wait_all_tasks_blocked()
        assert [await anext(other) for _ in signals] == signals
        assert (sink.written, subscription.dropped) == (0, 6), "one is being written, three wait"
        hub.close()
        stream.go.set()
    assert [json.loads(line)["as_of_ns"] for line in stream.getvalue().splitlines()] == [0, 7, 8, 9]
    assert (sink.written, sink.lost) == (4, 0)


async def test_what_a_running_engine_says_fits_the_published_schema(autojump_clock: trio.testing.MockClock) -> None:
    stream = StringIO()
    sink = sink_on(stream)
    async with rig(follow("btc-5m", "btc-15m"), seconds=-80) as running:
        await trio.sleep(60)
        running.venue.faults.down = True
        await trio.sleep(40)
        running.venue.faults.down = False
        await trio.sleep(40)
    for signal in [*running.signals, *running.aggregates]:
        await sink.write(signal)
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    for document in documents:
        Draft202012Validator(SCHEMA).validate(document)
    assert len({it["event_id"] for it in documents}) == len(documents) == sink.written > 80
    assert {it["event_type"] for it in documents} == {"market_signal", "aggregate_signal"}


def test_the_schema_knows_every_kind_of_fault_as_a_reason() -> None:
    assert {kind.value for kind in FaultKind} <= REASONS
    assert {f"metadata_{kind}" for kind in RestFaultKind} <= REASONS


def test_the_schema_knows_every_reason_that_the_source_gives() -> None:
    given = set[str]()
    gives = (r'(?:neutral|make_up|refusal)\(.*?"(\w+)"', r'reason="(\w+)"', r'SignalType\.MARKET_\w+, "(\w+)"')
    for folder in ("actors", "actors/service", "engine"):
        for path in ROOT.joinpath(folder).glob("*.py"):
            for pattern in gives:
                given.update(re.findall(pattern, path.read_text("utf-8")))
    computed = {kind.value for kind in FaultKind} | {f"metadata_{kind}" for kind in RestFaultKind}
    computed |= {"closed", "resolved", "connecting"}
    assert given == REASONS - computed
