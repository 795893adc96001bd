"""Tells systemd how the process is doing (``Type=notify``); does nothing where nobody listens.

The protocol is one datagram to the socket that ``NOTIFY_SOCKET`` names (sd_notify(3)), so it needs no library.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

import trio
from attrs import frozen

MICROSECONDS = 1_000_000


@frozen(kw_only=True)
class Systemd:
    """``address`` is where to tell, ``watchdog_s`` how often at the latest (``None``: no watchdog)."""

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Systemd:
        """What the surroundings ask for. A watchdog that is meant for another process is none."""
        if not (address := environ.get("NOTIFY_SOCKET")):
            return cls()
        microseconds = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID") in {None, str(os.getpid())}
        watchdog_s = int(microseconds) / MICROSECONDS if ours and microseconds.isdecimal() else None
        # An @ stands for the NUL of an abstract address.
        return cls(address="\0" + address[1:] if address.startswith("@") else address, watchdog_s=watchdog_s or None)

    def tell(self, state: str) -> None:
        """Send one state, such as ``READY=1``; nobody listening is no error."""
        if self.address is None or not hasattr(socket, "AF_UNIX"):
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.sendto(state.encode(), self.address)

    async def keep_watchdog(self) -> None:
        """Say that the event loop turns, twice as often as asked for, until cancelled. Returns without a watchdog."""
        while self.watchdog_s is not None:
            self.tell("WATCHDOG=1")
            await trio.sleep(self.watchdog_s / 2)
