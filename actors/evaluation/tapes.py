"""Tapes as something to study: their records, and what the labels beside them say of the outcome."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from actors.evaluation.dataset import Label, MarketSource, capture_source
from actors.tapes import Tape
from actors.tapes.report import Examination
from engine.errors import TapeError
from engine.records import Record


def tape_source(tape: Tape) -> MarketSource:
    """A tape, or a capture, with its outcome: by the label, else by what its header or manifest says.

    What is damaged is studied as far as it can be read, and the study's ``problem`` says what was missing.
    """
    if tape.capture is not None:
        return capture_source(tape.capture)
    weight = sum(part.stat().st_size for part in tape.parts)
    return MarketSource(key=tape.key, read=partial(_read, tape), label=_label(tape), weight=weight)


def _label(tape: Tape) -> Label:
    if tape.label is None:
        return Label.of(tape.outcome)
    return Label(outcome=tape.label.outcome, status=tape.label.status.value)


def _read(tape: Tape) -> Iterator[tuple[str, Record]]:
    """Like ``read_tape``; at the end it raises ``TapeError`` when the tape is not intact."""
    examination = Examination(tape)
    for record in examination.records():
        yield tape.key, record
    problems = list(examination.report().problems())
    if problems:
        more = f" (and {len(problems) - 1} more: updown tape verify)" if len(problems) > 1 else ""
        raise TapeError(f"{problems[0]}{more}")
