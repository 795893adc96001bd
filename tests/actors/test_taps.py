"""Taps: everybody sees everything, in order, until they have had enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.taps import Taps
from engine.records import Disconnected, Record, Unfollowed

RECORD = Unfollowed(at_ns=1)


def test_every_tap_sees_every_record_in_order() -> None:
    seen: list[tuple[str, str, Record]] = []
    taps = Taps()
    taps("nobody", RECORD)
    taps.add(lambda key, record: seen.append(("first", key, record)))
    taps.add(lambda key, record: seen.append(("second", key, record)))
    taps("a", RECORD)
    assert seen == [("first", "a", RECORD), ("second", "a", RECORD)]


def test_the_same_listener_twice_is_two_taps_and_each_ends_by_itself() -> None:
    seen: list[str] = []

    def listener(key: str, record: Record) -> None:
        seen.append(key)

    taps = Taps()
    first, second = taps.add(listener), taps.add(listener)
    taps("both", RECORD)
    first()
    first()
    taps("one", RECORD)
    second()
    taps("none", RECORD)
    assert seen == ["both", "both", "one"]


def test_a_tap_may_end_itself_and_add_another_while_it_looks() -> None:
    seen: list[str] = []
    taps = Taps()

    def once(key: str, record: Record) -> None:
        seen.append(f"once {key}")
        ends.pop()()
        taps.add(lambda key, record: seen.append(f"then {key}"))

    ends: list[Callable[[], None]] = [taps.add(once)]
    taps.add(lambda key, record: seen.append(f"always {key}"))
    taps("a", RECORD)
    taps("b", Disconnected(at_ns=2, epoch=1, reason="closed"))
    assert seen == ["once a", "always a", "always b", "then b"]


def test_what_a_tap_raises_is_not_swallowed() -> None:
    def broken(key: str, record: Record) -> None:
        raise ZeroDivisionError(key)

    taps = Taps()
    taps.add(broken)
    with pytest.raises(ZeroDivisionError, match="a"):
        taps("a", RECORD)


def test_they_are_false_while_nobody_looks_on() -> None:
    taps = Taps()
    assert not taps
    end = taps.add(lambda key, record: None)
    assert taps
    end()
    assert not taps
