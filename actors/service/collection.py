"""A collection: the events of one market as the plain dictionary that bots of the original design read.

Only what was really received is in it. A market that is followed already sends no book of its own accord: the first
snapshot is the one the venue sends after the next trade.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

from actors.system import Engine
from engine.coverage import Coverage
from engine.errors import WireError
from engine.events import BookSnapshot, Event, Level, LevelChange, PriceChange, Trade
from engine.markets import Market, Outcome
from engine.records import Connected, Disconnected, Frame, Record, Unfollowed
from engine.units import price_usd, shares, to_ns, to_seconds
from engine.wire import decode

SIDES: Final = {Outcome.UP: "YES", Outcome.DOWN: "NO"}


@define
class Collected:
    """What was collected, and the seconds that were truly covered."""

    trades: list[dict[str, Any]] = field(factory=list)
    book_snapshots: list[dict[str, Any]] = field(factory=list)
    price_changes: list[dict[str, Any]] = field(factory=list)
    collection_duration: float = 0.0


class Collection:
    """Collects from now on what a tap of the engine shows of one market."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._start_ns = engine.clock.now_ns()
        self._found = Collected()
        self._coverage = Coverage(stale_after_ns=to_ns(engine.settings.scoring.stale_after_s))

    def take(self, key: str, record: Record) -> None:
        """See one record; those of other markets pass by."""
        if key != self._engine.key_of(self._name):
            return
        if isinstance(record, Connected):
            self._coverage.connected(record.at_ns)
        elif isinstance(record, Disconnected | Unfollowed):
            self._coverage.disconnected(record.at_ns)
        elif isinstance(record, Frame):
            self._take_frame(record)

    def collected(self, end_ns: int) -> Collected:
        """What was collected until now."""
        self._found.collection_duration = to_seconds(self._coverage.covered_ns(self._start_ns, end_ns))
        return self._found

    def _take_frame(self, frame: Frame) -> None:
        market = self._engine.market(self._name)
        if market is None:
            return
        try:
            events = decode(frame.text)
        except WireError as error:
            events = error.events
        heard = [self._take_event(event, market, frame.at_ns) for event in events]
        if any(heard):
            # A socket that was up before the collection began is known by what it says.
            if not self._coverage.connected_now:
                self._coverage.connected(frame.at_ns)
            self._coverage.event(frame.at_ns)

    def _take_event(self, event: Event, market: Market, at_ns: int) -> bool:
        """Keep an event of this market in its own list; others are not ours."""
        keep = _KEEP.get(type(event))
        if keep is None or getattr(event, "market", None) != market.condition_id:
            return False
        name, plain = keep
        row = plain(event, market)
        if row:
            getattr(self._found, name).append({**row, "received_at": to_seconds(at_ns)})
        return bool(row)


# Each answers with an empty dictionary for what is not about a token of this market.


def _trade(event: Trade, market: Market) -> dict[str, Any]:
    token = _token(event.asset_id, market)
    return token and {
        "event_type": "last_trade_price",
        **token,
        "price": price_usd(event.price),
        "size": shares(event.size),
        "side": None if event.side is None else event.side.value,
        "timestamp": event.venue_ms,
        "transaction_hash": event.transaction_hash,
    }


def _book(event: BookSnapshot, market: Market) -> dict[str, Any]:
    token = _token(event.asset_id, market)
    return token and {
        "event_type": "book",
        **token,
        "bids": [_level(level) for level in event.bids],
        "asks": [_level(level) for level in event.asks],
        "timestamp": event.venue_ms,
    }


def _changes(event: PriceChange, market: Market) -> dict[str, Any]:
    ours = [_change(change, token) for change in event.changes if (token := _token(change.asset_id, market))]
    return {"event_type": "price_change", "price_changes": ours, "timestamp": event.venue_ms} if ours else {}


def _change(change: LevelChange, token: dict[str, Any]) -> dict[str, Any]:
    return {
        **token,
        "price": price_usd(change.price),
        "size": shares(change.size),
        "side": change.side.value,
        "best_bid": None if change.best_bid is None else price_usd(change.best_bid),
        "best_ask": None if change.best_ask is None else price_usd(change.best_ask),
    }


def _token(asset_id: str, market: Market) -> dict[str, Any]:
    outcome = market.outcome_of(asset_id)
    return {} if outcome is None else {"asset_id": asset_id, "outcome": SIDES[outcome]}


def _level(level: Level) -> dict[str, float]:
    return {"price": price_usd(level[0]), "size": shares(level[1])}


_KEEP: Final[Mapping[type, tuple[str, Callable[[Any, Market], dict[str, Any]]]]] = {
    Trade: ("trades", _trade),
    BookSnapshot: ("book_snapshots", _book),
    PriceChange: ("price_changes", _changes),
}
