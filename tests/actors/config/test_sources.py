import os
from pathlib import Path

import pytest

from actors.config.origins import ConfigError, Kind, Origin
from actors.config.sources import FILE_BYTES, KEY_PARTS, Layer, merged, read_file, read_flag, read_variable, variables


def problem(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_file(path)
    (text,) = caught.value.problems
    return text.removeprefix(str(path))


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "a.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_is_read_with_its_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "\n[log]\nlevel = 'debug'\n")
    layer = read_file(path)
    assert layer.tree == {"log": {"level": "debug"}}
    assert layer.origins["log", "level"] == Origin(kind=Kind.FILE, name=str(path), line=3)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, b"\xef\xbb\xbfa = 1")).tree == {"a": 1}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a = 1\nb == 2\n", ":2: not TOML: Invalid value"),
        ("a = 1\na = 2\n", ":2: not TOML: Cannot overwrite a value"),
        ("a = [1,\n2,\n", ":3: not TOML: "),
        (b"a = 1\nb = '\xff'\n", ":2: not UTF-8"),
        ("a = " + "[" * 20_000, ": nested too deeply"),
        (".".join("a" * (KEY_PARTS + 1)) + " = 1", f": a key of more than {KEY_PARTS} parts"),
        ("#" * (FILE_BYTES + 1), f": larger than {FILE_BYTES} bytes"),
    ],
)
def test_what_is_no_configuration_is_told_with_its_line(tmp_path: Path, content: str | bytes, text: str) -> None:
    assert problem(written(tmp_path, content)).startswith(text)


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, "#" * FILE_BYTES)).tree == {}


def test_what_is_no_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    assert problem(tmp_path) == ": not a regular file"
    assert problem(tmp_path / "absent.toml") == ": No such file or directory"
    endless = tmp_path / "endless.toml"
    endless.symlink_to("/dev/zero")
    assert problem(endless) == ": not a regular file"
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    assert problem(pipe) == ": not a regular file"


def test_a_variable_names_section_and_key() -> None:
    layer = read_variable("UPDOWN__SCORING__WINDOW_S", "90")
    assert layer.tree == {"scoring": {"window_s": 90}}
    assert layer.origins == {("scoring", "window_s"): Origin(kind=Kind.ENVIRONMENT, name="UPDOWN__SCORING__WINDOW_S")}


def test_only_variables_of_the_prefix_are_settings() -> None:
    environ = {"UPDOWN__B": "2", "UPDOWN_CAPTURES": "/x", "PATH": "/bin", "UPDOWN__A": "1"}
    assert variables(environ) == [("UPDOWN__A", "1"), ("UPDOWN__B", "2")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60", 60),
        ("60.5", 60.5),
        ("true", True),
        ('"60"', "60"),
        ("debug", "debug"),
        ("", ""),
        (" 1 ", 1),
        ("[1, 2]", [1, 2]),
        ('[{ series = "btc-5m" }]', [{"series": "btc-5m"}]),
        ("wss://example.invalid/ws?a=b#c", "wss://example.invalid/ws?a=b#c"),
        ("1\nb = 2", "1\nb = 2"),
        ("12O", "12O"),
        ("[" * 20_000, "[" * 20_000),
    ],
)
def test_a_value_is_toml_or_else_a_bare_word(text: str, value: object) -> None:
    assert read_flag(f"a.b={text}").tree == {"a": {"b": value}}


@pytest.mark.parametrize("text", ["scoring.window_s", "=5", "a..b=1", ".a=1", "a b=1", "a.=1", ""])
def test_a_flag_that_names_no_key_is_a_problem(text: str) -> None:
    with pytest.raises(ConfigError, match="--set: "):
        read_flag(text)


@pytest.mark.parametrize("name", ["UPDOWN__", "UPDOWN__A__", "UPDOWN____A", "UPDOWN__A B"])
def test_a_variable_that_names_no_key_is_a_problem(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: no key"):
        read_variable(name, "1")


def layer(tree: dict[str, object], name: str, *paths: tuple[str | int, ...]) -> Layer:
    return Layer(tree=tree, origins={path: Origin(kind=Kind.FILE, name=name) for path in paths})


def test_tables_are_merged_and_everything_else_is_replaced() -> None:
    whole = merged(
        [
            layer({"log": {"level": "info", "format": "json"}, "follow": [{"series": "a"}, {"series": "b"}]}, "1"),
            layer({"log": {"level": "debug"}, "follow": [{"slug": "c"}]}, "2"),
            layer({"scoring": {"weights": {"momentum": 1}}}, "3"),
            layer({"scoring": {"weights": {"whale": 2}}}, "4"),
        ]
    )
    assert whole.tree == {
        "log": {"level": "debug", "format": "json"},
        "follow": [{"slug": "c"}],
        "scoring": {"weights": {"momentum": 1, "whale": 2}},
    }


def test_a_replaced_value_takes_its_origins_with_it() -> None:
    whole = merged(
        [
            layer({"follow": [{"series": "a"}]}, "1", ("follow",), ("follow", 0), ("follow", 0, "series")),
            layer({"follow": [{"slug": "c"}]}, "2", ("follow",), ("follow", 0), ("follow", 0, "slug")),
        ]
    )
    assert {path: origin.name for path, origin in whole.origins.items()} == {
        ("follow",): "2",
        ("follow", 0): "2",
        ("follow", 0, "slug"): "2",
    }


def test_a_value_and_a_table_replace_each_other() -> None:
    assert merged([layer({"log": 5}, "1"), layer({"log": {"level": "info"}}, "2")]).tree == {"log": {"level": "info"}}
    assert merged([layer({"log": {"level": "info"}}, "1"), layer({"log": 5}, "2")]).tree == {"log": 5}


def test_merging_changes_no_layer() -> None:
    first = layer({"log": {"level": "info"}}, "1")
    merged([first, layer({"log": {"level": "debug"}}, "2")])
    assert first.tree == {"log": {"level": "info"}}
