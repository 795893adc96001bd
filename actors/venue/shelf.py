"""Looking up recorded markets, which are known from the beginning: what every source of them shares."""

from __future__ import annotations

from collections.abc import Sequence

from actors.venue.listing import Listing
from engine.markets import Outcome


class Shelf:
    """The part of ``Source`` that needs nothing but listings; ``winner`` is the sub-class's."""

    _listings: Sequence[Listing] = ()

    def by_slug(self, slug: str, now_ns: int) -> Listing | None:
        """The market of a slug."""
        return self._one("slug", slug, now_ns)

    def by_asset(self, asset_id: str, now_ns: int) -> Listing | None:
        """The market of a token, recorded or derived."""
        return self._one("up_asset_id", asset_id, now_ns) or self._one("down_asset_id", asset_id, now_ns)

    def by_condition(self, condition_id: str, now_ns: int) -> Listing | None:
        """The market of a condition id."""
        return self._one("condition_id", condition_id, now_ns)

    def listed(self, now_ns: int) -> Sequence[Listing]:
        """All markets that came into existence by now."""
        return [listing for listing in self._listings if listing.opens_ns <= now_ns]

    def opening_after(self, at_ns: int) -> Sequence[Listing]:
        """The markets that come into existence next."""
        later = [listing for listing in self._listings if listing.opens_ns > at_ns]
        return [listing for listing in later if listing.opens_ns == min(it.opens_ns for it in later)]

    def winner(self, listing: Listing) -> Outcome:
        """Who won."""
        raise NotImplementedError

    def fair(self, listing: Listing, at_ns: int) -> float:
        """One half until the end, then the outcome: the recording is not read ahead."""
        return 0.5 if at_ns < listing.end_ns else float(self.winner(listing) is Outcome.UP)

    def spot(self, listing: Listing, at_ns: int) -> float | None:
        """Unknown."""
        return None

    def _one(self, name: str, value: str, now_ns: int) -> Listing | None:
        return next((listing for listing in self.listed(now_ns) if getattr(listing, name) == value), None)
