"""The fault switches of the stand-in venue. All are off at first, take effect at once and can be thrown at any time.

A *target* is a slug, a token id, or ``None`` for every market.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final

from attrs import define, frozen
from msgspec.structs import replace

from actors.venue.distortion import FLOWS, SHAPES
from actors.venue.http import HTML, Reply, reply_error, reply_json
from actors.venue.listing import Listing
from actors.venue.render import Message

CHALLENGE: Final = (
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body></body></html>"
)
GATEWAY: Final = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"

ERRORS: Final = {
    425: "service not ready",
    429: "Too Many Requests",
    500: "Internal server error",
    503: "Trading is currently disabled",
}


class Ending(StrEnum):
    """How a connection ends: a close frame, a bare end of the TCP stream, or a TCP reset."""

    CLOSE = "close"
    FIN = "fin"
    RESET = "reset"


class Resolution(StrEnum):
    """How a market is decided: on time, an hour late, never (it trades on), twice in a row, or on time but untold."""

    NORMAL = "normal"
    LATE = "late"
    NEVER = "never"
    TWICE = "twice"
    UNTOLD = "untold"


class Void(StrEnum):
    """How a decided market shows no winner: prices 0 and 0, 0.5 each, nearly 1 and 0, or both tokens marked at 1."""

    NOTHING = "nothing"
    HALVES = "halves"
    NEARLY = "nearly"
    BOTH = "both"


class Freeze(StrEnum):
    """What becomes of the data of a frozen target: lost, or held and delivered in one burst when it thaws."""

    LOSE = "lose"
    HOLD = "hold"


@frozen(kw_only=True)
class Cut:
    """A request to end the connections that hold a target."""

    target: str | None
    ending: Ending
    code: int


@define
class _Planned:
    """A reply planned for requests below ``prefix``, ``left`` more times (``None``: until cleared)."""

    prefix: str
    reply: Reply
    left: int | None


def error_page(status: int, *, retry_after: str | None = None, delay_s: float = 0.0) -> Reply:
    """What the venue or the cloud before it answers with a status: HTML for 403 and 502, else ``{"error": …}``."""
    headers = () if retry_after is None else (("retry-after", retry_after),)
    pages = {403: CHALLENGE, 502: GATEWAY, 520: GATEWAY, 522: GATEWAY}
    if status in pages:
        page = pages[status].encode()
        return Reply(status=status, body=page, content_type=HTML, headers=headers, delay_s=delay_s)
    body = reply_error(status, ERRORS.get(status, "not found" if status == 404 else "error")).body
    return Reply(status=status, body=body, headers=headers, delay_s=delay_s)


class Faults:
    """Every switch. ``clear`` throws all of them back.

    ``idle_drop_s`` stands in for the option of that name, ``ghost_book`` makes ``/book`` show 0.01/0.99 and nothing
    else, ``stale_snapshot`` makes first books a minute or more old.
    """

    def __init__(self) -> None:
        self.on_cut: list[Callable[[Cut], None]] = []
        self.on_down: list[Callable[[], None]] = []
        self._down = False
        self._set_all_off()

    def _set_all_off(self) -> None:
        self._frozen: dict[str | None, Freeze] = {}
        self._muted: set[str | None] = set()
        self._crossings: dict[str | None, int] = {}
        self.distort()
        self._drop_every = 0
        self._deltas = 0
        self._resolutions: dict[str | None, Resolution] = {}
        self._void: dict[str | None, Void | None] = {}
        self._rejections: list[_Planned] = []
        self._replies: list[_Planned] = []
        self.idle_drop_s: float | None = None
        self.ghost_book = False
        self.stale_snapshot = False

    def clear(self) -> None:
        """Everything works again."""
        self._set_all_off()
        self.down = False

    # -- silence -----------------------------------------------------------------------------------------------------

    def freeze(self, target: str | None = None, how: Freeze = Freeze.LOSE) -> None:
        """Send no data of the target any more, not even first books; PONG and connections stay alive."""
        self._frozen[target] = how

    def thaw(self, target: str | None = None) -> None:
        """Undo ``freeze`` of the same target."""
        self._frozen.pop(target, None)

    def mute(self, target: str | None = None) -> None:
        """Take subscriptions to the target without ever sending it a first event; earlier ones go on."""
        self._muted.add(target)

    def unmute(self, target: str | None = None) -> None:
        """Undo ``mute`` of the same target."""
        self._muted.discard(target)

    @property
    def all_frozen(self) -> bool:
        """Whether every market is frozen; then nothing is announced either."""
        return None in self._frozen

    def frozen(self, listing: Listing, asset_id: str | None = None) -> Freeze | None:
        """Whether a token of a market is frozen; without a token, whether the whole market is."""
        if not self._frozen:
            return None
        assets = listing.asset_ids if asset_id is None else (asset_id,)
        whole = self._frozen.get(None) or self._frozen.get(listing.slug)
        single = [self._frozen.get(asset) for asset in assets]
        return whole or (single[0] if all(single) else None)

    def muted(self, listing: Listing, asset_id: str) -> bool:
        """Whether a new subscription to a token is to stay silent."""
        return not self._muted.isdisjoint((None, listing.slug, asset_id))

    # -- transport ---------------------------------------------------------------------------------------------------

    @property
    def down(self) -> bool:
        """Whether the venue refuses connections; setting it drops all there are and stops listening."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        if down == self._down:
            return
        self._down = down
        for notify in self.on_down:
            notify()

    def disconnect(self, target: str | None = None, ending: Ending = Ending.RESET, code: int = 1001) -> None:
        """End the connections subscribed to the target, once; ``code`` is for ``Ending.CLOSE``."""
        for cut in self.on_cut:
            cut(Cut(target=target, ending=ending, code=code))

    def reject(self, status: int, *, times: int | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer WebSocket handshakes with an HTTP status, such as 429, 403, 404 or 503."""
        page = error_page(status)
        reply = Reply(status=status, body=page.body, content_type=page.content_type, headers=tuple(headers))
        self._rejections.append(_Planned("", reply, times))

    def accept(self) -> None:
        """Accept handshakes again."""
        self._rejections.clear()

    def rejection(self) -> Reply | None:
        """The reply planned for the handshake that is just coming in."""
        return _take(self._rejections, "")

    # -- order, loss and shape ---------------------------------------------------------------------------------------

    def drop_every(self, count: int) -> None:
        """Lose every ``count``-th level change; 0 loses none."""
        self._drop_every = count

    def distort(self, *switches: str) -> None:
        """Distort all data from now on by these switches of ``SHAPES`` and ``FLOWS`` alone; none at all ends it.

        Raises ``ValueError`` for unknown ones.
        """
        unknown = set(switches) - {*SHAPES, *FLOWS}
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}; known: {[*SHAPES, *FLOWS]}")
        self._shapes = [SHAPES[switch] for switch in SHAPES if switch in switches]
        self._flows = [FLOWS[switch] for switch in FLOWS if switch in switches]

    def cross(self, target: str | None = None, *, messages: int = 3) -> None:
        """Cross the book once by a bid above the best ask, taken back after so many messages."""
        self._crossings[target] = messages

    def crossing(self, slug: str) -> int:
        """How many messages a market's book is to be crossed for, 0 for not at all; asking clears it."""
        return self._crossings.pop(slug, 0) or self._crossings.pop(None, 0)

    def distorted(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages as the switches let them through."""
        if self._drop_every:
            messages = [message for message in messages if not self._dropped(message)]
        if self._shapes:
            messages = [replace(message, text=self.shaped(message.text)) for message in messages]
        for flow in self._flows:
            messages = flow(messages)
        return messages

    def shaped(self, text: str) -> str:
        """The text of one event as the switches shape it."""
        for shape in self._shapes:
            text = shape(text)
        return text

    def _dropped(self, message: Message) -> bool:
        self._deltas += message.delta
        return message.delta and self._deltas % self._drop_every == 0

    # -- life cycle --------------------------------------------------------------------------------------------------

    def resolve(self, how: Resolution, slug: str | None = None) -> None:
        """How markets, or one of them, are decided from now on. ``NEVER`` leaves them open past their end."""
        self._resolutions[slug] = how

    def resolution(self, slug: str) -> Resolution:
        """How a market is decided."""
        return self._resolutions.get(slug) or self._resolutions.get(None) or Resolution.NORMAL

    def void(self, slug: str | None = None, how: Void | None = Void.NOTHING) -> None:
        """Markets that are decided show no winner on the pages, in this way; ``None``: they do show it."""
        self._void[slug] = how

    def voided(self, slug: str) -> Void | None:
        """How a market shows no winner once it is decided, ``None`` if it shows one."""
        return self._void[slug] if slug in self._void else self._void.get(None)

    # -- REST --------------------------------------------------------------------------------------------------------

    def rest(
        self,
        status: int,
        *,
        prefix: str = "/",
        times: int | None = None,
        retry_after: str | None = None,
        delay_s: float = 0.0,
    ) -> None:
        """Answer requests below a path prefix with an error status (425, 429, 403, 502 …), so many times."""
        self._replies.append(_Planned(prefix, error_page(status, retry_after=retry_after, delay_s=delay_s), times))

    def hydrate(self, times: int) -> None:
        """Let CLOB ``/markets/<condition id>`` answer 404 that many times, as it does for fresh markets."""
        self._replies.append(_Planned("/markets/0x", reply_json({"error": "market not found"}, 404), times))

    def rest_works(self) -> None:
        """Forget all planned replies."""
        self._replies.clear()

    def planned_reply(self, path: str) -> Reply | None:
        """The reply planned for a request that is just coming in."""
        return _take(self._replies, path)


def _take(planned: list[_Planned], path: str) -> Reply | None:
    for plan in planned:
        if path.startswith(plan.prefix) and plan.left != 0:
            if plan.left is not None:
                plan.left -= 1
            return plan.reply
    return None
