"""What the features hear of a book: all of it, without asking the book more often than it has news."""

from __future__ import annotations

from math import exp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.book import Book, MirroredChange
from engine.featurefeed import UNFED, FeatureFeed
from engine.markets import Market, Outcome, Side
from engine.units import NS_PER_MS, NS_PER_S, SIZE_SCALE
from engine.whales import WhaleUnit
from engine.window import WindowTrade

UP, DOWN = Outcome.UP, Outcome.DOWN
MARKET = Market(condition_id="0x" + "5c" * 32, up_asset_id="71", down_asset_id="72", tick=100)
BIDS, OPPOSITE = {4800: 10.0, 4700: 20.0}, {5000: 30.0, 4900: 40.0}


class Bench:
    """A book and the features fed from it, told of by the second."""

    def __init__(self, *, wants_pressure: bool = False) -> None:
        self.book = Book(MARKET)
        self.feed = FeatureFeed(window_ns=120 * NS_PER_S, wants_pressure=wants_pressure)

    def show(self, second: int, bids: dict[int, float] = BIDS, opposite: dict[int, float] = OPPOSITE) -> None:
        """A snapshot: the bids of Up and of Down."""
        self.book.replace(UP, dict(bids), dict(opposite))
        self.feed.moved(self.book, second * NS_PER_S)

    def top(self, second: int, bid: int | None, ask: int | None) -> None:
        self.book.top(UP, bid, ask)
        self.feed.moved(self.book, second * NS_PER_S)

    def change(
        self, second: int, price: int, shares: float, *, of_up: bool = True, stated: tuple[int, int] = (4800, 5000)
    ) -> None:
        at_ns = second * NS_PER_S
        change = MirroredChange(at_ns, of_up, price, shares, *stated)
        self.book.set_levels([change], None)
        self.feed.changed(self.book, change)

    def gap(self, second: int) -> None:
        self.book.invalidate()
        self.feed.gap(second * NS_PER_S)

    def tick_size(self, tick: int) -> None:
        self.book.tick_size(tick)
        self.feed.tick_size(tick)

    def heard(self, second: int) -> dict[str, Any]:
        """What scorers read of quotes and depth."""
        features, now_ns = self.feed.features, second * NS_PER_S
        return {
            "top": features.fair.top,
            "tick": features.fair.tick,
            "start": features.fair.logit_at_start(now_ns - 5 * NS_PER_S),
            "end": features.fair.logit_at_end(now_ns),
            "spread": features.fair.spread(now_ns),
            "volatility": features.volatility.per_root_second(),
            "depth": features.depth_imbalance(now_ns),
        }


class PlainBench(Bench):
    """Nobody tells its feed what a level change was about."""

    def change(
        self, second: int, price: int, shares: float, *, of_up: bool = True, stated: tuple[int, int] = (4800, 5000)
    ) -> None:
        at_ns = second * NS_PER_S
        self.book.set_levels([MirroredChange(at_ns, of_up, price, shares, *stated)], None)
        self.feed.moved(self.book, at_ns)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Book]:
    """The books that were asked for their quote, as often as they were."""
    seen: list[Book] = []
    quote = Book.quote

    def counted(book: Book) -> tuple[int, int, int, int] | None:
        seen.append(book)
        return quote(book)

    monkeypatch.setattr(Book, "quote", counted)
    return seen


def top_of(bench: Bench) -> tuple[int, ...]:
    return tuple(bench.feed.features.fair.top)


# -------------------------------------------------------------------------------------------------------------- quotes


def test_the_quote_of_the_book_is_the_features_quote() -> None:
    bench = Bench()
    bench.show(1)
    assert top_of(bench) == (4800, 5000, 10 * SIZE_SCALE, 30 * SIZE_SCALE)
    assert bench.heard(2)["spread"] == pytest.approx(0.02)
    bench.top(2, 4600, 5200)
    assert top_of(bench) == (4600, 5200, 0, 0)


def test_a_book_without_a_quote_takes_it_away() -> None:
    bench = Bench()
    bench.show(1)
    bench.top(2, None, 5000)
    assert (bench.heard(2)["end"], bench.heard(2)["spread"]) == (None, None)


def test_changes_beside_the_touch_repeat_the_quote_without_asking_for_it(asked: list[Book]) -> None:
    bench = Bench()
    bench.change(1, 4800, 10.0)
    assert len(asked) == 1
    for second in range(2, 9):
        bench.change(second, 4700, float(second))
        bench.change(second, 4900, float(second), of_up=False)
    assert len(asked) == 1
    assert bench.heard(9)["spread"] == pytest.approx(0.02), "it grew no older"


@pytest.mark.parametrize(
    "change",
    [
        {"price": 4800, "shares": 11.0},
        {"price": 5000, "shares": 31.0, "of_up": False},
        {"price": 4700, "shares": 5.0, "stated": (4800, 4900)},
        {"price": 4700, "shares": 5.0, "stated": (4700, 5000)},
    ],
    ids=["at the bid", "at the ask", "another ask stated", "another bid stated"],
)
def test_changes_of_the_touch_ask_for_it(asked: list[Book], change: dict[str, Any]) -> None:
    bench = Bench()
    bench.show(1)
    bench.change(2, 4800, 10.0)
    asked.clear()
    bench.change(3, **change)
    assert len(asked) == 1
    assert top_of(bench) == bench.book.quote()


@pytest.mark.parametrize("between", ["snapshot", "top", "gap", "tick"])
def test_whatever_else_is_said_in_between_has_the_next_change_ask_again(asked: list[Book], between: str) -> None:
    bench = Bench()
    bench.show(1)
    bench.change(2, 4800, 10.0)
    if between == "snapshot":
        bench.show(3, {4800: 9.0}, {5000: 8.0})
    elif between == "top":
        bench.top(3, None, None)
    elif between == "gap":
        bench.gap(3)
    else:
        bench.tick_size(10)
    asked.clear()
    bench.change(4, 4700, 5.0)
    assert len(asked) == 1
    assert top_of(bench) == bench.book.quote()


_prices = st.sampled_from([4600, 4700, 4800, 4900, 5000, 5100])
_sizes = st.sampled_from([0.0, 1.0, 7.25, 300.0])
_levels = st.dictionaries(_prices, _sizes.filter(bool), max_size=3)
_stated = st.sampled_from([(4800, 5000), (4800, 5000), (4700, 5000), (4800, 4900)])
_steps = st.one_of(
    st.tuples(st.just("change"), _prices, _sizes, st.booleans(), _stated),
    st.tuples(st.just("change"), _prices, _sizes, st.booleans(), _stated),
    st.tuples(st.just("show"), _levels, _levels),
    st.tuples(st.just("top"), st.none() | _prices, st.none() | _prices),
    st.tuples(st.just("gap")),
    st.tuples(st.just("tick_size"), st.sampled_from([10, 100])),
)


@given(st.lists(st.tuples(_steps, st.integers(0, 6)), max_size=25), st.booleans())
def test_knowing_what_a_change_was_about_changes_nothing(script: list[tuple[Any, int]], wants_pressure: bool) -> None:
    benches = [kind(wants_pressure=wants_pressure) for kind in (Bench, PlainBench)]
    second = 1
    for (kind, *about), later in script:
        second += later
        for bench in benches:
            if kind == "change":
                price, shares, of_up, stated = about
                bench.change(second, price, shares, of_up=of_up, stated=stated)
            elif kind == "tick_size":
                bench.tick_size(*about)
            else:
                getattr(bench, kind)(second, *about)
        knowing, plain = (bench.heard(second) for bench in benches)
        assert knowing == plain


# ------------------------------------------------------------------------------------------------------------ pressure


def test_pressure_is_kept_only_when_wanted() -> None:
    for wanted in (True, False):
        bench = Bench(wants_pressure=wanted)
        bench.show(1, {4800: 30.0}, {5000: 10.0})
        assert bench.heard(2)["depth"] == (pytest.approx(0.5) if wanted else None)


def test_pressure_follows_changes_beside_the_touch_too() -> None:
    bench = Bench(wants_pressure=True)
    bench.show(1, {4800: 10.0}, {5000: 10.0})
    bench.change(2, 4800, 10.0)
    bench.change(3, 4300, 100.0)
    bench.change(4, 4299, 1e9)
    bid, ask = 10.0 + 100.0 * exp(-2.5), 10.0
    of_five_steps = pytest.approx((bid - ask) / (bid + ask))
    assert bench.heard(53)["depth"] == of_five_steps, "half a step of fading each, and nothing from the sixth on"


@pytest.mark.parametrize("unreadable", ["gap", "crossed", "one-sided"])
def test_a_book_that_is_not_clean_presses_on_nothing(unreadable: str) -> None:
    bench = Bench(wants_pressure=True)
    bench.show(1)
    assert bench.heard(2)["depth"] is not None
    if unreadable == "gap":
        bench.gap(2)
    else:
        bench.show(2, {5200: 1.0}, OPPOSITE if unreadable == "crossed" else {})
    assert bench.heard(60)["depth"] is None


# -------------------------------------------------------------------------------------- trades, the step, the window


def whale(at_ns: int) -> WindowTrade:
    return WindowTrade(
        at_ns=at_ns,
        venue_ms=at_ns // NS_PER_MS,
        outcome=UP,
        side=Side.BUY,
        price=5_000,
        size=5_000 * SIZE_SCALE,
        yes_price=5_000,
        direction=1,
        transaction_hash="0x" + "1" * 64,
    )


def test_trades_go_in_and_leave_with_the_window() -> None:
    feed = Bench().feed
    feed.trade(whale(NS_PER_S))
    paid = feed.features.whales(WhaleUnit.USD_PAID, multiple=1.0, floor_units=0)
    assert (len(feed.features.orders), paid[0] > 0) == (1, True)
    feed.evict(2 * NS_PER_S)
    assert len(feed.features.orders) == 0
    assert feed.features.whales(WhaleUnit.USD_PAID, multiple=1.0, floor_units=0) == (0, 0)


def test_the_step_of_the_price_reaches_the_features() -> None:
    bench = Bench()
    assert bench.heard(1)["tick"] == 100
    bench.tick_size(10)
    assert bench.heard(1)["tick"] == 10


def test_features_that_nobody_feeds_know_nothing() -> None:
    assert len(UNFED.orders) == 0
    assert UNFED.fair.logit_at_end(NS_PER_S) is None
    assert UNFED.depth_imbalance(NS_PER_S) is None
