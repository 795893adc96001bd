from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here has to outlive a power cut, and disks take their time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
