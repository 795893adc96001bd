"""The REST side: Gamma, CLOB and data API on one address, as a table of routes.

The real venue has three hosts; their paths do not collide except for ``/markets``: a condition id or a ``next_cursor``
asks the order book, anything else the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from actors.venue.catalogue import Body, Catalogue
from actors.venue.exchange import Exchange, LiveMarket
from actors.venue.faults import Faults
from actors.venue.http import TEXT, Reply, Request, reply_error, reply_json
from actors.venue.listing import Listing
from actors.venue.options import VenueOptions
from actors.venue.source import Source, TradePrint
from actors.venue.titles import title
from engine.markets import Outcome
from engine.units import NS_PER_S, PRICE_SCALE, price_text, price_usd, shares

PAGE: Final = 1000
LAST_CURSOR: Final = "LTE="
TRADES_LIMIT: Final = 500
INTERVALS_S: Final = {"1h": 3_600, "6h": 21_600, "1d": 86_400, "1w": 604_800, "max": 10 * 86_400}
NO_BOOK: Final = reply_error(404, "No orderbook exists for the requested token id")
NOT_FOUND: Final = reply_error(404, "not found")
NO_USER_AGENT: Final = Reply(status=403, body=b"error code: 1010", content_type=TEXT)
WALLET: Final = "0x" + "1" * 40


class Rest:
    """Answers requests; ``respond`` never raises."""

    def __init__(
        self,
        exchange: Exchange,
        source: Source,
        options: VenueOptions,
        faults: Faults,
        now_ns: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._source = source
        self._options = options
        self._faults = faults
        self._now_ns = now_ns
        self._catalogue = Catalogue(exchange, source, now_ns)

    def respond(self, request: Request) -> Reply:
        """The reply to a request, planned faults first."""
        planned = self._faults.planned_reply(request.path)
        if planned is not None:
            return planned
        if self._options.require_user_agent and "user-agent" not in request.headers:
            return NO_USER_AGENT
        for method, pattern, route in ROUTES:
            match = pattern.fullmatch(request.path)
            if match is not None and method in {request.method, "GET" if request.method == "HEAD" else ""}:
                return route(self, request, *match.groups())
        return NOT_FOUND

    # -- Gamma -------------------------------------------------------------------------------------------------------

    def markets(self, request: Request) -> Reply:
        """``/markets``: by slug, id, condition or token ids, or all; with a ``next_cursor`` the order book's list."""
        if "next_cursor" in request.query:
            return self._clob_page()
        return reply_json([self._catalogue.gamma_market(listing) for listing in self._asked(request)])

    def events(self, request: Request) -> Reply:
        """``/events``: one event for each market."""
        return reply_json([self._catalogue.gamma_event(listing) for listing in self._asked(request)])

    def market_by_slug(self, _: Request, slug: str) -> Reply:
        """``/markets/slug/<slug>``."""
        return _found(self._catalogue.gamma_market, self._source.by_slug(slug, self._now_ns()))

    def event_by_slug(self, _: Request, slug: str) -> Reply:
        """``/events/slug/<slug>``."""
        return _found(self._catalogue.gamma_event, self._source.by_slug(slug, self._now_ns()))

    def market_by_id(self, _: Request, gamma_id: str) -> Reply:
        """``/markets/<id>``."""
        return _found(self._catalogue.gamma_market, self._by_gamma_id(gamma_id))

    def event_by_id(self, _: Request, event_id: str) -> Reply:
        """``/events/<id>``."""
        return _found(self._catalogue.gamma_event, self._by_gamma_id(str(int(event_id) - 1)))

    def _by_gamma_id(self, gamma_id: str) -> Listing | None:
        every = self._source.listed(self._now_ns())
        return next((listing for listing in every if listing.gamma_id == gamma_id), None)

    def _asked(self, request: Request) -> Sequence[Listing]:
        now_ns = self._now_ns()
        lookups: tuple[tuple[str, Callable[[str], Listing | None]], ...] = (
            ("slug", lambda value: self._source.by_slug(value, now_ns)),
            ("condition_ids", lambda value: self._source.by_condition(value, now_ns)),
            ("clob_token_ids", lambda value: self._source.by_asset(value, now_ns)),
            ("id", self._by_gamma_id),
        )
        for name, lookup in lookups:
            if name in request.query:
                values = (value for text in request.query[name] for value in text.split(","))
                found = {listing.slug: listing for value in values if (listing := lookup(value)) is not None}
                return self._filtered(request, found.values())
        return self._filtered(request, self._source.listed(now_ns))

    def _filtered(self, request: Request, listings: Iterable[Listing]) -> Sequence[Listing]:
        kept = list(listings)
        if "closed" in request.query:
            wanted = request.first("closed").lower() == "true"
            kept = [listing for listing in kept if self._exchange.closed(listing) is wanted]
        offset, limit = _whole(request.first("offset"), 0), _whole(request.first("limit"), 100)
        return kept[offset : offset + min(limit, 500)]

    # -- CLOB --------------------------------------------------------------------------------------------------------

    def ok(self, _: Request) -> Reply:
        """``/ok``."""
        return reply_json("OK")

    def time(self, _: Request) -> Reply:
        """``/time``: a bare integer of seconds."""
        return reply_json(self._now_ns() // NS_PER_S)

    def clob_market(self, _: Request, condition_id: str) -> Reply:
        """``/markets/<condition id>``."""
        return _found(self._catalogue.clob_market, self._source.by_condition(condition_id, self._now_ns()))

    def compact_market(self, _: Request, condition_id: str) -> Reply:
        """``/clob-markets/<condition id>``."""
        return _found(self._catalogue.compact_market, self._source.by_condition(condition_id, self._now_ns()))

    def market_by_token(self, _: Request, asset_id: str) -> Reply:
        """``/markets-by-token/<token>``."""
        return _found(_token_pair, self._source.by_asset(asset_id, self._now_ns()))

    def clob_page(self, _: Request) -> Reply:
        """``/simplified-markets`` and ``/sampling-markets``: everything on the first page."""
        return self._clob_page()

    def _clob_page(self) -> Reply:
        listings = self._source.listed(self._now_ns())
        data = [self._catalogue.clob_market(listing) for listing in listings[:PAGE]]
        return reply_json({"limit": PAGE, "count": len(data), "next_cursor": LAST_CURSOR, "data": data})

    def book(self, request: Request) -> Reply:
        """``/book?token_id=``; 404 for every token without an open market."""
        text = self._book_text(request.first("token_id"))
        return NO_BOOK if text is None else Reply(body=text.encode())

    def books(self, request: Request) -> Reply:
        """POST ``/books``: unknown tokens are left out."""
        try:
            asked = msgspec.json.decode(request.body, type=list[dict[str, str]])
        except msgspec.DecodeError:
            return reply_error(400, "Invalid payload")
        if len(asked) > 500:
            return reply_error(400, "Payload exceeds the limit")
        texts = (self._book_text(entry.get("token_id", "")) for entry in asked)
        return Reply(body=f"[{','.join(text for text in texts if text is not None)}]".encode())

    def _book_text(self, asset_id: str) -> str | None:
        market = self._exchange.market_of(asset_id)
        if market is None:
            return None
        if self._faults.ghost_book:
            return _ghost(market.listing, asset_id, self._now_ns())
        return market.tape.rest_book(market.listing.outcome_of(asset_id))

    def midpoint(self, request: Request) -> Reply:
        """``/midpoint?token_id=``."""
        return self._of_top(request, lambda bid, ask: {"mid": f"{(bid + ask) / 2 / PRICE_SCALE:g}"})

    def spread(self, request: Request) -> Reply:
        """``/spread?token_id=``."""
        return self._of_top(request, lambda bid, ask: {"spread": price_text(ask - bid)})

    def price(self, request: Request) -> Reply:
        """``/price?token_id=&side=``: BUY asks for the best bid, SELL for the best ask."""
        side = request.first("side").upper()
        if side not in {"BUY", "SELL"}:
            return reply_error(400, "Invalid side")
        return self._of_top(request, lambda bid, ask: {"price": price_text(bid if side == "BUY" else ask)})

    def _of_top(self, request: Request, told: Callable[[int, int], Body]) -> Reply:
        def of_market(market: LiveMarket, outcome: Outcome) -> Body:
            bid, ask = market.tape.top(outcome)
            return told(bid or 0, PRICE_SCALE if ask is None else ask)

        return self._of_token(request, of_market)

    def _of_token(self, request: Request, told: Callable[[LiveMarket, Outcome], Body]) -> Reply:
        asset_id = request.first("token_id")
        market = self._exchange.market_of(asset_id)
        return NO_BOOK if market is None else reply_json(told(market, market.listing.outcome_of(asset_id)))

    def last_trade_price(self, request: Request) -> Reply:
        """``/last-trade-price?token_id=``: the last trade, in the token's own price."""
        return self._of_token(request, _last_trade)

    def tick_size(self, request: Request) -> Reply:
        """``/tick-size?token_id=``."""
        return self._of_token(request, lambda market, _: {"minimum_tick_size": price_usd(market.tape.tick)})

    def neg_risk(self, request: Request) -> Reply:
        """``/neg-risk?token_id=``."""
        return self._of_token(request, lambda *_: {"neg_risk": False})

    def fee_rate(self, request: Request) -> Reply:
        """``/fee-rate?token_id=``."""
        return self._of_token(request, lambda *_: {"base_fee": 0})

    def prices_history(self, request: Request) -> Reply:
        """``/prices-history?market=<token>``, by ``startTs`` and ``endTs`` or ``interval``; ``fidelity`` in minutes."""
        asset_id = request.first("market")
        now_s = self._now_ns() // NS_PER_S
        listing = self._source.by_asset(asset_id, self._now_ns())
        if listing is None:
            return reply_json({"history": []})
        span_s = INTERVALS_S.get(request.first("interval", "1d"), 86_400)
        start_s = _whole(request.first("startTs"), now_s - span_s)
        end_s = _whole(request.first("endTs"), now_s)
        step_s = 60 * max(_whole(request.first("fidelity"), 1), 1)
        outcome = listing.outcome_of(asset_id)
        return reply_json({"history": self._catalogue.history(listing, outcome, start_s, end_s, step_s)})

    # -- data API ----------------------------------------------------------------------------------------------------

    def trades(self, request: Request) -> Reply:
        """``/trades?market=<condition id>``: takers' orders, newest first, as far as they are still held."""
        told = []
        for condition_id in request.first("market").split(","):
            listing = self._source.by_condition(condition_id, self._now_ns())
            market = None if listing is None else self._exchange.market(listing)
            if market is not None:
                told += [_trade(market.listing, trade) for trade in reversed(market.tape.trades)]
        side = request.first("side").upper()
        told = [trade for trade in told if not side or trade["side"] == side]
        offset, limit = _whole(request.first("offset"), 0), _whole(request.first("limit"), 100)
        return reply_json(told[offset : offset + min(limit, TRADES_LIMIT)])


Route = Callable[..., Reply]

ROUTES: Final[tuple[tuple[str, re.Pattern[str], Route], ...]] = tuple(
    (method, re.compile(pattern), route)
    for method, pattern, route in (
        ("GET", r"/markets", Rest.markets),
        ("GET", r"/markets/slug/([^/]+)", Rest.market_by_slug),
        ("GET", r"/markets/(0x[0-9a-fA-F]+)", Rest.clob_market),
        ("GET", r"/markets/([0-9]{1,20})", Rest.market_by_id),
        ("GET", r"/events", Rest.events),
        ("GET", r"/events/slug/([^/]+)", Rest.event_by_slug),
        ("GET", r"/events/([0-9]{1,20})", Rest.event_by_id),
        ("GET", r"/ok|/", Rest.ok),
        ("GET", r"/time", Rest.time),
        ("GET", r"/book", Rest.book),
        ("POST", r"/books", Rest.books),
        ("GET", r"/midpoint", Rest.midpoint),
        ("GET", r"/spread", Rest.spread),
        ("GET", r"/price", Rest.price),
        ("GET", r"/last-trade-price", Rest.last_trade_price),
        ("GET", r"/tick-size", Rest.tick_size),
        ("GET", r"/neg-risk", Rest.neg_risk),
        ("GET", r"/fee-rate", Rest.fee_rate),
        ("GET", r"/prices-history", Rest.prices_history),
        ("GET", r"/clob-markets/(0x[0-9a-fA-F]+)", Rest.compact_market),
        ("GET", r"/markets-by-token/([0-9]{1,80})", Rest.market_by_token),
        ("GET", r"/simplified-markets|/sampling-markets", Rest.clob_page),
        ("GET", r"/trades", Rest.trades),
    )
)
"""Method, path and what answers it."""


def _found(told: Callable[[Listing], Any], listing: Listing | None) -> Reply:
    return NOT_FOUND if listing is None else reply_json(told(listing))


def _token_pair(listing: Listing) -> Body:
    return {
        "condition_id": listing.condition_id,
        "primary_token_id": listing.up_asset_id,
        "secondary_token_id": listing.down_asset_id,
    }


def _last_trade(market: LiveMarket, outcome: Outcome) -> Body:
    if not market.tape.trades:
        return {"price": "", "side": ""}
    last = market.tape.trades[-1]
    same = last.outcome is outcome
    return {
        "price": price_text(last.price if same else PRICE_SCALE - last.price),
        "side": last.side if same else last.side.other,
    }


def _trade(listing: Listing, trade: TradePrint) -> Body:
    return {
        "proxyWallet": WALLET,
        "side": trade.side,
        "asset": listing.asset_of(trade.outcome),
        "conditionId": listing.condition_id,
        "size": shares(trade.size),
        "price": price_usd(trade.price),
        "timestamp": trade.at_ns // NS_PER_S,
        "title": title(listing),
        "slug": listing.slug,
        "icon": "",
        "eventSlug": listing.slug,
        "outcome": trade.outcome,
        "outcomeIndex": 0 if trade.outcome is Outcome.UP else 1,
        "name": "",
        "pseudonym": "",
        "bio": "",
        "profileImage": "",
        "transactionHash": trade.transaction_hash,
    }


def _ghost(listing: Listing, asset_id: str, now_ns: int) -> str:
    levels = [{"price": price, "size": "100"} for price in ("0.01", "0.99")]
    body = {"market": listing.condition_id, "asset_id": asset_id, "timestamp": str(now_ns // 1_000_000), "hash": ""}
    told = {**body, "bids": levels[:1], "asks": levels[1:], "min_order_size": "5", "tick_size": "0.01"}
    return msgspec.json.encode({**told, "neg_risk": False, "last_trade_price": "0.500"}).decode()


def _whole(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else default
