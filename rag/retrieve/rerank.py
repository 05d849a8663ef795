"""The first passages of a search put in a better order by a model that reads question and passage together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rag.ports import Reranker, Scores
from rag.retrieve.entities import Entities
from rag.retrieve.filter import Filters
from rag.retrieve.fuse import FusedSource
from rag.retrieve.trace import Considered, Dropped, Trace
from rag.types import Passage, Query

COMPETED = ("rank", "negative")  # reasons of what was beaten, not barred


class RerankedSource:
    """A PassageSource: the first `candidates` of another by what that thinks of them and what a reranker does; the rest behind.

    Both scores are z-normalised within the candidates and added, the reranker's times `weight`. A passage's score stays on the
    scale of the fused one; its `scores` gain that ("fused") and the reranker's own ("rerank").
    """

    def __init__(self, source: FusedSource, reranker: Reranker, candidates: int = 8, weight: float = 1.0) -> None:
        self._source, self._reranker = source, reranker
        self._candidates, self._weight = candidates, weight

    @property
    def entities(self) -> Entities:
        """Those of the source."""
        return self._source.entities

    @property
    def filters(self) -> Filters:
        """Those of the source."""
        return self._source.filters

    def find(self, query: Query, k: int) -> list[Passage]:
        """At most k passages by falling score, of those that the source finds. Raises ModelFailed."""
        found = self._source.find(query, max(k, self._candidates + 1))
        order, passages = self._reranked(query, found)
        return [passages[place] for place in order[:k]]

    def explain(self, query: Query, k: int, shown: int = 20) -> Trace:
        """What find() keeps and drops, with the source's reasons and that of having been reranked away. Raises ModelFailed."""
        trace = self._source.explain(query, k, max(shown, self._candidates + 1))
        barred = [one for one in trace.considered if one.dropped and one.dropped.reason not in COMPETED]
        competing = trace.considered[: len(trace.considered) - len(barred)]
        order, passages = self._reranked(query, [one.passage for one in competing])
        considered = [_judged(competing[place], passages[place], place, rank, k) for rank, place in enumerate(order, start=1)]
        return replace(trace, considered=(*considered, *barred))

    def _reranked(self, query: Query, found: Sequence[Passage]) -> tuple[list[int], list[Passage]]:
        """Places in `found`, best first, and the passages of `found`, in its order, with their new scores."""
        head, rest = found[: self._candidates], found[self._candidates :]
        if len(head) < 2:
            return list(range(len(found))), list(found)
        asked = query.repaired or query.text
        opinions = self._reranker.score(asked, [passage.chunk.search_text for passage in head])
        fused = np.array([passage.score for passage in head])
        combined = fused + (fused.std() or 1.0) * self._weight * _standard(opinions)
        order = [int(place) for place in np.argsort(-combined, kind="stable")]
        scores = np.maximum(combined, rest[0].score) if rest else combined  # no candidate falls behind the rest
        passages = [
            replace(passage, score=float(score), scores={**passage.scores, "fused": passage.score, "rerank": float(opinion)})
            for passage, score, opinion in zip(head, scores, opinions, strict=True)
        ]
        return [*order, *range(len(head), len(found))], [*passages, *rest]


def _standard(scores: Scores) -> Scores:
    """Mean 0, deviation 1; all 0 if they are equal."""
    standard: Scores = (scores - scores.mean()) / (scores.std() or 1.0)
    return standard


def _judged(one: Considered, passage: Passage, place: int, rank: int, k: int) -> Considered:
    """The candidate as the reranker left it; `place` counts from 0, `rank` from 1."""
    if rank <= k:
        return replace(one, passage=passage, dropped=None)
    away = Dropped("rerank", str(place + 1)) if place < k else one.dropped
    return replace(one, passage=passage, dropped=away)
