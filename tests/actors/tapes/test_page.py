"""What ``docs/tapes.md`` says of the format is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from actors.tapes.blocks import HEADER_BYTES
from actors.tapes.export import COLUMNS
from engine.records import Record
from engine.tape import TapeNote

PAGE = (Path(__file__).parents[3] / "docs" / "tapes.md").read_text(encoding="utf-8")


def test_every_kind_of_line_is_told_with_its_fields() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE))
    kinds = {kind.__struct_config__.tag: kind for kind in (*get_args(Record), *get_args(TapeNote))}
    assert set(told) == set(kinds)
    for tag, kind in kinds.items():
        fields = set(kind.__struct_fields__) - {"at_ns"}
        where = PAGE if tag == "tape" else told[tag]
        assert all(f"`{name}`" in where for name in fields), tag


def test_every_column_is_told() -> None:
    [columns] = re.findall(r"Columns: (.*?)\. It holds", PAGE, re.DOTALL)
    assert all(f"`{name}`" in columns for name in COLUMNS)


def test_the_header_adds_up() -> None:
    widths = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert sum(map(int, widths)) == HEADER_BYTES


def test_the_python_of_the_page_is_python() -> None:
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        compile(block, "docs/tapes.md", "exec")
