from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from actors.evaluation.dataset import Label, Plan, Status, build, study_market
from actors.evaluation.tapes import tape_source
from actors.simulate import Design
from actors.simulate.tapes import write_tapes
from actors.tapes import Tape, find_tapes
from engine.labels import LabelStatus
from engine.markets import Outcome
from engine.settings import ScoringSettings
from tests.actors.evaluation.test_dataset import write_captures

PLAN = Plan(variants=(ScoringSettings(preset="seed"),), at_s=(60.0, 240.0))


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    write_tapes(Design(series="btc-5m", trades_per_minute=6.0), 1, tmp_path)
    return find_tapes([tmp_path])[0]


def test_a_tape_is_studied_with_its_label(tape: Tape) -> None:
    source = tape_source(tape)
    told = study_market(source, PLAN)
    assert (source.key, told.label) == (tape.key, Label.of(tape.outcome))
    assert source.weight == sum(part.stat().st_size for part in tape.parts)
    assert (told.problem, told.tokens, [each.reached for each in told.decisions]) == (None, 2, [True, True])


@pytest.mark.parametrize("status", [LabelStatus.VOID, LabelStatus.AMBIGUOUS, LabelStatus.UNRESOLVED])
def test_a_label_without_an_outcome_keeps_its_reason(tape: Tape, status: LabelStatus) -> None:
    assert tape.label is not None
    label = evolve(tape.label, status=status, outcome=None)
    assert tape_source(evolve(tape, label=label, outcome=None)).label == Label(status=Status(status.value))


def test_without_a_label_the_tape_itself_may_know(tape: Tape) -> None:
    assert tape_source(evolve(tape, label=None, outcome=Outcome.DOWN)).label == Label.of("Down")
    assert tape_source(evolve(tape, label=None, outcome=None)).label.status is Status.UNLABELLED


def test_a_cut_tape_is_studied_up_to_there_and_says_so(tape: Tape) -> None:
    part = tape.parts[-1]
    part.write_bytes(part.read_bytes()[:-200])
    told = study_market(tape_source(tape), PLAN)
    assert told.problem is not None
    assert part.name in told.problem
    assert "updown tape verify" in told.problem
    assert len(told.decisions) == 2


def test_captures_are_found_as_well(tmp_path: Path) -> None:
    write_captures(tmp_path, 2)
    sources = [tape_source(tape) for tape in find_tapes([tmp_path])]
    told = build(sources, PLAN, jobs=1)
    assert [market.label.outcome for market in told.markets] == [Outcome.DOWN, Outcome.UP]
