import pytest

from actors.config.origins import DEFAULT, ConfigError, Kind, Origin, Problem, dotted, nearest
from engine.errors import SettingsError

FILE = Origin(kind=Kind.FILE, name="a.toml", line=3)


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (DEFAULT, "default"),
        (FILE, "a.toml:3"),
        (Origin(kind=Kind.FILE, name="a.toml"), "a.toml"),
        (Origin(kind=Kind.ENVIRONMENT, name="UPDOWN__LOG__LEVEL"), "UPDOWN__LOG__LEVEL"),
        (Origin(kind=Kind.FLAG, name="--set"), "--set"),
    ],
)
def test_an_origin_reads_as_the_place_to_look_at(origin: Origin, text: str) -> None:
    assert str(origin) == text


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("log",), "log"), (("log", "level"), "log.level"), (("a", 1, "b", 0), "a[1].b[0]")]
)
def test_a_path_reads_as_in_toml_and_json(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text


def test_a_problem_reads_place_key_message() -> None:
    assert str(Problem(message="wrong", key="log.level", origin=FILE)) == "a.toml:3: log.level: wrong"
    assert str(Problem(message="wrong", origin=FILE)) == "a.toml:3: wrong"
    assert str(Problem(message="wrong", key="log.level")) == "log.level: wrong"


def test_a_problem_is_bounded_and_escaped() -> None:
    problem = Problem(message="\x1b[2J" + "x" * 1000, origin=Origin(kind=Kind.FILE, name="a\nb"))
    assert "\x1b" not in str(problem)
    assert "\n" not in str(problem)
    assert len(problem.message) == 256


def test_a_problem_as_json_keeps_its_parts_apart() -> None:
    assert Problem(message="wrong", key="log.level", origin=FILE).as_json() == {
        "source": "file",
        "file": "a.toml",
        "line": 3,
        "key": "log.level",
        "message": "wrong",
        "text": "a.toml:3: log.level: wrong",
    }
    assert Problem(message="wrong", origin=Origin(kind=Kind.FLAG, name="--set")).as_json()["file"] is None


def test_a_config_error_is_a_settings_error_with_its_problems() -> None:
    found = [Problem(message="one"), Problem(message="two", origin=FILE)]
    error = ConfigError(found)
    assert isinstance(error, SettingsError)
    assert error.found == tuple(found)
    assert error.problems == ("one", "a.toml:3: two")


def test_the_nearest_origin_is_the_key_then_its_inside_then_its_table() -> None:
    inside, table = Origin(kind=Kind.FLAG, name="--set"), Origin(kind=Kind.FILE, name="a.toml", line=1)
    origins = {("log",): table, ("log", "level"): FILE, ("feed", "idle_s"): inside}
    assert nearest(origins, ("log", "level")) is FILE
    assert nearest(origins, ("log", "format")) is table
    assert nearest(origins, ("log", "deep", 0, "deeper")) is table
    assert nearest(origins, ("feed",)) is inside
    assert nearest(origins, ("scoring",)) is DEFAULT
