import subprocess
import sys

import pytest

import actors.simulate
from actors.simulate.extra import NEEDED, MissingExtra, require_extra
from engine.errors import UpdownError


@pytest.mark.parametrize("library", NEEDED)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"{library} not installed.*updown\[evaluate\]") as caught:
        require_extra()
    assert isinstance(caught.value, UpdownError)


def test_the_names_of_the_package_ask_for_the_extra_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtra):
        _ = actors.simulate.simulate


def test_every_name_of_the_package_can_be_had_and_no_other() -> None:
    assert all(getattr(actors.simulate, name) is not None for name in actors.simulate.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = actors.simulate.nothing_such


def test_importing_the_package_imports_no_library() -> None:
    program = "import sys, actors.simulate; print('numpy' in sys.modules, actors.simulate.Design().seconds)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.split() == ["False", "900"]
