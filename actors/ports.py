"""What an engine needs from the world, so that a test or a demo can hand it another one."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import httpx
import trio
from attrs import Factory, field, frozen

from actors.clock import Clock

Dial = Callable[[str], Awaitable[trio.abc.Stream]]
"""From a URL to a connected byte stream (TCP and TLS done); raises FeedFault. ``actors.dial.dial`` is the real one."""


@frozen(kw_only=True)
class Ports:
    """The outside world of one engine; every default is the real one.

    ``dial`` opens the byte stream of a WebSocket URL, ``http_transport`` carries REST, ``clock`` is shared with a venue
    in the same process, ``rng`` draws the jitter of back-offs.
    """

    dial: Dial | None = None
    http_transport: httpx.AsyncBaseTransport | None = None
    clock: Clock | None = None
    rng: random.Random = field(default=Factory(random.Random), repr=False)
