"""The corrected formulas over exact values (signal-definitions part 2).

Each takes what the features hold and gives a component −1..+1, or ``None`` when there is nothing to compute it from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Final

from attrs import field, frozen
from attrs.validators import and_, ge, in_, instance_of, le, optional

from engine.orders import FlowWeight
from engine.signals import Components
from engine.units import SIZE_SCALE
from engine.whales import LARGE_UNITS, WhaleUnit

KAPPA: Final = math.log(11 / 9)
"""Logit distance from .50 to .55, which is full scale."""

_DIGITS: Final = 12

COMPONENTS: Final = ("momentum", "volume_flow", "whale", "imbalance")
"""Names of the components in the order in which they are summed."""

_parts: Final = attrgetter(*COMPONENTS)


class MomentumScale(StrEnum):
    """What a momentum of 1 is: the distance from .50 to .55, or one trailing standard deviation over the window."""

    FIXED = "fixed"
    VOL = "vol"


_number = and_(instance_of((int, float)), ge(0.0), le(1e9))


@frozen(kw_only=True)
class Options:
    """Options of the ``corrected`` scorer; attrs' ``ValueError`` or ``TypeError`` names the one out of range.

    ``weight`` is what an order counts in the flow (``orders``; ``shares`` and ``usd`` leak the price level), with a
    half-life of ``half_life_s`` if given. ``lambda_flow`` and ``lambda_whale`` shrink, in orders and whales.
    ``whale_unit`` is ``shares`` or ``usd_paid``; in shares a whale has at least ``whale_floor_shares`` (from 1,000 on)
    and ``whale_multiple`` times the 99th percentile. ``momentum_scale`` is ``fixed`` or ``vol``.
    """

    weight: str = field(default=FlowWeight.ORDERS, validator=in_(tuple(FlowWeight)))
    half_life_s: float | None = field(
        default=None, validator=optional(and_(instance_of((int, float)), ge(0.1), le(1e6)))
    )
    lambda_flow: float = field(default=5.0, validator=_number)
    lambda_whale: float = field(default=1.0, validator=_number)
    whale_unit: str = field(default=WhaleUnit.SHARES, validator=in_(tuple(WhaleUnit)))
    whale_multiple: float = field(default=1.0, validator=_number)
    whale_floor_shares: float = field(
        default=2_000.0, validator=and_(instance_of((int, float)), ge(LARGE_UNITS / SIZE_SCALE), le(1e9))
    )
    momentum_scale: str = field(default=MomentumScale.FIXED, validator=in_(tuple(MomentumScale)))


def logit_change(start: float, end: float, scale: float) -> float:
    """``(L(μ_e) − L(μ_s))/scale`` before the clamp, rounded to 12 digits; ``scale`` above 0.

    The rounding makes .50 → .55 exactly 1, where the quotient of bare floats is 1.0000000000000009.
    """
    return round((end - start) / scale, _DIGITS)


def momentum(start: float, end: float, scale: float = KAPPA) -> float:
    """Momentum of a fair price that moved between two logits (2.4)."""
    return _clip(logit_change(start, end, scale))


def flow(up: float, down: float, orders: float, shrinkage: float) -> float | None:
    """``Σ x·w/(Σ|x|·w + λ·w̄)`` of taker orders (2.5); ``None`` without a directed order.

    ``up`` and ``down`` are the weights in either direction, ``orders`` the number of directed orders and ``shrinkage``
    λ, in orders: ``w̄`` is their mean weight, 1 when orders are counted.
    """
    total = up + down
    if orders <= 0 or total <= 0:
        return None
    return (up - down) / total * (orders / (orders + shrinkage))


def whale(up: int, down: int, shrinkage: float) -> float | None:
    """``Σ x/(n + λ_w)`` over the whales in either direction (2.6); ``None`` without one."""
    return (up - down) / (up + down + shrinkage) if up + down else None


def combine(components: Components, weights: Mapping[str, float]) -> float | None:
    """``Σ w·v / Σ w`` over the components that are present and have a weight (2.8); ``None`` when there is none."""
    products: list[float] = []
    present: list[float] = []
    for name, value in zip(COMPONENTS, _parts(components), strict=True):
        weight = weights.get(name, 0.0)
        if weight > 0 and value is not None:
            products.append(weight * value)
            present.append(weight)
    return _clip(sum(products) / sum(present)) if present else None


def _clip(value: float) -> float:
    return max(-1.0, min(1.0, value))
