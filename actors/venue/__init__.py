"""A local stand-in for the venue, for any bot in any language: market WebSocket and REST, generated or recorded."""

from __future__ import annotations

from actors.venue.exchange import MarketReport
from actors.venue.faults import Ending, Faults, Freeze, Resolution, Void
from actors.venue.generated import GeneratedSource
from actors.venue.options import VenueOptions
from actors.venue.recorded import RecordedSource
from actors.venue.source import Source, Tape
from actors.venue.tapes import TapedSource
from actors.venue.venue import Venue

__all__ = [
    "Ending",
    "Faults",
    "Freeze",
    "GeneratedSource",
    "MarketReport",
    "RecordedSource",
    "Resolution",
    "Source",
    "Tape",
    "TapedSource",
    "Venue",
    "VenueOptions",
    "Void",
]
