"""What can happen in a generated market: values without any wire text."""

from __future__ import annotations

from msgspec import Struct

from engine.markets import Outcome, Side


class LevelSet(Struct, frozen=True, gc=False):
    """An order placed or cancelled on the token ``outcome``: one level, in Up space, has a new size."""

    at_ns: int
    outcome: Outcome
    side: Side
    price: int
    size: int


class Take(Struct, frozen=True, gc=False):
    """A taker's order on one token, in that token's own price, filled at the touch."""

    at_ns: int
    outcome: Outcome
    side: Side
    price: int
    size: int
    transaction_hash: str


class Retick(Struct, frozen=True, gc=False):
    """The price step of both tokens changes."""

    at_ns: int
    tick: int


Action = LevelSet | Take | Retick
"""One thing that happens."""
