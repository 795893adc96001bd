"""What the tests of tapes put on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from actors.tapes.blocks import Block, read_blocks
from actors.tapes.writer import TapeWriter, WriterSettings
from engine.errors import TapeError
from engine.markets import Market, Target
from engine.records import Connected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.series import slot_of_slug
from engine.tape import TapeItem, line_bytes, record_of
from engine.units import NS_PER_S

START_S = 1_790_001_000
KEY = f"btc-updown-5m-{START_S}"
OTHER = f"eth-updown-5m-{START_S}"
CONDITION = "0x" + "ab" * 32
TARGET: Target = slot_of_slug(KEY).target()
MARKET = Market(
    condition_id=CONDITION, up_asset_id="1", down_asset_id="2", slug=KEY, start_ns=TARGET.start_ns, end_ns=TARGET.end_ns
)
DAY = "2026-09-21"


def at(seconds: float) -> int:
    """Nanoseconds of an instant after the start of the slot."""
    return START_S * NS_PER_S + round(seconds * NS_PER_S)


def frame(seconds: float, text: str = "PONG") -> Frame:
    return Frame(at_ns=at(seconds), text=text)


def following(
    begin_s: float = 0.0, end_s: float = 10.0, *, step_s: float = 1.0, target: Target = TARGET
) -> list[Record]:
    """Followed, connected, a frame every second, let go."""
    steps = round((end_s - begin_s) / step_s)
    return [
        Followed(at_ns=at(begin_s), target=target),
        MarketUpdated(at_ns=at(begin_s), market=MARKET),
        Connected(at_ns=at(begin_s), epoch=1),
        *(frame(begin_s + n * step_s, f"{begin_s + n * step_s:g}") for n in range(steps)),
        Unfollowed(at_ns=at(end_s)),
    ]


def batch(items: Iterable[TapeItem], key: str = KEY) -> list[tuple[str, bytes, int]]:
    return [(key, line_bytes(item), item.at_ns) for item in items]


def record(
    folder: Path,
    items: Sequence[TapeItem],
    *,
    key: str = KEY,
    block: int = 3,
    rotate_mb: float = 64.0,
    close: bool = True,
) -> TapeWriter:
    """Put items on a tape, so many in a block; the writer is left open unless closed."""
    writer = TapeWriter(folder, WriterSettings(rotate_mb=rotate_mb))
    for begin in range(0, len(items), block):
        writer.write(batch(items[begin : begin + block], key))
    if close:
        writer.close()
    return writer


def items_in(path: Path) -> list[TapeItem | TapeError | str]:
    """Everything in a file: items, and the reasons of damage."""
    found: list[TapeItem | TapeError | str] = []
    for piece in read_blocks(path):
        if isinstance(piece, Block):
            found += map(record_of, piece.text.splitlines())
        else:
            found.append(piece.reason)
    return found


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
