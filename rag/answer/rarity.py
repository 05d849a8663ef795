"""How rare content terms are in the shop's documents: the common measure of all rungs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection


class Rarity:
    """How much a term tells: 1 for a term in no document, towards 0 for one that is everywhere."""

    def __init__(self, holders: Callable[[str], int], texts: int) -> None:
        """`holders` gives in how many of the `texts` a term of rag.content occurs."""
        self._holders, self._texts = holders, max(texts, 1)
        self.weight = functools.lru_cache(maxsize=65_536)(self._weight)

    def _weight(self, term: str) -> float:
        """Inverse document frequency (Spärck Jones 1972) scaled to 0..1 by that of an unseen term."""
        return math.log(1 + self._texts / (1 + self._holders(term))) / math.log(1 + self._texts)

    def unseen(self, wanted: Collection[str]) -> float:
        """Share, by weight, of the `wanted` terms that are in no text; 0 if nothing is wanted."""
        total = self.total(wanted)
        return self.total([term for term in wanted if not self._holders(term)]) / total if total else 0.0

    def total(self, wanted: Collection[str]) -> float:
        """Sum of weights."""
        return sum(map(self.weight, wanted))

    def coverage(self, wanted: Collection[str], held: Collection[str]) -> float:
        """Share, by weight, of the `wanted` terms that are among `held`; 0..1, 0 if nothing is wanted."""
        total = self.total(wanted)
        return self.total([term for term in wanted if term in held]) / total if total else 0.0
