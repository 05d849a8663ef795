"""Documents that state different figures for the same thing: the one in force since later wins, else both are named.

That the shop's word wins over customers' is settled before (rag.answer.evidence.heard), and so is what is out of force.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from rag.answer.quantities import Quantity, quantities
from rag.answer.rank import Candidate
from rag.answer.rarity import Rarity
from rag.content import term_set
from rag.types import Kind

CLOSEST = 12  # of the candidates are compared with one another
ALIKE = 0.6  # share, by rarity, of the words besides figures that each must have of the other
_LISTED = (Kind.PRODUCT, Kind.ROW)  # rows that look alike are about different things


def standing(candidates: Sequence[Candidate], rarity: Rarity) -> list[Candidate]:
    """Those that no later document among the closest contradicts, not even in a part of them, in their order."""
    close = candidates[:CLOSEST]
    gone = [one for one in close if any(_since(other) > _since(one) and disagree(one, other, rarity) for other in close)]
    return [one for one in candidates if not any(_overlap(one, other) for other in gone)]


def rival(best: Candidate, candidates: Sequence[Candidate], rarity: Rarity) -> Candidate | None:
    """The likeliest that contradicts `best`."""
    return next((one for one in candidates[:CLOSEST] if disagree(best, one, rarity)), None)


def disagree(one: Candidate, other: Candidate, rarity: Rarity) -> bool:
    """Whether two documents say nearly the same of the same readers, with other figures of one unit."""
    if one.passage.chunk.document == other.passage.chunk.document or one.unit.is_whole or other.unit.is_whole:
        return False
    mine, theirs = one.passage.chunk, other.passage.chunk
    if mine.kind in _LISTED or theirs.kind in _LISTED or mine.facets.trust != theirs.facets.trust:
        return False
    if any(getattr(mine.facets, name) != getattr(theirs.facets, name) for name in ("language", "region", "audience", "product")):
        return False
    if not _differ(quantities(one.unit.text), quantities(other.unit.text)):
        return False
    said, also = _words(one), _words(other)
    return min(rarity.coverage(said, also), rarity.coverage(also, said)) >= ALIKE


def _differ(ours: frozenset[Quantity], theirs: frozenset[Quantity]) -> bool:
    """Whether they state amounts of one unit, and no amount of it in common."""
    units = {one.unit for one in ours if one.unit} & {one.unit for one in theirs}
    return any(
        {one.value for one in ours if one.unit == unit}.isdisjoint(one.value for one in theirs if one.unit == unit)
        for unit in units
    )


def _overlap(one: Candidate, other: Candidate) -> bool:
    is_same = one.passage.chunk.id == other.passage.chunk.id
    return is_same and one.unit.start < other.unit.end and other.unit.start < one.unit.end


def _words(candidate: Candidate) -> frozenset[str]:
    return frozenset(term for term in term_set(candidate.unit.text) if not any(map(str.isdigit, term)))


def _since(candidate: Candidate) -> date:
    return candidate.passage.chunk.facets.valid_from or date.min
