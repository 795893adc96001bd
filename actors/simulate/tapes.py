"""Simulated markets written as tapes, with their labels beside them, as if a recorder had followed them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from actors.labelbook import append_label, read_labels
from actors.simulate.design import Design
from actors.simulate.extra import require_extra
from actors.tapes import find_tapes
from actors.tapes.batches import WholeTape
from engine.errors import TapeError
from engine.labels import Label, LabelStatus

SOURCE: Final = "simulation"


def write_tapes(
    design: Design, markets: int, folder: Path, *, jobs: int = 1, done: Callable[[Label], None] | None = None
) -> None:
    """Write the tapes of markets 0 to ``markets`` − 1 and label each as soon as it is whole, on ``jobs`` cores.

    ``done`` is told of each. Raises ``TapeError``, before anything is written, for a folder that holds tapes or labels
    already, ``MissingExtra`` without numpy, and ``OSError`` when the disk refuses.
    """
    require_extra()
    if _is_used(folder):
        raise TapeError(f"{folder}: holds tapes already; simulated ones go into a folder of their own")
    write = partial(write_tape, design, folder=folder)
    if jobs <= 1 or markets <= 1:
        for number in range(markets):
            _label(folder, write(number), done)
        return
    with ProcessPoolExecutor(min(jobs, markets), mp_context=get_context("spawn")) as pool:
        try:
            for label in pool.map(write, range(markets), chunksize=max(1, min(16, markets // (4 * jobs)))):
                _label(folder, label, done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def write_tape(design: Design, number: int, *, folder: Path) -> Label:
    """Write one market's tape and return its label, which is yet to be written."""
    from actors.simulate.markets import market_number  # noqa: PLC0415 - needs the extra
    from actors.simulate.wire import label_of, wire_records  # noqa: PLC0415

    market = market_number(design, number)
    with WholeTape(folder, market.slot.slug, source=SOURCE) as tape:
        tape.write(record for _, record in wire_records(market))
    told = label_of(market)
    return Label(
        condition_id=told.condition_id,
        slug=told.slug,
        series=told.series,
        status=LabelStatus.RESOLVED,
        outcome=told.outcome,
        start_ns=market.slot.start_ns,
        end_ns=market.slot.end_ns,
        at_ns=told.at_ns,
    )


def _label(folder: Path, label: Label, done: Callable[[Label], None] | None) -> None:
    append_label(folder, label)
    if done is not None:
        done(label)


def _is_used(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        return bool(read_labels(folder) or find_tapes([folder]))
    except TapeError:
        return False
