"""Settings as validated values. Units are part of the names; every default works.

They are plain data: the command line and the config loader build them, the engine only reads them. Out-of-range values
raise ``ValueError`` from the attrs validators, which name the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import Attribute, Factory, field, frozen
from attrs.validators import ge, gt, in_, le, matches_re, min_len, optional

from engine.markets import CONDITION_ID_PATTERN

SCORE_WINDOW_S = (60.0, 600.0)


def _one_choice(instance: FollowSettings, attribute: Attribute[Any], value: object) -> None:
    chosen = [name for name in ("series", "slug", "condition_id") if getattr(instance, name) is not None]
    if len(chosen) != 1:
        named = ", ".join(chosen) if chosen else "none"
        raise ValueError(f"name exactly one of series, slug, condition_id (found: {named})")


@frozen(kw_only=True)
class FollowSettings:
    """One line of the follow list: a rolling ``series``, or one fixed market by ``slug`` or ``condition_id``."""

    series: str | None = field(default=None, validator=optional(min_len(1)))
    slug: str | None = field(default=None, validator=optional(matches_re(r"[a-z0-9-]{1,200}")))
    condition_id: str | None = field(default=None, validator=[optional(matches_re(CONDITION_ID_PATTERN)), _one_choice])

    @property
    def name(self) -> str:
        """What was named, for logs and look-ups."""
        return self.series or self.slug or self.condition_id or ""


@frozen(kw_only=True)
class ScoringSettings:
    """The window and the formulas.

    A silence longer than ``stale_after_s`` is not covered time. A market that has been without word from the venue,
    and without a live socket, for longer than ``outage_grace_s`` is unavailable. ``weights`` and ``options`` override
    single entries of the preset.
    """

    preset: str = field(default="seed", validator=min_len(1))
    window_s: float = field(default=120.0, validator=[ge(SCORE_WINDOW_S[0]), le(SCORE_WINDOW_S[1])])
    cadence_s: float = field(default=5.0, validator=[ge(0.25), le(600.0)])
    stale_after_s: float = field(default=10.0, validator=[ge(1.0), le(120.0)])
    outage_grace_s: float = field(default=5.0, validator=[ge(0.0), le(120.0)])
    weights: Mapping[str, float] = Factory(dict)
    options: Mapping[str, str | float | bool] = Factory(dict)


@frozen(kw_only=True)
class VenueSettings:
    """Where the venue is. Plain ``ws``/``http`` is accepted for loopback only."""

    websocket_url: str = field(
        default="wss://ws-subscriptions-clob.polymarket.com/ws/market", validator=matches_re(r"wss?://\S+")
    )
    gamma_url: str = field(default="https://gamma-api.polymarket.com", validator=matches_re(r"https?://\S+"))
    clob_url: str = field(default="https://clob.polymarket.com", validator=matches_re(r"https?://\S+"))
    user_agent: str = field(default="updown", validator=matches_re(r"[ -~]{1,200}"))
    ca_file: str | None = None


class TransportKind(StrEnum):
    """The library that speaks WebSocket; ``websockets`` needs the extra of that name."""

    TRIO_WEBSOCKET = "trio-websocket"
    WEBSOCKETS = "websockets"


def _longer_than_ping(instance: FeedSettings, attribute: Attribute[Any], value: float) -> None:
    if value <= instance.ping_every_s:
        raise ValueError(f"{attribute.name} must be longer than ping_every_s")


@frozen(kw_only=True)
class FeedSettings:
    """Transport, deadlines and limits of one socket (seconds and bytes).

    A socket that has said nothing of its market for ``idle_s`` is replaced, and one whose book stays missing, crossed
    or at odds with the stated top for ``resync_s`` too, the latter at most twice a minute.
    """

    transport: TransportKind = field(default=TransportKind.TRIO_WEBSOCKET, converter=TransportKind)
    connect_s: float = field(default=8.0, validator=[gt(0), le(10.0)])
    close_s: float = field(default=1.0, validator=[gt(0), le(2.0)])
    ping_every_s: float = field(default=10.0, validator=[gt(0), le(25.0)])
    pong_within_s: float = field(default=30.0, validator=[gt(0), le(120.0), _longer_than_ping])
    first_event_s: float = field(default=5.0, validator=[gt(0), le(60.0)])
    idle_s: float = field(default=30.0, validator=[gt(0), le(600.0)])
    resync_s: float = field(default=5.0, validator=[gt(0), le(60.0)])
    message_bytes: int = field(default=1 << 20, validator=[ge(1 << 12), le(1 << 24)])
    backoff_base_s: float = field(default=0.5, validator=[gt(0), le(60.0)])
    backoff_cap_s: float = field(default=30.0, validator=[gt(0), le(900.0)])
    backoff_reset_s: float = field(default=30.0, validator=[ge(0), le(3600.0)])
    connects_per_s: float = field(default=5.0, validator=[gt(0), le(1000.0)])
    connects_burst: int = field(default=3, validator=[ge(1), le(1000)])


@frozen(kw_only=True)
class DiscoverySettings:
    """How slots are warmed, looked up and retired (seconds).

    The next slot is followed ``warm_s`` before it opens (at least 60) and the old one is let go ``retire_after_s``
    after its end; by default, all of the usual window is covered when a slot opens. What somebody held is followed for
    ``linger_s`` more after nobody does. An unknown market is asked for every ``retry_s`` growing to ``retry_cap_s``.
    """

    warm_s: float = field(default=150.0, validator=[ge(60.0), le(3600.0)])
    retire_after_s: float = field(default=15.0, validator=[ge(0.0), le(3600.0)])
    linger_s: float = field(default=300.0, validator=[ge(0.0), le(3600.0)])
    retry_s: float = field(default=2.0, validator=[gt(0), le(60.0)])
    retry_cap_s: float = field(default=15.0, validator=[gt(0), le(900.0)])
    refresh_s: float = field(default=60.0, validator=[ge(5.0), le(3600.0)])
    request_s: float = field(default=10.0, validator=[gt(0), le(60.0)])


@frozen(kw_only=True)
class SupervisionSettings:
    """How often an actor may crash before its market is set aside, and for how long."""

    intensity: int = field(default=5, validator=[ge(1), le(100)])
    period_s: float = field(default=60.0, validator=[gt(0), le(3600.0)])
    quarantine_s: float = field(default=300.0, validator=[gt(0), le(3600.0)])
    quarantine_cap_s: float = field(default=3600.0, validator=[gt(0), le(86400.0)])


@frozen(kw_only=True)
class AggregateSettings:
    """``grace_s`` is how long an aggregate waits for the last market of a deadline.

    ``outside`` names the outside scores that are expected; while one is missing or older than ``outside_max_age_s``
    the fused confidence carries the penalty for a missing side.
    """

    grace_s: float = field(default=1.0, validator=[gt(0), le(60.0)])
    outside: tuple[str, ...] = ()
    outside_max_age_s: float = field(default=300.0, validator=[gt(0), le(86400.0)])


@frozen(kw_only=True)
class RecordingSettings:
    """Tapes: everything that happens to every followed market, for replay and evaluation.

    ``record`` switches them on for every command that runs an engine. A part is followed by another one at
    ``rotate_mb``. Days older than ``keep_days`` and whatever is more than ``max_gb`` are deleted, oldest first (0: no
    limit). ``queue_mb`` of lines may wait for the disk. ``labels`` asks for every market's outcome after its end.
    """

    record: bool = False
    folder: str = field(default="tapes", validator=min_len(1))
    rotate_mb: float = field(default=64.0, validator=[ge(1.0), le(4096.0)])
    keep_days: float = field(default=0.0, validator=[ge(0.0), le(3650.0)])
    max_gb: float = field(default=0.0, validator=[ge(0.0), le(100_000.0)])
    queue_mb: float = field(default=64.0, validator=[ge(1.0), le(4096.0)])
    labels: bool = True


@frozen(kw_only=True)
class LogSettings:
    """What the logs say and how."""

    level: str = field(default="info", validator=in_(("debug", "info", "warning", "error")))
    format: str = field(default="console", validator=in_(("console", "json")))


@frozen(kw_only=True)
class Settings:
    """Everything an engine needs. ``Settings()`` follows nothing until told to."""

    follow: tuple[FollowSettings, ...] = ()
    scoring: ScoringSettings = Factory(ScoringSettings)
    venue: VenueSettings = Factory(VenueSettings)
    feed: FeedSettings = Factory(FeedSettings)
    discovery: DiscoverySettings = Factory(DiscoverySettings)
    supervision: SupervisionSettings = Factory(SupervisionSettings)
    aggregate: AggregateSettings = Factory(AggregateSettings)
    recording: RecordingSettings = Factory(RecordingSettings)
    log: LogSettings = Factory(LogSettings)
