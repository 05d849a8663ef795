"""Vetted FAQs as worked examples, for a generator that was not trained to answer in our form.

Those nearest in meaning to the question, and the nearest of them last, teach most (Liu et al. 2022, "What Makes Good In-Context
Examples for GPT-3?"). They show the form; what they say is never the answer, so no FAQ that the prompt shows is among them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import get_args

import numpy as np

from rag.answer.prompt import Example, disarm
from rag.answer.reply import FOUND, NONE
from rag.answer.similarity import Similarity
from rag.language import sentences
from rag.ports import Embedder, Mask, Store
from rag.types import Chunk, Facets, Filter, Kind, Language, Passage, Query

NEAR = 40  # FAQs that are looked at, so that a shop with thousands need not wait
ALIKE = 0.8  # cosine from which two questions are nearly the same
APART = 0.5  # cosine up to which a FAQ surely does not answer another's question
_SENTENCES = 2  # of an answer that are repeated in the reply


@dataclass(frozen=True)
class FaqExamples:
    """Chooses at most `count` examples a question. `masks` say which chunks of the store are vetted FAQs, by language."""

    store: Store
    embedder: Embedder
    similarity: Similarity
    count: int
    masks: Mapping[Language, Mask]

    @classmethod
    def of(cls, chunks: Sequence[Chunk], store: Store, embedder: Embedder, count: int) -> FaqExamples:
        """`chunks` are those of the store, in its order."""
        masks = {language: np.array([_is_vetted(one, language) for one in chunks], bool) for language in get_args(Language)}
        return cls(store, embedder, Similarity(embedder), count, masks)

    def chosen(self, query: Query, shown: Collection[str], day: date) -> list[Example]:
        """The nearest last, none of the FAQs whose chunk ids are `shown`, no two with nearly the same question.

        Of two or more the first is declined: its passage is that of a FAQ which answers something else.
        """
        if not self.count or not self.masks[query.language].any():
            return []
        near = self._near(query, shown, day)
        taken = self._diverse(query, near)
        if not taken:
            return []
        farthest, *nearer = reversed(taken)
        other = self._other(farthest, near) if nearer else None
        return [_declined(farthest, other) if other else _found(farthest), *map(_found, nearer)]

    def _near(self, query: Query, shown: Collection[str], day: date) -> list[Chunk]:
        """FAQs that hold on that day for that filter, the one with the nearest question first."""
        found = self.store.search(self.embedder.embed([query.text])[0], NEAR + len(shown), self.masks[query.language])
        chunks = [
            chunk
            for chunk, _ in found
            if chunk.id not in shown and chunk.facets.in_force(day) and _passes(chunk.facets, query.filter)
        ]
        if not chunks:
            return []
        order = np.argsort(-self.similarity.cosines(query.text, [chunk.title for chunk in chunks]), kind="stable")
        return [chunks[place] for place in order]

    def _diverse(self, query: Query, near: Sequence[Chunk]) -> list[Chunk]:
        """The first `count` that differ from the question and from one another."""
        taken: list[Chunk] = []
        for chunk in near:
            others = [query.text, *(one.title for one in taken)]
            if len(taken) < self.count and self.similarity.cosines(chunk.title, others).max() < ALIKE:
                taken.append(chunk)
        return taken

    def _other(self, asked: Chunk, near: Sequence[Chunk]) -> Chunk | None:
        """The FAQ that comes nearest to the question of `asked` among those that surely do not answer it, if any."""

        def likeness(chunk: Chunk) -> float:
            return float(self.similarity.cosines(_question(asked), (chunk.title, *chunk.aliases, chunk.answer)).max())

        apart = [(likeness(chunk), chunk) for chunk in near if chunk.id != asked.id]
        return max((pair for pair in apart if pair[0] < APART), key=lambda pair: pair[0], default=(0.0, None))[1]


def _found(chunk: Chunk) -> Example:
    end = [end for _, end in sentences(chunk.answer)][:_SENTENCES][-1]
    text = " ".join(disarm(chunk.answer[:end]).split())
    return Example(_question(chunk), (_excerpt(chunk),), f"{FOUND} {text} [1]")


def _declined(asked: Chunk, shown: Chunk) -> Example:
    return Example(_question(asked), (_excerpt(shown),), NONE)


def _excerpt(chunk: Chunk) -> tuple[Passage, str]:
    return Passage(chunk, 0.0), chunk.answer


def _question(chunk: Chunk) -> str:
    """Another way to ask it where the shop gives one: the title already stands over the passage."""
    return chunk.aliases[0] if chunk.aliases else chunk.title


def _is_vetted(chunk: Chunk, language: Language) -> bool:
    facets = chunk.facets
    return chunk.kind is Kind.FAQ and bool(chunk.answer.strip()) and facets.language == language and facets.trust == "official"


def _passes(facets: Facets, chosen: Filter) -> bool:
    pairs = ((chosen.region, facets.region), (chosen.audience, facets.audience))
    return all(not wanted or not own or wanted.casefold() == own.casefold() for wanted, own in pairs)
