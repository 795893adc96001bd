"""The engine of this project as a client: what a message costs it, how it shares its time, what a market takes.

It is opened as an application opens it, on real sockets; only the REST API is stood in for.
"""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio

from actors.clock import Clock
from actors.dial import dial, shared_tls_context
from actors.ports import Ports
from actors.reconnect import session_limits
from actors.system import Engine, open_engine
from actors.taps import Tap
from actors.websocket import open_session
from engine.pipeline import first_deadline
from engine.records import Frame, Record
from engine.settings import DiscoverySettings, FeedSettings, FollowSettings, Settings, TransportKind, VenueSettings
from engine.signals import BookState, FeedState
from engine.units import price_usd, to_ns
from engine.wire import subscription
from tests.bench.speed.job import LOOK_S, PATIENCE_S, TRADE, Job, Meter, quantiles, tell, watch

NOWHERE = "http://127.0.0.1:1"
PING_EVERY_S = 0.3
"""Of an idle market whose memory is measured, so that a heartbeat or two happen."""


def metadata(job: Job) -> httpx.MockTransport:
    """A venue's REST API that knows the markets of the corpus and nothing else."""
    bodies = {
        market.condition_id: {
            "condition_id": market.condition_id,
            "minimum_tick_size": price_usd(market.tick),
            "tokens": [
                {"token_id": asset_id, "outcome": outcome}
                for asset_id, outcome in zip(
                    (market.up_asset_id, market.down_asset_id or "1"), ("Up", "Down"), strict=True
                )
            ],
        }
        for market in job.markets()
    }

    def answer(request: httpx.Request) -> httpx.Response:
        body = bodies.get(request.url.path.rpartition("/")[2])
        return httpx.Response(200, json=[] if body is None else body)

    return httpx.MockTransport(answer)


def settings(job: Job, transport: str, **chosen: Any) -> Settings:
    """The engine's own defaults but for the addresses, the transport and the pace of connects; and what is chosen."""
    return Settings(
        follow=tuple(FollowSettings(condition_id=market.condition_id) for market in job.markets()),
        scoring=job.scoring(),
        venue=VenueSettings(websocket_url=job.url, gamma_url=NOWHERE, clob_url=NOWHERE, ca_file=job.told["ca_file"]),
        feed=FeedSettings(connects_per_s=1000.0, connects_burst=1000, transport=TransportKind(transport), **chosen),
        discovery=DiscoverySettings(refresh_s=3600.0),
    )


@asynccontextmanager
async def live_engine(
    job: Job, transport: str, *, tape: Tap | None = None, clock: Clock | None = None, **chosen: Any
) -> AsyncIterator[Engine]:
    """An engine all of whose markets have been heard."""
    logging.getLogger("updown").setLevel(logging.ERROR)
    ports = Ports(http_transport=metadata(job), clock=clock)
    async with open_engine(settings(job, transport, **chosen), ports=ports, tape=tape) as engine:
        give_up = trio.current_time() + PATIENCE_S
        while (live := sum(it.feed_state is FeedState.LIVE for it in engine.health().markets)) < job.connections:
            if trio.current_time() > give_up:
                tell({"skipped": f"{live} of {job.connections} markets live: {dict(engine.health().problems)}"})
            await trio.sleep(0.05)
        yield engine


async def throughput(job: Job, transport: str) -> None:
    """Messages by the engine's own count, which every signal has: from the signals of one deadline to those of another.

    So what is measured is as long as what is counted, and nobody asks the engine for anything meanwhile.
    """
    meter = Meter(job)
    trades = _Trades(job) if job.aging else None
    async with trio.open_nursery() as nursery, live_engine(job, transport, tape=trades) as engine:
        if trades is not None:
            trades.follow(nursery, engine, meter)
        await trio.sleep(job.warm_s)
        await _count(engine, meter)
        meter.begin()
        await trio.sleep(job.seconds - job.cadence_s / 2)
        await _count(engine, meter)
        told = meter.end()
        faults = [it.last_fault for it in engine.health().markets if it.last_fault]
        tell({**told, "faults": len(faults) or None, "bad": _bad(engine, job)})


async def _count(engine: Engine, meter: Meter) -> None:
    """Just after the next deadline, when every market has spoken."""
    names = [it.condition_id for it in meter.job.markets()]
    cadence_ns = to_ns(meter.job.cadence_s)
    due_ns, give_up = first_deadline(engine.clock.now_ns(), cadence_ns), trio.current_time() + PATIENCE_S
    await engine.clock.sleep_until(due_ns)
    while len(reached := _reached(engine, names)) > 1 or min(reached) < due_ns:
        if trio.current_time() > give_up:
            tell({"skipped": "a market missed its deadlines"})
        await trio.sleep(LOOK_S)
    spoken = [engine.latest(name) for name in names]
    meter.counts[:] = [0 if it is None else it.quality.messages for it in spoken]
    meter.signals = engine.health().signals


def _reached(engine: Engine, names: Sequence[str]) -> set[int]:
    return {0 if (latest := engine.latest(name)) is None else latest.as_of_ns for name in names}


def _bad(engine: Engine, job: Job) -> int | None:
    """Messages that were not understood, known already or lost: there are none, or the row is worth nothing."""
    found = [signal.quality for it in job.markets() if (signal := engine.latest(it.condition_id)) is not None]
    unclean = sum(it.book_state not in (BookState.CLEAN, BookState.UNSYNCED) for it in found)
    return unclean + sum(it.malformed + it.foreign + it.unknown + it.duplicates + it.dropped for it in found) or None


class _Trades:
    """A bot that asks for the signal after each trade, and notes how long ago the trade was sent when it has it."""

    def __init__(self, job: Job) -> None:
        self._places = {market.condition_id: place for place, market in enumerate(job.markets())}
        self._counts = dict.fromkeys(self._places, 0)
        self._channels = {name: trio.open_memory_channel[int](math.inf) for name in self._places}

    def __call__(self, key: str, record: Record) -> None:
        if isinstance(record, Frame):
            self._counts[key] += 1
            if TRADE in record.text:
                self._channels[key][0].send_nowait(self._counts[key] - 1)

    def follow(self, nursery: trio.Nursery, engine: Engine, meter: Meter) -> None:
        """Begin to ask."""
        for name in self._places:
            nursery.start_soon(self._ask, engine, meter, name)

    async def _ask(self, engine: Engine, meter: Meter, name: str) -> None:
        async for message in self._channels[name][1]:
            signal = await engine.get_market_score(name)
            if signal.quality.messages > message:
                meter.ages.append(meter.stamps.age_ns(self._places[name], message))


async def fairness(job: Job, transport: str) -> None:
    """How late the signals of the others are, as a subscriber sees them, while the first market is flooded."""
    clock = Clock.anchored()
    flooded = job.markets()[0].condition_id
    late_ns: list[int] = []
    async with live_engine(job, transport, clock=clock) as engine:
        await trio.sleep(job.warm_s)
        with trio.move_on_after(job.seconds):
            async for signal in engine.signals():
                late_ns += [clock.now_ns() - signal.as_of_ns] * (signal.target != flooded)
        latest = engine.latest(flooded)
        told = {f"late_{name}_ms": value / 1000 for name, value in quantiles(late_ns).items()}
        tell({**told, "signals": len(late_ns), "flooded_messages": latest and latest.quality.messages})


async def memory(job: Job, transport: str) -> None:
    """What this process holds while its markets say nothing but PONG."""
    async with live_engine(job, transport, ping_every_s=PING_EVERY_S) as engine:
        await trio.sleep(job.seconds)
        gc.collect()
        held = _held_kib()
        faults = [it.last_fault for it in engine.health().markets if it.last_fault]
        tell({**held, "markets": job.connections, "faults": len(faults) or None})


def _held_kib() -> dict[str, int]:
    """Resident memory, and what of it is this process's alone."""
    held = {}
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, size, *_ = line.split()
        held[name.rstrip(":")] = int(size)
    return {"rss_kib": held["Rss"], "uss_kib": held["Private_Clean"] + held["Private_Dirty"]}


async def sessions(job: Job, transport: str) -> None:
    """The transport and its session alone: every message is received, and nobody looks at it."""
    meter, feed = Meter(job), FeedSettings(transport=TransportKind(transport))
    dialling = partial(dial, ssl_context=shared_tls_context(job.told["ca_file"]))

    async def listen(market: int) -> None:
        def deliver(texts: Sequence[str]) -> None:
            meter.counts[market] += len(texts)

        asked = subscription(job.markets()[market].asset_ids)
        async with open_session(
            job.url, asked, deliver, limits=session_limits(feed), dial=dialling, transport=feed.transport
        ) as session:
            await session.closed()

    async with trio.open_nursery() as nursery:
        for market in range(job.connections):
            nursery.start_soon(listen, market)
        watch(meter)


ROWS: dict[str, Callable[[Job, str], Awaitable[None]]] = {
    "throughput": throughput,
    "fairness": fairness,
    "memory": memory,
    "sessions": sessions,
}


def run(job: Job, name: str, transport: str) -> None:
    """Run a row of this module."""
    trio.run(partial(ROWS[name], job, transport))
