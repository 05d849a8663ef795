"""How strongly a passage speaks to a question, as one number that compares across questions; and the thresholds on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from rag.answer.subjects import Subjects
from rag.answer.terms import Rarity, term_set
from rag.types import Passage, Query

_OTHER_SUBJECT = 0.5  # of the evidence is left where passage and question name different products


@dataclass(frozen=True)
class Gauge:
    """Measures passages against a question: `rarity` weighs words, `subjects` knows the products."""

    rarity: Rarity
    subjects: Subjects

    def evidence(self, query: Query, passage: Passage) -> float:
        """About 0 (nothing in common) to 1 (says just that), by how much of what is asked the passage holds.

        English: the mean of the dense cosine and the share of the question's rare words: the cosine knows paraphrases, the
        words know what is missing. Chinese: the words and character pairs alone, since the default embedder reads English
        only. A passage about other products than the question names, or a question for a product that does not exist, is
        worth a part of that.
        """
        held = term_set(passage.chunk.search_text)
        covered = self.rarity.coverage(self.asked(query), held)
        if query.language == "en":
            covered = (covered + max(passage.scores.get("dense", 0.0), 0.0)) / 2
        return covered * self.about(query, passage)

    def asked(self, query: Query) -> frozenset[str]:
        """The terms of the question besides the products it names; all of them if it only names products."""
        named = frozenset().union(*map(term_set, self.subjects.mentioned(query.text)))
        return (term_set(query.text) - named) or term_set(query.text)

    def about(self, query: Query, passage: Passage) -> float:
        """1 if the passage is about a product that the question names, or the question names none; else a small share."""
        if self.subjects.unknown(query.text):
            return _OTHER_SUBJECT
        named = self.subjects.mentioned(query.text)
        return 1.0 if not named or named & self.subjects.mentioned(passage.chunk.search_text) else _OTHER_SUBJECT

    def strong(self, query: Query, passages: Sequence[Passage], threshold: float) -> bool:
        """Whether any passage speaks to the question strongly enough to answer from."""
        return any(self.evidence(query, passage) >= threshold for passage in passages)

    def usable(self, query: Query, passages: Sequence[Passage], today: date, threshold: float) -> list[Passage]:
        """What may be answered from: in force today; in the question's language where any is; official where any is strong.

        What customers write (trust other than "official") is heard only where the shop itself says nothing, so a planted
        review cannot outshout a policy.
        """
        valid = [passage for passage in passages if _in_force(passage, today)]
        native = [passage for passage in valid if passage.chunk.facets.language in ("", query.language)] or valid
        official = [passage for passage in native if is_official(passage)]
        return official if self.strong(query, official, threshold) else native


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
