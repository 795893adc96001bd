"""What the made-up markets are like, as validated values.

The defaults of the takers are one set of figures under which all 32 published accuracies of a zero-information market
come out within sampling error, in either sizing habit (``tests/actors/simulate/test_measures.py``). Each is pinned by
other rows of that table: ``sigma`` by signed capital at risk and by the flow of takers who size in dollars, ``buyers``
by signed USD paid (with as many sellers as buyers, dollars signed by direction would not leak the price at all),
``tick`` and ``spread_steps`` by momentum in the last minutes, the median by the seed's combined score and whales. A
dollar-sizing taker spends what the median order costs at 50 ¢.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from attrs import Attribute, field, frozen
from attrs.validators import and_, ge, gt, in_, instance_of, le

from engine.quotes import WIDE_TICKS
from engine.series import SERIES, Series
from engine.units import PRICE_SCALE

LENGTHS: Final = ("5m", "15m")
"""The lengths of series that can be simulated."""

HALF: Final = 0.5
"""The price at which both sizing habits trade the same sizes, in USDC per share."""

_TICKS: Final = (100, 50, 25, 10, 1)


class Habit(StrEnum):
    """What a taker has in mind: a number of shares, or dollars, which buy more of the cheaper token."""

    SHARES = "shares"
    USD = "usd"


def _long_grid(instance: Design, attribute: Attribute[Any], value: str) -> None:
    if value not in SERIES or value.rpartition("-")[2] not in LENGTHS:
        raise ValueError(f"{attribute.name} must be a series of {' or '.join(LENGTHS)}, such as btc-15m, not {value!r}")


def _not_wide(instance: Design, attribute: Attribute[Any], value: int) -> None:
    if value * instance.tick > WIDE_TICKS:
        raise ValueError(f"{attribute.name} of {value} × {instance.tick} ticks is wider than 0.10 USDC")


@frozen(kw_only=True)
class Design:
    """One kind of market; out-of-range values raise ``ValueError``, and the same design gives the same markets.

    ``rho`` is the share of takers who know the fair price ``foresight_s`` seconds ahead and trade that way, 0..1.
    ``trades_per_minute`` is the average; sizes are log-normal with the median ``median_shares`` (in dollars: half as
    many) and ``sigma``, the standard deviation of their logarithm. ``buyers`` is the share of takers who buy their
    token rather than sell it. ``tick`` is the price step in ticks of 0.0001 and ``spread_steps`` how many steps the ask
    is above the bid. ``starts_s`` is an epoch second: market 0 is the slot that holds it, and the others follow.
    """

    seed: int = field(default=7, validator=and_(instance_of(int), ge(0)))
    series: str = field(default="btc-15m", validator=_long_grid)
    rho: float = field(default=0.0, validator=and_(ge(0.0), le(1.0)))
    foresight_s: int = field(default=30, validator=and_(instance_of(int), ge(1), le(120)))
    habit: Habit = field(default=Habit.SHARES, converter=Habit)
    trades_per_minute: float = field(default=20.0, validator=and_(gt(0.0), le(1_000.0)))
    median_shares: float = field(default=40.0, validator=and_(ge(0.01), le(100_000.0)))
    sigma: float = field(default=1.7, validator=and_(ge(0.0), le(3.0)))
    buyers: float = field(default=0.8, validator=and_(ge(0.0), le(1.0)))
    tick: int = field(default=10, validator=in_(_TICKS))
    spread_steps: int = field(default=3, validator=and_(instance_of(int), ge(1), _not_wide))
    starts_s: int = field(default=1_767_225_600, validator=and_(instance_of(int), ge(0), le(9_000_000_000)))

    @property
    def calendar(self) -> Series:
        """The series whose slots the markets are."""
        return SERIES[self.series]

    @property
    def seconds(self) -> int:
        """The length of a market."""
        return self.calendar.duration_s

    @property
    def trades(self) -> int:
        """How many trades a market has, at moments drawn evenly over it."""
        return max(1, round(self.trades_per_minute * self.seconds / 60))

    @property
    def median_usd(self) -> float:
        """What the median order of a dollar-sizing taker costs, in USDC."""
        return self.median_shares * HALF

    @property
    def highest_bid(self) -> int:
        """The highest bid that leaves room for its ask, in ticks; the lowest is one step."""
        return PRICE_SCALE - (1 + self.spread_steps) * self.tick
