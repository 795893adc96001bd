"""The labels beside the tapes, one JSON line each; the last line about a market holds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.errors import LabelError
from engine.labels import Label, label_of

_LINE_BYTES: Final = 1 << 16


def read_labels(path: Path) -> dict[str, Label]:
    """The labels of a file by condition id and, where they have one, by slug; none where there is no such file.

    Lines that are no labels, like one that was cut by a crash, are left out.
    """
    labels: dict[str, Label] = {}
    if not path.is_file():
        return labels
    with path.open("rb") as file:
        while line := file.readline(_LINE_BYTES):
            try:
                label = label_of(line)
            except LabelError:
                continue
            labels.update({name: label for name in (label.condition_id, label.slug) if name is not None})
    return labels
