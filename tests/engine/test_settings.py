"""Settings: every default works, every bound is kept."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from engine.settings import (
    AggregateSettings,
    DiscoverySettings,
    FeedSettings,
    FollowSettings,
    LogSettings,
    RecordingSettings,
    ScoringSettings,
    Settings,
    SupervisionSettings,
    TransportKind,
    VenueSettings,
)

CONDITION = "0x" + "ab" * 32

# section, field, lowest allowed (None: the bound itself is excluded), highest allowed
BOUNDS: list[tuple[type, str, float, float | None, float]] = [
    (ScoringSettings, "window_s", 60.0, 60.0, 600.0),
    (ScoringSettings, "cadence_s", 0.25, 0.25, 600.0),
    (ScoringSettings, "stale_after_s", 1.0, 1.0, 120.0),
    (ScoringSettings, "outage_grace_s", 0.0, 0.0, 120.0),
    (FeedSettings, "connect_s", 0.0, None, 10.0),
    (FeedSettings, "close_s", 0.0, None, 2.0),
    (FeedSettings, "ping_every_s", 0.0, None, 25.0),
    (FeedSettings, "pong_within_s", 0.0, None, 120.0),
    (FeedSettings, "first_event_s", 0.0, None, 60.0),
    (FeedSettings, "idle_s", 0.0, None, 600.0),
    (FeedSettings, "resync_s", 0.0, None, 60.0),
    (FeedSettings, "message_bytes", 4096, 4096, 1 << 24),
    (FeedSettings, "backoff_base_s", 0.0, None, 60.0),
    (FeedSettings, "backoff_cap_s", 0.0, None, 900.0),
    (FeedSettings, "backoff_reset_s", 0.0, 0.0, 3600.0),
    (FeedSettings, "connects_per_s", 0.0, None, 1000.0),
    (FeedSettings, "connects_burst", 1, 1, 1000),
    (DiscoverySettings, "warm_s", 60.0, 60.0, 3600.0),
    (DiscoverySettings, "retire_after_s", 0.0, 0.0, 3600.0),
    (DiscoverySettings, "linger_s", 0.0, 0.0, 3600.0),
    (DiscoverySettings, "retry_s", 0.0, None, 60.0),
    (RecordingSettings, "rotate_mb", 1.0, 1.0, 4096.0),
    (RecordingSettings, "keep_days", 0.0, 0.0, 3650.0),
    (RecordingSettings, "max_gb", 0.0, 0.0, 100_000.0),
    (RecordingSettings, "queue_mb", 1.0, 1.0, 4096.0),
    (DiscoverySettings, "retry_cap_s", 0.0, None, 900.0),
    (DiscoverySettings, "refresh_s", 5.0, 5.0, 3600.0),
    (DiscoverySettings, "request_s", 0.0, None, 60.0),
    (SupervisionSettings, "intensity", 1, 1, 100),
    (SupervisionSettings, "period_s", 0.0, None, 3600.0),
    (SupervisionSettings, "quarantine_s", 0.0, None, 3600.0),
    (SupervisionSettings, "quarantine_cap_s", 0.0, None, 86400.0),
    (AggregateSettings, "grace_s", 0.0, None, 60.0),
    (AggregateSettings, "outside_max_age_s", 0.0, None, 86400.0),
]


def test_the_defaults_follow_nothing_and_hold() -> None:
    settings = Settings()
    assert settings.follow == ()
    assert settings == Settings()
    assert settings.scoring.window_s == 120.0
    assert settings.feed.ping_every_s < settings.feed.pong_within_s
    assert settings.feed.backoff_base_s <= settings.feed.backoff_cap_s
    assert settings.discovery.retry_s <= settings.discovery.retry_cap_s
    assert settings.supervision.quarantine_s <= settings.supervision.quarantine_cap_s


def test_every_number_has_a_bound_that_is_listed_here() -> None:
    sections = {attribute.type for attribute in attrs.fields(attrs.resolve_types(Settings))} - {
        tuple[FollowSettings, ...]
    }
    numbers = {
        (section, attribute.name)
        for section in sections
        if section is not None
        for attribute in attrs.fields(attrs.resolve_types(section))
        if attribute.type in (int, float)
    }
    assert numbers == {(section, name) for section, name, *_ in BOUNDS}


@pytest.mark.parametrize(("section", "name", "floor", "lowest", "highest"), BOUNDS)
def test_bounds(section: type, name: str, floor: float, lowest: float | None, highest: float) -> None:
    for allowed in (highest, *([] if lowest is None else [lowest])):
        assert getattr(section(**{name: allowed}), name) == allowed
    below = floor if lowest is None else floor - 1e-9
    for refused in (below, highest + 1e-6, -1.0, float("nan"), float("inf"), float("-inf")):
        with pytest.raises(ValueError, match=name):
            section(**{name: refused})


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ({"series": "btc-15m"}, "btc-15m"),
        ({"slug": "btc-updown-15m-1786891500"}, "btc-updown-15m-1786891500"),
        ({"condition_id": CONDITION}, CONDITION),
    ],
)
def test_follow_names_one_thing(chosen: dict[str, str], name: str) -> None:
    assert FollowSettings(**chosen).name == name


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, "none"),
        ({"series": "btc-15m", "slug": "x"}, "series, slug"),
        ({"slug": "x", "condition_id": CONDITION}, "slug, condition_id"),
    ],
)
def test_follow_names_neither_nothing_nor_two_things(chosen: dict[str, str], found: str) -> None:
    with pytest.raises(ValueError, match=rf"found: {found}\)"):
        FollowSettings(**chosen)


@pytest.mark.parametrize(
    "chosen",
    [
        {"slug": ""},
        {"slug": "Upper"},
        {"slug": "a/../b"},
        {"slug": "x" * 201},
        {"slug": "x\n"},
        {"condition_id": "0x12"},
        {"condition_id": CONDITION.upper()},
        {"series": ""},
    ],
)
def test_follow_refuses_what_cannot_be_a_name(chosen: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        FollowSettings(**chosen)


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        (VenueSettings, {"websocket_url": "http://127.0.0.1/ws/market"}),
        (VenueSettings, {"websocket_url": "wss://"}),
        (VenueSettings, {"gamma_url": "ws://127.0.0.1"}),
        (VenueSettings, {"clob_url": "ftp:///etc/passwd"}),
        (VenueSettings, {"user_agent": ""}),
        (VenueSettings, {"user_agent": "two\r\nlines"}),
        (FeedSettings, {"transport": "pigeon"}),
        (LogSettings, {"level": "loud"}),
        (LogSettings, {"format": "xml"}),
        (ScoringSettings, {"preset": ""}),
    ],
)
def test_texts_are_checked(section: type, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        section(**changes)


def test_a_transport_goes_by_its_name() -> None:
    assert FeedSettings(transport="websockets").transport is TransportKind.WEBSOCKETS
    assert [*TransportKind] == ["trio-websocket", "websockets"]


def test_settings_are_frozen_values() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Settings().follow = ()  # type: ignore[misc]
    assert attrs.evolve(Settings(), scoring=ScoringSettings(window_s=60.0)) != Settings()


def test_the_answer_to_a_ping_may_take_longer_than_the_next_ping() -> None:
    with pytest.raises(ValueError, match="pong_within_s must be longer than ping_every_s"):
        FeedSettings(ping_every_s=20.0, pong_within_s=20.0)
