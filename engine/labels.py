"""Labels: the outcome of one market as the venue resolved it, never as anybody computed it.

The rule is strict. Decided is what is closed with exactly one token marked as the winner (the order book's word), or
closed with prices of exactly 1 and 0 (the catalogue's). Closed at 0.5 each is void. Closed in any other way (no token
marked or both, prices of 0 and 0, or of 0.9995 and 0.0005) is ambiguous, and may yet become clear. What is not closed
is not decided, whatever its prices. A tie is what the venue makes of it; its rules say Up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec
from attrs import Attribute, asdict, field, frozen
from attrs.validators import ge, le, matches_re, optional

from engine.bodies import flag, objects, price, texts
from engine.errors import LabelError, UnknownSlug, WireError
from engine.markets import CONDITION_ID_PATTERN, Market, Outcome, Target
from engine.metadata import chosen, market_from_clob, market_from_gamma
from engine.series import DAY_S, slot_of_slug
from engine.units import NS_PER_S, PRICE_SCALE

LATE_NS: Final = 600 * NS_PER_S
"""A label that was not known so long after the end is late."""

YOUNG_NS: Final = DAY_S * NS_PER_S
"""A market that ended longer ago is not asked for any more."""

SLUG_PATTERN: Final = r"[!-~]{1,200}"

_MAX_NS: Final = 2**63 - 1
_REASON_CHARACTERS: Final = 200
_HALVES: Final = [PRICE_SCALE // 2] * 2


class LabelStatus(StrEnum):
    """What became of a market, weakest word first; ``UNRESOLVED``: nothing yet, or nothing until it was given up."""

    UNRESOLVED = "unresolved"
    AMBIGUOUS = "ambiguous"
    VOID = "void"
    RESOLVED = "resolved"


class LabelSource(StrEnum):
    """Whose word it is: the order book's page, the catalogue's, or a message of the stream."""

    CLOB = "clob"
    GAMMA = "gamma"
    STREAM = "stream"


_RANK: Final = {status: rank for rank, status in enumerate(LabelStatus)}
SETTLED: Final = frozenset({LabelStatus.RESOLVED, LabelStatus.VOID})
"""What no later word of the venue is waited for."""


def _decided_or_none(instance: Ruling | Label, attribute: Attribute[Any], value: Outcome | None) -> None:
    if (value is None) is (instance.status is LabelStatus.RESOLVED):
        raise ValueError(f"{attribute.name} {value} of what is {instance.status}")


@frozen(kw_only=True)
class Ruling:
    """What one answer says of a market; there is an ``outcome`` exactly if it is ``RESOLVED``.

    ``UNRESOLVED`` is not yet. ``resolved_by`` is whose word it is, ``None`` while there is none.
    """

    status: LabelStatus = LabelStatus.UNRESOLVED
    outcome: Outcome | None = field(default=None, validator=_decided_or_none)
    resolved_by: LabelSource | None = None


@frozen(kw_only=True)
class Label:
    """The outcome of one market; there is an ``outcome`` exactly if the status is ``RESOLVED``.

    ``resolved_by`` is whose word it is, ``None`` without one. ``late``: it was not known 600 s after the end.
    ``start_ns`` and ``end_ns`` bound the window that decided, ``at_ns`` is when the label was made (epoch ns).
    """

    condition_id: str = field(validator=matches_re(CONDITION_ID_PATTERN))
    slug: str | None = field(default=None, validator=optional(matches_re(SLUG_PATTERN)))
    series: str | None = field(default=None, validator=optional(matches_re(SLUG_PATTERN)))
    status: LabelStatus
    outcome: Outcome | None = field(default=None, validator=_decided_or_none)
    resolved_by: LabelSource | None = None
    late: bool = False
    start_ns: int | None = field(default=None, validator=optional([ge(0), le(_MAX_NS)]))
    end_ns: int | None = field(default=None, validator=optional([ge(0), le(_MAX_NS)]))
    at_ns: int = field(validator=[ge(0), le(_MAX_NS)])

    @property
    def settled(self) -> bool:
        """Whether no later word of the venue is waited for."""
        return self.status in SETTLED


_DECODER: Final = msgspec.json.Decoder(Label)


def line_of(label: Label) -> str:
    """The label as one line of compact JSON in ASCII, without the newline."""
    return msgspec.json.encode(asdict(label)).decode()


def label_of(line: str | bytes) -> Label:
    """The label that a line holds; fields that are not known are ignored.

    Raises ``LabelError`` for everything else: no JSON, missing fields, values out of range or at odds.
    """
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise LabelError(f"no label: {str(error)[:_REASON_CHARACTERS]}") from None


def ruling_of_clob(body: object, condition_id: str) -> Ruling:
    """What a CLOB ``/markets/<condition id>`` answer says of the market.

    Raises ``WireError``: ``shape``, ``foreign_market``, ``not_two_outcomes``, ``bad_id``, ``stale_market``.
    """
    market = market_from_clob(body)
    if market is not None and market.condition_id != condition_id:
        raise WireError("foreign_market", f"asked for {condition_id}, got {market.condition_id}")
    halves = isinstance(body, dict) and flag(body, "is_50_50_outcome", default=False)
    return _ruling(market, LabelSource.CLOB, halves=halves)


def ruling_of_gamma(body: object, condition_id: str) -> Ruling:
    """What a Gamma ``/markets`` answer (array or object) says of the market; none at all is not yet.

    Raises ``WireError`` as `engine.metadata.market_from_gamma` does.
    """
    item = chosen(objects(body), {"conditionId": condition_id})
    if item is None:
        return Ruling()
    halves = [price(value) for value in texts(item, "outcomePrices")] == _HALVES
    return _ruling(market_from_gamma(item, condition_id=condition_id), LabelSource.GAMMA, halves=halves)


def stronger(one: Ruling, other: Ruling) -> Ruling:
    """The ruling that says more; the first of equals."""
    return max(one, other, key=lambda ruling: _RANK[ruling.status])


def label_for(target: Target, market: Market, ruling: Ruling, *, over_ns: int | None, at_ns: int) -> Label:
    """The label of a market that was over at ``over_ns`` and whose last word, at ``at_ns``, is ``ruling``."""
    slug = next((name for name in (market.slug, target.slug) if name and re.fullmatch(SLUG_PATTERN, name)), None)
    return Label(
        condition_id=market.condition_id,
        slug=slug,
        series=target.series or _series_of(slug),
        status=ruling.status,
        outcome=ruling.outcome,
        resolved_by=ruling.resolved_by,
        late=over_ns is not None and at_ns - over_ns > LATE_NS,
        start_ns=_bounded(target.start_ns if market.start_ns is None else market.start_ns),
        end_ns=_bounded(end_of(target, market)),
        at_ns=at_ns,
    )


def end_of(target: Target, market: Market) -> int | None:
    """The end of the window that decides: by the metadata, else by the calendar, ``None`` if nobody knows it."""
    return target.end_ns if market.end_ns is None else market.end_ns


def unlabelled(
    markets: Iterable[tuple[Target, Market]], labels: Mapping[str, Label], now_ns: int
) -> list[tuple[Target, Market]]:
    """The markets whose label is still to be had: none is settled yet, and the end is known and not a day ago."""
    wanted = []
    for target, market in markets:
        label, end_ns = labels.get(market.condition_id), end_of(target, market)
        if not (label is not None and label.settled) and end_ns is not None and now_ns - end_ns < YOUNG_NS:
            wanted.append((target, market))
    return wanted


def _ruling(market: Market | None, source: LabelSource, *, halves: bool) -> Ruling:
    if market is None or not market.closed:
        return Ruling()
    if market.winner is not None and not halves:
        return Ruling(status=LabelStatus.RESOLVED, outcome=market.winner, resolved_by=source)
    void = halves and market.winner is None
    return Ruling(status=LabelStatus.VOID if void else LabelStatus.AMBIGUOUS, resolved_by=source)


def _bounded(at_ns: int | None) -> int | None:
    """The instant, or ``None`` for one that no line can hold: metadata may name the year 9999."""
    return at_ns if at_ns is not None and 0 <= at_ns <= _MAX_NS else None


def _series_of(slug: str | None) -> str | None:
    try:
        return slot_of_slug(slug or "").series
    except UnknownSlug:
        return None
