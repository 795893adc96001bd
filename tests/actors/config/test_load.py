from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from actors.config import ConfigError, Loaded, dotted, load_settings
from actors.config import load as load_module
from engine.settings import FollowSettings, LogSettings, Settings


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def problems(*files: Path, overrides: list[str] | None = None, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(files, overrides or [], environ)
    return list(caught.value.problems)


def origins(loaded: Loaded) -> dict[str, str]:
    return {dotted(path): str(origin) for path, _, origin in loaded.rows()}


def test_without_sources_there_are_the_defaults() -> None:
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert set(origins(loaded).values()) == {"default"}


def test_flag_is_stronger_than_environment_than_file_than_default(tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", "[scoring]\nwindow_s = 70\ncadence_s = 1\nstale_after_s = 2\n")
    environ = {"UPDOWN__SCORING__WINDOW_S": "80", "UPDOWN__SCORING__CADENCE_S": "3"}
    loaded = load_settings([file], ["scoring.window_s=90", "log.level=info"], environ, flags={"-v": "log.level=debug"})
    scoring = loaded.settings.scoring
    assert (scoring.window_s, scoring.cadence_s, scoring.stale_after_s, scoring.outage_grace_s) == (90.0, 3.0, 2.0, 5.0)
    assert loaded.settings.log.level == "debug"
    told = origins(loaded)
    assert told["scoring.window_s"] == "--set"
    assert told["scoring.cadence_s"] == "UPDOWN__SCORING__CADENCE_S"
    assert told["scoring.stale_after_s"] == f"{file}:4"
    assert told["scoring.outage_grace_s"] == "default"
    assert told["log.level"] == "-v"


def test_later_files_override_by_table_but_the_follow_list_as_a_whole(tmp_path: Path) -> None:
    first = written(tmp_path / "1.toml", "[[follow]]\nseries = 'btc-5m'\n[log]\nlevel = 'error'\nformat = 'json'\n")
    second = written(tmp_path / "2.toml", "[log]\nlevel = 'debug'\n\n[[follow]]\nslug = 'a'\n[[follow]]\nslug = 'b'\n")
    loaded = load_settings([first, second])
    assert loaded.settings.follow == (FollowSettings(slug="a"), FollowSettings(slug="b"))
    assert loaded.settings.log == LogSettings(level="debug", format="json")
    assert origins(loaded)["follow[1].slug"] == f"{second}:7"
    assert origins(loaded)["log.format"] == f"{first}:5"


def test_inline_values_stand_on_the_line_of_their_parent(tmp_path: Path) -> None:
    text = "\nscoring = { window_s = 60, weights = { whale = 0.1 } }\nfollow = [\n  { series = 'btc-5m' },\n]\n"
    file = written(tmp_path / "a.toml", text)
    told = origins(load_settings([file]))
    assert told["scoring.window_s"] == f"{file}:2"
    assert told["scoring.weights.whale"] == f"{file}:2"
    assert told["follow[0].series"] == f"{file}:3"
    assert told["scoring.cadence_s"] == "default"


def test_weights_and_follow_list_can_come_from_anywhere() -> None:
    loaded = load_settings(
        overrides=["scoring.weights.momentum=0.5"],
        environ={"UPDOWN__FOLLOW": '[{ series = "eth-1h" }]', "UPDOWN__SCORING__WEIGHTS__WHALE": "0.1"},
    )
    assert loaded.settings.follow == (FollowSettings(series="eth-1h"),)
    assert loaded.settings.scoring.weights == {"momentum": 0.5, "whale": 0.1}
    assert origins(loaded)["follow[0].series"] == "UPDOWN__FOLLOW"


def test_every_problem_of_every_source_is_told_with_its_place(tmp_path: Path) -> None:
    text = "[scoring]\nwindow_s = 5\nwindos_s = 5\n\n[[follow]]\nseries = 'btc-5'\n" + 2 * "[[follow]]\nslug = 'a'\n"
    good, torn, absent = written(tmp_path / "a.toml", text), written(tmp_path / "b.toml", "x ="), tmp_path / "c.toml"
    environ = {"UPDOWN__FEED__IDEL_S": "5", "UPDOWN__": "1"}
    assert problems(good, torn, absent, overrides=["nonsense", "log.level=loud"], environ=environ) == [
        f"{good}:2: scoring.window_s: must be >= 60.0: 5.0",
        f'{good}:3: scoring.windos_s: unknown key (did you mean "window_s"?)',
        f"{good}:6: follow[0].series: unknown series 'btc-5' (did you mean \"btc-5m\"?)",
        f"{good}:9: follow[2]: a is followed already by follow[1]",
        f"{torn}:1: not TOML: Invalid value",
        f"{absent}: No such file or directory",
        "UPDOWN__: no key of a section: ''",
        'UPDOWN__FEED__IDEL_S: feed.idel_s: unknown key (did you mean "idle_s"?)',
        "--set: not of the form section.key=value: 'nonsense'",
        "--set: log.level: must be in ('debug', 'info', 'warning', 'error') (got 'loud')",
    ]


def test_an_unknown_table_stands_where_its_header_or_its_flag_is(tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", "# one\n[scorign]\nwindow_s = 5\n")
    assert problems(file) == [f'{file}:2: scorign: unknown key (did you mean "scoring"?)']
    assert problems(overrides=["scorign.window_s=5"]) == ['--set: scorign: unknown key (did you mean "scoring"?)']


def test_what_the_scorer_refuses_is_told_at_once() -> None:
    assert problems(overrides=["scoring.weights.whales=0.5"]) == [
        "--set: scoring.weights.whales: preset 'seed': unknown component whales (known: momentum, volume_flow, whale)"
    ]
    assert problems(overrides=["scoring.preset=corrected", "scoring.options.half=1", "scoring.window_s=1"])[1:] != []


@pytest.mark.parametrize("override", ["scoring=5", "scoring.weights=5", "scoring.preset=5", "scoring.weights.whale=x"])
def test_a_wrong_type_is_told_once(override: str) -> None:
    assert len(problems(overrides=[override])) == 1


def test_what_a_plugin_takes_is_not_judged_here() -> None:
    overrides = ["scoring.preset=mine", "scoring.weights.anything=0.5"]
    assert load_settings(overrides=overrides, plugins=["mine"]).settings.scoring.preset == "mine"
    assert problems(overrides=overrides)[0].startswith("--set: scoring.preset: unknown preset 'mine'")


def test_ten_thousand_markets_and_one_duplicate(tmp_path: Path) -> None:
    entries = "".join(f"[[follow]]\nslug = 'market-{number}'\n" for number in range(10_000))
    file = written(tmp_path / "a.toml", entries)
    assert len(load_settings([file]).settings.follow) == 10_000
    written(file, entries + "[[follow]]\nslug = 'market-7'\n")
    assert problems(file) == [f"{file}:20001: follow[10000]: market-7 is followed already by follow[7]"]


def test_a_secret_is_never_shown() -> None:
    @attrs.frozen(kw_only=True)
    class Vault:
        token: str | None = attrs.field(default=None, metadata={"secret": True})
        name: str = "open"

    leaves = dict(load_module._leaves(Vault(token="hunter2"), ()))
    assert leaves == {("token",): load_module.HIDDEN, ("name",): "open"}
    assert dict(load_module._leaves(Vault(), ()))["token",] is None
