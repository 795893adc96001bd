"""Ports: the real world unless told otherwise."""

from __future__ import annotations

from random import Random

import pytest
import trio
import trio.testing
from attrs.exceptions import FrozenInstanceError

from actors.clock import Clock
from actors.ports import Ports
from actors.system import open_engine
from engine.settings import Settings


def test_the_default_is_the_real_world_with_jitter_of_its_own() -> None:
    one, other = Ports(), Ports()
    assert (one.dial, one.http_transport, one.clock) == (None, None, None)
    assert one.rng is not other.rng
    assert "rng" not in repr(one)


def test_ports_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Ports().clock = Clock(wall_ns=0, trio_time=0.0)  # type: ignore[misc]


async def test_an_engine_runs_on_the_clock_it_is_given(autojump_clock: trio.testing.MockClock) -> None:
    clock = Clock.anchored(1_790_000_000_000_000_000)
    async with open_engine(Settings(), ports=Ports(clock=clock, rng=Random(1))) as engine:
        await trio.sleep(7)
        assert engine.clock is clock
        assert engine.health().as_of_ns == 1_790_000_007_000_000_000
        assert engine.health().started_ns == 1_790_000_000_000_000_000
