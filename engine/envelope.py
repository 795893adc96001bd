"""The envelope: one JSON object per signal, as sinks write it and any language reads it.

The text is a function of the signal alone (no clock, no counter), so live and replay print the same bytes. ``event_id``
is the de-duplication key: one market and deadline, one id. Absent values are ``null``, never 0.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from attrs import asdict

from engine.signals import AggregateSignal, MarketSignals, Signal
from engine.units import NS_PER_MS

SCHEMA_VERSION: Final = 1
SOURCE: Final = "polymarket"


def envelope(signal: Signal) -> dict[str, Any]:
    """The signal as plain JSON types, keys in documented order: what any reader makes of ``envelope_line``."""
    plain: dict[str, Any] = msgspec.json.decode(envelope_line(signal))
    return plain


def envelope_line(signal: Signal) -> str:
    """The envelope as one line of compact JSON, without the newline."""
    return msgspec.json.encode(_fields(signal)).decode()


def _fields(signal: Signal) -> dict[str, Any]:
    return _market(signal) if isinstance(signal, MarketSignals) else _aggregate(signal)


def _head(event_type: str, name: str, signal: Signal) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "event_id": f"{event_type}:{name}:{signal.as_of_ns}",
        "event_type": event_type,
        "ts_ms": signal.as_of_ns // NS_PER_MS,
        "as_of_ns": signal.as_of_ns,
        "source": SOURCE,
        "underlying": signal.underlying,
    }


def _market(signal: MarketSignals) -> dict[str, Any]:
    return {
        **_head("market_signal", signal.target, signal),
        "target": signal.target,
        "series": signal.series,
        "condition_id": signal.condition_id,
        "slug": signal.slug,
        "yes_asset_id": signal.yes_asset_id,
        "no_asset_id": signal.no_asset_id,
        "phase": signal.phase,
        "score": signal.score,
        "confidence": signal.confidence,
        "confidence_seed": signal.confidence_seed,
        "signal_type": signal.signal_type,
        "reason": signal.reason,
        "components": asdict(signal.components),
        "components_present": signal.components_present,
        "window": asdict(signal.window),
        "quality": asdict(signal.quality),
        "market": asdict(signal.market),
        "preset": asdict(signal.preset),
    }


def _aggregate(signal: AggregateSignal) -> dict[str, Any]:
    body = asdict(signal)
    del body["as_of_ns"], body["underlying"]
    return {**_head("aggregate_signal", signal.underlying, signal), **body}
