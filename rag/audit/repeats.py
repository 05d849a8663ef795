"""Passages that say the same thing twice, in different documents: one of them will be forgotten when the other is changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz

from rag.answer.quantities import quantities
from rag.audit.nearness import Readers, near
from rag.language import fold
from rag.ports import Vectors
from rag.types import Chunk

NEAR = 0.9  # cosine of two passages
ALIKE = 90.0  # percent of their characters, by edits


@dataclass(frozen=True, slots=True)
class Repeat:
    """Passages of several documents that hardly differ, the longest first."""

    chunks: tuple[Chunk, ...]


def repeats(chunks: Sequence[Chunk], vectors: Vectors) -> list[Repeat]:
    """Groups of near-duplicates, the largest first; `vectors` are the chunks', in their order.

    To the same readers, in the same language, with the same quantities: translations, and rows of different things, are none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    readers, texts = Readers(chunks), [fold(chunk.text) for chunk in chunks]
    pairs = [
        pair
        for pair in near(vectors, NEAR, readers.meet)
        if fuzz.ratio(*(texts[row] for row in pair), score_cutoff=ALIKE)
        and len({quantities(chunks[row].text) for row in pair}) == 1
    ]
    joined = np.array(pairs, np.intp).reshape(-1, 2)
    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(len(chunks), len(chunks)))
    members: dict[int, list[Chunk]] = defaultdict(list)
    for chunk, group in zip(chunks, connected_components(graph)[1].tolist(), strict=True):
        members[group].append(chunk)
    found = [Repeat(tuple(sorted(own, key=lambda chunk: -len(chunk.text)))) for own in members.values() if len(own) > 1]
    return sorted(found, key=lambda repeat: -len(repeat.chunks))
