"""The commented example: every setting with its default, generated so that it cannot drift from the code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from engine.presets import PRESETS
from engine.settings import Settings

FOLLOWED: Final = ("btc-5m", "btc-15m", "btc-1h")
"""The series the example follows."""

SECTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scoring": "The window and the formulas.",
        "venue": "Where the venue is. Plain ws:// and http:// are accepted for this machine alone.",
        "feed": "One socket: its library, deadlines, limits and patience.",
        "discovery": "How the markets of a series are warmed up, looked up and let go.",
        "supervision": "How often an actor may crash before its market is set aside, and for how long.",
        "aggregate": "What is made of all markets of an underlying.",
        "recording": "Tapes of everything that happens to every followed market, for replay and evaluation.",
        "log": "Logs go to stderr.",
    }
)

COMMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scoring.preset": f"one of {', '.join(PRESETS)}, or the name of a plug-in scorer",
        "scoring.window_s": "seconds of trades and quotes that a score looks at (60 to 600)",
        "scoring.cadence_s": "seconds from one signal of a market to the next (0.25 to 600)",
        "scoring.stale_after_s": "a longer silence does not count as covered time (seconds, 1 to 120)",
        "scoring.outage_grace_s": "a market out of touch for longer is unavailable (seconds, 0 to 120)",
        "scoring.weights": "weights in place of the preset's own (0 to 1), for example:",
        "scoring.options": "options of the scorer in place of the preset's own, for example:",
        "venue.websocket_url": "the market channel",
        "venue.gamma_url": "REST: markets by slug",
        "venue.clob_url": "REST: markets by condition id, books",
        "venue.user_agent": "how requests name themselves",
        "venue.ca_file": "a file of certificates to trust besides the system's (PEM)",
        "feed.transport": "the library that speaks WebSocket: trio-websocket, or websockets (needs updown[websockets])",
        "feed.connect_s": "name, TCP, TLS and upgrade together may take this long (seconds, up to 10)",
        "feed.close_s": "the venue may take this long to say goodbye (seconds, up to 2)",
        "feed.ping_every_s": "seconds from one PING to the next (up to 25)",
        "feed.pong_within_s": "without a PONG for this long the connection is half open (seconds, up to 120)",
        "feed.first_event_s": "the first event is due this long after subscribing (seconds, up to 60)",
        "feed.idle_s": "a socket that says nothing of its market for this long is replaced (seconds, up to 600)",
        "feed.resync_s": "so is one whose book stays missing, crossed or contradictory (seconds, up to 60)",
        "feed.message_bytes": "largest message in bytes (4096 to 16777216)",
        "feed.backoff_base_s": "first wait before reconnecting, doubled each time (seconds, up to 60)",
        "feed.backoff_cap_s": "longest such wait (seconds, up to 900)",
        "feed.backoff_reset_s": "live data for this long make the waits short again (seconds, 0 to 3600)",
        "feed.connects_per_s": "connects a second of the whole process (up to 1000)",
        "feed.connects_burst": "connects at once of the whole process (1 to 1000)",
        "discovery.warm_s": "the next market is followed this long before it opens (seconds, 60 to 3600)",
        "discovery.retire_after_s": "the old one is let go this long after its end (seconds, 0 to 3600)",
        "discovery.linger_s": "what no bot holds any more is followed for so long yet (seconds, 0 to 3600)",
        "discovery.retry_s": "first wait before asking again for an unknown market (seconds, up to 60)",
        "discovery.retry_cap_s": "longest wait before asking again (seconds, up to 900)",
        "discovery.refresh_s": "a known market is looked up again this often (seconds, 5 to 3600)",
        "discovery.request_s": "one request may take this long in all (seconds, up to 60)",
        "supervision.intensity": "restarts within the period that are tolerated (1 to 100)",
        "supervision.period_s": "the period (seconds, up to 3600)",
        "supervision.quarantine_s": "a market is then set aside for this long, doubled each time (seconds, up to 3600)",
        "supervision.quarantine_cap_s": "longest time set aside (seconds, up to 86400)",
        "aggregate.grace_s": "an aggregate waits this long for its last market (seconds, up to 60)",
        "aggregate.outside": "names of the scores from elsewhere that are expected",
        "aggregate.outside_max_age_s": "older ones count as missing (seconds, up to 86400)",
        "recording.record": "record whenever an engine runs; `updown record` does so anyway",
        "recording.folder": "where: a folder for each day (UTC), one file or more for each market",
        "recording.rotate_mb": "a file of so many megabytes is followed by another one (1 to 4096)",
        "recording.keep_days": "days older than so many are deleted, 0: none (days, 0 to 3650)",
        "recording.max_gb": "beyond so many gigabytes the oldest files are deleted, 0: never (0 to 100000)",
        "recording.queue_mb": "megabytes of lines that may wait for the disk (1 to 4096)",
        "recording.labels": "ask for the outcome of every market after its end, and write it beside the tapes",
        "log.level": "one of debug, info, warning, error",
        "log.format": "console or json",
    }
)
"""What each setting means, with its unit and its range."""

_HEAD: Final = """\
# Configuration of updown: every setting with its default. Whatever is left out keeps its default.
#
#   updown check-config -c updown.toml     is it right?
#   updown run -c updown.toml              run it; kill -HUP applies changes of the follow list
#
# Stronger than a file: the environment (UPDOWN__SCORING__WINDOW_S=180), and stronger still the
# command line (--set scoring.window_s=180).

# What to follow: a rolling series (btc, eth, sol or xrp; 5m, 15m, 1h, 4h or 1d), the next market
# warmed up before it opens.
"""
_FIXED: Final = """\
# Or one fixed market:
# [[follow]]
# slug = "btc-updown-15m-1786891500"
# [[follow]]
# condition_id = "0x<64 hexadecimal digits>"
"""
_ABSENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scoring.weights": "weights = { momentum = 0.4, volume_flow = 0.35, whale = 0.25 }",
        "scoring.options": 'options = { weight = "orders", lambda_flow = 5.0 }',
        "venue.ca_file": 'ca_file = "/etc/ssl/certs/venue.pem"',
    }
)
"""How settings without a default value look when they are given."""


def example_text() -> str:
    """The example as TOML: loads to the defaults plus the followed series. Ends with a newline."""
    follows = "\n".join(f'[[follow]]\nseries = "{name}"\n' for name in FOLLOWED)
    sections = ("\n".join(_section(name)) for name in SECTIONS)
    return "\n".join((_HEAD + follows, _FIXED, *sections))


def _section(name: str) -> Iterator[str]:
    yield f"# {SECTIONS[name]}"
    yield f"[{name}]"
    for key, value in attrs.asdict(getattr(Settings(), name)).items():
        dotted = f"{name}.{key}"
        yield f"# {COMMENTS[dotted]}"
        yield f"# {_ABSENT[dotted]}" if value in (None, {}) else f"{key} = {_toml(value)}"
    yield ""


def _toml(value: Any) -> str:
    # A JSON string, number or array of strings is one of TOML, too.
    return json.dumps(value)
