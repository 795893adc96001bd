"""A flood of one market is nobody else's: how much its connection does in one turn, and what neighbours notice."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial
from random import Random

import pytest
import trio
import trio.testing
from attrs import define, evolve

from actors.limiter import ConnectLimiter
from actors.market import MarketActor
from actors.reconnect import Listener, Reconnector
from actors.seat import Seat
from tests.actors.flood import fairness
from tests.actors.raw_server import RawPeer, play, text
from tests.actors.test_market import FEED, Stage, frames, playing
from tests.engine.wire_texts import DOWN, MARKET, book, change, trade

MOST_AT_ONCE = 128


@define(eq=False)
class Turns(trio.abc.Instrument):
    """The most messages that one turn of a task took in."""

    stage: Stage
    most: int = 0
    before: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.before = len(self.stage.tape)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.most = max(self.most, len(self.stage.tape) - self.before)


@pytest.mark.parametrize("word", ["[]", trade("0.5"), book([("0.49", "1")] * 40)])
async def test_no_turn_takes_in_more_than_a_batch(autojump_clock: trio.testing.MockClock, word: str) -> None:
    async def flood(peer: RawPeer) -> None:
        await peer.subscribed(text(word) * 3000)
        await peer.read_all()

    stage = Stage()
    async with trio.open_nursery() as nursery:

        async def dial(url: str) -> trio.abc.Stream:
            client, server = trio.testing.memory_stream_pair()
            nursery.start_soon(play, flood, server)
            await trio.lowlevel.checkpoint()
            return client

        def reconnector(seat: Seat, listener: Listener) -> Reconnector:
            return Reconnector(
                url="ws://127.0.0.1:1/ws/market",
                feed=FEED,
                user_agent="updown",
                dial=dial,
                limiter=ConnectLimiter(stage.clock, rate_per_s=1000.0),
                rng=Random(1),
                listener=listener,
                log=stage.tools.log,
            )

        stage.actor = MarketActor(stage.seat, evolve(stage.tools, new_reconnector=reconnector))
        turns = Turns(stage)
        trio.lowlevel.add_instrument(turns)
        async with playing(stage):
            stage.actor.learn(MARKET)
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    trio.lowlevel.remove_instrument(turns)
    assert [frame.text for frame in frames(stage)] == [word] * 3000
    assert 0 < turns.most <= MOST_AT_ONCE


@pytest.fixture
def small_heap() -> Iterator[None]:
    """What other tests left behind must not be looked through in the middle of a turn."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.socket
@pytest.mark.usefixtures("small_heap")
def test_the_neighbours_of_a_flooded_market_hardly_notice() -> None:
    books = [book(), book((("0.49", "100"),), (("0.51", "100"),), asset=DOWN)]
    flood = [*books, *(change("0.48", str(size), "BUY", "0.49", "0.51") for size in range(1, 200))]
    calm = trio.run(partial(fairness, (), seconds=0.15))
    flooded = trio.run(partial(fairness, flood, seconds=0.4))
    assert calm.messages == 0
    assert flooded.messages > 1000
    assert flooded.longest_turn_cpu_s < 0.02, "so much the flood can take from a deadline"
    assert flooded.usually_late_s - calm.usually_late_s < 0.02
    assert flooded.signals, "the quiet market's deadlines"
