"""Records: everything that happens to one followed market, in the order it happened, stamped by its actor.

A pipeline is a function of its records and of nothing else, so these are what a tape holds and what a replay reads.
``at_ns`` is when the engine had it, in epoch nanoseconds, and never runs backwards within one target. The tags are the
``kind`` under which a tape holds them; bounds are checked when a tape is read.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from engine.markets import Market, Target

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A whole number, 0 or more."""

Instant = Count
"""Nanoseconds since the epoch, up to the year 2262."""


class Followed(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="followed"):
    """The target is followed from now on."""

    at_ns: Instant
    target: Target


class MarketUpdated(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="market"):
    """The venue's metadata were read; ``market`` is ``None`` when the venue does not know the market."""

    at_ns: Instant
    market: Market | None


class LookupFailed(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="lookup_failed"):
    """The venue's metadata could not be had, and are not known yet; ``reason`` is the kind of the fault, a word."""

    at_ns: Instant
    reason: str


class Connected(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="connected"):
    """A socket is up and its subscription sent; ``epoch`` counts the sockets of this target from 1."""

    at_ns: Instant
    epoch: Count


class Frame(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="frame"):
    """One complete text message of the venue, verbatim."""

    at_ns: Instant
    text: str


class Disconnected(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="disconnected"):
    """The socket of ``epoch`` is gone, or could not be had; ``reason`` is the kind of the fault.

    ``dropped`` counts messages that were received but lost before the pipeline.
    """

    at_ns: Instant
    epoch: Count
    reason: str
    dropped: Count = 0


class Unfollowed(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="unfollowed"):
    """The target is followed no more; nothing comes after it."""

    at_ns: Instant


Record = Followed | MarketUpdated | LookupFailed | Connected | Frame | Disconnected | Unfollowed
