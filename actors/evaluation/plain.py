"""Values as plain JSON types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
from attrs import fields, has

from actors.evaluation.metrics import Accuracy


def plain(value: Any) -> Any:
    """Dictionaries, lists, texts, numbers and ``None``: values of ours by field, a number that is none as ``None``.

    An accuracy also tells its share of abstentions.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _composed(value)


def _composed(value: Any) -> Any:
    if isinstance(value, Accuracy):
        return {**_fields(value), "abstention": plain(value.abstention)}
    if has(type(value)):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: plain(getattr(value, field.name)) for field in fields(type(value))}
