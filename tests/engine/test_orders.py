from math import isclose

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from engine.orders import BURST_NS, FlowWeight, Orders, TakerOrder
from engine.units import NS_PER_MS, NS_PER_S, SIZE_SCALE

WINDOW_NS = 10 * NS_PER_S


@frozen(kw_only=True)
class Fill:
    at_ns: int
    event_ns: int
    direction: int = 1
    units: int = 1
    price: int = 5_000
    yes_price: int = 5_000
    transaction_hash: str | None = None


def add(orders: Orders, fill: Fill) -> TakerOrder:
    return orders.add(
        fill.at_ns,
        fill.event_ns,
        direction=fill.direction,
        units=fill.units,
        price=fill.price,
        yes_price=fill.yes_price,
        transaction_hash=fill.transaction_hash,
    )


def orders_of(*fills: Fill) -> Orders:
    orders = Orders(window_ns=WINDOW_NS)
    for fill in fills:
        add(orders, fill)
    return orders


def test_fills_of_one_transaction_and_direction_are_one_order() -> None:
    orders = orders_of(
        Fill(at_ns=0, event_ns=0, units=2, price=4_000, yes_price=6_000, transaction_hash="0xa"),
        Fill(at_ns=NS_PER_S, event_ns=-1, units=3, price=5_000, yes_price=5_000, transaction_hash="0xa"),
    )
    (order,) = orders
    assert (order.at_ns, order.event_ns) == (0, -1)
    assert (order.units, order.paid, order.up_notional) == (5, 23_000, 27_000)
    assert (orders.tally(1).orders, orders.tally(1).units, orders.tally(1).paid) == (1, 5, 23_000)


def test_either_direction_of_a_transaction_is_its_own_order() -> None:
    orders = orders_of(
        *(Fill(at_ns=0, event_ns=0, direction=direction, transaction_hash="0xa") for direction in (1, -1, 0, 1))
    )
    assert [orders.tally(direction).orders for direction in (1, -1, 0)] == [1, 1, 1]


def test_transactions_are_told_apart() -> None:
    assert len(orders_of(*(Fill(at_ns=0, event_ns=0, transaction_hash=name) for name in ("0xa", "0xb")))) == 2


def test_without_a_hash_one_burst_is_one_order() -> None:
    fills = [Fill(at_ns=number, event_ns=number * 10 * NS_PER_MS) for number in range(10)]
    assert len(orders_of(*fills)) == 2
    assert len(orders_of(*(Fill(at_ns=0, event_ns=0, direction=direction) for direction in (1, -1)))) == 2


def test_bursts_are_by_the_venues_time_in_any_order() -> None:
    times = [0, 49, 50, 99, 100]
    for order in (times, times[::-1], [50, 0, 100, 49, 99]):
        fills = [Fill(at_ns=index, event_ns=at * NS_PER_MS) for index, at in enumerate(order)]
        assert len(orders_of(*fills)) == 3


def test_an_order_leaves_as_a_whole_with_its_first_fill() -> None:
    orders = orders_of(
        Fill(at_ns=0, event_ns=0, units=2, transaction_hash="0xa"),
        Fill(at_ns=5, event_ns=5, units=3, transaction_hash="0xb"),
        Fill(at_ns=6, event_ns=6, units=4, transaction_hash="0xa"),
    )
    assert [order.units for order in orders.evict(5)] == [6]
    assert [order.units for order in orders] == [3]
    assert orders.tally(1).units == 3
    assert orders.evict(5) == []


def test_a_fill_past_the_window_of_its_order_begins_another() -> None:
    def units(evicting: bool) -> list[int]:
        orders = Orders(window_ns=WINDOW_NS)
        for at_ns in (0, WINDOW_NS, WINDOW_NS + 1, WINDOW_NS + 2):
            add(orders, Fill(at_ns=at_ns, event_ns=at_ns, transaction_hash="0xa"))
            if evicting:
                orders.evict(at_ns + 1 - WINDOW_NS)
        orders.evict(3)
        return [order.units for order in orders]

    assert units(evicting=False) == units(evicting=True) == [2]


def test_a_fill_answers_with_its_order_as_it_is_now() -> None:
    orders = Orders(window_ns=WINDOW_NS)
    found = [add(orders, Fill(at_ns=at_ns, event_ns=0, units=2, transaction_hash="0xa")) for at_ns in (0, 1)]
    assert found[0] is found[1]
    assert list(orders) == [found[0]]
    assert found[0].units == 4


@pytest.mark.parametrize(("weight", "up", "down"), [("orders", 1, 1), ("shares", 4, 2), ("usd", 12_000, 18_000)])
def test_weights(weight: str, up: int, down: int) -> None:
    orders = orders_of(
        Fill(at_ns=0, event_ns=0, units=4, price=3_000),
        Fill(at_ns=0, event_ns=0, units=2, price=9_000, direction=-1),
    )
    assert orders.tally(1).weigh(FlowWeight(weight)) == up
    assert orders.tally(-1).weigh(FlowWeight(weight)) == down
    assert orders.decayed(0, 1.0, FlowWeight(weight)) == (up, down, 2.0)


def test_decay_halves_every_half_life() -> None:
    orders = orders_of(
        Fill(at_ns=0, event_ns=0, units=8),
        Fill(at_ns=1, event_ns=NS_PER_S, units=2, direction=-1),
        Fill(at_ns=2, event_ns=3 * NS_PER_S, units=1, direction=0),
        Fill(at_ns=3, event_ns=3 * NS_PER_S, units=1),
    )
    assert orders.decayed(2 * NS_PER_S, 1.0, FlowWeight.SHARES) == (8 / 4 + 1, 2 / 2, 1 / 4 + 1 / 2 + 1)


# ----------------------------------------------------------------------------------- incremental against the definition


def naive_orders(fills: list[Fill]) -> list[list[Fill]]:
    groups: list[tuple[tuple[object, int], list[Fill]]] = []
    for fill in fills:
        key = (fill.transaction_hash or fill.event_ns // BURST_NS, fill.direction)
        same = [group for known, group in groups if known == key and fill.at_ns - group[0].at_ns <= WINDOW_NS]
        if same:
            same[-1].append(fill)
        else:
            groups.append((key, [fill]))
    return [group for _, group in groups]


fills = st.builds(
    lambda step, late, direction, units, price, name: (step, late, direction, units, price, name),
    st.sampled_from((0, NS_PER_MS, 30 * NS_PER_MS, NS_PER_S, 4 * NS_PER_S, WINDOW_NS)),
    st.sampled_from((0, 20 * NS_PER_MS, NS_PER_S)),
    st.sampled_from((1, 0, -1)),
    st.sampled_from((1, 999, 400 * SIZE_SCALE, 1_500 * SIZE_SCALE)),
    st.integers(1, 9_999),
    st.sampled_from((None, None, "0xa", "0xb")),
)


@given(st.lists(fills, max_size=40), st.lists(st.booleans(), min_size=40, max_size=40))
def test_equals_the_definition_at_every_step(
    moves: list[tuple[int, int, int, int, int, str | None]], evictions: list[bool]
) -> None:
    orders = Orders(window_ns=WINDOW_NS)
    history: list[Fill] = []
    departed = 0
    now_ns = 1_000 * NS_PER_S
    for (step, late, direction, units, price, name), evicting in zip(moves, evictions, strict=False):
        now_ns += step
        fill = Fill(
            at_ns=now_ns,
            event_ns=now_ns - late,
            direction=direction,
            units=units,
            price=price,
            yes_price=10_000 - price,
            transaction_hash=name,
        )
        history.append(fill)
        add(orders, fill)
        if not evicting:
            continue
        start_ns = now_ns - WINDOW_NS  # no deadline is past the next fill
        departed += len(orders.evict(start_ns))
        known = naive_orders(history)
        window = [group for group in known if group[0].at_ns >= start_ns]
        assert departed == len(known) - len(window)
        assert [(order.at_ns, order.units, order.paid, order.up_notional, order.event_ns) for order in orders] == [
            (
                group[0].at_ns,
                sum(fill.units for fill in group),
                sum(fill.units * fill.price for fill in group),
                sum(fill.units * fill.yes_price for fill in group),
                min(fill.event_ns for fill in group),
            )
            for group in window
        ]
        for one in (1, 0, -1):
            directed = [group for group in window if group[0].direction == one]
            tally = orders.tally(one)
            assert tally.orders == len(directed)
            assert tally.units == sum(fill.units for group in directed for fill in group)
            assert tally.paid == sum(fill.units * fill.price for group in directed for fill in group)


def test_decay_over_a_long_time_is_nothing() -> None:
    orders = orders_of(Fill(at_ns=0, event_ns=0))
    up, down, number = orders.decayed(600 * NS_PER_S, 0.1, FlowWeight.ORDERS)
    assert (up, down, number) == (0.0, 0.0, 0.0)
    assert isclose(orders.decayed(600 * NS_PER_S, 600.0, FlowWeight.ORDERS)[0], 0.5)
