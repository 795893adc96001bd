"""The live table as text: every phase and state has its words, and absent never looks like zero."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import pytest
import trio
import trio.testing
from attrs import evolve
from rich.console import Console

from actors.health import EngineHealth, MarketHealth
from actors.table import FEED_STYLES, PHASE_STYLES, SHED, draw, show_table
from engine.markets import MarketPhase
from engine.signals import AggregateSignal, Components, FeedState, MarketSignals, Quote, SignalType, WindowProof
from tests.actors.local_venue import QUARTER_S, follow, rig
from tests.actors.test_health import HEALTH, MARKET
from tests.engine.test_envelope import AGGREGATE, MARKET_SIGNAL, UNAVAILABLE

SLOT = evolve(MARKET, target="btc-updown-5m-1", start_ns=QUARTER_S * 10**9, feed_state=FeedState.LIVE)
SIGNAL = evolve(
    MARKET_SIGNAL,
    score=0.25,
    components=Components(momentum=0.5, volume_flow=-0.25, whale=-1.0),
    market=Quote(mid=0.505, seconds_to_close=61.9),
    window=WindowProof(start_ns=0, end_ns=1, coverage=0.494, trades=37),
)
COLUMNS = ["market", "left", "mid", "score", "momentum", "flow", "whale", "conf", "cover", "trades", "signal", "feed"]


class Board:
    """A board of fixed rows."""

    def __init__(
        self,
        *rows: tuple[MarketHealth, MarketSignals | None],
        aggregates: Sequence[AggregateSignal] = (),
        health: EngineHealth = HEALTH,
    ) -> None:
        self.rows = rows
        self.aggregates = aggregates
        self.engine = health
        self.asked = 0

    def health(self) -> EngineHealth:
        self.asked += 1
        return evolve(self.engine, markets=tuple(market for market, _ in self.rows))

    def latest(self, name: str) -> MarketSignals | None:
        return next(signal for market, signal in self.rows if market.target == name)

    def latest_aggregates(self) -> Sequence[AggregateSignal]:
        return self.aggregates


def text_of(board: Board, *, caption: str = "", width: int = 160, styles: bool = False) -> str:
    console = Console(record=True, width=width, file=StringIO(), force_terminal=styles, color_system="standard")
    console.print(draw(board, caption))
    return console.export_text(styles=styles)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")]


def rows_of(board: Board, **options: int) -> list[list[str]]:
    """The cells of every market, without the heading."""
    lines = [cells(line) for line in text_of(board, **options).splitlines() if line.startswith(("│", "┃"))]
    [heading] = [index for index, line in enumerate(lines) if line[0] == "market"]
    return lines[heading + 1 :]


def row_of(market: MarketHealth, signal: MarketSignals | None) -> dict[str, str]:
    [row] = rows_of(Board((market, signal)))
    return dict(zip(COLUMNS, row, strict=True))


# --------------------------------------------------------------------------------------------------------------- rows


def test_a_row_says_everything_of_a_market() -> None:
    assert row_of(SLOT, SIGNAL) == {
        "market": "btc-5m 21 14:30Z",
        "left": "1:01",
        "mid": "0.505",
        "score": "+0.25",
        "momentum": "+0.50",
        "flow": "-0.25",
        "whale": "-1.00",
        "conf": "0.50",
        "cover": "49%",
        "trades": "37",
        "signal": "LOW_LIQUIDITY_WEAK_BULLISH",
        "feed": "live",
    }


def test_the_columns_are_named() -> None:
    heading = next(line for line in text_of(Board((SLOT, SIGNAL))).splitlines() if "momentum" in line)
    assert cells(heading) == COLUMNS


def test_a_market_that_has_not_spoken_is_waited_for() -> None:
    row = row_of(evolve(SLOT, feed_state=FeedState.CONNECTING), None)
    assert (row.pop("market"), row.pop("signal"), row.pop("feed")) == ("btc-5m 21 14:30Z", "waiting", "connecting")
    assert set(row.values()) == {"·"}


def test_absent_is_a_dot_and_zero_is_a_number() -> None:
    zero = row_of(SLOT, evolve(SIGNAL, score=0.0, components=Components(momentum=0.0)))
    assert [zero[name] for name in ("score", "momentum", "flow", "whale")] == ["+0.00", "+0.00", "·", "·"]
    absent = row_of(SLOT, evolve(SIGNAL, score=0.0, components=Components(), market=Quote()))
    assert [absent[name] for name in ("score", "momentum", "flow", "whale", "mid", "left")] == ["·"] * 6
    assert (absent["conf"], absent["trades"]) == ("0.50", "37")


@pytest.mark.parametrize("state", FeedState)
def test_every_feed_state_has_its_word_and_style(state: FeedState) -> None:
    assert row_of(evolve(SLOT, feed_state=state), SIGNAL)["feed"] == state.value
    assert set(FEED_STYLES) == set(FeedState)


@pytest.mark.parametrize("phase", MarketPhase)
def test_every_phase_can_be_drawn(phase: MarketPhase) -> None:
    assert row_of(evolve(SLOT, phase=phase), SIGNAL)["market"] == "btc-5m 21 14:30Z"
    bold = "\x1b[1mbtc-5m 21 14:30Z" in text_of(Board((evolve(SLOT, phase=phase), SIGNAL)), styles=True)
    assert bold is (phase is MarketPhase.OPEN)
    assert set(PHASE_STYLES) == set(MarketPhase)


@pytest.mark.parametrize("kind", [it for it in SignalType if not it.startswith("MARKET_")])
def test_every_verdict_fits(kind: SignalType) -> None:
    assert row_of(SLOT, evolve(SIGNAL, signal_type=kind))["signal"] == kind.value


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (evolve(UNAVAILABLE, reason="no_data"), "MARKET_UNAVAILABLE (no_data)"),
        (
            evolve(UNAVAILABLE, signal_type=SignalType.MARKET_CLOSED, reason="resolved"),
            "MARKET_CLOSED (resolved)",
        ),
    ],
)
def test_a_refusal_says_why_and_shows_no_score(signal: MarketSignals, words: str) -> None:
    row = row_of(SLOT, signal)
    assert (row["signal"], row["score"], row["conf"]) == (words, "·", "0.00")


@pytest.mark.parametrize(
    ("signal", "words", "style"),
    [
        (evolve(SIGNAL, score=0.11), "+0.11", "\x1b[32m"),
        (evolve(SIGNAL, score=-0.11), "-0.11", "\x1b[31m"),
        (evolve(SIGNAL, score=0.1), "+0.10", None),
        (evolve(SIGNAL, score=-0.1), "-0.10", None),
        (evolve(UNAVAILABLE, reason="no_data"), "MARKET_UNAVAILABLE", "\x1b[31m"),
        (evolve(UNAVAILABLE, signal_type=SignalType.MARKET_CLOSED, reason="closed"), "MARKET_CLOSED", "\x1b[2m"),
    ],
)
def test_colours_point_where_the_score_points(signal: MarketSignals, words: str, style: str | None) -> None:
    text = text_of(Board((SLOT, signal)), styles=True)
    before = text[: text.index(words)]
    assert before.endswith(style) if style else before.endswith(" ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "·"),
        (0.0, "0:00"),
        (59.99, "0:59"),
        (60.0, "1:00"),
        (3599.0, "59:59"),
        (3600.0, "1:00:00"),
        (86399, "23:59:59"),
    ],
)
def test_the_time_left(seconds: float | None, words: str) -> None:
    assert row_of(SLOT, evolve(SIGNAL, market=Quote(seconds_to_close=seconds)))["left"] == words


@pytest.mark.parametrize(
    ("state", "epoch", "fault", "words"),
    [
        (FeedState.LIVE, 1, None, "live"),
        (FeedState.LIVE, 3, "closed", "live #3"),
        (FeedState.CONNECTING, 0, "refused", "connecting"),
        (FeedState.BACKOFF, 0, "refused", "backoff refused"),
        (FeedState.BACKOFF, 12, "half_open", "backoff #12 half_open"),
        (FeedState.BACKOFF, 2, None, "backoff #2"),
    ],
)
def test_the_feed_says_which_socket_and_what_went_wrong(
    state: FeedState, epoch: int, fault: str | None, words: str
) -> None:
    assert row_of(evolve(SLOT, feed_state=state, epoch=epoch, last_fault=fault), SIGNAL)["feed"] == words


CONDITION_ID = "0x" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("market", "name"),
    [
        (SLOT, "btc-5m 21 14:30Z"),
        (evolve(SLOT, start_ns=None), "btc-updown-5m-1"),
        (evolve(SLOT, series=None, slug="will-it-rain"), "will-it-rain"),
        (evolve(SLOT, series=None, slug=None, target="will-it-rain"), "will-it-rain"),
        (evolve(SLOT, series=None, slug=None, target=CONDITION_ID), "0x012345…abcdef"),
    ],
)
def test_what_a_market_is_called(market: MarketHealth, name: str) -> None:
    assert row_of(market, SIGNAL)["market"] == name


def test_markets_stand_by_underlying_length_and_time_and_fixed_ones_last() -> None:
    def slot(series: str, start_s: int) -> tuple[MarketHealth, None]:
        return evolve(SLOT, target=f"{series}-{start_s}", series=series, start_ns=start_s * 10**9), None

    fixed = [(evolve(SLOT, target=name, series=None, slug=name), None) for name in ("b", "a")]
    names = ["eth-5m", "btc-1d", "btc-4h", "btc-1h", "btc-15m", "btc-5m", "btc-2w"]
    board = Board(*fixed, *[slot(name, 600) for name in names], slot("btc-5m", 300), slot("btc-1h", 60))
    assert [row[0] for row in rows_of(board)] == [
        "btc-5m 01 00:05Z",
        "btc-5m 01 00:10Z",
        "btc-15m 01 00:10Z",
        "btc-1h 01 00:01Z",
        "btc-1h 01 00:10Z",
        "btc-4h 01 00:10Z",
        "btc-1d 01 00:10Z",
        "btc-2w 01 00:10Z",
        "eth-5m 01 00:10Z",
        "a",
        "b",
    ]


def table_of(board: Board, width: int) -> list[dict[str, str]]:
    """The cells of every market by column, put together again where they were folded."""
    drawn = [line.replace("┃", "│") for line in text_of(board, width=width).splitlines()]
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in drawn if line.startswith("│")]
    [heading] = [index for index, line in enumerate(lines) if line[0] == "market"]
    rows: list[dict[str, str]] = []
    for line in lines[heading + 1 :]:
        row = dict(zip(lines[heading], line, strict=True))
        if row["left"]:
            rows.append(row)
        else:
            rows[-1] = {name: rows[-1][name] + part for name, part in row.items()}
    return rows


@pytest.mark.parametrize(("width", "shed"), [(80, 5), (100, 4), (110, 3), (115, 2), (125, 1), (140, 0), (200, 0)])
def test_a_narrow_screen_has_fewer_columns_and_cuts_nothing(width: int, shed: int) -> None:
    unknown = evolve(SLOT, target=CONDITION_ID, series=None, slug=None, feed_state=FeedState.BACKOFF, epoch=12)
    conflicted = evolve(SIGNAL, signal_type=SignalType.LOW_LIQUIDITY_CONFLICTED_BEARISH)
    board = Board(
        (SLOT, evolve(conflicted, market=Quote(mid=0.505, seconds_to_close=86_399.0))),
        (evolve(unknown, last_fault="connect_timeout"), evolve(UNAVAILABLE, reason="connect_timeout")),
    )
    first, second = table_of(board, width)
    assert [name for name in COLUMNS if name not in first] == [name for name in COLUMNS if name in SHED[:shed]]
    assert (first["market"], second["market"]) == ("btc-5m 21 14:30Z", "0x012345…abcdef")
    assert [first[name] for name in ("left", "mid", "score", "conf")] == ["23:59:59", "0.505", "+0.25", "0.50"]
    assert (first["signal"], first["feed"]) == ("LOW_LIQUIDITY_CONFLICTED_BEARISH", "live")
    assert second["signal"].replace(" ", "") == "MARKET_UNAVAILABLE(connect_timeout)"
    assert second["feed"].replace(" ", "") == "backoff#12connect_timeout"
    assert all(len(line) <= width for line in text_of(board, width=width).splitlines())


def test_a_board_without_markets_has_all_columns() -> None:
    assert any(cells(line) == COLUMNS for line in text_of(Board()).splitlines())


# -------------------------------------------------------------------------------------------- aggregates and the rest


def aggregate_of(aggregate: AggregateSignal) -> list[str]:
    lines = text_of(Board(aggregates=[aggregate])).splitlines()
    return next(cells(line) for line in lines if line.startswith("│"))


def test_an_aggregate_is_a_row() -> None:
    aggregate = evolve(
        AGGREGATE, score=-0.5, confidence=0.25, agreement=0.75, markets_open=4, markets_scored=3, underlying="ETH"
    )
    assert aggregate_of(aggregate) == ["ETH", "-0.50", "0.25", "0.75", "4", "3"]


def test_an_aggregate_without_a_score_is_not_one_of_zero() -> None:
    silent = evolve(AGGREGATE, score=None, confidence=0.0, agreement=None, markets_open=2, markets_scored=0)
    assert aggregate_of(silent) == ["BTC", "·", "0.00", "·", "2", "0"]
    assert aggregate_of(evolve(silent, score=0.0))[1] == "+0.00"


@pytest.mark.parametrize(("gap_s", "words"), [(None, "longest gap none yet"), (0.0, "gap 0.000 s"), (1.5, "1.500 s")])
def test_the_footer_counts(gap_s: float | None, words: str) -> None:
    health = evolve(HEALTH, signals=12, aggregates=6, dropped=1, rollovers=2, worst_rollover_gap_s=gap_s)
    text = text_of(Board(health=health))
    assert "12 signals, 6 aggregates, 1 dropped; 2 roll-overs" in text
    assert words in text


def test_a_caption_stands_below_and_is_no_markup() -> None:
    assert text_of(Board(), caption="press [bold]Ctrl-C[/bold]").splitlines()[-1] == "press [bold]Ctrl-C[/bold]"
    assert "roll-overs" in text_of(Board()).splitlines()[-1]


# -------------------------------------------------------------------------------------------------------------- show


async def test_the_table_is_redrawn_until_cancelled_and_its_last_state_stays(
    autojump_clock: trio.testing.MockClock,
) -> None:
    screen = StringIO()
    console = Console(width=160, file=screen, force_terminal=True, color_system=None)
    board = Board((SLOT, None))
    began = trio.current_time()
    with trio.move_on_after(9.9):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: show_table(board, refresh_s=2.0, console=console, caption="the caption"))
            await trio.sleep(5)
            first = screen.getvalue()
            board.rows = ((SLOT, SIGNAL),)
    assert trio.current_time() - began == pytest.approx(9.9)
    assert board.asked == 1 + 5, "once to begin with, then every two seconds"
    assert "waiting" in first
    assert "LOW_LIQUIDITY" not in first
    last = screen.getvalue()[len(first) :]
    assert "LOW_LIQUIDITY_WEAK_BULLISH" in last
    assert last.rindex("the caption") > last.rindex("LOW_LIQUIDITY_WEAK_BULLISH")


async def test_a_running_engine_is_a_board(autojump_clock: trio.testing.MockClock) -> None:
    console = Console(record=True, width=160, file=StringIO())
    async with rig(follow("btc-5m", "btc-15m"), seconds=1) as running:
        with trio.move_on_after(30.5):
            await show_table(running.engine, refresh_s=1.0, console=console)
    text = console.export_text()
    assert "btc-5m 21 14:30Z" in text
    assert "btc-15m 21 14:30Z" in text
    assert "12 signals, 6 aggregates, 0 dropped" in text
