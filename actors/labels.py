"""The label actor: asks the venue, for as long as it takes, how every followed market ended, and writes it down.

A market is asked for from 10 s after its end, every 30 s, until it is decided or 1,800 s are over. What the stream says
of a winner makes it ask at once, and counts as a word of its own only where REST could not be had from then on.

What is awaited lives in the actor, not in its run: a run after a crash goes on where the last one ended.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import trio
from attrs import Factory, define
from structlog.typing import FilteringBoundLogger

from actors.clock import Clock
from actors.faults import CAUTIOUS, excerpt
from actors.logs import default_logger
from actors.rest import RestFault, RestFaultKind
from engine.errors import WireError
from engine.events import MarketResolved
from engine.labels import Label, LabelSource, LabelStatus, Ruling, end_of, label_for, unlabelled
from engine.markets import Market, Outcome, Target
from engine.records import Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.units import to_ns
from engine.wire import decode

GRACE_S: Final = 10.0
EVERY_S: Final = 30.0
GIVE_UP_S: Final = 1800.0

ROOM: Final = 4096
"""Markets that may be awaited at one time, and so many labelled ones are remembered."""

_GRACE_NS: Final = to_ns(GRACE_S)
_EVERY_NS: Final = to_ns(EVERY_S)
_GIVE_UP_NS: Final = to_ns(GIVE_UP_S)
_DOUBLINGS: Final = 10
_RESOLVED: Final = '"market_resolved"'

_OWN: Final = frozenset({RestFaultKind.NOT_JSON, RestFaultKind.OVERSIZE, RestFaultKind.UNEXPECTED})
"""Faults of one market's page. Any other is the host's, and everybody waits."""


class Court(Protocol):
    """Who is asked; raises ``RestFault`` and nothing else. ``VenueRest`` is one."""

    async def outcome_of(self, condition_id: str) -> Ruling:
        """What the venue says of a market by now."""


class Book(Protocol):
    """Where labels are kept. ``LabelBook`` is one."""

    async def add(self, label: Label) -> None:
        """Keep one more label; raises ``OSError``."""


@define(eq=False, kw_only=True)
class _Case:
    """A market whose label is awaited; ``label`` is what is yet to be written."""

    target: Target
    market: Market
    since_ns: int
    closed_ns: int | None = None
    due_ns: int | None = None
    asked: bool = False
    faults: int = 0
    ruling: Ruling | None = None  # the last answer, unless the stream has named a winner since
    winners: set[Outcome] = Factory(set)  # by the stream
    label: Label | None = None

    @property
    def over_ns(self) -> int | None:
        """When the market was over: at its end, or when it was found closed before that or without one."""
        ends = (end_of(self.target, self.market), self.closed_ns)
        return min((end_ns for end_ns in ends if end_ns is not None), default=None)

    @property
    def given_up_ns(self) -> int | None:
        """After this nothing more is waited for."""
        return None if self.over_ns is None else max(self.over_ns, self.since_ns) + _GIVE_UP_NS

    @property
    def last_word(self) -> Ruling:
        """What holds if nothing more is heard."""
        if self.ruling is None and len(self.winners) == 1:
            (outcome,) = self.winners
            return Ruling(status=LabelStatus.RESOLVED, outcome=outcome, resolved_by=LabelSource.STREAM)
        return self.ruling or Ruling()

    def next_ns(self, earliest_ns: int) -> int | None:
        """When to ask next, not before ``earliest_ns`` unless time is up then; ``None``: not before it is over."""
        if self.over_ns is None or self.given_up_ns is None:
            return None
        return min(max(earliest_ns, self.over_ns + _GRACE_NS), self.given_up_ns)


class LabelActor:
    """Writes one label for each market it is told of into ``book``.

    ``take`` has the form of a tap and tells it everything; ``expect`` and ``hear`` are for those who know more than the
    records, ``take_up`` is for the start. None of them waits or raises. ``rng`` draws the jitter of back-offs.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        rest: Court,
        book: Book,
        rng: random.Random,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._clock = clock
        self._rest = rest
        self._book = book
        self._rng = rng
        self._log: FilteringBoundLogger = default_logger() if log is None else log
        self._cases: dict[str, _Case] = {}
        self._settled: dict[str, None] = {}
        self._targets: dict[str, Target] = {}
        self._woken = trio.Event()
        self._paused_until_ns = 0
        self._pauses = 0
        self._crowded = False
        self._problem = ""

    @property
    def awaited(self) -> int:
        """How many markets are without their label, also those that are not over yet."""
        return len(self._cases)

    @property
    def problem(self) -> str:
        """Why labels cannot be written at the moment; empty when they can."""
        return self._problem

    # Called by others, never waiting.

    def take_up(self, markets: Iterable[tuple[Target, Market]], labels: Mapping[str, Label]) -> None:
        """Go on where an earlier process ended, whose ``labels`` these are: await those that its ``markets`` lack.

        What ended a day ago or more, or nobody knows when, is left alone. So is what has a settled label, for good.
        """
        settled = [condition_id for condition_id, label in labels.items() if label.settled]
        self._settled.update(dict.fromkeys(settled[-ROOM:]))
        for target, market in unlabelled(markets, labels, self._clock.now_ns()):
            self.expect(target, market)

    def take(self, key: str, record: Record) -> None:
        """Learn from one record of one market: who is followed, what is known of it, what the stream says of winners.

        The venue may tell a winner on any connection, so every frame counts for every market.
        """
        if isinstance(record, Frame):
            if _RESOLVED in record.text:
                self._hear_frame(record.text)
        elif isinstance(record, Followed):
            self._targets[key] = record.target
        elif isinstance(record, MarketUpdated):
            if key in self._targets:
                self.expect(self._targets[key], record.market)
        elif isinstance(record, Unfollowed):
            self._targets.pop(key, None)

    def expect(self, target: Target, market: Market | None) -> None:
        """Await the label of a market, or learn more of one that is awaited; ``None`` and what is labelled is ignored.

        The time to give up counts from now for a market that was over before.
        """
        if market is None or market.condition_id in self._settled:
            return
        case = self._cases.get(market.condition_id)
        if case is None:
            case = self._admit(target, market)
        if case is None or case.label is not None:
            return
        thought_ns = case.over_ns
        case.target, case.market = target, market
        if market.closed and case.closed_ns is None:
            case.closed_ns = case.due_ns = self._clock.now_ns()
        elif case.due_ns is None or (not case.asked and case.over_ns != thought_ns):
            case.due_ns = case.next_ns(0)
        self._woken.set()

    def hear(self, condition_id: str, winner: Outcome) -> None:
        """Take in a winner that the stream named; of a market that is not awaited, or said before, it is ignored."""
        case = self._cases.get(condition_id)
        if case is None or case.label is not None or winner in case.winners:
            return
        now_ns = self._clock.now_ns()
        case.winners.add(winner)
        case.ruling, case.due_ns = None, now_ns
        if case.over_ns is None:
            case.closed_ns = now_ns
        self._woken.set()

    # The actor itself.

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; expected faults never leave it. One run at a time."""
        task_status.started()
        while True:
            woken = self._woken = trio.Event()
            case, ready_ns = self._next()
            if case is None or ready_ns > self._clock.now_ns():
                with trio.move_on_at(math.inf if case is None else self._clock.trio_time(ready_ns)):
                    await woken.wait()
            elif case.label is None:
                await self._ask(case)
            else:
                await self._write(case, case.label)

    def _next(self) -> tuple[_Case | None, int]:
        """Whose turn it is, and when."""
        first, first_ns = None, 0
        for case in self._cases.values():
            if case.due_ns is None:
                continue
            ready_ns = case.due_ns if case.label is not None else max(case.due_ns, self._paused_until_ns)
            if first is None or (ready_ns, case.due_ns) < (first_ns, first.due_ns):
                first, first_ns = case, ready_ns
        return first, first_ns

    async def _ask(self, case: _Case) -> None:
        # First of all, so that neither a crash nor the stream, which may speak meanwhile, is overruled.
        case.asked, case.due_ns = True, case.next_ns(self._clock.now_ns() + _EVERY_NS)
        try:
            ruling = await self._rest.outcome_of(case.market.condition_id)
        except RestFault as fault:
            self._bear(case, fault)
        except Exception:
            self._give_up(case)
            raise
        else:
            self._learn(case, ruling)

    def _learn(self, case: _Case, ruling: Ruling) -> None:
        self._pauses = case.faults = 0
        # A market closes at 0.5 each before its winner is entered, perhaps; two looks tell.
        twice = case.ruling is not None and case.ruling.status is ruling.status is LabelStatus.VOID
        case.ruling = ruling
        if twice or ruling.status is LabelStatus.RESOLVED:
            self._decide(case)
        else:
            self._give_up(case)

    def _give_up(self, case: _Case) -> None:
        """Let the last word hold if the time is up."""
        if case.label is None and case.given_up_ns is not None and self._clock.now_ns() >= case.given_up_ns:
            self._decide(case)

    def _decide(self, case: _Case) -> None:
        ruling, now_ns = case.last_word, self._clock.now_ns()
        case.label = label_for(case.target, case.market, ruling, over_ns=case.over_ns, at_ns=now_ns)
        case.due_ns = now_ns
        if ruling.outcome is not None and case.winners - {ruling.outcome}:
            self._log.warning("label.contradicted", market=case.target.key, outcome=ruling.outcome)

    def _bear(self, case: _Case, fault: RestFault) -> None:
        """Wait, alone or with everybody else, and let those be whose time is up."""
        now_ns = self._clock.now_ns()
        if fault.kind in _OWN:
            seconds = self._patience_s(fault, case.faults)
            case.faults += 1
            case.due_ns = case.next_ns(now_ns + to_ns(seconds))
            self._give_up(case)
        else:
            seconds = self._patience_s(fault, self._pauses)
            self._pauses += 1
            self._paused_until_ns = now_ns + to_ns(seconds)
            for other in self._cases.values():
                self._give_up(other)
        fields = {"seconds": seconds, "error_type": str(fault.kind), "error": fault.detail}
        self._log.warning("label.lookup_failed", market=case.target.key, **fields)

    def _patience_s(self, fault: RestFault, faults: int) -> float:
        if fault.retry_after is not None:
            return fault.retry_after
        span_s = min(CAUTIOUS.cap_s, CAUTIOUS.base_s * 2.0 ** min(faults, _DOUBLINGS))
        return CAUTIOUS.min_s + self._rng.uniform(0.0, span_s)

    async def _write(self, case: _Case, label: Label) -> None:
        case.due_ns = self._clock.now_ns() + _EVERY_NS
        try:
            await self._book.add(label)
        except OSError as error:
            if not self._problem:
                self._log.error("labels.degraded", error_type=type(error).__name__, error=str(error))
            self._problem = excerpt(f"{type(error).__name__}: {error}")
            return
        if self._problem:
            self._log.info("labels.recovered")
            self._problem = ""
        self._close(label)

    def _close(self, label: Label) -> None:
        del self._cases[label.condition_id]
        if label.settled:
            self._settled[label.condition_id] = None
        while len(self._settled) > ROOM:
            del self._settled[next(iter(self._settled))]
        self._log.info(
            "label.written",
            condition_id=label.condition_id,
            slug=label.slug,
            status=label.status,
            outcome=label.outcome,
            resolved_by=label.resolved_by,
            late=label.late,
        )

    def _admit(self, target: Target, market: Market) -> _Case | None:
        crowded = len(self._cases) >= ROOM
        if crowded and not self._crowded:
            self._log.error("labels.crowded", awaited=len(self._cases), market=target.key)
        self._crowded = crowded
        if crowded:
            return None
        case = _Case(target=target, market=market, since_ns=self._clock.now_ns())
        self._cases[market.condition_id] = case
        return case

    def _hear_frame(self, text: str) -> None:
        try:
            events = decode(text)
        except WireError as error:
            events = error.events
        for event in events:
            if isinstance(event, MarketResolved) and (case := self._cases.get(event.market)) is not None:
                winner = case.market.outcome_of(event.winning_asset_id)
                if winner is not None:
                    self.hear(event.market, winner)
