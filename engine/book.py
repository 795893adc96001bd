"""The order book of one market, held once for both of its tokens.

The venue runs one book and shows it twice: an ask of one token at ``p`` is a bid for the other at ``1 − p``, for the
same size. So an ask is kept as the other token's bid, and the whole book is two ladders of bids. Applying only Up's
messages, only Down's or both gives the same book. A level is set to an absolute size, so hearing of it twice changes
nothing.

Prices and sizes are integer ticks and micro-shares; reads are in Up's prices unless an outcome is named.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from math import exp
from typing import Final

from msgspec import Struct

from engine.events import BookSnapshot, Level, LevelChange
from engine.markets import Market, Outcome, Side
from engine.mirror import MirrorGuard, Top
from engine.signals import BookState
from engine.units import PRICE_SCALE, SIZE_SCALE

MICRO_SHARE: Final = 1 / SIZE_SCALE


class MirroredChange(Struct, gc=False):
    """A message in which both tokens' entries name one level alike.

    Receipt in epoch ns; whether the level is a bid of Up or of Down; its price in ticks and its shares, 0 for none; and
    the best bids of Up and of Down that were stated with it, in ticks and not crossed. One waits for every message: the
    garbage collector would look at tuples again and again, and the more markets, the more of them.
    """

    at_ns: int
    of_up: bool
    price: int
    shares: float
    up_bid: int
    down_bid: int


class _Ladder:
    """The bids of one token: sizes by price, and the occupied prices ascending.

    The best price comes last, so a change moves only the levels that are better than it: next to nothing at the touch,
    where the changes are. At most ``PRICE_SCALE − 1`` prices exist.

    Sizes are kept in shares, as the doubles they were read as. A double holds every size the venue knows to less than
    half a micro-share, so what is read of them is exact, and rounding is done for the few levels that are read.
    """

    __slots__ = ("_near", "_pressed", "_pressure", "best", "prices", "sizes")

    def __init__(self) -> None:
        self.replace({})

    def size(self, price: int | None) -> int:
        """Micro-shares."""
        return 0 if price is None else round(self.sizes.get(price, 0.0) * SIZE_SCALE)

    def replace(self, sizes: dict[int, float]) -> None:
        """``sizes`` are above 0 and become the ladder's own."""
        self.sizes = sizes
        self.prices = prices = sorted(sizes)
        self.best = prices[-1] if prices else None
        self._near, self._pressed, self._pressure = 0, (0, 0, 0.0), 0.0

    def put(self, price: int, shares: float) -> None:
        """``price`` lies inside (0, ``PRICE_SCALE``); 0 shares remove the level."""
        sizes = self.sizes
        if price >= self._near:
            self._near = 0
        if shares >= MICRO_SHARE or round(shares * SIZE_SCALE):
            if price not in sizes:
                insort(self.prices, price)
                self.best = self.prices[-1]
            sizes[price] = shares
        elif sizes.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]
            self.best = self.prices[-1] if sizes else None

    @property
    def top(self) -> Level | None:
        return None if self.best is None else (self.best, self.size(self.best))

    def walk(self) -> Iterator[Level]:
        return ((price, round(self.sizes[price] * SIZE_SCALE)) for price in reversed(self.prices))

    def pressure(self, within_ticks: int, tick: int, decay: float) -> float:
        """Remembered until something near the touch changes: most changes are of the other side, or farther away."""
        best = self.best
        if best is None:
            return 0.0
        if not self._near or self._pressed != (within_ticks, tick, decay):
            self._near, self._pressed = best - within_ticks * tick, (within_ticks, tick, decay)
            sizes, fading, total = self.sizes, -decay / tick, 0.0
            for price in reversed(self.prices):
                if price < self._near:
                    break
                total += sizes[price] * exp(fading * (best - price))
            self._pressure = total
        return self._pressure


def _opposite(price: int | None) -> int | None:
    return None if price is None else PRICE_SCALE - price


def _best_bids(outcome: Outcome, top: Top) -> Top:
    """Of Up and of Down, as a token's top states them."""
    own, other = top[0], _opposite(top[1])
    return (own, other) if outcome is Outcome.UP else (other, own)


class Book:
    """The level-2 book of one market.

    Levels count from the first snapshot on; what changes before it is not a book. The top that the venue states is
    believed at once, with or without a snapshot, because every message states it anew.
    """

    __slots__ = ("_down", "_mirror", "_stated_down", "_stated_up", "_synced", "_tick", "_up")

    def __init__(self, market: Market) -> None:
        self._up = _Ladder()
        self._down = _Ladder()
        self._tick = market.tick
        self._synced = False
        # The best bids of Up and of Down as stated last: like everything else here, an ask is the other one's bid.
        self._stated_up: int | None = None
        self._stated_down: int | None = None
        self._mirror = MirrorGuard()

    def snapshot(self, event: BookSnapshot, outcome: Outcome) -> None:
        """Replace the whole book by what ``outcome``'s token shows, and take over its tick if it names one.

        Levels come in any order; of two at one price the later counts, and one of size 0 or outside (0, 1) is absent.
        """
        if event.tick is not None:
            self.tick_size(event.tick)
        own, other = self._ladders(outcome)
        self.replace(outcome, *ladders_of(event))
        self.compare(outcome, own.best, other.best)

    def replace(self, outcome: Outcome, bids: dict[int, float], opposite: dict[int, float]) -> None:
        """Replace the levels by the bids of a token and those of the other one, which are its own asks at 1 − p.

        Shares above 0 by price in ticks inside (0, ``PRICE_SCALE``); the book keeps the dictionaries.
        """
        own, other = self._ladders(outcome)
        own.replace(bids)
        other.replace(opposite)
        self._synced = True
        self.restate()

    def restate(self) -> None:
        """The best levels are what the venue says they are."""
        self._stated_up, self._stated_down = self._up.best, self._down.best

    def compare(self, outcome: Outcome, bid: int | None, opposite: int | None) -> None:
        """Hold a token's best bid, and its best ask as the other token's bid, against what that one shows."""
        self._mirror.state(outcome, (bid, _opposite(opposite)))

    def has_tops(self, outcome: Outcome, bid: Level | None, opposite: Level | None) -> bool:
        """Whether these are a token's best bid and, as the other token's bid, its best ask; ``None`` for none."""
        own, other = self._ladders(outcome)
        return own.top == bid and other.top == opposite

    def change(self, changes: Iterable[tuple[LevelChange, Outcome]]) -> None:
        """Apply all entries of one message, then take over the top it states.

        A message that states no top at all (the oldest recordings) leaves the top of the levels.
        """
        stated: dict[Outcome, Top] = {}
        for change, outcome in changes:
            if self._synced:
                self._place(change, outcome)
            if change.best_bid is not None or change.best_ask is not None:
                stated[outcome] = (change.best_bid, change.best_ask)
        if len(stated) > 1:
            self._mirror.forget_half()
        for outcome, top in stated.items():
            self._mirror.state(outcome, top)
        said = Outcome.UP if Outcome.UP in stated else Outcome.DOWN
        self._stated_up, self._stated_down = (
            _best_bids(said, stated[said]) if stated else (self._up.best, self._down.best)
        )

    def set_levels(self, changes: Sequence[MirroredChange], unsound_since_ns: int | None) -> int | None:
        """Apply messages in each of which both tokens' entries name one level alike, as ``change`` would each of them.

        The answer is since when the book is not ``sound``, ``None`` if it is; ``unsound_since_ns`` is the same before.
        """
        up, down, synced = self._up, self._down, self._synced
        for change in changes:
            if synced:
                (up if change.of_up else down).put(change.price, change.shares)
            if synced and change.up_bid == up.best and change.down_bid == down.best:
                unsound_since_ns = None
            elif unsound_since_ns is None:
                unsound_since_ns = change.at_ns
        if changes:
            self._stated_up, self._stated_down = changes[-1].up_bid, changes[-1].down_bid
            self._mirror.agreements += len(changes)
        return unsound_since_ns

    def agreed(self, times: int) -> None:
        """Both tokens stated the same top that many times in messages that have been overtaken since."""
        self._mirror.agreements += times

    def top(self, outcome: Outcome, best_bid: int | None, best_ask: int | None) -> None:
        """Take over the top that the venue states for one token, in that token's prices."""
        self._mirror.state(outcome, (best_bid, best_ask))
        self._stated_up, self._stated_down = _best_bids(outcome, (best_bid, best_ask))

    def tick_size(self, tick: int) -> bool:
        """Set the price step; ``True`` if it really changed, and then the book is dropped until the next snapshot.

        The venue announces each change up to four times. A step outside (0, 1) USDC is not one and changes nothing.
        """
        if tick == self._tick or not 0 < tick < PRICE_SCALE:
            return False
        self._tick = tick
        self.invalidate()
        return True

    def invalidate(self) -> None:
        """Drop everything the venue said of levels and tops: after a gap nothing of it can be trusted."""
        self.drop_levels()
        self._mirror.forget_half()

    def drop_levels(self) -> None:
        """There is no book until the next snapshot; what the tokens were compared by stays."""
        self._up.replace({})
        self._down.replace({})
        self._synced = False
        self._stated_up = self._stated_down = None

    @property
    def state(self) -> BookState:
        """Whether the levels may be read. A locked book (bid equal to ask) is ``CROSSED`` too."""
        if not self._synced:
            return BookState.UNSYNCED
        bid, ask = self.best_bid, self.best_ask
        if bid is None or ask is None:
            return BookState.EMPTY if bid is ask else BookState.ONE_SIDED
        return BookState.CLEAN if bid < ask else BookState.CROSSED

    @property
    def sound(self) -> bool:
        """Whether the levels may be believed: known, not crossed, and as the top stated last has them.

        At odds with that top for a moment is the order of arrival, for long it is a lost change.
        """
        up, down = self._up.best, self._down.best
        if not self._synced or self._stated_up != up or self._stated_down != down:
            return False
        return up is None or down is None or up + down < PRICE_SCALE

    @property
    def tick(self) -> int:
        """The price step, in ticks of 0.0001."""
        return self._tick

    @property
    def best_bid(self) -> int | None:
        """Up's best bid by the levels, in ticks; ``None`` when there is none."""
        return self._up.best

    @property
    def best_ask(self) -> int | None:
        """Up's best ask by the levels, in ticks; ``None`` when there is none."""
        return _opposite(self._down.best)

    @property
    def best_bid_size(self) -> int:
        """Micro-shares at the best bid of the levels, 0 when there is none."""
        return self._up.size(self._up.best)

    @property
    def best_ask_size(self) -> int:
        """Micro-shares at the best ask of the levels, 0 when there is none."""
        return self._down.size(self._down.best)

    @property
    def mirror_sum_off(self) -> bool:
        """Whether the two tokens, as stated, are not complements: the median of their summed mids is off 1 ± 0.05.

        Needs a few samples (one per restatement of both tokens) before it accuses anyone.
        """
        return self._mirror.off

    def quote(self) -> tuple[int, int, int, int] | None:
        """Up's ``(bid, ask, bid size, ask size)`` from the latest statement or snapshot (signal definitions 2.3).

        ``None`` unless 0 < bid < ask < 1. Both sizes are 0 unless the levels know both.
        """
        up, down = self._stated_up, self._stated_down
        if up is None or down is None or up <= 0 or down <= 0 or up + down >= PRICE_SCALE:
            return None
        bid_size, ask_size = self._up.size(up), self._down.size(down)
        return (up, PRICE_SCALE - down, *((bid_size, ask_size) if bid_size and ask_size else (0, 0)))

    def depth(self, levels: int) -> tuple[float, float]:
        """Shares in the first ``levels`` occupied levels of Up's bids and asks."""
        if levels <= 0:
            return 0.0, 0.0
        up, down = self._up, self._down
        return (
            sum(map(up.sizes.__getitem__, up.prices[-levels:])),
            sum(map(down.sizes.__getitem__, down.prices[-levels:])),
        )

    def pressure(self, within_ticks: int, decay: float) -> tuple[float, float]:
        """``(B, A)`` of signal definitions 2.7: Σ size·exp(−decay·k) over levels up to ``within_ticks`` from the touch.

        ``k`` is the distance from the own side's touch in steps of the market's tick, sizes are shares; the definition
        takes 5 ticks and a decay of ½. Meaningless unless ``state`` is ``CLEAN``.
        """
        return (
            self._up.pressure(within_ticks, self._tick, decay),
            self._down.pressure(within_ticks, self._tick, decay),
        )

    def levels(self, outcome: Outcome) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """``(bids, asks)`` of one token in its own prices, best first."""
        own, other = self._ladders(outcome)
        return tuple(own.walk()), tuple((PRICE_SCALE - price, size) for price, size in other.walk())

    def _ladders(self, outcome: Outcome) -> tuple[_Ladder, _Ladder]:
        return (self._up, self._down) if outcome is Outcome.UP else (self._down, self._up)

    def _place(self, change: LevelChange, outcome: Outcome) -> None:
        is_bid = change.side is Side.BUY
        ladder = self._up if (outcome is Outcome.UP) is is_bid else self._down
        price = change.price if is_bid else PRICE_SCALE - change.price
        if 0 < price < PRICE_SCALE:
            ladder.put(price, change.size / SIZE_SCALE)


def ladders_of(event: BookSnapshot) -> tuple[dict[int, float], dict[int, float]]:
    """Shares by price in ticks: a token's bids, and its asks as bids of the other one."""
    return _in_shares(event.bids), _in_shares([(PRICE_SCALE - price, size) for price, size in event.asks])


def _in_shares(levels: Iterable[Level]) -> dict[int, float]:
    return {price: size / SIZE_SCALE for price, size in levels if size > 0 and 0 < price < PRICE_SCALE}
