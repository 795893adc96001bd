from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import pytest

from actors.cli import main, version


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"updown {installed('updown')}\n"


def test_a_bare_source_tree_has_no_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(version, "version", absent)
    assert main(["version"]) == 0
    assert capsys.readouterr().out == "updown unknown\n"
