"""Tapes of generated markets, as a recorder would have written them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actors.labelbook import append_label
from actors.venue.listing import Listing
from engine.labels import Label, LabelStatus
from engine.markets import Market, Outcome
from engine.records import Connected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.series import slot_of_slug
from tests.actors.tapes.tape_texts import record
from tests.actors.venue.scenery import START_NS, S, staged

Heard = Sequence[tuple[int, str]]


def market_of(listing: Listing, *, down: bool = True) -> Market:
    return Market(
        condition_id=listing.condition_id,
        up_asset_id=listing.up_asset_id,
        down_asset_id=listing.down_asset_id if down else None,
        slug=listing.slug,
        start_ns=listing.start_ns,
        end_ns=listing.end_ns,
    )


def put(folder: Path, listing: Listing, heard: Heard, *, market: Market | None = None) -> None:
    """Write what was heard of a market as its tape."""
    first_ns, last_ns = heard[0][0], heard[-1][0]
    items: list[Record] = [
        Followed(at_ns=first_ns, target=slot_of_slug(listing.slug).target()),
        MarketUpdated(at_ns=first_ns, market=market or market_of(listing)),
        Connected(at_ns=first_ns, epoch=1),
        *(Frame(at_ns=at_ns, text=text) for at_ns, text in heard),
        Unfollowed(at_ns=last_ns + 1),
    ]
    record(folder, items, key=listing.slug, block=100)


def label(folder: Path, listing: Listing, outcome: Outcome | None, *, at_s: float) -> None:
    """Write how a market ended; nobody won where there is no outcome."""
    append_label(
        folder,
        Label(
            condition_id=listing.condition_id,
            slug=listing.slug,
            status=LabelStatus.VOID if outcome is None else LabelStatus.RESOLVED,
            outcome=outcome,
            start_ns=listing.start_ns,
            end_ns=listing.end_ns,
            at_ns=START_NS + round(at_s * S),
        ),
    )


async def overheard(listing: Listing, *, begin_s: float = 1.0, until_s: float = 30.0, custom: bool = False) -> Heard:
    """What a client of the generated market hears meanwhile."""
    async with staged(begin_s, idle_drop_s=1e4) as stage:
        client = await stage.client()
        await client.subscribe(*listing.asset_ids, custom=custom)
        await stage.until(until_s)
        return list(client.heard)
