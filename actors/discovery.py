"""Discovery: which markets to follow now, and what the venue's metadata say of them.

Slots appear and are retired by the clock alone, so they roll with the venue's REST API dead and without a single
message. Every target is looked up by a task of its own, which waits for nobody's back-off but its own; a few requests
at most are under way, and a 429 or a 403 makes everyone pause.

What is followed and what has appeared live in the actor, not in its run: a run after a crash goes on where the last one
ended.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import trio
from attrs import Factory, define, evolve
from structlog.typing import FilteringBoundLogger

from actors.clock import Clock
from actors.faults import CAUTIOUS, excerpt
from actors.logs import default_logger
from actors.rest import Catalog, RestFault, RestFaultKind
from engine.followbook import LISTED, FollowBook
from engine.markets import Market, Target
from engine.metadata import merged
from engine.series import SERIES, Slot, slot_of_slug, underlying_of
from engine.settings import DiscoverySettings, FollowSettings
from engine.units import to_ns

IN_FLIGHT: Final = 4
"""Questions to the venue that may be under way at one time."""

PATIENT_AFTER: Final = 12
"""Fruitless tries after which a market that no slot is waiting for is asked for slowly."""

GRACE_S: Final = 10.0
"""A slot is asked for once more so long after its end, or half the time it is still kept, if that is less."""

UNKNOWN: Final = "unknown to the venue, or not ready there"

_PAUSING: Final = frozenset({RestFaultKind.RATE_LIMITED, RestFaultKind.BLOCKED})
_DOUBLINGS: Final = 10


class DiscoveryListener(Protocol):
    """Who is told. Called from the actor's tasks; must not wait."""

    def appear(self, target: Target) -> None:
        """Follow ``target`` from now on; nothing may be known of it yet."""

    def learn(self, key: str, market: Market | None) -> None:
        """The metadata arrived or changed; ``None``, at most once and first: the venue does not know the market yet."""

    def lookup_failed(self, key: str, reason: str) -> None:
        """The venue could not be asked, for a reason that was not told before, and has not answered yet at all."""

    def retire(self, key: str) -> None:
        """Follow the target no more."""


@define(eq=False, kw_only=True)
class _Entry:
    """A target that appeared and is not retired."""

    target: Target
    slots: tuple[Slot, ...]
    due_ns: int | None
    market: Market | None = None
    told: bool = False
    failure: str = ""
    hidden: bool = False  # behind another target that is the same market
    not_before_ns: int = 0
    hurried: bool = False
    tries: int = 0
    problem: str = ""
    woken: trio.Event = Factory(trio.Event)
    scope: trio.CancelScope = Factory(trio.CancelScope)

    @property
    def end_ns(self) -> int:
        """The end of a slot, or the end its metadata tell if that is later."""
        ends = (self.target.end_ns, None if self.market is None else self.market.end_ns)
        return max(end_ns for end_ns in (*ends, 0) if end_ns is not None)


class DiscoveryActor:
    """Announces targets to ``listener``: each slot once, ``warm_s`` before it starts until ``retire_after_s`` after its
    end, each fixed market for as long as it is followed. The key of a target is its slug, else its condition id.

    Raises ``UnknownSlug`` for a series that is none. What the listener raises leaves ``run``; it is told again then.
    """

    def __init__(
        self,
        *,
        follow: Iterable[FollowSettings],
        clock: Clock,
        rest: Catalog,
        settings: DiscoverySettings,
        listener: DiscoveryListener,
        rng: random.Random,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._clock = clock
        self._rest = rest
        self._settings = settings
        self._listener = listener
        self._rng = rng
        self._log: FilteringBoundLogger = default_logger() if log is None else log
        self._warm_ns = to_ns(settings.warm_s)
        self._retire_after_ns = to_ns(settings.retire_after_s)
        self._retry_ns = to_ns(settings.retry_s)
        self._book = FollowBook(settings)
        self._entries: dict[str, _Entry] = {}
        self._woken = trio.Event()
        self._in_flight = trio.CapacityLimiter(IN_FLIGHT)
        self._paused_until_ns = 0
        self._pauses = 0
        for wanted in follow:
            self.follow(wanted)

    def follow(self, follow: FollowSettings, owner: str = LISTED) -> None:
        """Follow a series or a market from the next turn of the actor on; twice is the same as once."""
        self._book.follow(follow, owner)
        self._woken.set()

    def unfollow(self, name: str, owner: str = LISTED) -> None:
        """Follow no more what only this owner followed by this name; whatever it did not follow is ignored."""
        self._book.unfollow(name, owner)
        self._woken.set()

    def refresh(self, key: str) -> None:
        """Ask for the metadata of a target again soon, but not before ``retry_s`` have passed since the last time."""
        if (entry := self._entries.get(key)) is not None:
            entry.hurried = True
            entry.woken.set()

    def problems(self) -> Mapping[str, str]:
        """Why the metadata of a target are missing or out of date, by key; empty when all is well."""
        return {key: entry.problem for key, entry in self._entries.items() if entry.problem}

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; ready once everything followed has appeared. One run at a time."""
        async with trio.open_nursery() as nursery:
            for entry in self._entries.values():
                self._start(nursery, entry)
            while True:
                # New before the work: what the listener asks for meanwhile counts.
                woken = self._woken = trio.Event()
                self._roll(nursery)
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                await self._until(self._next_roll_ns(), woken)

    # The roll: by the clock alone.

    def _roll(self, nursery: trio.Nursery) -> None:
        now_ns = self._clock.now_ns()
        # Listed first: the listener may follow and unfollow while it is told.
        for target in [*self._book.due(now_ns)]:
            if target.key not in self._entries:
                self._appear(nursery, target, now_ns)
        for entry in [*self._entries.values()]:
            if not self._book.keeps(entry.target, entry.end_ns, now_ns):
                self._retire(entry)

    def _appear(self, nursery: trio.Nursery, target: Target, now_ns: int) -> None:
        self._listener.appear(target)
        entry = self._entries[target.key] = _Entry(target=target, slots=_slots(target), due_ns=now_ns)
        self._start(nursery, entry)

    def _retire(self, entry: _Entry) -> None:
        if not entry.hidden:
            self._listener.retire(entry.target.key)
        entry.scope.cancel()
        del self._entries[entry.target.key]
        for other in self._entries.values():
            if other.hidden:
                self.refresh(other.target.key)  # it may have been the one that spoke for it

    def _next_roll_ns(self) -> int | None:
        present = ((entry.target, entry.end_ns) for entry in self._entries.values())
        return self._book.next_ns(self._clock.now_ns(), present)

    # The look-ups: one task for each target.

    def _start(self, nursery: trio.Nursery, entry: _Entry) -> None:
        entry.scope = trio.CancelScope()
        nursery.start_soon(self._look_up, entry, name=f"look up {entry.target.key}")

    async def _look_up(self, entry: _Entry) -> None:
        with entry.scope:
            while True:
                await self._turn(entry)
                async with self._in_flight:
                    # A pause may have begun while this one waited for its place.
                    if self._clock.now_ns() >= self._paused_until_ns:
                        await self._ask(entry)

    async def _turn(self, entry: _Entry) -> None:
        while (ready_ns := self._ready_ns(entry)) is None or ready_ns > self._clock.now_ns():
            entry.woken = trio.Event()
            await self._until(ready_ns, entry.woken)

    def _ready_ns(self, entry: _Entry) -> int | None:
        hurried = [entry.not_before_ns] if entry.hurried else []
        due = [] if entry.due_ns is None else [entry.due_ns]
        return max(min([*due, *hurried]), self._paused_until_ns) if due or hurried else None

    async def _ask(self, entry: _Entry) -> None:
        entry.not_before_ns = self._clock.now_ns() + self._retry_ns
        entry.hurried = False
        try:
            market = await self._answer(entry)
            self._pauses = 0
            # The answer may have come in the very moment in which the target was retired.
            if self._entries.get(entry.target.key) is entry:
                self._settle(entry, market)
        except RestFault as fault:
            self._pause(fault)
            self._fail(entry, str(fault), str(fault.kind))
            self._tell_failure(entry, str(fault.kind))
        except Exception as error:
            # A bug is the supervisor's business; but after the restart it must not be the first thing to happen again.
            entry.problem = excerpt(f"{type(error).__name__}: {error}")
            entry.due_ns = entry.not_before_ns = self._clock.now_ns() + to_ns(self._settings.refresh_s)
            raise

    async def _answer(self, entry: _Entry) -> Market | None:
        known = entry.market
        condition_id = entry.target.condition_id if known is None else known.condition_id
        if condition_id is not None:
            return await self._rest.market_by_condition_id(condition_id)
        if not entry.slots:
            return await self._rest.market_by_slug(entry.target.key)
        for slot in entry.slots:
            market = await self._rest.market_by_slug(slot.slug)
            if market is not None and (market.end_ns is None or SERIES[slot.series].admits(slot, market.end_ns)):
                return market
        return None

    def _settle(self, entry: _Entry, market: Market | None) -> None:
        if market is None:
            self._fail(entry, UNKNOWN, "unknown")
            self._tell_unknown(entry)
            return
        twin = self._twin(entry, market)
        if twin is not None and (twin.slots or not entry.slots):
            self._hide(entry, twin)
            return
        if twin is not None:
            self._hide(twin, entry)
        self._reveal(entry)
        self._learn(entry, market)

    def _twin(self, entry: _Entry, market: Market) -> _Entry | None:
        """The other target that is the same market, as a condition id may name a slot: two would count twice."""
        for other in self._entries.values():
            if other is not entry and other.market is not None and other.market.condition_id == market.condition_id:
                return other
        return None

    def _hide(self, entry: _Entry, twin: _Entry) -> None:
        """Let ``twin`` speak for both, and look from time to time whether it still does."""
        if not entry.hidden:
            self._listener.retire(entry.target.key)
            entry.hidden, entry.market, entry.told = True, None, False
        self._fail(entry, f"followed already as {twin.target.key}", "twin")

    def _reveal(self, entry: _Entry) -> None:
        if entry.hidden:
            self._listener.appear(entry.target)
            entry.hidden = False

    def _house(self, entry: _Entry, market: Market) -> None:
        """Move a market that was followed by its id alone to the underlying its metadata name."""
        if entry.market is not None or entry.target.condition_id is None or market.slug is None:
            return
        underlying = underlying_of(market.slug)
        if underlying != entry.target.underlying:
            entry.target = evolve(entry.target, underlying=underlying)
            self._listener.retire(entry.target.key)
            self._listener.appear(entry.target)

    def _tell_unknown(self, entry: _Entry) -> None:
        if not entry.told:
            self._listener.learn(entry.target.key, None)
            entry.told = True

    def _tell_failure(self, entry: _Entry, reason: str) -> None:
        present = not entry.hidden and self._entries.get(entry.target.key) is entry
        if present and not entry.told and entry.failure != reason:
            self._listener.lookup_failed(entry.target.key, reason)
            entry.failure = reason

    def _learn(self, entry: _Entry, market: Market) -> None:
        self._house(entry, market)
        market = merged(entry.market, market)
        if market != entry.market:
            self._listener.learn(entry.target.key, market)
            entry.market, entry.told = market, True
            self._log.info("market.learned", market=entry.target.key, condition_id=market.condition_id)
        entry.tries, entry.problem = 0, ""
        entry.due_ns = self._refresh_ns(entry, market)

    def _refresh_ns(self, entry: _Entry, market: Market) -> int | None:
        """When to look for changes: at intervals, and for a slot soon after its end; never once the winner is known."""
        if market.winner is not None:
            return None
        now_ns = self._clock.now_ns()
        refresh_ns = now_ns + self._jittered(to_ns(self._settings.refresh_s))
        over_ns = entry.end_ns + min(to_ns(GRACE_S), self._retire_after_ns // 2)
        return min(refresh_ns, over_ns) if entry.slots and now_ns < over_ns else refresh_ns

    def _fail(self, entry: _Entry, problem: str, kind: str) -> None:
        if not entry.tries:
            self._log.warning("market.lookup_failed", market=entry.target.key, error_type=kind, error=problem)
        now_ns = self._clock.now_ns()
        delay_ns = self._retry_ns << min(entry.tries, _DOUBLINGS)
        entry.due_ns = now_ns + self._jittered(min(delay_ns, self._cap_ns(entry, now_ns)))
        entry.tries += 1
        entry.problem = problem

    def _cap_ns(self, entry: _Entry, now_ns: int) -> int:
        settings = self._settings
        target = entry.target
        awaited = target.start_ns is not None and target.start_ns - self._warm_ns <= now_ns < entry.end_ns
        patient = entry.market is not None or (entry.tries >= PATIENT_AFTER and not awaited)
        return to_ns(max(settings.retry_cap_s, settings.refresh_s) if patient else settings.retry_cap_s)

    def _pause(self, fault: RestFault) -> None:
        now_ns = self._clock.now_ns()
        if fault.kind not in _PAUSING or (fault.retry_after is None and now_ns < self._paused_until_ns):
            return  # the second holds for what was under way when the pause began
        if fault.retry_after is None:
            pause_s = min(CAUTIOUS.base_s * 2 ** min(self._pauses, _DOUBLINGS), CAUTIOUS.cap_s)
            self._pauses += 1
        else:
            pause_s = fault.retry_after
        self._paused_until_ns = max(self._paused_until_ns, now_ns + to_ns(pause_s))
        self._log.warning("discovery.paused", seconds=pause_s, error_type=str(fault.kind), error=fault.detail)

    def _jittered(self, delay_ns: int) -> int:
        return round(delay_ns * self._rng.uniform(0.75, 1.0))

    async def _until(self, at_ns: int | None, woken: trio.Event) -> None:
        with trio.move_on_at(math.inf if at_ns is None else self._clock.trio_time(at_ns)):
            await woken.wait()


def _slots(target: Target) -> tuple[Slot, ...]:
    """The slot of a target and the others it may be listed as."""
    if target.series is None or target.slug is None:
        return ()
    slot = slot_of_slug(target.slug)
    return (slot, *SERIES[target.series].alternatives(slot))
