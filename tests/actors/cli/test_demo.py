"""``updown demo``: several series, a roll-over and an outage, on screen and as lines."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from actors.cli import main
from actors.cli.demo import CUT_SERIES, LEAD_S, QUARTER_S, SERIES, quarter_clock
from engine.units import NS_PER_S

SCHEMA = Path(__file__).parents[3] / "docs" / "signal-envelope.schema.json"


@pytest.mark.parametrize("minutes", range(0, 60, 5))
async def test_the_clock_starts_before_a_quarter_that_is_no_full_hour(minutes: int) -> None:
    now_ns = quarter_clock((1_790_002_800 + 60 * minutes) * NS_PER_S).now_ns()
    rolls_s = now_ns // NS_PER_S + LEAD_S
    assert rolls_s % QUARTER_S == 0
    assert rolls_s % 3600 != 0


@pytest.mark.socket
@pytest.mark.untraced
def test_the_lines_show_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert main(["demo", "--seconds", "2", "--rate", "120", "-o", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    for line in lines:
        validator.validate(line)
    by_series: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["event_type"] == "market_signal":
            by_series[line["series"]].append(line)
    assert set(by_series) == set(SERIES)
    assert len({line["slug"] for line in by_series["btc-5m"] if line["phase"] == "open"}) == 2, "it rolled over"
    cut = [line["signal_type"] for line in by_series[CUT_SERIES] if line["phase"] == "open"]
    assert "MARKET_UNAVAILABLE" in cut[3:], "the outage shows"
    assert cut[-1] != "MARKET_UNAVAILABLE", "and is over"


@pytest.mark.socket
def test_the_table_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--seconds", "1.5", "--rate", "20", "-o", "table"]) == 0
    out = capsys.readouterr().out
    assert "btc-5m" in out
    words = " ".join(out.split())
    assert "Stand-in venue, 20 times real time" in words
    assert "after 1 s the venue cuts btc-1h off and refuses every new connection for 2 s." in words


def test_a_length_that_is_none_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--seconds", "0"]) == 2
