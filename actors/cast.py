"""The cast: the followed markets, the actors that play them, and their coming and going."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import trio
from structlog.typing import FilteringBoundLogger

from actors.aggregator import Joined, Left
from actors.child import ChildReport, ChildSpec, ChildState, Restart
from actors.clock import Clock
from actors.health import MarketHealth
from actors.market import Ask, MarketActor, MarketTools
from actors.seat import Publish, Seat
from actors.supervisor import Supervisor, SupervisorStopped
from engine.markets import Market, Target, phase_of
from engine.settings import ScoringSettings, SupervisionSettings
from engine.signals import FeedState, PresetStamp


class Cast:
    """Every followed market has a seat here, and an actor under the supervisor that plays it.

    ``tell`` hears who joins and who has left. Entering and leaving never wait; ``run`` owns the tasks that do.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        supervisor: Supervisor,
        supervision: SupervisionSettings,
        scoring: ScoringSettings,
        stamp: PresetStamp,
        tools: MarketTools,
        publish: Publish,
        tell: Callable[[Joined | Left], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._clock = clock
        self._supervisor = supervisor
        self._supervision = supervision
        self._scoring = scoring
        self._stamp = stamp
        self._tools = tools
        self._publish = publish
        self._tell = tell
        self._log = log
        self._seats: dict[str, Seat] = {}
        self._returning: dict[str, Seat] = {}
        self._players: dict[str, MarketActor] = {}
        self._leavers: trio.Nursery | None = None
        self._rollovers = 0
        self._worst_gap_s = 0.0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let those leave who are to leave, until cancelled."""
        async with trio.open_nursery() as self._leavers:
            task_status.started()
            await trio.sleep_forever()

    # What discovery tells (``DiscoveryListener``).

    def appear(self, target: Target) -> None:
        """Seat a target and start its actor; if its old one is still leaving, as soon as that is gone."""
        seat = Seat(
            target,
            followed_ns=self._clock.now_ns(),
            clock=self._clock,
            scoring=self._scoring,
            stamp=self._stamp,
            publish=self._publish,
        )
        if target.key in self._seats:
            self._returning[target.key] = seat
        else:
            self._enter(seat)

    def learn(self, key: str, market: Market | None) -> None:
        """Pass metadata on to the market's actor, or to its seat while nobody plays."""
        listener = self._listener(key)
        if listener is not None:
            listener.learn(market)

    def lookup_failed(self, key: str, reason: str) -> None:
        """Pass on why there are no metadata, in the same way."""
        listener = self._listener(key)
        if listener is not None:
            listener.lookup_failed(reason)

    def retire(self, key: str) -> None:
        """Stop a target's actor and forget everything about it."""
        if self._returning.pop(key, None) is None and key in self._seats and self._leavers is not None:
            self._leavers.start_soon(self._leave, key)

    # What the engine asks.

    def seat(self, name: str) -> Seat | None:
        """The seat of a market named by key, series (the slot whose time it is), slug or condition id.

        A seat of which nothing is known yet stands behind one that is known to be the same market.
        """
        own = self._seats.get(name)
        if own is not None and own.market is not None:
            return own
        now_ns = self._clock.now_ns()
        for seat in self._seats.values():
            if name == seat.target.series and _is_the_time_of(seat.target, now_ns):
                return seat
            if seat.market is not None and name in (seat.market.condition_id, seat.market.slug):
                return seat
        return own

    def ask(self, seat: Seat, request: Ask) -> None:
        """Have a request answered by whoever plays the market, or at once when nobody does."""
        player = self._players.get(seat.target.key)
        if player is not None:
            player.ask(request)
        else:
            request.reply(seat.neutral(self._clock.now_ns(), "actor_down"))

    def roster(self) -> list[Joined]:
        """Everybody whose signals are to be waited for."""
        return [_joined(seat) for seat in self._seats.values()]

    def opening_gaps_s(self) -> tuple[int, float | None]:
        """How many slots opened while already followed, and the longest time one of them took to come alive."""
        gaps_s = [seat.opening_gap_s for seat in self._seats.values() if seat.opening_gap_s is not None]
        count = self._rollovers + len(gaps_s)
        return count, max([self._worst_gap_s, *gaps_s]) if count else None

    def health(self) -> Iterator[MarketHealth]:
        """Every market's state, now."""
        reports = {report.name: report for report in self._supervisor.children()}
        now_ns = self._clock.now_ns()
        for seat in self._seats.values():
            yield self._market_health(seat, reports, now_ns)

    # Inside.

    def _listener(self, key: str) -> MarketActor | Seat | None:
        returning = self._returning.get(key)
        return returning or self._players.get(key) or self._seats.get(key)

    def _enter(self, seat: Seat) -> None:
        target = seat.target
        try:
            self._supervisor.start_soon(self._market_spec(seat))
        except SupervisorStopped:
            # The engine is closing: who comes now is too late, and that is nobody's fault.
            return
        self._seats[target.key] = seat
        self._tell(_joined(seat))
        self._log.info("market.followed", market=target.key, series=target.series)

    async def _leave(self, key: str) -> None:
        seat = self._seats.get(key)
        await self._supervisor.stop_child(f"market:{key}")
        if seat is None or self._seats.get(key) is not seat:
            return
        del self._seats[key]
        self._tell(Left(target=key, underlying=seat.target.underlying))
        if seat.opening_gap_s is not None:
            self._rollovers += 1
            self._worst_gap_s = max(self._worst_gap_s, seat.opening_gap_s)
        self._log.info("market.retired", market=key, series=seat.target.series)
        returning = self._returning.pop(key, None)
        if returning is not None:
            returning.succeed(seat)
            self._enter(returning)

    def _market_spec(self, seat: Seat) -> ChildSpec:
        key, supervision = seat.target.key, self._supervision

        async def play(task_status: trio.TaskStatus[None]) -> None:
            player = self._players[key] = MarketActor(seat, self._tools)
            try:
                await player.run(task_status)
            finally:
                if self._players.get(key) is player:
                    del self._players[key]

        def stop() -> None:
            player = self._players.get(key)
            if player is not None:
                player.stop()

        return ChildSpec(
            name=f"market:{key}",
            run=play,
            restart=Restart.TRANSIENT,
            intensity=supervision.intensity,
            period_s=supervision.period_s,
            quarantine_s=supervision.quarantine_s,
            quarantine_cap_s=supervision.quarantine_cap_s,
            understudy=seat.understudy,
            stop=stop,
        )

    def _market_health(self, seat: Seat, reports: Mapping[str, ChildReport], now_ns: int) -> MarketHealth:
        target, market, latest = seat.target, seat.market, seat.latest
        report = reports.get(f"market:{target.key}")
        player = self._players.get(target.key)
        return MarketHealth(
            target=target.key,
            series=target.series,
            slug=target.slug if market is None else market.slug,
            condition_id=target.condition_id if market is None else market.condition_id,
            start_ns=target.start_ns if market is None else market.start_ns,
            phase=phase_of(target, market, now_ns),
            feed_state=_absent_feed(report) if player is None else player.feed_state,
            actor=ChildState.STOPPED if report is None else report.state,
            restarts=0 if report is None else report.restarts,
            epoch=seat.epoch,
            last_fault=seat.last_fault,
            opening_gap_s=seat.opening_gap_s,
            signal_type=None if latest is None else latest.signal_type,
            coverage=None if latest is None else latest.window.coverage,
        )


def _is_the_time_of(target: Target, now_ns: int) -> bool:
    """By the calendar: whatever the venue says of it, the slot whose time it is speaks for its series."""
    return target.start_ns is not None and target.end_ns is not None and target.start_ns <= now_ns < target.end_ns


def _joined(seat: Seat) -> Joined:
    target = seat.target
    return Joined(target=target.key, underlying=target.underlying, first_deadline_ns=seat.first_deadline_ns)


def _absent_feed(report: ChildReport | None) -> FeedState:
    quarantined = report is not None and report.state is ChildState.QUARANTINED
    return FeedState.QUARANTINED if quarantined else FeedState.CLOSED
