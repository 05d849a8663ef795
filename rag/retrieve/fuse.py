"""Several searches to one list: scores on one scale, weighed by the question's language, then what the chunks say of themselves.

Each source's scores are divided by its best one for the query, and summed with weights. On public sets (StackFAQ, MT-RAG
ClapNQ, CMRC 2018, DRCD) that found as much as z-scores and min-max scaling, and clearly more than reciprocal ranks, which
throw away how far ahead the best passage is. The other weights were chosen on the bundled shop's dev questions.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from rag.language import bigrams, words
from rag.ports import PassageSource
from rag.retrieve.dense import DenseSource
from rag.retrieve.products import Products
from rag.types import Chunk, Facets, Language, Passage, Query

CONTEXT = 0.5  # share of the search that takes in the last exchange, when there was one
# Added to, or taken off, a score that is 1 at best:
OWN_PRODUCT = 0.5  # for a chunk about a product that the query names; half of it if only the last exchange names it
OWN_LANGUAGE = 0.2  # for a chunk in the question's language
NEGATIVE = 0.5  # off a FAQ entry whose "not this question" is nearer to the query than its own questions are
NEAR = 0.5  # likeness from which a negative question counts at all
NO_PRODUCTS = Products({})


class FusedSource:
    """A PassageSource over two. A passage's `scores` hold its cosine ("dense") and, if words found it, its BM25 ("lexical")."""

    def __init__(
        self,
        dense: DenseSource,
        lexical: PassageSource,
        weights: Mapping[Language, float],
        candidates: int = 50,
        products: Products = NO_PRODUCTS,
        today: Callable[[], date] = date.today,
    ) -> None:
        """`weights` is the lexical source's share, 0..1, by the question's language; `candidates` are asked of each source."""
        self._dense = dense
        self._lexical = lexical
        self._weights = weights
        self._candidates = candidates
        self._products = products
        self._today = today

    def find(self, query: Query, k: int) -> list[Passage]:
        """At most k passages by falling score (ties by chunk id), none outside the time it is valid for."""
        wanted = max(k, self._candidates)
        products = self._products.mentioned(query.text)
        query = _spelled(query, products)
        found = self._search(query, wanted)
        if query.context:
            wider = self._search(replace(query, text=f"{query.text} {query.context}", context=""), wanted)
            found = _blend(found, wider)
        named, today = set(products.values()), self._today()
        before = set(self._products.mentioned(query.context).values())
        kept = [
            replace(passage, score=passage.score + self._preference(passage.chunk, query, named, before))
            for passage in found.values()
            if holds(passage.chunk.facets, today)
        ]
        return sorted(kept, key=lambda passage: (-passage.score, passage.chunk.id))[:k]

    def _search(self, query: Query, k: int) -> dict[str, Passage]:
        """Chunk id -> passage from both sources, scored 0..1."""
        lexical = {passage.chunk.id: passage for passage in self._lexical.find(query, k)}
        near = self._dense.find(query, k, including=[passage.chunk for passage in lexical.values()])
        nearest = max((passage.score for passage in near), default=0.0)
        most = max((passage.score for passage in lexical.values()), default=0.0)
        weight = self._weights[query.language]
        found: dict[str, Passage] = {}
        for passage in near:
            match = lexical.get(passage.chunk.id)
            score = (1 - weight) * _part(passage.score, nearest) + weight * _part(match.score if match else 0.0, most)
            found[passage.chunk.id] = Passage(passage.chunk, score, {**passage.scores, **(match.scores if match else {})})
        return found

    def _preference(self, chunk: Chunk, query: Query, named: set[str], before: set[str]) -> float:
        """What to add for the product and the language, and to take off for a question the chunk says it does not answer."""
        about = self._products.about(chunk)
        product = OWN_PRODUCT if named & about else CONTEXT * OWN_PRODUCT if before & about else 0.0
        language = OWN_LANGUAGE if chunk.facets.language in ("", query.language) else 0.0
        return product + language - (NEGATIVE if _is_negative(chunk, query.text) else 0.0)


def holds(facets: Facets, today: date) -> bool:
    """Whether what a chunk says is in force on `today`; both ends are inclusive."""
    return (facets.valid_from or today) <= today <= (facets.valid_to or today)


def _spelled(query: Query, products: Iterable[str]) -> Query:
    """The query with the catalogue's spelling of products added where it is another: "swift360" is also "Swift 360"."""
    other = [name for name in products if name.casefold() not in query.text.casefold()]
    return replace(query, text=" ".join((query.text, *other))) if other else query


def _blend(found: Mapping[str, Passage], wider: Mapping[str, Passage]) -> dict[str, Passage]:
    """Both searches as one; what each source gave the standalone question goes before what it gave the wider one."""
    scores: dict[str, float] = defaultdict(float)
    for share, passages in ((1 - CONTEXT, found), (CONTEXT, wider)):
        for id, passage in passages.items():
            scores[id] += share * passage.score
    both = {**wider, **found}
    given = {id: {**(wider[id].scores if id in wider else {}), **(found[id].scores if id in found else {})} for id in both}
    return {id: Passage(passage.chunk, scores[id], given[id]) for id, passage in both.items()}


def _part(score: float, best: float) -> float:
    """The score as a part of the best one, 0..1."""
    return max(score, 0.0) / best if best > 0 else 0.0


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
