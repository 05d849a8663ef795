"""Weights for rag.answer.rank from questions whose right units are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag.answer.rank import FEATURES, Matrix

Example = tuple[Matrix, Sequence[bool]]  # the features of a question's units, and which of them are right answers


def fit(examples: Sequence[Example], penalty: float = 0.02, steps: int = 3000, rate: float = 0.05) -> Matrix:
    """The weights, shape (len(FEATURES),), under which the right units, or "none of them", are likeliest.

    Minimises the mean negative log likelihood of the conditional logit plus `penalty` / 2 * |w|^2 (the constant is free) by Adam
    (Kingma, Ba 2015) from zero: the same examples always give the same weights.
    """
    weights, first, second = (np.zeros(len(FEATURES)) for _ in range(3))
    shrink = np.full(len(FEATURES), penalty)
    shrink[FEATURES.index("one")] = 0.0
    for step in range(1, steps + 1):
        gradient = sum((_gradient(weights, *example) for example in examples), np.zeros(len(FEATURES))) / len(examples)
        gradient += shrink * weights
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        weights -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights


def _gradient(weights: Matrix, features: Matrix, right: Sequence[bool]) -> Matrix:
    """Of one question's negative log likelihood: features expected under the model minus those expected given the truth."""
    scores = np.append(features @ weights, 0.0)  # the last one: none of them
    shares = np.exp(scores - scores.max())
    model = shares / shares.sum()
    truth = shares * np.append(np.asarray(right, dtype=bool), not any(right))
    return np.asarray((model - truth / truth.sum())[:-1] @ features)
