from __future__ import annotations

import hashlib
import inspect

import trio_websocket
from trio_websocket import WebSocketConnection, wrap_client_stream

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
