"""A client on trio without this project: trio-websocket as it comes."""

from __future__ import annotations

import trio
from trio_websocket import open_websocket

from engine.wire import subscription
from tests.bench.speed.job import LISTENERS, Job, Meter, NewListener, watch


async def trio_websocket_row(job: Job, new_listener: NewListener, meter: Meter) -> None:
    """``open_websocket`` with all defaults, one task for each connection."""
    context = job.ssl_context

    async def connect(market: int) -> None:
        listener = new_listener(market)
        tokens = job.markets()[market].asset_ids
        async with open_websocket("localhost", job.port, job.path, use_ssl=context or False) as socket:
            await socket.send_message(subscription(tokens))
            while True:
                text = await socket.get_message()
                assert isinstance(text, str)
                listener(text)

    async with trio.open_nursery() as nursery:
        for market in range(job.connections):
            nursery.start_soon(connect, market)
        watch(meter)


ROWS = {"trio-websocket": trio_websocket_row}


def run(job: Job, name: str, listener: str) -> None:
    """Run a row of this module."""
    meter = Meter(job)
    trio.run(ROWS[name], job, LISTENERS[listener](meter), meter)
