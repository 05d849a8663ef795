from __future__ import annotations

import numpy as np
import pytest

from rag.index.ranking import best_rows

SCORES = np.array([0.1, 0.9, 0.5, 0.9, -0.2, 0.5], np.float32)


@pytest.mark.parametrize("k, expected", [(0, []), (1, [1]), (2, [1, 3]), (3, [1, 3, 2]), (9, [1, 3, 2, 5, 0, 4])])
def test_ties_go_by_row_whatever_k(k: int, expected: list[int]) -> None:
    assert best_rows(SCORES, k).tolist() == expected


def test_only_rows_of_the_mask() -> None:
    mask = np.array([True, False, True, True, True, True])
    assert best_rows(SCORES, 3, mask).tolist() == [3, 2, 5]
    assert best_rows(SCORES, 10, mask).tolist() == [3, 2, 5, 0, 4]
    assert best_rows(SCORES, 3, np.zeros(6, np.bool_)).tolist() == []


def test_as_a_full_sort_would() -> None:
    chance = np.random.default_rng(1)
    for _ in range(50):
        scores = chance.integers(0, 20, 200).astype(np.float32)
        mask = chance.random(200) < 0.5
        expected = [row for row in np.argsort(-scores, kind="stable") if mask[row]]
        assert best_rows(scores, 30, mask).tolist() == expected[:30]
