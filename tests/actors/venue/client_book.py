"""What a client can know of one token: levels kept from the frames alone, and checked against every claim in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from actors.venue.listing import Listing
from engine.bookhash import book_hash
from engine.markets import Side
from engine.units import PRICE_SCALE, price_ticks


class ClientBook:
    """One token's book as a client keeps it; ``last`` and ``tick`` are the last trade and the step as a book says."""

    def __init__(self) -> None:
        self.levels: dict[str, dict[str, str]] = {"BUY": {}, "SELL": {}}
        self.tick = ""
        self.last = ""
        self.verified = 0

    def snapshot(self, book: Mapping[str, Any], *, hashed: bool = True) -> None:
        """Replace the levels; they must be worst first and the hash right."""
        bids, asks = ([(level["price"], level["size"]) for level in book[side]] for side in ("bids", "asks"))
        assert [price_ticks(price) for price, _ in bids] == sorted(price_ticks(price) for price, _ in bids)
        assert [price_ticks(price) for price, _ in asks] == sorted(
            (price_ticks(price) for price, _ in asks), reverse=True
        )
        self.levels = {"BUY": dict(bids), "SELL": dict(asks)}
        self.tick = book.get("tick_size", self.tick)
        self.last = book.get("last_trade_price", self.last)
        assert self.top[0] < self.top[1]
        if hashed:
            self.verify(book, book["timestamp"], book["hash"])

    def change(self, entry: Mapping[str, str]) -> None:
        """Set one level."""
        side = self.levels[entry["side"]]
        if entry["size"] == "0":
            side.pop(entry["price"], None)
        else:
            side[entry["price"]] = entry["size"]

    def verify(self, event: Mapping[str, Any], timestamp: str, claimed: str) -> None:
        """The hash must be that of the levels kept here."""
        asset_id = event["asset_id"]
        assert claimed == book_hash(
            market=event["market"],
            asset_id=asset_id,
            timestamp=timestamp,
            bids=self.sorted(Side.BUY),
            asks=self.sorted(Side.SELL),
            min_order_size="5",
            tick_size=self.tick,
            neg_risk=False,
            last_trade_price=self.last,
        )
        self.verified += 1

    def sorted(self, side: Side) -> list[tuple[str, str]]:
        """Levels as they stand in a frame."""
        return sorted(self.levels[side].items(), key=lambda level: price_ticks(level[0]), reverse=side is Side.SELL)

    @property
    def top(self) -> tuple[int, int]:
        """Best bid and ask in ticks, 0 and 1 USDC where a side is empty."""
        bids, asks = self.levels["BUY"], self.levels["SELL"]
        return max(map(price_ticks, bids), default=0), min(map(price_ticks, asks), default=PRICE_SCALE)

    def mirrors(self, other: ClientBook) -> bool:
        """Whether the other token's book is exactly this one in the mirror."""
        return all(
            {price_ticks(price): size for price, size in self.levels[side].items()}
            == {PRICE_SCALE - price_ticks(price): size for price, size in other.levels[side.other].items()}
            for side in Side
        )


class ClientMarket:
    """Both tokens of a market as a client keeps them; ``take`` checks each event against all that is known."""

    def __init__(self, listing: Listing, *, hashed: bool = True) -> None:
        self.books = {asset: ClientBook() for asset in listing.asset_ids}
        self.up, self.down = self.books.values()
        self.seen: Counter[str] = Counter()
        self._hashed = hashed

    def begin(self, *books: Mapping[str, Any]) -> None:
        """Take first books."""
        for book in books:
            self.books[book["asset_id"]].snapshot(book, hashed=self._hashed)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event; both books must be mirrors whenever neither token is ahead."""
        kind = event["event_type"]
        self.seen[kind] += 1
        takes = {
            "price_change": self._change,
            "last_trade_price": self._trade,
            "book": self._book,
            "tick_size_change": self._tick,
        }
        if kind in takes:
            takes[kind](event)
        if kind in {"price_change", "book"} and self.seen["book"] % 2 == 0:
            assert self.up.mirrors(self.down)
            assert self.up.top[0] < self.up.top[1]

    def _change(self, event: Mapping[str, Any]) -> None:
        assert {entry["asset_id"] for entry in event["price_changes"]} == set(self.books)
        for entry in event["price_changes"]:
            self.books[entry["asset_id"]].change(entry)
        for entry in event["price_changes"]:
            book = self.books[entry["asset_id"]]
            assert (price_ticks(entry["best_bid"]), price_ticks(entry["best_ask"])) == book.top
            if self._hashed:
                book.verify({**event, **entry}, event["timestamp"], entry["hash"])

    def _trade(self, event: Mapping[str, Any]) -> None:
        book = self.books[event["asset_id"]]
        assert price_ticks(event["price"]) == book.top[1 if event["side"] == "BUY" else 0], "not at the touch"
        for token in self.books.values():
            price = float(event["price"])
            token.last = f"{price if token is book else 1 - price:.3f}"

    def _book(self, event: Mapping[str, Any]) -> None:
        book = self.books[event["asset_id"]]
        known = {side: dict(levels) for side, levels in book.levels.items()}
        book.snapshot(event, hashed=self._hashed)
        news = [level for side in Side for level in known[side].items() ^ book.levels[side].items()]
        closed = not (event["bids"] or event["asks"])
        assert closed or len(news) <= 2, "a trade consumes one level; everything else was told before"

    def _tick(self, event: Mapping[str, Any]) -> None:
        self.books[event["asset_id"]].tick = event["new_tick_size"]
