import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config.lines import key_lines
from actors.config.origins import KeyPath

DOCUMENT = '''\
# a comment = 1
top = 1

[scoring]          # [not.a.header]
window_s = 60      # cadence_s = 5
"preset" = "seed"

[scoring.weights]
momentum = 0.5

[[follow]]
series = "btc-5m"

  [[follow]]
  slug = "x"
  [follow.extra]
  deep.er = [
    1, # ]
    "]",
    2,
  ]
  after = """
[log]
level = "debug"
"""
[ a . 'b c' ]
key = { level = 1, other = 2 }
last = \'\'\'
[x]
quote\'\'\'\'
end = true'''


def test_every_kind_of_key_is_found() -> None:
    assert tomllib.loads(DOCUMENT)
    assert key_lines(DOCUMENT) == {
        ("top",): 2,
        ("scoring",): 4,
        ("scoring", "window_s"): 5,
        ("scoring", "preset"): 6,
        ("scoring", "weights"): 8,
        ("scoring", "weights", "momentum"): 9,
        ("follow",): 11,
        ("follow", 0): 11,
        ("follow", 0, "series"): 12,
        ("follow", 1): 14,
        ("follow", 1, "slug"): 15,
        ("follow", 1, "extra"): 16,
        ("follow", 1, "extra", "deep"): 17,
        ("follow", 1, "extra", "deep", "er"): 17,
        ("follow", 1, "extra", "after"): 22,
        ("a",): 26,
        ("a", "b c"): 26,
        ("a", "b c", "key"): 27,
        ("a", "b c", "last"): 28,
        ("a", "b c", "end"): 31,
    }


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "\r\n# one\r\n"])
def test_a_text_without_keys_has_no_lines(text: str) -> None:
    assert key_lines(text) == {}


def test_windows_line_ends_count_once() -> None:
    assert key_lines("[log]\r\n\r\nlevel = 'info'\r\n") == {("log",): 1, ("log", "level"): 3}


def test_nested_arrays_of_tables_count_for_themselves() -> None:
    text = "[[a]]\n[[a.b]]\n[[a.b]]\nx = 1\n[[a]]\n[[a.b]]\nx = 2\n"
    lines = key_lines(text)
    assert lines["a", 0, "b", 1, "x"] == 4
    assert lines["a", 1, "b", 0, "x"] == 7


WORDS = st.sampled_from(["a", "b", "c-d", "e_f", "1"])
VALUES = st.sampled_from(
    [
        "1",
        "'x # y'",
        '"[a]\\""',
        '"""\n[a]\nb = 1"""',
        "'''\n\n'''",
        "[1, [2]]",
        "[\n 1, # ]\n]",
        "{ x = [1, 2] }",
        "1e5",
    ]
)
GAPS = st.sampled_from(["", "\n", "# c = 1\n", "\n  \n"])


@given(st.lists(st.tuples(GAPS, st.booleans(), WORDS, VALUES), max_size=12))
def test_what_is_found_is_what_is_there(statements: list[tuple[str, bool, str, str]]) -> None:
    text, expected, table = "", {}, ""
    for number, (gap, opens_table, word, value) in enumerate(statements):
        text += gap
        line = text.count("\n") + 1
        name = f"{word}{number}"
        if opens_table:
            text, table = f"{text}[{name}]\n", name
            expected[name,] = line
        else:
            text = f"{text}{name} = {value}\n"
            expected[(table, name) if table else (name,)] = line
    assert key_lines(text) == expected
    assert all(_has(tomllib.loads(text), path) for path in expected)


def _has(tree: Any, path: KeyPath) -> bool:
    for part in path:
        tree = tree[part]
    return tree is not None
