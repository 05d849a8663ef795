"""Weights from examples: what features tell the right candidates from the wrong ones, and from "none of them"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Right = Sequence[bool] | NDArray[np.bool_]
Example = tuple[Matrix, Right]  # the features of a question's candidates, the constant first; which of them are right

_STEPS = 200
_ENOUGH = 1e-10  # what another step would gain


def fit(examples: Sequence[Example], penalty: float = 0.02) -> Matrix:
    """The weights, shape (features,), under which the right candidates, or "none of them" where none is, are likeliest.

    Minimises the mean negative log likelihood of the conditional logit plus `penalty` / 2 * |w|^2 (the constant is free) by
    damped Newton steps from zero: the same examples always give the same weights. With one candidate an example it is
    logistic regression. At least one example has a candidate.
    """
    likelihood = Likelihood.of(examples)
    width = likelihood.features.shape[1]
    weights, shrink = np.zeros(width), np.full(width, penalty)
    shrink[0] = 0.0

    def loss(at: Matrix) -> float:
        return likelihood.loss(at) + float(shrink @ at**2) / 2

    for _ in range(_STEPS):
        gradient = likelihood.gradient(weights) + shrink * weights
        step = np.linalg.solve(likelihood.curvature(weights) + np.diag(shrink + 1e-9), gradient)
        promised = float(gradient @ step)
        rate, before = 1.0, loss(weights)
        while loss(weights - rate * step) > before - 1e-4 * rate * promised and rate > _ENOUGH:
            rate /= 2
        weights = weights - rate * step
        if promised < _ENOUGH:
            break
    return weights


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Many examples as one matrix; where declining is an option each ends with a row of zeros, which is "none of them"."""

    features: Matrix
    truth: NDArray[np.bool_]
    starts: NDArray[np.intp]  # of each example
    sizes: NDArray[np.intp]

    @classmethod
    def of(cls, examples: Sequence[Example], declining: bool = True) -> Likelihood:
        """Stack them. Without declining each example has a right candidate."""
        width, more = max(features.shape[1] for features, _ in examples), int(declining)
        rows = [np.vstack([features.reshape(-1, width), np.zeros((more, width))]) for features, _ in examples]
        truth = [np.append(np.asarray(right, dtype=np.bool_), [not any(right)] * more).astype(np.bool_) for _, right in examples]
        sizes = np.array([len(right) for right in truth], dtype=np.intp)
        return cls(np.concatenate(rows), np.concatenate(truth), np.cumsum(sizes) - sizes, sizes)

    def loss(self, weights: Matrix) -> float:
        """The mean negative log likelihood of what is right."""
        shares = self._shares(weights)
        given = np.add.reduceat(shares * self.truth, self.starts)
        return float(-np.log(np.maximum(given, 1e-300)).mean())

    def gradient(self, weights: Matrix) -> Matrix:
        """Of the loss: features expected by the model less those expected given the truth."""
        model = self._shares(weights)
        right = model * self.truth
        right /= np.repeat(np.maximum(np.add.reduceat(right, self.starts), 1e-300), self.sizes)
        return np.asarray((model - right) @ self.features / len(self.sizes))

    def curvature(self, weights: Matrix) -> Matrix:
        """Of the loss, its convex part."""
        model = self._shares(weights)
        expected = np.add.reduceat(model[:, None] * self.features, self.starts)
        return np.asarray(((self.features.T * model) @ self.features - expected.T @ expected) / len(self.sizes))

    def _shares(self, weights: Matrix) -> Matrix:
        scores = self.features @ weights
        shares = np.exp(scores - np.repeat(np.maximum.reduceat(scores, self.starts), self.sizes))
        return np.asarray(shares / np.repeat(np.add.reduceat(shares, self.starts), self.sizes))
