"""The optional extra: libraries that only evaluation needs, and a clear word when they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from engine.errors import UpdownError

LIBRARIES: Final = ("numpy", "scipy", "sklearn")
"""What statistics need, by import name."""


class MissingExtra(UpdownError, ImportError):
    """Libraries of an optional extra are not installed; names them and the extra."""


def require(libraries: Sequence[str] = LIBRARIES, extra: str = "evaluate") -> None:
    """Raise ``MissingExtra`` unless all ``libraries`` can be found; none of them is imported."""
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"{', '.join(missing)} not installed; evaluation needs: pip install 'updown[{extra}]'")
