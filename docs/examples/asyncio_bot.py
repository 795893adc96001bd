"""A bot on asyncio with a cycle of three minutes. Read-only: it writes one JSON line per cycle and trades nothing.

The service is made once and kept, so every cycle but the first is answered at once. A day against the real venue, and
the same thing against a stand-in venue in fast time, offline, within ten seconds:

    python docs/examples/asyncio_bot.py > day.jsonl
    python docs/examples/asyncio_bot.py --rehearsal
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TextIO

from actors import BackgroundEngine, MarketMicrostructureService, RehearsalEngine, VenueOptions
from engine.fusion import Opinion, fuse
from engine.signals import MarketSignals, OutsideScore

RATE = 60.0
"""So many times faster than the wall runs a rehearsal."""

SOCIAL_S = 20.0
"""How long a cycle waits for the bot's own source."""

Source = Callable[[int], Awaitable[OutsideScore]]


async def social_score(cycle: int) -> OutsideScore:
    """Stands for whatever else the bot asks in a cycle: put your own source here."""
    await asyncio.sleep(0.01)
    return OutsideScore(name="social", score=0.5 * math.sin(cycle), confidence=0.4)


async def or_none(source: Source, cycle: int) -> OutsideScore | None:
    """The source's score; a source that fails or hangs costs its score, never the cycle."""
    try:
        return await asyncio.wait_for(source(cycle), SOCIAL_S)
    except Exception:
        logging.exception("no social score in cycle %d", cycle)
        return None


def seen(cycle: int, signal: MarketSignals, social: OutsideScore | None) -> dict[str, Any]:
    """What one cycle saw: the score beside the market's own price, why there is none, and both fused."""
    opinion = Opinion(score=signal.score, confidence=signal.confidence) if signal.components_present else None
    fused = fuse(opinion, [social] if social else [], expected=["social"])
    return {
        "cycle": cycle,
        "time": signal.timestamp.isoformat(timespec="seconds"),
        "market": signal.target,
        "signal_type": signal.signal_type,
        "reason": signal.reason,
        "score": round(signal.score, 4),
        "confidence": round(signal.confidence, 4),
        "coverage": round(signal.window.coverage, 4),
        "mid": signal.market.mid,
        "social": None if social is None else round(social.score, 4),
        "fused": None if fused.score is None else round(fused.score, 4),
        "fused_confidence": round(fused.confidence, 4),
    }


async def bot(
    service: MarketMicrostructureService,
    *,
    cycles: int,
    cycle_s: float,
    social: Source = social_score,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    output: TextIO | None = None,
) -> None:
    """Write one line per cycle. Nothing the venue does ends it: the service answers, and its answer says why."""

    async def look(cycle: int) -> None:
        signal, other = await asyncio.gather(service.get_market_score(), or_none(social, cycle))
        print(json.dumps(seen(cycle, signal, other)), file=output or sys.stdout, flush=True)

    for cycle in range(cycles):
        await asyncio.gather(look(cycle), sleep(cycle_s if cycle < cycles - 1 else 0))


async def run(arguments: argparse.Namespace) -> None:
    """Keep one engine and one service for all cycles."""
    rehearsal = RehearsalEngine(rate=RATE, options=VenueOptions(message_rate=5.0)) if arguments.rehearsal else None
    sleep, cycles = (rehearsal.sleep, 3) if rehearsal else (asyncio.sleep, 480)
    async with rehearsal or BackgroundEngine() as engine, MarketMicrostructureService(engine=engine) as service:
        service.follow(arguments.market)
        await bot(service, cycles=arguments.cycles or cycles, cycle_s=arguments.cycle_s, sleep=sleep)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--market", default="btc-15m", help="series, slug or condition id (default: %(default)s)")
    parser.add_argument("--cycles", type=int, help="how many (default: 480, which is a day; 3 in a rehearsal)")
    parser.add_argument("--cycle-s", type=float, default=180.0, help="length of a cycle (default: %(default)s)")
    parser.add_argument("--rehearsal", action="store_true", help="against a stand-in venue, 60 times faster, offline")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
