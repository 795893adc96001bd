"""The seam between a session and the library that speaks WebSocket for it.

A transport owns neither stream nor deadlines. What it understands it pushes, synchronously, in batches: no queue and no
other task stands between the receiving of bytes and the use of their messages.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Final, NoReturn, Protocol

from actors.faults import FaultKind, FeedFault
from engine.errors import SettingsError
from engine.settings import TransportKind

BATCH_MESSAGES: Final = 128
"""Most texts handed over in one call; between two calls others have their turn."""

CLOSE_KINDS: Final = {1002: FaultKind.PROTOCOL, 1007: FaultKind.PROTOCOL, 1009: FaultKind.OVERSIZE}
"""Kinds of fault of WebSocket close codes; every other code is `closed`. The code itself stays on the fault."""

NORMAL_CLOSURE: Final = 1000
PROTOCOL_ERROR: Final = 1002
ABNORMAL_CLOSURE: Final = 1006
INVALID_DATA: Final = 1007

Take = Callable[[Sequence[str]], None]
"""Takes texts in the order of arrival, at least one, at most ``BATCH_MESSAGES``. It neither waits nor raises."""


class Transport(Protocol):
    """One connection, with a budget of bytes and frames for each message.

    `binary_ignored` counts complete binary messages, of which nothing else becomes.
    """

    binary_ignored: int

    @property
    def received(self) -> int:
        """How many bytes have come, the reply to the upgrade included."""
        ...

    @property
    def began(self) -> float | None:
        """When the first bytes of the message under way came, on trio's clock; None between messages."""
        ...

    async def listen(self, first_frame: str, opened: Callable[[], None], take: Take) -> NoReturn:
        """Upgrades, sends `first_frame` before anything else, calls `opened`, and from then on hands over what comes.

        Pings are answered. All that came before the end is handed over before it is raised. Raises FeedFault.
        """
        ...

    async def send(self, text: str) -> None:
        """Sends one TEXT message, if need be after others. Raises FeedFault if that cannot be any more."""
        ...

    async def close(self) -> None:
        """Sends a Close frame; the peer's answer ends `listen`, which must be running. Raises FeedFault as `send`."""
        ...


def need_transport(transport: TransportKind) -> None:
    """Raises ``SettingsError``, which names the extra to install, for a transport whose library is not there."""
    if transport is TransportKind.WEBSOCKETS and find_spec("websockets") is None:
        raise SettingsError(["the transport websockets is not installed; it needs: pip install 'updown[websockets]'"])


def fault_of_close(code: int, words: str = "") -> FeedFault:
    """The fault of a connection that ended with this close code."""
    return FeedFault(CLOSE_KINDS.get(code, FaultKind.CLOSED), words, close_code=int(code))


def fault_of_error(error: BaseException, *, live: bool) -> FeedFault:
    """The fault of an error that stream or library raised because of the peer."""
    # A library may complain of its own attempt to answer; what the peer did wrong is where that began.
    origin = error
    while (earlier := origin.__cause__ or origin.__context__) is not None:
        origin = earlier
    fault = FeedFault(FaultKind.CLOSED if live else FaultKind.HANDSHAKE, f"{type(origin).__name__}: {origin}")
    fault.__cause__ = error
    return fault
