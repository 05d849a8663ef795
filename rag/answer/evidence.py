"""How strongly a passage speaks to a question, as one number that compares across questions; and the thresholds on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from rag.answer.terms import Rarity, term_set
from rag.types import Passage, Query


def evidence(query: Query, passage: Passage, rarity: Rarity) -> float:
    """About 0 (nothing in common) to 1 (says just that).

    English: the mean of dense cosine and the share of the question's rare words that the passage holds: the cosine knows
    paraphrases, the words know what is missing. Chinese: the words and character pairs alone, since the default embedder
    reads English only.
    """
    covered = rarity.coverage(term_set(query.text), term_set(passage.chunk.search_text))
    if query.language == "zh":
        return covered
    return (covered + max(passage.scores.get("dense", 0.0), 0.0)) / 2


def usable(query: Query, passages: Sequence[Passage], rarity: Rarity, today: date, threshold: float) -> list[Passage]:
    """What may be answered from: in force today; in the question's language where any is; official where any official is strong.

    What customers write (trust other than "official") is heard only where the shop itself says nothing, so a planted review
    cannot outshout a policy.
    """
    valid = [passage for passage in passages if _in_force(passage, today)]
    native = [passage for passage in valid if passage.chunk.facets.language in ("", query.language)] or valid
    official = [passage for passage in native if is_official(passage)]
    return official if strong(query, official, rarity, threshold) else native


def strong(query: Query, passages: Sequence[Passage], rarity: Rarity, threshold: float) -> bool:
    """Whether any passage speaks to the question strongly enough to answer from."""
    return any(evidence(query, passage, rarity) >= threshold for passage in passages)


def is_official(passage: Passage) -> bool:
    """Whether the shop itself vouches for it."""
    return passage.chunk.facets.trust == "official"


def _in_force(passage: Passage, today: date) -> bool:
    facets = passage.chunk.facets
    return (facets.valid_from is None or facets.valid_from <= today) and (facets.valid_to is None or today <= facets.valid_to)


def fit_threshold(scores: Sequence[float], good: Sequence[bool], cost: float = 1.0) -> float:
    """The threshold on `scores` that earns most: +1 for a good case at or above it, -`cost` for a bad one, 0 below.

    This is the score that punishes guessing (CRAG; Yang et al. 2024). Between two neighbouring scores the middle is taken;
    of equals the lowest threshold. Raises ValueError without scores.
    """
    if not scores or len(scores) != len(good):
        raise ValueError(f"as many scores as verdicts, at least one; found {len(scores)} and {len(good)}")
    ranked = sorted(zip(scores, good, strict=True), reverse=True)
    best, best_gain, gain = ranked[0][0] + 1e-6, 0.0, 0.0
    for index, (score, is_good) in enumerate(ranked):
        gain += 1 if is_good else -cost
        following = ranked[index + 1][0] if index + 1 < len(ranked) else score - 2e-6
        if score > following and gain >= best_gain:
            best, best_gain = (score + following) / 2, gain
    return best
