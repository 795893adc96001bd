"""``updown markets``: what would be followed now and next, and whether the venue knows it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import httpx
import trio
from attrs import evolve, frozen

from actors import logs
from actors.cli.columns import aligned
from actors.cli.failures import Exit
from actors.cli.options import add_config_options, add_log_options, add_output_option, load, logs_in_color
from actors.cli.reload import require_follow
from actors.clock import Clock
from actors.crash import unwrapped
from actors.rest import Catalog, RestFault, VenueRest
from engine.followbook import FollowBook
from engine.markets import Market, Target, phase_of
from engine.series import SERIES, Slot, slot_of_slug
from engine.settings import Settings
from engine.units import NS_PER_S

IN_FLIGHT: Final = 4
_HEAD: Final = ("series", "slug", "phase", "start", "end", "left", "state", "condition id", "up token", "down token")
_LONG: Final = 20


@frozen(kw_only=True)
class Finding:
    """A target and what the venue says of it: a market, nothing (it is unknown), or an error."""

    target: Target
    market: Market | None = None
    error: str | None = None

    @property
    def state(self) -> str:
        """In a word."""
        return "error" if self.error is not None else "unknown" if self.market is None else "known"

    def as_json(self, now_ns: int) -> dict[str, Any]:
        """The row as plain JSON types; times are ISO texts in UTC, absent values ``None``."""
        target, market = self.target, self.market
        start_ns = market.start_ns if market is not None and market.start_ns is not None else target.start_ns
        end_ns = market.end_ns if market is not None and market.end_ns is not None else target.end_ns
        return {
            "series": target.series,
            "slug": target.slug if market is None or market.slug is None else market.slug,
            "condition_id": target.condition_id if market is None else market.condition_id,
            "up_asset_id": None if market is None else market.up_asset_id,
            "down_asset_id": None if market is None else market.down_asset_id,
            "start": _iso(start_ns),
            "end": _iso(end_ns),
            "seconds_left": None if end_ns is None else round((end_ns - now_ns) / NS_PER_S, 3),
            "phase": phase_of(target, market, now_ns).value,
            "state": self.state,
            "error": self.error,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Configuration, output and logs."""
    add_config_options(parser)
    add_output_option(parser, "table", "json", "jsonl", default="table")
    add_log_options(parser)


def main(arguments: argparse.Namespace) -> int:
    """Ask for every market once; ``FAILED`` when nothing could be reached. Raises ``ConfigError``."""
    loaded = require_follow(load(arguments))
    logs.configure(loaded.settings.log, colors=logs_in_color(arguments))
    try:
        now_ns, findings = trio.run(partial(find_markets, loaded.settings))
    except BaseExceptionGroup as group:
        raise unwrapped(group) from None
    sys.stdout.write(rendered([finding.as_json(now_ns) for finding in findings], arguments.output) + "\n")
    unreachable = all(finding.error is not None for finding in findings)
    return Exit.FAILED if unreachable else Exit.DONE


async def find_markets(
    settings: Settings, *, clock: Clock | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> tuple[int, list[Finding]]:
    """The time, and a finding for the current and the next slot of every series and for every fixed market."""
    now_ns = (clock or Clock.anchored()).now_ns()
    findings = [Finding(target=target) for target in targets(settings, now_ns)]
    rest = VenueRest(settings.venue, request_s=settings.discovery.request_s, transport=transport)
    limit = trio.CapacityLimiter(IN_FLIGHT)

    async def look_up(index: int) -> None:
        async with limit:
            findings[index] = await found(findings[index], rest)

    try:
        async with trio.open_nursery() as nursery:
            for index in range(len(findings)):
                nursery.start_soon(look_up, index)
    finally:
        with trio.CancelScope(shield=True):
            await rest.aclose()
    return now_ns, findings


def targets(settings: Settings, now_ns: int) -> Iterator[Target]:
    """What the follow list means at a time, in its order."""
    for follow in settings.follow:
        if follow.series is not None:
            slot = SERIES[follow.series].slot_at(now_ns)
            yield from (slot.target(), SERIES[follow.series].next(slot).target())
        else:
            book = FollowBook(settings.discovery)
            book.follow(follow)
            yield from book.due(now_ns)


async def found(finding: Finding, rest: Catalog) -> Finding:
    """The finding with the venue's answer."""
    try:
        return evolve(finding, market=await _answer(finding.target, rest))
    except RestFault as fault:
        return evolve(finding, error=str(fault))


def rendered(rows: Sequence[dict[str, Any]], output: str) -> str:
    """The rows as ``table``, ``json`` or ``jsonl``."""
    if output == "json":
        return json.dumps(rows, indent=2)
    if output == "jsonl":
        return "\n".join(map(json.dumps, rows))
    return aligned([_HEAD, *map(_cells, rows)])


async def _answer(target: Target, rest: Catalog) -> Market | None:
    if target.condition_id is not None:
        return await rest.market_by_condition_id(target.condition_id)
    for slug in _slugs(target):
        if (market := await rest.market_by_slug(slug)) is not None:
            return market
    return None


def _slugs(target: Target) -> list[str]:
    """Under which slugs the venue may have listed a target."""
    slug = target.slug or target.key
    if target.series is None:
        return [slug]
    slot: Slot = slot_of_slug(slug)
    return [slug, *(other.slug for other in SERIES[target.series].alternatives(slot))]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    left = "" if row["seconds_left"] is None else f"{row['seconds_left']:.0f} s"
    state = row["state"] if row["error"] is None else row["error"]
    texts = (row["series"], row["slug"], row["phase"], row["start"], row["end"], left, state)
    ids = (row["condition_id"], row["up_asset_id"], row["down_asset_id"])
    return (*(text or "" for text in texts), *(_short(text or "") for text in ids))


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:10]}…{text[-6:]}"


def _iso(at_ns: int | None) -> str | None:
    return None if at_ns is None else datetime.fromtimestamp(at_ns / NS_PER_S, UTC).isoformat().replace("+00:00", "Z")
