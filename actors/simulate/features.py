"""The features of many markets at once, by the formulas of ``engine.seed`` and ``engine.corrected``.

They are what a pipeline would compute from the same market's wire texts: constants, weights and logits are the engine's
own, the rest is its arithmetic on arrays, equal to it within 1e-12. Absent is NaN.

Not all of them are neutral here. Whatever is measured in shares leans against the price where takers size in dollars,
which buy more of the cheaper token, and whatever is measured in dollars leans with it where they size in shares; the
corrected whale is one of the former as soon as most takers buy. Only the number of orders is neutral in both habits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from attrs import fields, frozen

from actors.simulate.design import Design
from actors.simulate.markets import Batch, batches
from actors.simulate.paths import Flags, Floats, Integers
from actors.simulate.whales import bands_of, whale_sizes
from actors.simulate.windows import Window, balance
from engine.corrected import COMPONENTS, KAPPA, Options
from engine.presets import PRESETS
from engine.quotes import logit
from engine.scoring import SEED_COMPONENTS
from engine.seed import FULL_SCALE
from engine.units import PRICE_SCALE, SIZE_SCALE
from engine.window import WHALE_UNITS

WINDOW_S: Final = 120.0
AHEAD_S: Final = 60.0

_OPTIONS: Final = Options()
_DIGITS: Final = 12


@frozen(kw_only=True, eq=False)
class FeatureTable:
    """What is known of each market at ``end_s`` seconds, and what came of it (``up_won``, ``move``); a row a market.

    ``mid`` is the quoted mid of Up in USDC, ``fair`` what Up was worth when it was stated. ``move`` is by how much the
    mid moves within the seconds ahead that were asked for. Of the trades of the window: ``usd_paid`` is Σ price × size
    signed by direction, ``at_risk`` the same with what each side stands to lose instead of the price, ``orders`` the
    signed number of orders.
    """

    up_won: Flags
    mid: Floats
    fair: Floats
    move: Floats
    trades: Integers
    seed_momentum: Floats
    seed_flow: Floats
    seed_whale: Floats
    seed_score: Floats
    momentum: Floats
    flow: Floats
    whale: Floats
    score: Floats
    usd_paid: Floats
    at_risk: Floats
    orders: Integers

    @property
    def probability(self) -> Floats:
        """p̂ of the corrected preset, which is the mid until there is evidence for more (signal-definitions 2.9)."""
        return self.mid

    @classmethod
    def joined(cls, tables: Sequence[FeatureTable]) -> FeatureTable:
        """The rows of all tables, at least one."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in names})


def feature_tables(
    design: Design,
    markets: int,
    ends_s: Sequence[float],
    *,
    window_s: float = WINDOW_S,
    ahead_s: float = AHEAD_S,
    first: int = 0,
) -> dict[float, FeatureTable]:
    """The features of ``markets`` markets at each moment of ``ends_s``, seconds from the start of a market.

    Raises ``ValueError`` for a moment outside the market or less than ``ahead_s`` before its end, and without markets.
    """
    if markets < 1:
        raise ValueError(f"at least one market, not {markets}")
    parts = [
        {end_s: features(batch, end_s, window_s=window_s, ahead_s=ahead_s) for end_s in ends_s}
        for batch in batches(design, markets, first=first)
    ]
    return {end_s: FeatureTable.joined([part[end_s] for part in parts]) for end_s in ends_s}


def features(batch: Batch, end_s: float, *, window_s: float = WINDOW_S, ahead_s: float = AHEAD_S) -> FeatureTable:
    """The features of a window that ends at ``end_s``, from what was received before it."""
    window = Window.of(batch, end_s - window_s, end_s)
    trades, everywhere = window.trades, np.ones_like(window.inside)
    mid = mid_before(batch, end_s)
    signed_shares = trades.direction * trades.units / SIZE_SCALE
    at_stake = np.where(trades.direction > 0, trades.yes_price, PRICE_SCALE - trades.yes_price)
    return FeatureTable(
        up_won=batch.up_won,
        mid=mid,
        fair=batch.fair_before(end_s),
        move=mid_before(batch, end_s + ahead_s) - mid,
        trades=window.count(everywhere),
        usd_paid=window.sum(everywhere, signed_shares * trades.price / PRICE_SCALE),
        at_risk=window.sum(everywhere, signed_shares * at_stake / PRICE_SCALE),
        orders=window.sum(everywhere, trades.direction),
        **seed_features(window),
        **corrected_features(batch, window, end_s - window_s, end_s),
    )


def mid_before(batch: Batch, at_s: float) -> Floats:
    """The quoted mid of Up in USDC as last stated before a moment."""
    bid, ask = batch.quotes_before(at_s)
    return (bid + ask) / (2 * PRICE_SCALE)


def seed_features(window: Window) -> dict[str, Floats]:
    """The original components and their score (signal-definitions part 1); the score takes an absent one for 0."""
    trades, whale = window.trades, window.trades.units > WHALE_UNITS
    first, last = window.first_and_last(trades.is_up, trades.price)
    momentum = np.clip(FULL_SCALE * (last - first) / first, -1.0, 1.0)
    parts = {
        "momentum": np.where(window.count(trades.is_up) >= 2, momentum, np.nan),
        "volume_flow": balance(window.sum(trades.is_up, trades.units), window.sum(~trades.is_up, trades.units)),
        "whale": balance(window.count(trades.is_up & whale), window.count(~trades.is_up & whale)),
    }
    weights = PRESETS["seed"].weights
    score = sum((weights[name] * np.nan_to_num(parts[name]) for name in SEED_COMPONENTS), np.zeros(len(first)))
    return {
        "seed_momentum": parts["momentum"],
        "seed_flow": parts["volume_flow"],
        "seed_whale": parts["whale"],
        "seed_score": np.clip(score, -1.0, 1.0),
    }


def corrected_features(batch: Batch, window: Window, start_s: float, end_s: float) -> dict[str, Floats]:
    """The corrected components and their score (signal-definitions part 2), with the options' defaults."""
    parts = {
        "momentum": _momentum(batch, start_s, end_s),
        "volume_flow": _flow(window),
        "whale": _whale(window, whale_sizes(batch.trades, start_s, _OPTIONS)),
    }
    return {
        "momentum": parts["momentum"],
        "flow": parts["volume_flow"],
        "whale": parts["whale"],
        "score": _combined(parts),
    }


def _momentum(batch: Batch, start_s: float, end_s: float) -> Floats:
    # Before the start of a market its first quote stands already.
    start, end = (_logits(batch, max(at_s, 0.0)) for at_s in (start_s, end_s))
    return np.clip(np.round((end - start) / KAPPA, _DIGITS), -1.0, 1.0)


def _logits(batch: Batch, at_s: float) -> Floats:
    """Logits of the micro-price, which is the mid: as much rests on either side."""
    bid, ask = batch.quotes_before(at_s)
    limit = logit(2 * PRICE_SCALE - batch.design.tick, batch.design.tick)
    logits: Floats = np.clip(_logit_of_twice()[bid + ask], -limit, limit)
    return logits


def _flow(window: Window) -> Floats:
    up, down = _toward(window, np.ones_like(window.inside))
    return balance(up, down) * ((up + down) / (up + down + _OPTIONS.lambda_flow))


def _whale(window: Window, least: Floats) -> Floats:
    trades = window.trades
    rows = np.arange(len(least))[:, np.newaxis]
    up, down = _toward(window, trades.units >= least[rows, bands_of(trades)])
    return np.where(up + down > 0, (up - down) / (up + down + _OPTIONS.lambda_whale), np.nan)


def _toward(window: Window, which: Flags) -> tuple[Integers, Integers]:
    rising = window.trades.direction > 0
    return window.count(which & rising), window.count(which & ~rising)


def _combined(parts: dict[str, Floats]) -> Floats:
    weights = PRESETS["corrected"].weights
    named = [(weights[name], parts[name]) for name in COMPONENTS if name in parts]
    total = sum(weight * np.nan_to_num(values) for weight, values in named)
    present = np.asarray(sum(weight * ~np.isnan(values) for weight, values in named))
    mean = np.divide(total, present, out=np.zeros(present.shape), where=present > 0)
    score: Floats = np.clip(mean, -1.0, 1.0)
    return score


@cache
def _logit_of_twice() -> Floats:
    """The engine's logit of a mid, by the sum of bid and ask in ticks."""
    sums = range(1, 2 * PRICE_SCALE)
    return np.array([np.nan, *(logit(twice, 2 * PRICE_SCALE - twice) for twice in sums)])
