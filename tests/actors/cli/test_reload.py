from collections.abc import Callable

import pytest
import structlog
import trio
from structlog.testing import capture_logs

from actors.cli.reload import Reload, require_follow
from actors.config import ConfigError, Loaded, load_settings
from engine.settings import FollowSettings


class Follower:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def follow(self, what: FollowSettings) -> None:
        self.told.append(("follow", what.name))

    def unfollow(self, what: str) -> None:
        self.told.append(("unfollow", what))


def loaded(*names: str, **others: object) -> Loaded:
    follow = ", ".join(f'{{ series = "{name}" }}' for name in names)
    return load_settings(
        overrides=[f"follow=[{follow}]", *(f"{key.replace('__', '.')}={value}" for key, value in others.items())]
    )


def reload_of(first: Loaded, *later: Loaded | ConfigError) -> Reload:
    queue = list(later)

    def load() -> Loaded:
        match queue.pop(0):
            case ConfigError() as error:
                raise error
            case Loaded() as following:
                return following

    return Reload(first, load, log=structlog.get_logger())


async def test_the_difference_is_applied() -> None:
    follower = Follower()
    reload = reload_of(loaded("btc-5m", "btc-15m"), loaded("btc-15m", "eth-1h"), loaded("btc-5m"))
    with capture_logs() as logged:
        await reload.apply(follower)
        assert follower.told == [("follow", "eth-1h"), ("unfollow", "btc-5m")]
        await reload.apply(follower)
    assert follower.told[2:] == [("follow", "btc-5m"), ("unfollow", "btc-15m"), ("unfollow", "eth-1h")]
    assert [entry["event"] for entry in logged] == ["config.reloaded"] * 2
    assert (logged[0]["followed"], logged[0]["unfollowed"]) == (["eth-1h"], ["btc-5m"])


async def test_other_keys_are_named_until_they_are_put_back() -> None:
    follower = Follower()
    reload = reload_of(
        loaded("btc-5m", feed__idle_s=20, scoring__weights__whale=0.1),
        loaded("btc-5m", scoring__window_s=90),
        loaded("btc-5m", feed__idle_s=20, scoring__weights__whale=0.1),
    )
    with capture_logs() as logged:
        await reload.apply(follower)
        await reload.apply(follower)
    assert set(logged[0]["needs_restart"]) == {
        "scoring.window_s",
        "scoring.weights.whale",
        "feed.idle_s",
    }
    assert logged[1]["needs_restart"] == []
    assert follower.told == []


def bad() -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(overrides=["scoring.window_s=1", "log.level=loud"])
    return caught.value


@pytest.mark.parametrize("following", [bad, loaded], ids=["wrong", "follows nothing"])
async def test_a_bad_configuration_changes_nothing(following: Callable[[], Loaded | ConfigError]) -> None:
    follower = Follower()
    reload = reload_of(loaded("btc-5m"), following(), loaded("eth-1h"))
    with capture_logs() as logged:
        await reload.apply(follower)
        assert follower.told == []
        await reload.apply(follower)
    assert follower.told == [("follow", "eth-1h"), ("unfollow", "btc-5m")]
    assert (logged[0]["event"], logged[0]["log_level"]) == ("config.reload_failed", "error")
    assert len(logged[0]["problems"]) in {1, 2}


async def test_reloads_wait_for_each_other() -> None:
    follower = Follower()
    reload = reload_of(loaded("btc-5m"), loaded("btc-15m"), loaded("btc-1h"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reload.apply, follower)
        nursery.start_soon(reload.apply, follower)
    assert follower.told[:2] == [("follow", "btc-15m"), ("unfollow", "btc-5m")]
    assert follower.told[2:] == [("follow", "btc-1h"), ("unfollow", "btc-15m")]


def test_something_must_be_followed() -> None:
    assert require_follow(loaded("btc-5m")).settings.follow
    with pytest.raises(ConfigError, match="nothing is followed"):
        require_follow(load_settings())
