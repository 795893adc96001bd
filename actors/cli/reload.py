"""Reloading the configuration of a running engine: the follow list is applied, the rest is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import trio
from structlog.typing import FilteringBoundLogger

from actors.config import ConfigError, Loaded, dotted
from actors.config.origins import Problem
from engine.settings import FollowSettings, Settings

NOTHING_FOLLOWED = Problem(message="nothing is followed", key="follow")


class Follower(Protocol):
    """What a reload needs of an engine."""

    def follow(self, what: FollowSettings) -> None:
        """Follow one more."""

    def unfollow(self, what: str) -> None:
        """Let one go."""


class Reload:
    """Applies new configurations one after the other; a bad one changes nothing."""

    def __init__(self, loaded: Loaded, load: Callable[[], Loaded], *, log: FilteringBoundLogger) -> None:
        self._running = _values(loaded)
        self._followed = _followed(loaded.settings)
        self._load = load
        self._log = log
        self._turn = trio.Lock()

    async def apply(self, engine: Follower) -> None:
        """Load the configuration again and let the engine follow what it says; never raises because of it."""
        async with self._turn:
            try:
                loaded = require_follow(await trio.to_thread.run_sync(self._load))
            except ConfigError as error:
                self._log.error("config.reload_failed", problems=error.problems)
                return
            self._apply(engine, loaded)

    def _apply(self, engine: Follower, loaded: Loaded) -> None:
        wanted = _followed(loaded.settings)
        followed = [name for name in wanted if name not in self._followed]
        unfollowed = [name for name in self._followed if name not in wanted]
        for name in followed:
            engine.follow(wanted[name])
        for name in unfollowed:
            engine.unfollow(name)
        self._followed = wanted
        self._log.info(
            "config.reloaded", followed=followed, unfollowed=unfollowed, needs_restart=self._changed(_values(loaded))
        )

    def _changed(self, values: dict[str, Any]) -> list[str]:
        """The keys that differ from what the engine was opened with."""
        keys = [*values, *(key for key in self._running if key not in values)]
        return [key for key in keys if values.get(key) != self._running.get(key)]


def require_follow(loaded: Loaded) -> Loaded:
    """The same; raises ``ConfigError`` when nothing is followed."""
    if not loaded.settings.follow:
        raise ConfigError([NOTHING_FOLLOWED])
    return loaded


def _followed(settings: Settings) -> dict[str, FollowSettings]:
    return {follow.name: follow for follow in settings.follow}


def _values(loaded: Loaded) -> dict[str, Any]:
    return {dotted(path): value for path, value, _ in loaded.rows() if path[0] != "follow" and value != {}}
