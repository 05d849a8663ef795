"""Which texts are near one another in meaning, and said to the same readers: what the findings about pairs start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from rag.ports import Rows, Vectors
from rag.types import Chunk

BLOCK = 1024  # rows compared with all others at once
Codes = NDArray[np.int64]
Keep = Callable[[Rows, Rows], NDArray[np.bool_]]  # rows, and as many others -> which pairs are looked at


def near(vectors: Vectors, least: float, keep: Keep) -> list[tuple[int, int]]:
    """Pairs of rows, the lower first, in order, whose cosine is at least `least` and that `keep` lets pass.

    `vectors` are of unit length. 10,000 x 384 take a second of two cores; time grows with the square.
    """
    found: list[tuple[int, int]] = []
    for start in range(0, len(vectors), BLOCK):
        scores = vectors[start : start + BLOCK] @ vectors[start:].T
        ones, others = np.nonzero(np.triu(scores >= least, 1))
        ones, others = ones + start, others + start
        passed = keep(ones, others)
        found += zip(ones[passed].tolist(), others[passed].tolist(), strict=True)
    return found


class Readers:
    """Whom chunks speak to, and when: by facets, as columns of numbers."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        """One entry a chunk, in their order."""
        facets = [chunk.facets for chunk in chunks]
        self._documents = numbered(chunk.document for chunk in chunks)
        self._trust = numbered(one.trust for one in facets)
        names = ("language", "region", "audience", "product")
        self._facets = [numbered(getattr(one, name).casefold() for one in facets) for name in names]
        self._from = np.array([(one.valid_from or date.min).toordinal() for one in facets], np.int64)
        self._to = np.array([(one.valid_to or date.max).toordinal() for one in facets], np.int64)

    def meet(self, ones: Rows, others: Rows) -> NDArray[np.bool_]:
        """Whether two documents, as trusted, say the two to the same people at one time; an empty facet means all of them."""
        met = (self._documents[ones] != self._documents[others]) & (self._trust[ones] == self._trust[others])
        for column in self._facets:
            one, other = column[ones], column[others]
            met &= (one == 0) | (other == 0) | (one == other)
        return np.asarray(met & (self._from[ones] <= self._to[others]) & (self._from[others] <= self._to[ones]), bool)


def numbered(values: Iterable[object]) -> Codes:
    """A number for each value, the same for equal ones; 0 for an empty string."""
    codes: dict[object, int] = {"": 0}
    return np.array([codes.setdefault(value, len(codes)) for value in values], np.int64)
