"""Growth: what a message costs with more markets and with more trades in the window, and what a start costs.

``markets``: the same messages of 500 markets each time, played to so many pipelines at once; when those are through,
the next so many have their turn. So only what is alive at the same time differs. One by one each market has a message
in turn; in bursts each has twenty, as when its socket is read. Texts are copied right before they are played, as a
socket would deliver them, since reading them from memory that is long cold would be charged to whoever comes first.

``window``: a trade and its score when the window holds so many, one leaving for each that comes. A level change a
second keeps the market alive between them, uncharged.

``latency``: from the text of a trade to the signal object. ``memory``: what a pipeline holds after its messages.
``start``: processes from nothing to the end, by the wall.

    python tests/bench/speed/growth.py --part markets
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[3]))

from engine.pipeline import MarketPipeline
from engine.records import Frame
from tests.bench.speed.corpus import Mix, generated
from tests.bench.speed.offline import launched
from tests.bench.speed.pipelines import asking, opened, taking, wake_ups
from tests.bench.speed.reference import Reference
from tests.bench.speed.stored import Stored, StoredLine, StoredMarket, plain

BURST: Final = 20
BATCH: Final = 100
"""So many messages are copied, then played."""

PRESETS: Final = ("seed", "corrected")
WINDOW_NS: Final = 120_000_000_000
SECOND_NS: Final = 1_000_000_000

Figures = dict[str, float]


@frozen(kw_only=True)
class Extent:
    """How much of everything."""

    markets: Sequence[int]
    messages: int
    fills: Sequence[int]
    trades: int
    talks: int
    """Messages of a market of which the trades are timed one by one."""


EXTENTS: Final[Mapping[str, Extent]] = {
    "full": Extent(
        markets=(1, 10, 50, 200, 500), messages=100, fills=(10, 100, 1_000, 10_000), trades=1_000, talks=1_000
    ),
    "quick": Extent(markets=(1, 500), messages=40, fills=(10, 10_000), trades=200, talks=300),
    "tiny": Extent(markets=(1, 2), messages=20, fills=(10, 20), trades=10, talks=100),
}

# Markets.


OURS: Final = "our pipeline"
PROTOTYPE: Final = "reference engine"
KINDS: Final = (OURS, PROTOTYPE)
BURSTS: Final = {BURST: "in bursts", 1: "one by one"}

Take = Callable[[int, Sequence[str], bool], object]
"""Takes in what came at once and scores after a trade: time (epoch ns), texts, whether the last one holds a trade."""


def _ours(market: StoredMarket, opening: str, first_ns: int) -> Take:
    pipeline = opened(market, opening, first_ns)
    receive, ask = taking(pipeline), asking(pipeline)

    def take(at_ns: int, texts: Sequence[str], is_trade: bool) -> None:
        receive(at_ns, texts)
        if is_trade:
            ask(at_ns)

    return take


def _prototype(market: StoredMarket, opening: str, first_ns: int) -> Take:
    engine = Reference(market)
    engine.message(opening, first_ns)
    message, score = engine.message, engine.score

    def take(at_ns: int, texts: Sequence[str], is_trade: bool) -> None:
        for text in texts:
            message(text, at_ns)
        if is_trade:
            score(at_ns)

    return take


_TAKES: Final = {OURS: _ours, PROTOTYPE: _prototype}


def at_once(stored: Stored, markets: int, burst: int, kind: str) -> float:
    """Microseconds a message when so many markets live at the same time and take turns of ``burst`` messages."""
    columns: list[list[StoredLine]] = [[] for _ in stored.markets]
    for line in stored.lines:
        columns[line.market].append(line)
    first_ns = stored.lines[0].at_ns
    spent = 0.0
    for begin in range(0, len(columns), markets):
        group = range(begin, min(begin + markets, len(columns)))
        takes = {place: _TAKES[kind](stored.markets[place], stored.openings[place], first_ns) for place in group}
        turns = _turns([columns[place] for place in group], burst)
        while played := list(islice(turns, BATCH // burst)):
            came = [wake_up for turn in played for wake_up in wake_ups(map(_copied, turn))]
            began = time.process_time()
            for market, at_ns, texts, is_trade in came:
                takes[market](at_ns, texts, is_trade)
            spent += time.process_time() - began
    return spent / len(stored.lines) * 1e6


def _copied(line: StoredLine) -> StoredLine:
    return line._replace(text=line.text.encode().decode())


def _turns(columns: Sequence[Sequence[StoredLine]], burst: int) -> Iterator[Sequence[StoredLine]]:
    for begin in range(0, max(map(len, columns)), burst):
        for column in columns:
            yield column[begin : begin + burst]


def markets_figures(backwards: bool, extent: Extent) -> Figures:
    """By the order of messages and the number of markets, interleaved in one process."""
    stored = plain(generated(max(extent.markets), extent.messages))
    at_once(stored.first(len(stored.lines) // 10), 1, 1, OURS)
    figures = {}
    few = (min(extent.markets), max(extent.markets))
    columns = [
        (kind, burst, number)
        for number in extent.markets
        for kind in KINDS
        for burst in BURSTS
        if kind == OURS or number in few
    ]
    for kind, burst, number in columns[::-1] if backwards else columns:
        gc.collect()
        figures[f"{kind}, {BURSTS[burst]}/{number}"] = at_once(stored, number, burst, kind)
    return figures


# The window.


def trades(count: int) -> tuple[Stored, list[str], list[str]]:
    """A market, so many trades of it, and level changes."""
    stored = plain(generated(1, 2 * count + 8, mix=Mix(name="trades", trading=1.0)))
    calm = plain(generated(1, 500, mix=Mix(name="calm", trading=0.0)))
    return stored, [line.text for line in stored.lines if line.is_trade][:count], [line.text for line in calm.lines]


class _Busy:
    """One market whose window is kept at a number of trades."""

    def __init__(self, stored: Stored, changes: Sequence[str], fill: int, preset: str) -> None:
        self._at_ns = stored.lines[0].at_ns
        self._change_ns = self._at_ns
        self._step_ns = WINDOW_NS // fill
        self._changes = changes
        self._changed = 0
        self.pipeline: MarketPipeline = opened(stored.markets[0], stored.openings[0], self._at_ns, preset=preset)
        self._ask = asking(self.pipeline)

    def next_frame(self, text: str) -> Frame:
        """The trade that comes next; what happened until then is received."""
        self._at_ns += self._step_ns
        while self._change_ns + SECOND_NS < self._at_ns:
            self._change_ns += SECOND_NS
            change = _restamped(self._changes[self._changed % len(self._changes)], self._change_ns)
            self.pipeline.receive(Frame(at_ns=self._change_ns, text=change))
            self._changed += 1
        return Frame(at_ns=self._at_ns, text=_restamped(text, self._at_ns))

    def fill(self, texts: Sequence[str]) -> None:
        """Receive trades and score now and then, which is when a window lets go of what is too old."""
        for place, text in enumerate(texts):
            frame = self.next_frame(text)
            self.pipeline.receive(frame)
            if place % 50 == 49 or place == len(texts) - 1:
                self._ask(frame.at_ns)

    def play(self, text: str) -> float:
        """Seconds of processor time of receiving a trade and scoring after it."""
        frame, pipeline, ask = self.next_frame(text), self.pipeline, self._ask
        began = time.process_time()
        pipeline.receive(frame)
        ask(frame.at_ns)
        return time.process_time() - began


_STAMP: Final = re.compile(r'"timestamp":"\d+"')


def _restamped(text: str, at_ns: int) -> str:
    return _STAMP.sub(f'"timestamp":"{at_ns // 1_000_000 - 1}"', text, count=1)


def at_fill(fill: int, preset: str, measured: int, world: tuple[Stored, list[str], list[str]]) -> float:
    """Microseconds a trade, its score included, at so many in the window."""
    stored, texts, changes = world
    busy = _Busy(stored, changes, fill, preset)
    # Twice the window: what is remembered beyond it has settled by then.
    before, after = texts[: 2 * fill], texts[2 * fill : 2 * fill + measured]
    busy.fill(before)
    return sum(busy.play(text) for text in after) / len(after) * 1e6


def window_figures(backwards: bool, extent: Extent) -> Figures:
    """By preset and number of trades, interleaved in one process."""
    measured = extent.trades
    world = trades(2 * max(extent.fills) + measured)
    figures = {}
    columns = [(preset, fill) for preset in PRESETS for fill in extent.fills]
    at_fill(extent.fills[0], PRESETS[0], measured, world)
    for preset, fill in columns[::-1] if backwards else columns:
        gc.collect()
        figures[f"{preset}/{fill:,}"] = at_fill(fill, preset, measured, world)
    return figures


# From a trade to a signal, and what a market holds.


def latency_figures(backwards: bool, extent: Extent) -> Figures:
    """Microseconds by the wall from the text of a trade to the signal object."""
    stored = plain(generated(10, extent.talks))
    figures = {}
    for preset in PRESETS[::-1] if backwards else PRESETS:
        pipelines = [
            opened(market, opening, stored.lines[0].at_ns, preset=preset)
            for market, opening in zip(stored.markets, stored.openings, strict=True)
        ]
        took = []
        for market, at_ns, text, is_trade in stored.lines:
            if not is_trade:
                pipelines[market].receive(Frame(at_ns=at_ns, text=text))
                continue
            began = time.perf_counter_ns()
            pipelines[market].receive(Frame(at_ns=at_ns, text=text))
            pipelines[market].evaluate(at_ns)
            took.append((time.perf_counter_ns() - began) / 1000)
        took.sort()
        figures[f"{preset}, p50"] = took[len(took) // 2]
        figures[f"{preset}, p90"] = took[len(took) * 9 // 10]
    return figures


def memory_figures(backwards: bool, extent: Extent) -> Figures:
    """KiB that one pipeline holds after that many messages, by preset."""
    stored = plain(generated(20, extent.talks))
    figures = {}
    for preset in PRESETS:
        gc.collect()
        tracemalloc.start()
        pipelines = [
            opened(market, opening, stored.lines[0].at_ns, preset=preset)
            for market, opening in zip(stored.markets, stored.openings, strict=True)
        ]
        figures[f"{preset}, books only"] = _traced_kib(len(pipelines))
        for market, at_ns, text, _ in stored.lines:
            pipelines[market].receive(Frame(at_ns=at_ns, text=text.encode().decode()))
        figures[f"{preset}, {extent.talks:,} messages"] = _traced_kib(len(pipelines))
        tracemalloc.stop()
    return figures


def _traced_kib(pipelines: int) -> float:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / pipelines / 1024


# Starting.

_ENGINE: Final = """
import trio
from actors import Ports, open_engine
from engine.settings import Settings, VenueSettings
nowhere = "127.0.0.1:1"
venue = VenueSettings(
    websocket_url=f"ws://{nowhere}/ws/market", gamma_url=f"http://{nowhere}", clob_url=f"http://{nowhere}"
)
async def main():
    async with open_engine(Settings(follow=(), venue=venue)):
        pass
trio.run(main)
"""

_COMMAND: Final = "import sys; from actors.cli import main; sys.argv[0] = 'updown'; sys.exit(main())"

STARTS: Final[Mapping[str, Sequence[str]]] = {
    "python, nothing else": ("-c", "pass"),
    "import trio": ("-c", "import trio"),
    "updown --help": ("-c", _COMMAND, "--help"),
    "import actors": ("-c", "import actors"),
    "an engine opened and closed": ("-c", _ENGINE),
}


def start_figures(backwards: bool, extent: Extent) -> Figures:
    """Milliseconds by the wall until the process is gone; the better of two."""
    root = Path(__file__).parents[3]
    figures = {}
    for name, words in list(STARTS.items())[:: -1 if backwards else 1]:
        took = []
        for _ in range(2):
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, cwd=root, stdout=subprocess.DEVNULL, timeout=60)
            took.append((time.perf_counter() - began) * 1000)
        figures[name] = min(took)
    return {name: figures[name] for name in STARTS}


PARTS: Final[Mapping[str, Callable[[bool, Extent], Figures]]] = {
    "markets": markets_figures,
    "window": window_figures,
    "latency": latency_figures,
    "memory": memory_figures,
    "start": start_figures,
}


def part_in_process(part: str, turn: int, extent: str) -> Figures:
    """One round of a part, from a process of its own."""
    words = [sys.executable, str(Path(__file__).resolve()), "--part", part, "--extent", extent]
    return launched(words + (["--backwards"] if turn % 2 else []))


def main() -> None:
    """Measure one part once."""
    parser = argparse.ArgumentParser(description="One part of the growth bench.")
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--extent", choices=EXTENTS, default="full")
    parser.add_argument("--backwards", action="store_true", help="the last column first")
    asked: Any = parser.parse_args()
    sys.stdout.write(json.dumps(PARTS[asked.part](asked.backwards, EXTENTS[asked.extent])) + "\n")


if __name__ == "__main__":
    main()
