"""A bot on trio: it reads the streams of signals and of aggregates, and offers a score of its own. It trades nothing.

python docs/examples/trio_bot.py                  # the real venue, until Ctrl-C
python docs/examples/trio_bot.py --rehearsal      # five minutes of a stand-in venue in a second or two, offline
"""

from __future__ import annotations

import argparse
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from actors import Engine, Ports, Venue, VenueOptions, open_engine
from actors.clock import Clock
from engine.settings import AggregateSettings, FollowSettings, Settings
from engine.signals import OutsideScore

SETTINGS = Settings(
    follow=(FollowSettings(series="btc-5m"), FollowSettings(series="btc-15m")),
    aggregate=AggregateSettings(outside=("social",)),
)


async def watch_markets(engine: Engine) -> None:
    """One line per market and deadline; a reader too slow for that loses the oldest, and slows nobody."""
    async for signal in engine.signals():
        told = signal.reason or f"{signal.score:+.2f} at {signal.confidence:.0%}, mid {signal.market.mid}"
        print(f"{signal.timestamp:%H:%M:%S} {signal.target}: {signal.signal_type}, {told}", flush=True)


async def watch_aggregates(engine: Engine) -> None:
    """One line per deadline: all open markets together, and with the bot's own score fused in."""
    async for aggregate in engine.aggregates():
        score, fused = ("none" if it is None else f"{it:+.2f}" for it in (aggregate.score, aggregate.fused_score))
        told = f"score {score}, fused {fused} at {aggregate.fused_confidence:.0%}"
        print(f"{aggregate.underlying}: {told}", flush=True)


async def offer_social(engine: Engine) -> None:
    """Stands for the bot's own source, once a minute."""
    while True:
        score = 0.5 * math.sin(trio.current_time())
        engine.offer(OutsideScore(name="social", score=score, confidence=0.4))
        await trio.sleep(60)


async def bot(ports: Ports, seconds: float) -> None:
    """All three side by side for so long."""
    with trio.move_on_after(seconds):
        async with open_engine(SETTINGS, ports=ports) as engine, trio.open_nursery() as nursery:
            for task in (watch_markets, watch_aggregates, offer_social):
                nursery.start_soon(task, engine)


@asynccontextmanager
async def stand_in() -> AsyncIterator[Ports]:
    """A venue of our own in place of the real one, from a full quarter of an hour on."""
    clock = Clock.anchored(1_790_001_000 * 10**9)
    venue = Venue(clock, VenueOptions(message_rate=5.0))
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        yield Ports(clock=clock, dial=venue.dial, http_transport=venue.http_transport)
        nursery.cancel_scope.cancel()


async def rehearse() -> None:
    """Five minutes, in which btc-5m rolls over."""
    async with stand_in() as ports:
        await bot(ports, 320)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearsal", action="store_true", help="against a stand-in venue in fast time, offline")
    if parser.parse_args().rehearsal:
        trio.run(rehearse, clock=MockClock(autojump_threshold=0))
        return
    try:
        trio.run(bot, Ports(), math.inf)
    except* KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
