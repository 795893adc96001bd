"""Scorers: a view of one market at a deadline in, its score out.

A scorer is built from a preset, which is refused with a ``PresetError`` if it names a scorer, a component or an option
that does not exist. Plug-ins are factories of the same shape, passed in by name; they cannot replace a built-in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from attrs import field, fields_dict, frozen
from msgspec import Struct

from engine import corrected, seed
from engine.confidence import corrected_confidence, seed_confidence
from engine.corrected import COMPONENTS, KAPPA, MomentumScale, Options
from engine.errors import PresetError
from engine.features import MarketView
from engine.orders import FlowWeight
from engine.presets import Preset
from engine.signals import Components
from engine.units import SIZE_SCALE, to_seconds
from engine.whales import WhaleUnit

SEED_COMPONENTS: Final = ("momentum", "volume_flow", "whale")

_FIXED: Final = MomentumScale.FIXED


class Scores(Struct, frozen=True, kw_only=True):
    """The parts, ``score`` −1..+1, ``confidence`` 0..1 by the preset and ``confidence_seed`` by the original rule.

    ``whales`` is how many orders counted as whales, both directions; ``None`` leaves it to the original rule.
    """

    components: Components
    score: float
    confidence: float
    confidence_seed: float
    whales: int | None = None


class Scorer(Protocol):
    """Scores one market at one deadline; keeps no state of its own."""

    def __call__(self, view: MarketView) -> Scores:
        """The scores of the view's window."""


ScorerFactory = Callable[[Preset], Scorer]


@frozen
class SeedScorer:
    """The original formulas (signal-definitions part 1); weights of momentum, volume flow and whale.

    The parts tell absent from zero, the score does not: an absent part counts as 0.
    """

    weights: tuple[float, float, float]

    @classmethod
    def of(cls, preset: Preset) -> SeedScorer:
        """Raises ``PresetError`` for an option, a foreign component, or weights that sum to more than 1."""
        _check_options(preset, ())
        _check_weights(preset, SEED_COMPONENTS)
        if math.fsum(preset.weights.values()) > 1 + 1e-9:
            raise PresetError(f"preset {preset.name!r}: weights of a seed preset sum to at most 1")
        momentum, flow, whale = (float(preset.weights.get(name, 0.0)) for name in SEED_COMPONENTS)
        return cls((momentum, flow, whale))

    def __call__(self, view: MarketView) -> Scores:
        """The scores of the view's trade window; nothing else is read."""
        trades = view.trades
        first, last, up, down = trades.first_yes, trades.last_yes, trades.yes_units, trades.no_units
        up_whales, down_whales = trades.whales_yes, trades.whales_no
        momentum, flow, whale = seed.momentum(first, last), seed.flow(up, down), seed.whale(up_whales, down_whales)
        score = seed.score(momentum, flow, whale, self.weights)
        confidence = seed_confidence(trades.count, view.coverage)
        return Scores(
            components=Components(
                momentum=momentum if trades.yes_count >= 2 else None,
                volume_flow=flow if up or down else None,
                whale=whale if up_whales or down_whales else None,
            ),
            score=max(-1.0, min(1.0, score)),
            confidence=confidence,
            confidence_seed=confidence,
        )


@frozen
class CorrectedScorer:
    """The corrected formulas (signal-definitions part 2)."""

    weights: Mapping[str, float]
    options: Options
    # What the options say, looked up once.
    _weight: FlowWeight = field(init=False)
    _whale_unit: WhaleUnit = field(init=False)
    _whale_floor_units: float = field(init=False)

    @_weight.default
    def _default_weight(self) -> FlowWeight:
        return FlowWeight(self.options.weight)

    @_whale_unit.default
    def _default_whale_unit(self) -> WhaleUnit:
        return WhaleUnit(self.options.whale_unit)

    @_whale_floor_units.default
    def _default_whale_floor_units(self) -> float:
        return self.options.whale_floor_shares * SIZE_SCALE

    @classmethod
    def of(cls, preset: Preset) -> CorrectedScorer:
        """Raises ``PresetError`` for a foreign component, or for an option that is unknown or out of range."""
        _check_weights(preset, COMPONENTS)
        _check_options(preset, tuple(fields_dict(Options)))
        try:
            return cls(dict(preset.weights), Options(**preset.options))
        except (TypeError, ValueError) as error:
            raise PresetError(f"preset {preset.name!r}: option {error.args[0]}") from error

    def __call__(self, view: MarketView) -> Scores:
        """The scores of the view; 0 with confidence 0 when no part is present."""
        features, options = view.features, self.options
        up, down = features.whales(
            self._whale_unit, multiple=options.whale_multiple, floor_units=self._whale_floor_units
        )
        components = Components(
            momentum=self._momentum(view),
            volume_flow=self._flow(view),
            whale=corrected.whale(up, down, options.lambda_whale),
            imbalance=features.depth_imbalance(view.end_ns) if self.weights.get("imbalance") else None,
        )
        score = corrected.combine(components, self.weights)
        return Scores(
            components=components,
            score=0.0 if score is None else score,
            confidence=0.0 if score is None else _confidence(view),
            confidence_seed=seed_confidence(view.trades.count, view.coverage),
            whales=up + down,
        )

    def _momentum(self, view: MarketView) -> float | None:
        fair = view.features.fair
        start, end = fair.logit_at_start(view.start_ns), fair.logit_at_end(view.end_ns)
        if start is None or end is None:
            return None
        scale = KAPPA if self.options.momentum_scale == _FIXED else _volatility(view)
        if scale > 0:
            return corrected.momentum(start, end, scale)
        # No volatility was seen: any move is out of scale, and no move is none on every scale.
        return 0.0 if start == end else None

    def _flow(self, view: MarketView) -> float | None:
        orders, weight, options = view.features.orders, self._weight, self.options
        if options.half_life_s is not None:
            up, down, number = orders.decayed(view.end_ns, options.half_life_s, weight)
        else:
            toward, away = orders.tally(+1), orders.tally(-1)
            up, down, number = toward.weigh(weight), away.weigh(weight), toward.orders + away.orders
        return corrected.flow(up, down, number, options.lambda_flow)


SCORERS: Final[Mapping[str, ScorerFactory]] = MappingProxyType({"seed": SeedScorer.of, "corrected": CorrectedScorer.of})
"""The built-in scorers by the name a preset gives."""


def build_scorer(preset: Preset, extra: Mapping[str, ScorerFactory] = MappingProxyType({})) -> Scorer:
    """The scorer of a preset, from the built-in ones or from ``extra``.

    Raises ``PresetError`` when there is none of that name, or when the factory refuses the preset.
    """
    factory = SCORERS.get(preset.scorer) or extra.get(preset.scorer)
    if factory is None:
        known = ", ".join(sorted({*SCORERS, *extra}))
        raise PresetError(f"preset {preset.name!r}: unknown scorer {preset.scorer!r} (known: {known})")
    return factory(preset)


def _volatility(view: MarketView) -> float:
    """One standard deviation of the logit over the window; 0 when none was seen."""
    sigma = view.features.volatility.per_root_second()
    return 0.0 if sigma is None else sigma * math.sqrt(to_seconds(view.end_ns - view.start_ns))


def _confidence(view: MarketView) -> float:
    features = view.features
    return corrected_confidence(
        coverage=view.coverage,
        age_s=view.age_s,
        orders=len(features.orders),
        spread=features.fair.spread(view.end_ns),
    )


def _check_options(preset: Preset, known: Collection[str]) -> None:
    unknown = sorted(set(preset.options) - set(known))
    if unknown:
        has = ", ".join(known) or "none"
        raise PresetError(
            f"preset {preset.name!r}: unknown option {', '.join(unknown)} of scorer {preset.scorer!r} (known: {has})"
        )


def _check_weights(preset: Preset, known: Collection[str]) -> None:
    unknown = sorted(set(preset.weights) - set(known))
    if unknown:
        raise PresetError(f"preset {preset.name!r}: unknown component {', '.join(unknown)} (known: {', '.join(known)})")
    bad = [name for name, weight in preset.weights.items() if not _is_weight(weight)]
    if bad or not any(preset.weights.values()):
        named = ", ".join(bad) or "all of them"
        raise PresetError(f"preset {preset.name!r}: weights are 0..1 and not all 0 (wrong: {named})")


def _is_weight(weight: object) -> bool:
    return isinstance(weight, int | float) and 0.0 <= weight <= 1.0
