"""What is needed beyond the runtime's own dependencies, and a clear word where it is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from engine.errors import UpdownError

NEEDED: Final = ("numpy", "scipy")


class MissingExtra(UpdownError, ImportError):
    """A library of the optional extra is not installed."""


def require_extra() -> None:
    """Raises ``MissingExtra``, which names the extra, unless numpy and scipy can be imported."""
    for name in NEEDED:
        try:
            import_module(name)
        except ImportError as error:
            raise MissingExtra(
                f"{name} not installed; simulated markets need: pip install 'updown[evaluate]'"
            ) from error
