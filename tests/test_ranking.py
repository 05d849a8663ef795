from __future__ import annotations

import time

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


def test_a_mask_costs_at_most_a_fifth_at_100000_chunks() -> None:
    chance = np.random.default_rng(2)
    matrix = chance.standard_normal((100_000, 384), np.float32)
    vector = matrix[7]
    masks = {share: chance.random(100_000) < share for share in (0.01, 0.5, 0.99)}
    taken: dict[float | None, list[float]] = {None: [], **{share: [] for share in masks}}
    for _ in range(15):  # in turns, so that a busy moment of the machine meets all of them
        for share, seconds in taken.items():
            started = time.thread_time()
            found = best_rows(np.einsum("ij,j->i", matrix, vector), 100, masks.get(share) if share else None)
            seconds.append(time.thread_time() - started)
            assert len(found) == 100
    for share in masks:
        assert min(taken[share]) <= 1.2 * min(taken[None]), share
