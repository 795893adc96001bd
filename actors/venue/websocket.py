"""The market channel: one WebSocket connection as the venue serves it.

The first frame must subscribe, else close 1008; binary frames close 1003; ``PING`` is answered ``PONG``; a connection
that says nothing at all for a minute is dropped without a close frame; a client that does not read fast enough as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import h11
import msgspec
import trio
from attrs import frozen
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_server_stream
from wsproto.utilities import ProtocolError

from actors.venue.exchange import Exchange
from actors.venue.faults import Cut, Ending, Faults
from actors.venue.options import VenueOptions
from actors.venue.streams import ReplayStream

MESSAGE_BYTES: Final = 1 << 20
HANDSHAKE_S: Final = 5.0
INVALID_SUBSCRIPTION: Final = (1008, "invalid subscription payload")
BINARY: Final = (1003, "Binary is not supported")
PEER_FAULTS: Final = (
    ConnectionClosed,
    HandshakeError,
    ProtocolError,
    h11.ProtocolError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    OSError,
)
"""What a peer can make a connection raise; all of them end that connection and nothing else."""

_decode: Final = msgspec.json.Decoder().decode


class Refused(Exception):
    """The connection has to be closed with ``code`` and ``reason``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@frozen(kw_only=True)
class Order:
    """A subscription frame, read leniently: unknown keys are ignored."""

    assets: tuple[str, ...]
    type: object
    operation: str
    custom: bool | None
    dump: bool

    @classmethod
    def read(cls, text: str) -> Order | None:
        """The order in a frame, ``None`` when it holds none: not JSON, no object, no list of token ids."""
        try:
            value = _decode(text)
        except (msgspec.DecodeError, RecursionError):
            return None
        assets = value.get("assets_ids") if isinstance(value, dict) else None
        if not isinstance(assets, list) or not all(isinstance(asset, str) for asset in assets):
            return None
        custom = value.get("custom_feature_enabled")
        return cls(
            assets=tuple(dict.fromkeys(assets)),
            type=value.get("type"),
            operation=str(value.get("operation")),
            custom=custom if isinstance(custom, bool) else None,
            dump=value.get("initial_dump") is not False,
        )


class MarketChannel:
    """One connection. It meets ``Subscriber``; ``serve`` runs it to its end and says how to end the TCP stream."""

    def __init__(self, exchange: Exchange, options: VenueOptions, faults: Faults) -> None:
        self.assets: set[str] = set()
        self.custom = False
        self._exchange = exchange
        self._options = options
        self._faults = faults
        self._queue: deque[str] = deque()
        self._queued = trio.Event()
        self._scope = trio.CancelScope()
        self._ending = Ending.FIN
        self._close: tuple[int, str] | None = None

    # -- as the exchange sees it -------------------------------------------------------------------------------------

    def offer(self, text: str) -> None:
        """Queue a frame; a client too slow for the queue is dropped."""
        if len(self._queue) >= self._options.send_queue:
            self._end(Ending.RESET)
            return
        self._queue.append(text)
        self._queued.set()

    def cut(self, cut: Cut) -> None:
        """End the connection the way it is asked for."""
        self._end(cut.ending, (cut.code, "") if cut.ending is Ending.CLOSE else None)

    def _end(self, ending: Ending, close: tuple[int, str] | None = None) -> None:
        self._ending = ending
        self._close = close
        self._queue.clear()
        self._scope.cancel()

    # -- tasks -------------------------------------------------------------------------------------------------------

    async def serve(self, stream: ReplayStream) -> Ending:
        """Handshake, then everything until the end. The stream is left to the caller."""
        try:
            async with trio.open_nursery() as nursery:
                await self._serve_within(nursery, stream)
                nursery.cancel_scope.cancel()
        except* PEER_FAULTS:
            pass
        return self._ending

    async def _serve_within(self, nursery: trio.Nursery, stream: ReplayStream) -> None:
        with trio.move_on_after(HANDSHAKE_S) as handshake:
            request = await wrap_server_stream(
                nursery, stream, message_queue_size=64, max_message_size=MESSAGE_BYTES, receive_buffer_size=1 << 16
            )
            websocket = await request.accept()
        if handshake.cancelled_caught:
            return
        with self._scope:
            await self._converse(websocket, stream)
        if self._close is not None:
            code, reason = self._close
            with trio.move_on_after(self._options.close_s):
                await websocket.aclose(code, reason)

    async def _converse(self, websocket: WebSocketConnection, stream: ReplayStream) -> None:
        self._exchange.join(self)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, websocket)
                nursery.start_soon(self._drop_when_idle, stream)
                await self._listen(websocket)
        finally:
            self._exchange.leave(self)

    async def _send(self, websocket: WebSocketConnection) -> None:
        while True:
            while self._queue:
                await websocket.send_message(self._queue.popleft())
            self._queued = trio.Event()
            await self._queued.wait()

    async def _drop_when_idle(self, stream: ReplayStream) -> None:
        """Protocol pings count as much as ``PING``: any byte that arrives does."""
        heard = trio.current_time()

        def hear() -> None:
            nonlocal heard
            heard = trio.current_time()

        stream.heard = hear
        while True:
            deadline = heard + (self._faults.idle_drop_s or self._options.idle_drop_s)
            if deadline <= trio.current_time():
                self._end(Ending.RESET)
            await trio.sleep_until(deadline)

    async def _listen(self, websocket: WebSocketConnection) -> None:
        try:
            self._begin(_text(await websocket.get_message()))
            while True:
                self._answer(_text(await websocket.get_message()))
        except Refused as refused:
            self._end(Ending.FIN, (refused.code, refused.reason))

    # -- what frames mean --------------------------------------------------------------------------------------------

    def _begin(self, text: str) -> None:
        order = Order.read(text)
        if order is None or order.type != "market" or not (order.assets or order.custom):
            raise Refused(*INVALID_SUBSCRIPTION)
        self.custom = order.custom is True
        if order.assets:
            self._offer_all(self._exchange.subscribe(self, order.assets, dump=order.dump))

    def _answer(self, text: str) -> None:
        if text == "PING":
            self.offer("PONG")
            return
        order = Order.read(text)
        operation = OPERATIONS.get(order.operation) if order and order.type is None else None
        if order is None or operation is None:
            self.offer("INVALID OPERATION")
            return
        operation(self, order)

    def _subscribe(self, order: Order) -> None:
        if order.custom is not None:
            self.custom = order.custom
        fresh = [asset for asset in order.assets if asset not in self.assets]
        frames = self._exchange.subscribe(self, fresh, dump=order.dump) if fresh else ["NO NEW ASSETS"]
        self._offer_all(frames)

    def _unsubscribe(self, order: Order) -> None:
        self._exchange.unsubscribe(self, order.assets)

    def _offer_all(self, frames: Sequence[str]) -> None:
        for frame in frames:
            self.offer(frame)


OPERATIONS: Final[Mapping[str, Callable[[MarketChannel, Order], None]]] = {
    "subscribe": MarketChannel._subscribe,
    "unsubscribe": MarketChannel._unsubscribe,
}
"""What ``operation`` may say after the first frame."""


def _text(message: str | bytes) -> str:
    if isinstance(message, str):
        return message
    raise Refused(*BINARY)
