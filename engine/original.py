"""The original functions on plain trades, as a bot or its tests hold them (signal-definitions part 1).

A trade is a mapping with ``asset_id`` and ``size`` (shares), and for momentum ``price`` (USDC per share). An
``outcome`` (``YES``, ``NO``, ``Up``, ``Down``, any case) wins over the token, if there is one. Only what a formula
needs is read: flow and whale read no price, momentum no size and no price of a Down trade.

Numbers are int, float, Decimal or text; a float stands for the shortest decimal that reads back as it. All are taken
exactly, as multiples of one over ``RESOLUTION``, so that the one division at the end gives the float nearest to the
true quotient.

Whatever cannot be read is a ``ValueError`` that names where it stands, such as ``trades[3].price``, and the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from engine import seed
from engine.confidence import seed_confidence
from engine.markets import Outcome, outcome_from_label
from engine.presets import PRESETS
from engine.signals import Components

PlainTrade = Mapping[str, object]
Number = int | float | Decimal | str
OutcomeOf = Callable[[str], Outcome | None]

DIGITS: Final = 100
"""Numbers have at most this many decimals and are less than 10 to this power, or a short text could fill the memory."""

RESOLUTION: Final = 10**DIGITS
"""Every number is a whole multiple of one over this."""

_SEED: Final = PRESETS["seed"].weights
_WEIGHTS: Final = (_SEED["momentum"], _SEED["volume_flow"], _SEED["whale"])


def named_outcome(asset_id: str) -> Outcome | None:
    """The outcome that a token is named after, any case (``YES_TOKEN``, ``yes``, ``Down`` …), ``None`` for another."""
    return outcome_from_label(asset_id.strip().lower().removesuffix("_token"))


def momentum_score(trades: Iterable[PlainTrade], outcome_of: OutcomeOf = named_outcome) -> float:
    """``clamp(10·(last − first)/first, −1, +1)`` of the Up trades' prices in the order given; 0.0 with fewer than 2."""
    told = _told_apart(trades, outcome_of)
    prices = [_price(where, trade) for where, trade, outcome in told if outcome is Outcome.UP]
    return seed.momentum(prices[0], prices[-1]) if prices else 0.0


def volume_flow_score(trades: Iterable[PlainTrade], outcome_of: OutcomeOf = named_outcome) -> float:
    """``(V_yes − V_no)/(V_yes + V_no)`` of the sizes by token, −1..+1; 0.0 without volume."""
    sizes = _sizes(trades, outcome_of)
    return seed.flow(sum(sizes[Outcome.UP]), sum(sizes[Outcome.DOWN]))


def whale_activity_score(
    trades: Iterable[PlainTrade], outcome_of: OutcomeOf = named_outcome, *, whale_threshold: Number = 1000
) -> float:
    """``(n_yes − n_no)/(n_yes + n_no)`` of the trades above ``whale_threshold`` shares, strictly; 0.0 without one."""
    threshold = _from_zero("whale_threshold", whale_threshold)
    sizes = _sizes(trades, outcome_of)
    up, down = (sum(size > threshold for size in sizes[outcome]) for outcome in (Outcome.UP, Outcome.DOWN))
    return seed.whale(up, down)


def market_score(momentum: float | None, volume_flow: float | None, whale: float | None) -> float:
    """``0.40·M + 0.35·F + 0.25·W``, summed in this order, −1..+1; an absent part (``None``) counts as 0.

    Raises ``ValueError`` for a part outside −1..+1.
    """
    parts = Components(momentum=momentum, volume_flow=volume_flow, whale=whale)
    return seed.score(float(parts.momentum or 0), float(parts.volume_flow or 0), float(parts.whale or 0), _WEIGHTS)


def confidence(data: Mapping[str, object], *, window_s: Number = 120.0) -> float:
    """``min(n/50, 1)``, times the share of the window collected, halved below 10 trades; 0..1.

    ``data`` has ``trades``, which are only counted, and perhaps ``collection_duration`` in seconds; without it the
    whole of ``window_s`` was collected.
    """
    trades = data.get("trades")
    if not isinstance(trades, Sequence) or isinstance(trades, str):
        raise ValueError(f"trades is not a list: {_shown(trades)}")
    window = _from_zero("window_s", window_s)
    if not window:
        raise ValueError(f"window_s is not above 0: {_shown(window_s)}")
    collected = _from_zero("collection_duration", data.get("collection_duration", window_s))
    return seed_confidence(len(trades), collected / window)


def _told_apart(trades: Iterable[object], outcome_of: OutcomeOf) -> Iterator[tuple[str, PlainTrade, Outcome]]:
    for index, trade in enumerate(trades):
        where = f"trades[{index}]"
        if not isinstance(trade, Mapping):
            raise ValueError(f"{where} is not a mapping: {_shown(trade)}")
        yield where, trade, _outcome(where, trade, outcome_of)


def _outcome(where: str, trade: PlainTrade, outcome_of: OutcomeOf) -> Outcome:
    stated = trade.get("outcome")
    key, read = ("asset_id", outcome_of) if stated is None else ("outcome", outcome_from_label)
    value = _member(where, trade, key)
    outcome = read(value) if isinstance(value, str) else None
    if outcome is None:
        raise ValueError(f"{where}.{key} is neither Up nor Down: {_shown(value)}")
    return outcome


def _sizes(trades: Iterable[PlainTrade], outcome_of: OutcomeOf) -> dict[Outcome, list[int]]:
    sizes: dict[Outcome, list[int]] = {outcome: [] for outcome in Outcome}
    for where, trade, outcome in _told_apart(trades, outcome_of):
        sizes[outcome].append(_from_zero(f"{where}.size", _member(where, trade, "size")))
    return sizes


def _price(where: str, trade: PlainTrade) -> int:
    value = _member(where, trade, "price")
    units = _units(f"{where}.price", value)
    if not 0 < units < RESOLUTION:
        raise ValueError(f"{where}.price is not between 0 and 1: {_shown(value)}")
    return units


def _member(where: str, trade: PlainTrade, key: str) -> object:
    if key not in trade:
        raise ValueError(f"{where}.{key} is missing")
    return trade[key]


def _from_zero(name: str, value: object) -> int:
    units = _units(name, value)
    if units < 0:
        raise ValueError(f"{name} is less than 0: {_shown(value)}")
    return units


def _units(name: str, value: object) -> int:
    """The number in units of one over ``RESOLUTION``, exactly."""
    number = _decimal(value)
    exponent = None if number is None else number.as_tuple().exponent
    if number is None or not isinstance(exponent, int):
        raise ValueError(f"{name} is not a number: {_shown(value)}")
    if exponent < -DIGITS or number.adjusted() >= DIGITS:
        raise ValueError(f"{name} has more than {DIGITS} digits before or after its point: {number:.3e}")
    numerator, denominator = number.as_integer_ratio()
    return numerator * (RESOLUTION // denominator)


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    # The plain float's own repr: a subclass may spell itself otherwise.
    exact = float.__repr__(value) if isinstance(value, float) else value
    try:
        return Decimal(exact) if isinstance(exact, int | str | Decimal) else None
    except InvalidOperation:
        return None


def _shown(value: object) -> str:
    return f"{value!r:.80}"
