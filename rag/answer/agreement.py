"""Which units say the same, so that what is said in several places is not the less likely for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.answer.fit import Matrix
from rag.answer.quantities import Quantity, quantities
from rag.answer.rank import Candidate
from rag.answer.terms import term_set
from rag.answer.units import Unit
from rag.types import Kind, Passage

LISTED = (Kind.PRODUCT, Kind.ROW)  # rows that read alike are about different things
_SHARED = 0.5  # of the words of the one that has more


def agreement(found: Sequence[tuple[Passage, Unit]]) -> NDArray[np.bool_]:
    """Shape (n, n): whether two say the same: one holds the other, or half of their words are the same and no figure differs."""
    about = [passage.chunk.title if passage.chunk.kind in LISTED else "" for passage, _ in found]
    agree = np.eye(len(found), dtype=np.bool_)
    for place, (_, unit) in enumerate(found):
        for other in range(place):
            if about[place] == about[other]:
                agree[place, other] = agree[other, place] = _alike(unit.text, found[other][1].text)
    return agree


def together(agree: NDArray[np.bool_], likely: Matrix) -> Matrix:
    """How likely what each unit says is the answer: the sum over all that say the same as it, or as one that does."""
    return np.asarray((agree * (agree @ likely)[:, None]).max(0, initial=0.0))


def united(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with the probability of what they say, the likeliest first, and of those that say the same the one with the
    greatest share.
    """
    agree = agreement([(one.passage, one.unit) for one in candidates])
    chances = together(agree, np.array([one.share for one in candidates]))
    made = [replace(one, probability=float(chance)) for one, chance in zip(candidates, chances, strict=True)]
    return sorted(made, key=lambda one: (-one.probability, -one.share))


def differ(ours: frozenset[Quantity], theirs: frozenset[Quantity]) -> bool:
    """Whether they state amounts of one unit, and no amount of it in common."""
    units = {one.unit for one in ours if one.unit} & {one.unit for one in theirs}
    amounts = [
        ({one.value for one in ours if one.unit == unit}, {one.value for one in theirs if one.unit == unit}) for unit in units
    ]
    return any(mine.isdisjoint(others) for mine, others in amounts)


def _alike(one: str, other: str) -> bool:
    if one in other or other in one:
        return True
    mine, theirs = term_set(one), term_set(other)
    return len(mine & theirs) >= _SHARED * max(len(mine), len(theirs), 1) and not differ(quantities(one), quantities(other))
