"""What the README promises is run."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

import actors
from actors import Venue, open_engine
from actors.cli import COMMANDS
from actors.clock import Clock
from actors.config import load_settings
from actors.venue import Faults
from tests.actors.local_venue import QUARTER_S, QUIET, ports

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_embedding_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    [example] = blocks("python")

    async def against_the_stand_in(bot: object) -> None:
        clock = Clock.anchored((QUARTER_S + 1) * 10**9)
        venue = Venue(clock, QUIET)
        async with trio.open_nursery() as nursery:
            await nursery.start(venue.run)
            monkeypatch.setitem(actors.__dict__, "open_engine", partial(open_engine, ports=ports(clock, venue)))
            namespace: dict[str, object] = {}
            exec(example.replace("trio.run(bot)", ""), namespace)
            with trio.move_on_after(21):
                await namespace["bot"]()  # type: ignore[operator]
            nursery.cancel_scope.cancel()

    trio.run(against_the_stand_in, None, clock=trio.testing.MockClock(autojump_threshold=0))
    lines = [
        line for line in capsys.readouterr().out.splitlines() if re.match(r"\S+: [A-Z_]+ [+-]\d\.\d\d, conf", line)
    ]
    assert len(lines) == 8, "two markets, four deadlines"


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
