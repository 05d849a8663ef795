"""Trivial systems to stand beside every figure: the best lexical sentence of the corpus, and always refusing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rag.evaluate.gold import Question
from rag.evaluate.rows import Cited, Found, Row
from rag.language import sentences, words
from rag.types import Chunk

FOUND = 10


def always_refuse(items: Sequence[Question]) -> list[Row]:
    """One refusal per question."""
    return [Row(id=item.id, fingerprint="", outcome="refused", text="", rung="refusal") for item in items]


class BestSentence:
    """The sentence of the whole corpus whose words are nearest (cosine of tf-idf; Salton, Buckley 1988), said as the answer."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._spans = [(chunk, start, end) for chunk in chunks for start, end in sentences(chunk.text)]
        self._tfidf: Any = TfidfVectorizer(analyzer=words)
        self._matrix = self._tfidf.fit_transform([chunk.text[start:end] for chunk, start, end in self._spans])

    def answer(self, item: Question) -> Row:
        """The best sentence for the question and the shopper's turn before it, and the passages of the best sentences."""
        before = [turn.text for turn in item.history if turn.role == "user"][-1:]
        scores = (self._matrix @ self._tfidf.transform([" ".join((*before, item.question))]).T).toarray().ravel()
        found: dict[str, Found] = {}
        order = np.argsort(-scores, kind="stable")
        for i in order:
            chunk = self._spans[i][0]
            if chunk.id not in found:
                found[chunk.id] = Found(
                    id=chunk.id, document=chunk.document, entry=chunk.entry, text=chunk.text, score=float(scores[i])
                )
            if len(found) == FOUND:
                break
        chunk, start, end = self._spans[order[0]]
        quote = chunk.text[start:end]
        return Row(
            id=item.id,
            fingerprint="",
            outcome="answered",
            text=quote,
            rung="sentence",
            citations=(Cited(n=1, document=chunk.document, chunk=chunk.id, quote=quote, start=start, end=end),),
            passages=(next(iter(found.values())),),
            found=tuple(found.values()),
            evidence=float(scores[order[0]]),
        )
