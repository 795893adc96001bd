"""Integer units of the venue and their exact conversions.

Prices are integer *ticks* of 0.0001 USDC, the finest step the venue lists, so 0..1 USDC is 0..10_000. Sizes are integer
*micro-shares*, because the venue prints at most six decimals. Both are exact, so sums can be added to and evicted from
for ever without drift. Times are integer nanoseconds since the Unix epoch.
"""

from __future__ import annotations

import re
from typing import Final

PRICE_SCALE: Final = 10_000
"""Ticks in one USDC; a price of 1 is ``PRICE_SCALE`` ticks."""

SIZE_SCALE: Final = 1_000_000
"""Micro-shares in one share."""

MAX_SHARES: Final = 1_000_000_000
"""Largest size the venue's books and trades are believed to hold, in shares."""

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000

_PRICE_DECIMALS: Final = 4
_SIZE_DECIMALS: Final = 6
_MAX_NUMBER_CHARACTERS: Final = 32
# The exponent is kept short, or a few characters would ask for an integer of any length.
_number: Final = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,2}))?").fullmatch


def _spellings(ticks: int) -> tuple[str, ...]:
    """All texts of a price with up to four decimals, trailing zeros kept or trimmed."""
    full = f"{ticks // PRICE_SCALE}.{ticks % PRICE_SCALE:04d}"
    spellings = {full}
    while full.endswith("0"):
        full = full[:-1]
        spellings.add(full)
    return (*spellings, full.removesuffix(".")) if full.endswith(".") else tuple(spellings)


PRICE_TABLE: Final[dict[str, int]] = {
    text: ticks for ticks in range(PRICE_SCALE + 1) for text in _spellings(ticks) if not text.endswith(".")
}
"""Every usual spelling of a price (``"0.5"``, ``"0.50"``, ``"1"`` …) to its ticks: far cheaper than parsing it."""


def _scaled(text: str, scale_digits: int, what: str) -> int:
    """The number times ``10**scale_digits``, exactly: integers only, so no decimal context and no double rounds it."""
    match = _number(text) if len(text) <= _MAX_NUMBER_CHARACTERS else None
    if match is None:
        raise ValueError(f"not a number: {text[:_MAX_NUMBER_CHARACTERS]!r}")
    sign, whole, fraction, exponent = match.groups("")
    shift = int(exponent or 0) - len(fraction) + scale_digits
    mantissa, power = int(sign + whole + fraction), int(10 ** abs(shift))
    scaled, rest = (mantissa * power, 0) if shift >= 0 else divmod(mantissa, power)
    if rest:
        raise ValueError(f"{what} is finer than 1e-{scale_digits}: {text!r}")
    return scaled


def price_ticks(text: str) -> int:
    """Ticks of a price text, 0..``PRICE_SCALE``.

    Raises ``ValueError`` for anything that is not a finite decimal in [0, 1] on the grid of 0.0001.
    """
    ticks = PRICE_TABLE.get(text)
    if ticks is None:
        ticks = _scaled(text, _PRICE_DECIMALS, "price")
        if not 0 <= ticks <= PRICE_SCALE:
            raise ValueError(f"price outside [0, 1]: {text!r}")
    return ticks


def size_units(text: str) -> int:
    """Micro-shares of a size text, 0..``MAX_SHARES * SIZE_SCALE``.

    Raises ``ValueError`` for anything that is not a finite, non-negative decimal with at most six decimals in range.
    """
    units = _scaled(text, _SIZE_DECIMALS, "size")
    if not 0 <= units <= MAX_SHARES * SIZE_SCALE:
        raise ValueError(f"size outside [0, {MAX_SHARES}] shares: {text!r}")
    return units


def price_text(ticks: int) -> str:
    """The venue's spelling of a price: trailing zeros trimmed (``5000`` → ``"0.5"``, ``10_000`` → ``"1"``)."""
    return _trimmed(ticks, PRICE_SCALE, _PRICE_DECIMALS)


def size_text(units: int) -> str:
    """The venue's spelling of a size in shares: trailing zeros trimmed (``1_500_000`` → ``"1.5"``)."""
    return _trimmed(units, SIZE_SCALE, _SIZE_DECIMALS)


def _trimmed(value: int, scale: int, decimals: int) -> str:
    whole, rest = divmod(value, scale)
    return f"{whole}.{rest:0{decimals}d}".rstrip("0") if rest else str(whole)


def price_usd(ticks: float) -> float:
    """USDC per share of a (possibly fractional) number of ticks."""
    return ticks / PRICE_SCALE


def shares(units: int) -> float:
    """Shares of a number of micro-shares."""
    return units / SIZE_SCALE


def notional_usd(ticks_times_units: int) -> float:
    """USDC of a sum of ``ticks × micro-shares`` products."""
    return ticks_times_units / (PRICE_SCALE * SIZE_SCALE)


def to_ns(seconds: float) -> int:
    """Nanoseconds of a duration or epoch time in seconds."""
    return round(seconds * NS_PER_S)


def to_seconds(ns: int) -> float:
    """Seconds of a duration in nanoseconds."""
    return ns / NS_PER_S
