from actors.cli.columns import aligned


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert aligned([("a", "b", "c"), ("long", "", "x"), ("", "wide cell", "")]) == (
        "a     b          c\n"
        "long             x\n"
        "      wide cell"
    )  # fmt: skip


def test_nothing_is_nothing() -> None:
    assert aligned([]) == ""
