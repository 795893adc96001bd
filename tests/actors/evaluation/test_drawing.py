from __future__ import annotations

from xml.etree import ElementTree as Tree

from matplotlib.axes import Axes

from actors.evaluation.drawing import LOOKS, beside, drawing, intervals, looks


def shares(*values: float | None) -> list[dict[str, float | None]]:
    return [{"mean": value, "low": None if value is None else value - 1, "high": None} for value in values]


def test_words_are_escaped_and_ids_are_its_own():
    made = drawing("mine", "a < b", 'said "so" & more', lambda axes: axes.set(xlabel="x"))
    root = Tree.fromstring(made.svg)
    assert root.get("aria-label") == 'a < b. said "so" & more'
    assert (root[0].text, root[1].text) == ("a < b", 'said "so" & more')
    assert all((found := each.get("id")) is None or found.startswith("mine-") for each in root.iter())
    assert root.get("width") is None  # as wide as its place


def test_what_is_unknown_leaves_no_mark_and_no_name_in_the_legend():
    handles = []

    def paint(axes: Axes) -> None:
        intervals(axes, [1, 2], shares(None, None), "mean", label="silent")
        intervals(axes, [1, 2, 3], shares(1, None, 2), "mean", scale=100, label="known", linestyle="none")
        handles.extend(axes.get_legend_handles_labels()[1])
        assert [list(line.get_xdata()) for line in axes.lines[:1]] == [[1, 3]]
        assert [list(line.get_ydata()) for line in axes.lines[:1]] == [[100, 200]]

    drawing("d", "t", "w", paint)
    assert handles == ["known"]


def test_rows_of_intervals_stand_side_by_side():
    assert beside([0, 60], 1, 3) == [0, 60]
    assert beside([0, 60], 0, 3) == [-1, 59]
    assert beside([5], 0, 1) == [5]


def test_every_preset_keeps_its_look():
    made = looks(f"preset {index}" for index in range(6))
    assert made["preset 0"] == {**LOOKS[0], "label": "preset 0"}
    assert made["preset 5"]["color"] == made["preset 0"]["color"]
    assert len({(each["color"], each["marker"]) for each in LOOKS}) == 5
