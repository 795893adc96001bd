"""The tape of one recorded market, played as if it were live: every message, at its recorded pace.

What goes out are the recorded messages, one event each; who subscribes in between gets the books as they are by then.
The news of new and resolved markets are left out: the stand-in tells them, with the recorded outcome at the recorded
time, for they belong to the market and not to the socket that happened to hear them. Nothing is made up: what the
recorder did not hear nobody hears. Moved to another time, all stamps move along, and hashes are left empty, for they
cover the stamp.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

import msgspec

from actors.tapes import read_tape
from actors.venue.listing import Listing
from actors.venue.recorded import Timeline, mirrored
from actors.venue.render import MINIMUM_ORDER, Message
from actors.venue.replica import Replica
from actors.venue.source import TRADES_KEPT, TradePrint
from actors.venue.subjects import Subject, events_of
from engine.markets import Outcome, Side
from engine.records import Frame
from engine.units import NS_PER_MS, price_ticks, size_units

OWN_NEWS: Final = frozenset({"new_market", "market_resolved"})
CUSTOM: Final = frozenset({"best_bid_ask"})

_BAD: Final = (KeyError, TypeError, ValueError, AttributeError, msgspec.MsgspecError)
_STAMP: Final = re.compile(r'"timestamp":"(\d{1,15})"')
_HASH: Final = re.compile(r'"hash":"[0-9a-fA-F]+"')


class TapedTape:
    """Meets ``Tape``: the frames of one market, read as they fall due."""

    def __init__(self, subject: Subject, listing: Listing, timeline: Timeline) -> None:
        self._subject = subject
        self._listing = listing
        self._timeline = timeline
        self._replicas = {
            asset: Replica(condition_id=listing.condition_id, asset_id=asset) for asset in listing.asset_ids
        }
        self._tick = subject.market.tick
        self._frames = self._read()
        self._due = next(self._frames, None)
        self.trades: deque[TradePrint] = deque(maxlen=TRADES_KEPT)

    @property
    def next_ns(self) -> int | None:
        """When the next frame was received, in the time of the venue."""
        return None if self._due is None else self._due[0]

    @property
    def tick(self) -> int:
        """The price step by the metadata, or the last message that changed it."""
        return self._tick

    def skip(self) -> None:
        """Let the next frame change the books unseen."""
        self.advance()

    def advance(self) -> Sequence[Message]:
        """The next frame's events, and for a token that was not recorded the mirror of each whole book."""
        if self._due is None:
            return ()
        at_ns, text = self._due
        self._due = next(self._frames, None)
        return [message for event in events_of(text) for message in self._tell(event, at_ns)]

    def top(self, outcome: Outcome) -> tuple[int | None, int | None]:
        """Best bid and ask of a token in its own prices."""
        return self._replica(outcome).top()

    def initial_book(self, outcome: Outcome) -> str | None:
        """The book as the recorded messages left it."""
        replica = self._replica(outcome)
        return replica.initial() if replica.known else None

    def rest_book(self, outcome: Outcome) -> str | None:
        """The same with what ``/book`` adds."""
        replica = self._replica(outcome)
        return replica.rest(MINIMUM_ORDER) if replica.known else None

    def close(self, at_ms: int) -> Sequence[Message]:
        """Empty books."""
        for asset in self._listing.asset_ids:
            self._replicas[asset] = Replica(
                condition_id=self._listing.condition_id, asset_id=asset, known=True, stamp=str(at_ms)
            )
        bodies = (replica.body() | {"event_type": "book"} for replica in self._replicas.values())
        return [Message(msgspec.json.encode(body).decode(), str(body["asset_id"])) for body in bodies]

    def cross(self, at_ns: int) -> tuple[Message, int] | None:
        """Never: nothing is added to a tape."""
        return None

    def heal(self, at_ns: int, price: int) -> Message:
        """Never called."""
        raise NotImplementedError("a recorded book is never crossed on purpose")

    def _read(self) -> Iterator[tuple[int, str]]:
        for _, record in read_tape(self._subject.tape):
            if isinstance(record, Frame):
                yield self._timeline.played(record.at_ns), record.text

    def _tell(self, text: str, at_ns: int) -> Iterator[Message]:
        """One event: what it changes here, and who is to hear it."""
        try:
            text = self._moved(text)
            told = msgspec.json.decode(text)
            kind = told["event_type"]
            if told.get("market", self._listing.condition_id) != self._listing.condition_id or kind in OWN_NEWS:
                return
        except _BAD:
            return  # PONG, or nothing that a bot of this market was to hear
        with suppress(*_BAD):  # the bot under test is to see what was recorded, whatever it is
            _EFFECTS.get(kind, _nothing)(self, told, at_ns)
        asset = None if kind == "price_change" else told.get("asset_id")
        yield Message(text, asset, custom=kind in CUSTOM, delta=kind == "price_change")
        if kind == "book" and self._listing.derived_down:
            yield Message(mirrored(text, self._listing.down_asset_id), self._listing.down_asset_id)

    def _moved(self, text: str) -> str:
        if self._timeline.verbatim:
            return text
        text = _STAMP.sub(lambda stamp: f'"timestamp":"{self._played_ms(int(stamp[1]))}"', text)
        return _HASH.sub('"hash":""', text)

    def _played_ms(self, recorded_ms: int) -> int:
        return self._timeline.played(recorded_ms * NS_PER_MS) // NS_PER_MS

    def _replica(self, outcome: Outcome) -> Replica:
        return self._replicas[self._listing.asset_of(outcome)]

    # What events do to the books.

    def _book(self, told: Mapping[str, Any], _: int) -> None:
        self._replicas[told["asset_id"]].book(told)
        if self._listing.derived_down:
            mirror = msgspec.json.decode(mirrored(msgspec.json.encode(told).decode(), self._listing.down_asset_id))
            self._replica(Outcome.DOWN).book(mirror)

    def _price_change(self, told: Mapping[str, Any], _: int) -> None:
        for change in told["price_changes"]:
            if change["asset_id"] in self._replicas:
                self._replicas[change["asset_id"]].change(change, str(told["timestamp"]))

    def _trade(self, told: Mapping[str, Any], at_ns: int) -> None:
        self._replicas[told["asset_id"]].last_trade = told["price"]
        self.trades.append(
            TradePrint(
                at_ns=at_ns,
                outcome=self._listing.outcome_of(told["asset_id"]),
                side=Side(told["side"]),
                price=price_ticks(told["price"]),
                size=size_units(told["size"]),
                transaction_hash=told.get("transaction_hash") or "",
            )
        )

    def _retick(self, told: Mapping[str, Any], _: int) -> None:
        self._tick = price_ticks(told["new_tick_size"])
        for replica in self._replicas.values():
            replica.tick_size = told["new_tick_size"]


def _nothing(tape: TapedTape, told: Mapping[str, Any], at_ns: int) -> None:
    return None


_EFFECTS: Final[Mapping[str, Callable[[TapedTape, Mapping[str, Any], int], None]]] = MappingProxyType(
    {
        "book": TapedTape._book,
        "price_change": TapedTape._price_change,
        "last_trade_price": TapedTape._trade,
        "tick_size_change": TapedTape._retick,
    }
)
