from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve

from actors.captures import find_captures
from actors.evaluation.dataset import (
    Label,
    MarketSource,
    MarketStudy,
    Plan,
    Status,
    build,
    capture_source,
    settled,
    study_market,
)
from engine.errors import PresetError, WireError
from engine.markets import Outcome, Target
from engine.records import Connected, Followed, MarketUpdated, Record
from engine.settings import ScoringSettings
from tests.engine.study_bench import begun, done, quoted
from tests.engine.wire_texts import CONDITION_ID, MARKET, SLUG, TARGET, UP, at, book

SEED, CORRECTED = ScoringSettings(preset="seed"), ScoringSettings(preset="corrected")
PLAN = Plan(variants=(CORRECTED,), at_s=(60.0, 120.0, 900.0))


def records() -> list[Record]:
    return [*begun(), *(quoted(second, "0.49", "0.51") for second in range(1, 200)), done(200)]


def source(key: str = SLUG, given: Iterable[Record] | None = None, **changes: object) -> MarketSource:
    pairs = [(key, record) for record in (records() if given is None else given)]
    return evolve(MarketSource(key=key, read=partial(iter, pairs)), **changes)


# --------------------------------------------------------------------------------------------------------------- labels


def test_a_tie_is_up():
    assert settled(100.0, 100.0).outcome is Outcome.UP
    assert settled(100.0, 100.1).outcome is Outcome.UP
    assert settled(100.0, 99.9).outcome is Outcome.DOWN


def test_labels():
    assert Label.of("Up") == Label(outcome=Outcome.UP, status=Status.RESOLVED)
    assert Label.of(None) == Label() == Label(status=Status.UNLABELLED)
    assert Label(status="void").status is Status.VOID  # as it stands in a file


@pytest.mark.parametrize(
    ("outcome", "status"), [(None, Status.RESOLVED), (Outcome.UP, Status.VOID), (Outcome.DOWN, Status.UNLABELLED)]
)
def test_a_label_is_resolved_or_has_no_outcome(outcome: Outcome | None, status: Status) -> None:
    with pytest.raises(ValueError, match="either resolved"):
        Label(outcome=outcome, status=status)


def test_what_is_excluded_is_counted_by_its_reason():
    labels = [Label.of("Up"), Label(status=Status.VOID), Label(status=Status.AMBIGUOUS), Label(status=Status.VOID)]
    sources = [source(f"market-{index}", [], label=label) for index, label in enumerate(labels)]
    assert build(sources, PLAN, jobs=1).excluded == {"void": 2, "ambiguous": 1}


# ----------------------------------------------------------------------------------------------------------------- plan


def test_the_seed_is_always_studied_with_the_same_window():
    wide = ScoringSettings(preset="corrected", window_s=240.0, weights={"momentum": 1.0})
    assert [(each.preset, each.window_s, dict(each.weights)) for each in Plan(variants=(wide,)).studied] == [
        ("corrected", 240.0, {"momentum": 1.0}),
        ("seed", 240.0, {}),
    ]
    assert Plan(variants=(SEED, CORRECTED)).studied == (SEED, CORRECTED)


@pytest.mark.parametrize("variants", [(), (SEED, SEED)])
def test_a_plan_names_presets_once(variants: tuple[ScoringSettings, ...]) -> None:
    with pytest.raises(ValueError, match="each once"):
        Plan(variants=variants)


def test_latencies_ascend():
    assert Plan(variants=(SEED,), latencies_s=(5, 0, 1)).latencies_s == (0, 1, 5)


# -------------------------------------------------------------------------------------------------------------- studies


def test_a_market_is_studied_under_every_preset():
    told = study_market(source(label=Label.of("Up")), PLAN)
    assert [(each.preset.name, each.at_s, each.reached) for each in told.decisions] == [
        ("corrected", 60, True),
        ("corrected", 120, True),
        ("seed", 60, True),
        ("seed", 120, True),
    ]
    assert (told.tokens, told.problem, told.label.outcome) == (2, None, Outcome.UP)
    assert told.feed.messages == 200


def test_without_named_times_the_usual_ones_are_taken():
    told = study_market(source(), Plan(variants=(SEED,)))
    assert [(each.at_s, each.reached) for each in told.decisions] == [
        (60, True),
        (120, True),
        (180, True),
        (240, False),
    ]


def torn() -> Iterable[Record]:
    yield from records()[:100]
    raise WireError("torn", "here")


def test_what_is_torn_is_studied_up_to_there():
    told = study_market(source(given=[]), PLAN)
    assert (told.decisions, told.problem) == ((), "no record says what was followed")
    pairs = ((SLUG, record) for record in torn())
    told = study_market(MarketSource(key=SLUG, read=lambda: pairs), PLAN)
    assert told.problem == "torn: here"
    assert [each.reached for each in told.decisions] == [True, False, True, False]


def test_a_market_without_bounds_gets_them_from_its_metadata():
    fixed = Target(key=CONDITION_ID, condition_id=CONDITION_ID)
    given = [
        Followed(at_ns=at(0), target=fixed),
        Connected(at_ns=at(1), epoch=1),
        MarketUpdated(at_ns=at(2), market=MARKET),
    ]
    told = study_market(source(given=[*given, quoted(55, "0.4", "0.6"), done(70)]), PLAN)
    assert [(each.as_of_ns, each.mid) for each in told.decisions[:1]] == [(at(60), 0.5)]


@pytest.mark.parametrize("market", [None, evolve(MARKET, start_ns=None), evolve(MARKET, end_ns=None)])
def test_a_market_without_any_bounds_is_a_problem(market: object) -> None:
    fixed = Target(key=CONDITION_ID, condition_id=CONDITION_ID)
    given = [Followed(at_ns=at(0), target=fixed), MarketUpdated(at_ns=at(2), market=market), done(70)]  # type: ignore[arg-type]
    told = study_market(source(given=given), Plan(variants=(SEED,)))
    assert told.decisions == ()
    assert "not known" in (told.problem or "")


def test_an_unknown_preset_is_a_problem_of_the_asker():
    with pytest.raises(PresetError, match="unknown preset 'mine'"):
        build([source()], Plan(variants=(ScoringSettings(preset="mine"),)), jobs=1)


# ------------------------------------------------------------------------------------------------------------- building


def test_markets_come_by_time_and_each_is_told_of():
    later = evolve(TARGET, key="later", start_ns=at(300), end_ns=at(600))
    after = [Followed(at_ns=at(290), target=later), done(700)]
    told: list[MarketStudy] = []
    found = build([source("later", after, weight=9), source()], PLAN, jobs=1, done=told.append)
    assert [market.key for market in found.markets] == [SLUG, "later"]
    assert [market.key for market in told] == ["later", SLUG]  # the larger one first
    assert found.problems == []


def test_no_market_is_given_twice():
    with pytest.raises(ValueError, match=f"given twice: {SLUG}"):
        build([source(), source()], PLAN)


def test_no_sources_are_no_markets():
    assert build([], PLAN).markets == ()


def write_captures(folder: Path, number: int) -> None:
    rows = ["slug,messages,recorded_asset_won"]
    for index in range(number):
        start_s = 1_790_000_100 + 300 * index
        slug = f"btc-updown-5m-{start_s}"
        lines = [{"recv_ts": start_s + second, "raw": book(asset=UP)} for second in range(0, 130, 2)]
        with gzip.open(folder / f"{slug}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        rows.append(f"{slug},{len(lines)},{index % 2}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def test_all_cores_make_what_one_makes(tmp_path: Path) -> None:
    write_captures(tmp_path, 3)
    sources = [capture_source(capture) for capture in find_captures(tmp_path)]
    alone, shared = build(sources, PLAN, jobs=1), build(sources, PLAN, jobs=2)
    assert alone == shared
    assert [market.label.outcome for market in alone.markets] == [Outcome.DOWN, Outcome.UP, Outcome.DOWN]
    assert [market.decisions[0].mid for market in alone.markets] == [0.5] * 3
    assert alone.markets[0].tokens == 1
