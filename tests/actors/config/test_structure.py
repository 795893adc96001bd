import datetime
from typing import Any

import pytest

from actors.config.origins import dotted
from actors.config.structure import Rejected, structure
from engine.settings import AggregateSettings, FollowSettings, ScoringSettings, Settings, TransportKind

TIME = datetime.time(1)


def complaints(tree: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Rejected) as caught:
        structure(tree)
    told = caught.value.complaints
    assert len({path for path, _ in told}) == len(told)
    return {dotted(path): message for path, message in told}


def test_an_empty_tree_is_the_defaults() -> None:
    assert structure({}) == Settings()
    assert structure({"scoring": {}, "follow": []}) == Settings()


def test_values_find_their_places() -> None:
    tree = {
        "follow": [{"series": "btc-5m"}, {"slug": "some-market"}, {"condition_id": "0x" + "a" * 64}],
        "scoring": {"window_s": 60, "weights": {"whale": 1}, "options": {"a": "x", "b": True, "c": 2, "d": 0.5}},
        "aggregate": {"outside": ["spot", "funding"]},
    }
    settings = structure(tree)
    assert settings.follow[0] == FollowSettings(series="btc-5m")
    assert settings.follow[2].name == "0x" + "a" * 64
    assert settings.scoring == ScoringSettings(
        window_s=60.0, weights={"whale": 1.0}, options={"a": "x", "b": True, "c": 2.0, "d": 0.5}
    )
    assert settings.scoring.options["b"] is True
    assert settings.aggregate == AggregateSettings(outside=("spot", "funding"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("feed.message_bytes", "5", "expected an integer, got a string: '5'"),
        ("feed.message_bytes", 5.0, "expected an integer, got a number: 5.0"),
        ("feed.message_bytes", True, "expected an integer, got true"),
        ("feed.idle_s", "5", "expected a number, got a string: '5'"),
        ("feed.idle_s", False, "expected a number, got false"),
        ("feed.idle_s", float("nan"), "expected a finite number, got nan"),
        ("feed.idle_s", float("inf"), "expected a finite number, got inf"),
        ("feed.idle_s", [], "expected a number, got an array"),
        ("feed.idle_s", datetime.date(2026, 8, 16), "expected a number, got a date: 2026-08-16"),
        ("feed.transport", 5, "expected a string, got an integer: 5"),
        ("venue.user_agent", 5, "expected a string, got an integer: 5"),
        ("venue.ca_file", {}, "expected a string, got a table"),
        ("aggregate.outside", "spot", "expected an array, got a string: 'spot'"),
        ("aggregate.outside", ["spot", 1], "expected a string, got an integer: 1"),
        ("scoring.weights", [], "expected a table, got an array"),
        ("scoring.options", {"a": [1]}, "expected a string, a number, true or false, got an array"),
        (
            "scoring.options",
            {"a": datetime.time(1)},
            "expected a string, a number, true or false, got a time: 01:00:00",
        ),
    ],
)
def test_a_value_of_another_type_is_never_converted(key: str, value: object, message: str) -> None:
    section, name = key.split(".")
    (told,) = complaints({section: {name: value}}).values()
    assert told == message


@pytest.mark.parametrize("value", [5, "x", [], None.__class__.__name__])
def test_a_section_is_a_table(value: object) -> None:
    assert complaints({"feed": value})["feed"].startswith("expected a table, got ")
    assert complaints({"follow": [value]})["follow[0]"].startswith("expected a table, got ")


def test_a_wrong_value_is_quoted_shortly_and_on_one_line() -> None:
    (told,) = complaints({"feed": {"idle_s": "\n" * 1000}}).values()
    assert len(told) < 100
    assert "\n" not in told


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("scoring.window_s", 59.9, "must be >= 60.0: 59.9"),
        ("scoring.window_s", 601, "must be <= 600.0: 601.0"),
        ("feed.connects_burst", 0, "must be >= 1: 0"),
        ("feed.transport", "websocket", "unknown transport 'websocket' (did you mean \"websockets\"?)"),
        ("feed.transport", "x", "unknown transport 'x' (known: trio-websocket, websockets)"),
        ("log.level", "loud", "must be in ('debug', 'info', 'warning', 'error') (got 'loud')"),
        ("venue.gamma_url", "ftp://x", r"must match regex 'https?://\\S+' ('ftp://x' doesn't)"),
        ("venue.clob_url", "http://example.com", "plain http:// is for this machine alone, use https://"),
        ("scoring.preset", "sed", "unknown preset 'sed' (did you mean \"seed\"?)"),
    ],
)
def test_ranges_and_checks_are_told_in_the_same_way(key: str, value: object, message: str) -> None:
    section, name = key.split(".")
    assert complaints({section: {name: value}}) == {key: message}


def test_a_transport_is_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = {"feed": {"transport": "websockets"}}
    monkeypatch.setattr("actors.transport.find_spec", lambda name: None)
    words = "the transport websockets is not installed; it needs: pip install 'updown[websockets]'"
    assert complaints(tree) == {"feed.transport": words}
    monkeypatch.setattr("actors.transport.find_spec", lambda name: name)
    assert structure(tree).feed.transport is TransportKind.WEBSOCKETS


def test_a_plugin_is_a_preset() -> None:
    assert structure({"scoring": {"preset": "mine"}}, plugins=["mine"]).scoring.preset == "mine"


@pytest.mark.parametrize(
    ("tree", "key", "hint"),
    [
        ({"scorign": {}}, "scorign", ' (did you mean "scoring"?)'),
        ({"scoring": {"windows_s": 60}}, "scoring.windows_s", ' (did you mean "window_s"?)'),
        ({"window_s": 60}, "window_s", ' (did you mean "scoring.window_s"?)'),
        ({"feed": {"cadence_s": 60}}, "feed.cadence_s", ' (did you mean "scoring.cadence_s"?)'),
        ({"follow": [{"serie": "btc-5m"}]}, "follow[0].serie", ' (did you mean "series"?)'),
        ({"zzz": 1}, "zzz", ""),
    ],
)
def test_an_unknown_key_is_told_with_a_suggestion(tree: dict[str, Any], key: str, hint: str) -> None:
    assert complaints(tree) == {key: f"unknown key{hint}"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "name exactly one of series, slug, condition_id (found: none)"),
        (
            {"series": "btc-5m", "slug": "a"},
            "name exactly one of series, slug, condition_id (found: series, slug)",
        ),
    ],
)
def test_an_entry_of_the_follow_list_names_one_thing(entry: dict[str, str], message: str) -> None:
    assert complaints({"follow": [entry]}) == {"follow[0]": message}


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        (
            {"feed": {"idle_s": -1, "ping_every_s": 20, "pong_within_s": 15}},
            {"feed.idle_s": "must be > 0: -1.0", "feed": "pong_within_s must be longer than ping_every_s"},
        ),
        (
            {"feed": {"pong_within_s": 5, "idel_s": 5}},
            {
                "feed.idel_s": 'unknown key (did you mean "idle_s"?)',
                "feed": "pong_within_s must be longer than ping_every_s",
            },
        ),
        (
            {"follow": [{"slug": "a", "condition_id": 5}]},
            {
                "follow[0].condition_id": "expected a string, got an integer: 5",
                "follow[0]": "name exactly one of series, slug, condition_id (found: slug, condition_id)",
            },
        ),
        (
            {"follow": [{"series": "btc-5", "slug": "a"}]},
            {
                "follow[0].series": "unknown series 'btc-5' (did you mean \"btc-5m\"?)",
                "follow[0]": "name exactly one of series, slug, condition_id (found: series, slug)",
            },
        ),
        (
            {"feed": {"ping_every_s": "often", "pong_within_s": 5}},
            {"feed.ping_every_s": "expected a number, got a string: 'often'"},
        ),
        ({"feed": {"idel_s": 5}}, {"feed.idel_s": 'unknown key (did you mean "idle_s"?)'}),
    ],
)
def test_rules_between_fields_are_told_along_with_the_fields(tree: dict[str, Any], told: dict[str, str]) -> None:
    assert complaints(tree) == told


def test_everything_wrong_is_told_at_once() -> None:
    tree = {
        "follow": [{"series": "btc-15n"}, {"slug": "A B"}, {"serie": "x"}, {"condition_id": "0x12"}],
        "scoring": {"window_s": "5", "cadence_s": 0.1, "presett": "x"},
        "feed": 5,
        "log": {"level": "loud", "format": 3},
        "extra": {},
    }
    assert list(complaints(tree)) == [
        "follow[0].series",
        "follow[1].slug",
        "follow[2].serie",
        "follow[3].condition_id",
        "scoring.window_s",
        "scoring.cadence_s",
        "scoring.presett",
        "feed",
        "log.level",
        "log.format",
        "extra",
    ]
