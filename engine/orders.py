"""Taker orders of the window, put together from the fills they were printed as (signal-definitions 2.5).

Fills of one transaction in one YES direction are one order. Fills without a transaction hash are one order when they
fall into the same 50 ms of the venue's time: cells of a fixed grid, so that neither the order of arrival nor the start
of the window moves their bounds. Selling Down is buying Up, so the direction stands for side and token together, and a
complemented fill stays with its order.

An order belongs to the window that received its first fill, with all its fills. Sums are integers, hence exact.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct

from engine.units import NS_PER_MS, to_seconds

BURST_NS: Final = 50 * NS_PER_MS


class FlowWeight(StrEnum):
    """What one order counts in the flow. ``SHARES`` and ``USD`` leak the price level into it."""

    ORDERS = "orders"
    SHARES = "shares"
    USD = "usd"


_COLUMNS: Final = {FlowWeight.ORDERS: 0, FlowWeight.SHARES: 1, FlowWeight.USD: 2}


class TakerOrder(Struct, kw_only=True, gc=False):
    """One taker order: receipt of its first fill, its earliest venue time, and the sums of its fills.

    ``direction`` is +1 toward Up, −1 away from it, 0 unknown. ``units`` are micro-shares; ``paid`` is Σ price × size as
    traded and ``up_notional`` the same at YES-equivalent prices, in ticks × micro-shares.
    """

    key: tuple[str | int, int]
    at_ns: int
    event_ns: int
    direction: int
    units: int = 0
    paid: int = 0
    up_notional: int = 0

    def weigh(self, weight: FlowWeight) -> int:
        """What the order counts under ``weight``."""
        return (1, self.units, self.paid)[_COLUMNS[weight]]


class Tally(Struct):
    """How many orders, micro-shares and ticks × micro-shares there are in one direction."""

    orders: int = 0
    units: int = 0
    paid: int = 0

    def weigh(self, weight: FlowWeight) -> int:
        """The sum that ``weight`` stands for."""
        return (self.orders, self.units, self.paid)[_COLUMNS[weight]]


class Orders:
    """The taker orders of a window of ``window_ns``, oldest first."""

    __slots__ = ("_joinable", "_orders", "_tallies", "_window_ns")

    def __init__(self, *, window_ns: int) -> None:
        self._window_ns = window_ns
        self._orders: deque[TakerOrder] = deque()
        self._joinable: dict[tuple[str | int, int], TakerOrder] = {}
        self._tallies = {direction: Tally() for direction in (+1, 0, -1)}

    def add(
        self,
        at_ns: int,
        event_ns: int,
        *,
        direction: int,
        units: int,
        price: int,
        yes_price: int,
        transaction_hash: str | None,
    ) -> TakerOrder:
        """Add one fill received at ``at_ns``, not before the last one; the order that it is of, with it.

        Prices in ticks, ``units`` in micro-shares.
        """
        order = self._order_of(at_ns, event_ns, direction, transaction_hash)
        order.event_ns = min(order.event_ns, event_ns)
        paid = price * units
        order.units += units
        order.paid += paid
        order.up_notional += yes_price * units
        tally = self._tallies[direction]
        tally.units += units
        tally.paid += paid
        return order

    def evict(self, start_ns: int) -> list[TakerOrder]:
        """Drop the orders first received before ``start_ns`` and return them, oldest first."""
        orders, joinable, dropped = self._orders, self._joinable, []
        while orders and orders[0].at_ns < start_ns:
            order = orders.popleft()
            dropped.append(order)
            tally = self._tallies[order.direction]
            tally.orders -= 1
            tally.units -= order.units
            tally.paid -= order.paid
            if joinable.get(order.key) is order:
                del joinable[order.key]
        return dropped

    def tally(self, direction: int) -> Tally:
        """What the window holds in ``direction`` (+1, 0, −1); for reading."""
        return self._tallies[direction]

    def decayed(self, end_ns: int, half_life_s: float, weight: FlowWeight) -> tuple[float, float, float]:
        """Weight toward Up, weight away from it and number of directed orders, each halved every ``half_life_s``.

        Costs a pass over the window. The sums are correctly rounded, so the order of arrival does not show.
        """
        directed = [order for order in self._orders if order.direction]
        decays = [2.0 ** -(max(0.0, to_seconds(end_ns - order.event_ns)) / half_life_s) for order in directed]
        signed = [order.direction * order.weigh(weight) * decay for order, decay in zip(directed, decays, strict=True)]
        up = math.fsum(value for value in signed if value > 0)
        down = math.fsum(-value for value in signed if value < 0)
        return up, down, math.fsum(decays)

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[TakerOrder]:
        return iter(self._orders)

    def _order_of(self, at_ns: int, event_ns: int, direction: int, transaction_hash: str | None) -> TakerOrder:
        key = (event_ns // BURST_NS if transaction_hash is None else transaction_hash, direction)
        order = self._joinable.get(key)
        # The age is asked for here and not left to evict(), so that how often that is called changes nothing.
        if order is None or order.at_ns < at_ns - self._window_ns:
            order = TakerOrder(key=key, at_ns=at_ns, event_ns=event_ns, direction=direction)
            self._joinable[key] = order
            self._orders.append(order)
            self._tallies[direction].orders += 1
        return order
