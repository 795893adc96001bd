from __future__ import annotations

import subprocess
import sys

import pytest

from actors.evaluation.extra import MissingExtra, require

PROGRAM = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {"scipy", "sklearn"} else real(name, package)
import actors
try:
    import actors.evaluation.metrics
except ImportError as error:
    print(type(error).__name__, error)
"""


def test_what_is_there_is_not_complained_about():
    require()
    require(["json"], "anything")


def test_what_is_missing_is_named_with_the_extra():
    with pytest.raises(MissingExtra, match=r"no_such_library not installed.*updown\[plots\]"):
        require(["json", "no_such_library"], "plots")


def test_importing_any_part_says_so():
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.startswith("MissingExtra scipy, sklearn not installed")
    assert "updown[evaluate]" in result.stdout


def test_the_package_of_actors_needs_none_of_them():
    libraries = "{'numpy', 'scipy', 'sklearn'}"
    program = f"import sys, actors, actors.captures, actors.cli; print({libraries} & {{*sys.modules}} or 'none')"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "none"
