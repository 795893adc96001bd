"""Clients on asyncio and uvloop: websockets, as the original design used it and as it is best used, and picows."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from engine.wire import subscription
from tests.bench.speed.job import LISTENERS, Job, Listener, Meter, NewListener, tell, watch

Connect = Callable[[Job, int, Listener], Coroutine[Any, Any, None]]
TIMEOUT_S = 30.0


async def websockets_peer(job: Job, market: int, listener: Listener) -> None:
    """The library's own loop, with its defaults."""
    library = importlib.import_module("websockets.asyncio.client")
    async with library.connect(job.url, ssl=job.ssl_context) as socket:
        await socket.send(subscription(job.markets()[market].asset_ids))
        async for text in socket:
            listener(text)


async def waiting_peer(job: Job, market: int, listener: Listener) -> None:
    """As the original design receives: with a time-out around each message."""
    library = importlib.import_module("websockets.asyncio.client")
    async with library.connect(job.url, ssl=job.ssl_context) as socket:
        await socket.send(subscription(job.markets()[market].asset_ids))
        while True:
            listener(await asyncio.wait_for(socket.recv(), timeout=TIMEOUT_S))


async def picows_peer(job: Job, market: int, listener: Listener) -> None:
    """A callback for each frame."""
    library = importlib.import_module("picows")
    text_type = library.WSMsgType.TEXT

    class Ear(library.WSListener):  # type: ignore[misc,name-defined]
        def on_ws_connected(self, transport: object) -> None:
            transport.send(text_type, subscription(job.markets()[market].asset_ids).encode())  # type: ignore[attr-defined]

        def on_ws_frame(self, transport: object, frame: object) -> None:
            if frame.msg_type == text_type:  # type: ignore[attr-defined]
                listener(frame.get_payload_as_utf8_text())  # type: ignore[attr-defined]

    transport, _ = await library.ws_connect(Ear, job.url, ssl_context=job.ssl_context)
    await transport.wait_disconnected()


PEERS: dict[str, tuple[str, Connect]] = {
    "websockets": ("websockets", websockets_peer),
    "waiting": ("websockets", waiting_peer),
    "picows": ("picows", picows_peer),
}


async def _play(job: Job, connect: Connect, new_listener: NewListener, meter: Meter) -> None:
    async with asyncio.TaskGroup() as tasks:
        for market in range(job.connections):
            tasks.create_task(connect(job, market, new_listener(market)))
        watch(meter)


def run(job: Job, name: str, listener: str, loop: str = "asyncio") -> None:
    """Run a row of this module on one of the two loops."""
    library, connect = PEERS[name]
    for needed in {library, loop}:
        if importlib.util.find_spec(needed) is None:
            tell({"skipped": f"{needed} is not installed"})
    factory = importlib.import_module("uvloop").new_event_loop if loop == "uvloop" else None
    meter = Meter(job)
    play = partial(_play, job, connect, LISTENERS[listener](meter), meter)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(play())
