"""What to follow at any instant: a function of the follow list, the calendar and the clock, and of nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from engine.errors import UnknownSlug
from engine.markets import CONDITION_ID_PATTERN, Target
from engine.series import SERIES, series_named, slot_of_slug, underlying_of
from engine.settings import DiscoverySettings, FollowSettings
from engine.units import to_ns

LISTED: Final = "listed"
"""The owner of what the settings, or somebody by name, said to follow until told otherwise."""


class FollowBook:
    """The follow list, and which targets it means when. A name stays on it for as long as any owner wants it.

    A slot of a followed series is due from ``warm_s`` before its start and kept until ``retire_after_s`` after its end;
    a market followed by slug or condition id is due and kept for as long as it is followed. Its key is that name; the
    slug of a slot is the key of the slot, so nothing has two keys because it is followed in two ways.
    """

    def __init__(self, settings: DiscoverySettings) -> None:
        self._warm_ns = to_ns(settings.warm_s)
        self._retire_after_ns = to_ns(settings.retire_after_s)
        self._follows: dict[str, FollowSettings] = {}
        self._owners: dict[str, set[str]] = {}

    def follow(self, follow: FollowSettings, owner: str = LISTED) -> None:
        """Add to the list; twice is the same as once. Raises ``UnknownSlug`` for a series that is none."""
        if follow.series is not None:
            series_named(follow.series)
        self._follows[follow.name] = follow
        self._owners.setdefault(follow.name, set()).add(owner)

    def unfollow(self, name: str, owner: str = LISTED) -> None:
        """Take off the list what this owner followed by this name; whatever it did not follow is ignored."""
        owners = self._owners.get(name, set())
        owners.discard(owner)
        if not owners:
            self._owners.pop(name, None)
            self._follows.pop(name, None)

    def due(self, now_ns: int) -> Iterator[Target]:
        """Every target to be followed at ``now_ns``, slots that are over excepted; a target may come twice."""
        for follow in self._follows.values():
            if follow.series is None:
                yield _fixed_target(follow)
                continue
            series = SERIES[follow.series]
            slot = series.slot_at(now_ns)
            while slot.start_ns - self._warm_ns <= now_ns:
                yield slot.target()
                slot = series.next(slot)

    def keeps(self, target: Target, end_ns: int, now_ns: int) -> bool:
        """Whether a target that was due, and that ends at ``end_ns`` for all that is known, is still to be followed."""
        if target.key in self._follows:
            return True
        return target.series in self._follows and now_ns < end_ns + self._retire_after_ns

    def next_ns(self, now_ns: int, present: Iterable[tuple[Target, int]]) -> int | None:
        """The next instant at which something is due, or no longer kept of the ``present`` targets and their ends.

        ``None`` when the clock alone will never change anything.
        """
        appearing = [
            # The next slot to appear begins where the last one that has appeared ends.
            SERIES[follow.series].slot_at(now_ns + self._warm_ns).end_ns - self._warm_ns
            for follow in self._follows.values()
            if follow.series is not None
        ]
        retiring = [end_ns + self._retire_after_ns for target, end_ns in present if target.key not in self._follows]
        return min([*appearing, *retiring], default=None)


def follow_named(what: str | FollowSettings) -> FollowSettings:
    """Read a name as series, condition id or slug; raises ``ValueError`` for what can be none of them.

    ``UnknownSlug``, which is one, for what looks like a series and is none.
    """
    if isinstance(what, FollowSettings):
        return what
    if re.fullmatch(r"[a-z0-9]+-(5m|15m|1h|4h|1d)", what):
        return FollowSettings(series=series_named(what).name)
    if re.fullmatch(CONDITION_ID_PATTERN, what):
        return FollowSettings(condition_id=what)
    try:
        return FollowSettings(slug=what)
    except ValueError:
        raise ValueError(f"neither a series nor a slug nor a condition id: {what[:100]!r}") from None


def _fixed_target(follow: FollowSettings) -> Target:
    if follow.slug is None:
        return Target(key=follow.name, condition_id=follow.condition_id)
    try:
        return slot_of_slug(follow.slug).target()
    except UnknownSlug:
        return Target(key=follow.slug, slug=follow.slug, underlying=underlying_of(follow.slug))
