from __future__ import annotations

import re

from actors.evaluation.style import CSS


def test_it_is_light_and_needs_nothing_from_elsewhere():
    assert "color-scheme: light" in CSS
    assert "prefers-color-scheme" not in CSS
    assert not re.search(r"@import|url\(|</style", CSS)
    assert CSS.count("{") == CSS.count("}")


def test_it_knows_phones_and_paper():
    assert "@media (max-width: 40rem)" in CSS
    assert "@media print" in CSS
    assert re.search(r"\.table \{ overflow-x: auto", CSS)
