"""The generated venue: every slot of every series of the calendar; ids, outcomes and tapes follow from a seed.

A market exists from a day before its slot. It is found by slug for ever, by id until a while after its end: those ids
are indexed as slots come into existence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache

from actors.venue.listing import Listing, asset_id, condition_id, gamma_id
from actors.venue.options import VenueOptions
from actors.venue.spot import SpotPath, fair_up, uniform
from actors.venue.tape import GeneratedTape
from engine.errors import UnknownSlug
from engine.markets import Outcome
from engine.series import SERIES, Series, Slot, slot_of_slug
from engine.units import NS_PER_S, to_ns

RESOLUTION_S = (82.0, 151.0)
"""Seconds from the end of a window to its resolution, as observed."""


class _Shelf:
    """The indexed slots of one series: a sliding stretch of the calendar, oldest first."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.listings: deque[Listing] = deque()
        self.latest: Slot | None = None

    def following(self, earliest_ns: int) -> Slot:
        """The slot to be indexed next, none that ended before ``earliest_ns``."""
        if self.latest is None or self.latest.end_ns < earliest_ns:
            return self.series.slot_at(max(earliest_ns, 0))
        return self.series.next(self.latest)


class GeneratedSource:
    """Meets ``Source``."""

    def __init__(self, options: VenueOptions) -> None:
        self._options = options
        self._trade_before_ns = to_ns(options.trade_before_s)
        self._remember_ns = to_ns(options.remember_s)
        self._paths: dict[str, SpotPath] = {}
        self._shelves = [_Shelf(series) for series in SERIES.values()]
        self._by_id: dict[str, Listing] = {}

    def by_slug(self, slug: str, now_ns: int) -> Listing | None:
        """The market of a slug of the calendar, unless it does not exist yet."""
        try:
            slot = slot_of_slug(slug)
        except UnknownSlug:
            return None
        if SERIES[slot.series].slot_at(slot.start_ns) != slot or slot.start_ns - self._trade_before_ns > now_ns:
            return None
        return self._listing(slot)

    def by_asset(self, asset_id: str, now_ns: int) -> Listing | None:
        """The market of an indexed token."""
        return self._found(asset_id, now_ns)

    def by_condition(self, condition_id: str, now_ns: int) -> Listing | None:
        """The market of an indexed condition id."""
        return self._found(condition_id, now_ns)

    def listed(self, now_ns: int) -> Sequence[Listing]:
        """All indexed markets, by start."""
        self._index(now_ns)
        every = (listing for shelf in self._shelves for listing in shelf.listings)
        return sorted(every, key=lambda listing: (listing.start_ns, listing.slug))

    def opening_after(self, at_ns: int) -> Sequence[Listing]:
        """The markets whose slots come into existence next."""
        slots = [series.next(series.slot_at(at_ns + self._trade_before_ns)) for series in SERIES.values()]
        first = min(slot.start_ns for slot in slots)
        return [self._listing(slot) for slot in slots if slot.start_ns == first]

    def tape(self, listing: Listing, at_ns: int) -> GeneratedTape:
        """The tape of a market from the block that holds ``at_ns``."""
        return GeneratedTape(listing, self._path(listing.underlying), self._options, at_ns)

    def winner(self, listing: Listing) -> Outcome:
        """Up when the spot price at the end is at least that at the start."""
        return Outcome.UP if self.fair(listing, listing.end_ns) else Outcome.DOWN

    def fair(self, listing: Listing, at_ns: int) -> float:
        """P(Up) for someone who knows the spot price."""
        return fair_up(self._path(listing.underlying), listing.start_ns, listing.end_ns, at_ns)

    def spot(self, listing: Listing, at_ns: int) -> float:
        """The underlying's price in USD."""
        return self._path(listing.underlying).price(at_ns)

    def _path(self, underlying: str) -> SpotPath:
        if underlying not in self._paths:
            self._paths[underlying] = SpotPath(self._options.seed, underlying)
        return self._paths[underlying]

    def _listing(self, slot: Slot) -> Listing:
        return _listing(slot, self._options.seed, self._trade_before_ns, self._options.resolve_after_s)

    def _found(self, identity: str, now_ns: int) -> Listing | None:
        self._index(now_ns)
        return self._by_id.get(identity)

    def _index(self, now_ns: int) -> None:
        for shelf in self._shelves:
            self._forget(shelf, now_ns - self._remember_ns)
            slot = shelf.following(now_ns - self._remember_ns)
            while slot.start_ns - self._trade_before_ns <= now_ns:
                listing = self._listing(slot)
                shelf.listings.append(listing)
                for identity in (listing.condition_id, *listing.asset_ids, listing.gamma_id):
                    self._by_id[identity] = listing
                shelf.latest = slot
                slot = shelf.series.next(slot)

    def _forget(self, shelf: _Shelf, before_ns: int) -> None:
        while shelf.listings and shelf.listings[0].end_ns < before_ns:
            gone = shelf.listings.popleft()
            for identity in (gone.condition_id, *gone.asset_ids, gone.gamma_id):
                self._by_id.pop(identity, None)


# A venue begins with a thousand of them, and venues of one seed with the same ones.
@lru_cache(maxsize=2048)
def _listing(slot: Slot, seed: int, trade_before_ns: int, resolve_after_s: float | None) -> Listing:
    slug = slot.slug
    return Listing(
        slug=slug,
        series=slot.series,
        family=slot.series.rpartition("-")[2],
        underlying=slot.underlying,
        condition_id=condition_id(seed, slug),
        up_asset_id=asset_id(seed, slug, Outcome.UP),
        down_asset_id=asset_id(seed, slug, Outcome.DOWN),
        gamma_id=gamma_id(seed, slug),
        opens_ns=slot.start_ns - trade_before_ns,
        start_ns=slot.start_ns,
        end_ns=slot.end_ns,
        resolves_ns=slot.end_ns + _resolution_ns(seed, slug, resolve_after_s),
    )


def _resolution_ns(seed: int, slug: str, fixed_s: float | None) -> int:
    low, high = RESOLUTION_S
    seconds = low + (high - low) * uniform(seed, slug, "resolution") if fixed_s is None else fixed_s
    return int(seconds * NS_PER_S)
