from __future__ import annotations

import gc
import hashlib
import inspect

import trio_websocket
from trio_websocket import WebSocketConnection, wrap_client_stream
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage
from wsproto.handshake import H11Handshake

from actors.trio_websocket_transport import _Protocol

KNOWN = {
    "version": "0.12.2",
    "WebSocketConnection": "28dcd0aafd649069",
    "wrap_client_stream": "e83f031906abdf22",
}


def fingerprint(item: object) -> str:
    return hashlib.sha256(inspect.getsource(item).encode()).hexdigest()[:16]  # type: ignore[arg-type]


def test_the_private_parts_relied_upon_are_those_of_the_pinned_release() -> None:
    """Whoever moves the pin reads the new source, runs the hazards, and only then writes the new figures here."""
    found = {
        "version": trio_websocket.__version__,
        "WebSocketConnection": fingerprint(WebSocketConnection),
        "wrap_client_stream": fingerprint(wrap_client_stream),
    }
    assert found == KNOWN


def test_a_protocol_goes_on_without_the_upgrade_that_it_forgot() -> None:
    client, server = _Protocol(), WSConnection(ConnectionType.SERVER)
    server.receive_data(client.send(Request(host="localhost", target="/")))
    assert [type(event) for event in server.events()] == [Request]
    client.receive_data(server.send(AcceptConnection()) + server.send(TextMessage("at once")))
    told = []
    for event in client.events():
        told.append(event)
        if isinstance(event, AcceptConnection):
            client.forget_upgrade()
    assert [type(event) for event in told] == [AcceptConnection, TextMessage]
    assert not any(isinstance(held, H11Handshake) for held in gc.get_referents(client, vars(client)))
    client.receive_data(server.send(TextMessage("later")) + server.send(CloseConnection(code=1000)))
    assert [type(event) for event in client.events()] == [TextMessage, CloseConnection]
    assert client.state is ConnectionState.REMOTE_CLOSING
