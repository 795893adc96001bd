"""The connection of one market: sockets one after the other, for as long as the market is worth listening to.

Expected faults end here: each is told as a disconnection, a back-off with full jitter and another attempt,
without limit. What is received goes straight to whoever listens, a wake-up's worth at a time.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol

import trio
from structlog.typing import FilteringBoundLogger

from actors.backoff import Backoff
from actors.faults import FaultKind, FeedFault
from actors.limiter import ConnectLimiter
from actors.ports import Dial
from actors.websocket import Session, SessionLimits, open_session
from engine.markets import Market
from engine.settings import FeedSettings
from engine.wire import subscription


class Listener(Protocol):
    """Who hears what becomes of a market's sockets, in the order it happens. Nothing here waits.

    What it raises ends the connection and leaves it: a fault of the listener is none of the peer.
    """

    def connected(self, epoch: int) -> None:
        """A socket is up and the subscription sent; epochs count sockets."""

    def deliver(self, texts: Sequence[str]) -> None:
        """Messages that came together, in order."""

    def disconnected(self, epoch: int, reason: str) -> None:
        """The socket is gone, or could not be had; the reason is a kind of fault."""


class _Attempt:
    """What became of one socket."""

    def __init__(self, listener: Listener, epoch: int) -> None:
        self.epoch = epoch
        self.announced = False
        self.session: Session | None = None
        self._listener = listener

    def announce(self) -> None:
        """Say that the subscription is out."""
        self.announced = True
        self._listener.connected(self.epoch)

    @property
    def live_s(self) -> float:
        """Seconds between the first and the last message."""
        return 0.0 if self.session is None else self.session.statistics().span_s


class Reconnector:
    """Keeps a market's feed up."""

    def __init__(
        self,
        *,
        url: str,
        feed: FeedSettings,
        user_agent: str,
        dial: Dial,
        limiter: ConnectLimiter,
        rng: random.Random,
        listener: Listener,
        log: FilteringBoundLogger,
    ) -> None:
        self._url = url
        self._limits = session_limits(feed)
        self._user_agent = user_agent
        self._transport = feed.transport
        self._dial = dial
        self._limiter = limiter
        self._listener = listener
        self._log = log
        self._backoff = Backoff(
            rng, base_s=feed.backoff_base_s, cap_s=feed.backoff_cap_s, reset_after_s=feed.backoff_reset_s
        )
        self._scope: trio.CancelScope | None = None
        self._hang_up: FeedFault | None = None

    def hang_up(self, kind: FaultKind, detail: str) -> None:
        """End the present socket, if there is one, as if it had met this fault."""
        if self._scope is not None:
            self._hang_up = FeedFault(kind, detail)
            self._scope.cancel()

    async def run(self, market: Market, first_epoch: int) -> None:
        """Connect, listen, reconnect; never returns, ends by cancellation.

        Epochs count sockets: what was not to be had is tried again under the same number.
        """
        epoch = first_epoch
        while True:
            await self._limiter.acquire()
            attempt = _Attempt(self._listener, epoch)
            fault = await self._session(market, attempt)
            self._listener.disconnected(epoch, fault.kind)
            self._backoff.live(attempt.live_s)
            delay_s = self._backoff.next_delay_s(fault)
            self._report(fault, epoch, delay_s)
            if fault.kind is FaultKind.RATE_LIMITED:
                self._limiter.pause(delay_s)
            await trio.sleep(delay_s)
            epoch += attempt.announced

    async def _session(self, market: Market, attempt: _Attempt) -> FeedFault:
        first_frame = subscription(market.asset_ids)
        try:
            async with open_session(
                self._url,
                first_frame,
                self._listener.deliver,
                opened=attempt.announce,
                limits=self._limits,
                dial=self._dial,
                user_agent=self._user_agent,
                transport=self._transport,
            ) as attempt.session:
                self._log.info("feed.connected", epoch=attempt.epoch)
                with trio.CancelScope() as self._scope:
                    await attempt.session.closed()
        except FeedFault as fault:
            return fault
        finally:
            self._scope = None
            hung_up, self._hang_up = self._hang_up, None
        return hung_up or FeedFault(FaultKind.CLOSED, "hung up")

    def _report(self, fault: FeedFault, epoch: int, delay_s: float) -> None:
        details: dict[str, Any] = {"error_type": fault.kind.value, "error": fault.detail}
        if fault.close_code is not None:
            details["close_code"] = fault.close_code
        self._log.warning("feed.lost", epoch=epoch, backoff_ms=round(delay_s * 1000), **details)


def session_limits(feed: FeedSettings) -> SessionLimits:
    """The session's share of the feed settings."""
    return SessionLimits(
        connect_s=feed.connect_s,
        close_s=feed.close_s,
        ping_every_s=feed.ping_every_s,
        pong_within_s=feed.pong_within_s,
        first_event_s=feed.first_event_s,
        idle_s=feed.idle_s,
        message_bytes=feed.message_bytes,
    )
