"""The market actor: one per followed target; owns its pipeline and its connection, and emits through its seat.

One task owns the pipeline. Everything reaches it through one bounded inbox, already stamped; on each wake-up it takes
the whole inbox in, then fires what is due. A slow moment therefore changes no signal, only when it is seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio
from attrs import define, field, frozen
from structlog.typing import FilteringBoundLogger

from actors.clock import Clock
from actors.faults import FaultKind
from actors.mailbox import Mailbox, Overflow
from actors.reconnect import Reconnector
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

CONTROL_ROOM = 256
"""Room in the inbox for what must never be refused because frames filled it."""

BATCH_RECORDS = 64
"""Records taken in between two looks at the rest of the world."""

RESYNC_PAUSE_S = 30.0
"""A bad book calls for a new socket at most this often: if a fresh one does not mend it, a fresher one will not."""

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

    ``tape`` sees every record before the pipeline does; ``refresh`` asks for the market's metadata again.
    """

    clock: Clock
    new_pipeline: Callable[[Seat, int], MarketPipeline]
    new_reconnector: Callable[[Seat, Callable[[Record], bool]], Reconnector]
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
        self._inbox: Mailbox[Record | Ask] = Mailbox(
            tools.feed.queue_size + CONTROL_ROOM, Overflow.REFUSE, name=f"market:{seat.target.key}"
        )
        self._log = tools.log.bind(market=seat.target.key, series=seat.target.series)
        self._reconnector = tools.new_reconnector(seat, self._put)
        self._followed_ns = seat.occupy(self._clock.now_ns())
        self._pipeline = tools.new_pipeline(seat, self._followed_ns)
        self._taken: deque[Record | Ask] = deque()
        self._asked: list[Ask] = []
        self._connection: trio.CancelScope | None = None
        self._subscribed: tuple[str, ...] = ()
        self._may_resync_ns = 0

    # Called by others, never waiting.

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
        reason = "no_answer" if self._crowded else "actor_down"
        if self._crowded or not self._offer(request):
            request.reply(self._seat.neutral(self._clock.now_ns(), reason))

    def stop(self) -> None:
        """Finish what is due and end."""
        self._put(Unfollowed(at_ns=self._clock.now_ns()))

    @property
    def feed_state(self) -> FeedState:
        """How the feed stands now."""
        return self._pipeline.feed_state(self._clock.now_ns())

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
        """Own the pipeline until the end of the market."""
        while not self._pipeline.ended:
            self._connect_or_not(nursery)
            with trio.move_on_at(self._clock.trio_time(self._pipeline.next_deadline())):
                self._taken.extend(await self._inbox.receive())
            # What arrived while this task was waking up is older than now, and belongs before what is due now; what
            # arrives during the digestion is not, and must not be overtaken by it.
            self._taken.extend(self._inbox.drain())
            now_ns = self._clock.now_ns()
            await self._digest()
            if not self._pipeline.ended:
                self._emit(self._pipeline.advance(now_ns))
                self._answer(now_ns)
                self._look_after_feed(now_ns)

    async def _digest(self) -> None:
        """Take everything in that was taken out of the inbox, up to the end of the market if that is in it."""
        count = 0
        while self._taken and not self._pipeline.ended:
            item = self._taken.popleft()
            if isinstance(item, Ask):
                self._asked.append(item)
            else:
                self._take(item)
            count += 1
            if count % BATCH_RECORDS == 0:
                await trio.lowlevel.checkpoint()

    def _take(self, record: Record) -> None:
        if self._tools.tape is not None:
            self._tools.tape(self._seat.target.key, record)
        if isinstance(record, Connected):
            self._seat.epoch = record.epoch
        elif isinstance(record, Disconnected):
            self._seat.last_fault = record.reason
            if self._seat.target.series is None:
                self._tools.refresh(self._seat.target.key)
        elif isinstance(record, Unfollowed):
            self._seat.left_ns = record.at_ns
        self._emit(self._pipeline.receive(record))

    def _answer(self, now_ns: int) -> None:
        """Give everybody who asked the one answer of this instant; whoever is left when it crashes is told so."""
        if self._asked:
            signal = self._pipeline.evaluate(now_ns)
            for request in self._asked:
                request.reply(signal)
            self._asked.clear()

    def _emit(self, signals: list[MarketSignals]) -> None:
        for signal in signals:
            self._seat.emit(signal)

    def _put(self, record: Record) -> bool:
        """Enqueue a record; only a frame can be refused for lack of room."""
        return not (isinstance(record, Frame) and self._crowded) and self._offer(record)

    @property
    def _crowded(self) -> bool:
        """Whether there is room for control records only."""
        return len(self._inbox) >= self._tools.feed.queue_size

    def _offer(self, item: Record | Ask) -> bool:
        try:
            return self._inbox.put_nowait(item)
        except trio.BrokenResourceError:
            return False

    def _connect_or_not(self, nursery: trio.Nursery) -> None:
        """Have a connection exactly while there is a market that is not over, and to its present tokens."""
        market = self._pipeline.intake.market
        over = market is None or phase_of(self._seat.target, market, self._clock.now_ns()) in OVER
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
        self._put(Disconnected(at_ns=self._clock.now_ns(), epoch=self._seat.epoch, reason=FaultKind.CLOSED))

    def _look_after_feed(self, now_ns: int) -> None:
        """Give a socket up that says nothing of this market, or whose book does not come right."""
        feed, silent_ns, unclean_ns = self._tools.feed, self._pipeline.silent_since_ns, self._pipeline.unclean_since_ns
        if silent_ns is not None and now_ns - silent_ns >= to_ns(feed.idle_s):
            self._reconnector.hang_up(FaultKind.STALE, f"nothing of this market for {feed.idle_s:g} s")
        elif unclean_ns is not None and now_ns >= max(unclean_ns + to_ns(feed.resync_s), self._may_resync_ns):
            self._may_resync_ns = now_ns + to_ns(RESYNC_PAUSE_S)
            self._reconnector.hang_up(FaultKind.RESYNC, f"book {self._pipeline.intake.book_state}")
        self._watch_opening(now_ns)

    def _watch_opening(self, now_ns: int) -> None:
        """Measure, once, how long after its opening the market was first heard live."""
        seat, coverage = self._seat, self._pipeline.intake.coverage
        start_ns = seat.target.start_ns
        if seat.opening_gap_s is not None or start_ns is None or now_ns < start_ns or seat.followed_ns >= start_ns:
            return
        if coverage.state(now_ns) is FeedState.LIVE and coverage.live_since_ns is not None:
            seat.opening_gap_s = max(0.0, to_seconds(coverage.live_since_ns - start_ns))
            self._log.info("market.rolled", gap_s=seat.opening_gap_s, slug=seat.target.slug)

    def _leave(self) -> None:
        self._inbox.close()
        if not self._pipeline.ended:
            self._seat.left_ns = self._clock.now_ns()
            if self._tools.tape is not None:
                self._tools.tape(self._seat.target.key, Unfollowed(at_ns=self._seat.left_ns))
        for item in (*self._asked, *self._taken, *self._inbox.drain()):
            if isinstance(item, Ask):
                item.reply(self._seat.neutral(self._clock.now_ns(), "actor_down"))
