"""Which passages may be answered from, which candidates are heard, and thresholds on how likely they are.

The evidence for an answer is rag.answer.rank's probability that a unit answers the question: one number, 0..1, that compares
across questions. A question is answered if its best candidate reaches the threshold of its language, else it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.answer.rank import Candidate
from rag.types import Language, Passage


def usable(passages: Sequence[Passage], language: Language) -> list[Passage]:
    """What may be answered from: those in the question's language, where any is. All are in force: see ports.PassageSource."""
    return [passage for passage in passages if passage.chunk.facets.language in ("", language)] or list(passages)


def foreign(passages: Sequence[Passage], language: Language) -> list[Passage]:
    """What was found besides, in another language."""
    kept = {passage.chunk.id for passage in usable(passages, language)}
    return [passage for passage in passages if passage.chunk.id not in kept]


def heard(candidates: Sequence[Candidate], threshold: float) -> list[Candidate]:
    """The official candidates if any of them reaches `threshold`; else all, best first.

    What customers write (trust other than "official") counts only where the shop itself says nothing, so a planted review
    cannot outshout a policy.
    """
    official = [candidate for candidate in candidates if is_official(candidate.passage)]
    return official if official and official[0].probability >= threshold else list(candidates)


def is_official(passage: Passage) -> bool:
    """Whether the shop itself vouches for it."""
    return passage.chunk.facets.trust == "official"
