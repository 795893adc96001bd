"""Offline: what a message costs without sockets and tasks, in microseconds of processor time, row by row.

Every figure of every round comes from a process of its own, which plays a tenth of the corpus to get warm, then all of
it once to a fresh state; the garbage collector works as it always does. Rounds are interleaved and every other one
runs backwards. All rows but the decoders score at each trade; those of nautilus_trader cannot score, and play the first
10,000 messages.

As a script it measures one row of a stored corpus, or the stages of the pipeline, and prints JSON:

    python tests/bench/speed/offline.py --corpus FILE --row "our pipeline"
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from engine.errors import WireError
from engine.events import Trade
from engine.markets import Outcome
from engine.records import Frame
from engine.wire import decode
from tests.bench.speed.original import Original
from tests.bench.speed.pipelines import all_opened, asking, play, wake_ups
from tests.bench.speed.reference import AnyReference, LazyReference, Reference
from tests.bench.speed.stored import Stored, StoredLine, StoredMarket, cpu_us, load

HERE: Final = Path(__file__).resolve().parent
STAGES: Final = "stages"
TIMEOUT_S: Final = 120.0

Work = Callable[[Sequence[StoredLine]], Callable[[], object]]
"""Prepares messages to be played to a state that was made for it, and answers what plays them."""


def _as_they_are(work: Callable[[Sequence[StoredLine]], object]) -> Work:
    return lambda lines: partial(work, lines)


def _json(stored: Stored) -> Work:
    loads = json.loads

    def work(lines: Iterable[StoredLine]) -> None:
        for _, _, text, _ in lines:
            loads(text)

    return _as_they_are(work)


def _events(stored: Stored) -> Work:
    def work(lines: Iterable[StoredLine]) -> None:
        for _, _, text, _ in lines:
            decode(text)

    return _as_they_are(work)


def _decoding(stored: Stored) -> Work:
    """As the pipeline does it; revisions that have no shorter way for busy messages make events of all."""
    try:
        read = importlib.import_module("engine.busy").read
    except ImportError:
        return _events(stored)

    def work(lines: Iterable[StoredLine]) -> None:
        for _, _, text, _ in lines:
            if read(text) is None:
                decode(text)

    return _as_they_are(work)


def _pipelines(preset: str, whole: bool, stored: Stored) -> Work:
    pipelines = all_opened(stored, preset=preset)
    asks = [pipeline.evaluate if whole else asking(pipeline) for pipeline in pipelines]
    return partial(_played, pipelines, asks)


def _with_book(stored: Stored) -> Work:
    """The score and the depth of the book, so that nothing of the book can be left for later."""
    pipelines = all_opened(stored)

    def asks(pipeline: Any) -> Callable[[int], object]:
        ask = asking(pipeline)
        return lambda at_ns: (ask(at_ns), _imbalance(pipeline.intake.book))

    return partial(_played, pipelines, [asks(pipeline) for pipeline in pipelines])


def _played(
    pipelines: Sequence[Any], asks: Sequence[Callable[[int], object]], lines: Sequence[StoredLine]
) -> Callable[[], object]:
    return partial(play, pipelines, wake_ups(lines), asks)


def _original(stored: Stored) -> Work:
    markets = [Original(market) for market in stored.markets]
    for market, opening in zip(markets, stored.openings, strict=True):
        market.message(opening)

    def work(lines: Iterable[StoredLine]) -> None:
        for index, _, text, _ in lines:
            market = markets[index]
            if market.message(text):
                market.score()

    return _as_they_are(work)


def _reference(kind: Callable[[StoredMarket], AnyReference], stored: Stored) -> Work:
    markets = [kind(market) for market in stored.markets]
    for market, opening in zip(markets, stored.openings, strict=True):
        market.message(opening, stored.lines[0].at_ns)

    def work(lines: Iterable[StoredLine]) -> None:
        for index, at_ns, text, _ in lines:
            market = markets[index]
            if market.message(text, at_ns):
                market.score(at_ns)

    return _as_they_are(work)


PIPELINE: Final = "our pipeline"
ORIGINAL: Final = "original design"
REFERENCE: Final = "reference engine"
NAUTILUS: Final = "nautilus, deltas and book"

ROWS: Final[Mapping[str, Callable[[Stored], Work]]] = {
    "json.loads": _json,
    "our decoding": _decoding,
    "our decoding, to events": _events,
    PIPELINE: partial(_pipelines, "seed", False),
    "our pipeline, and its book": _with_book,
    "our pipeline, corrected": partial(_pipelines, "corrected", False),
    "our pipeline, whole signal": partial(_pipelines, "seed", True),
    "our pipeline, corrected, whole signal": partial(_pipelines, "corrected", True),
    ORIGINAL: _original,
    REFERENCE: partial(_reference, Reference),
    "reference engine, lazy": partial(_reference, LazyReference),
}
"""What makes the state of a row; the seed preset unless the name says otherwise."""

PEERS: Final[Mapping[str, tuple[str, ...]]] = {NAUTILUS: (), "nautilus, and quotes": ("--quotes",)}
"""Rows of nautilus.py, and its arguments."""

BURST: Final = 16
"""Messages of one market at once in the second order: half of what a market actor lets wait before it reads."""

BURST_ROWS: Final = (
    "json.loads",
    "our decoding",
    PIPELINE,
    "our pipeline, and its book",
    "our pipeline, corrected",
    ORIGINAL,
    REFERENCE,
    NAUTILUS,
)
"""Rows of that order."""

VENUE_ROWS: Final = ("json.loads", "our decoding", PIPELINE, "our pipeline, corrected", ORIGINAL, REFERENCE, NAUTILUS)
"""Rows of the corpora beside the first."""


def measure(name: str, stored: Stored) -> float:
    """Microseconds a message of one row, in this process."""
    ROWS[name](stored)(stored.lines[: len(stored.lines) // 10])()
    work = ROWS[name](stored)(stored.lines)
    gc.collect()
    return cpu_us(work, len(stored.lines))


# The stages of the pipeline.


def stages(stored: Stored) -> dict[str, float]:
    """Microseconds of the pipeline's parts: a message where the name does not say otherwise."""
    lines, count = stored.lines, len(stored.lines)
    figures = {"decoding": _settled(_decoding(stored)(lines), count)}
    pipelines = all_opened(stored)
    play(pipelines, wake_ups(lines[: count // 10]), None)
    pipelines, turns = all_opened(stored), wake_ups(lines)
    gc.collect()
    figures["receiving, not scored"] = cpu_us(partial(play, pipelines, turns, None), count)
    figures |= {f"{name}, a call": figure for name, figure in _calls(stored, "seed").items()}
    figures |= {f"{name}, corrected, a call": figure for name, figure in _calls(stored, "corrected").items()}
    figures |= _trade_stages(stored)
    figures |= _depth_stages(stored)
    return figures


def _settled(work: Callable[[], object], count: int, times: int = 3) -> float:
    return sorted(cpu_us(work, count) for _ in range(times))[times // 2]


def _calls(stored: Stored, preset: str, times: int = 20) -> dict[str, float]:
    """The score and the whole signal, over and over at the end of the corpus."""
    pipelines = all_opened(stored, preset=preset)
    play(pipelines, wake_ups(stored.lines), None)
    end_ns = stored.lines[-1].at_ns
    figures = {}
    for name, asks in (
        ("score", [asking(pipeline) for pipeline in pipelines]),
        ("whole signal", [pipeline.evaluate for pipeline in pipelines]),
    ):
        figures[name] = _settled(
            lambda asks=asks: [ask(end_ns + turn) for turn in range(times) for ask in asks],  # type: ignore[misc]
            times * len(pipelines),
        )
    return figures


def _trade_stages(stored: Stored) -> dict[str, float]:
    """Adding a trade to a window that evicts, its decoding apart."""
    pipeline = all_opened(stored)[0]
    trades = [(line.at_ns, event) for line in stored.lines if line.is_trade for event in _trades_of(line.text)]
    if not trades:
        return {}
    window = pipeline.intake.trades

    def add() -> None:
        for at_ns, trade in trades:
            window.add(trade, Outcome.UP, at_ns)
            window.evict(at_ns - 1_000_000_000)

    return {"window: add and evict, a trade": cpu_us(add, len(trades))}


def _trades_of(text: str) -> list[Trade]:
    try:
        return [event for event in decode(text) if isinstance(event, Trade)]
    except WireError:
        return []


def _depth_stages(stored: Stored, rounds: int = 3) -> dict[str, float]:
    """Imbalance of the ten levels next to the touch: of a book that rests, and what it adds after every message."""
    pipelines = all_opened(stored)
    play(pipelines, wake_ups(stored.lines[: len(stored.lines) // 2]), None)
    books = [pipeline.intake.book for pipeline in pipelines]
    resting = _settled(lambda: [_imbalance(book) for _ in range(100) for book in books], 100 * len(books))
    differences = []
    for _ in range(rounds):
        plain_us = cpu_us(partial(_received, all_opened(stored), stored.lines, False), len(stored.lines))
        asked_us = cpu_us(partial(_received, all_opened(stored), stored.lines, True), len(stored.lines))
        differences.append(asked_us - plain_us)
    moving = sorted(differences)[rounds // 2]
    return {"depth imbalance of a resting book, a call": resting, "depth imbalance after each message, a call": moving}


def _imbalance(book: Any) -> float:
    bid, ask = book.depth(10)
    return (bid - ask) / (bid + ask) if bid + ask else 0.0


def _received(pipelines: Sequence[Any], lines: Iterable[StoredLine], asked: bool) -> None:
    books = [pipeline.intake.book for pipeline in pipelines]
    for market, at_ns, text, _ in lines:
        pipelines[market].receive(Frame(at_ns=at_ns, text=text))
        if asked:
            _imbalance(books[market])


# Agreement.


def disagreement(stored: Stored) -> tuple[int, float]:
    """How many scores our pipeline, the original and the reference gave, and by how much any two of them differ."""
    pipelines = all_opened(stored)
    others: list[tuple[Any, ...]] = [
        (Original(market), Reference(market), LazyReference(market)) for market in stored.markets
    ]
    for (original, *references), opening in zip(others, stored.openings, strict=True):
        original.message(opening)
        for reference in references:
            reference.message(opening, stored.lines[0].at_ns)
    asked, furthest = 0, 0.0
    for market, at_ns, text, is_trade in stored.lines:
        pipelines[market].receive(Frame(at_ns=at_ns, text=text))
        original, *references = others[market]
        original.message(text)
        for reference in references:
            reference.message(text, at_ns)
        if is_trade:
            scores = [pipelines[market].evaluate(at_ns).score, original.score()[0]]
            scores += [reference.score(at_ns)[0] for reference in references]
            asked += 1
            furthest = max(furthest, max(scores) - min(scores))
    return asked, furthest


# Processes.


def launched(command: Sequence[str]) -> dict[str, Any]:
    """Run a command; the last line it prints is JSON."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        raise RuntimeError(f"{' '.join(command)} said nothing:\n{done.stderr[-2000:]}") from None


def row_in_process(name: str, corpus: Path, nautilus_python: str = sys.executable) -> float | None:
    """One figure from a process of its own; ``None`` when what the row needs is not installed."""
    if name in PEERS:
        words = [nautilus_python, str(HERE / "nautilus.py"), "--corpus", str(corpus), *PEERS[name]]
        figure = launched(words).get("us")
        return None if figure is None else float(figure)
    return float(launched([sys.executable, str(HERE / "offline.py"), "--corpus", str(corpus), "--row", name])["us"])


def stages_in_process(corpus: Path) -> dict[str, float]:
    """The stages, from a process of its own."""
    return launched([sys.executable, str(HERE / "offline.py"), "--corpus", str(corpus), "--row", STAGES])


def main() -> None:
    """Measure one row."""
    parser = argparse.ArgumentParser(description="One row of the offline bench.")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--row", choices=[*ROWS, STAGES], required=True)
    asked = parser.parse_args()
    stored = load(asked.corpus)
    figures = stages(stored) if asked.row == STAGES else {"us": measure(asked.row, stored)}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
