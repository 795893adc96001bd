"""A simulated market as the records of one that was followed, with the venue's own wire texts.

The quotes are restated every second, changed or not, so that they never grow stale; every trade is followed by the
books of both tokens. The book holds the touch alone, as much on either side, and is whole again after a trade however
large: the makers know the fair price and do not mind. Everything is received the moment it happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from actors.simulate.markets import SimulatedMarket
from actors.venue.actions import LevelSet, Take
from actors.venue.listing import Listing, asset_id, condition_id, gamma_id
from actors.venue.orderbook import OrderBook, own_price
from actors.venue.render import Message, Renderer, arrays
from engine.markets import Market, Outcome, Side
from engine.records import Connected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.units import NS_PER_MS, NS_PER_S, SIZE_SCALE

FOLLOWED_BEFORE_NS: Final = 10 * NS_PER_S
CONNECTED_BEFORE_NS: Final = 5 * NS_PER_S
UNFOLLOWED_AFTER_NS: Final = 15 * NS_PER_S
RESOLVED_AFTER_NS: Final = 120 * NS_PER_S

TOUCH_UNITS: Final = 500 * SIZE_SCALE
"""What rests at the best bid and at the best ask."""

FRAME_BYTES: Final = 47_000


@frozen(kw_only=True)
class SimulatedLabel:
    """How a market was resolved, and when (epoch ns)."""

    condition_id: str
    slug: str
    series: str
    outcome: Outcome
    at_ns: int


def label_of(market: SimulatedMarket) -> SimulatedLabel:
    """The outcome of a market, known two minutes after its end."""
    listing = listing_of(market)
    return SimulatedLabel(
        condition_id=listing.condition_id,
        slug=listing.slug,
        series=listing.series,
        outcome=market.outcome,
        at_ns=listing.resolves_ns,
    )


def wire_records(market: SimulatedMarket, *, hashes: bool = True) -> Iterator[tuple[str, Record]]:
    """Key and records of one market, from ten seconds before its start until a quarter of a minute after its end.

    ``hashes`` off leaves the books' hashes empty. The resolution is not among them: it comes later, see ``label_of``.
    """
    slot = market.slot
    records = _records(market, listing_of(market), hashes=hashes)
    return ((slot.slug, record) for record in records)


def listing_of(market: SimulatedMarket) -> Listing:
    """The market's ids, which follow from seed and slug."""
    seed, slot = market.design.seed, market.slot
    return Listing(
        slug=slot.slug,
        series=slot.series,
        family=slot.series.rpartition("-")[2],
        underlying=slot.underlying,
        condition_id=condition_id(seed, slot.slug),
        up_asset_id=asset_id(seed, slot.slug, Outcome.UP),
        down_asset_id=asset_id(seed, slot.slug, Outcome.DOWN),
        gamma_id=gamma_id(seed, slot.slug),
        opens_ns=slot.start_ns,
        start_ns=slot.start_ns,
        end_ns=slot.end_ns,
        resolves_ns=slot.end_ns + RESOLVED_AFTER_NS,
    )


def _records(market: SimulatedMarket, listing: Listing, *, hashes: bool) -> Iterator[Record]:
    slot = market.slot
    followed_ns, connected_ns = slot.start_ns - FOLLOWED_BEFORE_NS, slot.start_ns - CONNECTED_BEFORE_NS
    stage = _Stage(market, listing, hashes=hashes)
    yield Followed(at_ns=followed_ns, target=slot.target())
    yield MarketUpdated(at_ns=followed_ns, market=_metadata(market, listing))
    yield Connected(at_ns=connected_ns, epoch=1)
    for text in stage.open(connected_ns):
        yield Frame(at_ns=connected_ns, text=text)
    for at_ns, messages in _play(market, stage):
        for message in messages:
            yield Frame(at_ns=at_ns, text=message.text)
    yield Unfollowed(at_ns=slot.end_ns + UNFOLLOWED_AFTER_NS)


def _metadata(market: SimulatedMarket, listing: Listing) -> Market:
    return Market(
        condition_id=listing.condition_id,
        up_asset_id=listing.up_asset_id,
        down_asset_id=listing.down_asset_id,
        slug=listing.slug,
        start_ns=listing.start_ns,
        end_ns=listing.end_ns,
        tick=market.design.tick,
    )


def _play(market: SimulatedMarket, stage: _Stage) -> Iterator[tuple[int, list[Message]]]:
    """Moments (epoch ns) and their messages; a quote of the same moment comes before a trade."""
    start_ns = market.slot.start_ns
    takes = list(_takes(market))
    taken = 0
    for second, quote in enumerate(zip(market.bid.tolist(), market.ask.tolist(), strict=True)):
        at_ns = start_ns + second * NS_PER_S
        yield at_ns, stage.quote(at_ns, *quote)
        while taken < len(takes) and takes[taken].at_ns < at_ns + NS_PER_S:
            yield takes[taken].at_ns, stage.trade(takes[taken])
            taken += 1


def _takes(market: SimulatedMarket) -> Iterator[Take]:
    trades, design, start_ns = market.trades, market.design, market.slot.start_ns
    columns = (trades.at_ns, trades.is_up, trades.is_buy, trades.price, trades.units)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for index, (at_ns, is_up, is_buy, price, units) in enumerate(rows):
        yield Take(
            start_ns + at_ns,
            Outcome.UP if is_up else Outcome.DOWN,
            Side.BUY if is_buy else Side.SELL,
            price,
            units,
            f"0x{design.seed:016x}{market.number:016x}{index:032x}",
        )


class _Stage:
    """The book of one market and its texts."""

    def __init__(self, market: SimulatedMarket, listing: Listing, *, hashes: bool) -> None:
        self._book = OrderBook(market.design.tick)
        self._renderer = Renderer(listing, self._book, hashes=hashes)
        self._bid, self._ask = int(market.bid[0]), int(market.ask[0])

    def open(self, at_ns: int) -> list[str]:
        """The array frames of a new subscription."""
        self._rest(LevelSet(at_ns, Outcome.UP, Side.BUY, self._bid, TOUCH_UNITS))
        self._rest(LevelSet(at_ns, Outcome.UP, Side.SELL, self._ask, TOUCH_UNITS))
        return arrays([self._renderer.initial_book(outcome) for outcome in Outcome], FRAME_BYTES)

    def quote(self, at_ns: int, bid: int, ask: int) -> list[Message]:
        """State the touch anew, the side that makes room first, so that the book never crosses and is never empty."""
        moves = [(Side.BUY, self._bid, bid), (Side.SELL, self._ask, ask)]
        steps = moves if bid < self._bid else moves[::-1]
        self._bid, self._ask = bid, ask
        return [message for side, old, new in steps for message in self._move(at_ns, side, old, new)]

    def trade(self, take: Take) -> list[Message]:
        """The trade, and both books as they stand again after it."""
        self._book.last_trade = own_price(take.outcome, take.price)
        self._book.changed_ms = take.at_ns // NS_PER_MS
        return [self._renderer.trade(take), *self._renderer.books(take.at_ns // NS_PER_MS)]

    def _move(self, at_ns: int, side: Side, old: int, new: int) -> Iterator[Message]:
        yield self._rest(LevelSet(at_ns, Outcome.UP, side, new, TOUCH_UNITS))
        if new != old:
            yield self._rest(LevelSet(at_ns, Outcome.UP, side, old, 0))

    def _rest(self, change: LevelSet) -> Message:
        self._book.side(change.side).set(change.price, change.size)
        self._book.changed_ms = change.at_ns // NS_PER_MS
        return self._renderer.price_change(change)
