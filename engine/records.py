"""Records: everything that happens to one followed market, in the order it happened, stamped by its actor.

A pipeline is a function of its records and of nothing else, so these are what a tape holds and what a replay reads.
``at_ns`` is when the engine had it, in epoch nanoseconds, and never runs backwards within one target.
"""

from __future__ import annotations

from msgspec import Struct

from engine.markets import Market, Target


class Followed(Struct, frozen=True, kw_only=True, gc=False):
    """The target is followed from now on."""

    at_ns: int
    target: Target


class MarketUpdated(Struct, frozen=True, kw_only=True, gc=False):
    """The venue's metadata were read; ``market`` is ``None`` when the venue does not know the market."""

    at_ns: int
    market: Market | None


class LookupFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The venue's metadata could not be had, and are not known yet; ``reason`` is the kind of the fault, a word."""

    at_ns: int
    reason: str


class Connected(Struct, frozen=True, kw_only=True, gc=False):
    """A socket is up and its subscription sent; ``epoch`` counts the sockets of this target from 1."""

    at_ns: int
    epoch: int


class Frame(Struct, frozen=True, kw_only=True, gc=False):
    """One complete text message of the venue, verbatim."""

    at_ns: int
    text: str


class Disconnected(Struct, frozen=True, kw_only=True, gc=False):
    """The socket of ``epoch`` is gone, or could not be had; ``reason`` is the kind of the fault.

    ``dropped`` counts messages that were received but lost before the pipeline.
    """

    at_ns: int
    epoch: int
    reason: str
    dropped: int = 0


class Unfollowed(Struct, frozen=True, kw_only=True, gc=False):
    """The target is followed no more; nothing comes after it."""

    at_ns: int


Record = Followed | MarketUpdated | LookupFailed | Connected | Frame | Disconnected | Unfollowed
