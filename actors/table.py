"""The live table: every followed market in a row, the aggregates on top, redrawn in place on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import trio
from attrs import frozen
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.health import EngineHealth, MarketHealth
from engine.markets import MarketPhase
from engine.signals import AggregateSignal, FeedState, MarketSignals, SignalType
from engine.units import NS_PER_S

DIRECTION_THRESHOLD = 0.1
NUMBERS = ("left", "mid", "score", "momentum", "flow", "whale", "conf", "cover", "trades")
COLUMNS = ("market", *NUMBERS, "signal", "feed")
SHED = ("trades", "cover", "whale", "flow", "momentum")
"""What a narrow screen does without, the first one first."""
LEAST = {"market": len("btc-15m 22 10:15Z"), "signal": 12, "feed": 7}
COMFORT = {"market": len("btc-15m 22 10:15Z"), "signal": len(SignalType.MARKET_UNAVAILABLE), "feed": len("live #10")}
"""Columns of words are folded before a number is cut, and down to their comfort before one is shed."""
SERIES_ORDER = ("5m", "15m", "1h", "4h", "1d")

PHASE_STYLES = {
    MarketPhase.PENDING: "dim",
    MarketPhase.OPEN: "bold",
    MarketPhase.CLOSED: "dim",
    MarketPhase.RESOLVED: "dim",
}
FEED_STYLES = {
    FeedState.CONNECTING: "yellow",
    FeedState.SUBSCRIBED: "yellow",
    FeedState.LIVE: "green",
    FeedState.STALE: "bold yellow",
    FeedState.BACKOFF: "bold red",
    FeedState.CLOSED: "dim",
    FeedState.QUARANTINED: "bold red",
}


class Board(Protocol):
    """What the table reads; an engine is one."""

    def health(self) -> EngineHealth:
        """The state of everything."""

    def latest(self, name: str) -> MarketSignals | None:
        """The last signal of a target."""

    def latest_aggregates(self) -> Sequence[AggregateSignal]:
        """The last aggregate of every underlying."""


@frozen(kw_only=True)
class Row:
    """One market as the table shows it."""

    market: MarketHealth
    signal: MarketSignals | None


async def show_table(board: Board, *, refresh_s: float, console: Console, caption: str = "") -> None:
    """Redraw the board every ``refresh_s`` trio seconds until cancelled; the last state stays on screen."""
    with Live(draw(board, caption), console=console, auto_refresh=False, transient=False) as live:
        while True:
            live.update(draw(board, caption), refresh=True)
            await trio.sleep(refresh_s)


def draw(board: Board, caption: str = "") -> RenderableType:
    """The whole board as something rich can print."""
    health = board.health()
    rows = [Row(market=market, signal=board.latest(market.target)) for market in health.markets]
    parts: list[RenderableType] = [_aggregates(board.latest_aggregates()), _Markets(rows), _footer(health)]
    return Group(*parts, Text(caption, style="dim")) if caption else Group(*parts)


def _aggregates(aggregates: Iterable[AggregateSignal]) -> Table:
    table = Table(title="updown", title_justify="left", expand=False, title_style="bold")
    for name in ("underlying", "score", "confidence", "agreement", "open", "scored"):
        table.add_column(name, justify="left" if name == "underlying" else "right", no_wrap=True)
    for it in aggregates:
        table.add_row(
            Text(it.underlying, style="bold"),
            _score(it.score),
            _number(it.confidence),
            _number(it.agreement),
            str(it.markets_open),
            str(it.markets_scored),
        )
    return table


@frozen
class _Markets:
    """The rows, in as many columns as the screen has room for."""

    rows: Sequence[Row]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [dict(zip(COLUMNS, _cells(row), strict=True)) for row in sorted(self.rows, key=_order)]
        wanted = {name: max(len(name), *(row[name].cell_len for row in rows), 0) for name in COLUMNS}
        table = Table(expand=False)
        widths = _widths(wanted, options.max_width)
        for name, width in widths.items():
            folds = name in ("signal", "feed")
            table.add_column(
                name,
                justify="left" if name in LEAST else "right",
                width=width,
                no_wrap=not folds,
                overflow="fold" if folds else "ellipsis",
            )
        for row in rows:
            table.add_row(*(row[name] for name in widths))
        yield table


def _widths(wanted: Mapping[str, int], screen: int) -> dict[str, int]:
    """The columns for a screen so wide and their widths, given what each wants."""
    widths = {name: wanted[name] for name in COLUMNS}
    for name in SHED:
        if _total({it: min(width, COMFORT.get(it, width)) for it, width in widths.items()}) <= screen:
            break
        del widths[name]
    for _ in range(_total(widths) - screen):
        name = max(LEAST, key=lambda it: widths[it] - LEAST[it])
        widths[name] = max(widths[name] - 1, min(widths[name], LEAST[name]))
    return widths


def _total(widths: Mapping[str, int]) -> int:
    """With padding and lines."""
    return sum(widths.values()) + 3 * len(widths) + 1


def _cells(row: Row) -> list[Text]:
    signal, market = row.signal, row.market
    name = Text(_name(market), style=PHASE_STYLES[market.phase])
    feed = Text(_feed(market), style=FEED_STYLES[market.feed_state])
    if signal is None:
        return [name, *(Text("·", style="dim") for _ in range(len(NUMBERS))), Text("waiting", style="dim"), feed]
    components = signal.components
    return [
        name,
        Text(_left(signal)),
        _number(signal.market.mid, digits=3),
        _score(signal.score) if signal.components_present else _score(None),
        _score(components.momentum),
        _score(components.volume_flow),
        _score(components.whale),
        _number(signal.confidence),
        Text(f"{signal.window.coverage:.0%}"),
        Text(str(signal.window.trades)),
        _verdict(signal),
        feed,
    ]


def _name(market: MarketHealth) -> str:
    """Series and opening time (UTC) of a slot; whatever a fixed market is called, an id by its two ends."""
    if market.series is None or market.start_ns is None:
        return market.slug or re.sub(r"^(0x.{6}).+(.{6})$", r"\1…\2", market.target)
    return f"{market.series} {datetime.fromtimestamp(market.start_ns // NS_PER_S, UTC):%d %H:%M}Z"


def _verdict(signal: MarketSignals) -> Text:
    words = str(signal.signal_type) + (f" ({signal.reason})" if signal.reason else "")
    if signal.signal_type is SignalType.MARKET_UNAVAILABLE:
        return Text(words, style="red")
    if signal.signal_type is SignalType.MARKET_CLOSED:
        return Text(words, style="dim")
    return Text(words, style=_direction_style(signal.score))


def _feed(market: MarketHealth) -> str:
    reconnects = f" #{market.epoch}" if market.epoch > 1 else ""
    trouble = f" {market.last_fault}" if market.last_fault and market.feed_state is FeedState.BACKOFF else ""
    return f"{market.feed_state}{reconnects}{trouble}"


def _footer(health: EngineHealth) -> Text:
    gap = "none yet" if health.worst_rollover_gap_s is None else f"{health.worst_rollover_gap_s:.3f} s"
    return Text(
        f"{health.signals} signals, {health.aggregates} aggregates, {health.dropped} dropped; "
        f"{health.rollovers} roll-overs, longest gap {gap}",
        style="dim",
    )


def _order(row: Row) -> tuple[str, int, str]:
    family = (row.market.series or "").partition("-")[2]
    place = SERIES_ORDER.index(family) if family in SERIES_ORDER else len(SERIES_ORDER)
    underlying = (row.market.series or "~").partition("-")[0]
    return underlying, place, f"{row.market.start_ns or 0:020d}{row.market.target}"


def _left(signal: MarketSignals) -> str:
    left_s = signal.market.seconds_to_close
    if left_s is None:
        return "·"
    minutes, seconds = divmod(int(left_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _score(value: float | None) -> Text:
    return Text("·", style="dim") if value is None else Text(f"{value:+.2f}", style=_direction_style(value))


def _number(value: float | None, *, digits: int = 2) -> Text:
    return Text("·", style="dim") if value is None else Text(f"{value:.{digits}f}")


def _direction_style(value: float) -> str:
    if value > DIRECTION_THRESHOLD:
        return "green"
    return "red" if value < -DIRECTION_THRESHOLD else ""
