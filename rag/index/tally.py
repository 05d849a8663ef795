"""The terms of a generation's chunks, gathered page by page: what its indexes of words are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.ports import TermHashes, Terms

Counts = NDArray[np.int64]


class Tally:
    """Add the chunks in the order of their ids. The terms of a text take 8 bytes each, the rest of it is only counted."""

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()  # in how many chunks each is
        self._hashes: list[TermHashes] = []
        self._lengths: list[int] = []
        self._holders: list[tuple[TermHashes, Counts]] = []

    def add(self, terms: Sequence[Terms]) -> None:
        """Some more chunks, at least one."""
        for text in terms:
            self.words.update(text.words.split())
        self._lengths += [len(text.hashes) for text in terms]
        self._hashes.append(np.concatenate([text.hashes for text in terms]))
        self._holders.append(np.unique(np.concatenate([text.content for text in terms]), return_counts=True))

    def hashes(self) -> tuple[TermHashes, Counts]:
        """The terms of all chunks, one after the other, and how many are of each."""
        return np.concatenate(self._hashes), np.array(self._lengths)

    def holders(self) -> tuple[TermHashes, Counts]:
        """The content terms, rising, and in how many chunks each is."""
        terms, places = np.unique(np.concatenate([terms for terms, _ in self._holders]), return_inverse=True)
        counts = np.concatenate([counts for _, counts in self._holders])
        return terms, np.bincount(places, counts, len(terms)).astype(np.int64)
