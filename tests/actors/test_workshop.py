"""The workshop: settings become pipelines and connections."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import structlog
from trio.testing import MockClock

from actors.alarm import Alarm
from actors.clock import Clock
from actors.ports import Ports
from actors.taps import Taps
from actors.workshop import Workshop
from engine.errors import PresetError, SettingsError
from engine.pipeline import stamp_of
from engine.presets import PRESETS
from engine.settings import FeedSettings, ScoringSettings, Settings, TransportKind
from tests.actors.local_venue import QUARTER_S
from tests.actors.test_seat import Stage


def workshop(settings: Settings | None = None) -> Workshop:
    clock = Clock.anchored(QUARTER_S * 10**9)
    log = structlog.get_logger()
    return Workshop(settings or Settings(), ports=Ports(), clock=clock, alarm=Alarm(clock), scorers={}, log=log)


async def test_a_preset_or_option_that_does_not_exist_is_told_at_once(autojump_clock: MockClock) -> None:
    for scoring in (ScoringSettings(preset="none such"), ScoringSettings(options={"no_such_option": 1.0})):
        with pytest.raises(PresetError):
            workshop(Settings(scoring=scoring))


@pytest.mark.usefixtures("shipped_transport")
async def test_a_transport_that_is_not_installed_is_told_at_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.transport.find_spec", lambda name: None if name == "websockets" else name)
    workshop()
    with pytest.raises(SettingsError, match=r"updown\[websockets\]"):
        workshop(Settings(feed=FeedSettings(transport=TransportKind.WEBSOCKETS)))


async def test_the_stamp_is_that_of_the_preset(autojump_clock: MockClock) -> None:
    assert workshop().stamp == stamp_of(PRESETS["seed"], ScoringSettings())


class Deaf:
    """A listener to whom all is one."""

    def connected(self, epoch: int) -> None: ...

    def deliver(self, texts: Sequence[str]) -> None: ...

    def disconnected(self, epoch: int, reason: str) -> None: ...


async def test_every_actor_has_a_pipeline_and_a_connection_of_its_own(autojump_clock: MockClock) -> None:
    refreshed: list[str] = []
    taps = Taps()
    tools = workshop().tools(taps=taps, refresh=refreshed.append)
    seat = Stage().seat
    first, second = (tools.new_pipeline(seat, seat.followed_ns) for _ in range(2))
    assert first is not second
    assert first.target == seat.target
    one, other = (tools.new_reconnector(seat, Deaf()) for _ in range(2))
    assert one is not other
    tools.refresh("a market")
    assert refreshed == ["a market"]
    assert tools.tape is taps
