from __future__ import annotations

import json

import numpy as np
from attrs import frozen

from actors.evaluation.metrics import accuracy
from actors.evaluation.plain import plain
from actors.evaluation.verdict import Answer


@frozen
class Pair:
    first: object
    second: object = None


def test_everything_becomes_json():
    told = plain(
        {
            "number": np.float64(0.5),
            "count": np.int64(3),
            "flag": np.bool_(True),
            "none": float("nan"),
            "endless": np.inf,
            "answer": Answer.YES,
            "values": (1, [2.0, Pair(first="a")]),
            7: None,
        }
    )
    assert told == {
        "number": 0.5,
        "count": 3,
        "flag": True,
        "none": None,
        "endless": None,
        "answer": "yes",
        "values": [1, [2.0, {"first": "a", "second": None}]],
        "7": None,
    }
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_an_accuracy_tells_its_abstentions():
    told = plain(accuracy(np.array([1.0, 0.0]), np.array([1.0, 1.0])))
    assert (told["value"], told["abstention"], told["abstained"]) == (1.0, 0.5, 1)
