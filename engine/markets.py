"""Markets: who they are, what their two tokens mean, and which phase they are in.

Outcomes are told apart by label, never by position. A phase follows from the venue's metadata and the clock together:
a rolling slot is over for scoring when its time is up even though the venue goes on trading it for two minutes, while a
market without a slot is over only when the venue says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from attrs import field, frozen
from attrs.validators import matches_re, optional

CONDITION_ID_PATTERN = r"0x[0-9a-f]{64}"
ASSET_ID_PATTERN = r"[0-9]{1,78}"

YES_LABELS = frozenset({"up", "yes"})
NO_LABELS = frozenset({"down", "no"})


class Outcome(StrEnum):
    """The two outcomes; ``UP`` is the YES side of every price and score."""

    UP = "Up"
    DOWN = "Down"

    @property
    def other(self) -> Outcome:
        """The outcome that loses when this one wins."""
        return Outcome.DOWN if self is Outcome.UP else Outcome.UP


class Side(StrEnum):
    """The taker's side on a token, or the side of a book level (``BUY`` = bid, ``SELL`` = ask)."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def other(self) -> Side:
        """The side across the book."""
        return Side.SELL if self is Side.BUY else Side.BUY


class MarketPhase(StrEnum):
    """Where a market stands in its life."""

    PENDING = "pending"
    OPEN = "open"
    CLOSED = "closed"
    RESOLVED = "resolved"


@frozen(kw_only=True)
class Target:
    """What is followed: one slot of a series, or one fixed market, before anything is known of it from the venue.

    ``key`` names it for ever: the slug of a slot, else the condition id. ``start_ns`` and ``end_ns`` are the slot's
    bounds by the calendar, ``None`` for a fixed market whose bounds only its metadata can tell.
    """

    key: str
    underlying: str = "BTC"
    series: str | None = None
    slug: str | None = None
    condition_id: str | None = field(default=None, validator=optional(matches_re(CONDITION_ID_PATTERN)))
    start_ns: int | None = None
    end_ns: int | None = None


@frozen(kw_only=True)
class Market:
    """What the venue's metadata say of one market.

    ``down_asset_id`` is ``None`` only for recordings that hold one token. ``tick`` is the price step in ticks of
    0.0001. ``start_ns``/``end_ns`` bound the time that decides the outcome, half-open.
    """

    condition_id: str = field(validator=matches_re(CONDITION_ID_PATTERN))
    up_asset_id: str = field(validator=matches_re(ASSET_ID_PATTERN))
    down_asset_id: str | None = field(default=None, validator=optional(matches_re(ASSET_ID_PATTERN)))
    slug: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    tick: int = 100
    accepting_orders: bool = True
    closed: bool = False
    winner: Outcome | None = None

    @property
    def asset_ids(self) -> tuple[str, ...]:
        """The token ids to subscribe, Up first."""
        return (self.up_asset_id,) if self.down_asset_id is None else (self.up_asset_id, self.down_asset_id)

    def outcome_of(self, asset_id: str) -> Outcome | None:
        """The outcome a token pays for, ``None`` for a foreign token."""
        if asset_id == self.up_asset_id:
            return Outcome.UP
        return Outcome.DOWN if asset_id == self.down_asset_id else None


def outcome_from_label(label: str) -> Outcome | None:
    """The outcome a venue label names (``Up``/``Yes``, ``Down``/``No``, any case), else ``None``."""
    word = label.strip().lower()
    if word in YES_LABELS:
        return Outcome.UP
    return Outcome.DOWN if word in NO_LABELS else None


def tokens_by_label(labels: Sequence[str], asset_ids: Sequence[str]) -> dict[Outcome, str]:
    """Pair outcome labels with the token ids of the same order.

    Raises ``ValueError`` unless there are exactly two of each, one for either outcome, and the ids differ.
    """
    outcomes = [outcome_from_label(label) for label in labels]
    if len(asset_ids) != 2 or {*outcomes} != {Outcome.UP, Outcome.DOWN} or asset_ids[0] == asset_ids[1]:
        raise ValueError(f"not one Up and one Down token: outcomes {list(labels)!r} for {len(asset_ids)} token ids")
    return {outcome: asset for outcome, asset in zip(outcomes, asset_ids, strict=True) if outcome is not None}


def phase_of(target: Target, market: Market | None, now_ns: int) -> MarketPhase:
    """The phase of a target at ``now_ns``, from metadata (``None``: not known yet) and clock together.

    The first row that holds decides: a winner is known; the venue closed it, or its slot is over; it has not started,
    or nothing at all is known of it; it takes no orders; else it is open.
    """
    start, end = target.start_ns, target.end_ns
    if market is not None:
        if market.winner is not None:
            return MarketPhase.RESOLVED
        start = start if market.start_ns is None else market.start_ns
        end = end if market.end_ns is None else market.end_ns
        if market.closed:
            return MarketPhase.CLOSED
    if target.series is not None and end is not None and now_ns >= end:
        return MarketPhase.CLOSED
    if (start is None and market is None) or (start is not None and now_ns < start):
        return MarketPhase.PENDING
    return MarketPhase.OPEN if market is None or market.accepting_orders else MarketPhase.CLOSED
