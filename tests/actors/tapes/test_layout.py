"""Where parts lie, and which names are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.tapes.layout import (
    DAY_NS,
    day_bounds,
    day_of,
    is_day,
    is_key,
    parse_part,
    part_name,
    root_of,
    target_named,
)
from engine.tape import MAX_TIME_NS

CONDITION = "0x" + "ab" * 32


@pytest.mark.parametrize("key", ["btc-updown-15m-1786891500", CONDITION, "x", "x" * 200])
def test_a_slug_and_an_id_name_a_tape(key: str) -> None:
    assert is_key(key)
    assert parse_part(part_name(key, 12)) == (key, 12)


@pytest.mark.parametrize(
    "key", ["", "x" * 201, "..", "a/b", "a\\b", "-rf", "Upper", "a.b", "a b", "a\n", "é", "a\0b", "~", "²"]
)
def test_anything_else_names_none(key: str) -> None:
    assert not is_key(key)
    with pytest.raises(ValueError, match="neither a slug nor a condition id"):
        part_name(key, 1)


@pytest.mark.parametrize(
    "name",
    [
        "a.1.jsonl",
        "a.jsonl.zst",
        "a.0.jsonl.zst",
        "a.01.jsonl.zst",
        "a.1.jsonl.zst.part",
        ".1.jsonl.zst",
        "A.1.jsonl.zst",
    ],
)
def test_other_names_are_no_parts(name: str) -> None:
    assert parse_part(name) is None


def test_days_are_of_utc_and_half_open() -> None:
    midnight = 20_000 * DAY_NS
    assert day_of(midnight) == "2024-10-04"
    assert day_of(midnight - 1) == "2024-10-03"
    assert day_bounds(midnight) == day_bounds(midnight + DAY_NS - 1) == (midnight, midnight + DAY_NS)
    assert is_day(day_of(MAX_TIME_NS))
    assert day_bounds(MAX_TIME_NS)[1] == MAX_TIME_NS
    assert not any(map(is_day, ["2024-13-01", "2024-1-1", "24-01-01", "2024-01-01x", "labels.jsonl", "2024-01-32"]))


def test_the_root_holds_the_days() -> None:
    assert root_of(Path("tapes/2024-10-04/x.1.jsonl.zst")) == Path("tapes")
    assert root_of(Path("loose/x.1.jsonl.zst")) == Path("loose")


def test_a_key_alone_tells_what_the_market_is() -> None:
    slot = target_named("eth-updown-5m-1790001000")
    assert (slot.series, slot.underlying, slot.start_ns) == ("eth-5m", "ETH", 1_790_001_000 * 10**9)
    assert target_named(CONDITION).condition_id == CONDITION
    fixed = target_named("bitcoin-above-100k-on-friday")
    assert (fixed.slug, fixed.series, fixed.underlying) == ("bitcoin-above-100k-on-friday", None, "BTC")
