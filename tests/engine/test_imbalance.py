from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.imbalance import DepthImbalance, OrderFlowImbalance
from engine.units import NS_PER_MS, NS_PER_S

S = NS_PER_S

# --------------------------------------------------------------------------------------------------------------- depth


def test_unknown_until_put() -> None:
    depth = DepthImbalance()
    assert depth.mean(S) is None
    depth.clear(0)
    assert depth.mean(S) is None
    depth.put(S, 0.0, 0.0)
    assert depth.mean(2 * S) is None


@pytest.mark.parametrize(
    ("bid", "ask", "expected"), [(3.0, 1.0, 0.5), (1.0, 3.0, -0.5), (2.0, 0.0, 1.0), (1.0, 1.0, 0.0)]
)
def test_is_the_definition(bid: float, ask: float, expected: float) -> None:
    depth = DepthImbalance()
    depth.put(0, bid, ask)
    assert depth.mean(S) == expected


def test_weighted_by_time() -> None:
    depth = DepthImbalance()
    depth.put(0, 3.0, 1.0)
    depth.put(3 * S, 1.0, 1.0)
    assert depth.mean(4 * S) == 0.5 * 3 / 4


def test_time_without_a_readable_book_does_not_count() -> None:
    depth = DepthImbalance()
    depth.put(0, 3.0, 1.0)
    depth.clear(S)
    depth.put(7 * S, 1.0, 1.0)
    assert depth.mean(8 * S) == 0.25
    assert depth.mean(11 * S) == 0.0


def test_absent_while_the_book_may_not_be_read() -> None:
    depth = DepthImbalance()
    depth.put(0, 3.0, 1.0)
    assert depth.mean(S) == 0.5
    depth.clear(S)
    assert depth.mean(S) is None
    assert depth.mean(2 * S) is None


def test_only_the_last_ten_seconds_count() -> None:
    depth = DepthImbalance()
    depth.put(0, 1.0, 0.0)
    depth.put(5 * S, 0.0, 1.0)
    assert depth.mean(10 * S) == 0.0
    assert depth.mean(12 * S) == pytest.approx(0.3 - 0.7)
    assert depth.mean(15 * S) == -1.0


def test_at_the_instant_of_the_first_value_there_is_no_time_yet() -> None:
    depth = DepthImbalance()
    depth.put(0, 1.0, 0.0)
    assert depth.mean(0) is None


def test_memory_is_bounded_without_readings() -> None:
    depth = DepthImbalance()
    for number in range(10_000):
        depth.put(number * 100 * NS_PER_MS, 1.0, float(number % 2))
    assert len(depth._steps) <= 102


pressures = st.none() | st.tuples(st.sampled_from((0.0, 1.0, 2.5, 1e15)), st.sampled_from((0.0, 1.0, 3.3)))


@given(st.lists(st.tuples(st.sampled_from((0, 1, 700 * NS_PER_MS, S, 6 * S, 11 * S)), pressures), max_size=40))
def test_equals_the_integral_of_the_definition(moves: list[tuple[int, tuple[float, float] | None]]) -> None:
    depth, mirror = DepthImbalance(), DepthImbalance()
    history: list[tuple[int, float | None]] = []
    now_ns = 0
    for step_ns, pressure in moves:
        now_ns += step_ns
        if pressure is None:
            depth.clear(now_ns)
            mirror.clear(now_ns)
            history.append((now_ns, None))
        else:
            depth.put(now_ns, *pressure)
            mirror.put(now_ns, *reversed(pressure))
            total = sum(pressure)
            history.append((now_ns, (pressure[0] - pressure[1]) / total if total else None))
        end_ns = now_ns + 1
        ends = [at for at, _ in history[1:]] + [end_ns]
        spans = [
            (value, end - max(at, end_ns - 10 * S))
            for (at, value), end in zip(history, ends, strict=True)
            if value is not None and end > max(at, end_ns - 10 * S)
        ]
        known = sum(span for _, span in spans)
        mean, mirrored = depth.mean(end_ns), mirror.mean(end_ns)
        if not known or history[-1][1] is None:
            assert mean is mirrored is None
            continue
        assert mean is not None
        assert mirrored is not None
        assert isclose(mean, sum(value * span for value, span in spans) / known, abs_tol=1e-9)
        assert mirrored == -mean
        assert -1.0 <= mean <= 1.0


# ---------------------------------------------------------------------------------------------------------- order flow


def flow_of(*tops: tuple[int, int, int, int]) -> OrderFlowImbalance:
    flow = OrderFlowImbalance()
    for at_ns, top in enumerate(tops):
        flow.quote(at_ns, *top)
    return flow


def test_no_flow_without_two_quotes() -> None:
    assert flow_of().value() is None
    assert flow_of((50, 51, 10, 10)).value() is None
    assert flow_of((50, 51, 10, 10), (50, 51, 10, 10)).value() is None


@pytest.mark.parametrize(
    ("after", "flow"),
    [
        ((50, 52, 15, 10), +5),  # size joins the bid
        ((50, 52, 10, 15), -5),  # size joins the ask
        ((51, 52, 7, 10), +7),  # a better bid
        ((49, 52, 7, 10), -10),  # the bid is gone
        ((50, 51, 10, 7), -7),  # a better ask
        ((50, 53, 10, 7), +10),  # the ask is gone
    ],
)
def test_each_change_of_the_touch(after: tuple[int, int, int, int], flow: int) -> None:
    value = flow_of((50, 52, 10, 10), after).value()
    assert value is not None
    assert isclose(value, flow / ((after[2] + after[3]) / 2))


def test_nothing_is_compared_across_an_interruption() -> None:
    flow = flow_of((50, 52, 10, 10), (50, 52, 20, 10))
    flow.interrupt()
    flow.quote(2, 90, 92, 1, 1)
    assert flow.value() == 10 / 15
    flow.quote(3, 80, 82, 0, 1)
    flow.quote(4, 70, 72, 1, 1)
    assert flow.value() == 10 / 15


tops = st.tuples(st.integers(40, 49), st.integers(50, 60), st.integers(1, 9), st.integers(1, 9))


@given(st.lists(tops, min_size=1, max_size=30), st.integers(1, 10))
def test_order_flow_equals_the_definition(quotes: list[tuple[int, int, int, int]], window: int) -> None:
    flow, mirror = OrderFlowImbalance(), OrderFlowImbalance()
    changes: list[tuple[int, int, int]] = []
    before: tuple[int, int, int, int] | None = None
    for at_ns, top in enumerate(quotes):
        bid, ask, bid_size, ask_size = top
        flow.quote(at_ns, *top)
        mirror.quote(at_ns, 100 - ask, 100 - bid, ask_size, bid_size)
        if before is not None and top != before:
            event = 0
            event += bid_size if bid >= before[0] else 0
            event -= before[2] if bid <= before[0] else 0
            event -= ask_size if ask <= before[1] else 0
            event += before[3] if ask >= before[1] else 0
            changes.append((at_ns, event, bid_size + ask_size))
        before = top
        flow.evict(at_ns - window)
        mirror.evict(at_ns - window)
        inside = [(event, depth) for at, event, depth in changes if at >= at_ns - window]
        value = flow.value()
        if not inside:
            assert value is None
            continue
        mean_depth = sum(depth for _, depth in inside) / len(inside) / 2
        assert value is not None
        assert isclose(value, sum(event for event, _ in inside) / mean_depth, abs_tol=1e-12)
        assert mirror.value() == -value
