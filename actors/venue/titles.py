"""How the venue words a market: its question, its tags, its times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from actors.venue.listing import Listing
from engine.series import NEW_YORK
from engine.units import NS_PER_S

NAMES: Final = {"BTC": "Bitcoin", "ETH": "Ethereum", "SOL": "Solana", "XRP": "XRP"}


def title(listing: Listing) -> str:
    """The question, such as ``Bitcoin Up or Down - October 2, 10:30PM-10:35PM ET``; times are New York's."""
    start, end = (datetime.fromtimestamp(at_ns // NS_PER_S, NEW_YORK) for at_ns in (listing.start_ns, listing.end_ns))
    name = NAMES.get(listing.underlying, listing.underlying)
    if listing.family == "1d":
        return f"{name} Up or Down on {end:%B} {end.day}"
    hours = f"{_hour(start)} ET" if listing.family == "1h" else f"{_clock(start)}-{_clock(end)} ET"
    return f"{name} Up or Down - {start:%B} {start.day}, {hours}"


def tags(listing: Listing) -> tuple[str, ...]:
    """The tags of a market; the last one names its length."""
    name = NAMES.get(listing.underlying, listing.underlying)
    return ("Crypto", name, "Crypto Prices", "Recurring", "Up or Down", listing.family.upper())


def iso(at_ns: int) -> str:
    """A time as the catalogue writes it: ``2026-10-02T02:38:40Z``."""
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hour(time: datetime) -> str:
    return f"{time.hour % 12 or 12}{'AM' if time.hour < 12 else 'PM'}"


def _clock(time: datetime) -> str:
    return f"{time.hour % 12 or 12}:{time.minute:02d}{'AM' if time.hour < 12 else 'PM'}"
