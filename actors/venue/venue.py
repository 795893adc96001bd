"""The stand-in venue as a whole: one port for WebSocket and REST, and the same without sockets."""

from __future__ import annotations

from contextlib import suppress

import httpx
import trio

from actors.clock import Clock
from actors.faults import FaultKind, FeedFault
from actors.logs import default_logger
from actors.venue.exchange import Exchange, MarketReport
from actors.venue.faults import Ending, Faults, error_page
from actors.venue.generated import GeneratedSource
from actors.venue.http import Reply, serve_http
from actors.venue.memory import MemoryTransport, memory_connection
from actors.venue.options import VenueOptions
from actors.venue.rest import Rest
from actors.venue.source import Source
from actors.venue.streams import ReplayStream, read_head, reset
from actors.venue.websocket import MarketChannel

CHANNEL_PATH = "/ws/market"
HEAD_S = 10.0


class Venue:
    """The stand-in venue. Its markets come from ``source``, by default generated from the seed in ``options``.

    ``run`` owns all tasks; ``listen`` and ``dial`` work while it runs. ``faults`` holds the switches.
    """

    http_transport: httpx.AsyncBaseTransport
    """REST without a socket: pass it to an ``httpx.AsyncClient``; any host and scheme do."""

    def __init__(self, clock: Clock, options: VenueOptions | None = None, *, source: Source | None = None) -> None:
        self.options = options or VenueOptions()
        self.faults = Faults()
        self.source: Source = source or GeneratedSource(self.options)
        self._exchange = Exchange(clock, self.source, self.options, self.faults)
        self._rest = Rest(self._exchange, self.source, self.options, self.faults, clock.now_ns)
        self.http_transport = MemoryTransport(self._rest.respond, lambda: not self.faults.down)
        self._nursery: trio.Nursery | None = None
        self._connections: dict[trio.CancelScope, None] = {}
        self._websockets = 0
        self._switched = trio.Event()
        self.faults.on_down.append(self._switch)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._exchange.run)
            self._nursery = nursery
            task_status.started()

    def markets(self) -> tuple[MarketReport, ...]:
        """The markets held in memory: those followed, and those asked for a short while ago."""
        return self._exchange.markets()

    # -- sockets -----------------------------------------------------------------------------------------------------

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, str]:
        """Listen on one TCP port (0: a free one); returns the URLs of the market channel and of all REST paths.

        Raises ``OSError`` when the address is taken. Waits while the venue is down.
        """
        bound: int = await self._running().start(self._listen, host, port)
        name = f"[{host}]" if ":" in host else host
        return f"ws://{name}:{bound}{CHANNEL_PATH}", f"http://{name}:{bound}"

    async def _listen(self, host: str, port: int, *, task_status: trio.TaskStatus[int]) -> None:
        """Listen while the venue is up; while it is down the port is closed, and connects are refused."""
        started = False
        while True:
            switched = self._switched
            if not self.faults.down:
                listeners = await trio.open_tcp_listeners(port, host=host)
                port = listeners[0].socket.getsockname()[1]
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._serve_listeners, listeners)
                    if not started:
                        task_status.started(port)
                        started = True
                    await switched.wait()
                    nursery.cancel_scope.cancel()
            else:
                await switched.wait()

    async def _serve_listeners(self, listeners: list[trio.SocketListener]) -> None:
        await trio.serve_listeners(self.serve_stream, listeners, handler_nursery=self._running())

    def _switch(self) -> None:
        self._switched.set()
        self._switched = trio.Event()
        if self.faults.down:
            self.faults.disconnect()
            for scope in self._connections:
                scope.cancel()

    # -- memory ------------------------------------------------------------------------------------------------------

    async def dial(self, url: str) -> trio.abc.Stream:
        """An in-memory connection to this venue, whatever host ``url`` names.

        Raises ``FeedFault`` of kind ``refused`` while the venue is down.
        """
        await trio.lowlevel.checkpoint()
        if self.faults.down:
            raise FeedFault(FaultKind.REFUSED, "connection refused")
        client, server = memory_connection()
        self._running().start_soon(self.serve_stream, server)
        return client

    # -- one connection ----------------------------------------------------------------------------------------------

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection to its end; the request head decides between WebSocket and REST."""
        ending = Ending.FIN
        with trio.CancelScope() as scope:
            self._connections[scope] = None
            try:
                ending = await self._serve_head(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                pass
            except Exception:  # noqa: BLE001 - one connection's crash is not the venue's
                default_logger().exception("venue.connection_crashed")
            finally:
                del self._connections[scope]
        if scope.cancelled_caught:
            ending = Ending.RESET
        await _end(stream, ending)

    async def _serve_head(self, stream: trio.abc.Stream) -> Ending:
        head = b""
        with trio.move_on_after(HEAD_S):
            head = await read_head(stream)
        replay = ReplayStream(stream, head)
        if not head:
            return Ending.FIN
        if b"\r\nupgrade: websocket" in head.lower().replace(b"upgrade:websocket", b"upgrade: websocket"):
            return await self._serve_websocket(replay, head)
        await serve_http(replay, self._rest.respond)
        return Ending.FIN

    async def _serve_websocket(self, stream: ReplayStream, head: bytes) -> Ending:
        refusal = self._refusal(head)
        if refusal is not None:
            await stream.send_all(refusal.raw())
            return Ending.FIN
        self._websockets += 1
        try:
            return await MarketChannel(self._exchange, self.options, self.faults).serve(stream)
        finally:
            self._websockets -= 1

    def _refusal(self, head: bytes) -> Reply | None:
        """Why a handshake is not accepted, if it is not: a switch, the path, or too many connections."""
        path = head.split(b" ", 2)[1].split(b"?")[0] if head.count(b" ") > 1 else b""
        limit = self.options.max_connections
        planned = self.faults.rejection()
        rows = (
            (planned is not None, planned),
            (path != CHANNEL_PATH.encode(), error_page(404)),
            (limit is not None and self._websockets >= limit, error_page(429)),
        )
        return next((reply for holds, reply in rows if holds), None)

    def _running(self) -> trio.Nursery:
        if self._nursery is None:
            raise RuntimeError("the venue is not running: start run() first")
        return self._nursery


async def _end(stream: trio.abc.Stream, ending: Ending) -> None:
    if ending is Ending.RESET:
        await reset(stream)
        return
    with suppress(trio.BrokenResourceError), trio.move_on_after(1.0):
        await stream.aclose()
