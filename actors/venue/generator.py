"""The order flow of one generated market: a pure function of seed and slug, whoever listens and since when.

Time is cut into blocks. A block starts from a book that follows from the fair price at its start alone, runs on its own
random numbers, and spends its last moments returning every level to the book the next block starts from. So a listener
may join at any moment at the cost of one block, and always meets the same orders and trades.

What it resembles (hour-long recordings of BTC and ETH windows, 2026, and recorded 5-minute books of April 2026): about
nine of ten messages set a level and one in thirty is a trade, each followed by the books of both tokens; all prices of
the 0.01 grid hold orders, with walls near 0 and 1; the spread is one or two steps; 16 % of the trades are micro trades
of 0.02 shares, a few in a thousand are above 1,000 shares, the others log-normal around 12 shares; the grid turns to
0.001 once the price has left [0.04, 0.96]; near the end the book becomes one-sided.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import exp
from random import Random
from typing import Final

from msgspec import Struct

from actors.venue.actions import Action, LevelSet, Retick, Take
from actors.venue.listing import Listing
from actors.venue.options import VenueOptions
from actors.venue.orderbook import Ladder, OrderBook, own_price, up_side
from actors.venue.sizes import COARSE, MICRO_UNITS, resting_units, round_units, trade_units
from actors.venue.spot import SpotPath, fair_up
from engine.markets import Outcome, Side
from engine.units import NS_PER_S, PRICE_SCALE

FINE: Final = 10
FINE_BELOW: Final = 0.04

TRADES_AMONG_ACTIONS: Final = 1 / 28
"""A trade makes three messages, so one message in thirty is a trade."""

BEHIND_STEPS: Final = 6
HURRY: Final = 4.0
"""Quotes more than six steps off fair are moved four times as fast."""

SPREADS: Final = (1, 1, 1, 1, 2, 2, 3)
BUYERS: Final = 0.75
FORESIGHT_NS: Final = 30 * NS_PER_S
QUIET_BEFORE_NS: Final = 300 * NS_PER_S
CLOSING_NS: Final = 400_000_000
FINE_LEVELS: Final = 20
BLOCKS_S: Final = (300, 60, 20, 10)
MESSAGES_PER_BLOCK: Final = 1200
RESTORING_SHARE: Final = 0.06
"""The part of the messages that restores the book at the end of a block, measured."""


_Change = tuple[Side, int, int]
"""Side in Up space, price, new size."""


class _Stance(Struct, gc=False):
    """How the makers quote at the moment: ``lean`` steps off the fair price, ``spread`` steps wide."""

    lean: float
    spread: int


def block_ns(message_rate: float) -> int:
    """The length of a block: the longest that holds no more than about 1,200 messages."""
    fits = (seconds for seconds in BLOCKS_S if seconds * message_rate <= MESSAGES_PER_BLOCK)
    return next(fits, BLOCKS_S[-1]) * NS_PER_S


class Generator:
    """Plays the market of ``listing`` from the start of the block that holds ``at_ns``, action by action.

    ``book`` is the book after the last action that ``advance`` returned.
    """

    def __init__(self, listing: Listing, path: SpotPath, options: VenueOptions, at_ns: int) -> None:
        self._listing = listing
        self._path = path
        self._options = options
        self._block_ns = block_ns(options.message_rate)
        self._base: dict[int, int] = {}
        self._fine_since: int | None = None
        self._scanned = listing.start_ns // self._block_ns
        self._behind = False
        first = at_ns // self._block_ns
        self.book = OrderBook(self._tick(first))
        self._open(first)
        self._actions = chain.from_iterable(map(self._block, _counting(first)))
        self._next = next(self._actions)

    @property
    def next_ns(self) -> int:
        """When the next action is due."""
        return self._next.at_ns

    def advance(self) -> Action:
        """Apply the next action to the book and return it."""
        action = self._next
        self._apply(action)
        self._next = next(self._actions)
        return action

    def fair(self, at_ns: int) -> float:
        """P(Up) at a time."""
        return fair_up(self._path, self._listing.start_ns, self._listing.end_ns, at_ns)

    def _apply(self, action: Action) -> None:
        book = self.book
        match action:
            case LevelSet(side=side, price=price, size=size):
                book.side(side).set(price, size)
            case Take():
                resting = book.side(up_side(action.outcome, action.side).other)
                price = own_price(action.outcome, action.price)
                resting.set(price, resting[price] - action.size)
                book.last_trade = price
            case Retick(tick=tick):
                book.tick = tick
        book.changed_ms = action.at_ns // 1_000_000

    # -- one block ---------------------------------------------------------------------------------------------------

    def _random(self, block: int) -> Random:
        return Random(f"{self._options.seed}/{self._listing.slug}/{block}")

    def _open(self, block: int) -> None:
        for side, levels in self._opening(block).items():
            for price, size in levels.items():
                self.book.side(side).set(price, size)
        self.book.changed_ms = block * self._block_ns // 1_000_000

    def _opening(self, block: int) -> dict[Side, dict[int, int]]:
        """The book every listener finds at the start of a block."""
        tick = self._tick(block)
        bid, ask = self._touch(block * self._block_ns, tick, _stance(self._random(block)))
        bids = {price: self._resting(price) for price in _below(bid, tick)}
        asks = {PRICE_SCALE - price: self._resting(PRICE_SCALE - price) for price in _below(_mirror(ask), tick)}
        return {Side.BUY: bids, Side.SELL: asks}

    def _block(self, block: int) -> Iterator[Action]:
        random = self._random(block)
        stance = _stance(random)
        self._behind = False
        start_ns = block * self._block_ns
        last_ns = start_ns + self._block_ns - CLOSING_NS
        yield from self._take(random, start_ns, MICRO_UNITS)
        for at_ns in self._times(random, start_ns, last_ns):
            if random.random() < 0.01:
                stance = _stance(random)
            yield from self._action(random, at_ns, stance)
        yield from self._close(block, last_ns)

    def _times(self, random: Random, at_ns: int, until_ns: int) -> Iterator[int]:
        """Poisson arrivals, in bursts, and faster while the quotes are far from fair."""
        options = self._options
        per_action = 1.0 + 2.0 * TRADES_AMONG_ACTIONS
        mean = self._pace(at_ns) * options.message_rate * (1.0 - RESTORING_SHARE) / per_action
        fast, share = options.burst_factor, options.burst_share
        calm = (1.0 - fast * share) / (1.0 - share)
        bursting, until = False, at_ns
        while True:
            if at_ns >= until:
                bursting = random.random() < share
                until = at_ns + int(random.expovariate(1.0) * 2 * NS_PER_S)
            pace = (fast if bursting else calm) * (HURRY if self._behind else 1.0)
            at_ns += int(random.expovariate(mean * pace) * NS_PER_S) + 1
            if at_ns >= until_ns:
                return
            yield at_ns

    def _pace(self, at_ns: int) -> float:
        listing = self._listing
        if at_ns >= listing.end_ns:
            return 0.5
        return 1.0 if at_ns >= listing.start_ns - QUIET_BEFORE_NS else 0.3

    def _action(self, random: Random, at_ns: int, stance: _Stance) -> Iterator[Action]:
        if random.random() < TRADES_AMONG_ACTIONS:
            yield from self._take(random, at_ns, trade_units(random))
            return
        moves = self._moves(*self._touch(at_ns, self.book.tick, stance))
        chosen = random.choice(moves) if moves and random.random() < 0.9 else self._noise(random)
        if chosen is not None:
            side, price, size = chosen
            yield LevelSet(at_ns, _either(random), side, price, size)

    def _moves(self, bid: int | None, ask: int | None) -> list[_Change]:
        """The steps that bring the quotes in the book nearer to ``bid`` and ``ask`` without crossing.

        One step off fair is left alone, as makers do, unless a side has to come or go.
        """
        book, tick = self.book, self.book.tick
        slack = tick if bid and ask and book.bids and book.asks else 0
        best_bid, best_ask = book.bids.best or 0, book.asks.best or PRICE_SCALE
        bid, ask = bid or 0, ask or PRICE_SCALE
        higher = _step_up(best_bid, bid, tick)
        lower = PRICE_SCALE - _step_up(PRICE_SCALE - best_ask, PRICE_SCALE - ask, tick)
        self._behind = abs(best_bid - bid) + abs(best_ask - ask) > BEHIND_STEPS * tick
        moves: list[_Change] = []
        if best_bid > bid + slack:
            moves.append((Side.BUY, best_bid, 0))
        elif best_bid < bid - slack and higher < best_ask:
            moves.append((Side.BUY, higher, self._resting(higher)))
        if best_ask < ask - slack:
            moves.append((Side.SELL, best_ask, 0))
        elif best_ask > ask + slack and lower > best_bid:
            moves.append((Side.SELL, lower, self._resting(lower)))
        return moves

    def _noise(self, random: Random) -> _Change | None:
        """A level somewhere behind the touch gets another size or goes."""
        book = self.book
        if not (book.bids or book.asks):
            return None
        side = Side.BUY if random.random() < 0.5 else Side.SELL
        side = side if book.side(side) else side.other
        ladder = book.side(side)
        steps = int(random.expovariate(1 / 6.0))
        away = steps * (book.tick if steps < FINE_LEVELS else COARSE)
        best = _best(ladder)
        price = max(best - away, book.tick) if side is Side.BUY else min(best + away, PRICE_SCALE - book.tick)
        gone = random.random() < (0.12 if price != best else 0.03)
        if gone and ladder[price] and len(ladder) > 1:
            return side, price, 0
        return side, price, round_units(self._resting(price) * exp(random.gauss(0.0, 0.5)))

    # -- trades ------------------------------------------------------------------------------------------------------

    def _take(self, random: Random, at_ns: int, units: int) -> Iterator[Action]:
        """A taker; one much larger than the touch meets an order of its size, placed just before."""
        rising = self._rising(random, at_ns)
        ladder = self.book.asks if rising else self.book.bids
        if not (self.book.bids or self.book.asks):
            return
        if not ladder:
            rising, ladder = not rising, (self.book.bids if rising else self.book.asks)
        price = _best(ladder)
        if units >= 3 * ladder[price]:
            resting = Side.SELL if rising else Side.BUY
            yield LevelSet(at_ns, _either(random), resting, price, round_units(units + self._resting(price)))
        buying = random.random() < BUYERS
        outcome = Outcome.UP if buying == rising else Outcome.DOWN
        side = Side.BUY if buying else Side.SELL
        size = min(units, ladder[price])
        yield Take(at_ns, outcome, side, own_price(outcome, price), size, f"0x{random.getrandbits(256):064x}")

    def _rising(self, random: Random, at_ns: int) -> bool:
        """Whether the taker is for Up: a coin, except for the informed, who know the fair price 30 s ahead."""
        coin = random.random() < 0.5
        if random.random() >= self._options.informed:
            return coin
        move = self.fair(at_ns + FORESIGHT_NS) - self.fair(at_ns)
        return coin if abs(move) < 0.005 else move > 0

    # -- the end of a block ------------------------------------------------------------------------------------------

    def _close(self, block: int, at_ns: int) -> Iterator[Action]:
        """Everything that turns the book into the next block's opening, removals first so that it never crosses."""
        tick = self._tick(block + 1)
        actions: list[Action] = [Retick(0, tick)] if tick != self.book.tick else []
        opening = self._opening(block + 1)
        for removing in (True, False):
            for side, levels in opening.items():
                ladder = self.book.side(side)
                changed = [(p, levels.get(p, 0)) for p in {*ladder, *levels} if ladder[p] != levels.get(p, 0)]
                changed.sort(reverse=removing == (side is Side.BUY))
                actions += [LevelSet(0, Outcome.UP, side, p, size) for p, size in changed if (size == 0) == removing]
        step = CLOSING_NS // (len(actions) + 1)
        for number, action in enumerate(actions, 1):
            due = at_ns + number * step
            if isinstance(action, LevelSet):
                yield LevelSet(due, action.outcome, action.side, action.price, action.size)
            else:
                yield Retick(due, tick)

    def _tick(self, block: int) -> int:
        """The price step in a block: fine from the first block in the window that started outside [0.04, 0.96]."""
        while self._fine_since is None and self._scanned <= block:
            fair = self.fair(self._scanned * self._block_ns)
            if not FINE_BELOW <= fair <= 1.0 - FINE_BELOW:
                self._fine_since = self._scanned
            self._scanned += 1
        return COARSE if self._fine_since is None or block < self._fine_since else FINE

    # -- quotes ------------------------------------------------------------------------------------------------------

    def _touch(self, at_ns: int, tick: int, stance: _Stance) -> tuple[int | None, int | None]:
        """The quotes the makers want at a time, ``None`` for a side nobody would quote."""
        steps = PRICE_SCALE // tick
        fair = self.fair(at_ns)
        centre = fair * steps + stance.lean * min(1.0, 8.0 * fair * (1.0 - fair))
        bid = min(max(int(centre - (stance.spread - 1) / 2), 0), steps - 1)
        ask = max(bid + stance.spread, 1)
        return (bid * tick or None), (ask * tick if ask < steps else None)

    def _resting(self, price: int) -> int:
        units = self._base.get(price)
        if units is None:
            units = self._base[price] = resting_units(self._options.seed, self._listing.slug, price)
        return units


def _counting(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


def _stance(random: Random) -> _Stance:
    return _Stance(random.gauss(0.0, 0.4), random.choice(SPREADS))


def _either(random: Random) -> Outcome:
    return Outcome.UP if random.random() < 0.5 else Outcome.DOWN


def _best(ladder: Ladder) -> int:
    best = ladder.best
    assert best is not None, "both sides of a generated book are empty"
    return best


def _mirror(price: int | None) -> int | None:
    return None if price is None else PRICE_SCALE - price


def _below(best: int | None, tick: int) -> list[int]:
    """The prices with orders from a best bid down: every cent, and every step near the touch."""
    if best is None:
        return []
    near = range(best, max(best - FINE_LEVELS * tick, 0), -tick)
    return sorted({*near, *range(COARSE, best + 1, COARSE)})


def _step_up(price: int, goal: int, tick: int) -> int:
    """The next price on the way to ``goal``: makers who follow over cents do not fill every fine step."""
    step = COARSE if goal - price > COARSE else tick
    return (price // step + 1) * step
