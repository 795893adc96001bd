import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.plugins import PluginError, discover, names

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution that has one module and some entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(distribution: str, code: str, *points: str) -> None:
        module = f"{distribution}_module"
        (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
        information = tmp_path / f"{distribution}-1.2.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.2\n", encoding="utf-8")
        lines = "".join(f"{point} = {module}:factory\n" for point in points)
        (information / "entry_points.txt").write_text(f"[updown.scorers]\n{lines}", encoding="utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return make


GOOD = "def factory(preset):\n    return preset\n"


def test_nothing_is_installed_by_default() -> None:
    assert names("updown.nothing") == frozenset()
    assert discover("updown.nothing") == {}


def test_a_plugin_is_found_by_the_name_of_its_entry_point(install: Install) -> None:
    install("acme", GOOD, "mine", "other")
    assert {"mine", "other"} <= names()
    assert discover()["mine"].__module__ == "acme_module"


def test_names_are_told_without_loading(install: Install) -> None:
    install("acme", "raise RuntimeError('loaded')", "mine")
    assert "mine" in names()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise RuntimeError('no licence')", "cannot be loaded: RuntimeError: no licence"),
        ("import a_module_that_is_not_there", "cannot be loaded: ModuleNotFoundError: "),
        ("other = 1", "cannot be loaded: AttributeError: "),
        ("factory = 5", "acme_module:factory cannot be called"),
    ],
)
def test_a_broken_plugin_is_told_by_its_distribution(install: Install, code: str, why: str) -> None:
    install("acme", code, "mine")
    with pytest.raises(PluginError, match=f"scorer 'mine' of acme 1.2: {why}"):
        discover()


def test_a_name_belongs_to_one_distribution(install: Install) -> None:
    install("acme", GOOD, "mine")
    install("bolt", GOOD, "mine")
    with pytest.raises(PluginError, match=r"the name is taken by scorer 'mine' of (acme|bolt) 1.2"):
        discover()


def test_a_built_in_scorer_cannot_be_replaced(install: Install) -> None:
    install("acme", GOOD, "seed")
    with pytest.raises(PluginError, match=r"scorer 'seed' of acme 1\.2: the name of a built-in scorer"):
        discover()
