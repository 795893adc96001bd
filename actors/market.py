"""The market actor: one per followed target; owns its pipeline and its connection, and emits through its seat.

What the socket brings is stamped and taped by the connection's own task, a whole wake-up's worth in one synchronous
call with one time, and then waits unread: until a deadline, until anybody looks, or until there is enough of it. Code
and state are cold whenever the processor wakes, and many messages share what it costs to warm them up. What others tell
the actor waits too, stamped, in an inbox; everything goes in before anything later does. All run on one thread and
nothing in between waits, so the pipeline sees one order, and a slow moment changes no signal, only when it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio
from attrs import define, field, frozen
from structlog.typing import FilteringBoundLogger

from actors.alarm import Alarm
from actors.clock import Clock
from actors.faults import FaultKind
from actors.reconnect import Listener, Reconnector
from actors.seat import Seat
from engine.markets import Market, MarketPhase, phase_of
from engine.pipeline import MarketPipeline
from engine.records import (
    Connected,
    Disconnected,
    Followed,
    Frame,
    LookupFailed,
    MarketUpdated,
    Record,
    Unfollowed,
)
from engine.settings import FeedSettings
from engine.signals import FeedState, MarketSignals
from engine.units import to_ns, to_seconds

INBOX_RECORDS = 64
"""News of a market that may wait; beyond that the oldest is dropped, for only the newest holds."""

INBOX_ASKS = 256
"""Requests that may wait; beyond that they are answered neutrally at once."""

UNREAD_WAKE_UPS = 32
"""Wake-ups whose messages may wait to be read. More would gain little and keep a deadline longer."""

UNREAD_CHARACTERS = 1 << 16
"""Characters of messages that may wait to be read."""

RESYNC_PAUSE_S = 30.0
"""A bad book calls for a new socket at most this often: if a fresh one does not mend it, a fresher one will not."""

LOOK_S = 1.0
"""The feed is looked after at most this often between deadlines."""

OVER = (MarketPhase.CLOSED, MarketPhase.RESOLVED)


@define
class Ask:
    """A request for the signal of this instant."""

    answer: MarketSignals | None = None
    done: trio.Event = field(factory=trio.Event)

    def reply(self, signal: MarketSignals) -> None:
        """Answer, and wake whoever asked."""
        self.answer = signal
        self.done.set()


@frozen(kw_only=True)
class MarketTools:
    """What every market actor of an engine works with.

    ``tape`` sees every record before the pipeline does, and is false while nobody looks on; ``refresh`` asks for the
    market's metadata again.
    """

    clock: Clock
    alarm: Alarm
    new_pipeline: Callable[[Seat, int], MarketPipeline]
    new_reconnector: Callable[[Seat, Listener], Reconnector]
    refresh: Callable[[str], None]
    feed: FeedSettings
    log: FilteringBoundLogger
    tape: Callable[[str, Record], None] | None = None


class MarketActor:
    """Plays one market once; a restart is a new actor in the same seat."""

    def __init__(self, seat: Seat, tools: MarketTools) -> None:
        self._seat = seat
        self._tools = tools
        self._clock = tools.clock
        # What came of the socket and is not in the pipeline yet; all of it is older than what is in the inbox.
        self._unread: list[tuple[int, Sequence[str]]] = []
        self._unread_characters = 0
        self._inbox: list[Record] = []
        self._asked: list[Ask] = []
        self._bell = trio.Event()
        self._closed = False
        self._failure: Exception | None = None
        self._reconnector = tools.new_reconnector(seat, self)
        self._followed_ns = seat.occupy(self._clock.now_ns())
        self._pipeline = tools.new_pipeline(seat, self._followed_ns)
        self._nursery: trio.Nursery | None = None  # there only while its own task can take turns
        self._connection: trio.CancelScope | None = None
        self._subscribed: tuple[str, ...] = ()
        self._may_resync_ns = 0
        start_ns = seat.target.start_ns
        rolls = start_ns is not None and seat.followed_ns < start_ns and seat.opening_gap_s is None
        self._opening_ns = start_ns if rolls else None

    # Called by others, who never wait and never hear of what goes wrong in here.

    def learn(self, market: Market | None) -> None:
        """Take in what the venue's metadata say (the seat keeps it for whoever comes next)."""
        self._seat.learn(market)
        self._put(MarketUpdated(at_ns=self._clock.now_ns(), market=market))

    def lookup_failed(self, reason: str) -> None:
        """Take in why the metadata could not be had; the seat keeps that, too."""
        self._seat.lookup_failed(reason)
        self._put(LookupFailed(at_ns=self._clock.now_ns(), reason=reason))

    def ask(self, request: Ask) -> None:
        """Answer with the signal of this instant, soon."""
        if self._closed or len(self._asked) >= INBOX_ASKS:
            reason = "actor_down" if self._closed else "no_answer"
            request.reply(self._seat.neutral(self._clock.now_ns(), reason))
        else:
            self._asked.append(request)
            self._bell.set()

    def stop(self) -> None:
        """Finish what is due and end."""
        self._put(Unfollowed(at_ns=self._clock.now_ns()))
        self._closed = True

    @property
    def feed_state(self) -> FeedState:
        """How the feed stands now."""
        now_ns = self._clock.now_ns()
        self._contained(self._read)
        return self._pipeline.feed_state(now_ns)

    # Called by the connection's task (``Listener``).

    def connected(self, epoch: int) -> None:
        """Take in that a socket is up."""
        self._seat.epoch = epoch
        self._hear(Connected(at_ns=self._clock.now_ns(), epoch=epoch))

    def deliver(self, texts: Sequence[str]) -> None:
        """Keep the messages of one wake-up, in order and all with the time of now, to be read soon."""
        now_ns = self._clock.now_ns()
        if self._inbox or self._tools.tape:
            self._contained(self._show, now_ns, texts)
        unread = self._unread
        unread.append((now_ns, texts))
        self._unread_characters += sum(map(len, texts))
        if len(unread) >= UNREAD_WAKE_UPS or self._unread_characters > UNREAD_CHARACTERS:
            self._contained(self._read)
        if self._opening_ns is not None and now_ns >= self._opening_ns:
            self._contained(self._watch_opening, now_ns)

    def disconnected(self, epoch: int, reason: str) -> None:
        """Take in that a socket is gone, or could not be had."""
        self._seat.last_fault = reason
        self._hear(Disconnected(at_ns=self._clock.now_ns(), epoch=epoch, reason=reason))
        if self._seat.target.series is None:
            self._tools.refresh(self._seat.target.key)

    def _hear(self, record: Record) -> None:
        self._contained(self._take, record)

    def _contained(self, step: Callable[..., None], *arguments: object) -> None:
        """Do for others what may crash this actor: its own task raises that, and at once, for it is no fault of theirs.

        What waits in the inbox is older and goes in first; a wreck and an ended market take nothing in.
        """
        try:
            if self._inbox and self._failure is None:
                self._digest()
            if self._failure is None and not self._pipeline.ended:
                step(*arguments)
        except Exception as error:  # noqa: BLE001 - see above
            self._failure = error
            self._bell.set()

    def _show(self, at_ns: int, texts: Sequence[str]) -> None:
        """Show messages to whoever looks on."""
        if tape := self._tools.tape:
            for text in texts:
                tape(self._seat.target.key, Frame(at_ns=at_ns, text=text))

    def _read(self) -> None:
        """Take in the messages that wait; what comes after the end is dropped."""
        unread, self._unread, self._unread_characters = self._unread, [], 0
        for at_ns, texts in () if self._pipeline.ended else unread:
            if signals := self._pipeline.frames(at_ns, texts):
                self._emit(signals)

    # The actor itself.

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Play until stopped. Whatever a scorer raises leaves here; expected faults never do."""
        self._take(Followed(at_ns=self._followed_ns, target=self._seat.target))
        if self._seat.answered:
            self._take(MarketUpdated(at_ns=self._clock.now_ns(), market=self._seat.market))
        elif self._seat.lookup_failure is not None:
            self._take(LookupFailed(at_ns=self._clock.now_ns(), reason=self._seat.lookup_failure))
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                await self._own(nursery)
                nursery.cancel_scope.cancel()
        finally:
            self._leave()

    async def _own(self, nursery: trio.Nursery) -> None:
        """Do what is due whenever the bell rings, until the end of the market.

        For what is due later the alarm rings, and that is done without waking this task.
        """
        self._nursery = nursery
        try:
            while True:
                self._turn(nursery)
                if self._pipeline.ended:
                    return
                await self._bell.wait()
                self._bell = trio.Event()
                if self._failure is not None:
                    raise self._failure
        finally:
            self._nursery = None

    def _rung(self) -> None:
        if self._nursery is not None:
            self._contained(self._turn, self._nursery)

    def _turn(self, nursery: trio.Nursery) -> None:
        """Take in what waits, do what is due, and ask the alarm to ring when something will be."""
        now_ns = self._clock.now_ns()
        self._digest()
        if self._pipeline.ended:
            return
        self._emit(self._pipeline.advance(now_ns))
        self._answer(now_ns)
        self._connect_or_not(nursery, now_ns)
        self._watch_opening(now_ns)
        look_ns = self._look_after_feed(now_ns)
        self._tools.alarm.ring_by(min(look_ns, self._pipeline.next_deadline()), self._rung)

    def _put(self, record: Record) -> None:
        if not self._closed:
            if len(self._inbox) >= INBOX_RECORDS:
                del self._inbox[0]
            self._inbox.append(record)
            self._bell.set()

    def _digest(self) -> None:
        """Take in what waits, up to the end of the market if that is in it."""
        self._read()
        waiting, self._inbox = self._inbox, []
        for record in waiting:
            self._take(record)
            if self._pipeline.ended:
                self._seat.left_ns = record.at_ns

    def _take(self, record: Record) -> None:
        self._read()
        if self._tools.tape:
            self._tools.tape(self._seat.target.key, record)
        self._emit(self._pipeline.receive(record))

    def _emit(self, signals: Sequence[MarketSignals]) -> None:
        for signal in signals:
            self._seat.emit(signal)

    def _answer(self, now_ns: int) -> None:
        """Give everybody who asked the one answer of this instant; whoever is left when it crashes is told so."""
        if self._asked:
            signal = self._pipeline.evaluate(now_ns)
            for request in self._asked:
                request.reply(signal)
            self._asked.clear()

    def _connect_or_not(self, nursery: trio.Nursery, now_ns: int) -> None:
        """Have a connection exactly while there is a market that is not over, and to its present tokens."""
        market = self._pipeline.intake.market
        over = market is None or phase_of(self._seat.target, market, now_ns) in OVER
        wanted = () if market is None or over else market.asset_ids
        if self._connection is None and wanted and market is not None:
            self._connection, self._subscribed = trio.CancelScope(), wanted
            nursery.start_soon(self._stay_connected, market, self._connection)
        elif self._connection is not None and wanted != self._subscribed:
            self._connection.cancel()

    async def _stay_connected(self, market: Market, scope: trio.CancelScope) -> None:
        with scope:
            await self._reconnector.run(market, self._seat.epoch + 1)
        # A market that stopped may go on, by another connection; what lies between is no coverage.
        self._connection = None
        self.disconnected(self._seat.epoch, FaultKind.CLOSED)
        self._bell.set()

    def _look_after_feed(self, now_ns: int) -> int:
        """Give a socket up that says nothing of this market, or whose book does not come right.

        Answers when to look again. A book that turns bad in between is then found in time, since a bad one is borne
        for ``resync_s``.
        """
        feed, silent_ns, unclean_ns = self._tools.feed, self._pipeline.silent_since_ns, self._pipeline.unclean_since_ns
        mute = self._pipeline.intake.coverage.state(now_ns) is FeedState.SUBSCRIBED
        # Of a socket without a word its session speaks first: that is no matter of the book.
        borne_s = max(feed.resync_s, feed.first_event_s + LOOK_S) if mute else feed.resync_s
        again_ns = now_ns + to_ns(max(feed.resync_s, LOOK_S))
        stale_ns = again_ns if silent_ns is None else silent_ns + to_ns(feed.idle_s)
        resync_ns = again_ns if unclean_ns is None else max(unclean_ns + to_ns(borne_s), self._may_resync_ns)
        if now_ns >= stale_ns:
            self._reconnector.hang_up(FaultKind.STALE, f"nothing of this market for {feed.idle_s:g} s")
        elif now_ns >= resync_ns:
            self._may_resync_ns = now_ns + to_ns(RESYNC_PAUSE_S)
            self._reconnector.hang_up(FaultKind.RESYNC, f"book {self._pipeline.intake.book_state}")
        return min(due_ns for due_ns in (stale_ns, resync_ns, again_ns) if due_ns > now_ns)

    def _watch_opening(self, now_ns: int) -> None:
        """Measure, once, how long after its opening the market was first heard live."""
        start_ns = self._opening_ns
        if start_ns is None or now_ns < start_ns:
            return
        self._read()
        coverage = self._pipeline.intake.coverage
        if coverage.state(now_ns) is not FeedState.LIVE:
            return
        if coverage.live_since_ns is not None:
            self._opening_ns = None
            self._seat.opening_gap_s = gap_s = max(0.0, to_seconds(coverage.live_since_ns - start_ns))
            target = self._seat.target
            self._tools.log.info(
                "market.rolled", market=target.key, series=target.series, gap_s=gap_s, slug=target.slug
            )

    def _leave(self) -> None:
        self._closed = True
        if not self._pipeline.ended:
            self._seat.left_ns = self._clock.now_ns()
            if self._tools.tape:
                self._tools.tape(self._seat.target.key, Unfollowed(at_ns=self._seat.left_ns))
        for request in self._asked:
            request.reply(self._seat.neutral(self._clock.now_ns(), "actor_down"))
