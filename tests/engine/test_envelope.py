"""The envelope against its published schema: every field described, nothing else accepted, absent never 0."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, evolve, fields_dict
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from engine.aggregate import combine
from engine.corrected import Options
from engine.envelope import SCHEMA_VERSION, envelope, envelope_line
from engine.markets import CONDITION_ID_PATTERN, MarketPhase
from engine.pipeline import stamp_of
from engine.presets import PRESETS
from engine.records import Connected, Disconnected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.replay import replay
from engine.scoring import build_scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.signals import (
    AggregateSignal,
    BookState,
    Components,
    FeedState,
    MarketSignals,
    OutsideScore,
    PresetStamp,
    Quality,
    Quote,
    Signal,
    SignalType,
    WindowProof,
)
from tests.engine.wire_texts import CONDITION_ID, DOWN, MARKET, SLUG, TARGET, UP, at, book, resolved, trade

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "signal-envelope.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)

MARKET_SIGNAL = MarketSignals(
    as_of_ns=at(5) + 999_999,
    target=SLUG,
    underlying="BTC",
    series="btc-5m",
    slug=SLUG,
    condition_id=CONDITION_ID,
    yes_asset_id=UP,
    no_asset_id=DOWN,
    phase=MarketPhase.OPEN,
    score=0.25,
    confidence=0.5,
    confidence_seed=0.4,
    signal_type=SignalType.LOW_LIQUIDITY_WEAK_BULLISH,
    reason=None,
    components=Components(momentum=0.0, volume_flow=-1.0),
    window=WindowProof(start_ns=at(-115), end_ns=at(5), coverage=0.5, trades=3, volume_shares=1.5, volume_usd=0.75),
    quality=Quality(epoch=2, gaps=1, feed_state=FeedState.LIVE, book_state=BookState.CLEAN),
    market=Quote(best_bid=0.49, best_ask=0.51, mid=0.5, seconds_to_close=295.0),
    preset=stamp_of(PRESETS["seed"], ScoringSettings()),
)
UNAVAILABLE = evolve(
    MARKET_SIGNAL,
    target="0x" + "cd" * 32,
    series=None,
    slug=None,
    condition_id=None,
    yes_asset_id=None,
    no_asset_id=None,
    score=0.0,
    confidence=0.0,
    confidence_seed=0.0,
    signal_type=SignalType.MARKET_UNAVAILABLE,
    reason="no_metadata",
    components=Components(),
    quality=Quality(),
    market=Quote(),
)
AGGREGATE = combine(
    "BTC",
    at(5),
    [MARKET_SIGNAL, UNAVAILABLE],
    outside=[OutsideScore(name="social", score=-0.5, confidence=0.25, at_ns=at(4))],
    expected=("social",),
    missing=["btc-updown-15m-1"],
)


def errors(document: object) -> list[str]:
    """What is wrong with a document, judged by its own kind of event."""
    return [error.message for error in VALIDATOR.iter_errors(document)]


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one entry set; ``path`` is dotted, numbers are positions."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    inner: Any = copy
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in way:
        inner = inner[step]
    inner[last] = value
    return copy


# -------------------------------------------------------------------------------------------------------------- schema


def properties(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from properties(inner, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from properties(schema["items"], f"{path}[]")


DEFINED = {path: schema for name, kind in SCHEMA["$defs"].items() for path, schema in properties(kind, name)}


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", DEFINED)
def test_every_property_is_described_and_every_object_is_closed(path: str) -> None:
    schema = DEFINED[path]
    assert len(schema["description"]) > 5
    if "properties" in schema:
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])


@pytest.mark.parametrize("path", [path for path, schema in DEFINED.items() if "null" in schema.get("type", ())])
def test_what_null_means_is_said(path: str) -> None:
    assert re.search(r"\bnull: \w", DEFINED[path]["description"])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("market_signal.signal_type", SignalType),
        ("market_signal.phase", MarketPhase),
        ("market_signal.quality.feed_state", FeedState),
        ("market_signal.quality.book_state", BookState),
        ("aggregate_signal.contributions[].signal_type", SignalType),
    ],
)
def test_the_vocabularies_are_the_engines(path: str, words: type[SignalType]) -> None:
    assert set(DEFINED[path]["enum"]) == {word.value for word in words}


def test_the_patterns_are_the_engines() -> None:
    assert DEFINED["market_signal.condition_id"]["pattern"] == f"^{CONDITION_ID_PATTERN}$"
    assert DEFINED["market_signal.schema_version"]["const"] == SCHEMA_VERSION


def test_the_guide_names_every_field_and_every_word() -> None:
    named = set(re.findall(r"`([^`]+)`", (DOCS / "signals.md").read_text("utf-8")))
    fields = {path.rpartition(".")[2].removesuffix("[]") for path in DEFINED}
    words = {word for schema in DEFINED.values() for word in schema.get("enum", ()) if word is not None}
    assert (fields | words) - named == set()
    assert {*PRESETS, *fields_dict(Options)} - named == set()


def test_the_guide_shows_the_weights_of_the_presets() -> None:
    text = (DOCS / "signals.md").read_text("utf-8")
    for name, preset in PRESETS.items():
        [row] = re.findall(rf"^\| `{name}` \| .* \| (.*) \|$", text, re.MULTILINE)
        assert [float(weight) for weight in row.split(", ")] == list(preset.weights.values())


# ---------------------------------------------------------------------------------------------------------- real ones


@pytest.mark.parametrize("signal", [MARKET_SIGNAL, UNAVAILABLE, AGGREGATE], ids=["scored", "unavailable", "aggregate"])
def test_an_envelope_fits_the_schema_and_has_its_fields_in_its_order(signal: Signal) -> None:
    document = envelope(signal)
    VALIDATOR.validate(document)
    kind = SCHEMA["$defs"][document["event_type"]]
    assert list(document) == list(kind["properties"])
    for name, inner in kind["properties"].items():
        if "properties" in inner:
            assert list(document[name]) == list(inner["properties"])


@pytest.mark.parametrize("signal", [MARKET_SIGNAL, UNAVAILABLE, AGGREGATE])
def test_the_line_is_the_envelope_on_one_line(signal: Signal) -> None:
    line = envelope_line(signal)
    assert "\n" not in line
    assert ": " not in line
    assert json.loads(line) == envelope(signal)
    assert envelope_line(signal) == line


def test_no_field_of_a_signal_is_left_out() -> None:
    document = envelope(MARKET_SIGNAL)
    assert fields_dict(MarketSignals).keys() <= document.keys()
    for part in ("components", "window", "quality", "market", "preset"):
        assert document[part] == asdict(getattr(MARKET_SIGNAL, part))
    assert fields_dict(AggregateSignal).keys() <= envelope(AGGREGATE).keys()


def test_the_head_names_event_and_time() -> None:
    document = envelope(MARKET_SIGNAL)
    assert document["event_id"] == f"market_signal:{SLUG}:{at(5) + 999_999}"
    assert document["ts_ms"] == at(5) // 1_000_000
    assert envelope(AGGREGATE)["event_id"] == f"aggregate_signal:BTC:{at(5)}"
    assert envelope(evolve(MARKET_SIGNAL, as_of_ns=at(10)))["event_id"] != document["event_id"]


def test_absent_is_null_and_zero_is_zero() -> None:
    document = json.loads(envelope_line(MARKET_SIGNAL))
    assert document["components"] == {"momentum": 0.0, "volume_flow": -1.0, "whale": None, "imbalance": None}
    assert document["components_present"] == ["momentum", "volume_flow"]
    assert json.loads(envelope_line(UNAVAILABLE))["market"] == dict.fromkeys(
        ("best_bid", "best_ask", "mid", "seconds_to_close")
    )
    aggregate = json.loads(envelope_line(combine("BTC", at(5), [UNAVAILABLE])))
    assert (aggregate["score"], aggregate["agreement"], aggregate["fused_score"]) == (None, None, None)
    assert aggregate["contributions"][0]["score"] is None
    zero = json.loads(envelope_line(combine("BTC", at(5), [evolve(MARKET_SIGNAL, score=0.0)])))
    assert (zero["score"], zero["fused_score"], zero["contributions"][0]["score"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.0000001, -2.0])
def test_what_is_no_component_cannot_pass_for_an_absent_one(value: float) -> None:
    with pytest.raises(ValueError, match="momentum"):
        Components(momentum=value)


JOURNAL: list[Record] = [
    Followed(at_ns=at(0), target=TARGET),
    MarketUpdated(at_ns=at(6), market=MARKET),
    Connected(at_ns=at(6), epoch=1),
    Frame(at_ns=at(11), text=book()),
    *[Frame(at_ns=at(12 + n), text=trade(price, "1500")) for n, price in enumerate(["0.5", "0.52", "0.51", "0.55"])],
    Frame(at_ns=at(17), text=book((), (("0.6", "5"),))),
    Disconnected(at_ns=at(21), epoch=1, reason="half_open"),
    Connected(at_ns=at(41), epoch=2),
    Frame(at_ns=at(41), text=trade("0.5", asset=DOWN)),
    Frame(at_ns=at(42), text="not json"),
    Frame(at_ns=at(290), text=book()),
    Frame(at_ns=at(301), text=resolved()),
    Unfollowed(at_ns=at(312)),
]


@pytest.mark.parametrize("preset", PRESETS)
def test_everything_a_whole_market_says_fits_the_schema(preset: str) -> None:
    signals = list(
        replay(
            [(TARGET.key, record) for record in JOURNAL],
            scoring=ScoringSettings(preset=preset),
            preset=PRESETS[preset],
            new_scorer=lambda: build_scorer(PRESETS[preset]),
            aggregate=AggregateSettings(),
        )
    )
    documents = [json.loads(envelope_line(signal)) for signal in signals]
    for document in documents:
        VALIDATOR.validate(document)
    of_market = [it for it in documents if it["event_type"] == "market_signal"]
    assert {it["reason"] for it in of_market} >= {"no_metadata", "connecting", "half_open", "closed", "resolved", None}
    assert len({it["event_id"] for it in documents}) == len(documents) == 2 * 62


# --------------------------------------------------------------------------------------------------------- properties

unit, share = st.floats(-1, 1), st.floats(0, 1)
count = st.integers(0, 1 << 40)
amount = st.floats(0, 1e15)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1)
condition_ids = st.integers(0, (1 << 256) - 1).map(lambda number: f"0x{number:064x}")
asset_ids = st.integers(0, 10**78 - 1).map(str)
series_names = st.sampled_from(["btc-5m", "eth-15m", "sol-1h", "xrp-4h", "btc-1d"])
components = st.builds(Components, **dict.fromkeys(fields_dict(Components), st.none() | unit))
windows = st.builds(
    WindowProof,
    start_ns=st.integers(-(1 << 62), 1 << 62),
    end_ns=count,
    coverage=share,
    trades=count,
    whales=count,
    volume_shares=amount,
    volume_usd=amount,
)
qualities = st.builds(
    Quality,
    max_silence_s=amount,
    feed_state=st.sampled_from(FeedState),
    book_state=st.sampled_from(BookState),
    **{name: count for name, it in fields_dict(Quality).items() if it.type == "int"},
)
quotes = st.builds(
    Quote, best_bid=st.none() | share, best_ask=st.none() | share, mid=st.none() | share, seconds_to_close=amount
)
stamps = st.builds(PresetStamp, name=names, version=names, config_hash=st.just("0123456789abcdef"))
REFUSALS = {
    SignalType.MARKET_CLOSED: ["closed", "resolved", "unknown_market"],
    SignalType.MARKET_UNAVAILABLE: ["no_data", "no_metadata", "not_listed_yet", "stale", "actor_down", "quarantined"],
}


@st.composite
def market_signals(draw: st.DrawFn) -> MarketSignals:
    kind = draw(st.sampled_from(SignalType))
    refusals = REFUSALS.get(kind)
    return MarketSignals(
        as_of_ns=draw(count),
        target=draw(names),
        underlying=draw(st.sampled_from(["BTC", "ETH"])),
        series=draw(st.none() | series_names),
        slug=draw(st.none() | names),
        condition_id=draw(st.none() | condition_ids),
        yes_asset_id=draw(st.none() | asset_ids),
        no_asset_id=draw(st.none() | asset_ids),
        phase=draw(st.sampled_from(MarketPhase)),
        score=0.0 if refusals else draw(unit),
        confidence=0.0 if refusals else draw(share),
        confidence_seed=0.0 if refusals else draw(share),
        signal_type=kind,
        reason=draw(st.sampled_from(refusals)) if refusals else None,
        components=Components() if refusals else draw(components),
        window=draw(windows),
        quality=draw(qualities),
        market=draw(quotes),
        preset=draw(stamps),
    )


outside_scores = st.builds(
    OutsideScore, name=st.text(min_size=1), score=unit, confidence=share, weight=st.floats(0, 1e6), at_ns=count
)


@settings(max_examples=60)
@given(market_signals())
def test_any_market_signal_fits_the_schema(signal: MarketSignals) -> None:
    document = json.loads(envelope_line(signal))
    VALIDATOR.validate(document)
    assert document == envelope(signal)
    for name in fields_dict(Components):
        assert (document["components"][name] is None) == (name not in document["components_present"])


@settings(max_examples=30)
@given(
    st.lists(market_signals(), max_size=3, unique_by=lambda it: it.target),
    st.lists(outside_scores, max_size=3),
    st.sets(names, max_size=3),
    st.sets(names, max_size=2),
)
def test_any_aggregate_fits_the_schema(
    signals: list[MarketSignals], scores: list[OutsideScore], expected: set[str], missing: set[str]
) -> None:
    signal = combine("BTC", at(5), signals, outside=scores, expected=expected, missing=missing)
    document = json.loads(envelope_line(signal))
    VALIDATOR.validate(document)
    assert document == envelope(signal)


# ---------------------------------------------------------------------------------------------------------- strictness


@pytest.mark.parametrize("signal", [MARKET_SIGNAL, AGGREGATE], ids=["market", "aggregate"])
def test_no_field_may_be_missing_or_added(signal: Signal) -> None:
    document = envelope(signal)
    for name in document:
        assert errors({key: value for key, value in document.items() if key != name}), name
    assert errors({**document, "surprise": 1})


@pytest.mark.parametrize("part", ["components", "window", "quality", "market", "preset"])
def test_no_field_of_a_part_may_be_missing_or_added(part: str) -> None:
    document = envelope(MARKET_SIGNAL)
    assert errors(changed(document, f"{part}.surprise", None))
    for name in document[part]:
        rest = {key: value for key, value in document[part].items() if key != name}
        assert errors(changed(document, part, rest)), name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", 2),
        ("event_type", "market"),
        ("event_type", "aggregate_signal"),
        ("event_id", "market_signal:x"),
        ("as_of_ns", 1.5),
        ("source", "elsewhere"),
        ("series", "btc-2m"),
        ("condition_id", "0x" + "AB" * 32),
        ("yes_asset_id", 12),
        ("phase", "opening"),
        ("score", 1.01),
        ("score", None),
        ("confidence", -0.01),
        ("confidence_seed", 1.01),
        ("signal_type", "BULLISH"),
        ("signal_type", "MARKET_UNAVAILABLE"),
        ("signal_type", "MARKET_CLOSED"),
        ("reason", "no_data"),
        ("components.whale", 1.01),
        ("components.whale", 0.0),
        ("components.momentum", None),
        ("components_present", ["momentum", "momentum", "volume_flow"]),
        ("components_present", ["momentum"]),
        ("components_present", ["momentum", "volume_flow", "luck"]),
        ("window.coverage", 1.01),
        ("window.trades", -1),
        ("quality.feed_state", "fine"),
        ("quality.book_state", "fine"),
        ("quality.max_silence_s", None),
        ("market.mid", 1.01),
        ("market.seconds_to_close", -1),
        ("preset.config_hash", "abc"),
    ],
)
def test_the_schema_refuses_what_no_market_signal_is(path: str, value: object) -> None:
    assert errors(changed(envelope(MARKET_SIGNAL), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [("score", 0.1), ("confidence", 0.1), ("reason", None), ("reason", "unknown_market"), ("reason", "because")],
)
def test_the_schema_refuses_an_unavailable_market_with_an_opinion(path: str, value: object) -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate(changed(envelope(UNAVAILABLE), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("score", -1.01),
        ("agreement", 1.01),
        ("fused_confidence", None),
        ("markets_open", 1.5),
        ("contributions.0.phase", "closed"),
        ("contributions.0.weight", 1.01),
        ("contributions.0.surprise", 1),
        ("outside.0.weight", 1e7),
        ("outside.0.name", ""),
        ("outside.0.surprise", 1),
        ("missing", ["a", "a"]),
    ],
)
def test_the_schema_refuses_what_no_aggregate_is(path: str, value: object) -> None:
    assert errors(changed(envelope(AGGREGATE), path, value))
