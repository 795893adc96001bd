"""From token ids to their market, and how often the venue is asked."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.rest import RestFault, RestFaultKind
from actors.service.tokens import TokenLookup
from actors.system import Engine
from engine.markets import Market
from engine.settings import FollowSettings
from tests.actors.local_venue import QUARTER_S, Rig, follow, rig

MockClock = trio.testing.MockClock
FIVE = f"btc-updown-5m-{QUARTER_S}"


def tokens_of(running: Rig, slug: str = FIVE) -> tuple[str, str]:
    listing = running.venue.source.by_slug(slug, running.clock.now_ns())
    assert listing is not None
    return listing.asset_ids


def condition_id_of(running: Rig) -> str:
    listing = running.venue.source.by_slug(FIVE, running.clock.now_ns())
    assert listing is not None
    return listing.condition_id


async def test_either_token_and_any_order_name_the_market(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        up, down = tokens_of(running)
        for tokens in ((up,), (down,), (up, down), (down, up)):
            assert await TokenLookup(tokens).find(running.engine) == FollowSettings(
                condition_id=condition_id_of(running)
            )


async def test_tokens_of_no_market_or_of_two_are_unknown(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        up, _ = tokens_of(running)
        other, _ = tokens_of(running, f"btc-updown-15m-{QUARTER_S}")
        for tokens in (("1",), (up, "1"), (up, other)):
            assert await TokenLookup(tokens).find(running.engine) == "unknown_market"


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "metadata_blocked"), (429, "metadata_rate_limited"), (503, "metadata_server")]
)
async def test_why_the_venue_does_not_tell_is_told(autojump_clock: MockClock, status: int, reason: str) -> None:
    async with rig(follow(), seconds=1) as running:
        running.venue.faults.rest(status)
        assert await TokenLookup(tokens_of(running)).find(running.engine) == reason


async def test_the_venue_is_asked_again_but_not_all_the_time(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    answer: Market | None = None

    async def market_of_asset(self: Engine, asset_id: str) -> Market | None:
        asked.append(trio.current_time() - began)
        await trio.sleep(0.5)
        if len(asked) == 2:
            raise RestFault(RestFaultKind.TIMEOUT)
        return answer

    monkeypatch.setattr(Engine, "market_of_asset", market_of_asset)
    async with rig(follow(), seconds=1) as running:
        began = trio.current_time()
        lookup = TokenLookup(("4", "5"))
        assert lookup.asked_for_s() == 0
        found = []
        for _ in range(13):
            found.append(await lookup.find(running.engine))
            await trio.sleep(0.25)
        assert asked == pytest.approx([0.0, 2.0, 4.0]), "discovery.retry_s apart"
        assert [*dict.fromkeys(found)] == ["unknown_market", "metadata_timeout"]
        assert lookup.asked_for_s() == pytest.approx(trio.current_time() - began)
        answer = Market(condition_id="0x" + "1" * 64, up_asset_id="4", down_asset_id="5")
        await trio.sleep(2)
        for _ in range(3):
            assert await lookup.find(running.engine) == FollowSettings(condition_id=answer.condition_id)
            await trio.sleep(2)
        assert len(asked) == 4, "what was found stays found"


async def test_who_asks_meanwhile_is_told_what_is_known(autojump_clock: MockClock) -> None:
    async with rig(follow(), seconds=1) as running:
        running.venue.faults.rest(503, delay_s=3.0)
        lookup = TokenLookup(tokens_of(running))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lookup.find, running.engine)
            await trio.testing.wait_all_tasks_blocked()
            assert await lookup.find(running.engine) == "no_metadata"
        assert await lookup.find(running.engine) == "metadata_server"
