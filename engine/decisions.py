"""Decisions: what was known of one market at one instant, and what became of its price afterwards.

A decision has two halves that never mix. What it was made from is a function of the records received before its
instant. Its ``Aftermath`` is read off later records and serves to judge it, never to make it.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from engine.signals import REFUSALS, Components, PresetStamp, SignalType

HORIZONS_S: Final = (10.0, 30.0, 60.0, 120.0)
"""How long after a decision the mid is looked at again (signal-definitions 5.2.8)."""

DELAY_S: Final = 30.0
"""How much earlier the delayed score was computed: skill that is real fades with it, a leak does not."""

EDGE: Final = 0.10
"""How near to certainty the only side of a book must stand for the price to lie between it and certainty."""

_DIGITS: Final = 6
"""Prices are multiples of half a tick of 0.0001, so this makes them the nearest doubles again."""


@frozen(kw_only=True)
class Top:
    """Up's best bid and ask in USDC per share with the shares at them; ``None`` and 0 for an empty side.

    The levels' top of a live book that is not crossed. What Down costs is 1 minus these.
    """

    bid: float | None = None
    ask: float | None = None
    bid_shares: float = 0.0
    ask_shares: float = 0.0

    @property
    def mid(self) -> float | None:
        """Halfway between both sides, ``None`` unless there are both."""
        return None if self.bid is None or self.ask is None else round((self.bid + self.ask) / 2, _DIGITS)

    @property
    def spread(self) -> float | None:
        """Ask − bid, ``None`` unless there are both."""
        return None if self.bid is None or self.ask is None else round(self.ask - self.bid, _DIGITS)

    @property
    def value(self) -> float | None:
        """The mid, with an empty side at certainty where the other side is near it.

        A market that is as good as decided loses a side. Leaving it out where it is decided and keeping it where it
        turned around would bias every mean of later prices.
        """
        if self.ask is None and self.bid is not None and self.bid >= 1 - EDGE:
            return round((self.bid + 1) / 2, _DIGITS)
        if self.bid is None and self.ask is not None and self.ask <= EDGE:
            return round(self.ask / 2, _DIGITS)
        return self.mid


@frozen(kw_only=True)
class Aftermath:
    """What the records after a decision say: its ``tops`` by latency and the ``values`` of the price by horizon.

    In the order of the study's latencies and of ``HORIZONS_S``. ``None`` where the slot or the recording was over by
    then, or where the book could not be read.
    """

    tops: tuple[Top | None, ...] = ()
    values: tuple[float | None, ...] = ()


@frozen(kw_only=True)
class Decision:
    """One market at ``at_s`` seconds after its slot's start, from records received before ``as_of_ns``.

    ``score`` to ``trades`` are the signal's (see ``MarketSignals``). ``reached`` is false when the recording ended
    before the instant. ``gaps`` counts the silences over 5 s between the slot's start and the instant, ``silence_s`` is
    the longest.

    Prices are Up's, in USDC per share: ``mid`` of the book, ``price`` the same with an empty side at certainty
    (``Top.value``), ``fair`` the micro-price, or recent trades where there is no usable quote, ``last_trade`` the last
    of the window whatever its token, ``mid_before`` the mid as the window began, or the first one in it. ``delayed`` is
    the score ``DELAY_S`` earlier, ``None`` where there was none.
    """

    target: str
    underlying: str
    series: str | None
    condition_id: str | None
    start_ns: int
    end_ns: int | None
    at_s: float
    as_of_ns: int
    preset: PresetStamp
    reached: bool
    score: float
    confidence: float
    confidence_seed: float
    signal_type: SignalType
    reason: str | None
    components: Components
    coverage: float
    trades: int
    gaps: int
    silence_s: float
    mid: float | None
    price: float | None
    fair: float | None
    spread: float | None
    last_trade: float | None
    mid_before: float | None
    delayed: float | None
    after: Aftermath

    @property
    def opinion(self) -> float | None:
        """The score, ``None`` when there was nothing to score."""
        return None if self.signal_type in REFUSALS or not self._has_parts else self.score

    @property
    def probability(self) -> float | None:
        """p̂ of Up: the mid, for nothing is added to it until there is evidence (signal-definitions 2.9, g = 0)."""
        return self.mid

    @property
    def mid_move(self) -> float | None:
        """How far the mid moved over the window, in USDC per share."""
        return None if self.mid is None or self.mid_before is None else self.mid - self.mid_before

    @property
    def _has_parts(self) -> bool:
        parts = self.components
        # A plug-in may score without the four named parts.
        return bool(self.score) or any(
            part is not None for part in (parts.momentum, parts.volume_flow, parts.whale, parts.imbalance)
        )
