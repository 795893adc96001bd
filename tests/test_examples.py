"""What the examples and the page on embedding show is run: as a user would, and in process with every fault."""

from __future__ import annotations

import ast
import asyncio
import gc
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import field, frozen

from actors import MarketMicrostructureService, RehearsalEngine, Venue, VenueOptions
from actors.venue.listing import asset_id, condition_id
from engine.botrecord import BotRecord
from engine.markets import Outcome
from engine.settings import ScoringSettings, Settings
from engine.signals import REFUSALS, OutsideScore, SignalType
from tests import pages
from tests.pages import blocks_of, run_program, stand_in

pytestmark = pytest.mark.untraced

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
PROGRAMS = ("asyncio_bot", "sync_loop", "trio_bot")

QUARTER_S = 1_790_001_000
SLUG = f"btc-updown-15m-{QUARTER_S}"
NEXT_SLUG = f"btc-updown-15m-{QUARTER_S + 900}"
QUIET = VenueOptions(message_rate=3.0, hashes=False)
RATE = 60.0
WINDOW_S = 60.0
CYCLE_S = 40.0

Line = dict[str, Any]


def example(name: str) -> ModuleType:
    """An example, imported by its path."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --------------------------------------------------------------------------------------- the bot on asyncio, in trouble


Happening = Callable[[Venue], object]


class Cycles(io.StringIO):
    """The output of the bot. After so many lines something happens to the venue."""

    def __init__(self, engine: RehearsalEngine, happens: Mapping[int, Happening]) -> None:
        super().__init__()
        self._engine = engine
        self._happens = happens
        if 0 in happens:
            engine.control(happens[0])

    def write(self, text: str) -> int:
        written = super().write(text)
        happens = self._happens.get(len(self.lines())) if text.endswith("\n") else None
        if happens is not None:
            self._engine.control(happens)
        return written

    def lines(self) -> list[Line]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@frozen(kw_only=True)
class Story:
    """What happens after which line of so many, and from when on what is followed."""

    happens: Mapping[int, Happening] = field(factory=dict)
    cycles: int = 6
    market: str = "btc-15m"
    start_s: float = QUARTER_S + 60
    sources: Mapping[str, Callable[[int], Awaitable[OutsideScore]]] = field(factory=dict)

    async def lines(self) -> list[Line]:
        """The lines of the example, whose cycles begin when the first answer is there."""
        settings = Settings(scoring=ScoringSettings(window_s=WINDOW_S))
        engine = RehearsalEngine(settings, rate=RATE, start_s=self.start_s, options=QUIET)
        output = Cycles(engine, self.happens)
        async with engine, MarketMicrostructureService(engine=engine) as service:
            service.follow(self.market)
            await service.get_market_score()
            bot = example("asyncio_bot").bot
            await bot(service, cycles=self.cycles, cycle_s=CYCLE_S, sleep=engine.sleep, output=output, **self.sources)
        return output.lines()


def down(venue: Venue) -> None:
    venue.faults.down = True


def freeze(venue: Venue) -> None:
    venue.faults.freeze()


def recover(venue: Venue) -> None:
    venue.faults.clear()


def answer_requests(venue: Venue) -> None:
    venue.faults.rest_works()


def refuse_all(status: int) -> Happening:
    def refuse(venue: Venue) -> None:
        venue.faults.reject(status)
        venue.faults.rest(status)

    return refuse


def close_early(venue: Venue) -> None:
    exchange = venue._exchange
    usually, now_ns = exchange.resolves_ns, exchange._clock.now_ns()
    exchange.resolves_ns = lambda listing: now_ns if listing.slug == SLUG else usually(listing)  # type: ignore[method-assign]


async def moody(cycle: int) -> OutsideScore:
    if cycle % 2:
        raise OSError("no social scores today")
    return OutsideScore(name="social", score=1.0, confidence=1.0)


NEAR_THE_END_S = QUARTER_S + 900 - 120

STORIES: dict[str | int, Story] = {
    "down": Story(happens={0: down, 2: recover}),
    "dies": Story(happens={2: down, 4: recover}),
    403: Story(happens={0: refuse_all(403), 1: answer_requests, 4: recover}, cycles=9),
    429: Story(happens={0: refuse_all(429), 1: answer_requests, 4: recover}, cycles=9),
    503: Story(happens={0: refuse_all(503), 1: answer_requests, 4: recover}, cycles=9),
    "silent": Story(happens={0: freeze, 4: recover}),
    "falls silent": Story(happens={2: freeze, 5: recover}, cycles=8),
    "closes early": Story(happens={2: close_early}),
    "one slot": Story(market=SLUG, start_s=NEAR_THE_END_S),
    "series": Story(start_s=NEAR_THE_END_S),
    "moody source": Story(sources={"social": moody}, cycles=3),
}


@pytest.fixture(scope="module")
def told() -> dict[str | int, list[Line]]:
    """What the bot wrote in every story; ten engines side by side in one process, none of which minds the others."""

    async def all_at_once() -> list[list[Line]]:
        return await asyncio.gather(*(story.lines() for story in STORIES.values()))

    return dict(zip(STORIES, asyncio.run(all_at_once()), strict=True))


Told = Mapping[str | int, list[Line]]


def verdict(line: Line) -> str:
    """The reason of a line that has one, ``scored`` for another."""
    return line["reason"] or "scored"


def phases(lines: list[Line]) -> list[str]:
    """The verdicts, each told once until the next one."""
    return [word for word, _ in groupby(map(verdict, lines))]


def until(lines: list[Line], word: str) -> int:
    """How many lines there are before the first one with this verdict."""
    return [verdict(line) for line in lines].index(word)


@pytest.mark.parametrize("story", STORIES)
def test_whatever_happens_it_goes_on_and_every_line_is_truthful(told: Told, story: str | int) -> None:
    lines = told[story]
    assert [line["cycle"] for line in lines] == list(range(STORIES[story].cycles))
    for line in lines:
        be_truthful(line)


def be_truthful(line: Line) -> None:
    """What holds for every line."""
    assert line["signal_type"] in set(SignalType)
    refused = line["signal_type"] in REFUSALS
    assert refused == (line["reason"] is not None), line
    assert 0.0 <= line["confidence"] <= line["coverage"] + 0.001, line
    if refused:
        assert (line["score"], line["confidence"]) == (0.0, 0.0), line
        # The first book after an outage is there before any time is covered.
        assert line["mid"] is None or line["reason"] == "no_data", line
        assert line["fused"] == line["social"], "an absent opinion pulls nothing towards 0"


def test_the_venue_is_down_from_the_start_and_comes_back(told: Told) -> None:
    lines = told["down"]
    assert [word for word in phases(lines) if word != "connecting"] == ["metadata_unreachable", "scored"]
    assert {line["signal_type"] for line in lines[:2]} == {"MARKET_UNAVAILABLE"}
    assert lines[1]["coverage"] == 0.0
    assert lines[until(lines, "scored")]["coverage"] < 0.9, "it says that it is not warm yet"
    assert lines[-1]["coverage"] > 0.9


def test_the_venue_dies_in_the_middle(told: Told) -> None:
    lines = told["dies"]
    assert phases(lines) == ["scored", "refused", "scored"]
    assert until(lines, "refused") == 2
    assert lines[3]["coverage"] < lines[2]["coverage"] < lines[1]["coverage"], "what was seen leaves the window"
    assert lines[4]["coverage"] < 0.9


@pytest.mark.parametrize(
    ("status", "reason", "lookup"),
    [
        (403, "blocked", "metadata_blocked"),
        (429, "rate_limited", "metadata_rate_limited"),
        (503, "handshake", "metadata_server"),
    ],
)
def test_the_venue_answers_with_an_error(told: Told, status: int, reason: str, lookup: str) -> None:
    lines = told[status]
    words = [word for word in phases(lines) if word != "connecting"]
    assert words == [lookup, reason, "scored"]
    assert {line["signal_type"] for line in lines[: until(lines, "scored")]} == {"MARKET_UNAVAILABLE"}


def test_the_venue_is_silent_from_the_start(told: Told) -> None:
    words = [verdict(line) for line in told["silent"]]
    assert set(words[:4]) <= {"connecting", "stale"}
    assert words[-1] == "scored"


def test_the_venue_falls_silent_in_the_middle(told: Told) -> None:
    lines = told["falls silent"]
    words = [verdict(line) for line in lines]
    silent = [index for index, word in enumerate(words) if word in {"stale", "connecting"}]
    assert silent, "the last socket said nothing, or a fresh one has not said anything yet"
    assert words == ["scored"] * silent[0] + words[silent[0] : silent[-1] + 1] + ["scored"] * (7 - silent[-1])
    assert lines[2]["mid"] is None, "a price of half a minute ago is none"


def test_the_venue_closes_the_market_in_the_middle_of_its_window(told: Told) -> None:
    lines = told["closes early"]
    assert phases(lines) == ["scored", "resolved"]
    assert {line["signal_type"] for line in lines[2:]} == {"MARKET_CLOSED"}
    assert {line["market"] for line in lines} == {SLUG}, "the slot whose time it is, though it is closed"


def test_a_market_that_is_named_ends_and_a_series_rolls_over(told: Told) -> None:
    named, rolling = told["one slot"], told["series"]
    assert [word for word in phases(named) if word != "resolved"] == ["scored", "closed"]
    assert named[until(named, "closed")]["coverage"] > 0.0, "what was seen of it is told all the same"
    assert phases(rolling) == ["scored"]
    assert [slug for slug, _ in groupby(line["market"] for line in rolling)] == [SLUG, NEXT_SLUG]
    assert min(line["coverage"] for line in rolling) > 0.9, "the next slot was warm before it opened"


def test_a_source_that_fails_costs_its_score_alone(told: Told) -> None:
    lines = told["moody source"]
    assert phases(lines) == ["scored"]
    assert [line["social"] for line in lines] == [1.0, None, 1.0]
    assert lines[1]["fused"] == lines[1]["score"]
    assert lines[1]["fused_confidence"] == pytest.approx(0.7 * lines[1]["confidence"], abs=0.001)
    assert lines[2]["fused"] > lines[2]["score"]


# ------------------------------------------------------------------------------------------------- as a user runs them


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


Running = Mapping[tuple[str, str], subprocess.Popen[str]]


@pytest.fixture(scope="module")
def programs() -> Iterator[Running]:
    """Every example, asked for help and in its rehearsal. They are started together: most of their time is waiting."""
    running = {(name, flag): start(name, flag) for name in PROGRAMS for flag in ("--help", "--rehearsal")}
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


def output_of(process: subprocess.Popen[str]) -> list[str]:
    """What it printed, after it ended by itself and without a complaint."""
    output, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    assert "Traceback" not in complaints
    assert "Warning" not in complaints
    return output.splitlines()


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_explains_itself(programs: Running, name: str) -> None:
    told = "\n".join(output_of(programs[name, "--help"]))
    assert f"python docs/examples/{name}.py" in told
    assert "trades nothing" in told
    assert "--rehearsal" in told


# ------------------------------------------------------------------------------------------------ the blocks of a page


CONDITION_ID = condition_id(QUIET.seed, SLUG)
NEXT_ID = condition_id(QUIET.seed, NEXT_SLUG)
TOKEN_IDS = [asset_id(QUIET.seed, SLUG, outcome) for outcome in Outcome]


def test_every_step_of_the_migration_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {
        "settings": {"anything": "of the bot's own"},
        "condition_id": CONDITION_ID,
        "token_ids": TOKEN_IDS,
    }
    with stand_in(monkeypatch):
        for block in blocks_of((EXAMPLES / "migrating.md").read_text(encoding="utf-8")):
            run_program(block, names)
        migrate(names)


def migrate(names: dict[str, Any]) -> None:
    """Take every step."""
    before_s = time.monotonic()
    with warnings.catch_warnings(record=True, action="always") as caught:
        score, confidence, *words = asyncio.run(names["opinion"]())
        gc.collect()
    complaints = [str(it.message) for it in caught if it.category is ResourceWarning]
    assert complaints == ["unclosed engine in thread updown-engine"]
    assert pages.RATE * (time.monotonic() - before_s) > 115, "the old call still takes its two minutes"
    assert -1.0 <= score <= 1.0
    assert 0.0 < confidence < 1.0
    assert all(word in {"UP", "DOWN", "FLAT", "BUYING", "SELLING", "NEUTRAL"} for word in words)

    assert len(asyncio.run(names["bot"](2))) == 2
    asyncio.run(kept(names))


async def kept(names: dict[str, Any]) -> None:
    """The steps that share an engine or a service."""
    async with RehearsalEngine(rate=pages.RATE, start_s=QUARTER_S + 60, options=QUIET) as engine:
        assert -1.0 <= await names["cycle"](engine) <= 1.0
        let_go_s = venue_time_s(engine)
        await names["cycle"](engine)
        assert venue_time_s(engine) - let_go_s < 60, "a market that was let go stays warm for the next cycle"
        async with MarketMicrostructureService(condition_id=CONDITION_ID, engine=engine) as service:
            record = await names["row"](service)
            assert list(record) == list(BotRecord.__dataclass_fields__)
            assert not await names["another_market"](service, NEXT_ID), "the old one answers until it is warm"
            score, confidence = await names["by_hand"](service)
            assert -1.0 <= score <= 1.0
            assert 0.0 < confidence <= 1.0
            assert (await service.get_market_score()).condition_id == NEXT_ID


def venue_time_s(engine: RehearsalEngine) -> float:
    now_ns: int = engine.control(lambda venue: venue._exchange._clock.now_ns())
    return now_ns / 1e9


# --------------------------------------------------------------------------------------------------- the three programs
# Last, so that they had the time to end.


def test_the_bot_on_asyncio(programs: Running) -> None:
    lines = [json.loads(line) for line in output_of(programs["asyncio_bot", "--rehearsal"])]
    assert [line["cycle"] for line in lines] == [0, 1, 2]
    for line in lines:
        be_truthful(line)
        assert line["market"].startswith("btc-updown-15m-")
        assert line["reason"] is None
        assert line["social"] is not None
        assert line["fused_confidence"] > 0
    assert lines[2]["coverage"] > 0.9


def test_the_synchronous_loop(programs: Running) -> None:
    lines = output_of(programs["sync_loop", "--rehearsal"])
    assert len(lines) == 3
    for line in lines:
        assert re.fullmatch(r"btc-updown-15m-\d+: [A-Z_]+, score [+-]\d\.\d\d at \d+%, mid (None|\d\.\d+)", line), line


def test_the_bot_on_trio(programs: Running) -> None:
    lines = output_of(programs["trio_bot", "--rehearsal"])
    signals = [line for line in lines if re.match(r"\d\d:\d\d:\d\d btc-updown-(5m|15m)-\d+: [A-Z_]+, ", line)]
    found = [re.fullmatch(r"BTC: score ([+-]\d\.\d\d), fused ([+-]\d\.\d\d) at \d+%", line) for line in lines]
    aggregates = [match for match in found if match]
    assert len(signals) + len(aggregates) == len(lines)
    assert len(aggregates) == 320 // 5 - 1
    five = [line for line in signals if f"btc-updown-5m-{QUARTER_S}:" in line]
    assert "MARKET_CLOSED, closed" in five[-1], "the slot that is over says so"
    after = [line for line in signals if f"btc-updown-5m-{QUARTER_S + 300}:" in line]
    assert re.search(r"_(BULLISH|BEARISH|NEUTRAL), [+-]\d\.\d\d at ", after[-1]), "and the next one was warm"
    pulls = {float(match[2]) > float(match[1]) for match in aggregates}
    assert pulls == {True, False}, "the score of its own pulled up at times and down at times"


def test_the_loop_has_ten_lines() -> None:
    functions = ast.parse((EXAMPLES / "sync_loop.py").read_text(encoding="utf-8")).body
    [loop] = [it for it in functions if isinstance(it, ast.FunctionDef) and it.name == "loop"]
    assert loop.end_lineno is not None
    assert loop.end_lineno - loop.body[0].lineno <= 10
