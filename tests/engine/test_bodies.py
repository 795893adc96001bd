from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bodies import array, excerpt, flag, instant_ns, json_of, objects, price, price_step, text, texts
from engine.errors import WireError
from engine.units import NS_PER_MS, NS_PER_S

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>blocked</html>",
        b'{"a":',
        b"NaN",
        b"1e400",
        b"1" * 5000,
        b"[" * 200_000,
        b'"\xff"',
        b'"\\ud800"',
        b"{'a': 1}",
    ],
)
def test_what_is_no_json_is_one_typed_error(body: bytes) -> None:
    with pytest.raises(WireError) as refused:
        json_of(body)
    assert refused.value.reason == "not_json"
    assert len(refused.value.detail) <= 400


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_that_error(body: bytes) -> None:
    try:
        json_of(body)
    except WireError as error:
        assert error.reason == "not_json"  # noqa: PT017 - either outcome is right, any other error is not


def test_objects_are_found_in_an_array_or_alone() -> None:
    assert objects({"a": 1}) == [{"a": 1}]
    assert objects([{"a": 1}, None, 3, [], {"b": 2}]) == [{"a": 1}, {"b": 2}]
    assert objects([]) == []
    for other in (None, 3, "text", True):
        with pytest.raises(WireError, match="shape"):
            objects(other)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["Up", "Down"], ["Up", "Down"]),
        ('["Up", "Down"]', ["Up", "Down"]),
        ("[]", []),
        ("", []),
        ("Up, Down", []),
        ("[" * 100_000, []),
        ('{"a": 1}', []),
        (None, []),
        (7, []),
    ],
)
def test_an_array_may_be_written_inside_a_string(value: object, found: list[str]) -> None:
    assert array({"names": value}, "names") == found
    assert array({}, "names") == []


def test_texts_keep_their_places() -> None:
    assert texts({"prices": ["0.5", 1, 0.25, None, {"a": 1}, ""]}, "prices") == ["0.5", "1", "0.25", "", "", ""]


@pytest.mark.parametrize(
    ("value", "found"), [(True, True), (False, False), ("true", True), ("false", False), (1, True), (0, False)]
)
def test_a_flag_may_be_a_text_or_a_number(value: object, found: bool) -> None:
    assert flag({"closed": value}, "closed", default=not found) is found


@pytest.mark.parametrize("value", [None, "perhaps", [], {}, 2.5])
def test_an_unreadable_flag_counts_as_not_said(value: object) -> None:
    assert flag({"closed": value}, "closed", default=True) is True
    assert flag({"closed": value}, "closed", default=False) is False
    assert flag({}, "closed", default=True) is True


def test_an_unreadable_text_counts_as_not_said() -> None:
    assert text({"slug": "btc"}, "slug") == "btc"
    assert [text({"slug": value}, "slug") for value in (None, 3, [], {})] == ["", "", "", ""]


NOON_NS = int(datetime(2026, 3, 12, 12, tzinfo=UTC).timestamp()) * NS_PER_S


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-03-12T12:00:00Z", NOON_NS),
        ("2026-03-12T12:00:00", NOON_NS),
        ("2026-03-12T08:00:00-04:00", NOON_NS),
        ("2026-03-12 12:00:00+00", NOON_NS),
        ("2026-03-12T12:00:00.328428Z", NOON_NS + 328 * NS_PER_MS),
        ("2026-03-12", None),  # a date is no instant
        ("2026-13-12T12:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday at noon", None),
        ("", None),
        (1773316800, None),
        (None, None),
    ],
)
def test_an_instant_has_a_date_and_a_time(value: object, found: int | None) -> None:
    assert instant_ns(value) == found


@pytest.mark.parametrize(
    ("value", "ticks", "step"),
    [
        (0.01, 100, 100),
        ("0.01", 100, 100),
        ("0.0010", 10, 10),
        (0.0001, 1, 1),
        (1, 10_000, None),
        (0.02, 200, None),
        (0, 0, None),
        (0.00001, None, None),
        (-0.01, None, None),
        ("", None, None),
        (None, None, None),
        ([0.01], None, None),
    ],
)
def test_prices_and_price_steps(value: object, ticks: int | None, step: int | None) -> None:
    assert price(value) == ticks
    assert price_step(value) == step


@given(values)
def test_no_value_of_a_field_raises(value: object) -> None:
    body = {"field": value}
    assert text(body, "field") == (value if isinstance(value, str) else "")
    assert isinstance(flag(body, "field", default=False), bool)
    assert len(texts(body, "field")) == len(array(body, "field"))
    assert instant_ns(value) is None or isinstance(value, str)
    assert price(value) is None or 0 <= price(value) <= 10_000
    assert excerpt(value).isascii()
    assert excerpt(value).isprintable()
