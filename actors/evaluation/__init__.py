"""Evaluation: does a score know anything that the market's own price does not? (signal-definitions part 5.)

Needs the extra ``updown[evaluate]``; importing anything of this package without it raises ``MissingExtra``.
"""

from __future__ import annotations

from actors.evaluation.extra import MissingExtra, require

require()

__all__ = ["MissingExtra"]
