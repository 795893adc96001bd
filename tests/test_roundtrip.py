"""What was live comes out of the tapes again, byte for byte: in short what ``make roundtrip`` does in ten minutes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parent / "bench" / "roundtrip.py"


@pytest.fixture
def roundtrip() -> ModuleType:
    spec = importlib.util.spec_from_file_location("roundtrip", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.untraced
@pytest.mark.socket
def test_a_recording_replays_to_what_was_live_whole_and_cut(roundtrip: ModuleType, tmp_path: Path) -> None:
    measured, complaints = roundtrip.round_trip(tmp_path, seconds=4.0, cuts=100, cadence_s=0.5, rate=20.0)
    assert complaints == []
    assert measured["same_bytes"]
    assert measured["lines_live"] > 20
    assert measured["cuts"] == 100


def test_differences_are_told(roundtrip: ModuleType) -> None:
    assert roundtrip.differences(["a", "b"], ["b", "a"]) == []
    assert roundtrip.differences(["a", "b"], ["b", "c"]) == ["only live: a", "only replayed: c"]
