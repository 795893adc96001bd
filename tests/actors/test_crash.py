import contextvars

import pytest
import trio
from trio.testing import MockClock

from actors.crash import Ending, contained, divide, summary, traceback_text, unwrapped


async def a_cancelled() -> trio.Cancelled:
    """A Cancelled as trio makes them, kept after the scope it belongs to."""
    caught: list[trio.Cancelled] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep_forever()
        except trio.Cancelled as error:
            caught.append(error)
            raise
    return caught[0]


async def endings(play: object) -> tuple[Ending, list[BaseException]]:
    """How `play` ended and what was reported."""
    crashes: list[BaseException] = []
    ending = await contained(play, crashes.append, name="play")  # type: ignore[arg-type]
    return ending, crashes


# ------------------------------------------------------------------------------------------------------------ dividing


async def test_exceptions_are_crashes_and_exits_travel_on() -> None:
    error, farewell = ValueError("x"), KeyboardInterrupt()
    assert divide(error) == (error, None)
    assert divide(farewell) == (None, farewell)


async def test_cancelled_travels_on_only_while_something_is_cancelled() -> None:
    stray = await a_cancelled()
    assert divide(stray) == (stray, None)
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.cancel()
        assert divide(stray) == (None, stray)


async def test_a_group_is_split() -> None:
    bug, cancelled, farewell = ValueError("x"), await a_cancelled(), SystemExit(3)
    group = BaseExceptionGroup("outer", [cancelled, BaseExceptionGroup("inner", [bug, farewell])])
    crash, onward = divide(group)
    assert isinstance(crash, BaseExceptionGroup)
    assert isinstance(onward, BaseExceptionGroup)
    assert crash.subgroup(trio.Cancelled) is not None
    assert crash.subgroup(ValueError) is not None
    assert unwrapped(onward) is farewell
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.cancel()
        crash, onward = divide(group)
    assert unwrapped(crash or group) is bug
    assert isinstance(onward, BaseExceptionGroup)
    assert onward.subgroup(trio.Cancelled) is not None


# ----------------------------------------------------------------------------------------------------------- containing


async def test_a_task_that_returns_has_finished() -> None:
    assert await endings(trio.lowlevel.checkpoint) == (Ending.FINISHED, [])


async def test_a_task_that_raises_has_crashed_and_raises_nothing() -> None:
    error = ValueError("x")

    async def play() -> None:
        raise error

    assert await endings(play) == (Ending.CRASHED, [error])


async def test_what_is_not_even_awaitable_is_a_crash() -> None:
    ending, crashes = await endings(lambda: None)
    assert (ending, [type(crash) for crash in crashes]) == (Ending.CRASHED, [TypeError])


async def test_a_stray_cancelled_is_a_crash_and_not_a_success() -> None:
    stray = await a_cancelled()

    async def play() -> None:
        raise stray

    assert await endings(play) == (Ending.CRASHED, [stray])


async def test_own_cancelled_passes_and_the_bug_beside_it_is_reported() -> None:
    crashes: list[BaseException] = []
    passed_by = False

    async def bug_in_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("x")

    async def play() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bug_in_cleanup)
            nursery.start_soon(trio.sleep_forever)

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def keeper() -> None:
                nonlocal passed_by
                await contained(play, crashes.append, name="play")
                passed_by = True

            nursery.start_soon(keeper)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert not passed_by
    assert [type(unwrapped(crash)) for crash in crashes] == [ValueError]


async def test_exits_pass_through() -> None:
    async def play() -> None:
        raise SystemExit(3)

    with pytest.raises(BaseExceptionGroup) as caught:
        await endings(play)
    assert isinstance(unwrapped(caught.value), SystemExit)


async def test_a_cancel_scope_left_open_dies_with_the_task() -> None:
    left_open = trio.CancelScope()

    async def play() -> None:
        left_open.__enter__()

    assert await endings(play) == (Ending.FINISHED, [])
    left_open.cancel()
    await trio.lowlevel.checkpoint()


async def test_a_crash_beside_the_task_in_its_nursery_is_its_crash() -> None:
    async def bug() -> None:
        raise ValueError("x")

    async def play() -> None:
        nursery = trio.lowlevel.current_task().parent_nursery
        assert nursery is not None
        nursery.start_soon(bug)
        await trio.sleep_forever()

    ending, crashes = await endings(play)
    assert ending is Ending.CRASHED
    assert [type(unwrapped(crash)) for crash in crashes] == [ValueError]


async def test_context_variables_die_with_the_task() -> None:
    variable = contextvars.ContextVar("variable", default="clean")

    async def play() -> None:
        variable.set("soiled")

    await endings(play)
    assert variable.get() == "clean"


async def test_the_task_bears_its_name() -> None:
    names: list[str] = []

    async def play() -> None:
        names.append(trio.lowlevel.current_task().name)

    await endings(play)
    assert names == ["play"]


async def test_a_deadline_inside_is_the_tasks_own_business(autojump_clock: MockClock) -> None:
    async def play() -> None:
        with trio.fail_after(1.0):
            await trio.sleep_forever()

    ending, crashes = await endings(play)
    assert (ending, type(crashes[0])) == (Ending.CRASHED, trio.TooSlowError)


# --------------------------------------------------------------------------------------------------------------- words


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("bad\nline"), "ValueError: bad\\nline"),
        (TimeoutError(), "TimeoutError"),
        (Unspeakable(), "Unspeakable"),
        (ExceptionGroup("g", [ExceptionGroup("h", [KeyError("k")])]), "KeyError: 'k'"),
        (ExceptionGroup("g", [OSError("a"), Unspeakable()]), "ExceptionGroup: OSError: a; Unspeakable"),
    ],
)
def test_summary_names_the_class_and_stays_on_one_line(error: BaseException, words: str) -> None:
    assert summary(error) == words


def test_summary_is_bounded() -> None:
    assert len(summary(ValueError("x" * 100_000))) == 256
    nested: Exception = ValueError("x")
    for _ in range(5000):
        nested = ExceptionGroup("g", [nested, ValueError("y")])
    assert len(summary(nested)) <= 256


def test_traceback_is_bounded_and_cannot_forge_a_line() -> None:
    def deep(level: int) -> None:
        if level == 0:
            raise ValueError("\x1b[31mred" + "x" * 1000)
        deeper(level - 1)

    # In turns, because the same line over and over would be printed once.
    def deeper(level: int) -> None:
        deep(level - 1)

    with pytest.raises(ValueError) as caught:
        deep(100)
    lines = traceback_text(caught.value).split("\n")
    assert len(lines) == 60
    assert lines[-1].startswith("ValueError: \\x1b[31mred")
    assert all(line.isprintable() and len(line) <= 256 for line in lines)


def test_traceback_of_what_cannot_be_formatted_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: BaseException) -> list[str]:
        raise RecursionError

    monkeypatch.setattr("traceback.format_exception", fail)
    assert traceback_text(ValueError("x")) == ""
