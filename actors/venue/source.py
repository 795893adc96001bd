"""Where markets come from: the two protocols that the generated and the recorded markets both meet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from actors.venue.listing import Listing
from actors.venue.render import Message
from engine.markets import Outcome, Side

TRADES_KEPT = 1000
"""Trades of one market that ``/trades`` can still tell."""


@frozen(kw_only=True)
class TradePrint:
    """One taker order as the data API tells it: the token's own price in ticks, size in micro-shares."""

    at_ns: int
    outcome: Outcome
    side: Side
    price: int
    size: int
    transaction_hash: str


class Tape(Protocol):
    """What happens in one market, in order of time. ``next_ns`` is ``None`` once nothing follows."""

    @property
    def next_ns(self) -> int | None:
        """When the next thing happens."""

    @property
    def tick(self) -> int:
        """The price step in ticks."""

    @property
    def trades(self) -> deque[TradePrint]:
        """The latest trades, oldest first."""

    def skip(self) -> None:
        """Let the next thing happen unseen."""

    def advance(self) -> Sequence[Message]:
        """Let the next thing happen and tell it."""

    def top(self, outcome: Outcome) -> tuple[int | None, int | None]:
        """Best bid and ask of a token in its own prices (ticks), ``None`` for an empty side."""

    def initial_book(self, outcome: Outcome) -> str | None:
        """The token's book as an element of the first array; ``None`` while there is none."""

    def rest_book(self, outcome: Outcome) -> str | None:
        """The token's book as ``/book`` gives it; ``None`` while there is none."""

    def close(self, at_ms: int) -> Sequence[Message]:
        """Empty the book for good and tell it."""

    def cross(self, at_ns: int) -> tuple[Message, int] | None:
        """Claim a bid above the best ask without resting it: the message and the claimed price, if that is possible."""

    def heal(self, at_ns: int, price: int) -> Message:
        """Take such a claim back."""


class Source(Protocol):
    """All markets of a venue. Times are ns since the epoch; a market unknown *now* is ``None``."""

    def by_slug(self, slug: str, now_ns: int) -> Listing | None:
        """The market of a slug."""

    def by_asset(self, asset_id: str, now_ns: int) -> Listing | None:
        """The market of a token."""

    def by_condition(self, condition_id: str, now_ns: int) -> Listing | None:
        """The market of a condition id."""

    def listed(self, now_ns: int) -> Sequence[Listing]:
        """Every market that exists now and is not long over, by start."""

    def opening_after(self, at_ns: int) -> Sequence[Listing]:
        """The markets that come into existence next after a time, all at once; empty when none ever does."""

    def tape(self, listing: Listing, at_ns: int) -> Tape:
        """The tape of a market, at or before ``at_ns``."""

    def winner(self, listing: Listing) -> Outcome:
        """The outcome that the market will have."""

    def fair(self, listing: Listing, at_ns: int) -> float:
        """P(Up) at a time, for the catalogue's cached prices and the price history."""

    def spot(self, listing: Listing, at_ns: int) -> float | None:
        """The underlying's price in USD at a time, where it is known."""
