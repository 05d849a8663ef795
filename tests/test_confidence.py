"""How likely what was found holds the answer, by hand."""

from __future__ import annotations

import math

import pytest

from rag.retrieve.confidence import confidence, signals
from rag.types import Chunk, Kind, Passage


def passage(score: float, **scores: float) -> Passage:
    return Passage(Chunk(f"a#{score}", "a", "", 0, Kind.PAGE, "", (), "x"), score, scores)


def test_what_is_seen_of_the_first_passages() -> None:
    found = [passage(3.0, dense=0.5), passage(2.0, dense=0.7), passage(1.0, dense=0.1, question=0.6)]
    assert signals(found) == [1.0, 3.0, 1.5, 0.7, 0.6]
    assert signals([*found, passage(0.5), passage(0.5), passage(0.0, dense=0.9)]) == [1.0, 3.0, 2.0, 0.7, 0.6]
    assert signals([passage(2.0)]) == [1.0, 2.0, 0.0, 0.0, 0.0]


def test_confidence_is_a_logistic_function_of_it() -> None:
    found = [passage(3.0, dense=0.5), passage(2.0)]
    assert confidence(found, {"one": -2.0, "score": 1.0, "dense": 2.0}) == pytest.approx(1 / (1 + math.exp(-2)))
    assert confidence(found, {}) == 0.5 and confidence([], {"one": 5.0}) == 0.0
    assert confidence(found, {"score": 1e6}) == pytest.approx(1.0) and confidence(found, {"score": -1e6}) == pytest.approx(0.0)
