"""Every block of the page on embedding is run, and its tables are complete."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from actors import ServiceClosed
from actors.faults import FaultKind
from actors.rest import RestFaultKind
from actors.service.desk import refusal
from engine.botrecord import BotRecord
from engine.envelope import envelope_line
from engine.fusion import DISAGREEMENT_FACTOR, MISSING_SIDE_FACTOR
from engine.settings import FollowSettings, Settings
from tests.pages import run_cells, run_program, sections_of, stand_in

pytestmark = pytest.mark.untraced

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "embedding.md"
SECTIONS = sections_of(PAGE)

Names = dict[str, Any]


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with stand_in(monkeypatch):
        yield


def test_no_block_is_forgotten() -> None:
    tested = {
        "On asyncio",
        "Without any loop",
        "In a notebook",
        "On trio",
        "Kept, or made in every cycle",
        "What a call answers",
        "Testing your bot",
        "Logs",
    }
    assert set(SECTIONS) == tested


@pytest.mark.parametrize("title", ["On asyncio", "Without any loop", "On trio"])
def test_a_loop_that_prints(title: str, capsys: pytest.CaptureFixture[str]) -> None:
    [block] = SECTIONS[title]
    run_program(block, {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert re.match(r"[A-Z_]+_(BULLISH|BEARISH|NEUTRAL) -?[01]\.\d+ [01]\.\d+ (None|0\.\d+) None", line), line


def test_a_notebook() -> None:
    names: Names = {}
    run_cells(SECTIONS["In a notebook"], names)
    assert names["signal"].reason is None
    assert names["signal"].window.coverage > 0.9
    with pytest.raises(RuntimeError, match="closed"):
        names["service"].start()


def test_a_service_in_every_cycle() -> None:
    names: Names = {}
    [block] = SECTIONS["Kept, or made in every cycle"]
    run_program(block, names)
    assert names["engine"].closed
    with pytest.raises(ServiceClosed):
        names["cycle"]("btc-15m")


def test_the_answer_in_every_form() -> None:
    names: Names = {}
    for block in SECTIONS["What a call answers"]:
        run_program(block, names)
    assert list(names["record"]) == list(BotRecord.__dataclass_fields__)
    line = json.loads(names["line"])
    assert line["signal_type"] == names["record"]["signal_type"]
    assert 0.0 < line["window"]["coverage"] < 0.3, "asked after ten seconds"
    both, alone = names["both"], names["alone"]
    assert 0.1 < both.score < 0.4
    assert both.confidence == pytest.approx((0.8 + 2 * 0.5) / 3)
    assert (alone.score, alone.missing_side) == (0.1, True)
    assert alone.confidence == pytest.approx(0.5 * MISSING_SIDE_FACTOR)
    assert DISAGREEMENT_FACTOR < 1


def test_a_test_of_a_bot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # it brings a venue of its own
    [block] = SECTIONS["Testing your bot"]
    run_program(block, {})


def test_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("updown")
    monkeypatch.setattr(logger, "level", logger.level)
    monkeypatch.setattr(logging, "basicConfig", lambda level: None)
    [block] = SECTIONS["Logs"]
    run_program(block, {})
    assert not logger.isEnabledFor(logging.WARNING)


# ---------------------------------------------------------------------------------------------------------- the tables


def rows_of(title: str) -> list[list[str]]:
    """The cells of every row of the first table of a section."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_every_reason_is_explained() -> None:
    told: dict[str, set[str]] = {}
    current = ""
    for verdict, reasons, *_ in rows_of("When there is no score"):
        current = verdict.strip("`") or current
        told.setdefault(current, set()).update(re.findall(r"`(\w+)`", reasons))
    schema = json.loads((DOCS / "signal-envelope.schema.json").read_text(encoding="utf-8"))
    known = set(schema["$defs"]["market_signal"]["properties"]["reason"]["enum"]) - {None}
    known |= {kind.value for kind in FaultKind} | {f"metadata_{kind.value}" for kind in RestFaultKind}
    closed = {"closed", "resolved", "unknown_market"}
    assert told["MARKET_CLOSED"] == closed
    assert told["MARKET_UNAVAILABLE"] == (known - closed) | {"closed"}


def test_the_answer_of_a_service_without_its_engine_is_an_envelope_like_any_other() -> None:
    validator = Draft202012Validator(json.loads((DOCS / "signal-envelope.schema.json").read_text(encoding="utf-8")))
    for reason in ("engine_down", "internal_error", "unknown_market", "metadata_timeout"):
        for follow in (None, FollowSettings(series="btc-15m")):
            validator.validate(json.loads(envelope_line(refusal(Settings(), follow, reason))))


def test_links_lead_somewhere() -> None:
    for page in (PAGE, DOCS / "examples" / "migrating.md"):
        for target, _, anchor in re.findall(r"\]\(([^)#:]*)(#([^)]+))?\)", page.read_text(encoding="utf-8")):
            other = page if not target else page.parent / target
            assert other.exists(), target
            if anchor:
                titles = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, anchor
