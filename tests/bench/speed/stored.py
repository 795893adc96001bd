"""A corpus in a file, for processes that measure one row each: nothing but the standard library is needed to read it.

So the row of another package can run on an interpreter of its own, and an older revision of this engine on a corpus
that only the newer one can make.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.bench.speed.corpus import Corpus


class StoredMarket(NamedTuple):
    """Ids of a market and of its tokens; ``down_asset_id`` may be unknown. ``tick`` is in steps of 0.0001."""

    condition_id: str
    up_asset_id: str
    down_asset_id: str | None
    tick: int


class StoredLine(NamedTuple):
    """One message: which market's (an index), when it comes (epoch ns), its text, and whether it holds a trade."""

    market: int
    at_ns: int
    text: str
    is_trade: bool


class Stored(NamedTuple):
    """Markets, what each says first, and all messages in the order of time."""

    name: str
    markets: list[StoredMarket]
    openings: list[str]
    lines: list[StoredLine]

    def first(self, messages: int) -> Stored:
        """The same with the first so many messages."""
        return self._replace(lines=self.lines[:messages])

    def in_bursts(self, messages: int) -> Stored:
        """The same with the markets taking turns of so many messages, each of a turn as late as its last one."""
        columns: list[list[StoredLine]] = [[] for _ in self.markets]
        for line in self.lines:
            columns[line.market].append(line)
        turns = [
            column[begin : begin + messages]
            for begin in range(0, max(map(len, columns), default=0), messages)
            for column in columns
            if begin < len(column)
        ]
        now_ns = 0
        lines = []
        for turn in turns:
            now_ns = max(now_ns, turn[-1].at_ns)
            lines += [line._replace(at_ns=now_ns) for line in turn]
        return self._replace(name=f"{self.name}, in bursts of {messages}", lines=lines)


def plain(corpus: Corpus) -> Stored:
    """The corpus without any type of this project; ``PONG`` and other texts that are not JSON are left out."""
    return Stored(
        corpus.name,
        [StoredMarket(it.condition_id, it.up_asset_id, it.down_asset_id, it.tick) for it in corpus.markets],
        list(corpus.openings),
        [
            StoredLine(market, at_ns, text, '"last_trade_price"' in text)
            for market, at_ns, text in corpus.lines
            if text.startswith(("{", "["))
        ],
    )


def store(stored: Stored, path: Path) -> None:
    """Write it; whoever reads it gets the same."""
    path.write_text(json.dumps(stored), encoding="ascii")


def load(path: Path) -> Stored:
    """Read what ``store`` wrote."""
    name, markets, openings, lines = json.loads(path.read_text(encoding="ascii"))
    return Stored(name, [StoredMarket(*it) for it in markets], openings, [StoredLine(*it) for it in lines])


def cpu_us(work: Callable[[], object], messages: int) -> float:
    """Processor time of this process for each message, in microseconds."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / messages * 1e6
