"""The trades of one market inside a rolling window, with running sums.

Everything is an integer and every sum is added to and evicted from, so the facts are exact for ever and reading them
costs nothing. Membership goes by the time of receipt alone.

The venue numbers nothing, so a repeated print is known by its content (signal definitions 2.2). With a transaction hash
the content is unique at any time. Without one, two equal fills in one millisecond are two fills, and only a reconnect
(a *seam*) can repeat them: after it, the n-th of some equal prints is a repeat if an earlier session had n of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from engine.events import Trade
from engine.markets import Outcome, Side
from engine.units import NS_PER_MS, NS_PER_S, PRICE_SCALE, SIZE_SCALE

WHALE_UNITS: Final = 1000 * SIZE_SCALE
"""A trade is a whale if it is larger than this, strictly (signal definitions, part 1)."""

REPEAT_MEMORY_NS: Final = 60 * NS_PER_S
"""How long a print is still recognised after it left the window."""

LATENESS_MS: Final = 1000
CLOCK_TOLERANCE_NS: Final = 10 * NS_PER_S
"""A venue stamp further ahead of the time of receipt says nothing about how new the others are."""

_UP: Final = Outcome.UP

_DIRECTIONS: Final[dict[tuple[Outcome, Side | None], int]] = {
    (Outcome.UP, Side.BUY): +1,
    (Outcome.UP, Side.SELL): -1,
    (Outcome.UP, None): 0,
    (Outcome.DOWN, Side.BUY): -1,
    (Outcome.DOWN, Side.SELL): +1,
    (Outcome.DOWN, None): 0,
}

_NONE: Final[tuple[Outcome, ...]] = ()
_ALONE: Final[dict[Outcome, tuple[Outcome, ...]]] = {outcome: (outcome,) for outcome in Outcome}


class WindowTrade(Struct, frozen=True, kw_only=True, gc=False):
    """One taker order in the window.

    ``price`` (ticks) is the token's own and ``yes_price`` the same as a price of Up; ``direction`` is +1 toward Up, −1
    away from it, 0 when the venue did not say. ``size`` is in micro-shares. ``at_ns`` is the receipt, ``venue_ms`` the
    venue's stamp (0: none).
    """

    at_ns: int
    venue_ms: int
    outcome: Outcome
    side: Side | None
    price: int
    size: int
    yes_price: int
    direction: int
    transaction_hash: str | None


_NO_TRADES: Final[deque[WindowTrade]] = deque(maxlen=0)
_NO_PRICES: Final[deque[int]] = deque(maxlen=0)


def _window_trade(trade: Trade, outcome: Outcome, at_ns: int) -> WindowTrade:
    return WindowTrade(
        at_ns=at_ns,
        venue_ms=trade.venue_ms,
        outcome=outcome,
        side=trade.side,
        price=trade.price,
        size=trade.size,
        yes_price=trade.price if outcome is Outcome.UP else PRICE_SCALE - trade.price,
        direction=_DIRECTIONS[outcome, trade.side],
        transaction_hash=trade.transaction_hash,
    )


class _HashedPrints:
    """Prints with a transaction hash, known by what they are worth to Up, so that both tokens' prints meet.

    Of one content, token and side follow from each other: the same token again is a repeat, the other a mirror.
    """

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: dict[tuple[str | None, int, int, int], tuple[Outcome, ...]] = {}

    @staticmethod
    def _key(trade: WindowTrade) -> tuple[str | None, int, int, int]:
        return trade.transaction_hash, trade.yes_price, trade.direction, trade.size

    def tokens_before(self, trade: WindowTrade) -> tuple[Outcome, ...]:
        """Which tokens printed this before, in order; from now on this one did too."""
        key = self._key(trade)
        before = self._tokens.get(key)
        if before is None:
            self._tokens[key] = _ALONE[trade.outcome]
            return _NONE
        if trade.outcome not in before:
            self._tokens[key] = before + _ALONE[trade.outcome]
        return before

    def forget(self, trade: WindowTrade) -> None:
        self._tokens.pop(self._key(trade), None)


_FillKey = tuple[Outcome, Side | None, int, int, int]


class _Fills:
    """How many prints of one content the current session has had, and how many an earlier one."""

    __slots__ = ("at_ns", "earlier", "now", "session")

    def __init__(self, at_ns: int, session: int) -> None:
        self.at_ns = at_ns
        self.session = session
        self.earlier = 0
        self.now = 0


class _PlainPrints:
    """Prints without a transaction hash, counted by content within each session."""

    __slots__ = ("_fills", "_session")

    def __init__(self) -> None:
        self._fills: dict[_FillKey, _Fills] = {}
        self._session = 0

    @staticmethod
    def _key(trade: WindowTrade) -> _FillKey:
        return trade.outcome, trade.side, trade.price, trade.size, trade.venue_ms

    def seam(self) -> None:
        self._session += 1

    def is_repeat(self, trade: WindowTrade) -> bool:
        """Whether an earlier session had this print; it is counted for this session in any case."""
        if not trade.venue_ms:
            return False
        key = self._key(trade)
        fills = self._fills.get(key)
        if fills is None:
            fills = self._fills[key] = _Fills(trade.at_ns, self._session)
        if fills.session != self._session:
            fills.earlier, fills.now, fills.session = max(fills.earlier, fills.now), 0, self._session
        fills.now += 1
        return fills.now <= fills.earlier

    def forget(self, trade: WindowTrade) -> None:
        key = self._key(trade)
        fills = self._fills.get(key)
        if fills is not None and fills.at_ns <= trade.at_ns:
            del self._fills[key]


class TradeWindow:
    """The trades received since the last ``evict`` start, oldest first.

    Public attributes are for reading. Of the window: ``yes_units``/``no_units`` are micro-shares by token whatever the
    side, ``notional`` is Σ price × size in ticks × micro-shares, ``whales_yes``/``whales_no`` count trades of more than
    1,000 shares. Since the beginning: ``duplicates`` counts dropped repeats, ``mirrored`` dropped prints of a trade
    under its other token, ``late`` trades stamped over a second before the newest stamp seen.
    """

    __slots__ = (
        "_hashed",
        "_newest_ms",
        "_plain",
        "_remembered",
        "_trades",
        "_yes_prices",
        "duplicates",
        "late",
        "mirrored",
        "no_units",
        "notional",
        "whales_no",
        "whales_yes",
        "yes_units",
    )

    def __init__(self) -> None:
        # An empty deque has room for 64 members, and many a market trades seldom: there are none until something is in.
        self._trades = _NO_TRADES
        self._remembered = _NO_TRADES
        self._yes_prices = _NO_PRICES
        self._hashed = _HashedPrints()
        self._plain = _PlainPrints()
        self._newest_ms = 0
        self.yes_units = 0
        self.no_units = 0
        self.notional = 0
        self.whales_yes = 0
        self.whales_no = 0
        self.duplicates = 0
        self.mirrored = 0
        self.late = 0

    def add(self, trade: Trade, outcome: Outcome, at_ns: int) -> WindowTrade | None:
        """Take in a print received at ``at_ns``; ``None``, and counted, when it repeats one that is known.

        A print with neither a hash nor a stamp of the venue cannot be told from another and is never a repeat.
        """
        added = _window_trade(trade, outcome, at_ns)
        if self._is_known(added):
            return None
        self._note_lateness(added.venue_ms, at_ns)
        self._trades = self._trades or deque()
        self._trades.append(added)
        if outcome is _UP:
            self._yes_prices = self._yes_prices or deque()
            self._yes_prices.append(added.price)
        self._count(added, +1)
        return added

    def evict(self, start_ns: int) -> None:
        """Drop the trades received before ``start_ns``, and forget those received long before it."""
        trades = self._trades
        remembered = self._remembered = self._remembered or (deque() if trades else _NO_TRADES)
        while trades and trades[0].at_ns < start_ns:
            dropped = trades.popleft()
            if dropped.outcome is _UP:
                self._yes_prices.popleft()
            self._count(dropped, -1)
            remembered.append(dropped)
        while remembered and remembered[0].at_ns < start_ns - REPEAT_MEMORY_NS:
            forgotten = remembered.popleft()
            prints = self._hashed if forgotten.transaction_hash is not None else self._plain
            prints.forget(forgotten)

    def seam(self) -> None:
        """A reconnect: what follows may repeat what came before."""
        self._plain.seam()

    @property
    def count(self) -> int:
        """Trades of both tokens in the window."""
        return len(self._trades)

    @property
    def yes_count(self) -> int:
        """Trades of the Up token in the window."""
        return len(self._yes_prices)

    @property
    def first_yes(self) -> int | None:
        """Price in ticks of the Up trade received first, ``None`` when the window has none."""
        return self._yes_prices[0] if self._yes_prices else None

    @property
    def last_yes(self) -> int | None:
        """Price in ticks of the Up trade received last, ``None`` when the window has none."""
        return self._yes_prices[-1] if self._yes_prices else None

    def __len__(self) -> int:
        return len(self._trades)

    def __iter__(self) -> Iterator[WindowTrade]:
        return iter(self._trades)

    def _is_known(self, trade: WindowTrade) -> bool:
        if trade.transaction_hash is None:
            repeated = self._plain.is_repeat(trade)
            self.duplicates += repeated
            return repeated
        tokens = self._hashed.tokens_before(trade)
        if not tokens:
            return False
        repeated = trade.outcome in tokens
        self.duplicates += repeated
        self.mirrored += not repeated
        return True

    def _note_lateness(self, venue_ms: int, at_ns: int) -> None:
        if venue_ms > self._newest_ms:
            if venue_ms * NS_PER_MS <= at_ns + CLOCK_TOLERANCE_NS:
                self._newest_ms = venue_ms
        elif 0 < venue_ms < self._newest_ms - LATENESS_MS:
            self.late += 1

    def _count(self, trade: WindowTrade, sign: int) -> None:
        size = trade.size
        whale = sign if size > WHALE_UNITS else 0
        if trade.outcome is _UP:
            self.yes_units += sign * size
            self.whales_yes += whale
        else:
            self.no_units += sign * size
            self.whales_no += whale
        self.notional += sign * trade.price * size
