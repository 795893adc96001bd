import pytest

from actors.venue.actions import Action, LevelSet, Retick, Take
from engine.markets import Outcome, Side


def test_actions_are_values() -> None:
    actions: list[Action] = [
        LevelSet(1, Outcome.UP, Side.BUY, 5_000, 7),
        Take(1, Outcome.UP, Side.BUY, 5_000, 7, "0x1"),
        Retick(1, 10),
    ]
    assert len(set(actions)) == 3
    assert actions[2] == Retick(1, 10)
    with pytest.raises(AttributeError):
        actions[0].at_ns = 2  # type: ignore[misc]
