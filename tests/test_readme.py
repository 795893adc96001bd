"""What the README promises is run."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import actors
from actors.cli import COMMANDS
from actors.config import load_settings
from actors.venue import Faults
from tests.pages import blocks_of, run_program, stand_in

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.untraced
@pytest.mark.parametrize("number", [0, 1, 2], ids=["asyncio", "no loop", "trio"])
def test_the_embedding_examples_run(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = blocks_of(README)
    assert len(examples) == 3
    with stand_in(monkeypatch):
        run_program(examples[number], {})
    lines = capsys.readouterr().out.splitlines()
    form, count = FORMS[number]
    assert len(lines) == count
    for line in lines:
        assert re.match(form, line), line


SCORED = r"\w*_(?:BULLISH|BEARISH|NEUTRAL)"

FORMS = [
    (rf"btc-updown-15m-\d+: {SCORED}, [+-]\d\.\d\d, confidence \d\.\d\d, mid (?:None|0\.\d+)$", 3),
    (rf"BotRecord\(score=.*, signal_type='{SCORED}', timestamp=datetime", 3),
    (r"(?:btc-updown-15m|bitcoin-up-or-down)-\S+: [A-Z_]+ [+-]\d\.\d\d, confidence \d\.\d\d$", 200),
]
"""What a line looks like, and how many there are: three cycles, or two markets for 500 s."""


def test_the_example_of_the_venue_page_runs() -> None:
    page = (ROOT / "docs" / "venue.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(example, {})
    for switch in re.findall(r"`(\w+)", page.partition("| silence")[2]):
        assert hasattr(Faults, switch) or switch in vars(Faults()), switch


def test_the_configuration_example_loads(tmp_path: Path) -> None:
    [example] = blocks("toml")
    path = tmp_path / "updown.toml"
    path.write_text(example)
    settings = load_settings([path]).settings
    assert [it.name for it in settings.follow] == ["btc-15m", "btc-updown-5m-1790001000"]
    assert settings.scoring.preset == "corrected"
    assert tomllib.loads(example)["scoring"]["window_s"] == settings.scoring.window_s


def test_every_command_is_named() -> None:
    named = {word for block in blocks("sh") for word in re.findall(r"updown ([a-z-]+)", block)}
    assert named | {"demo", "show-config", "version"} == set(COMMANDS)


def test_the_first_screen_has_the_two_commands() -> None:
    first = "\n".join(README.splitlines()[:25])
    assert "make demo" in first
    assert "make test" in first


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_lazy_names_are_all_there() -> None:
    for name in actors.__all__:
        assert getattr(actors, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = actors.nothing
    code = "import sys, actors; sys.exit('trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
