"""The catalogue (Gamma) and the market pages of the order book (CLOB): markets as JSON-able plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from attrs import frozen

from actors.venue.exchange import Exchange
from actors.venue.faults import Void
from actors.venue.listing import Listing
from actors.venue.source import Source
from actors.venue.titles import iso, tags, title
from engine.markets import Outcome
from engine.units import NS_PER_S, price_usd

FEES: Final = {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2}
DESCRIPTION: Final = (
    'This market will resolve to "Up" if the {name} price at the end of the window in the title is at least the price '
    'at its beginning. Otherwise, it will resolve to "Down".'
)
NEARLY: Final = 0.9995
"""What the winner's price shows between the end of a window and its resolution."""

VOID_PRICES: Final[Mapping[Void | None, tuple[float, float]]] = {
    Void.NOTHING: (0.0, 0.0),
    Void.HALVES: (0.5, 0.5),
    Void.BOTH: (1.0, 1.0),
}
"""Prices of Up and Down of a decided market without one winner; the other way is to stop short of 1 and 0."""

Body = dict[str, Any]


@frozen(kw_only=True)
class Status:
    """A market at one moment. ``price`` is P(Up) as the catalogue shows it; ``tick`` is in USDC."""

    now_ns: int
    closed: bool
    winner: Outcome | None
    price: float
    tick: float
    void: Void | None

    @property
    def prices(self) -> tuple[float, float]:
        """The prices of Up and Down."""
        if self.void in VOID_PRICES:
            return VOID_PRICES[self.void]
        if self.winner is not None:
            return (1.0, 0.0) if self.winner is Outcome.UP else (0.0, 1.0)
        return self.price, round(1.0 - self.price, 4)

    def marked(self, outcome: Outcome) -> bool:
        """Whether the token of an outcome is marked as the winner."""
        return outcome is self.winner or self.void is Void.BOTH


class Catalogue:
    """Tells what ``exchange`` and ``source`` know of a market in the forms of the venue's pages."""

    def __init__(self, exchange: Exchange, source: Source, now_ns: Callable[[], int]) -> None:
        self._exchange = exchange
        self._source = source
        self._now_ns = now_ns

    def status(self, listing: Listing) -> Status:
        """The market now."""
        now_ns = self._now_ns()
        closed = self._exchange.closed(listing)
        winner = self._exchange.winner(listing)
        fair = self._source.fair(listing, now_ns)
        return Status(
            now_ns=now_ns,
            closed=closed,
            winner=winner,
            price=_clamped(fair, NEARLY) if now_ns >= listing.end_ns else _clamped(round(fair, 2), 0.99),
            tick=price_usd(self._exchange.tick(listing)),
            void=self._exchange.void(listing),
        )

    # -- Gamma -------------------------------------------------------------------------------------------------------

    def gamma_market(self, listing: Listing, *, with_event: bool = True) -> Body:
        """A market of the catalogue."""
        status = self.status(listing)
        body = self._told(listing, status) | self._priced(status)
        body |= self._decided(listing) if status.closed else {}
        return body | ({"events": [self.gamma_event(listing, with_markets=False)]} if with_event else {})

    def _told(self, listing: Listing, status: Status) -> Body:
        opened = iso(listing.opens_ns)
        return {
            "id": listing.gamma_id,
            "question": title(listing),
            "conditionId": listing.condition_id,
            "slug": listing.slug,
            "resolutionSource": f"https://data.chain.link/streams/{listing.underlying.lower()}-usd-twap-60s-streams",
            "startDate": opened,
            "eventStartTime": iso(listing.start_ns),
            "endDate": iso(listing.end_ns),
            "description": DESCRIPTION.format(name=tags(listing)[1]),
            "outcomes": '["Up", "Down"]',
            "clobTokenIds": _array_text(listing.asset_ids),
            "umaResolutionStatuses": "[]",
            "active": True,
            "closed": status.closed,
            "archived": False,
            "restricted": True,
            "negRisk": False,
            "enableOrderBook": True,
            "acceptingOrders": not status.closed,
            "acceptingOrdersTimestamp": opened,
            "createdAt": opened,
            "orderPriceMinTickSize": status.tick,
            "orderMinSize": 5,
            "makerBaseFee": 1000,
            "takerBaseFee": 1000,
            "feesEnabled": True,
            "feeType": "crypto_fees_v2",
            "feeSchedule": FEES,
        }

    def _priced(self, status: Status) -> Body:
        bid, ask = max(status.prices[0] - status.tick, 0.0), min(status.prices[0] + status.tick, 1.0)
        return {
            "outcomePrices": _array_text([f"{price:g}" for price in status.prices]),
            "bestBid": round(bid, 4),
            "bestAsk": round(ask, 4),
            "spread": round(ask - bid, 4),
            "lastTradePrice": status.prices[0],
            "volume": "12345.678901",
            "volumeNum": 12345.678901,
            "liquidity": "20000.1234",
            "liquidityNum": 20000.1234,
        }

    def _decided(self, listing: Listing) -> Body:
        at_ns = self._exchange.resolves_ns(listing) or listing.resolves_ns
        closed_time = iso(at_ns).replace("T", " ").replace("Z", "+00")
        return {"closedTime": closed_time, "umaResolutionStatus": "resolved", "automaticallyResolved": True}

    def gamma_event(self, listing: Listing, *, with_markets: bool = True) -> Body:
        """The event of a market; it has no other."""
        closed = self._exchange.closed(listing)
        series = f"{listing.underlying.lower()}-up-or-down-{listing.family}"
        body: Body = {
            "id": str(int(listing.gamma_id) + 1),
            "ticker": listing.slug,
            "slug": listing.slug,
            "title": title(listing),
            "startDate": iso(listing.opens_ns),
            "startTime": iso(listing.start_ns),
            "endDate": iso(listing.end_ns),
            "active": True,
            "closed": closed,
            "archived": False,
            "negRisk": False,
            "seriesSlug": series,
            "series": [{"slug": series, "title": f"{listing.underlying} Up or Down {listing.family}", "active": True}],
            "tags": [{"label": label, "slug": label.lower().replace(" ", "-")} for label in tags(listing)],
            "eventMetadata": self._metadata(listing, closed=closed),
        }
        return body | ({"markets": [self.gamma_market(listing, with_event=False)]} if with_markets else {})

    def _metadata(self, listing: Listing, *, closed: bool) -> Body:
        opening = self._source.spot(listing, listing.start_ns)
        if opening is None or self._now_ns() < listing.start_ns:
            return {}
        final = self._source.spot(listing, listing.end_ns) if closed else None
        return {"priceToBeat": opening} | ({} if final is None else {"finalPrice": final})

    # -- CLOB --------------------------------------------------------------------------------------------------------

    def clob_market(self, listing: Listing) -> Body:
        """``/markets/<condition id>``: here numbers are numbers."""
        status = self.status(listing)
        tokens = [
            {"token_id": asset, "outcome": outcome, "price": price, "winner": status.marked(outcome)}
            for asset, outcome, price in zip(listing.asset_ids, Outcome, status.prices, strict=True)
        ]
        return {
            "enable_order_book": not status.closed,
            "active": True,
            "closed": status.closed,
            "archived": False,
            "accepting_orders": not status.closed,
            "accepting_order_timestamp": iso(listing.opens_ns),
            "minimum_order_size": 5,
            "minimum_tick_size": status.tick,
            "condition_id": listing.condition_id,
            "question": title(listing),
            "market_slug": listing.slug,
            "end_date_iso": iso(listing.end_ns),
            "game_start_time": iso(listing.start_ns),
            "seconds_delay": 0,
            "maker_base_fee": 1000,
            "taker_base_fee": 1000,
            "neg_risk": False,
            "is_50_50_outcome": status.void is Void.HALVES,
            "tokens": tokens,
            "tags": tags(listing),
        }

    def compact_market(self, listing: Listing) -> Body:
        """``/clob-markets/<condition id>``, with short keys."""
        status = self.status(listing)
        return {
            "c": listing.condition_id,
            "t": [{"t": asset, "o": outcome} for asset, outcome in zip(listing.asset_ids, Outcome, strict=True)],
            "mos": 5,
            "mts": status.tick,
            "mbf": 1000,
            "tbf": 1000,
            "ao": not status.closed,
            "aot": iso(listing.opens_ns),
            "itode": True,
            "fd": {"r": 0.07, "e": 1, "to": True},
            "r": {"mi": 50, "ma": 1.5, "e": True, "moas": 1},
        }

    def history(self, listing: Listing, outcome: Outcome, start_s: int, end_s: int, step_s: int) -> list[Body]:
        """``/prices-history`` of a token: seconds and prices, oldest first, none from the future."""
        first = max(start_s, listing.opens_ns // NS_PER_S)
        last = min(end_s, self._now_ns() // NS_PER_S, listing.resolves_ns // NS_PER_S)
        return [
            {"t": second, "p": self._past_price(listing, outcome, second)} for second in range(first, last + 1, step_s)
        ]

    def _past_price(self, listing: Listing, outcome: Outcome, second: int) -> float:
        up = _clamped(self._source.fair(listing, second * NS_PER_S), NEARLY)
        return round(up if outcome is Outcome.UP else 1.0 - up, 4)


def _clamped(price: float, highest: float) -> float:
    return round(min(max(price, 1.0 - highest), highest), 4)


def _array_text(values: object) -> str:
    """A JSON array inside a string, spaced as the catalogue writes it."""
    return msgspec.json.encode(values).decode().replace('","', '", "')
