"""What the fields' own validators cannot know: names that must exist, addresses that must be safe."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from actors.faults import excerpt
from actors.transport import need_transport
from engine.series import SERIES
from engine.settings import FeedSettings, FollowSettings, VenueSettings

VALUE_CHARACTERS: Final = 60
"""So much of a wrong value is quoted."""


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`` (did you mean "…"?)`` for a near miss, else nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def one_of(noun: str, known: Collection[str]) -> Callable[[str | None], None]:
    """A check that a name, if given, is one of these; raises ``ValueError`` with the closest or with all of them."""

    def check(name: str | None) -> None:
        if name is not None and name not in known:
            hint = did_you_mean(name, known) or f" (known: {', '.join(sorted(known))})"
            raise ValueError(f"unknown {noun} {excerpt(name, VALUE_CHARACTERS)!r}{hint}")

    return check


def existing_file(name: str | None) -> None:
    """Raises ``ValueError`` for the name of a file that is not there."""
    if name is not None and not Path(name).is_file():
        raise ValueError(f"no such file: {excerpt(name, VALUE_CHARACTERS)!r}")


def safe_url(url: str) -> None:
    """Raises ``ValueError`` for no URL of a venue: with user name or fragment, or plain to another machine."""
    parts = urlsplit(url)
    if not (url.isascii() and parts.hostname and parts.port != 0):  # reading the port raises ValueError, too
        raise ValueError("not a URL with a host")
    if "@" in parts.netloc or "#" in url:
        raise ValueError("a URL of the venue has neither user name nor fragment")
    if parts.scheme in {"ws", "http"} and not _is_loopback(parts.hostname):
        raise ValueError(f"plain {parts.scheme}:// is for this machine alone, use {parts.scheme}s://")


def safe_base_url(url: str) -> None:
    """As ``safe_url``, and a query is none either, since a path is put behind it."""
    safe_url(url)
    if "?" in url:
        raise ValueError("a base URL of the venue has no query")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


CHECKS: Final[Mapping[tuple[type, str], Callable[[Any], None]]] = MappingProxyType(
    {
        (FollowSettings, "series"): one_of("series", SERIES),
        (VenueSettings, "websocket_url"): safe_url,
        (VenueSettings, "gamma_url"): safe_base_url,
        (VenueSettings, "clob_url"): safe_base_url,
        (VenueSettings, "ca_file"): existing_file,
        (FeedSettings, "transport"): need_transport,
    }
)
"""Checks by class and field; each raises ``ValueError``."""
