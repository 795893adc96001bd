"""The composition root: wires discovery, the cast of market actors, aggregator and hubs into one engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Self

import trio
from structlog.typing import FilteringBoundLogger

from actors.aggregator import AggregatorActor, Joined
from actors.alarm import Alarm
from actors.archive import Archive
from actors.cast import Cast
from actors.child import ChildSpec
from actors.clock import Clock
from actors.crash import unwrapped
from actors.discovery import DiscoveryActor
from actors.health import EngineHealth
from actors.hub import Hub, Subscription
from actors.leases import Hold, Leases
from actors.logs import default_logger
from actors.market import Ask
from actors.ports import Ports
from actors.rest import VenueRest
from actors.seat import Seat
from actors.supervisor import Supervisor
from actors.taps import Tap, Taps
from actors.workshop import Workshop
from engine.followbook import follow_named
from engine.markets import Market, Target
from engine.pipeline import neutral_signal
from engine.scoring import ScorerFactory
from engine.settings import FollowSettings, Settings
from engine.signals import AggregateSignal, FeedState, MarketSignals, OutsideScore

DEFAULT_BUFFER = 4096
ANSWER_WITHIN_S = 1.0


class Engine:
    """A running engine; made by ``open_engine``, usable from the trio task that opened it and its children."""

    def __init__(
        self,
        settings: Settings,
        *,
        ports: Ports,
        scorers: Mapping[str, ScorerFactory],
        tape: Tap | None,
        log: FilteringBoundLogger,
    ) -> None:
        self.settings = settings
        self.clock = ports.clock or Clock.anchored()
        self._log = log
        self._started_ns = self.clock.now_ns()
        self._alarm = Alarm(self.clock)
        workshop = Workshop(settings, ports=ports, clock=self.clock, alarm=self._alarm, scorers=scorers, log=log)
        self._stamp = workshop.stamp
        self._signals = Hub[MarketSignals]("signals")
        self._aggregates = Hub[AggregateSignal]("aggregates")
        self._last_aggregates: dict[str, AggregateSignal] = {}
        self._asked: dict[str, Ask] = {}
        self._taps = Taps() if tape is None else Taps(tape)
        self._supervisor = Supervisor(self.clock, log=log)
        self._rest = VenueRest(settings.venue, request_s=settings.discovery.request_s, transport=ports.http_transport)
        self._archive = Archive(settings, clock=self.clock, court=self._rest, rng=ports.rng, taps=self._taps, log=log)
        self._aggregator = AggregatorActor(
            settings.aggregate,
            clock=self.clock,
            roster=self._roster,
            publish=self._publish_aggregate,
        )
        self._cast = Cast(
            clock=self.clock,
            supervisor=self._supervisor,
            supervision=settings.supervision,
            scoring=settings.scoring,
            stamp=self._stamp,
            tools=workshop.tools(taps=self._taps, refresh=self._refresh),
            publish=self._publish,
            tell=self._aggregator.tell,
            log=log,
        )
        self._discovery = DiscoveryActor(
            follow=settings.follow,
            clock=self.clock,
            rest=self._rest,
            settings=settings.discovery,
            listener=self._cast,
            rng=ports.rng,
            log=log,
        )
        self._leases = Leases(
            clock=self.clock,
            linger_s=settings.discovery.linger_s,
            follow=self._discovery.follow,
            unfollow=self._discovery.unfollow,
        )

    # What a bot uses.

    def signals(self, *, buffer: int = DEFAULT_BUFFER) -> Subscription[MarketSignals]:
        """Every signal of every followed market from now on; the oldest are dropped, and counted, past ``buffer``."""
        return self._signals.subscribe(buffer)

    def aggregates(self, *, buffer: int = DEFAULT_BUFFER) -> Subscription[AggregateSignal]:
        """Every aggregate from now on; the oldest are dropped, and counted, past ``buffer``."""
        return self._aggregates.subscribe(buffer)

    def latest(self, name: str) -> MarketSignals | None:
        """The last signal of a market, named by series (the slot whose time it is), slug or condition id, if any."""
        seat = self._cast.seat(name)
        return None if seat is None else seat.latest

    def latest_aggregate(self, underlying: str = "BTC") -> AggregateSignal | None:
        """The last aggregate of an underlying, ``None`` before the first."""
        return self._last_aggregates.get(underlying)

    def latest_aggregates(self) -> tuple[AggregateSignal, ...]:
        """The last aggregate of every underlying, by name."""
        return tuple(self._last_aggregates[name] for name in sorted(self._last_aggregates))

    async def get_market_score(self, condition_id: str) -> MarketSignals:
        """The signal of this instant of a followed market, named as for ``latest``.

        Never raises because of the venue: a market that is not followed, or whose actor is down, is answered with
        ``MARKET_UNAVAILABLE`` and a reason. Raises ``ValueError`` for a name that can be no market.
        """
        seat = self._cast.seat(condition_id)
        if seat is None:
            return self._not_followed(condition_id)
        while True:
            request = self._asked.get(seat.target.key)
            if request is None or request.done.is_set():
                request = await self._ask(seat)
            else:
                await request.done.wait()
            if request.answer is not None:
                return request.answer

    def follow(self, what: str | FollowSettings) -> None:
        """Follow one more series, slug or condition id; following it twice is the same as once."""
        self._discovery.follow(follow_named(what))

    def unfollow(self, what: str) -> None:
        """Let go of a series, slug or condition id that was followed under this name; a ``hold`` on it stays."""
        self._discovery.unfollow(what)

    def hold(self, what: str | FollowSettings) -> Hold:
        """Follow a series, slug or condition id for as long as anybody holds it, and ``discovery.linger_s`` more.

        What is followed otherwise stays so. Raises ``ValueError`` as ``follow`` does.
        """
        return self._leases.hold(follow_named(what))

    def tap(self, listener: Tap) -> Callable[[], None]:
        """Show ``listener`` every record of every market from now on, before it is used; the answer ends that.

        It is called with the market's key by the market's own tasks: it must not wait, and what it raises crashes that
        actor. Ending it twice is the same as once.
        """
        return self._taps.add(listener)

    def followed_ns(self, name: str) -> int | None:
        """Since when the market that answers to a name (as for ``latest``) is followed; ``None``: it is not, yet."""
        seat = self._cast.seat(name)
        return None if seat is None else seat.followed_ns

    def market(self, name: str) -> Market | None:
        """The metadata of a market named as for ``latest``; ``None`` while none are known."""
        seat = self._cast.seat(name)
        return None if seat is None else seat.market

    async def market_of_asset(self, asset_id: str) -> Market | None:
        """The market, followed or not, that one of its token ids names; ``None`` if the venue knows none.

        Asks the venue each time. Raises ``RestFault`` when it cannot be asked, ``ValueError`` for what can be no id.
        """
        return await self._rest.market_by_asset_id(asset_id)

    def key_of(self, name: str) -> str | None:
        """The key, which is ``MarketSignals.target``, of the market that answers to a name now; ``None`` if none."""
        seat = self._cast.seat(name)
        return None if seat is None else seat.target.key

    def offer(self, score: OutsideScore) -> None:
        """Hand in a score from elsewhere for the aggregates; stamped now unless it carries a time."""
        self._aggregator.tell(score)

    def health(self) -> EngineHealth:
        """The state of everything, now."""
        rollovers, worst_gap_s = self._cast.opening_gaps_s()
        return EngineHealth(
            as_of_ns=self.clock.now_ns(),
            started_ns=self._started_ns,
            markets=tuple(self._cast.health()),
            signals=self._signals.published,
            aggregates=self._aggregates.published,
            dropped=self._signals.dropped + self._aggregates.dropped,
            late=self._aggregator.late,
            rollovers=rollovers,
            worst_rollover_gap_s=worst_gap_s,
            problems=dict(self._discovery.problems()),
            recorder=self._archive.health(),
        )

    # Inside.

    async def run(self, task_status: trio.TaskStatus[Self] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until ``aclose``; used by ``open_engine``."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._alarm.run)
                await nursery.start(self._cast.run)
                await nursery.start(self._leases.run)
                await nursery.start(self._supervise, nursery.cancel_scope)
                for spec in self._archive.children():
                    await self._supervisor.start(spec)
                await self._supervisor.start(ChildSpec(name="aggregator", run=self._aggregator.run, counts=False))
                await self._supervisor.start(ChildSpec(name="discovery", run=self._discovery.run, counts=False))
                task_status.started(self)
        finally:
            with trio.CancelScope(shield=True):
                with trio.move_on_after(1.0):
                    await self._rest.aclose()
            self._signals.close()
            self._aggregates.close()

    async def aclose(self) -> None:
        """Stop every actor in reverse order of start; ``run`` then drains what they said and ends. Idempotent."""
        await self._supervisor.stop()

    async def _supervise(self, scope: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self._supervisor.run(task_status=task_status)
        finally:
            # Before the subscriptions are closed: the last signals deserve their aggregate.
            self._aggregator.drain()
        scope.cancel()

    async def _ask(self, seat: Seat) -> Ask:
        """Put a question for all who ask the same until it is answered; no answer if whoever put it was cancelled."""
        key = seat.target.key
        request = self._asked[key] = Ask()
        self._cast.ask(seat, request)
        try:
            with trio.move_on_after(ANSWER_WITHIN_S):
                await request.done.wait()
            if request.answer is None:
                request.reply(seat.neutral(self.clock.now_ns(), "no_answer"))
        finally:
            if self._asked.get(key) is request:
                del self._asked[key]
            request.done.set()
        return request

    # These two close circles: each of the parts they speak to needs the other to be made.

    def _refresh(self, key: str) -> None:
        self._discovery.refresh(key)

    def _roster(self) -> list[Joined]:
        return self._cast.roster()

    def _publish(self, signal: MarketSignals) -> None:
        self._signals.publish(signal)
        self._aggregator.tell(signal)

    def _publish_aggregate(self, aggregate: AggregateSignal) -> None:
        self._last_aggregates[aggregate.underlying] = aggregate
        self._aggregates.publish(aggregate)

    def _not_followed(self, name: str) -> MarketSignals:
        chosen = follow_named(name)
        target = Target(key=name, series=chosen.series, slug=chosen.slug, condition_id=chosen.condition_id)
        return neutral_signal(
            target,
            None,
            self.clock.now_ns(),
            reason="not_followed",
            scoring=self.settings.scoring,
            stamp=self._stamp,
            feed_state=FeedState.CLOSED,
        )


@asynccontextmanager
async def open_engine(
    settings: Settings,
    *,
    ports: Ports | None = None,
    scorers: Mapping[str, ScorerFactory] | None = None,
    tape: Tap | None = None,
    log: FilteringBoundLogger | None = None,
) -> AsyncIterator[Engine]:
    """Run an engine for the length of a block.

    The engine installs no signal handlers, keeps no module-level state and never wraps the block's own exception in a
    group. Its actors outlive the block while it is being cancelled, so that the last signals drain. ``scorers`` adds
    scorer factories by name, ``tape`` sees every record before it is used. Raises ``PresetError`` at once for an
    unknown preset, ``SettingsError`` for a transport that is not installed, ``SupervisorFailure`` out of the block when
    most markets are down for reasons of their own.
    """
    engine = Engine(
        settings,
        ports=ports or Ports(),
        scorers=scorers or {},
        tape=tape,
        log=log if log is not None else default_logger(),
    )
    own: BaseException | None = None
    sole: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(_shielded, engine)
            try:
                yield engine
            except Exception as error:
                own = error
                raise
            finally:
                with trio.CancelScope(shield=True):
                    await engine.aclose()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        sole = own or group.exceptions[0]
    # Raised out here, so that the exception keeps the identity, cause and context it came with.
    if sole is not None:
        raise sole


async def _shielded(engine: Engine, task_status: trio.TaskStatus[Engine]) -> None:
    failure: BaseException | None = None
    with trio.CancelScope(shield=True):
        try:
            await engine.run(task_status)
        except BaseExceptionGroup as group:
            failure = unwrapped(group)
    if failure is not None:
        raise failure
