"""In how many chunks each content term occurs: what the rarity of a term in an answer is worked out from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.index.tally import Tally
from rag.index.terms import hash_terms
from rag.ports import TermHashes

TERMS, COUNTS = "terms.npy", "counts.npy"


class Holders:
    """Counts by term. What was saved is mapped, not read."""

    def __init__(self, terms: TermHashes, counts: NDArray[np.int64]) -> None:
        """counts[i] chunks hold terms[i], which rise."""
        self._terms, self._counts = terms, counts

    @classmethod
    def of(cls, tally: Tally) -> Holders:
        """From the terms of every chunk."""
        return cls(*tally.holders())

    @classmethod
    def load(cls, folder: Path) -> Holders:
        """What save() wrote."""
        return cls(*(np.asarray(np.load(folder / name, mmap_mode="r")) for name in (TERMS, COUNTS)))

    def save(self, folder: Path) -> None:
        """Write terms and counts."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / TERMS, self._terms)
        np.save(folder / COUNTS, self._counts)

    def count(self, term: str) -> int:
        """Chunks that hold a term of rag.content; 0 if none does."""
        hashed = hash_terms([term])[0]
        place = int(np.searchsorted(self._terms, hashed))
        return int(self._counts[place]) if place < len(self._terms) and self._terms[place] == hashed else 0
