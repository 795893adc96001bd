import re
import tomllib
from pathlib import Path

import attrs
import pytest

from actors.config import ConfigError, example_text, load_settings
from actors.config.example import COMMENTS, FOLLOWED, SECTIONS
from engine.settings import FollowSettings, Settings

SHIPPED = Path(__file__).resolve().parents[3] / "config" / "updown.toml"
BETWEEN = re.compile(r"\((?:\w+, )?(?P<low>[\d.]+) to (?P<high>[\d.]+)\)")
UP_TO = re.compile(r"\((?:\w+, )?up to (?P<high>[\d.]+)\)")


def keys() -> list[str]:
    sections = ((name, type(getattr(Settings(), name))) for name in attrs.fields_dict(Settings) if name != "follow")
    return [f"{name}.{key}" for name, kind in sections for key in attrs.fields_dict(kind)]


def test_the_example_is_the_defaults_and_the_followed_series(tmp_path: Path) -> None:
    file = tmp_path / "updown.toml"
    file.write_text(example_text(), encoding="utf-8")
    expected = Settings(follow=tuple(FollowSettings(series=name) for name in FOLLOWED))
    assert load_settings([file]).settings == expected


@pytest.mark.usefixtures("shipped_transport")
def test_the_shipped_file_is_the_example() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == example_text()


def test_every_setting_has_its_comment_and_no_other() -> None:
    assert list(COMMENTS) == keys()
    assert [*SECTIONS] == [name for name in attrs.fields_dict(Settings) if name != "follow"]


def test_every_setting_stands_in_the_example_with_its_comment_above() -> None:
    for key, comment in COMMENTS.items():
        section, name = key.split(".")
        text = example_text().partition(f"[{section}]\n")[2]
        assert re.search(rf"^# {re.escape(comment)}\n(# )?{name} = ", text, flags=re.MULTILINE), key


def test_what_is_commented_out_would_load_as_well(tmp_path: Path) -> None:
    commented = re.findall(r"^# (weights|options|ca_file)( = .*)$", example_text(), flags=re.MULTILINE)
    assert len(commented) == 3
    text = "\n".join(f"{name}{rest}" for name, rest in commented if name != "ca_file")
    assert tomllib.loads(text)["weights"] == {"momentum": 0.4, "volume_flow": 0.35, "whale": 0.25}
    file = tmp_path / "a.toml"
    file.write_text(f'[scoring]\npreset = "corrected"\n{text}\n', encoding="utf-8")
    assert load_settings([file]).settings.scoring.options["lambda_flow"] == 5.0


@pytest.mark.parametrize("key", [key for key in keys() if key != "scoring.weights" and BETWEEN.search(COMMENTS[key])])
def test_the_range_in_a_comment_is_the_range(key: str) -> None:
    found = BETWEEN.search(COMMENTS[key])
    assert found is not None
    low, high = found["low"], found["high"]
    load_settings(overrides=[f"{key}={low}"])
    load_settings(overrides=[f"{key}={high}"])
    for outside in (f"{float(low) - 1:g}", f"{float(high) + 1:.0f}"):
        with pytest.raises(ConfigError, match="must be"):
            load_settings(overrides=[f"{key}={outside}"])


@pytest.mark.parametrize("key", [key for key in keys() if UP_TO.search(COMMENTS[key])])
def test_the_limit_in_a_comment_is_the_limit(key: str) -> None:
    found = UP_TO.search(COMMENTS[key])
    assert found is not None
    load_settings(overrides=[f"{key}={found['high']}"])
    for outside in ("0", f"{float(found['high']) + 1:.0f}"):
        with pytest.raises(ConfigError, match="must be"):
            load_settings(overrides=[f"{key}={outside}"])


def test_every_number_has_its_range() -> None:
    numbers = [key for key in keys() if type(_default(key)) in (int, float)]
    assert [key for key in numbers if not (BETWEEN.search(COMMENTS[key]) or UP_TO.search(COMMENTS[key]))] == []


def _default(key: str) -> object:
    section, name = key.split(".")
    return getattr(getattr(Settings(), section), name)
