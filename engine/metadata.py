"""From the bodies of the venue's REST answers to what they say of a market or a book.

Tokens are told apart by label. A market that is not ready, because its id, outcomes or token ids are still empty, is
unknown (``None``); one that cannot be what was asked for, or breaks the protocol, is a ``WireError`` with a reason.

The window is ``eventStartTime`` (or the event's ``startTime``) to ``endDate``; ``startDate`` is the creation and never
read. For slugs of the calendar, ``endDate`` must lie near the slot's end, else this is a namesake of another day or
year (``stale_market``). Within that tolerance (a day for 1d, an hour for 4h, a minute for the rest) the metadata win
over the calendar, which only fills in what is missing or, of the start, impossible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from attrs import evolve

from engine.bodies import (
    Body,
    array,
    excerpt,
    flag,
    instant_ns,
    json_of,
    objects,
    price,
    price_step,
    text,
    texts,
)
from engine.errors import UnknownSlug, WireError
from engine.events import BookSnapshot, Level
from engine.markets import ASSET_ID_PATTERN, CONDITION_ID_PATTERN, Market, Outcome, outcome_from_label, tokens_by_label
from engine.series import HOUR_S, SERIES, Slot, slots_of_slug
from engine.units import NS_PER_S, PRICE_SCALE, price_ticks, size_units

MAX_LEVELS: Final = 10_000
"""Levels on one side of a book; a grid of 0.0001 has no more."""

DEFAULT_TICK: Final = 100

_CONDITION_ID: Final = re.compile(CONDITION_ID_PATTERN)
_ASSET_ID: Final = re.compile(ASSET_ID_PATTERN)


class _RestLevel(msgspec.Struct, gc=False):
    price: str | int | float
    size: str | int | float


class _RestBook(msgspec.Struct):
    market: str
    asset_id: str
    bids: list[_RestLevel]
    asks: list[_RestLevel]
    timestamp: str | int = ""
    hash: str = ""
    tick_size: str | int | float = ""


def market_from_gamma(body: object, *, slug: str | None = None, condition_id: str | None = None) -> Market | None:
    """The market of a Gamma ``/markets`` answer (array or object) with this slug or condition id.

    ``None`` when there is none or it is not ready. Raises ``WireError``: ``shape``, ``foreign_market``,
    ``stale_market``, ``not_two_outcomes``, ``bad_id``.
    """
    wanted = {"slug": slug, "conditionId": condition_id}
    item = chosen(objects(body), {name: value for name, value in wanted.items() if value is not None})
    return None if item is None else _gamma_market(item, slug)


def market_with_token(body: object, asset_id: str) -> Market | None:
    """The market of a Gamma ``/markets`` answer (array or object) that one of its tokens names.

    ``None`` when the answer is empty or that market is not ready. Errors as for `market_from_gamma`;
    ``foreign_market`` when there are markets, but none with that token.
    """
    listed = objects(body)
    for item in listed:
        if asset_id in texts(item, "clobTokenIds"):
            return _gamma_market(item, None)
    if listed:
        raise WireError("foreign_market", f"{len(listed)} markets, none with the token that was asked for")
    return None


def market_from_events(body: object, *, slug: str) -> Market | None:
    """The market of a Gamma ``/events`` answer; fields that its market lacks are taken from the event around it.

    Errors as for `market_from_gamma`.
    """
    listed = [
        {"slug": text(event, "slug"), "endDate": event.get("endDate"), "events": [event], **market}
        for event in objects(body)
        for market in objects(array(event, "markets"))
    ]
    item = chosen(listed, {"slug": slug})
    return None if item is None else _gamma_market(item, slug)


def chosen(items: Iterable[Body], wanted: Mapping[str, str]) -> Body | None:
    """The first item that is what was asked for (texts by field, in lower case), or does not say what it is.

    ``None`` when there are no items at all; raises ``WireError`` (``foreign_market``) when all of them are others.
    """
    foreign = 0
    for item in items:
        if all((text(item, name) or value).lower() == value for name, value in wanted.items()):
            return item
        foreign += 1
    if foreign:
        raise WireError("foreign_market", f"{foreign} other markets, not {', '.join(wanted.values())}")
    return None


def market_from_clob(body: object) -> Market | None:
    """The market of a CLOB ``/markets/<condition id>`` answer, ``None`` when it is not ready.

    It has no window of its own (``end_date_iso`` may be cut to the day): the calendar's is used where the slug is one
    of the calendar. Raises ``WireError``: ``shape``, ``not_two_outcomes``, ``bad_id``.
    """
    if not isinstance(body, dict):
        raise WireError("shape", "a market is an object")
    tokens = objects(array(body, "tokens"))
    slug = text(body, "market_slug") or None
    start_ns, end_ns = _window(slug, None, None)
    return _market(
        condition_id=text(body, "condition_id"),
        labels=[text(token, "outcome") for token in tokens],
        asset_ids=[text(token, "token_id") for token in tokens],
        slug=slug,
        start_ns=start_ns,
        end_ns=end_ns,
        tick=price_step(body.get("minimum_tick_size")),
        closed=flag(body, "closed", default=False),
        accepting_orders=flag(body, "accepting_orders", default=True),
        winners=[flag(token, "winner", default=False) for token in tokens],
    )


def with_window_of(market: Market, other: Market | None) -> Market:
    """``market`` with the window, and if need be the slug, that another answer tells of it."""
    if other is None:
        return market
    return evolve(
        market,
        slug=market.slug or other.slug,
        start_ns=market.start_ns if other.start_ns is None else other.start_ns,
        end_ns=market.end_ns if other.end_ns is None else other.end_ns,
    )


def merged(known: Market | None, market: Market) -> Market:
    """What was known and is not said this time still holds; nothing that has closed opens again."""
    if known is None or known.condition_id != market.condition_id:
        return market
    closed = known.closed or market.closed
    return evolve(
        market,
        slug=market.slug or known.slug,
        start_ns=known.start_ns if market.start_ns is None else market.start_ns,
        end_ns=known.end_ns if market.end_ns is None else market.end_ns,
        closed=closed,
        accepting_orders=market.accepting_orders and not closed,
        winner=market.winner or known.winner,
    )


def book_from_clob(body: bytes, asset_id: str) -> BookSnapshot:
    """The book of a CLOB ``/book`` answer; levels without size are left out.

    Raises ``WireError``: ``not_json``, ``shape``, ``oversize``, ``foreign_asset``, ``bad_id``, ``bad_number``.
    """
    try:
        book = msgspec.convert(json_of(body), _RestBook)
    except msgspec.ValidationError as error:
        raise WireError("shape", excerpt(error)) from None
    if book.asset_id != asset_id:
        raise WireError("foreign_asset", f"asked for {asset_id}, got {excerpt(book.asset_id)}")
    market = book.market.lower()
    if not _CONDITION_ID.fullmatch(market):
        raise WireError("bad_id", excerpt(market))
    return BookSnapshot(
        market=market,
        asset_id=asset_id,
        bids=_levels(book.bids),
        asks=_levels(book.asks),
        venue_ms=int(book.timestamp) if re.fullmatch(r"[0-9]{1,15}", str(book.timestamp)) else 0,
        hash=book.hash if re.fullmatch(r"[0-9a-f]{1,64}", book.hash) else "",
        tick=price_step(book.tick_size),
    )


def epoch_seconds(body: bytes) -> int:
    """The venue's clock in whole epoch seconds (``/time``); raises ``WireError`` (``not_json``, ``bad_number``)."""
    value = json_of(body)
    try:
        seconds = msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        seconds = -1
    if not 0 < seconds < 10_000_000_000:
        raise WireError("bad_number", f"not a time in epoch seconds: {excerpt(value)}")
    return seconds


def _gamma_market(item: Body, slug: str | None) -> Market | None:
    condition_id, labels, asset_ids = text(item, "conditionId"), texts(item, "outcomes"), texts(item, "clobTokenIds")
    # Before it is ready a market may say anything, so what else it says is not looked at.
    if not _ready(condition_id, labels, asset_ids):
        return None
    slug = slug or text(item, "slug") or None
    start_ns, end_ns = _window(slug, _gamma_start(item), instant_ns(item.get("endDate")))
    return _market(
        condition_id=condition_id,
        labels=labels,
        asset_ids=asset_ids,
        slug=slug,
        start_ns=start_ns,
        end_ns=end_ns,
        tick=price_step(item.get("orderPriceMinTickSize")),
        closed=flag(item, "closed", default=False),
        accepting_orders=flag(item, "acceptingOrders", default=True),
        winners=_paid_out(texts(item, "outcomePrices")),
    )


def _market(
    *,
    condition_id: str,
    labels: Sequence[str],
    asset_ids: Sequence[str],
    slug: str | None,
    start_ns: int | None,
    end_ns: int | None,
    tick: int | None,
    closed: bool,
    accepting_orders: bool,
    winners: Sequence[bool],
) -> Market | None:
    if not _ready(condition_id, labels, asset_ids):
        return None
    condition_id = condition_id.lower()
    for pattern, value in ((_CONDITION_ID, condition_id), *((_ASSET_ID, asset_id) for asset_id in asset_ids)):
        if not pattern.fullmatch(value):
            raise WireError("bad_id", excerpt(value))
    try:
        tokens = tokens_by_label(labels, asset_ids)
    except ValueError as error:
        raise WireError("not_two_outcomes", excerpt(error)) from None
    return Market(
        condition_id=condition_id,
        up_asset_id=tokens[Outcome.UP],
        down_asset_id=tokens[Outcome.DOWN],
        slug=slug,
        start_ns=start_ns,
        end_ns=end_ns,
        tick=tick or DEFAULT_TICK,
        accepting_orders=accepting_orders and not closed,
        closed=closed,
        winner=_strict_winner(labels, winners) if closed else None,
    )


def _ready(condition_id: str, labels: Sequence[str], asset_ids: Sequence[str]) -> bool:
    """Whether the venue has filled in everything; for minutes after its creation a market has empty ids."""
    return bool(condition_id and labels and asset_ids and all(asset_ids))


def _strict_winner(labels: Sequence[str], winners: Sequence[bool]) -> Outcome | None:
    """The outcome marked as the winner if exactly one is: none, both, or prices between 0 and 1 are no label."""
    marked = [label for label, won in zip(labels, winners, strict=False) if won]
    return outcome_from_label(marked[0]) if len(marked) == 1 else None


def _paid_out(prices: Sequence[str]) -> list[bool]:
    """Which outcome was paid 1 while the other was paid 0; nobody else won."""
    values = [price(value) for value in prices]
    return [value == PRICE_SCALE for value in values] if sorted(values, key=str) == [0, PRICE_SCALE] else []


def _window(slug: str | None, start_ns: int | None, end_ns: int | None) -> tuple[int | None, int | None]:
    slot = _slot(slug, end_ns)
    if slot is None:
        return start_ns, end_ns
    end_ns = slot.end_ns if end_ns is None else end_ns
    by_calendar = slot.start_ns + end_ns - slot.end_ns
    # An hour more or less is what a change of the clocks can do; a creation time is a day or two early.
    leeway_ns = min(SERIES[slot.series].tolerance_s, HOUR_S + 60) * NS_PER_S
    plausible = start_ns is not None and abs(start_ns - by_calendar) <= leeway_ns
    return (start_ns if plausible else by_calendar), end_ns


def _slot(slug: str | None, end_ns: int | None) -> Slot | None:
    """The slot of the calendar that a slug names, ``None`` for slugs of other kinds."""
    try:
        named = slots_of_slug(slug or "")
    except UnknownSlug:
        return None
    for slot in named:
        if end_ns is None or SERIES[slot.series].admits(slot, end_ns):
            return slot
    raise WireError(
        "stale_market", f"{slug} ends {_time(end_ns)} by its metadata, {_time(named[0].end_ns)} by its name"
    )


def _time(at_ns: int | None) -> str:
    return "never" if at_ns is None else datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat()


def _gamma_start(item: Body) -> int | None:
    stated = instant_ns(item.get("eventStartTime"))
    events = objects(array(item, "events"))
    return stated if stated is not None or not events else instant_ns(events[0].get("startTime"))


def _levels(levels: Sequence[_RestLevel]) -> tuple[Level, ...]:
    if len(levels) > MAX_LEVELS:
        raise WireError("oversize", f"{len(levels)} levels on one side")
    try:
        pairs = [(price_ticks(str(level.price)), size_units(str(level.size))) for level in levels]
    except ValueError as error:
        raise WireError("bad_number", excerpt(error)) from None
    return tuple((ticks, size) for ticks, size in pairs if size > 0)
