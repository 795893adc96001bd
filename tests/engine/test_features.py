from math import ceil
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.features import Features
from engine.markets import Outcome, Side
from engine.quotes import logit
from engine.units import NS_PER_MS, NS_PER_S, SIZE_SCALE, to_ns
from engine.whales import HOUR_NS, WhaleUnit
from engine.window import WindowTrade
from tests.engine.workbench import BUY, DOWN, SELL, START_NS, UP, Bench, Fill

FLOOR = 2_000 * SIZE_SCALE


def trade(at_ns: int, venue_ms: int, name: str | None = None) -> WindowTrade:
    return WindowTrade(
        at_ns=at_ns,
        venue_ms=venue_ms,
        outcome=Outcome.UP,
        side=Side.BUY,
        price=5_500,
        size=1,
        yes_price=5_500,
        direction=1,
        transaction_hash=name,
    )


def features(*, order_flow: bool = False) -> Features:
    return Features(window_ns=120 * NS_PER_S, tick=100, order_flow=order_flow)


# ------------------------------------------------------------------------------------------------------ time of a trade


@pytest.mark.parametrize(
    ("ahead_ms", "trusted"), [(0, True), (10_000, True), (-10_000, True), (10_001, False), (-10_001, False)]
)
def test_the_venues_time_is_taken_within_ten_seconds_of_the_receipt(ahead_ms: int, trusted: bool) -> None:
    market = features()
    market.trade(trade(START_NS, START_NS // NS_PER_MS + ahead_ms))
    (order,) = market.orders
    assert order.event_ns == START_NS + (ahead_ms * NS_PER_MS if trusted else 0)


def test_without_a_venue_time_the_receipt_counts() -> None:
    market = features()
    market.trade(trade(START_NS, 0))
    market.trade(trade(START_NS + 50 * NS_PER_MS, 0))
    assert [order.event_ns for order in market.orders] == [START_NS, START_NS + 50 * NS_PER_MS]


# -------------------------------------------------------------------------------------------------------------- quotes


def test_quote_feeds_price_and_volatility() -> None:
    market = features()
    market.quote(0, 4_900, 5_100, 0, 0)
    market.quote(NS_PER_S, 5_400, 5_600, 0, 0)
    assert market.fair.logit_at_end(NS_PER_S) == logit(55, 45)
    assert market.volatility.per_root_second() == logit(55, 45)


@pytest.mark.parametrize("interrupt", ["gap", "no_quote"])
def test_an_interruption_ends_the_quote_and_is_no_change_of_price(interrupt: str) -> None:
    market = features(order_flow=True)
    market.quote(0, 4_900, 5_100, 1, 1)
    getattr(market, interrupt)(1)
    assert market.fair.logit_at_end(1) is None
    assert market.fair.spread(1) is None
    market.quote(2 * NS_PER_S, 5_400, 5_600, 1, 1)
    assert market.volatility.per_root_second() is None
    assert market.order_flow is not None
    assert market.order_flow.value() is None


def test_a_wide_quote_is_no_change_of_price() -> None:
    market = features()
    for second, bid, ask in ((0, 4_900, 5_100), (1, 1_000, 9_000), (2, 5_400, 5_600)):
        market.quote(second * NS_PER_S, bid, ask, 1, 1)
    assert market.volatility.per_root_second() is None


def test_finer_tick_moves_the_clip() -> None:
    market = features()
    market.trade(trade(0, 0))
    market.tick_size(10)
    assert market.fair.tick == 10


def test_order_flow_is_off_unless_asked_for() -> None:
    market = features()
    market.quote(0, 4_900, 5_100, 1, 1)
    market.tick_size(10)
    market.snapshot(0)
    market.evict(1)
    assert market.order_flow is None


@pytest.mark.parametrize("interrupted", ["", "snapshot", "tick_size"])
def test_order_flow_restarts_at_a_snapshot_and_a_tick_change(interrupted: str) -> None:
    market = features(order_flow=True)
    market.quote(0, 4_900, 5_100, 1, 1)
    if interrupted == "snapshot":
        market.snapshot(1)
    if interrupted == "tick_size":
        market.tick_size(10)
    market.quote(2, 4_900, 5_100, 3, 1)
    assert market.order_flow is not None
    assert market.order_flow.value() == (None if interrupted else 1.0)
    market.evict(3)
    assert market.order_flow.value() is None


def test_a_quote_that_is_said_again_grows_no_older() -> None:
    market = features()
    market.again(0)
    assert market.fair.spread(0) is None
    market.quote(NS_PER_S, 4_900, 5_100, 1, 1)
    market.again(NS_PER_S + 1)
    market.again(4 * NS_PER_S)
    market.quote(4 * NS_PER_S + 1, 4_900, 5_100, 1, 1)
    assert market.fair.spread(9 * NS_PER_S + 1) == 0.02
    assert market.fair.spread(9 * NS_PER_S + 2) is None
    assert market.volatility.per_root_second() == 0.0


class PlainFeatures(Features):
    """Takes every quote in as if it were another one, as far as its parts let it."""

    def quote(self, at_ns: int, bid: int, ask: int, bid_size: int, ask_size: int) -> None:
        self.said: tuple[int, int, int, int] | None = (bid, ask, bid_size, ask_size)
        logit = self.fair.quote(at_ns, bid, ask, bid_size, ask_size)
        if logit is None:
            self.volatility.interrupt()
        else:
            self.volatility.observe(at_ns, logit)
        if self.order_flow is not None:
            self.order_flow.quote(at_ns, bid, ask, bid_size, ask_size)

    def again(self, at_ns: int) -> None:
        if self.said is None:
            self.no_quote(at_ns)
        else:
            self.quote(at_ns, *self.said)

    def no_quote(self, at_ns: int) -> None:
        self.said = None
        super().no_quote(at_ns)


quotes = st.sampled_from(
    (
        *((4_900, 5_100, 1, 2), (4_900, 5_100, 1, 3), (4_800, 5_200, 1, 2), (4_900, 5_100, 0, 0)),
        *((1_000, 9_000, 1, 2), (1_000, 9_000, 2, 2)),
    )
)
happenings = st.one_of(
    st.tuples(st.just("quote"), quotes),
    st.tuples(st.sampled_from(("again", "again", "again", "no_quote", "gap", "snapshot")), st.just(())),
    st.tuples(st.just("tick_size"), st.just((10,))),
)


@given(
    st.lists(
        st.tuples(st.sampled_from((0, 1, 400 * NS_PER_MS, NS_PER_S, 5 * NS_PER_S, 11 * NS_PER_S)), happenings),
        min_size=15,
        max_size=40,
    ),
    st.booleans(),
)
def test_a_quote_that_is_said_again_is_taken_in_all_the_same(
    moves: list[tuple[int, tuple[str, tuple[int, ...]]]], order_flow: bool
) -> None:
    kinds = (Features, PlainFeatures)
    both = [kind(window_ns=20 * NS_PER_S, tick=100, order_flow=order_flow) for kind in kinds]
    both[1].no_quote(0)
    now_ns = START_NS
    for step_ns, (happening, values) in moves:
        now_ns += step_ns
        known = []
        for market in both:
            timed = () if happening == "tick_size" else (now_ns,)
            getattr(market, happening)(*timed, *values)
            fair, start_ns = market.fair, now_ns - 20 * NS_PER_S
            known.append(
                (
                    *(fair.logit_at_end(now_ns + later) for later in (0, NS_PER_S, 5 * NS_PER_S)),
                    *(fair.spread(now_ns + later) for later in (0, NS_PER_S, 5 * NS_PER_S)),
                    *(fair.logit_at_start(start_ns + later * NS_PER_S) for later in range(21)),
                    market.volatility.per_root_second(),
                    market.order_flow and market.order_flow.value(),
                )
            )
        assert known[0] == known[1]


# ------------------------------------------------------------------------------------------------------------ pressure


def test_pressure_until_the_book_is_lost() -> None:
    market = features()
    assert market.depth_imbalance(NS_PER_S) is None
    market.pressure(0, 3.0, 1.0)
    assert market.depth_imbalance(NS_PER_S) == 0.5
    market.no_pressure(NS_PER_S)
    market.pressure(2 * NS_PER_S, 1.0, 3.0)
    assert market.depth_imbalance(3 * NS_PER_S) == 0.0
    market.gap(3 * NS_PER_S)
    assert market.depth_imbalance(3 * NS_PER_S) is None


# -------------------------------------------------------------------------------------------------------------- whales


def whales(bench: Bench, unit: WhaleUnit = WhaleUnit.SHARES, multiple: float = 1.0) -> tuple[int, int]:
    return bench.features.whales(unit, multiple=multiple, floor_units=FLOOR)


def test_whales_from_the_floor_on() -> None:
    bench = Bench()
    bench.trade(1, UP, BUY, "0.5", "1999.999999")
    bench.trade(2, UP, BUY, "0.5", "2000")
    bench.trade(3, DOWN, BUY, "0.02", "2000")
    bench.trade(4, UP, SELL, "0.5", "2000")
    bench.trade(5, UP, None, "0.5", "9000")
    assert whales(bench) == (1, 2)


def test_fills_of_one_order_add_up_to_a_whale() -> None:
    bench = Bench()
    for at_s, outcome, side, price in ((1, UP, BUY, 5_000), (2, DOWN, SELL, 4_990)):
        bench.fill(Fill(at_s=at_s, outcome=outcome, side=side, price=price, units=FLOOR // 2, transaction_hash="0xa"))
    assert whales(bench) == (1, 0)


def test_dollars_paid_are_strictly_above_a_thousand() -> None:
    bench = Bench()
    bench.trade(1, UP, BUY, "0.5", "2000")
    bench.trade(2, UP, SELL, "0.5", "2000.000001")
    bench.trade(3, DOWN, BUY, "0.99", "1010.2")
    bench.trade(4, UP, BUY, "0.02", "49000")
    assert whales(bench, WhaleUnit.USD_PAID) == (0, 2)


def test_a_whale_is_larger_than_what_was_usual_in_its_band() -> None:
    bench = Bench()
    for number in range(200):
        bench.trade(number / 10, UP, BUY, "0.5", str(3_000 + number))
    bench.trade(150, UP, BUY, "0.5", "3196")
    bench.trade(151, UP, BUY, "0.45", "3197")
    bench.trade(152, UP, SELL, "0.15", "2000")
    bench.view(160)
    assert whales(bench) == (1, 1)
    assert whales(bench, multiple=1.5) == (0, 1)
    assert whales(bench, multiple=0.5) == (2, 1)


def test_the_window_is_not_compared_with_itself() -> None:
    bench = Bench()
    for number in range(200):
        bench.trade(number / 10, UP, BUY, "0.5", str(3_000 + number))
    bench.view(20)
    assert whales(bench) == (200, 0)


thresholds = st.tuples(st.sampled_from((0, 0.5, 1.0, 3)), st.sampled_from((1_000.0, 1_500.5, 2_000.0, 4_500.0)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from((0, 1, 30, 119, 600, 2_000)),
            st.sampled_from((UP, DOWN)),
            st.sampled_from((BUY, SELL, None)),
            st.sampled_from((500, 1_000, 4_999, 5_001, 9_000)),
            st.sampled_from((1, 500, 999, 1_500, 2_000, 2_001, 5_000)),
            st.sampled_from((None, "0xa", "0xb")),
            st.booleans(),
        ),
        min_size=10,
        max_size=40,
    ),
    thresholds,
)
def test_whales_equal_the_definition_whenever_they_are_asked_for(
    moves: list[tuple[int, Outcome, Side | None, int, int, str | None, bool]], threshold: tuple[float, float]
) -> None:
    bench = Bench()
    orders: list[list[Fill]] = []
    now = 0
    multiple, floor = threshold[0], threshold[1] * SIZE_SCALE
    with patch("engine.whales.SAMPLES_NEEDED", 2), patch("engine.whales._BLOCK", 2):
        for serial, (step, outcome, side, price, shares, name, asked) in enumerate(moves):
            now += step
            fill = Fill(
                at_s=now,
                outcome=outcome,
                side=side,
                price=price,
                units=shares * SIZE_SCALE + serial,  # never a repeat
                transaction_hash=name,
            )
            bench.fill(fill)
            same = [
                order
                for order in orders
                if name is not None
                and order[0].transaction_hash == name
                and order[0].direction == fill.direction
                and now - order[0].at_s <= 120
            ]
            if same:
                same[-1].append(fill)
            else:
                orders.append([fill])
            if not asked:
                continue
            bench.view(now)  # no deadline is past the next fill
            start_s = now - 120
            window = [order for order in orders if order[0].at_s >= start_s]
            past = [order for order in orders if start_s - HOUR_NS / NS_PER_S <= order[0].at_s < start_s]
            found = [
                order[0].direction for order in window if units(order) >= naive_threshold(order, past, multiple, floor)
            ]
            shares_found = bench.features.whales(WhaleUnit.SHARES, multiple=multiple, floor_units=floor)
            assert shares_found == (found.count(1), found.count(-1))
            paid = [order[0].direction for order in window if sum(f.price * f.units for f in order) > 10**13]
            assert whales(bench, WhaleUnit.USD_PAID) == (paid.count(1), paid.count(-1))


def units(order: list[Fill]) -> int:
    return sum(fill.units for fill in order)


def naive_band(order: list[Fill]) -> int:
    mean = sum(fill.units * fill.yes_price for fill in order) / units(order) / 1_000
    return min(4, int(min(mean, 10 - mean)))


def naive_threshold(order: list[Fill], past: list[list[Fill]], multiple: float, floor: float) -> float:
    sizes = sorted(units(other) for other in past if naive_band(other) == naive_band(order))
    return max(floor, multiple * sizes[ceil(0.99 * len(sizes)) - 1]) if len(sizes) >= 2 else floor


# ---------------------------------------------------------------------------------------------------------------- view


def test_when_the_window_is_read_changes_nothing() -> None:
    def last(reads: list[int]) -> tuple[object, ...]:
        bench = Bench(window_s=10)
        for second in range(60):
            bench.quote(second, "0.49", "0.51" if second % 3 else "0.53", "5", str(1 + second % 4))
            bench.fill(Fill(at_s=second, price=5_000, units=FLOOR + second, transaction_hash=f"0x{second // 15}"))
            bench.features.pressure(START_NS + to_ns(second), float(second % 5), 2.0)
            if second in reads:
                bench.view(second + 0.5)
        view = bench.view(60)
        found = view.features
        return (
            found.fair.logit_at_start(view.start_ns),
            found.fair.logit_at_end(view.end_ns),
            found.volatility.per_root_second(),
            len(found.orders),
            found.orders.tally(1).units,
            whales(bench),
            found.depth_imbalance(view.end_ns),
        )

    assert last([]) == last(list(range(60))) == last([3, 17, 18, 44])
