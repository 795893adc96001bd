"""Tapes: everything that happened to followed markets, in files that outlive crashes. ``docs/tapes.md`` says more."""

from actors.tapes.blocks import Block, Damage, encode_block, read_blocks
from actors.tapes.finding import Tape, find_tapes
from actors.tapes.keeping import Kept, keep
from actors.tapes.labels import read_labels
from actors.tapes.reader import merged, read_tape
from actors.tapes.report import DamageAt, TapeReport, examine
from actors.tapes.writer import TapeWriteError, TapeWriter, WriterSettings

__all__ = [
    "Block",
    "Damage",
    "DamageAt",
    "Kept",
    "Tape",
    "TapeReport",
    "TapeWriteError",
    "TapeWriter",
    "WriterSettings",
    "encode_block",
    "examine",
    "find_tapes",
    "keep",
    "merged",
    "read_blocks",
    "read_labels",
    "read_tape",
]
