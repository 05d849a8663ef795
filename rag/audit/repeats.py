"""Passages that say the same thing twice, in different documents: one of them will be forgotten when the other is changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from rag.answer.quantities import quantities
from rag.audit.nearness import Readers, near
from rag.language import fold
from rag.ports import Rows, Vectors
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
    readers = Readers(chunks)

    def keep(ones: Rows, others: Rows) -> NDArray[np.bool_]:
        return readers.meet(ones, others)

    texts = [fold(chunk.text) for chunk in chunks]
    group = {row: row for row in range(len(chunks))}
    for one, other in near(vectors, NEAR, keep):
        is_repeat = fuzz.ratio(texts[one], texts[other], score_cutoff=ALIKE) and _measured(chunks[one]) == _measured(
            chunks[other]
        )
        if is_repeat and group[one] != group[other]:
            joined, left = group[one], group[other]
            group |= {row: joined for row, its in group.items() if its == left}
    members: dict[int, list[Chunk]] = defaultdict(list)
    for row, its in group.items():
        members[its].append(chunks[row])
    found = [Repeat(tuple(sorted(own, key=lambda chunk: -len(chunk.text)))) for own in members.values() if len(own) > 1]
    return sorted(found, key=lambda repeat: -len(repeat.chunks))


def _measured(chunk: Chunk) -> frozenset[object]:
    return quantities(chunk.text)
