"""The mirror guard: whether the two tokens of a market are complements, as one book shown twice has to be.

The mids of both must sum to 1 (signal definitions 2.1). Where they do not, the tokens are not those of one market, or
what is said of one of them is wrong, and nothing that folds both into one book can be believed.
"""

from __future__ import annotations

from typing import Final

from engine.markets import Outcome
from engine.units import PRICE_SCALE

MIRROR_SAMPLES: Final = 15
"""So many samples are remembered, the latest."""

MIRROR_SAMPLES_NEEDED: Final = 5
"""With fewer samples nobody is accused."""

MIRROR_TOLERANCE: Final = 0.05
"""How far from 1 USDC the median of both tokens' mids together may lie (signal definitions 2.1)."""

_AGREEMENTS: Final = (2 * PRICE_SCALE,) * MIRROR_SAMPLES

Top = tuple[int | None, int | None]
"""Best bid and best ask in ticks; ``None`` for an empty side."""


class MirrorGuard:
    """Watches that the two tokens, as the venue states them, are complements: their mids must sum to 1.

    One sample is taken each time both tokens have been restated since the last one, so that a message about one token
    is never held against an outdated statement about the other for longer than that.

    ``agreements`` is how often both tokens were restated at once as exact complements, which nearly every message does:
    whoever takes messages in adds to it, and they become samples once somebody looks.
    """

    __slots__ = ("_half", "_half_of", "_sums", "agreements")

    def __init__(self) -> None:
        self._half_of: Outcome | None = None
        self._half = 0
        self._sums: list[int] = []
        self.agreements = 0

    def state(self, outcome: Outcome, top: Top) -> None:
        """Take in the top that is stated for a token, in its own prices; one without 0 < bid < ask < 1 is no sample."""
        self._count_agreements()
        bid, ask = top
        if bid is None or ask is None or not 0 < bid < ask < PRICE_SCALE:
            return
        if self._half_of is None or self._half_of is outcome:
            self._half_of, self._half = outcome, bid + ask
        else:
            self._sample(self._half + bid + ask)
            self._half_of = None

    def forget_half(self) -> None:
        """What was said of one token alone is held against nothing that comes."""
        self._half_of = None

    @property
    def off(self) -> bool:
        """Whether the median of the latest samples lies further from 1 USDC than ``MIRROR_TOLERANCE``."""
        self._count_agreements()
        count = len(self._sums)
        if count < MIRROR_SAMPLES_NEEDED:
            return False
        ordered = sorted(self._sums)
        four_mids = ordered[(count - 1) // 2] + ordered[count // 2]
        nominal = 4 * PRICE_SCALE
        return abs(four_mids - nominal) > MIRROR_TOLERANCE * nominal

    def _count_agreements(self) -> None:
        if self.agreements:
            self._sample(*_AGREEMENTS[: self.agreements])
            self._half_of, self.agreements = None, 0

    def _sample(self, *sums: int) -> None:
        self._sums = [*self._sums, *sums][-MIRROR_SAMPLES:]
