"""Several searches to one list: scores on one scale, weighed by the question's language, then what the facets say.

Each source's scores are divided by its best one for the query, and summed with weights. On public sets (StackFAQ, MT-RAG
ClapNQ, CMRC 2018, DRCD) that found as much as z-scores and min-max scaling, and clearly more than reciprocal ranks, which
throw away how far ahead the best passage is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from rag.language import bigrams, words
from rag.ports import PassageSource
from rag.types import Chunk, Facets, Language, Passage, Query

OWN_LANGUAGE = 0.1  # added for a passage in the question's language; the best possible score without it is 1
NEGATIVE = 0.5  # taken off a FAQ whose "not this question" is nearer to the query than its own questions are
NEAR = 0.5  # likeness from which a negative question counts at all


class FusedSource:
    """A PassageSource over a dense and a lexical one. A passage's `scores` hold what each of them gave it."""

    def __init__(
        self,
        dense: PassageSource,
        lexical: PassageSource,
        weights: Mapping[Language, float],
        candidates: int = 50,
        today: Callable[[], date] = date.today,
    ) -> None:
        """`weights` is the lexical source's share, 0..1, by the question's language; `candidates` are asked of each source."""
        self._dense = dense
        self._lexical = lexical
        self._weights = weights
        self._candidates = candidates
        self._today = today

    def find(self, query: Query, k: int) -> list[Passage]:
        """At most k passages by falling score (ties by chunk id), none outside the time it is valid for."""
        wanted = max(k, self._candidates)
        dense = {passage.chunk.id: passage for passage in self._dense.find(query, wanted)}
        lexical = {passage.chunk.id: passage for passage in self._lexical.find(query, wanted)}
        # A chunk that the dense search left out has a cosine, but at most the lowest one that it gave; one that the lexical
        # search left out shares no word with the query or next to nothing.
        floor = min((passage.score for passage in dense.values()), default=0.0)
        shares = {id: passage.score for id, passage in lexical.items()}
        nearness = {id: max(dense[id].score if id in dense else floor, 0.0) for id in dense | lexical}
        weight = self._weights[query.language]
        today = self._today()
        found: list[Passage] = []
        for id, chunk in {id: passage.chunk for id, passage in (dense | lexical).items()}.items():
            if not holds(chunk.facets, today):
                continue
            score = (1 - weight) * _part(id, nearness) + weight * _part(id, shares) + _preference(chunk, query)
            scores = {**(dense[id].scores if id in dense else {}), **(lexical[id].scores if id in lexical else {})}
            found.append(Passage(chunk, score, scores))
        return sorted(found, key=lambda passage: (-passage.score, passage.chunk.id))[:k]


def holds(facets: Facets, today: date) -> bool:
    """Whether what a chunk says is in force on `today`; both ends are inclusive."""
    return (facets.valid_from or today) <= today <= (facets.valid_to or today)


def _part(id: str, scores: Mapping[str, float]) -> float:
    """The score as a part of the best one, 0..1."""
    best = max(scores.values(), default=0.0)
    return scores.get(id, 0.0) / best if best > 0 else 0.0


def _preference(chunk: Chunk, query: Query) -> float:
    """What to add for the language, and to take off for a question that this chunk says it does not answer."""
    own = OWN_LANGUAGE if chunk.facets.language in ("", query.language) else 0.0
    return own - (NEGATIVE if _is_negative(chunk, query.text) else 0.0)


def _is_negative(chunk: Chunk, question: str) -> bool:
    if not chunk.negatives:
        return False
    against = _likeness(question, chunk.negatives)
    return against >= NEAR and against > _likeness(question, (chunk.title, *chunk.aliases))


def _likeness(question: str, others: Sequence[str]) -> float:
    """The best Dice coefficient of words and Chinese character pairs, 0..1."""
    asked = _features(question)
    return max((2 * len(asked & _features(other)) / max(len(asked) + len(_features(other)), 1) for other in others), default=0.0)


@functools.lru_cache(maxsize=10_000)
def _features(text: str) -> frozenset[str]:
    return frozenset((*words(text), *bigrams(text)))
