"""The venue's public REST answers, over HTTPS, with every failure as one typed fault.

Requests go to the two configured hosts only: no redirects, no proxies or passwords from the surroundings, no
compression (so that a small answer cannot grow), at most 2 MiB, and one deadline for everything from the connect to the
last byte. Ids are checked before they enter a URL.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx
import trio

from actors.faults import EXCERPT_CHARACTERS, excerpt, parse_retry_after
from engine.bodies import json_of
from engine.errors import UnknownSlug, WireError
from engine.events import BookSnapshot
from engine.labels import LabelStatus, Ruling, ruling_of_clob, ruling_of_gamma, stronger
from engine.markets import ASSET_ID_PATTERN, CONDITION_ID_PATTERN, Market
from engine.metadata import (
    book_from_clob,
    epoch_seconds,
    market_from_clob,
    market_from_events,
    market_from_gamma,
    market_with_token,
    with_window_of,
)
from engine.series import slot_of_slug
from engine.settings import VenueSettings

BODY_BYTES: Final = 2 << 20
CHUNK_BYTES: Final = 1 << 16
REFUSAL_BYTES: Final = 1 << 14
REFUSAL_S: Final = 0.5
SLUG_PATTERN: Final = r"[a-z0-9-]{1,200}"

_T = TypeVar("_T")
_Judge = Callable[[object, str], Ruling]


class RestFaultKind(StrEnum):
    """What went wrong; closed."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BLOCKED = "blocked"
    RATE_LIMITED = "rate_limited"
    SERVER = "server"
    NOT_JSON = "not_json"
    OVERSIZE = "oversize"
    UNEXPECTED = "unexpected"


_STATUS_KINDS: Final[Mapping[int, RestFaultKind]] = {
    403: RestFaultKind.BLOCKED,
    425: RestFaultKind.SERVER,  # the matching engine restarts
    429: RestFaultKind.RATE_LIMITED,
    451: RestFaultKind.BLOCKED,
}
_REASON_KINDS: Final[Mapping[str, RestFaultKind]] = {
    "not_json": RestFaultKind.NOT_JSON,
    "oversize": RestFaultKind.OVERSIZE,
}


class _Search(Protocol):
    def __call__(self, body: object, *, slug: str) -> Market | None: ...


# Listings of events hold closed ones only, unless told otherwise.
_SEARCHES: Final[Mapping[str, tuple[_Search, Mapping[str, str]]]] = {
    "/markets": (market_from_gamma, {}),
    "/events": (market_from_events, {"closed": "false"}),
}


class RestFault(Exception):
    """An expected failure of one request.

    ``status`` is the HTTP status, if there was an answer. ``retry_after`` is what a 429 asked for, in seconds (1 to
    900). ``detail`` is at most 256 printable characters and holds no query.
    """

    def __init__(
        self,
        kind: RestFaultKind,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.kind = kind
        self.detail = excerpt(detail)
        self.status = status
        self.retry_after = retry_after
        super().__init__(kind, self.detail)

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else str(self.kind)


class Catalog(Protocol):
    """Where metadata come from; raises ``RestFault`` and nothing else. ``VenueRest`` is one."""

    async def market_by_slug(self, slug: str) -> Market | None:
        """The market of a slug, ``None`` if it is unknown."""

    async def market_by_condition_id(self, condition_id: str) -> Market | None:
        """The market of a condition id, ``None`` if it is unknown."""


class VenueRest:
    """The venue's REST API; every method raises `RestFault`, and ``ValueError`` for an id that can be none.

    Raises ``ValueError`` when a configured URL is neither ``https`` nor ``http`` on a loopback host, or has a query,
    fragment or user name. ``request_s`` bounds one request, ``transport`` replaces the network.
    """

    def __init__(
        self, settings: VenueSettings, *, request_s: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._gamma = _base_url(settings.gamma_url)
        self._clob = _base_url(settings.clob_url)
        self._request_s = request_s
        self._searches: dict[str, str] = {}
        self._client = httpx.AsyncClient(
            transport=transport,
            verify=_authorities(settings.ca_file),
            headers={
                "User-Agent": settings.user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            follow_redirects=False,
            trust_env=False,
            timeout=None,  # the deadline of `_get` covers everything, drop by drop bodies included
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=4),
        )

    async def market_by_slug(self, slug: str) -> Market | None:
        """The market of a slug, ``None`` while the venue does not know it or has not filled it in.

        Asks for the market, then for the event of this slug, first in the way that worked last for its series.
        """
        _checked(slug, SLUG_PATTERN)
        family = _family(slug)
        for path in sorted(_SEARCHES, key=lambda path: path != self._searches.get(family, "/markets")):
            market = await self._searched(path, slug)
            if market is not None:
                self._searches[family] = path
                return market
        return None

    async def market_by_condition_id(self, condition_id: str) -> Market | None:
        """The market of a condition id, ``None`` while the venue does not know it or has not filled it in.

        What it is, whether it is closed and who won is the CLOB's word, its window is Gamma's; either may be late to
        know a new market, then the other's word is taken for both. Gamma's failures only cost the window, but for a
        429, which is raised.
        """
        _checked(condition_id, CONDITION_ID_PATTERN)
        body = await self._get(f"{self._clob}/markets/{condition_id}")
        market = _read(body, lambda found: market_from_clob(json_of(found)))
        if market is not None and market.condition_id != condition_id:
            raise RestFault(RestFaultKind.UNEXPECTED, f"asked for {condition_id}, got {market.condition_id}")
        try:
            body = await self._get(f"{self._gamma}/markets", {"condition_ids": condition_id})
            listed = _read(body, lambda found: market_from_gamma(json_of(found), condition_id=condition_id))
        except RestFault as fault:
            if market is None or fault.kind is RestFaultKind.RATE_LIMITED:
                raise
            return market
        return listed if market is None else with_window_of(market, listed)

    async def market_by_asset_id(self, asset_id: str) -> Market | None:
        """The market of one of its tokens, ``None`` if no market has it; all of it is Gamma's word.

        A listing may leave out what is closed, so that is asked for when nothing else was found.
        """
        _checked(asset_id, ASSET_ID_PATTERN)
        for more in ({}, {"closed": "true"}):
            body = await self._get(f"{self._gamma}/markets", {"clob_token_ids": asset_id, **more})
            market = _read(body, lambda found: market_with_token(json_of(found), asset_id))
            if market is not None:
                return market
        return None

    async def outcome_of(self, condition_id: str) -> Ruling:
        """Who won a market: the CLOB's word, or unless that names a winner, the stronger of that and Gamma's.

        A fault of either is raised unless the other names a winner, a 429 before any other fault.
        """
        _checked(condition_id, CONDITION_ID_PATTERN)
        # A listing may leave out what is closed, unless that is asked for.
        listed = {"condition_ids": condition_id, "closed": "true"}
        ladder: tuple[tuple[str, Mapping[str, str], _Judge], ...] = (
            (f"{self._clob}/markets/{condition_id}", {}, ruling_of_clob),
            (f"{self._gamma}/markets", listed, ruling_of_gamma),
        )
        told = Ruling()
        faults = []
        for url, parameters, judge in ladder:
            try:
                body = await self._get(url, parameters)
                ruling = _read(body, _judged(judge, condition_id)) or Ruling()
            except RestFault as fault:
                faults.append(fault)
                continue
            if ruling.status is LabelStatus.RESOLVED:
                return ruling
            told = stronger(told, ruling)
        if faults:
            raise min(faults, key=lambda fault: fault.kind is not RestFaultKind.RATE_LIMITED)
        return told

    async def book(self, asset_id: str) -> BookSnapshot | None:
        """The book of a token, ``None`` if there is none (unknown, not yet or no longer traded)."""
        _checked(asset_id, ASSET_ID_PATTERN)
        body = await self._get(f"{self._clob}/book", {"token_id": asset_id})
        return _read(body, lambda found: book_from_clob(found, asset_id))

    async def server_time(self) -> int:
        """The venue's clock in whole seconds since the epoch."""
        seconds = _read(await self._get(f"{self._clob}/time"), epoch_seconds)
        if seconds is None:
            raise RestFault(RestFaultKind.UNEXPECTED, "the venue has no clock", status=404)
        return seconds

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _searched(self, path: str, slug: str) -> Market | None:
        search, parameters = _SEARCHES[path]
        body = await self._get(self._gamma + path, {"slug": slug, **parameters})
        return _read(body, lambda found: search(json_of(found), slug=slug))

    async def _get(self, url: str, parameters: Mapping[str, str] | None = None) -> bytes | None:
        """The body of a 200, ``None`` for a 404."""
        if self._client.is_closed:
            raise RestFault(RestFaultKind.UNREACHABLE, "closed by ourselves")
        with trio.move_on_after(self._request_s):
            try:
                async with self._client.stream("GET", url, params=parameters) as response:
                    return await _body(response)
            except httpx.TransportError as error:
                timed_out = isinstance(error, httpx.TimeoutException)
                kind = RestFaultKind.TIMEOUT if timed_out else RestFaultKind.UNREACHABLE
                raise RestFault(kind, f"{url}: {type(error).__name__}: {error}") from error
        raise RestFault(RestFaultKind.TIMEOUT, f"{url}: no complete answer in {self._request_s:g} s")


async def _body(response: httpx.Response) -> bytes | None:
    if response.status_code != httpx.codes.OK:
        await _raise_unless_missing(response)
        return None
    if _encoded(response):
        raise RestFault(RestFaultKind.UNEXPECTED, "a compressed answer, which was not asked for", status=200)
    body = await _read_capped(response, BODY_BYTES)
    if len(body) > BODY_BYTES:
        raise RestFault(RestFaultKind.OVERSIZE, f"more than {BODY_BYTES} bytes", status=200)
    return body


async def _raise_unless_missing(response: httpx.Response) -> None:
    body = b""
    # The status says it all; a body that dawdles must not turn a 429 into a mere timeout.
    if not _encoded(response):
        with trio.move_on_after(REFUSAL_S):
            body = await _read_capped(response, REFUSAL_BYTES)
    if response.status_code != httpx.codes.NOT_FOUND:
        raise _refusal(response, body)


def _encoded(response: httpx.Response) -> bool:
    return bool(response.headers.get("content-encoding", "identity") != "identity")


async def _read_capped(response: httpx.Response, limit: int) -> bytes:
    """The body up to its end, or somewhat more than ``limit`` bytes of it."""
    body = bytearray()
    # Cancelled rather than broken off: leaving the loop would leave the generators below it unfinished.
    with trio.CancelScope() as scope:
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            if len(body) > limit:
                scope.cancel()
            else:
                body += chunk
    return bytes(body)


def _refusal(response: httpx.Response, body: bytes) -> RestFault:
    status = response.status_code
    kind = _STATUS_KINDS.get(status, RestFaultKind.SERVER if status >= 500 else RestFaultKind.UNEXPECTED)
    said = body[: 2 * EXCERPT_CHARACTERS].decode("utf-8", "replace")
    retry_after = _retry_after(response.headers, body) if kind is RestFaultKind.RATE_LIMITED else None
    return RestFault(kind, f"HTTP {status} {said}".strip(), status=status, retry_after=retry_after)


def _retry_after(headers: Mapping[str, str], body: bytes) -> float | None:
    """Seconds to wait. A date is compared with the peer's own Date: both clocks are then the same clock."""
    wanted = headers.get("retry-after", "").strip() or _asked_in(body)
    try:
        now_epoch_s = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return parse_retry_after(wanted, now_epoch_s=0.0) if wanted.isdecimal() else None
    return parse_retry_after(wanted, now_epoch_s=now_epoch_s)


def _asked_in(body: bytes) -> str:
    try:
        found = json_of(body)
    except WireError:
        return ""
    return str(found.get("retry_after_seconds", "")) if isinstance(found, dict) else ""


def _read(body: bytes | None, reader: Callable[[bytes], _T | None]) -> _T | None:
    try:
        return None if body is None else reader(body)
    except WireError as error:
        kind = _REASON_KINDS.get(error.reason, RestFaultKind.UNEXPECTED)
        raise RestFault(kind, str(error), status=200) from error


def _judged(judge: _Judge, condition_id: str) -> Callable[[bytes], Ruling]:
    return lambda found: judge(json_of(found), condition_id)


def _family(slug: str) -> str:
    """What the memory of what worked is kept by: few enough to never need forgetting."""
    try:
        return slot_of_slug(slug).series
    except UnknownSlug:
        return ""


def _checked(name: str, pattern: str) -> None:
    if not re.fullmatch(pattern, name):
        raise ValueError(f"no id of the venue: {excerpt(name)!r}")


@cache
def _authorities(ca_file: str | None) -> ssl.SSLContext:
    """Read once for all engines of this process (see `dial.shared_tls_context`)."""
    return httpx.create_ssl_context(trust_env=False) if ca_file is None else ssl.create_default_context(cafile=ca_file)


def _base_url(url: str) -> str:
    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"not a URL: {error}") from None
    parts = urlsplit(url)
    plain = parts.scheme == "http" and _loopback(parts.hostname or "")
    if not parts.hostname or not (parts.scheme == "https" or plain):
        raise ValueError(f"not https, nor http on a loopback host: {excerpt(parts.netloc.rpartition('@')[2])!r}")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("the URL of the venue has a query, a fragment or a user name")
    return url.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
