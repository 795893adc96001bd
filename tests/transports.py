"""Which transport whoever does not say gets: one for all of a run (`--transport`), or one after the other."""

from __future__ import annotations

from typing import Any, cast

from actors.websocket import open_session
from engine.settings import FeedSettings, TransportKind


def default_transport() -> TransportKind:
    """What `open_session` and `FeedSettings` take at present."""
    return FeedSettings().transport


def use_by_default(kind: TransportKind) -> None:
    """Make it what `open_session` and `FeedSettings` take when nobody says."""
    for made in (cast(Any, open_session).__wrapped__, FeedSettings.__init__):
        assert "transport" in made.__kwdefaults__
        made.__kwdefaults__["transport"] = kind
