"""HTTP/1.1 for the REST side, over h11: requests and replies as values, and the loop of one connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import h11
import msgspec
import trio
from attrs import frozen

BODY_BYTES: Final = 1 << 16
KEEP_ALIVE_S: Final = 75.0
JSON: Final = "application/json"
HTML: Final = "text/html; charset=UTF-8"
TEXT: Final = "text/plain; charset=UTF-8"


@frozen(kw_only=True)
class Request:
    """One request; header names in lower case, every query value as a list."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
        """Split a request target into path and query; a target that is none asks for nothing that exists."""
        try:
            url = urlsplit(target)
            query = parse_qs(url.query, keep_blank_values=True, max_num_fields=1000)
        except ValueError:
            return cls(method=method, path="", query={}, headers=headers, body=body)
        return cls(method=method, path=url.path, query=query, headers=headers, body=body)

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]


@frozen(kw_only=True)
class Reply:
    """One reply. ``delay_s`` is waited before it is sent."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0

    def all_headers(self) -> Iterator[tuple[str, str]]:
        """The headers as they go on the wire."""
        yield "content-type", self.content_type
        yield "content-length", str(len(self.body))
        yield from self.headers

    def raw(self) -> bytes:
        """The whole reply of a connection that ends with it."""
        lines = [f"HTTP/1.1 {self.status} {reason(self.status)}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in self.all_headers()]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


def reply_json(value: object, status: int = 200) -> Reply:
    """A JSON reply of plain data."""
    return Reply(status=status, body=msgspec.json.encode(value))


def reply_error(status: int, message: str) -> Reply:
    """The venue's error form, ``{"error": …}``."""
    return reply_json({"error": message}, status)


def reason(status: int) -> str:
    """The phrase of a status code."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


async def serve_http(stream: trio.abc.Stream, respond: Callable[[Request], Reply]) -> None:
    """Answer the requests of one connection until either side has enough."""
    connection = h11.Connection(h11.SERVER)
    try:
        while True:
            request = await _request(stream, connection)
            if request is None:
                return
            await _send(stream, connection, respond(request), request.method)
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()
    except h11.RemoteProtocolError as error:
        if connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            await _send(stream, connection, reply_error(error.error_status_hint, "Bad Request"), "GET")


async def _request(stream: trio.abc.Stream, connection: h11.Connection) -> Request | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = await _next_event(stream, connection)
        match event:
            case h11.Request():
                head = event
            case h11.Data():
                body += event.data
                if len(body) > BODY_BYTES:
                    raise h11.RemoteProtocolError("body too large", error_status_hint=413)
            case h11.EndOfMessage() if head is not None:
                headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
                return Request.of(head.method.decode("ascii"), head.target.decode("ascii"), headers, body)
            case _:
                return None


async def _next_event(stream: trio.abc.Stream, connection: h11.Connection) -> object:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        if connection.they_are_waiting_for_100_continue:
            go_on = connection.send(h11.InformationalResponse(status_code=100, headers=[]))
            await stream.send_all(go_on or b"")
        with trio.move_on_after(KEEP_ALIVE_S) as waiting:
            connection.receive_data(bytes(await stream.receive_some()))
        if waiting.cancelled_caught:
            return None


async def _send(stream: trio.abc.Stream, connection: h11.Connection, reply: Reply, method: str) -> None:
    if reply.delay_s:
        await trio.sleep(reply.delay_s)
    head = h11.Response(
        status_code=reply.status, headers=list(reply.all_headers()), reason=reason(reply.status).encode("ascii")
    )
    wire = connection.send(head) or b""
    if method != "HEAD":
        wire += connection.send(h11.Data(data=reply.body)) or b""
    await stream.send_all(wire + (connection.send(h11.EndOfMessage()) or b""))
