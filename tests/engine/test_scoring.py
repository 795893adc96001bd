from collections.abc import Mapping
from decimal import Decimal
from math import isclose, log, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import PresetError
from engine.features import MarketView
from engine.presets import PRESETS, Preset
from engine.scoring import SCORERS, Scorer, Scores, build_scorer
from engine.signals import Components, SignalType
from engine.units import NS_PER_S, SIZE_SCALE, price_text, price_ticks, size_text, size_units
from engine.verdict import classify
from tests.engine.workbench import BUY, DOWN, SELL, START_NS, UP, WINDOW_S, Bench, Fill, view_of

SEED = build_scorer(PRESETS["seed"])
CORRECTED = build_scorer(PRESETS["corrected"])


def corrected_with(**options: Any) -> Scorer:
    return build_scorer(
        Preset(
            name="mine",
            version="1",
            scorer="corrected",
            weights={"momentum": 0.40, "volume_flow": 0.35, "whale": 0.25},
            options=options,
        )
    )


def fill(at_s: float, price: str, shares: str, **rest: Any) -> Fill:
    return Fill(at_s=at_s, price=price_ticks(price), units=size_units(shares), **rest)


# ---------------------------------------------------------------------------------------------------------------- seed


def test_seed_of_nothing_is_zero_with_every_part_absent() -> None:
    scores = SEED(view_of([]))
    assert scores == Scores(components=Components(), score=0.0, confidence=0.0, confidence_seed=0.0)


def test_seed_of_one_trade() -> None:
    scores = SEED(view_of([fill(1, "0.52", "1500")]))
    assert scores.components == Components(momentum=None, volume_flow=1.0, whale=1.0)
    assert -1 <= scores.score <= 1
    assert scores.score == 0.35 + 0.25
    assert 0 <= scores.confidence <= 1
    assert classify(scores.score, scores.confidence, 1, None, 1.0) != SignalType.MARKET_UNAVAILABLE


def test_seed_tells_absent_from_zero_without_changing_the_score() -> None:
    still = SEED(view_of([fill(1, "0.5", "10"), fill(2, "0.5", "10"), fill(3, "0.5", "20", outcome=DOWN)]))
    assert still.components == Components(momentum=0.0, volume_flow=0.0, whale=None)
    assert still.score == 0.0


@pytest.mark.parametrize(("shares", "whales"), [("1000", None), ("1000.000001", 1.0)])
def test_seed_whale_threshold_is_strict(shares: str, whales: float | None) -> None:
    assert SEED(view_of([fill(1, "0.5", shares)])).components.whale == whales


def test_seed_confidence_takes_the_coverage() -> None:
    fills = [fill(number, "0.5", "1") for number in range(50)]
    assert SEED(view_of(fills)).confidence == 1.0
    half = SEED(view_of(fills, coverage=0.5))
    assert (half.confidence, half.confidence_seed) == (0.5, 0.5)


def test_seed_2_is_the_same_with_other_weights() -> None:
    view = view_of([fill(1, "0.50", "1500"), fill(2, "0.525", "100"), fill(3, "0.4", "400", outcome=DOWN)])
    scores = build_scorer(PRESETS["seed-2"])(view)
    assert scores.components == SEED(view).components
    assert scores.score == 0.20 * 0.5 + 0.50 * 0.6 + 0.30 * 1.0


def naive_seed(trades: list[tuple[str, Decimal, Decimal]], coverage: Decimal) -> dict[str, Decimal]:
    """The table of the definitions, word for word, on ``(asset, price, size)``."""
    one = Decimal(1)
    yes = [price for asset, price, _ in trades if asset == "YES"]
    momentum = max(-one, min(one, (yes[-1] - yes[0]) / yes[0] * 10)) if len(yes) >= 2 else Decimal(0)
    volumes = {asset: sum((size for known, _, size in trades if known == asset), Decimal(0)) for asset in ("YES", "NO")}
    total = volumes["YES"] + volumes["NO"]
    flow = (volumes["YES"] - volumes["NO"]) / total if total else Decimal(0)
    whales = [asset for asset, _, size in trades if size > 1000]
    up, down = whales.count("YES"), whales.count("NO")
    whale = Decimal(up - down) / (up + down) if whales else Decimal(0)
    confidence = min(Decimal(len(trades)) / 50, one)
    if coverage < 1:
        confidence *= coverage
    if len(trades) < 10:
        confidence *= Decimal("0.5")
    score = Decimal("0.40") * momentum + Decimal("0.35") * flow + Decimal("0.25") * whale
    return {"momentum": momentum, "flow": flow, "whale": whale, "score": score, "confidence": confidence}


prices = st.integers(1, 9_999)
sizes = st.one_of(
    st.integers(1, 10**15),
    st.sampled_from((1, 999 * SIZE_SCALE, 1000 * SIZE_SCALE, 1000 * SIZE_SCALE + 1, 5_000 * SIZE_SCALE)),
)
sides = st.sampled_from((BUY, SELL, None))
outcomes = st.sampled_from((UP, DOWN))


@given(st.lists(st.tuples(st.sampled_from((0, 1, 10, 60)), outcomes, sides, prices, sizes), max_size=70), st.data())
def test_seed_equals_its_transcription_as_the_window_moves(
    moves: list[tuple[int, Any, Any, int, int]], data: st.DataObject
) -> None:
    bench = Bench()
    seen: list[tuple[int, tuple[str, Decimal, Decimal]]] = []
    now = 0
    coverage = data.draw(st.integers(0, 120))
    for step, outcome, side, price, units in moves:
        now += step
        bench.fill(Fill(at_s=now, outcome=outcome, side=side, price=price, units=units))
        row = ("YES" if outcome is UP else "NO", Decimal(price_text(price)), Decimal(size_text(units)))
        seen.append((now, row))
        view = bench.view(now + 1, coverage=coverage / 120)
        scores = SEED(view)
        window = [row for at, row in seen if at >= now + 1 - WINDOW_S]
        expected = naive_seed(window, Decimal(coverage) / 120)
        found = {
            "momentum": scores.components.momentum or 0.0,
            "flow": scores.components.volume_flow or 0.0,
            "whale": scores.components.whale or 0.0,
            "score": scores.score,
            "confidence": scores.confidence,
        }
        for name, value in expected.items():
            assert abs(Decimal(found[name]) - value) <= Decimal("1e-12"), name
        assert -1.0 <= scores.score <= 1.0
        assert 0.0 <= scores.confidence <= 1.0


# ----------------------------------------------------------------------------------------------------------- corrected


def test_corrected_of_nothing_is_zero_without_confidence() -> None:
    bench = Bench()
    bench.quote(119, "0.49", "0.51")
    assert CORRECTED(bench.view(240)) == Scores(
        components=Components(), score=0.0, confidence=0.0, confidence_seed=0.0, whales=0
    )


def test_corrected_reads_the_quotes() -> None:
    bench = Bench()
    bench.quote(-1, "0.49", "0.51")
    bench.quote(119, "0.54", "0.56")
    scores = CORRECTED(bench.view(120))
    assert scores.components == Components(momentum=1.0)
    assert scores.score == 1.0
    assert scores.confidence == 0.0, "no taker order"


def test_corrected_combines_what_is_present() -> None:
    bench = Bench()
    bench.quote(-1, "0.49", "0.51")
    bench.trade(10, UP, BUY, "0.51", "2500")
    bench.trade(20, DOWN, SELL, "0.48", "100")
    bench.trade(30, UP, SELL, "0.50", "100")
    bench.trade(40, UP, None, "0.50", "9000")
    bench.quote(119, "0.49", "0.51")
    scores = CORRECTED(bench.view(120, coverage=0.75, age_s=3.0))
    assert scores.components == Components(momentum=0.0, volume_flow=1 / 8, whale=0.5)
    assert isclose(scores.score, 0.35 / 8 + 0.25 / 2)
    assert isclose(scores.confidence, 0.75 * 0.9 * (4 / 24) * 0.8)
    assert scores.confidence_seed == 4 / 50 * 0.75 * 0.5


def test_without_quotes_momentum_is_that_of_the_trades() -> None:
    bench = Bench()
    bench.trade(0, UP, BUY, "0.50")
    bench.trade(119, UP, BUY, "0.55")
    scores = CORRECTED(bench.view(120))
    assert scores.components.momentum == 1.0
    assert scores.confidence == 0.0, "no spread"


def test_price_known_at_one_end_only_is_no_momentum() -> None:
    bench = Bench()
    bench.trade(0, UP, BUY, "0.50")
    assert CORRECTED(bench.view(120)).components.momentum is None


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ("orders", 0 / 7),
        ("shares", (100 - 300) / (400 + 5 * 200)),
        ("usd", (100 * 0.9 - 300 * 0.2) / (150 + 5 * 75)),
    ],
)
def test_option_weight(weight: str, expected: float) -> None:
    view = view_of([fill(1, "0.9", "100"), fill(2, "0.2", "300", side=SELL)])
    flow = corrected_with(weight=weight)(view).components.volume_flow
    assert flow == pytest.approx(expected, abs=1e-15)


def test_option_lambda() -> None:
    view = view_of([fill(1, "0.5", "3000")])
    components = corrected_with(lambda_flow=1, lambda_whale=3)(view).components
    assert (components.volume_flow, components.whale) == (1 / 2, 1 / 4)


def test_option_half_life() -> None:
    view = view_of([fill(60, "0.5", "1"), fill(90, "0.5", "1", side=SELL)])
    flow = corrected_with(half_life_s=30.0)(view).components.volume_flow
    assert flow == pytest.approx((1 / 4 - 1 / 2) / (1 / 4 + 1 / 2 + 5), abs=1e-15)


def test_option_whale_unit() -> None:
    scorer = corrected_with(whale_unit="usd_paid")
    assert scorer(view_of([fill(1, "0.5", "2000")])).components.whale is None
    assert scorer(view_of([fill(1, "0.5", "2000.01")])).components.whale == 0.5
    assert scorer(view_of([fill(1, "0.98", "1021")])).components.whale == 0.5


def test_option_whale_floor_and_multiple() -> None:
    view = view_of([fill(1, "0.5", "1500")])
    assert corrected_with(whale_floor_shares=1_500)(view).components.whale == 0.5
    assert corrected_with(whale_floor_shares=1_501)(view).components.whale is None
    bench = Bench()
    for number in range(100):
        bench.trade(number / 10, UP, BUY, "0.45", "3000")
    bench.trade(125, UP, SELL, "0.55", "5000")
    view = bench.view(140)
    assert corrected_with(whale_multiple=1)(view).components.whale == -0.5
    assert corrected_with(whale_multiple=2)(view).components.whale is None


def test_option_momentum_scale() -> None:
    scorer = corrected_with(momentum_scale="vol")
    bench = Bench(window_s=4)
    for second in range(9):
        bench.quote(second, *(("0.49", "0.51") if second % 2 else ("0.50", "0.52")))
    view = bench.view(8.5)
    change = log(0.51 / 0.49)
    sigma = sqrt(view.features.volatility.per_root_second() ** 2)  # type: ignore[operator]
    assert isclose(sigma, change)
    assert scorer(view).components.momentum == 0.0
    bench.quote(9, "0.49", "0.51")
    assert scorer(bench.view(9.5)).components.momentum == 0.0
    bench.quote(9.6, "0.50", "0.52")
    found = scorer(bench.view(9.7)).components.momentum
    assert found == pytest.approx(change / (change * sqrt(4)), abs=1e-9)
    assert found != CORRECTED(bench.view(9.7)).components.momentum


def test_momentum_scale_without_volatility() -> None:
    scorer = corrected_with(momentum_scale="vol")
    still, moved = Bench(), Bench()
    for bench, last in ((still, "0.50"), (moved, "0.60")):
        bench.trade(0, UP, BUY, "0.50")
        bench.trade(119, UP, BUY, last)
    assert scorer(still.view()).components.momentum == 0.0
    assert scorer(moved.view()).components.momentum is None


def test_imbalance_counts_when_it_has_a_weight() -> None:
    bench = Bench()
    bench.features.pressure(START_NS + 110 * NS_PER_S, 3.0, 1.0)
    view = bench.view()
    scores = build_scorer(PRESETS["corrected-imbalance"])(view)
    assert scores.components == Components(imbalance=0.5)
    assert scores.score == 0.5
    assert CORRECTED(view).components == Components()


# ------------------------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize("name", PRESETS)
def test_every_built_in_preset_builds(name: str) -> None:
    assert build_scorer(PRESETS[name])(view_of([])).score == 0.0


def preset(scorer: str, weights: Mapping[str, Any], **options: Any) -> Preset:
    return Preset(name="mine", version="1", scorer=scorer, weights=weights, options=options)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (preset("magic", {"momentum": 1.0}), "unknown scorer 'magic' .known: corrected, seed"),
        (preset("seed", {"momentum": 1.0}, weight="orders"), "unknown option weight of scorer 'seed' .known: none"),
        (preset("seed", {"imbalance": 0.1}), "unknown component imbalance"),
        (preset("seed", {"momentum": 0.9, "whale": 0.2}), "sum to at most 1"),
        (preset("seed", {"momentum": -0.1}), "wrong: momentum"),
        (preset("seed", {"momentum": "much"}), "wrong: momentum"),
        (preset("corrected", {"momentum": 1.5}), "wrong: momentum"),
        (preset("corrected", {"momentum": float("nan")}), "wrong: momentum"),
        (preset("corrected", {"momentum": 0.0}), "wrong: all of them"),
        (preset("corrected", {}), "wrong: all of them"),
        (preset("corrected", {"luck": 1.0}), "unknown component luck"),
        (preset("corrected", {"momentum": 1.0}, lamda=5), "unknown option lamda of scorer 'corrected'"),
        (preset("corrected", {"momentum": 1.0}, weight="weight"), "'weight' must be in"),
        (preset("corrected", {"momentum": 1.0}, whale_unit="usd"), "'whale_unit' must be in"),
        (preset("corrected", {"momentum": 1.0}, momentum_scale=1), "'momentum_scale' must be in"),
        (preset("corrected", {"momentum": 1.0}, half_life_s=0), "'half_life_s' must be >="),
        (preset("corrected", {"momentum": 1.0}, half_life_s="1"), "'half_life_s' must be"),
        (preset("corrected", {"momentum": 1.0}, lambda_flow=-1), "'lambda_flow' must be >="),
        (preset("corrected", {"momentum": 1.0}, lambda_whale=float("nan")), "'lambda_whale' must be >="),
        (preset("corrected", {"momentum": 1.0}, whale_multiple=float("inf")), "'whale_multiple' must be <="),
        (preset("corrected", {"momentum": 1.0}, whale_floor_shares=999), "'whale_floor_shares' must be >="),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_preset_is_refused_by_name(wrong: Preset, named: str) -> None:
    with pytest.raises(PresetError, match=f"preset 'mine': .*{named}"):
        build_scorer(wrong)


def test_plug_ins_are_built_by_name_and_replace_nothing() -> None:
    fixed = Scores(components=Components(), score=0.25, confidence=1.0, confidence_seed=1.0)

    def scorer(view: MarketView) -> Scores:
        return fixed

    extra = {"mine": lambda preset: scorer, "seed": lambda preset: scorer}
    assert build_scorer(preset("mine", {"anything": 7}, goes=True), extra)(view_of([])) is fixed
    assert build_scorer(PRESETS["seed"], extra)(view_of([])) is not fixed
    assert set(SCORERS) == {"seed", "corrected"}


# ---------------------------------------------------------------------------------------------------------- properties

scorers = st.sampled_from(
    [
        *(build_scorer(preset) for preset in PRESETS.values()),
        corrected_with(weight="shares", momentum_scale="vol"),
        corrected_with(weight="usd", whale_unit="usd_paid"),
        corrected_with(weight="usd", half_life_s=0.1),
        corrected_with(lambda_flow=0, lambda_whale=0, half_life_s=20, whale_floor_shares=1_000),
    ]
)
tops = st.none() | st.tuples(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10**15), sizes)
moves = st.lists(
    st.tuples(
        st.sampled_from((0, 0.02, 1, 7, 60)),
        st.one_of(
            st.builds(
                lambda *values: dict(zip(("outcome", "side", "price", "units", "late", "hash"), values, strict=True)),
                outcomes,
                sides,
                prices,
                sizes,
                st.sampled_from((0, 0.3, 100)),
                st.sampled_from((None, "0xa", "0xb")),
            ),
            tops,
        ),
    ),
    max_size=40,
)


@given(scorers, moves, st.floats(0, 1), st.none() | st.floats(0, 1e6))
def test_bounded_and_finite_whatever_comes(
    scorer: Scorer, moves: list[tuple[float, Any]], coverage: float, age_s: float | None
) -> None:
    bench = Bench()
    now = 0.0
    for step, move in moves:
        now += step
        if move is None:
            bench.no_quote(now)
        elif isinstance(move, tuple):
            bench.features.quote(START_NS + round(now * NS_PER_S), *move)
        else:
            bench.fill(
                Fill(
                    at_s=now,
                    outcome=move["outcome"],
                    side=move["side"],
                    price=move["price"],
                    units=move["units"],
                    happened_s=now - move["late"],
                    transaction_hash=move["hash"],
                )
            )
        scores = scorer(bench.view(now + 0.01, coverage=coverage, age_s=age_s))
        assert -1.0 <= scores.score <= 1.0
        assert 0.0 <= scores.confidence <= 1.0
        assert 0.0 <= scores.confidence_seed <= 1.0
        components = scores.components
        parts = (components.momentum, components.volume_flow, components.whale, components.imbalance)
        assert all(part is None or -1.0 <= part <= 1.0 for part in parts)


# Each fill has its own transaction or shares one; two fills of one transaction, price and size would be repeats.
fills = st.lists(
    st.builds(
        lambda at, outcome, side, price, units, name: Fill(
            at_s=at, outcome=outcome, side=side, price=price, units=units, transaction_hash=name
        ),
        st.floats(0, 119.9),
        outcomes,
        sides,
        prices,
        sizes,
        st.sampled_from((None, None, "0xa", "0xb")),
    ),
    max_size=30,
).map(lambda fills: sorted(fills, key=lambda fill: fill.at_s))

invariant = st.sampled_from(
    [
        CORRECTED,
        corrected_with(weight="shares", momentum_scale="vol", whale_floor_shares=1_000),
        corrected_with(weight="shares", half_life_s=30.0),
    ]
)


@given(invariant, fills, st.data())
def test_complement_invariance_bit_for_bit(scorer: Scorer, fills: list[Fill], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.booleans(), min_size=len(fills), max_size=len(fills)))
    replaced = [fill.complement if swap else fill for fill, swap in zip(fills, chosen, strict=True)]
    there, here = view_of(fills), view_of(replaced)
    assert scorer(there).components == scorer(here).components
    assert scorer(there).score == scorer(here).score
    assert scorer(there).confidence == scorer(here).confidence


@given(
    st.sampled_from([CORRECTED, corrected_with(weight="usd", whale_unit="usd_paid", momentum_scale="vol")]),
    fills,
    st.lists(st.tuples(st.integers(1, 9_998), st.integers(1, 1_100), sizes, sizes), max_size=8),
)
def test_mirror_antisymmetry(scorer: Scorer, fills: list[Fill], quotes: list[tuple[int, int, int, int]]) -> None:
    there, mirrored = Bench(), Bench()
    for index, (bid, width, bid_size, ask_size) in enumerate(quotes):
        ask = min(9_999, bid + width)
        at_ns = START_NS + (index * 15 - 1) * NS_PER_S
        there.features.quote(at_ns, bid, ask, bid_size, ask_size)
        mirrored.features.quote(at_ns, 10_000 - ask, 10_000 - bid, ask_size, bid_size)
    for fill in fills:
        there.fill(fill)
        mirrored.fill(fill.mirror)
    one, other = scorer(there.view()), scorer(mirrored.view())
    assert other.score == -one.score
    assert other.confidence == one.confidence
    for name in ("momentum", "volume_flow", "whale"):
        value = getattr(one.components, name)
        assert getattr(other.components, name) == (None if value is None else -value)


@given(invariant, st.data())
def test_order_invariance_inside_the_lateness_budget(scorer: Scorer, data: st.DataObject) -> None:
    """Trades of one second may arrive in any order; the times of receipt stay."""
    bench, shuffled = Bench(), Bench()
    for second in (2, 50, 112, 118):
        happened = sorted(data.draw(st.lists(st.integers(0, 999), max_size=6)))
        sent = [
            Fill(
                at_s=0.0,
                happened_s=second + after / 1_000,
                outcome=data.draw(outcomes),
                side=data.draw(sides),
                price=data.draw(prices),
                units=data.draw(sizes) + index,  # never a repeat, of which the first to arrive would count
                transaction_hash=data.draw(st.sampled_from((None, "0xa"))),
            )
            for index, after in enumerate(happened)
        ]
        arrived = [second + 1 + index / 1_000 for index in range(len(sent))]
        for target, order in ((bench, sent), (shuffled, data.draw(st.permutations(sent)))):
            for at_s, fill in zip(arrived, order, strict=True):
                target.fill(
                    Fill(
                        at_s=at_s,
                        happened_s=fill.happened_s,
                        outcome=fill.outcome,
                        side=fill.side,
                        price=fill.price,
                        units=fill.units,
                        transaction_hash=fill.transaction_hash or f"0x{id(fill):x}",
                    )
                )
    assert scorer(bench.view()).components == scorer(shuffled.view()).components
    assert scorer(bench.view()).score == scorer(shuffled.view()).score
