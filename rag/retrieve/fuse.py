"""Several searches to one list: candidates of all, one feature vector each, one weighted sum.

forms of the query --embed, in one call--> vectors
    --dense, words, questions, and what is spoken of by name--> candidates, each from any
    --features--> matrix --weights by the question's language--> scores --> the first k

An expired or filtered chunk is no candidate at all. explain() does the same and tells what became of each candidate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from rag.language import fold
from rag.ports import Embedder, Mask, QuestionSearch, Rows, SentenceSearch, Store, Vectors, WordSearch
from rag.retrieve.entities import NOTHING, Entities
from rag.retrieve.features import FEATURES, Column, Signals, Weights, fitted, matrix
from rag.retrieve.filter import Filters, barred
from rag.retrieve.trace import Considered, Dropped, Trace
from rag.types import Chunk, Kind, Language, Passage, Query

FEW = 1_000  # chunks about what is spoken of that are compared one by one rather than searched


@dataclass(frozen=True, slots=True)
class Form:
    """One way to put the query (features.FORMS), and what the embedder makes of it."""

    name: str
    text: str
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Asked:
    """A query made ready: its forms, the text first, and what it names (rag.retrieve.entities)."""

    query: Query
    forms: Sequence[Form]
    named: Mapping[str, tuple[str, ...]]  # name -> ids of what it may mean

    @property
    def vector(self) -> Vectors:
        """The text's."""
        return self.forms[0].vector

    @property
    def subjects(self) -> list[str]:
        """Ids of all that the query names."""
        return [id for ids in self.named.values() for id in ids]

    @property
    def carried(self) -> Sequence[Sequence[str]]:
        """What earlier turns name; nothing if the query itself names something."""
        return () if self.named else self.query.carried


@dataclass(frozen=True)
class Pool:
    """The candidates of one query, in the order of their ids, and what is known of them."""

    language: Language  # the question's
    chunks: Sequence[Chunk]
    text: Signals  # of the query's text
    features: NDArray[np.float64]  # (candidates, FEATURES)
    scores: Column

    def best(self, k: int) -> list[int]:
        """Places of the k best, ties by id; a twin's place is taken by the entry that it gives way to."""
        order = (int(place) for place in np.argsort(-self.scores, kind="stable"))
        return list(dict.fromkeys(self.twins.get(place, place) for place in order))[:k]

    @functools.cached_property
    def twins(self) -> dict[int, int]:
        """Places of product entries in another language than the question's -> the same product's best in the question's own."""
        own: dict[tuple[str, str], int] = {}
        for place in np.argsort(-self.scores, kind="stable"):
            if self.chunks[place].facets.language == self.language and (product := _entry_of(self.chunks[place])):
                own.setdefault(product, int(place))
        return {
            place: own[product]
            for place, chunk in enumerate(self.chunks)
            if chunk.facets.language not in ("", self.language) and (product := _entry_of(chunk)) in own
        }

    def passage(self, place: int) -> Passage:
        """The candidate as a passage, with each search's own score where it found it."""
        own = {"lexical": float(self.text.bm25[place]), "question": float(self.text.question[place])}
        scores = {"dense": float(self.text.cosine[place]), **{name: score for name, score in own.items() if score > 0}}
        return Passage(self.chunks[place], float(self.scores[place]), scores)


class FusedSource:
    """A PassageSource over one generation. A passage's `scores` hold its cosine ("dense") and, where there are, its BM25
    ("lexical") and the cosine of the nearest question that it answers ("question").
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        words: WordSearch,
        questions: QuestionSearch,
        sentences: SentenceSearch,
        entities: Entities = NOTHING,
        weights: Mapping[Language, Weights] | None = None,
        candidates: int = 100,
        today: Callable[[], date] = date.today,
    ) -> None:
        """`candidates` are asked of each search for each form; `weights` are of FEATURES, by the question's language."""
        self._store, self._embedder, self._words = store, embedder, words
        self._questions, self._sentences = questions, sentences
        self.entities, self._candidates, self._today = entities, candidates, today
        self._weights = weights or fitted()
        self._chunks = list(store.chunks())
        self._row = {chunk.id: row for row, chunk in enumerate(self._chunks)}
        self.filters = Filters(self._chunks)

    def find(self, query: Query, k: int) -> list[Passage]:
        """At most k passages by falling score (ties by id): in force today, and such as the query's filter lets pass.

        Raises ModelFailed.
        """
        pool = self.candidates(query, k)
        return [pool.passage(place) for place in pool.best(k)]

    def candidates(self, query: Query, k: int = 0) -> Pool:
        """All that find() ranks, at least k where there are so many, with their features. Raises ModelFailed."""
        asked = self._ask(query)
        mask = self.filters.mask(query.filter, self._today())
        return self._pool(asked, self._gather(asked, max(k, self._candidates), mask))

    def explain(self, query: Query, k: int, shown: int = 20) -> Trace:
        """What find() keeps and drops: at most `shown` candidates, and as many that it may not find, with the reason for each."""
        asked, day, wanted = self._ask(query), self._today(), max(k, self._candidates)
        pool = self._pool(asked, self._gather(asked, wanted, self.filters.mask(query.filter, day)))
        nearest = {chunk.id: question for chunk, _, question in self._questions.find(asked.vector, wanted)}
        weights = self._weights[query.language]
        considered: list[Considered] = []
        for rank, place in enumerate(pool.best(max(k, shown)), start=1):
            chunk, row = pool.chunks[place], pool.features[place]
            negative = self._negative(chunk, asked.vector) if row[FEATURES.index("against")] else ""
            dropped = Dropped("negative", negative) if negative else Dropped("rank", str(k))
            considered.append(
                Considered(
                    pool.passage(place),
                    {name: float(value) for name, value in zip(FEATURES, row, strict=True) if value},
                    {name: float(value) for name, value in zip(FEATURES, row * weights, strict=True) if value},
                    nearest.get(chunk.id, ""),
                    negative,
                    dropped if rank > k else None,
                )
            )
        considered += _twins(pool, max(k, shown))
        considered += self._barred(asked, wanted, day)[:shown]
        return Trace(query, {form.name: form.text for form in asked.forms}, asked.named, day, tuple(considered))

    def _ask(self, query: Query) -> Asked:
        """The catalogue's spelling of products is added where it is another: "swift360" is also "Swift 360"."""
        texts = {"text": _with(query.text, self.entities.spelled(query.text))}
        if query.repaired:
            texts["repaired"] = _with(query.repaired, self.entities.spelled(query.repaired))
        if query.context:
            texts["context"] = f"{texts.get('repaired', texts['text'])} {query.context}"
        vectors = self._embedder.embed(list(texts.values()))
        forms = [Form(name, text, vector) for (name, text), vector in zip(texts.items(), vectors, strict=True)]
        return Asked(query, forms, {**self.entities.mentioned(query.repaired), **self.entities.mentioned(query.text)})

    def _gather(self, asked: Asked, wanted: int, mask: Mask | None) -> Rows:
        """Rows of the candidates, ascending: of every form the best by meaning, by words and by questions."""
        found = set(self._spoken_of(asked, wanted, mask))
        for form in asked.forms:
            found.update(chunk.id for chunk, _ in self._store.search(form.vector, wanted, mask))
            found.update(p.chunk.id for p in self._words.find(replace(asked.query, text=form.text), wanted, mask))
            found.update(chunk.id for chunk, _, _ in self._questions.find(form.vector, wanted, mask))
        return np.array(sorted(self._row[id] for id in found), dtype=np.intp)

    def _spoken_of(self, asked: Asked, wanted: int, mask: Mask | None) -> list[str]:
        """Ids of the nearest chunks about what the question names, or else earlier turns do."""
        rows = self.entities.rows(id for ids in ((asked.subjects,) if asked.subjects else asked.carried) for id in ids)
        if mask is not None:
            rows = rows[mask[rows]]
        if len(rows) > FEW:
            only = np.zeros(len(self._chunks), dtype=np.bool_)
            only[rows] = True
            return [chunk.id for chunk, _ in self._store.search(asked.vector, wanted, only)]
        ids = [self._chunks[row].id for row in rows]
        nearest = np.argsort(-np.array(self._store.cosines(asked.vector, ids)), kind="stable")
        return [ids[place] for place in nearest[:wanted]]

    def _pool(self, asked: Asked, rows: Rows) -> Pool:
        chunks = [self._chunks[row] for row in rows]
        ids = [chunk.id for chunk in chunks]
        sentences = self._sentences.cosines(np.stack([form.vector for form in asked.forms]), rows).astype(np.float64)
        signals = {form.name: self._signals(form, ids, rows, own) for form, own in zip(asked.forms, sentences, strict=True)}
        text = signals["text"]
        against = np.array(self._questions.against(asked.vector, ids), dtype=np.float64)
        own = {
            "against": np.maximum(against - np.maximum(text.question, 0.0), 0.0),
            **self.entities.columns(asked.subjects, asked.carried, rows),
            **_self_said(chunks, asked.query),
        }
        features = matrix(signals, own)
        return Pool(asked.query.language, chunks, text, features, features @ self._weights[asked.query.language])

    def _signals(self, form: Form, ids: Sequence[str], rows: Rows, sentence: Column) -> Signals:
        cosine, question = self._store.cosines(form.vector, ids), self._questions.cosines(form.vector, ids)
        words = self._words.match(form.text, rows)
        return Signals(np.array(cosine, np.float64), *words, np.array(question, np.float64), sentence)

    def _barred(self, asked: Asked, wanted: int, day: date) -> list[Considered]:
        """What would have been a candidate, had it been in force and passed the filter; by falling cosine."""
        chosen = asked.query.filter
        why = {row: barred(self._chunks[row].facets, chosen, day) for row in self._gather(asked, wanted, None)}
        rows = np.array([row for row, reason in why.items() if reason], dtype=np.intp)
        pool = self._pool(asked, rows)
        order = np.argsort(-pool.text.cosine, kind="stable")
        return [Considered(replace(pool.passage(place), score=0.0), dropped=why[rows[place]]) for place in order]

    def _negative(self, chunk: Chunk, vector: Vectors) -> str:
        """The negative question that is nearest."""
        return chunk.negatives[int(np.argmax(self._embedder.embed(chunk.negatives) @ vector))]


def _twins(pool: Pool, shown: int) -> list[Considered]:
    """Of the first `shown`, those that gave their place to the same product's entry in the question's language."""
    order = [int(place) for place in np.argsort(-pool.scores, kind="stable")[:shown]]
    return [
        Considered(pool.passage(place), dropped=Dropped("twin", pool.chunks[pool.twins[place]].id))
        for place in order
        if place in pool.twins
    ]


def _entry_of(chunk: Chunk) -> tuple[str, str] | None:
    """What the entries of one product in several languages share; None for what is no product's entry."""
    return (chunk.document, chunk.facets.product) if chunk.kind is Kind.PRODUCT and chunk.facets.product else None


def _with(text: str, more: Sequence[str]) -> str:
    return " ".join((text, *more))


@functools.lru_cache(maxsize=100_000)
def _folded(title: str) -> str:
    return fold(title)


def _self_said(chunks: Sequence[Chunk], query: Query) -> dict[str, Column]:
    """What the chunks say of themselves."""
    asked = fold(query.text)
    return {
        "language": np.array([chunk.facets.language in ("", query.language) for chunk in chunks], np.float64),
        "title": np.array([1 < len(chunk.title) <= len(asked) and _folded(chunk.title) in asked for chunk in chunks], np.float64),
        "faq": np.array([chunk.kind is Kind.FAQ for chunk in chunks], np.float64),
    }
