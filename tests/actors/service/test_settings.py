"""What a bot may hand over as settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from attrs import evolve

from actors.config.origins import ConfigError
from actors.service import BackgroundEngine, MarketMicrostructureService
from actors.service.settings import settings_of
from engine.settings import DiscoverySettings, FollowSettings, ScoringSettings, Settings

SCORING = ScoringSettings(window_s=60.0, preset="corrected")


def test_ours_are_taken_as_they_are() -> None:
    ours = Settings(follow=(FollowSettings(series="btc-15m"),), scoring=SCORING)
    assert settings_of(ours) is ours


def test_nothing_means_the_defaults() -> None:
    assert settings_of(None) == Settings()


@pytest.mark.parametrize("spelled", [str, Path])
def test_a_path_is_a_file_of_ours(tmp_path: Path, spelled: type[Any]) -> None:
    path = tmp_path / "bot.toml"
    path.write_text('[scoring]\nwindow_s = 60.0\n[[follow]]\nseries = "btc-15m"\n', encoding="utf-8")
    settings = settings_of(spelled(path))
    assert settings.scoring.window_s == 60.0
    assert settings.follow == (FollowSettings(series="btc-15m"),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "missing.toml"),
        ("[scoring]\nwindow_s = 5.0\nwindos_s = 60.0\n", "windos_s"),
        ("[scoring\n", "missing.toml"),
    ],
)
def test_a_bad_file_is_told_at_once(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "missing.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        MarketMicrostructureService(str(path))


@dataclass
class BotSettings:
    """What a bot has: values of its own, and now and then a section of ours."""

    api_key: str = "secret"
    window_s: float = 1.0
    scoring: object = SCORING
    venue: object = "polymarket"
    follow: list[str] = field(default_factory=lambda: ["BTC"])


def test_an_object_of_the_bots_own_gives_the_sections_that_are_ours() -> None:
    assert settings_of(BotSettings()) == Settings(scoring=SCORING)
    both = BotSettings()
    both.discovery = DiscoverySettings(linger_s=0.0)  # type: ignore[attr-defined]
    assert settings_of(both) == Settings(scoring=SCORING, discovery=DiscoverySettings(linger_s=0.0))


@pytest.mark.parametrize(
    "given",
    [object(), SimpleNamespace(), {"scoring": SCORING}, 7, b"bot.toml", BotSettings(scoring={"window_s": 60.0})],
    ids=["object", "namespace", "mapping", "number", "bytes", "a section that is none of ours"],
)
def test_an_object_without_any_means_the_defaults(given: object) -> None:
    assert settings_of(given) == Settings()


class Everything:
    """Answers to every name, as proxies and mocks do."""

    def __getattr__(self, name: str) -> object:
        return Everything()


class Refusing:
    """Refuses names it does not know in its own way, as lazily validated models do."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error
        self.scoring = SCORING

    def __getattr__(self, name: str) -> object:
        raise self._error(name)


class Computed:
    """Makes its sections when they are asked for, and fails to make one of them."""

    @property
    def scoring(self) -> ScoringSettings:
        return SCORING

    @property
    def venue(self) -> object:
        raise RuntimeError("not configured")


def test_attributes_that_are_made_up_are_nobodys_sections() -> None:
    assert settings_of(Everything()) == Settings()
    assert settings_of(MagicMock()) == Settings()


@pytest.mark.parametrize("error", [AttributeError, KeyError, TypeError, ValueError, RuntimeError])
def test_attributes_that_refuse_to_be_read_are_not_there(error: type[Exception]) -> None:
    assert settings_of(Refusing(error)) == Settings(scoring=SCORING)
    assert settings_of(Computed()) == Settings(scoring=SCORING)


def test_the_service_has_the_settings_of_its_engine_unless_it_is_given_others() -> None:
    engine = BackgroundEngine(Settings(scoring=SCORING))
    assert MarketMicrostructureService(engine=engine).settings is engine.settings
    assert MarketMicrostructureService(BotSettings()).settings == Settings(scoring=SCORING)
    other = evolve(engine.settings, discovery=DiscoverySettings(linger_s=1.0))
    assert MarketMicrostructureService(other, engine=engine).settings is other


def test_the_window_of_the_settings_is_the_yardstick_of_confidence() -> None:
    data = {"trades": [{}] * 50, "collection_duration": 60.0}
    assert MarketMicrostructureService(BotSettings()).calculate_confidence(data) == 1.0
    assert MarketMicrostructureService(None).calculate_confidence(data) == 0.5
