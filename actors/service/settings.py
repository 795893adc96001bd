"""What a bot hands over as settings: ours, a file of ours, nothing, or an object of its own."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import attrs

from actors.config import load_settings
from engine.settings import Settings


def settings_of(given: object) -> Settings:
    """Our settings, from whatever a bot has.

    ``None`` means the defaults, a text or path a TOML file. Of any other object those attributes count that are named
    like a section of ours and hold one (``settings.scoring = ScoringSettings(window_s=60)``); all others are the bot's
    own business. Raises ``ConfigError`` with everything that is wrong in a file.
    """
    if isinstance(given, Settings):
        return given
    # Not os.PathLike: an object that answers to everything, such as a mock, has a path to tell, too.
    if isinstance(given, str | PurePath):
        return load_settings([Path(given)]).settings
    defaults = Settings()
    sections: dict[str, Any] = {}
    for attribute in attrs.fields(Settings):
        mine, theirs = getattr(defaults, attribute.name), _attribute(given, attribute.name)
        if attrs.has(type(mine)) and isinstance(theirs, type(mine)):
            sections[attribute.name] = theirs
    return attrs.evolve(defaults, **sections)


def _attribute(given: object, name: str) -> object:
    try:
        return getattr(given, name, None)
    except Exception:  # noqa: BLE001 - objects with attributes of their own making say no in many ways
        return None
