import inspect
import re

import pytest

from engine import errors
from engine.errors import (
    LabelError,
    PresetError,
    RecordError,
    SettingsError,
    TapeError,
    UnknownSlug,
    UpdownError,
    WireError,
)


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", inspect.getdoc(errors) or "")
    defined = [
        name
        for name, member in vars(errors).items()
        if inspect.isclass(member) and issubclass(member, UpdownError) and member is not UpdownError
    ]
    assert drawn == defined


@pytest.mark.parametrize("error", [UnknownSlug, SettingsError, PresetError, RecordError, TapeError, LabelError])
def test_wrong_values_are_value_errors_too(error: type[UpdownError]) -> None:
    assert issubclass(error, ValueError)


def test_a_bad_frame_is_not_a_value_error() -> None:
    # Else a caller that guards its own conversions would swallow it.
    assert not issubclass(WireError, ValueError)


def test_wire_error_says_what_is_wrong_and_keeps_the_intact_events() -> None:
    error = WireError("missing_field", "price", events=["first", "second"], malformed=3)
    assert str(error) == "missing_field: price"
    assert (error.reason, error.detail, error.events, error.malformed) == (
        "missing_field",
        "price",
        ("first", "second"),
        3,
    )


def test_wire_error_of_a_whole_frame() -> None:
    error = WireError("not_json")
    assert str(error) == "not_json"
    assert (error.detail, error.events, error.malformed) == ("", (), 1)


def test_settings_error_lists_every_problem() -> None:
    error = SettingsError(["window_s: not positive", "period_s: too long"])
    assert error.problems == ("window_s: not positive", "period_s: too long")
    assert str(error) == "window_s: not positive; period_s: too long"
