"""Search by meaning: the query's vector against the chunks' vectors."""

from __future__ import annotations

from collections.abc import Iterable

from rag.ports import Embedder, Store
from rag.types import Chunk, Passage, Query


class DenseSource:
    """A PassageSource over the vectors of one generation; scores are cosines, -1..1."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    def find(self, query: Query, k: int, including: Iterable[Chunk] = ()) -> list[Passage]:
        """At most k passages by falling cosine, ties by chunk id, and those of `including` besides. Raises ModelFailed."""
        [vector] = self._embedder.embed([query.text])
        found = {chunk.id: (chunk, score) for chunk, score in self._store.search(vector, k)}
        others = [chunk for chunk in including if chunk.id not in found]
        scores = self._store.cosines(vector, [chunk.id for chunk in others])
        pairs = [*found.values(), *zip(others, scores, strict=True)]
        ranked = sorted(pairs, key=lambda pair: (-pair[1], pair[0].id))
        return [Passage(chunk, score, {"dense": score}) for chunk, score in ranked]
