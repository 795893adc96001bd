"""Who trades: takers at even random moments, on a random token, at the quoted price, in log-normal sizes.

They are noise. The informed among them know what Up will be worth a while later and choose the token that gains by it;
when, how much, and whether by buying or by selling, they trade like all others.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import frozen
from numpy.random import Generator

from actors.simulate.design import Design, Habit
from actors.simulate.paths import Flags, Floats, Integers
from engine.units import NS_PER_S, PRICE_SCALE, SIZE_SCALE

LEAST_UNITS: Final = SIZE_SCALE // 100
MOST_UNITS: Final = 100_000_000 * SIZE_SCALE
"""Orders are a hundredth of a share to a hundred million; sums of a window's sizes then are exact as floats, too."""


@frozen(kw_only=True, eq=False)
class Trades:
    """Trades, oldest first along the last axis, one market or (with two axes) one market a row.

    ``at_ns`` is nanoseconds since the start of the market, ``price`` the token's own in ticks, ``units`` micro-shares.
    """

    at_ns: Integers
    is_up: Flags
    is_buy: Flags
    price: Integers
    units: Integers

    @property
    def yes_price(self) -> Integers:
        """The same as prices of Up, in ticks."""
        return np.where(self.is_up, self.price, PRICE_SCALE - self.price)

    @property
    def direction(self) -> Integers:
        """+1 where the taker is for Up (buys Up or sells Down), −1 where he is against it."""
        return np.where(self.is_up == self.is_buy, 1, -1)


@frozen(kw_only=True, eq=False)
class Dice:
    """The random numbers behind a market's trades; they do not depend on what takers know or how they size."""

    at_ns: Integers
    token: Floats
    side: Floats
    informed: Floats
    size: Floats


def roll(random: Generator, seconds: int, trades: int) -> Dice:
    """The dice of ``trades`` trades: moments, uniform numbers for all choices, standard normal ones for the size."""
    return Dice(
        at_ns=np.sort(random.integers(0, seconds * NS_PER_S, trades)),
        token=random.random(trades),
        side=random.random(trades),
        informed=random.random(trades),
        size=random.standard_normal(trades),
    )


def trade(design: Design, dice: Dice, fair: Floats, bid: Integers) -> Trades:
    """The trades of one market with the given fair prices (seconds 0..T) and bids of Up (seconds 0..T − 1)."""
    second = dice.at_ns // NS_PER_S
    is_buy = dice.side < design.buyers
    is_up = np.where(_informed(design, dice, fair), _rises(design, second, fair) == is_buy, dice.token < 0.5)
    price = _price(is_up, is_buy, bid[second], bid[second] + design.spread_steps * design.tick)
    return Trades(at_ns=dice.at_ns, is_up=is_up, is_buy=is_buy, price=price, units=_units(design, dice.size, price))


def _informed(design: Design, dice: Dice, fair: Floats) -> Flags:
    """Who trades on knowledge: one who sees that the price will not change at all has none."""
    second = dice.at_ns // NS_PER_S
    told: Flags = (dice.informed < design.rho) & (fair[_ahead(design, second)] != fair[second])
    return told


def _rises(design: Design, second: Integers, fair: Floats) -> Flags:
    return fair[_ahead(design, second)] > fair[second]


def _ahead(design: Design, second: Integers) -> Integers:
    return np.minimum(second + design.foresight_s, design.seconds)


def _price(is_up: Flags, is_buy: Flags, bid: Integers, ask: Integers) -> Integers:
    """The ask of the taker's token for a buyer, its bid for a seller; Down's quotes are Up's in a mirror."""
    up = np.where(is_buy, ask, bid)
    down = PRICE_SCALE - np.where(is_buy, bid, ask)
    return np.where(is_up, up, down)


def _units(design: Design, size: Floats, price: Integers) -> Integers:
    shares = np.exp(design.sigma * size) * design.median_shares
    if design.habit is Habit.USD:
        shares = np.exp(design.sigma * size) * design.median_usd * PRICE_SCALE / price
    return np.clip((shares * SIZE_SCALE).astype(np.int64), LEAST_UNITS, MOST_UNITS)
