"""A running venue without sockets, and a plain WebSocket client that writes down all it hears."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import trio
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection, wrap_client_stream

from actors.clock import Clock
from actors.venue import Source, Venue, VenueOptions
from actors.venue.generated import GeneratedSource
from actors.venue.listing import Listing

S = 1_000_000_000
START_S = 1_790_994_600
START_NS = START_S * S
SLUG = f"btc-updown-5m-{START_S}"
OTHER = f"eth-updown-5m-{START_S}"
URL = "wss://venue.test/ws/market"


def listing(slug: str = SLUG, **options: Any) -> Listing:
    """A generated market."""
    found = GeneratedSource(VenueOptions(**options)).by_slug(slug, START_NS)
    assert found is not None
    return found


class Client:
    """One connection. ``heard`` holds (time in ns, text) of every frame."""

    def __init__(self, websocket: WebSocketConnection, stream: trio.abc.Stream, clock: Clock) -> None:
        self.heard: list[tuple[int, str]] = []
        self.closed = trio.Event()
        self.reason: CloseReason | None = None
        self._websocket = websocket
        self._stream = stream
        self._clock = clock

    async def listen(self) -> None:
        try:
            while True:
                text = await self._websocket.get_message()
                self.heard.append((self._clock.now_ns(), text if isinstance(text, str) else text.decode()))
        except ConnectionClosed as closed:
            self.reason = closed.reason
            self.closed.set()

    async def say(self, message: object) -> None:
        """Send an object as JSON, or text and bytes as they are."""
        plain = isinstance(message, str | bytes)
        await self._websocket.send_message(message if plain else json.dumps(message))  # type: ignore[arg-type]

    async def subscribe(self, *assets: str, custom: bool = False, **more: object) -> None:
        await self.say({"assets_ids": assets, "type": "market", "custom_feature_enabled": custom, **more})

    async def ping(self) -> None:
        """A ping of the protocol, answered by the venue."""
        await self._websocket.ping()

    async def close(self) -> None:
        """Leave with a close frame."""
        await self._websocket.aclose()

    async def vanish(self) -> None:
        """Leave without one."""
        await trio.aclose_forcefully(self._stream)

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.heard]

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All JSON events in order, those in arrays as well."""
        found = []
        for text in self.texts:
            if text.startswith(("[", "{")):
                value = json.loads(text)
                found += value if isinstance(value, list) else [value]
        return [event for event in found if kind is None or event["event_type"] == kind]


class Stage:
    """A venue that runs, its clock, and ways to reach it."""

    def __init__(self, venue: Venue, clock: Clock, nursery: trio.Nursery) -> None:
        self.venue = venue
        self.clock = clock
        self.rest = httpx.AsyncClient(transport=venue.http_transport, base_url="https://venue.test")
        self._nursery = nursery

    async def client(self, stream: trio.abc.Stream | None = None) -> Client:
        stream = stream or await self.venue.dial(URL)
        # Annotated for sockets alone, it works on any stream.
        wrapped = cast("trio.SocketStream", stream)
        websocket = await wrap_client_stream(
            self._nursery, wrapped, "venue.test", "/ws/market", message_queue_size=4096
        )
        client = Client(websocket, stream, self.clock)
        self._nursery.start_soon(client.listen)
        return client

    async def until(self, seconds: float) -> None:
        """Sleep until so many seconds after the start of the slot of ``SLUG``."""
        await self.clock.sleep_until(START_NS + round(seconds * S))

    async def get(self, path: str, **query: str) -> Any:
        """The JSON of a page that must be there."""
        reply = await self.rest.get(path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()


@asynccontextmanager
async def staged(at_s: float = 10.0, *, source: Source | None = None, **options: Any) -> AsyncIterator[Stage]:
    """A venue whose clock shows ``at_s`` seconds after the start of the slot of ``SLUG``."""
    clock = Clock.anchored(START_NS + round(at_s * S))
    venue = Venue(clock, VenueOptions(**options), source=source)
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        stage = Stage(venue, clock, nursery)
        async with stage.rest:
            yield stage
        nursery.cancel_scope.cancel()
