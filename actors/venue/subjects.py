"""What tapes are about: which market, from when, and how it ended as far as anybody says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from attrs import frozen

from actors.tapes import Block, Tape, read_blocks, read_tape
from engine.labels import LabelStatus
from engine.markets import Market, Outcome, Target
from engine.records import Followed, Frame, MarketUpdated, Record
from engine.tape import items_of


@frozen(kw_only=True)
class Subject:
    """One market on tape: who it is, from when to when it was recorded, and how it ended as far as anybody says."""

    tape: Tape
    target: Target
    market: Market
    start_ns: int
    end_ns: int
    first_ns: int
    last_ns: int
    winner: Outcome | None
    resolved_ns: int | None


def subjects_of(tapes: Iterable[Tape]) -> tuple[list[Subject], list[str]]:
    """The markets that can be played, and why the others cannot."""
    subjects, problems = [], []
    for tape in tapes:
        subject = _subject(tape)
        if subject is None:
            problems.append(f"{tape.key}: the tape does not tell the market's tokens and times")
        else:
            subjects.append(subject)
    return subjects, problems


def _subject(tape: Tape) -> Subject | None:
    target, first_ns = None, None
    for _, record in read_tape(tape):
        first_ns = record.at_ns if first_ns is None else first_ns
        if isinstance(record, Followed):
            target = record.target
        market = _market_of(record)
        if market is None or target is None:
            continue
        start_ns = target.start_ns if market.start_ns is None else market.start_ns
        end_ns = target.end_ns if market.end_ns is None else market.end_ns
        if start_ns is None or end_ns is None or start_ns >= end_ns:
            return None
        last_ns = max((block.at_ns for block in _blocks(tape)), default=end_ns)
        resolved_ns, winner = _resolution(tape, market, end_ns)
        return Subject(
            tape=tape,
            target=target,
            market=market,
            start_ns=start_ns,
            end_ns=end_ns,
            first_ns=first_ns,
            last_ns=last_ns,
            winner=winner,
            resolved_ns=resolved_ns,
        )
    return None


def _market_of(record: Record) -> Market | None:
    return record.market if isinstance(record, MarketUpdated) else None


def _resolution(tape: Tape, market: Market, end_ns: int) -> tuple[int | None, Outcome | None]:
    """When and how the market was decided: the venue's message, the label, or the header alone."""
    told = next(_told_resolutions(tape, market, end_ns), None)
    if tape.label is not None and tape.label.status is not LabelStatus.RESOLVED:
        return None, None
    winner = tape.outcome or (None if told is None else told[1])
    if told is not None:
        return told[0], winner
    return (None if tape.label is None else tape.label.at_ns), winner


def _told_resolutions(tape: Tape, market: Market, end_ns: int) -> Iterator[tuple[int, Outcome]]:
    winners = {market.up_asset_id: Outcome.UP, market.down_asset_id: Outcome.DOWN}
    for block in _blocks(tape):
        if block.at_ns < end_ns or b"market_resolved" not in block.text:
            continue
        for record in items_of(block.text):
            if isinstance(record, Frame) and "market_resolved" in record.text:
                for event in map(_decoded, events_of(record.text)):
                    winner = winners.get(event.get("winning_asset_id"))
                    if event.get("market") == market.condition_id and winner is not None:
                        yield record.at_ns, winner


def _blocks(tape: Tape) -> Iterator[Block]:
    return (piece for part in tape.parts for piece in read_blocks(part) if isinstance(piece, Block))


def _decoded(text: str) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return {}
    return told if isinstance(told, dict) else {}


def events_of(frame: str) -> list[str]:
    """The events of a frame verbatim, whether it is one object or an array of them; none of anything else."""
    if not frame.startswith("["):
        return [frame]
    try:
        return [bytes(event).decode() for event in msgspec.json.decode(frame, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, UnicodeError):
        return []
