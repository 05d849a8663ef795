"""Search by meaning: the query's vector against the chunks' vectors."""

from __future__ import annotations

from rag.ports import Embedder, Store
from rag.types import Passage, Query


class DenseSource:
    """A PassageSource over the vectors of one generation; scores are cosines, -1..1."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    def find(self, query: Query, k: int) -> list[Passage]:
        """At most k passages by falling cosine. Raises ModelFailed."""
        [vector] = self._embedder.embed([query.text])
        return [Passage(chunk, score, {"dense": score}) for chunk, score in self._store.search(vector, k)]
