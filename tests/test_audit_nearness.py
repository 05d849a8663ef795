from __future__ import annotations

import numpy as np
import pytest

from rag.audit import nearness
from rag.audit.nearness import near, numbered
from rag.ports import Rows


def everything(ones: Rows, others: Rows) -> np.ndarray:
    return np.ones(len(ones), bool)


@pytest.mark.parametrize("block", [1, 3, 7, 1024])
def test_the_pairs_are_those_of_comparing_each_with_each(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearness, "BLOCK", block)
    vectors = np.random.default_rng(1).standard_normal((40, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = [(i, j) for i in range(40) for j in range(i + 1, 40) if vectors[i] @ vectors[j] >= 0.8]
    assert near(vectors, 0.8, everything) == wanted and len(wanted) > 20
    assert near(vectors, 0.8, lambda ones, others: (ones + others) % 2 == 0) == [pair for pair in wanted if sum(pair) % 2 == 0]


def test_nothing_is_near_nothing() -> None:
    assert near(np.zeros((0, 3), np.float32), 0.5, everything) == []


def test_equal_values_have_one_number() -> None:
    assert numbered(["EU", "", "CN", "EU"]).tolist() == [1, 0, 2, 1]
