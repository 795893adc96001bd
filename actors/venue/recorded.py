"""Recorded markets, played as if they were live.

The recordings hold the whole book of *one* token of each market, after each trade: no trades and no level changes, and
none are invented. The recorded token is taken for Up and its frames go out as they are. For the other token the
mirrored book is sent if asked for; such frames carry ``"derived":true``, under a token id that was made up as well.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import frozen

from actors.captures import Capture, CaptureError, find_captures, read_capture
from actors.logs import default_logger
from actors.venue.listing import Listing, asset_id, gamma_id
from actors.venue.options import VenueOptions
from actors.venue.render import MINIMUM_ORDER, Message
from actors.venue.shelf import Shelf
from actors.venue.source import TradePrint
from engine.errors import UnknownSlug
from engine.markets import Market, Outcome
from engine.records import Frame, MarketUpdated
from engine.series import Slot, slot_of_slug
from engine.units import NS_PER_MS, NS_PER_S, PRICE_SCALE, price_text, price_ticks, to_ns

RESOLUTION_S: Final = 120.0
"""Seconds from the end of a recorded window to its resolution, unless the options say otherwise."""

CENT: Final = 100
SPEEDS: Final = (0.001, 10_000.0)

_STAMP: Final = re.compile(r'"timestamp":"(\d+)"')


@frozen(kw_only=True)
class Timeline:
    """Maps recorded time to the venue's: ``begin_ns`` is when ``recorded_ns`` happens, ``speed`` how fast it runs."""

    recorded_ns: int
    begin_ns: int
    speed: float

    @property
    def verbatim(self) -> bool:
        """Whether everything happens at its recorded time."""
        return self.recorded_ns == self.begin_ns and self.speed == 1.0

    def played(self, recorded_ns: int) -> int:
        """The venue's time of a recorded one."""
        elapsed = recorded_ns - self.recorded_ns
        return self.begin_ns + (elapsed if self.speed == 1.0 else round(elapsed / self.speed))


class RecordedTape:
    """Meets ``Tape``: the frames of one recording, read as they fall due. A torn file ends where it is torn."""

    def __init__(self, capture: Capture, listing: Listing, timeline: Timeline, *, mirror: bool) -> None:
        self._capture = capture
        self._listing = listing
        self._timeline = timeline
        self._mirror = mirror
        self._events = self._read()
        self._due = next(self._events, None)
        self._latest: str | None = None
        self.trades: deque[TradePrint] = deque(maxlen=0)

    @property
    def next_ns(self) -> int | None:
        """When the next frame was received, in the time of the venue."""
        return None if self._due is None else self._due[0]

    @property
    def tick(self) -> int:
        """A cent; the recordings do not say."""
        return CENT

    def skip(self) -> None:
        """Take the next frame as the current book."""
        if self._due is not None:
            self._latest = self._due[1]
            self._due = next(self._events, None)

    def advance(self) -> Sequence[Message]:
        """The next frame, and its mirror."""
        self.skip()
        texts = ((asset, self.initial_book(outcome)) for asset, outcome in zip(self._assets, Outcome, strict=False))
        return [Message(text, asset) for asset, text in texts if text is not None]

    def top(self, outcome: Outcome) -> tuple[int | None, int | None]:
        """Best bid and ask of a token in its own prices."""
        text = self.initial_book(outcome)
        if text is None:
            return None, None
        book = msgspec.json.decode(text)
        bid, ask = (price_ticks(book[side][-1]["price"]) if book[side] else None for side in ("bids", "asks"))
        return bid, ask

    def initial_book(self, outcome: Outcome) -> str | None:
        """The latest frame, verbatim or mirrored."""
        if self._latest is None or outcome is Outcome.UP:
            return self._latest
        return mirrored(self._latest, self._listing.down_asset_id) if self._mirror else None

    def rest_book(self, outcome: Outcome) -> str | None:
        """The latest frame with what ``/book`` adds."""
        text = self.initial_book(outcome)
        if text is None:
            return None
        added = {"min_order_size": MINIMUM_ORDER, "tick_size": "0.01", "neg_risk": False, "last_trade_price": ""}
        return _encoded(added | msgspec.json.decode(text))

    def close(self, at_ms: int) -> Sequence[Message]:
        """Empty books."""
        head = f'{{"market":"{self._listing.condition_id}","asset_id":"'
        tail = f'","timestamp":"{at_ms}","hash":"","bids":[],"asks":[],"event_type":"book"}}'
        return [Message(head + asset + tail, asset) for asset in self._assets]

    def cross(self, at_ns: int) -> tuple[Message, int] | None:
        """Never: a recording has no level changes."""
        return None

    def heal(self, at_ns: int, price: int) -> Message:
        """Never called."""
        raise NotImplementedError("a recorded book is never crossed")

    @property
    def _assets(self) -> Sequence[str]:
        return self._listing.asset_ids if self._mirror else (self._listing.up_asset_id,)

    def _read(self) -> Iterator[tuple[int, str]]:
        try:
            for _, record in read_capture(self._capture):
                if isinstance(record, Frame):
                    at_ns = self._timeline.played(record.at_ns)
                    for event in _events(record.text):
                        yield at_ns, self._stamped(event)
        except (CaptureError, msgspec.MsgspecError) as error:
            default_logger().warning("venue.recording_torn", slug=self._capture.slug, error=str(error))

    def _stamped(self, text: str) -> str:
        if self._timeline.verbatim:
            return text
        return _STAMP.sub(lambda stamp: f'"timestamp":"{self._played_ms(int(stamp[1]))}"', text)

    def _played_ms(self, recorded_ms: int) -> int:
        return self._timeline.played(recorded_ms * NS_PER_MS) // NS_PER_MS


class RecordedSource(Shelf):
    """Meets ``Source``: the markets of a folder of recordings, or of one file, as ``actors.captures`` reads them.

    By default everything happens at its recorded time under its recorded slug and the frames are verbatim: give the
    venue a clock anchored in that time. ``begin_ns`` moves the start of the earliest window there, with all stamps (the
    hashes no longer agree then); a window that falls on a slot of the calendar takes its slug, so that a bot that
    follows the calendar finds it. ``speed`` plays faster or slower. ``mirror`` adds the other token.

    Raises ``CaptureError`` for recordings that cannot be read, ``ValueError`` for a speed out of range or recordings
    whose outcome no manifest tells.
    """

    def __init__(
        self,
        path: Path,
        options: VenueOptions | None = None,
        *,
        begin_ns: int | None = None,
        speed: float = 1.0,
        mirror: bool = True,
    ) -> None:
        if not SPEEDS[0] <= speed <= SPEEDS[1]:
            raise ValueError(f"speed out of range: {speed}")
        slots = sorted(
            ((slot_of_slug(capture.slug), capture) for capture in find_captures(path)),
            key=lambda pair: pair[0].start_ns,
        )
        first_ns = slots[0][0].start_ns
        self._options = options or VenueOptions()
        self._mirror = mirror
        self._timeline = Timeline(
            recorded_ns=first_ns, begin_ns=first_ns if begin_ns is None else begin_ns, speed=speed
        )
        self._captures: dict[str, Capture] = {}
        self._listings = tuple(self._listing(slot, capture) for slot, capture in slots)

    def tape(self, listing: Listing, at_ns: int) -> RecordedTape:
        """The recording of a market from its first frame."""
        return RecordedTape(self._captures[listing.slug], listing, self._timeline, mirror=self._mirror)

    def winner(self, listing: Listing) -> Outcome:
        """The outcome in the manifest."""
        return Outcome.UP if self._captures[listing.slug].up_won else Outcome.DOWN

    def _listing(self, slot: Slot, capture: Capture) -> Listing:
        if capture.up_won is None:
            raise ValueError(f"{capture.path}: no manifest tells the outcome of {capture.slug}")
        start_ns, end_ns = self._timeline.played(slot.start_ns), self._timeline.played(slot.end_ns)
        slug = self._renamed(slot, start_ns)
        self._captures[slug] = capture
        market = _recorded_market(capture)
        after_s = RESOLUTION_S if self._options.resolve_after_s is None else self._options.resolve_after_s
        return Listing(
            slug=slug,
            series=slot.series,
            family=slot.series.rpartition("-")[2],
            underlying=slot.underlying,
            condition_id=market.condition_id,
            up_asset_id=market.up_asset_id,
            down_asset_id=asset_id(self._options.seed, capture.slug, Outcome.DOWN),
            gamma_id=gamma_id(self._options.seed, capture.slug),
            opens_ns=start_ns - to_ns(self._options.trade_before_s / self._timeline.speed),
            start_ns=start_ns,
            end_ns=end_ns,
            resolves_ns=end_ns + to_ns(after_s / self._timeline.speed),
            derived_down=True,
        )

    def _renamed(self, slot: Slot, start_ns: int) -> str:
        """The slug of the calendar slot that a moved window falls on; the recorded one when it falls on none."""
        if self._timeline.verbatim or self._timeline.speed != 1.0:
            return slot.slug
        candidate = f"{slot.slug.rpartition('-')[0]}-{start_ns // NS_PER_S}"
        try:
            return slot_of_slug(candidate).slug
        except UnknownSlug:
            return slot.slug


def mirrored(text: str, down_asset_id: str) -> str:
    """The other token's book that a recorded one implies, marked ``derived`` and without a hash of its own."""
    book: dict[str, Any] = msgspec.json.decode(text)
    book["bids"], book["asks"] = _mirrored(book["asks"]), _mirrored(book["bids"])
    if book.get("last_trade_price"):
        book["last_trade_price"] = price_text(PRICE_SCALE - price_ticks(book["last_trade_price"]))
    return _encoded({**book, "asset_id": down_asset_id, "hash": "", "derived": True})


def _mirrored(levels: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**level, "price": price_text(PRICE_SCALE - price_ticks(level["price"]))} for level in levels]


def _recorded_market(capture: Capture) -> Market:
    for _, record in read_capture(capture):
        if isinstance(record, MarketUpdated) and record.market is not None:
            return record.market
    raise CaptureError(f"{capture.path}: the recording is empty")


def _events(frame: str) -> list[str]:
    """The events of a frame verbatim, whether it is one object or an array of them."""
    if not frame.startswith("["):
        return [frame]
    return [bytes(event).decode() for event in msgspec.json.decode(frame, type=list[msgspec.Raw])]


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()
