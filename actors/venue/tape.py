"""The tape of a generated market: actions applied to the book, and their wire texts when somebody listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from actors.venue.actions import Action, LevelSet, Retick, Take
from actors.venue.generator import Generator
from actors.venue.listing import Listing
from actors.venue.options import VenueOptions
from actors.venue.orderbook import own_price, up_side
from actors.venue.render import Message, Renderer
from actors.venue.source import TRADES_KEPT, TradePrint
from actors.venue.spot import SpotPath
from engine.markets import Outcome, Side
from engine.units import NS_PER_MS, PRICE_SCALE, SIZE_SCALE

CROSSING_UNITS = 5 * SIZE_SCALE


class GeneratedTape:
    """Meets ``Tape``. It starts with the block that holds ``at_ns``."""

    def __init__(self, listing: Listing, path: SpotPath, options: VenueOptions, at_ns: int) -> None:
        self._generator = Generator(listing, path, options, at_ns)
        self._renderer = Renderer(listing, self._generator.book, hashes=options.hashes)
        self._change_on_trade = options.price_change_on_trade
        self.trades: deque[TradePrint] = deque(maxlen=TRADES_KEPT)

    @property
    def next_ns(self) -> int | None:
        """When the next action is due; there always is one."""
        return self._generator.next_ns

    @property
    def tick(self) -> int:
        """The price step in ticks."""
        return self._generator.book.tick

    def top(self, outcome: Outcome) -> tuple[int | None, int | None]:
        """Best bid and ask of a token in its own prices."""
        return self._generator.book.top(outcome)

    def initial_book(self, outcome: Outcome) -> str:
        """The token's book for the first array."""
        return self._renderer.initial_book(outcome)

    def rest_book(self, outcome: Outcome) -> str:
        """The token's book as ``/book`` gives it."""
        return self._renderer.rest_book(outcome)

    def skip(self) -> None:
        """Apply the next action without telling it."""
        self._remember(self._generator.advance())

    def advance(self) -> Sequence[Message]:
        """Apply the next action; returns its messages, ``best_bid_ask`` first where the top moved by a level change."""
        before, tick = self.top(Outcome.UP), self.tick
        action = self._generator.advance()
        self._remember(action)
        at_ms = action.at_ns // NS_PER_MS
        top = self._renderer.best_bid_ask(at_ms) if self.top(Outcome.UP) != before else []
        match action:
            case LevelSet():
                return [*top, self._renderer.price_change(action)]
            case Take():
                consumed = [self._renderer.price_change(self._consumed(action))] if self._change_on_trade else []
                return [self._renderer.trade(action), *top, *consumed, *self._renderer.books(at_ms)]
            case Retick():
                return self._renderer.tick_size_change(tick, action.tick, at_ms)

    def close(self, at_ms: int) -> Sequence[Message]:
        """Empty the book for good."""
        self._generator.book.clear(at_ms)
        return self._renderer.books(at_ms)

    def cross(self, at_ns: int) -> tuple[Message, int] | None:
        """Claim a bid one step above the best ask, if there are quotes and room."""
        book = self._generator.book
        ask = book.asks.best
        if ask is None or book.bids.best is None or ask + book.tick >= PRICE_SCALE:
            return None
        claim = LevelSet(at_ns, Outcome.UP, Side.BUY, ask + book.tick, CROSSING_UNITS)
        book.bids.set(claim.price, claim.size)
        message = self._renderer.price_change(claim)
        book.bids.set(claim.price, 0)
        return message, claim.price

    def heal(self, at_ns: int, price: int) -> Message:
        """Tell what truly rests at the claimed price."""
        size = self._generator.book.bids[price]
        return self._renderer.price_change(LevelSet(at_ns, Outcome.UP, Side.BUY, price, size))

    def _remember(self, action: Action) -> None:
        if isinstance(action, Take):
            self.trades.append(
                TradePrint(
                    at_ns=action.at_ns,
                    outcome=action.outcome,
                    side=action.side,
                    price=action.price,
                    size=action.size,
                    transaction_hash=action.transaction_hash,
                )
            )

    def _consumed(self, take: Take) -> LevelSet:
        side = up_side(take.outcome, take.side).other
        price = own_price(take.outcome, take.price)
        return LevelSet(take.at_ns, take.outcome, side, price, self._generator.book.side(side)[price])
