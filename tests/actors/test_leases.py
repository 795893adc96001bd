"""Leases: followed while anybody holds, let go a while after nobody does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from actors.clock import Clock
from actors.leases import HELD, Leases
from engine.errors import UnknownSlug
from engine.followbook import FollowBook
from engine.settings import DiscoverySettings, FollowSettings

FIVE = FollowSettings(series="btc-5m")
RAIN = FollowSettings(slug="will-it-rain")


class World:
    """Leases on a real follow list."""

    def __init__(self, linger_s: float) -> None:
        self.book = FollowBook(DiscoverySettings())
        self.clock = Clock.anchored(10**18)
        self.leases = Leases(clock=self.clock, linger_s=linger_s, follow=self.book.follow, unfollow=self.book.unfollow)

    @property
    def followed(self) -> set[str]:
        targets = self.book.due(self.clock.now_ns())
        return {target.series or target.key for target in targets}


@asynccontextmanager
async def running(linger_s: float = 300.0) -> AsyncIterator[World]:
    world = World(linger_s)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.leases.run)
        yield world
        nursery.cancel_scope.cancel()


async def test_it_is_let_go_so_long_after_the_last_hold(autojump_clock: MockClock) -> None:
    async with running() as world:
        first, second = world.leases.hold(FIVE), world.leases.hold(FIVE)
        assert (first.name, world.followed) == ("btc-5m", {"btc-5m"})
        first.release()
        await trio.sleep(1000)
        assert world.followed == {"btc-5m"}
        second.release()
        await trio.sleep(299.9)
        assert world.followed == {"btc-5m"}
        await trio.sleep(0.2)
        assert world.followed == set()


async def test_releasing_twice_is_the_same_as_once(autojump_clock: MockClock) -> None:
    async with running() as world:
        first, second = world.leases.hold(FIVE), world.leases.hold(FIVE)
        first.release()
        first.release()
        await trio.sleep(1000)
        assert world.followed == {"btc-5m"}
        second.release()
        second.release()
        await trio.sleep(1000)
        assert world.followed == set()


async def test_holding_it_again_in_time_keeps_it_without_a_break(autojump_clock: MockClock) -> None:
    async with running() as world:
        unfollowed: list[str] = []
        world.leases._unfollow = lambda name, owner: unfollowed.append(name)
        for _ in range(3):
            hold = world.leases.hold(FIVE)
            await trio.sleep(1)
            hold.release()
            await trio.sleep(299)
        assert unfollowed == []
        await trio.sleep(2)
        assert unfollowed == ["btc-5m"]


async def test_each_name_has_its_own_time(autojump_clock: MockClock) -> None:
    async with running() as world:
        five, rain = world.leases.hold(FIVE), world.leases.hold(RAIN)
        rain.release()
        await trio.sleep(100)
        five.release()
        await trio.sleep(201)
        assert world.followed == {"btc-5m"}
        await trio.sleep(100)
        assert world.followed == set()


async def test_what_is_followed_otherwise_stays(autojump_clock: MockClock) -> None:
    async with running() as world:
        world.book.follow(FIVE)
        world.leases.hold(FIVE).release()
        await trio.sleep(1000)
        assert world.followed == {"btc-5m"}
        held = world.leases.hold(FIVE)
        world.book.unfollow("btc-5m")
        assert world.followed == {"btc-5m"}
        held.release()
        await trio.sleep(301)
        assert world.followed == set()


async def test_without_lingering_it_goes_at_once_unless_it_is_held_again(autojump_clock: MockClock) -> None:
    async with running(0.0) as world:
        world.leases.hold(FIVE).release()
        hold = world.leases.hold(FIVE)
        await trio.testing.wait_all_tasks_blocked()
        assert world.followed == {"btc-5m"}
        hold.release()
        await trio.testing.wait_all_tasks_blocked()
        assert world.followed == set()


async def test_what_cannot_be_followed_cannot_be_held(autojump_clock: MockClock) -> None:
    async with running() as world:
        with pytest.raises(UnknownSlug, match="btc-2m"):
            world.leases.hold(FollowSettings(series="btc-2m"))
        assert world.followed == set()


async def test_nothing_is_remembered_of_what_is_gone(autojump_clock: MockClock) -> None:
    async with running(1.0) as world:
        for number in range(100):
            world.leases.hold(FollowSettings(slug=f"rain-{number}")).release()
        await trio.sleep(2)
        assert not world.leases._holds
        assert not world.leases._until_ns
        assert world.book._owners == world.book._follows == {}


def test_a_release_after_the_loop_is_over_harms_nobody() -> None:
    async def main() -> tuple[World, list[object]]:
        async with running() as world:
            hold = world.leases.hold(FIVE)
        return world, [hold]

    world, [hold] = trio.run(main)
    hold.release()  # type: ignore[attr-defined]
    assert world.book._owners == {"btc-5m": {HELD}}
