"""Whole markets, one by one or many at a time; market ``n`` of a design is the same whichever way it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from math import ceil
from typing import Final

import numpy as np
from attrs import fields, frozen

from actors.simulate.design import Design
from actors.simulate.paths import Flags, Floats, Integers, bids, fair_prices, spot_path
from actors.simulate.takers import Trades, roll, trade
from engine.markets import Outcome
from engine.series import Slot
from engine.units import NS_PER_S

BATCH: Final = 500
"""Markets worked on at a time: a few dozen megabytes."""


@frozen(kw_only=True, eq=False)
class SimulatedMarket:
    """Market ``number`` of a design, in the calendar's ``slot``.

    ``fair`` is what Up is worth at seconds 0..T, the last one being the outcome. ``bid`` is Up's best bid at seconds
    0..T − 1, in ticks; each quote holds from its second until the next.
    """

    design: Design
    number: int
    slot: Slot
    fair: Floats
    bid: Integers
    trades: Trades

    @property
    def ask(self) -> Integers:
        """Up's best ask at seconds 0..T − 1, in ticks."""
        return self.bid + self.design.spread_steps * self.design.tick

    @property
    def outcome(self) -> Outcome:
        """Which token pays."""
        return Outcome.UP if self.fair[-1] else Outcome.DOWN


@frozen(kw_only=True, eq=False)
class Batch:
    """Markets of one design as arrays with a market in every row."""

    design: Design
    fair: Floats
    bid: Integers
    trades: Trades

    @classmethod
    def of(cls, markets: Sequence[SimulatedMarket]) -> Batch:
        """At least one market, all of one design."""
        columns = {
            each.name: np.stack([getattr(market.trades, each.name) for market in markets]) for each in fields(Trades)
        }
        return cls(
            design=markets[0].design,
            fair=np.stack([market.fair for market in markets]),
            bid=np.stack([market.bid for market in markets]),
            trades=Trades(**columns),
        )

    @property
    def up_won(self) -> Flags:
        """Whether Up pays."""
        return self.fair[:, -1] > 0.0

    def quotes_before(self, at_s: float) -> tuple[Integers, Integers]:
        """Up's bid and ask in ticks as last stated before a moment; a quote stated at that very moment is too late."""
        bid = self.bid[:, self._second_before(at_s)]
        return bid, bid + self.design.spread_steps * self.design.tick

    def fair_before(self, at_s: float) -> Floats:
        """What Up was worth when its price was last stated before a moment."""
        return self.fair[:, self._second_before(at_s)]

    def _second_before(self, at_s: float) -> int:
        if not 0 <= at_s <= self.design.seconds:
            raise ValueError(f"a moment of the market is 0..{self.design.seconds} s from its start, not {at_s:g}")
        return max(ceil(at_s) - 1, 0)


def simulate(design: Design, markets: int, *, first: int = 0) -> Iterator[SimulatedMarket]:
    """``markets`` markets from number ``first`` on, each in the slot after the one before."""
    slot = slot_number(design, first)
    for number in range(first, first + markets):
        yield _market(design, number, slot)
        slot = design.calendar.next(slot)


def market_number(design: Design, number: int) -> SimulatedMarket:
    """One market, numbered from 0."""
    return _market(design, number, slot_number(design, number))


def batches(design: Design, markets: int, *, first: int = 0, size: int = BATCH) -> Iterator[Batch]:
    """The same markets as ``simulate``, ``size`` at a time."""
    coming = simulate(design, markets, first=first)
    while some := list(islice(coming, size)):
        yield Batch.of(some)


def slot_number(design: Design, number: int) -> Slot:
    """The slot of market ``number``: slots of these series are of one length and follow each other."""
    return design.calendar.slot_at((design.starts_s + number * design.seconds) * NS_PER_S)


def _market(design: Design, number: int, slot: Slot) -> SimulatedMarket:
    random = np.random.default_rng((design.seed, number))
    fair = fair_prices(spot_path(random, design.seconds))
    bid = bids(fair[:-1], design.tick, design.spread_steps)
    dice = roll(random, design.seconds, design.trades)
    return SimulatedMarket(
        design=design,
        number=number,
        slot=slot,
        fair=fair,
        bid=bid,
        trades=trade(design, dice, fair, bid),
    )
