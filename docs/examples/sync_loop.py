"""A bot without any event loop, in a loop of ten lines. Read-only: it prints and trades nothing.

python docs/examples/sync_loop.py                 # the real venue, until Ctrl-C
python docs/examples/sync_loop.py --rehearsal     # a stand-in venue, 60 times faster, offline, three rounds
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import count

from actors import BackgroundEngine, MarketMicrostructureService, RehearsalEngine, VenueOptions


def loop(service: MarketMicrostructureService, rounds: Iterable[int], pause_s: float) -> None:
    """The loop; whatever the venue does, ``score`` returns."""
    service.follow("btc-15m")
    for _ in rounds:
        signal = service.score()  # waits for a full window the first time, at most two minutes
        if signal.signal_type in ("MARKET_UNAVAILABLE", "MARKET_CLOSED"):
            print(f"{signal.target}: no opinion, {signal.signal_type} ({signal.reason})", flush=True)
        else:
            told = f"score {signal.score:+.2f} at {signal.confidence:.0%}, mid {signal.market.mid}"
            print(f"{signal.target}: {signal.signal_type}, {told}", flush=True)
        time.sleep(pause_s)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearsal", action="store_true", help="against a stand-in venue in fast time, offline")
    rehearsal = parser.parse_args().rehearsal
    engine = RehearsalEngine(options=VenueOptions(message_rate=5.0)) if rehearsal else BackgroundEngine()
    with suppress(KeyboardInterrupt), engine, MarketMicrostructureService(engine=engine) as service:
        loop(service, range(3) if rehearsal else count(), pause_s=1.0 if rehearsal else 60.0)


if __name__ == "__main__":
    main()
