"""The calendar of the venue's up/down series: which slots there are, when each runs, and under which slug.

The slots of a series follow each other without gap or overlap, so every instant belongs to exactly one. Three grids:

* 5m, 15m, 1h: multiples of the duration since the epoch.
* 4h: midnight, 4, 8 … o'clock in New York. Fits every slug on record under both of New York's offsets, but was never
  stated by the venue; `Series.alternatives` names the slot of the other alignment, to be probed as well. The slots that
  hold a change of the clocks last 3 and 5 hours by this rule, which nobody has seen: the metadata must tell.
* 1d: noon to noon in New York, as the descriptions of these markets say; the date in the slug is the day of the end.

The time in a slug is the slot's start (1d excepted). The hour that New York's clocks repeat in November would be named
twice: here the second one carries ``-2``, as the venue does with slugs taken already (an inference), and its
alternative is the plain slug. The hour they skip in March has no slot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from attrs import evolve, field, frozen

from engine.errors import UnknownSlug
from engine.markets import Target
from engine.units import NS_PER_S

NEW_YORK: Final = ZoneInfo("America/New_York")
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S

MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
"""As slugs spell them, whatever the locale."""

_FOUR_HOURS_S: Final = 4 * HOUR_S
_REPEATED: Final = "-2"

Bounds = Callable[[int], tuple[int, int]]
"""From an epoch second to start and end (exclusive) of the slot that holds it, in epoch seconds."""

SlugOf = Callable[[int, int], str]
"""From start and end of a slot to its slug."""


@frozen(kw_only=True)
class Slot:
    """One market of a series by the calendar: ``[start_ns, end_ns)`` is the time that decides its outcome."""

    series: str
    underlying: str
    slug: str
    start_ns: int
    end_ns: int

    def target(self) -> Target:
        """The slot as something to follow, keyed by its slug."""
        return Target(
            key=self.slug,
            underlying=self.underlying,
            series=self.series,
            slug=self.slug,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
        )


def _as_listed(_: Slot) -> tuple[Slot, ...]:
    return ()


def _other_alignment(slot: Slot) -> tuple[Slot, ...]:
    prefix, _, start_text = slot.slug.rpartition("-")
    start_s = int(start_text)
    start_s += HOUR_S if start_s % _FOUR_HOURS_S == 0 else -HOUR_S
    end_s = start_s + _FOUR_HOURS_S
    return (evolve(slot, slug=f"{prefix}-{start_s}", start_ns=start_s * NS_PER_S, end_ns=end_s * NS_PER_S),)


def _plain_name(slot: Slot) -> tuple[Slot, ...]:
    plain = slot.slug.removesuffix(_REPEATED)
    return () if plain == slot.slug else (evolve(slot, slug=plain),)


@frozen(kw_only=True)
class Series:
    """A family of slots of one underlying, such as ``btc-15m``.

    ``duration_s`` is the usual length of a slot; a change of the clocks makes it an hour more or less for 4h and 1d.
    ``tolerance_s`` is how far the end in the venue's metadata may lie from the calendar's before the market is taken
    for another one.
    """

    name: str
    underlying: str
    duration_s: int
    tolerance_s: int
    bounds: Bounds = field(repr=False)
    slug_of: SlugOf = field(repr=False)
    variants: Callable[[Slot], tuple[Slot, ...]] = field(repr=False, default=_as_listed)

    def slot_at(self, now_ns: int) -> Slot:
        """The slot that holds the instant ``now_ns`` (from the epoch to the year 2286)."""
        start_s, end_s = self.bounds(now_ns // NS_PER_S)
        return Slot(
            series=self.name,
            underlying=self.underlying,
            slug=self.slug_of(start_s, end_s),
            start_ns=start_s * NS_PER_S,
            end_ns=end_s * NS_PER_S,
        )

    def next(self, slot: Slot) -> Slot:
        """The slot that begins where ``slot`` ends."""
        return self.slot_at(slot.end_ns)

    def alternatives(self, slot: Slot) -> tuple[Slot, ...]:
        """Other slots under which the venue may have listed this one: to be asked for when the slug is unknown."""
        return self.variants(slot)

    def admits(self, slot: Slot, end_ns: int) -> bool:
        """Whether metadata with this end can be about ``slot``, and not about a namesake of another day or year."""
        return abs(end_ns - slot.end_ns) <= self.tolerance_s * NS_PER_S


def _new_york(second: int) -> datetime:
    return datetime.fromtimestamp(second, NEW_YORK)


def _epoch_grid(step_s: int, second: int) -> tuple[int, int]:
    start = second - second % step_s
    return start, start + step_s


def _new_york_grid(first_hour: int, hours: int, second: int) -> tuple[int, int]:
    wall = _new_york(second).replace(tzinfo=None, minute=0, second=0)
    start = wall - timedelta(hours=(wall.hour - first_hour) % hours)
    return _second_at(start), _second_at(start + timedelta(hours=hours))


def _second_at(wall: datetime) -> int:
    return int(wall.replace(tzinfo=NEW_YORK).timestamp())


def _date(local: datetime) -> str:
    return f"{MONTHS[local.month - 1]}-{local.day}-{local.year}"


def _epoch_slug(prefix: str, start_s: int, _: int) -> str:
    return f"{prefix}-{start_s}"


def _hour_slug(name: str, start_s: int, _: int) -> str:
    local = _new_york(start_s)
    half = "am" if local.hour < 12 else "pm"
    again = _REPEATED if local.fold else ""
    return f"{name}-up-or-down-{_date(local)}-{local.hour % 12 or 12}{half}-et{again}"


def _day_slug(name: str, _: int, end_s: int) -> str:
    return f"{name}-up-or-down-on-{_date(_new_york(end_s))}"


def _five_families(ticker: str, name: str) -> tuple[Series, ...]:
    def series(family: str, duration_s: int, tolerance_s: int, bounds: Bounds, slug_of: SlugOf) -> Series:
        return Series(
            name=f"{ticker}-{family}",
            underlying=ticker.upper(),
            duration_s=duration_s,
            tolerance_s=tolerance_s,
            bounds=bounds,
            slug_of=slug_of,
            variants={"4h": _other_alignment, "1h": _plain_name}.get(family, _as_listed),
        )

    def epoch_slug(family: str) -> SlugOf:
        return partial(_epoch_slug, f"{ticker}-updown-{family}")

    return (
        series("5m", 300, 60, partial(_epoch_grid, 300), epoch_slug("5m")),
        series("15m", 900, 60, partial(_epoch_grid, 900), epoch_slug("15m")),
        series("1h", HOUR_S, 60, partial(_epoch_grid, HOUR_S), partial(_hour_slug, name)),
        # One hour more: what the venue does with the slots that hold a change of the clocks is unknown.
        series("4h", _FOUR_HOURS_S, HOUR_S + 60, partial(_new_york_grid, 0, 4), epoch_slug("4h")),
        # One day: the date is unique within the slug, so at worst the alignment is not what the calendar takes it for.
        series("1d", DAY_S, DAY_S, partial(_new_york_grid, 12, 24), partial(_day_slug, name)),
    )


NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "btc": "bitcoin",
        "eth": "ethereum",
        "sol": "solana",
        "xrp": "xrp",
    }
)
"""Every underlying: its ticker (in epoch slugs and series names) and its name (in hourly and daily slugs)."""

SERIES: Final[Mapping[str, Series]] = MappingProxyType(
    {series.name: series for ticker, name in NAMES.items() for series in _five_families(ticker, name)}
)
"""Every known series by name (``btc-5m`` … ``xrp-1d``)."""

_TICKERS: Final = {name: ticker for ticker, name in NAMES.items()}
_DATE: Final = rf"(?P<month>{'|'.join(MONTHS)})-(?P<day>\d{{1,2}})-(?P<year>20\d\d)"
_NAME: Final = rf"(?P<name>{'|'.join(_TICKERS)})-up-or-down"


def _read_epoch(match: re.Match[str]) -> tuple[str, int]:
    return f"{match['ticker']}-{match['family']}", int(match["start"])


def _read_hour(match: re.Match[str]) -> tuple[str, int]:
    hour = int(match["hour"]) % 12 + (12 if match["half"] == "pm" else 0)
    wall = _read_date(match).replace(hour=hour, fold=1 if match["again"] else 0)
    return f"{_TICKERS[match['name']]}-1h", _second_at(wall)


def _read_day(match: re.Match[str]) -> tuple[str, int]:
    # The slot ends at noon of the day, so its last second is one before.
    return f"{_TICKERS[match['name']]}-1d", _second_at(_read_date(match).replace(hour=12)) - 1


def _read_date(match: re.Match[str]) -> datetime:
    return datetime(int(match["year"]), MONTHS.index(match["month"]) + 1, int(match["day"]), tzinfo=NEW_YORK)


_READERS: Final = (
    (re.compile(rf"(?P<ticker>{'|'.join(NAMES)})-updown-(?P<family>5m|15m|4h)-(?P<start>\d{{1,10}})"), _read_epoch),
    (re.compile(rf"{_NAME}-{_DATE}-(?P<hour>\d{{1,2}})(?P<half>am|pm)-et(?P<again>{_REPEATED})?"), _read_hour),
    (re.compile(rf"{_NAME}-on-{_DATE}"), _read_day),
)
_FORMS: Final = (
    "btc-updown-15m-<unix start>, bitcoin-up-or-down-august-16-2026-2pm-et, bitcoin-up-or-down-on-august-16-2026"
)


OTHER: Final = "OTHER"
"""The underlying of a market whose slug names none that is known."""


def underlying_of(slug: str) -> str:
    """The underlying that a slug, of the calendar or not, begins with (``BTC`` …), else ``OTHER``."""
    named = (ticker.upper() for ticker, name in NAMES.items() if slug.startswith((f"{ticker}-", f"{name}-")))
    return next(named, OTHER)


def series_named(name: str) -> Series:
    """The series of a name; raises ``UnknownSlug`` that lists the known ones."""
    try:
        return SERIES[name]
    except KeyError:
        raise UnknownSlug(f"unknown series {name[:100]!r}; known: {', '.join(SERIES)}") from None


def slot_of_slug(slug: str) -> Slot:
    """The slot a slug names, the first one where it names two; raises ``UnknownSlug`` as `slots_of_slug` does."""
    return slots_of_slug(slug)[0]


def slots_of_slug(slug: str) -> tuple[Slot, ...]:
    """Every slot that a slug may name, at least one; two only for the hour that New York's clocks repeat.

    Of 4h slugs both alignments are known. Raises ``UnknownSlug`` for any text that is no slug of the calendar: other
    families, no year, impossible dates, times off the grid, leading zeros.
    """
    for pattern, read in _READERS:
        if match := pattern.fullmatch(slug):
            return _named(slug, *_instant(slug, match, read))
    raise UnknownSlug(f"no series has a slug like {slug[:200]!r}; the calendar knows slugs such as {_FORMS}")


def _instant(slug: str, match: re.Match[str], read: Callable[[re.Match[str]], tuple[str, int]]) -> tuple[Series, int]:
    try:
        name, second = read(match)
    except ValueError as error:
        raise UnknownSlug(f"no such date in {slug!r}: {error}") from None
    return SERIES[name], second


def _named(slug: str, series: Series, second: int) -> tuple[Slot, ...]:
    slot = series.slot_at(second * NS_PER_S)
    around = (slot, *series.alternatives(slot), *series.alternatives(series.next(slot)))
    named = tuple(candidate for candidate in around if candidate.slug == slug)
    if not named:
        raise UnknownSlug(f"{series.name} has no slot {slug!r}; the slot of that time is {slot.slug!r}")
    return named
