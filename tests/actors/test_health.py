"""Health: plain values, and what makes an engine ready."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from attrs import evolve

from actors.health import EngineHealth, MarketHealth
from engine.markets import MarketPhase
from engine.signals import FeedState
from tests.actors.local_venue import follow, rig

MARKET = MarketHealth(
    target="btc-updown-5m-1",
    series="btc-5m",
    slug="btc-updown-5m-1",
    condition_id=None,
    start_ns=None,
    phase=MarketPhase.OPEN,
    feed_state=FeedState.CONNECTING,
    actor="running",
    restarts=0,
    epoch=0,
    last_fault=None,
    opening_gap_s=None,
    signal_type=None,
    coverage=None,
)
HEALTH = EngineHealth(
    as_of_ns=2,
    started_ns=1,
    markets=(),
    signals=0,
    aggregates=0,
    dropped=0,
    late=0,
    rollovers=0,
    worst_rollover_gap_s=None,
    problems={},
)


def of(*states: FeedState) -> EngineHealth:
    return evolve(HEALTH, markets=tuple(evolve(MARKET, feed_state=state) for state in states))


def test_an_engine_that_follows_nothing_is_not_ready() -> None:
    assert not HEALTH.ready


@pytest.mark.parametrize("state", FeedState)
def test_ready_is_one_live_market(state: FeedState) -> None:
    assert of(state).ready is (state is FeedState.LIVE)
    assert of(state, FeedState.BACKOFF).ready is (state is FeedState.LIVE)
    assert of(FeedState.BACKOFF, FeedState.LIVE, state).ready


async def test_a_running_engine_tells_the_truth_about_itself(autojump_clock: trio.testing.MockClock) -> None:
    async with rig(follow("btc-5m"), seconds=1) as running:
        assert not running.engine.health().ready
        await trio.sleep(20)
        healthy = running.engine.health()
        running.venue.faults.down = True
        await trio.sleep(20)
        down = running.engine.health()
    assert (healthy.ready, down.ready) == (True, False)
    assert healthy.as_of_ns - healthy.started_ns == 20 * 10**9
    assert (healthy.signals, healthy.aggregates, healthy.dropped, healthy.late) == (4, 4, 0, 0)
    [before], [after] = healthy.markets, down.markets
    assert (before.feed_state, before.epoch, before.last_fault, before.actor) == (FeedState.LIVE, 1, None, "running")
    assert (after.feed_state, after.epoch, after.last_fault) == (FeedState.BACKOFF, 1, "refused")
    assert after.coverage is not None
    assert before.coverage is not None
    assert after.coverage < 0.5
