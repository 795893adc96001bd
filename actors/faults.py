"""Expected faults of a feed: one closed enum, one exception, one table of how patient to be with each kind."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import frozen

EXCERPT_CHARACTERS: Final = 256
RETRY_AFTER_MIN_S: Final = 1.0
RETRY_AFTER_MAX_S: Final = 900.0
_RETRY_AFTER_CHARACTERS: Final = 64
_SECONDS: Final = re.compile(r"\d+", re.ASCII)


class FaultKind(StrEnum):
    """Why a session with the venue ended, or never began. Closed: everything a reconnect loop has to tell apart."""

    DNS = "dns"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    HANDSHAKE = "handshake"
    BLOCKED = "blocked"
    RATE_LIMITED = "rate_limited"
    CLOSED = "closed"
    PROTOCOL = "protocol"
    OVERSIZE = "oversize"
    STALE = "stale"
    HALF_OPEN = "half_open"
    RESYNC = "resync"


class FeedFault(Exception):
    """An expected fault: the reconnect loop of its actor deals with it, the supervisor never sees it.

    `detail` is at most 256 printable characters, whatever the peer sent. `retry_after` is what the peer asked for, in
    seconds. `close_code` is the WebSocket close code of the peer, if there was one.
    """

    def __init__(
        self,
        kind: FaultKind,
        detail: str = "",
        *,
        retry_after: float | None = None,
        close_code: int | None = None,
    ) -> None:
        self.kind = kind
        self.detail = excerpt(detail)
        self.retry_after = retry_after
        self.close_code = close_code
        super().__init__(kind, self.detail)

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else str(self.kind)


@frozen(kw_only=True)
class Policy:
    """How long to wait after a fault: `min_s` plus full jitter over `base_s` doubling up to `cap_s` (all seconds)."""

    base_s: float
    cap_s: float
    min_s: float = 0.0


ORDINARY: Final = Policy(base_s=0.5, cap_s=30.0)
"""For faults that the next attempt may well not meet again."""

CAUTIOUS: Final = Policy(base_s=60.0, cap_s=900.0, min_s=60.0)
"""For answers that will not change soon, and that insisting makes worse."""

BACKOFF_POLICY: Final[Mapping[FaultKind, Policy]] = MappingProxyType(
    {
        FaultKind.DNS: ORDINARY,
        FaultKind.REFUSED: ORDINARY,
        FaultKind.CONNECT_TIMEOUT: ORDINARY,
        FaultKind.TLS: CAUTIOUS,
        FaultKind.HANDSHAKE: ORDINARY,
        FaultKind.BLOCKED: CAUTIOUS,
        FaultKind.RATE_LIMITED: CAUTIOUS,
        FaultKind.CLOSED: ORDINARY,
        FaultKind.PROTOCOL: ORDINARY,
        FaultKind.OVERSIZE: ORDINARY,
        FaultKind.STALE: ORDINARY,
        FaultKind.HALF_OPEN: ORDINARY,
        FaultKind.RESYNC: ORDINARY,
    }
)
"""The wait that each kind of fault calls for; complete over `FaultKind`."""


def excerpt(text: str, limit: int = EXCERPT_CHARACTERS) -> str:
    """`text` made safe for a log: one line of printable characters, at most `limit` of them.

    Control and format characters, line breaks and lone surrogates are escaped as in a Python literal; what was cut off
    shows as a final `…`. Idempotent, so a text may safely pass through it more than once.
    """
    cut = text[: limit + 1]
    escaped = cut if cut.isprintable() else "".join(map(_escaped, cut))
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def parse_retry_after(value: str | None, *, now_epoch_s: float) -> float | None:
    """Seconds to wait according to a Retry-After header: delay or date (RFC 9110, section 10.2.3).

    Clamped to [1, 900]: a date in the past means 1. None when the header is missing or makes no sense.
    """
    text = (value or "").strip()
    if not 0 < len(text) <= _RETRY_AFTER_CHARACTERS:
        return None
    seconds = float(text) if _SECONDS.fullmatch(text) else _seconds_until(text, now_epoch_s)
    return None if seconds is None else min(max(seconds, RETRY_AFTER_MIN_S), RETRY_AFTER_MAX_S)


def _seconds_until(http_date: str, now_epoch_s: float) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    # "-0000" parses as a naive time; HTTP dates are UTC by definition.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.timestamp() - now_epoch_s


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
