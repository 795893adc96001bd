from __future__ import annotations

import logging
import sys

import pytest
from trio.testing import MockClock

from actors.websocket import open_session
from engine.errors import SettingsError
from engine.settings import TransportKind
from tests.actors.raw_server import FIRST_FRAME, LIMITS, URL, RawPeer, close, ignore, in_memory, text


async def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    monkeypatch.setattr("actors.transport.find_spec", lambda name: None)

    async def never(peer: RawPeer) -> None:
        raise AssertionError

    async with in_memory(never) as dial:
        with pytest.raises(SettingsError, match=r"updown\[websockets\]"):
            async with open_session(
                URL, FIRST_FRAME, ignore, limits=LIMITS, dial=dial, transport=TransportKind.WEBSOCKETS
            ):
                pytest.fail("never open")


async def test_what_peers_say_stays_out_of_the_log(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    heard: list[str] = []

    async def script(peer: RawPeer) -> None:
        await peer.subscribed(text("secret") + close(1001, "secret"))
        await peer.read_all()

    async with (
        in_memory(script) as dial,
        open_session(
            URL, FIRST_FRAME, heard.extend, limits=LIMITS, dial=dial, transport=TransportKind.WEBSOCKETS
        ) as session,
    ):
        with pytest.raises(Exception, match="secret"):
            await session.closed()
    assert heard == ["secret"]
    assert not caplog.records
