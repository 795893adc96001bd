import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve
from structlog.testing import CapturingLogger
from trio.testing import MockClock

from actors.clock import Clock
from actors.discovery import IN_FLIGHT, UNKNOWN, DiscoveryActor
from actors.rest import Catalog, RestFault, RestFaultKind, VenueRest
from engine.errors import UnknownSlug
from engine.markets import Market, Outcome, Target
from engine.series import SERIES, slot_of_slug
from engine.settings import DiscoverySettings, FollowSettings, VenueSettings
from engine.units import NS_PER_S

NOON_NS = int(datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp()) * NS_PER_S
CONDITION_ID = "0x" + "5a" * 32
HOUR_S = 3600.0


def market_of(slug: str, **changes: Any) -> Market:
    """A market as the venue would know it by this slug."""
    digest = sha256(slug.encode()).hexdigest()
    known = {"condition_id": f"0x{digest}", "up_asset_id": str(int(digest, 16)), "down_asset_id": "1", "slug": slug}
    try:
        slot = slot_of_slug(slug)
        known |= {"start_ns": slot.start_ns, "end_ns": slot.end_ns}
    except UnknownSlug:
        pass
    return Market(**(known | changes))


class FakeCatalog:
    """Knows every slot of the calendar, unless told otherwise."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.known: dict[str, Market | None] = {}
        self.fault: Callable[[str], Exception | None] = lambda name: None
        self.latency: Callable[[str], float] = lambda name: 0.05
        self.under_way = 0
        self.most_under_way = 0
        self._slugs: dict[str, str] = {}

    async def market_by_slug(self, slug: str) -> Market | None:
        market = await self._answer(slug)
        if market is not None:
            self._slugs[market.condition_id] = slug
        return market

    async def market_by_condition_id(self, condition_id: str) -> Market | None:
        return await self._answer(self._slugs.get(condition_id, condition_id))

    async def _answer(self, name: str) -> Market | None:
        self.asked.append((trio.current_time(), name))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await trio.sleep(self.latency(name))
        finally:
            self.under_way -= 1
        if (fault := self.fault(name)) is not None:
            raise fault
        return self.known[name] if name in self.known else self._by_calendar(name)

    def _by_calendar(self, name: str) -> Market | None:
        try:
            slot_of_slug(name)
        except UnknownSlug:
            return None
        return market_of(name)

    def times(self, name: str | None = None) -> list[float]:
        return [at for at, asked in self.asked if name in (None, asked)]


class Ledger:
    """Writes down what it is told, in seconds since the start."""

    def __init__(self) -> None:
        self.appeared: list[tuple[float, Target]] = []
        self.learned: list[tuple[float, str, Market | None]] = []
        self.failed: list[tuple[str, str]] = []
        self.retired: list[tuple[float, str]] = []
        self.trap: Callable[[str, str], None] = lambda verb, key: None

    def appear(self, target: Target) -> None:
        self.trap("appear", target.key)
        self.appeared.append((trio.current_time(), target))

    def learn(self, key: str, market: Market | None) -> None:
        self.trap("learn", key)
        self.learned.append((trio.current_time(), key, market))

    def lookup_failed(self, key: str, reason: str) -> None:
        self.trap("lookup_failed", key)
        self.failed.append((key, reason))

    def retire(self, key: str) -> None:
        self.trap("retire", key)
        self.retired.append((trio.current_time(), key))

    @property
    def present(self) -> set[str]:
        counts = Counter(target.key for _, target in self.appeared)
        counts.subtract(key for _, key in self.retired)
        assert {*counts.values()} <= {0, 1}
        return {key for key, count in counts.items() if count}

    def learned_of(self, key: str) -> list[Market | None]:
        return [market for _, learned, market in self.learned if learned == key]


class World:
    def __init__(
        self, follow: Iterable[FollowSettings], settings: DiscoverySettings, start_ns: int, rest: Catalog | None
    ) -> None:
        self.start_ns = start_ns
        self.catalog = FakeCatalog()
        self.ledger = Ledger()
        self.log = CapturingLogger()
        self.actor = DiscoveryActor(
            follow=follow,
            clock=Clock.anchored(start_ns - round(trio.current_time() * NS_PER_S)),
            rest=rest or self.catalog,
            settings=settings,
            listener=self.ledger,
            rng=random.Random(7),
            log=self.log,  # type: ignore[arg-type]
        )

    def slug_at(self, second: float, series: str = "btc-5m") -> str:
        return SERIES[series].slot_at(self.start_ns + round(second * NS_PER_S)).slug


def world_of(
    *follow: FollowSettings,
    start_ns: int = NOON_NS,
    settings: DiscoverySettings | None = None,
    rest: Catalog | None = None,
) -> World:
    return World(follow, settings or DiscoverySettings(), start_ns, rest)


@asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        await nursery.start(world.actor.run)
        yield world
        nursery.cancel_scope.cancel()


FIVE = FollowSettings(series="btc-5m")
FIFTEEN = FollowSettings(series="btc-15m")


# The roll.


def assert_rolled_on_time(world: World, series: str, start_s: float, end_s: float) -> None:
    """Every slot of these seconds appeared exactly once and in time, and those that are over are gone in time."""
    appeared = Counter(target.key for _, target in world.ledger.appeared)
    retired = Counter(key for _, key in world.ledger.retired)
    assert {*appeared.values(), *retired.values()} == {1}
    appeared_at = {target.key: at for at, target in world.ledger.appeared}
    retired_at = {key: at for at, key in world.ledger.retired}
    slot = SERIES[series].slot_at(world.start_ns + round(start_s * NS_PER_S))
    while slot.start_ns < world.start_ns + end_s * NS_PER_S:
        start, end = ((at_ns - world.start_ns) / NS_PER_S for at_ns in (slot.start_ns, slot.end_ns))
        assert appeared_at[slot.slug] <= max(start - 60.0, 0.0)
        assert end <= retired_at.get(slot.slug, math.inf)
        assert end + 15.0 > end_s or retired_at[slot.slug] <= end + 15.001
        slot = SERIES[series].next(slot)


async def test_two_hours_of_slots_roll_by_the_clock(autojump_clock: MockClock) -> None:
    async with running(world_of(FIVE, FIFTEEN)) as world:
        await trio.sleep(2 * HOUR_S)
    assert_rolled_on_time(world, "btc-5m", 0, 2 * HOUR_S)
    assert_rolled_on_time(world, "btc-15m", 0, 2 * HOUR_S)
    assert len(world.ledger.appeared) == 25 + 9
    assert {key for _, key, market in world.ledger.learned if market == market_of(key)} == {
        target.key for _, target in world.ledger.appeared
    }
    assert len(world.ledger.learned) == len(world.ledger.appeared)
    assert world.actor.problems() == {}


@pytest.mark.untraced
async def test_slots_roll_across_the_change_of_the_clocks(autojump_clock: MockClock) -> None:
    start = datetime(2026, 11, 1, 2, tzinfo=UTC)
    families = [FollowSettings(series=f"btc-{family}") for family in ("1h", "4h", "1d")]
    async with running(world_of(*families, start_ns=int(start.timestamp()) * NS_PER_S)) as world:
        await trio.sleep(20 * HOUR_S)
    for follow in families:
        assert_rolled_on_time(world, follow.name, 0, 20 * HOUR_S)


async def test_slots_roll_on_time_with_the_venue_dead_and_are_learned_soon_after(autojump_clock: MockClock) -> None:
    async with running(world_of(FIVE, FIFTEEN)) as world:
        world.catalog.fault = lambda name: (
            RestFault(RestFaultKind.UNREACHABLE, "no route") if 600 <= trio.current_time() < 4200 else None
        )
        world.catalog.latency = lambda name: 10.0 if 600 <= trio.current_time() < 4200 else 0.05
        await trio.sleep(4100)
        assert "no route" in world.actor.problems()[world.slug_at(4100)]
        await trio.sleep(3100)
    assert_rolled_on_time(world, "btc-5m", 0, 2 * HOUR_S)
    assert_rolled_on_time(world, "btc-15m", 0, 2 * HOUR_S)
    learned_at = {key: at for at, key, _ in world.ledger.learned}
    for series in ("btc-5m", "btc-15m"):
        assert 4200 <= learned_at[world.slug_at(4200, series)] <= 4230
    assert world.slug_at(3000) not in learned_at
    assert world.actor.problems() == {}


async def test_the_slot_of_now_appears_before_the_actor_is_ready(autojump_clock: MockClock) -> None:
    world = world_of(FIVE, start_ns=NOON_NS + 250 * NS_PER_S)
    async with running(world):
        assert [target.key for _, target in world.ledger.appeared] == [world.slug_at(0), world.slug_at(60)]
        target = world.ledger.appeared[0][1]
        assert (target.series, target.start_ns, target.end_ns) == ("btc-5m", NOON_NS, NOON_NS + 300 * NS_PER_S)


async def test_a_slot_whose_metadata_end_later_is_kept_longer(autojump_clock: MockClock) -> None:
    async with running(world_of(FollowSettings(series="btc-4h"))) as world:
        slug = world.slug_at(0, "btc-4h")
        slot = slot_of_slug(slug)
        world.catalog.known[slug] = market_of(slug, end_ns=slot.end_ns + 3600 * NS_PER_S)
        await trio.sleep(10 * HOUR_S)
    retired_at = {key: at for at, key in world.ledger.retired}
    assert retired_at[slug] == pytest.approx((slot.end_ns - NOON_NS) / NS_PER_S + 3600 + 15, abs=0.01)


@pytest.mark.slow
async def test_nothing_grows_over_ten_thousand_rolls(autojump_clock: MockClock) -> None:
    settings = DiscoverySettings(refresh_s=3600.0)
    underlyings = [FollowSettings(series=f"{ticker}-5m") for ticker in ("btc", "eth", "sol", "xrp")]
    async with running(world_of(*underlyings, settings=settings)) as world:
        sizes = []
        for _ in range(10):
            await trio.sleep(250 * 300)
            world.catalog.asked.clear()
            world.catalog._slugs.clear()
            world.ledger.learned.clear()
            tasks = trio.lowlevel.current_statistics().tasks_living
            sizes.append((len(world.actor._entries), tasks, len(world.actor.problems())))
    assert len(world.ledger.appeared) >= 10_000
    assert len({*sizes}) == 1
    assert len(world.ledger.present) == sizes[0][0]


# Following and letting go.


async def test_following_and_letting_go_at_run_time(autojump_clock: MockClock) -> None:
    async with running(world_of(FIVE)) as world:
        await trio.sleep(10)
        world.actor.follow(FIFTEEN)
        world.actor.follow(FIVE)
        world.actor.follow(FollowSettings(slug="will-it-rain"))
        await trio.sleep(1)
        five, fifteen = world.slug_at(0), world.slug_at(0, "btc-15m")
        assert world.ledger.present == {five, fifteen, "will-it-rain"}
        world.actor.unfollow("btc-5m")
        world.actor.unfollow("will-it-rain")
        world.actor.unfollow("never-followed")
        await trio.sleep(1)
        assert world.ledger.retired == [(11.0, five), (11.0, "will-it-rain")]
        asked = len(world.catalog.asked)
        await trio.sleep(30)
        assert {name for _, name in world.catalog.asked[asked:]} <= {fifteen}
        world.actor.follow(FIVE)
        await trio.sleep(1)
        assert world.ledger.present == {five, fifteen}


async def test_letting_go_and_following_again_at_once_changes_nothing(autojump_clock: MockClock) -> None:
    async with running(world_of(FIVE)) as world:
        await trio.sleep(10)
        world.actor.unfollow("btc-5m")
        world.actor.follow(FIVE)
        await trio.sleep(1)
        assert len(world.ledger.appeared) == 1
        assert world.ledger.retired == []


async def test_what_was_followed_before_the_run_counts(autojump_clock: MockClock) -> None:
    world = world_of()
    world.actor.follow(FIVE)
    async with running(world):
        assert world.ledger.present == {world.slug_at(0)}


async def test_a_listener_may_follow_and_let_go_while_it_is_told(autojump_clock: MockClock) -> None:
    world = world_of(FIVE)

    def on_appear(verb: str, key: str) -> None:
        if verb == "appear" and key.startswith("btc-updown-5m"):
            world.actor.follow(FIFTEEN)
            world.actor.unfollow("btc-5m")

    world.ledger.trap = on_appear
    async with running(world):
        await trio.sleep(1)
    assert world.ledger.present == {world.slug_at(0, "btc-15m")}


async def test_an_unknown_series_is_told_at_once(autojump_clock: MockClock) -> None:
    with pytest.raises(UnknownSlug, match="btc-2m"):
        world_of(FollowSettings(series="btc-2m"))


async def test_a_request_under_way_does_not_outlive_its_target(autojump_clock: MockClock) -> None:
    async with running(world_of(FIVE)) as world:
        world.catalog.latency = lambda name: 1000.0
        await trio.sleep(10)
        assert world.catalog.under_way == 1
        world.actor.unfollow("btc-5m")
        await trio.sleep(1)
        assert world.catalog.under_way == 0
        await trio.sleep(2000)
    assert world.ledger.learned == []


async def test_an_answer_in_the_moment_of_retirement_is_not_passed_on(autojump_clock: MockClock) -> None:
    world = world_of(FIVE)
    retired = trio.Event()

    async def answer_when_retired(slug: str) -> Market | None:
        await retired.wait()
        return market_of(slug)

    world.catalog.market_by_slug = answer_when_retired  # type: ignore[method-assign]
    world.ledger.trap = lambda verb, key: retired.set() if verb == "retire" else None
    async with running(world):
        await trio.sleep(1)
        world.actor.unfollow("btc-5m")
        await trio.sleep(10)
    assert len(world.ledger.retired) == 1
    assert world.ledger.learned == []


# Learning.


async def test_a_market_that_hydrates_late_is_learned(autojump_clock: MockClock) -> None:
    world = world_of(FIVE, settings=DiscoverySettings(warm_s=90.0))
    slug = world.slug_at(300)
    world.catalog.known[slug] = None

    def hydrate(name: str) -> None:
        if len(world.catalog.times(slug)) > 12:
            world.catalog.known.clear()

    world.catalog.fault = hydrate
    async with running(world):
        await trio.sleep(390)
    assert len(world.catalog.times(slug)) == 13
    assert world.ledger.learned_of(slug) == [None, market_of(slug)]
    gaps = [after - before for before, after in pairwise(world.catalog.times(slug))]
    assert gaps[0] < 2.1
    assert 11 < gaps[-1] < 15.1
    assert gaps == sorted(gaps[:4]) + gaps[4:]


async def test_a_slot_is_asked_for_quickly_for_as_long_as_it_is_awaited(autojump_clock: MockClock) -> None:
    async with running(world_of(FollowSettings(series="btc-1h"), FollowSettings(slug="rain"))) as world:
        slug = world.slug_at(0, "btc-1h")
        world.catalog.known[slug] = None
        await trio.sleep(3500)
    for name, shortest, longest in ((slug, 11.0, 15.1), ("rain", 45.0, 60.1)):
        gaps = [after - before for before, after in pairwise(world.catalog.times(name)[20:])]
        assert shortest < min(gaps) < max(gaps) < longest


async def test_what_is_known_is_told_only_when_it_changes(autojump_clock: MockClock) -> None:
    slug = "will-it-rain"
    async with running(world_of(FollowSettings(slug=slug))) as world:
        first = world.catalog.known[slug] = market_of(slug)
        await trio.sleep(600)
        assert world.ledger.learned_of(slug) == [first]
        assert 9 <= len(world.catalog.times(slug)) <= 15
        closed = world.catalog.known[slug] = evolve(first, closed=True, accepting_orders=False)
        await trio.sleep(61)
        assert world.ledger.learned_of(slug) == [first, closed]
        resolved = world.catalog.known[slug] = evolve(closed, winner=Outcome.DOWN)
        await trio.sleep(600)
        assert world.ledger.learned_of(slug) == [first, closed, resolved]
        asked = len(world.catalog.asked)
        await trio.sleep(HOUR_S)
        assert len(world.catalog.asked) == asked  # nothing can change any more
        world.actor.refresh(slug)
        await trio.sleep(1)
        assert len(world.catalog.asked) == asked + 1
        world.catalog.known[slug] = closed
        world.actor.refresh(slug)
        await trio.sleep(5)
        assert len(world.catalog.asked) == asked + 2
        assert world.ledger.learned_of(slug)[-1] == resolved  # a winner is not taken back
        assert world.ledger.present == {slug}


async def test_a_poorer_answer_takes_nothing_back(autojump_clock: MockClock) -> None:
    slug = "will-it-rain"
    async with running(world_of(FollowSettings(slug=slug))) as world:
        full = market_of(slug, start_ns=5, end_ns=7, closed=True, accepting_orders=False, winner=Outcome.UP)
        closed = evolve(full, winner=None)
        world.catalog.known[slug] = closed
        await trio.sleep(1)
        for poorer in (evolve(closed, start_ns=None, end_ns=None, slug=None), evolve(closed, closed=False), None):
            world.catalog.known[slug] = poorer
            await trio.sleep(61)
        assert world.ledger.learned_of(slug) == [closed]
        assert world.actor.problems() == {slug: UNKNOWN}
        world.catalog.known[slug] = evolve(full, accepting_orders=True)
        await trio.sleep(61)
        assert world.ledger.learned_of(slug) == [closed, full]
        assert world.actor.problems() == {}


async def test_a_wrong_condition_id_is_told_once_and_asked_for_slowly(autojump_clock: MockClock) -> None:
    async with running(world_of(FollowSettings(condition_id=CONDITION_ID))) as world:
        await trio.sleep(1)
        assert world.ledger.learned == [(0.05, CONDITION_ID, None)]
        assert world.actor.problems() == {CONDITION_ID: UNKNOWN}
        await trio.sleep(600)
        asked = len(world.catalog.asked)
        await trio.sleep(600)
        assert 10 <= len(world.catalog.asked) - asked <= 14
        assert [(call.method_name, *call.args) for call in world.log.calls] == [("warning", "market.lookup_failed")]
        late = world.catalog.known[CONDITION_ID] = market_of("rain", condition_id=CONDITION_ID)
        await trio.sleep(61)
        assert world.ledger.learned_of(CONDITION_ID) == [None, late]
        assert world.actor.problems() == {}


async def test_a_slot_is_asked_for_soon_after_its_end(autojump_clock: MockClock) -> None:
    async with running(world_of(FIVE, settings=DiscoverySettings(refresh_s=3600.0))) as world:
        slug = world.slug_at(0)
        await trio.sleep(299)
        assert len(world.catalog.times(slug)) == 1
        closed = world.catalog.known[slug] = market_of(slug, closed=True, accepting_orders=False)
        await trio.sleep(11)
        assert world.catalog.times(slug)[1:] == [pytest.approx(307.5)]
        assert world.ledger.learned_of(slug)[-1] == closed
        await trio.sleep(HOUR_S)
        assert len(world.catalog.times(slug)) == 2


async def test_a_four_hour_slot_of_the_other_alignment_is_found(autojump_clock: MockClock) -> None:
    async with running(world_of(FollowSettings(series="btc-4h"))) as world:
        slug = world.slug_at(0, "btc-4h")
        (other,) = SERIES["btc-4h"].alternatives(slot_of_slug(slug))
        world.catalog.known[slug] = None
        await trio.sleep(1)
        assert [name for _, name in world.catalog.asked] == [slug, other.slug]
        assert world.ledger.learned_of(slug) == [market_of(other.slug)]
        await trio.sleep(61)
        assert [name for _, name in world.catalog.asked][2:] == [other.slug]


@pytest.mark.parametrize("listed", [0, 1])
async def test_the_repeated_hour_is_told_apart_by_its_end(autojump_clock: MockClock, listed: int) -> None:
    first_s = int(datetime(2026, 11, 1, 5, tzinfo=UTC).timestamp())
    ends_ns = [(first_s + 3600) * NS_PER_S, (first_s + 7200) * NS_PER_S]
    settings = DiscoverySettings(warm_s=3600.0)
    async with running(
        world_of(FollowSettings(series="btc-1h"), start_ns=first_s * NS_PER_S, settings=settings)
    ) as world:
        slugs = [world.slug_at(0, "btc-1h"), world.slug_at(3600, "btc-1h")]
        market = market_of(slugs[0], start_ns=ends_ns[listed] - 3600 * NS_PER_S, end_ns=ends_ns[listed])
        world.catalog.known = {slugs[0]: market, slugs[1]: None}
        await trio.sleep(10)
    assert slugs[1] == slugs[0] + "-2"
    assert world.ledger.learned_of(slugs[listed]) == [market]
    assert world.ledger.learned_of(slugs[1 - listed]) == [None]


async def test_one_market_is_not_followed_under_two_keys(autojump_clock: MockClock) -> None:
    async with running(world_of(FIVE)) as world:
        await trio.sleep(10)
        slug = world.slug_at(0)
        market = market_of(slug)
        world.actor.follow(FollowSettings(condition_id=market.condition_id))
        world.actor.follow(FollowSettings(slug=slug))
        await trio.sleep(10)
        assert world.ledger.present == {slug}, "the slot speaks for both"
        assert world.ledger.learned_of(market.condition_id) == []
        assert world.actor.problems() == {market.condition_id: f"followed already as {slug}"}
        world.actor.unfollow("btc-5m")
        world.actor.unfollow(slug)
        await trio.sleep(3)
        assert world.ledger.present == {market.condition_id}, "now it speaks for itself"
        assert world.ledger.learned_of(market.condition_id) == [market]
        world.actor.unfollow(market.condition_id)
        await trio.sleep(1)
        assert world.ledger.present == set()


async def test_a_slot_speaks_for_the_id_that_was_there_before_it(autojump_clock: MockClock) -> None:
    async with running(world_of()) as world:
        market = market_of(world.slug_at(0))
        world.catalog.known[market.condition_id] = market
        world.actor.follow(FollowSettings(condition_id=market.condition_id))
        await trio.sleep(10)
        assert world.ledger.present == {market.condition_id}
        world.actor.follow(FIVE)
        await trio.sleep(10)
        assert world.ledger.present == {market.slug}
        world.actor.unfollow(market.condition_id)
        await trio.sleep(1)
        assert world.ledger.present == {market.slug}
        assert [key for _, key in world.ledger.retired] == [market.condition_id], "once"


async def test_an_id_moves_to_the_underlying_its_metadata_name(autojump_clock: MockClock) -> None:
    async with running(world_of()) as world:
        market = market_of(world.slug_at(0, "eth-15m"))
        world.catalog.known[market.condition_id] = market
        world.actor.follow(FollowSettings(condition_id=market.condition_id))
        await trio.sleep(10)
    assert [target.underlying for _, target in world.ledger.appeared] == ["BTC", "ETH"]
    assert world.ledger.present == {market.condition_id}
    assert world.ledger.learned_of(market.condition_id) == [market]


async def test_the_venues_rest_api_is_a_catalog(autojump_clock: MockClock) -> None:
    def gamma(request: httpx.Request) -> httpx.Response:
        market = market_of(request.url.params.get("slug", "none"))
        if request.url.path != "/events" or trio.current_time() < 5:
            return httpx.Response(404, json={"error": "not found"})
        listed = {"conditionId": market.condition_id, "outcomes": ["Down", "Up"]}
        listed["clobTokenIds"] = [market.down_asset_id, market.up_asset_id]
        return httpx.Response(200, json=[{"slug": market.slug, "markets": [listed]}])

    rest = VenueRest(VenueSettings(), request_s=5.0, transport=httpx.MockTransport(gamma))
    world = world_of(FIVE, rest=rest)
    async with running(world):
        await trio.sleep(20)
    await rest.aclose()
    slug = world.slug_at(0)
    assert world.ledger.learned_of(slug) == [None, market_of(slug)]


# The venue's moods.


async def test_look_ups_do_not_wait_for_each_other_and_few_are_under_way(autojump_clock: MockClock) -> None:
    slugs = [f"market-{number}" for number in range(12)]
    world = world_of(*(FollowSettings(slug=slug) for slug in slugs))
    world.catalog.known = {slug: market_of(slug) for slug in slugs}
    world.catalog.fault = lambda name: RestFault(RestFaultKind.SERVER, "HTTP 500") if name == slugs[0] else None
    world.catalog.latency = lambda name: 0.5
    async with running(world):
        await trio.sleep(1.75)
        assert {key for _, key, _ in world.ledger.learned} == {*slugs[1:]}
        assert world.actor.problems() == {slugs[0]: "server: HTTP 500"}
        assert world.catalog.most_under_way == IN_FLIGHT
        world.catalog.fault = lambda name: None
        await trio.sleep(2.5)
        assert world.ledger.learned_of(slugs[0]) == [market_of(slugs[0])]


async def test_why_nothing_is_known_is_told_once_per_change_of_the_reason(autojump_clock: MockClock) -> None:
    world = world_of(FollowSettings(slug="rain"))
    world.catalog.known["rain"] = market_of("rain")
    kinds = [RestFaultKind.TIMEOUT] * 3 + [RestFaultKind.SERVER] * 2 + [RestFaultKind.TIMEOUT]
    world.catalog.fault = lambda name: RestFault(kinds.pop(0)) if kinds else None
    async with running(world):
        await trio.sleep(120)
        assert world.ledger.failed == [("rain", "timeout"), ("rain", "server"), ("rain", "timeout")]
        assert world.ledger.learned_of("rain") == [market_of("rain")]
        kinds += [RestFaultKind.SERVER] * 3
        await trio.sleep(300)
        assert not kinds
    assert len(world.ledger.failed) == 3, "it is known"


async def test_a_fault_after_the_venues_no_is_nothing_new(autojump_clock: MockClock) -> None:
    world = world_of(FollowSettings(slug="rain"))
    async with running(world):
        await trio.sleep(1)
        world.catalog.fault = lambda name: RestFault(RestFaultKind.TIMEOUT)
        await trio.sleep(100)
    assert world.ledger.learned_of("rain") == [None]
    assert world.ledger.failed == []


async def test_who_is_hidden_behind_another_has_no_faults(autojump_clock: MockClock) -> None:
    async with running(world_of(FIVE)) as world:
        await trio.sleep(10)
        market = market_of(world.slug_at(0))
        world.actor.follow(FollowSettings(condition_id=market.condition_id))
        await trio.sleep(10)
        world.catalog.fault = lambda name: RestFault(RestFaultKind.TIMEOUT)
        await trio.sleep(100)
        assert world.ledger.present == {world.slug_at(0)}
        assert world.ledger.failed == []


async def test_a_fault_in_the_moment_of_retirement_is_not_passed_on(autojump_clock: MockClock) -> None:
    world = world_of(FIVE)
    retired = trio.Event()

    async def fail_when_retired(slug: str) -> Market | None:
        with trio.CancelScope(shield=True):
            await retired.wait()
        raise RestFault(RestFaultKind.TIMEOUT)

    world.catalog.market_by_slug = fail_when_retired  # type: ignore[method-assign]
    world.ledger.trap = lambda verb, key: retired.set() if verb == "retire" else None
    async with running(world):
        await trio.sleep(1)
        world.actor.unfollow("btc-5m")
        await trio.sleep(10)
    assert len(world.ledger.retired) == 1
    assert world.ledger.failed == []


async def test_a_429_makes_everyone_pause_for_as_long_as_it_says(autojump_clock: MockClock) -> None:
    slugs = [f"market-{number}" for number in range(6)]
    world = world_of(*(FollowSettings(slug=slug) for slug in slugs), FIVE)
    world.catalog.fault = lambda name: (
        RestFault(RestFaultKind.RATE_LIMITED, "HTTP 429", status=429, retry_after=120.0)
        if name == slugs[0] and trio.current_time() < 60
        else None
    )
    async with running(world):
        await trio.sleep(250)
    refused_at = world.catalog.times(slugs[0])[0] + 0.05
    assert [at for at in world.catalog.times() if refused_at < at < refused_at + 120.0] == []
    assert {name for at, name in world.catalog.asked if at < refused_at + 121.0} >= {*slugs}
    assert world.slug_at(0) in {key for _, key, market in world.ledger.learned if market is not None}


@pytest.mark.parametrize("kind", [RestFaultKind.RATE_LIMITED, RestFaultKind.BLOCKED])
async def test_pauses_without_a_stated_length_grow_until_an_answer_comes(
    autojump_clock: MockClock, kind: RestFaultKind
) -> None:
    world = world_of(*(FollowSettings(slug=f"market-{number}") for number in range(8)))
    world.catalog.fault = lambda name: RestFault(kind, "no") if trio.current_time() < 3000 else None
    async with running(world):
        await trio.sleep(3900)
        bursts = [at for at in world.catalog.times() if at < 3000]
        starts = [at for at, before in zip(bursts, [-math.inf, *bursts], strict=False) if at - before > 30]
        assert starts == pytest.approx([0, 60, 180, 420, 900, 1800, 2700], abs=1.5)
        assert len(bursts) <= len(starts) * IN_FLIGHT
        asked = len(world.catalog.asked)
        world.catalog.fault = lambda name: RestFault(kind, "no") if trio.current_time() < 3950 else None
        await trio.sleep(130)
        resumed = [at for at in world.catalog.times()[asked:] if at > 3950]
        assert min(resumed) < 4030  # one minute again, not fifteen


async def test_asking_again_soon_is_bounded(autojump_clock: MockClock) -> None:
    async with running(world_of(FollowSettings(condition_id=CONDITION_ID))) as world:
        await trio.sleep(900)
        asked = len(world.catalog.asked)
        for _ in range(400):
            world.actor.refresh(CONDITION_ID)
            world.actor.refresh("nobody")
            await trio.sleep(0.05)
        assert 9 <= len(world.catalog.asked) - asked <= 11


async def test_a_refresh_during_a_request_asks_once_more(autojump_clock: MockClock) -> None:
    slug = "will-it-rain"
    async with running(world_of(FollowSettings(slug=slug))) as world:
        old = world.catalog.known[slug] = market_of(slug)
        world.catalog.latency = lambda name: 5.0
        await trio.sleep(4.0)
        world.actor.refresh(slug)
        await trio.sleep(8.0)
        assert world.catalog.times(slug) == [0.0, 5.0]
        assert world.ledger.learned_of(slug) == [old]


# Crashes.


async def crash_of(world: World) -> BaseException:
    with pytest.raises(BaseExceptionGroup) as crashed:
        await world.actor.run()
    error: BaseException = crashed.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    return error


async def test_a_bug_leaves_the_run_and_the_next_run_goes_on(autojump_clock: MockClock) -> None:
    world = world_of(FIVE, FIFTEEN)
    bad = world.slug_at(0)
    world.catalog.fault = lambda name: KeyError("bug") if name == bad and trio.current_time() < 10 else None
    assert isinstance(await crash_of(world), KeyError)
    assert trio.current_time() == 0.05
    assert world.actor.problems()[bad] == "KeyError: 'bug'"
    async with running(world):
        world.actor.refresh(bad)
        await trio.sleep(50)
        assert len(world.ledger.appeared) == 2  # not announced again
        assert world.ledger.learned_of(world.slug_at(0, "btc-15m")) == [market_of(world.slug_at(0, "btc-15m"))]
        assert world.ledger.learned_of(bad) == []  # not the first thing to happen again
        await trio.sleep(20)
        assert world.ledger.learned_of(bad) == [market_of(bad)]
        assert world.actor.problems() == {}
        await trio.sleep(2 * HOUR_S - trio.current_time())
    assert_rolled_on_time(world, "btc-5m", 0, 2 * HOUR_S)
    assert_rolled_on_time(world, "btc-15m", 0, 2 * HOUR_S)


async def test_what_changed_between_two_runs_is_made_up_for(autojump_clock: MockClock) -> None:
    world = world_of(FIVE)
    async with running(world):
        await trio.sleep(10)
    world.actor.follow(FIFTEEN)
    world.actor.refresh(world.slug_at(0))
    await trio.sleep(700)
    async with running(world):
        await trio.sleep(1)
        assert world.ledger.present == {world.slug_at(700), world.slug_at(700, "btc-15m")}
    assert [key for _, key in world.ledger.retired] == [world.slug_at(0)]


async def test_a_listener_that_fails_over_a_fault_is_told_of_it_again(autojump_clock: MockClock) -> None:
    world = world_of(FollowSettings(slug="rain"))
    world.catalog.fault = lambda name: RestFault(RestFaultKind.TIMEOUT)

    def trap(told: str, key: str) -> None:
        if told == "lookup_failed" and trio.current_time() < 1:
            raise RuntimeError("listener")

    world.ledger.trap = trap
    assert isinstance(await crash_of(world), RuntimeError)
    async with running(world):
        await trio.sleep(10)
    assert world.ledger.failed == [("rain", "timeout")]


@pytest.mark.parametrize("verb", ["appear", "learn", "retire"])
async def test_a_listener_that_fails_is_told_again(autojump_clock: MockClock, verb: str) -> None:
    world = world_of(FIVE)
    crashes = [0]

    def fail_once(told: str, key: str) -> None:
        if told == verb and not crashes[0]:
            crashes[0] += 1
            raise RuntimeError("listener")

    world.ledger.trap = fail_once
    start = trio.current_time()
    assert isinstance(await crash_of(world), RuntimeError)
    assert trio.current_time() - start < 320
    async with running(world):
        await trio.sleep(420)
    slug = world.slug_at(0)
    assert [target.key for _, target in world.ledger.appeared].count(slug) == 1
    assert [key for _, key in world.ledger.retired].count(slug) == 1
    assert world.ledger.learned_of(slug) == [market_of(slug)]


async def test_cancelling_the_run_is_not_a_crash_and_retires_nothing(autojump_clock: MockClock) -> None:
    world = world_of(FIVE)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(world.actor.run)
            await trio.sleep(1)
            scope.cancel()
    assert scope.cancelled_caught
    assert world.ledger.retired == []
