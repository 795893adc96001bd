"""Tapes: everything that happened to followed markets, in files that outlive crashes. ``docs/tapes.md`` says more."""

from actors.tapes.blocks import Block, Damage, encode_block, read_blocks
from actors.tapes.export import MissingExtra, export_parquet
from actors.tapes.finding import Tape, find_tapes
from actors.tapes.imports import Imported, import_capture
from actors.tapes.keeping import Kept, keep
from actors.tapes.merging import merge_tapes
from actors.tapes.reader import merged, read_tape, start_ns
from actors.tapes.report import DamageAt, TapeReport, examine
from actors.tapes.writer import TapeWriteError, TapeWriter, WriterSettings

__all__ = [
    "Block",
    "Damage",
    "DamageAt",
    "Imported",
    "Kept",
    "MissingExtra",
    "Tape",
    "TapeReport",
    "TapeWriteError",
    "TapeWriter",
    "WriterSettings",
    "encode_block",
    "examine",
    "export_parquet",
    "find_tapes",
    "import_capture",
    "keep",
    "merge_tapes",
    "merged",
    "read_blocks",
    "read_tape",
    "start_ns",
]
