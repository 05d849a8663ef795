"""How likely each quotable unit of the passages is the answer: features, fitted weights, one softmax with "none of them".

P(unit) = exp(w . f(unit)) / (1 + sum over all units of exp(w . f)), so candidates compete with one another and with declining
(a conditional logit with an outside option; McFadden 1974). The weights lie in weights.toml (rag.answer.fitted).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rag.answer.dimensions import fits, wanted
from rag.answer.fit import Matrix
from rag.answer.rarity import Rarity
from rag.answer.reply import Reading
from rag.answer.similarity import Similarity
from rag.answer.subjects import Subjects
from rag.answer.units import Unit, layout, units
from rag.content import term_set
from rag.language import fold
from rag.ports import Layout, Scores, Selector
from rag.types import Chunk, Kind, Language, Passage, Query

# One column each, in this order. cos_*: cosines; cov_*: share, by rarity, of what is asked.
FEATURES = (
    "one",  # the constant
    "cos_unit",  # unit with its subject
    "cos_asked",  # unit alone and what the shopper typed, both without the models they name
    "dense",  # passage
    "cov_text",  # ... that the unit says itself
    "cov_unit",  # ... that the unit or its headings say
    "cov_chunk",  # ... that the whole passage says
    "concepts",  # share of the concepts asked for that the unit touches; 0.5 if none is asked for
    "about",  # 1: the passage is about a product that the question names; 0.5: it mentions one, or none is named
    "other",  # the unit names products, but none that the question names
    "unknown",  # the question names a model that the shop does not have
    "unseen",  # share of what is asked that no document says
    "rank",  # 1 / rank of the passage
    "share",  # of what retrieval believes of all the passages, exp(score) / sum of exp(score), its part
    "best",  # score of the best passage
    "question",  # cosine to the nearest question that the passage answers; 0 for none
    "faq",
    "product",
    "is_whole",  # a list or a vetted answer as one
    "whole_unit",  # ... where a quantity is asked for, which one sentence states best
    "length",  # log2 of hundreds of characters
    "asked_before",  # likeness to the FAQ's question or one of its similar questions; 0 for other kinds
    "denied",  # likeness to the nearest of the FAQ's negative questions
    "unit",  # 1: a quantity in the unit asked for, -1: none, 0: no unit is asked for
    "abroad",  # the unit speaks of prices or stock of another country than shoppers of this language live in
    "quantity",  # 1: a number is asked for and there, -1: asked for and missing, 0: not asked for
    "states",  # a fifth of the selector's logit that the unit states what is asked; 0 where there is no selector
    "elsewhere",  # the highest of that among the passages in other languages; -1 at least, and where there are none
)
# Columns once a generator has read the passages, few because few questions teach their weights.
READ = (
    "one",  # the constant
    "prior",  # the weighted sum of the columns above
    "said",  # share, by rarity, of the reply that the unit says
    "told",  # ... of the unit that the reply says
    "cited",  # the reply names the unit's passage
    "odds",  # natural log of the odds that the passages hold the answer
    "surety",  # mean natural log of the probabilities of the reply's tokens, times "said"
)
_ASKS_QUANTITY = re.compile(
    r"how (?:many|much|long|far|heavy|big|tall|old|often|hot|cold|loud|bright)|what time|price|"
    r"多少|几|多久|多长|多重|多远|多大|多高|价"
)
_NUMBER = re.compile(r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twice|once)\b|[一二两三四五六七八九十百千]")

_STATED = 5.0  # the selector's logits are divided by it, so that a penalty on weights means the same for all columns

# Who writes Chinese pays in yuan and is served from China; who writes English, elsewhere. Unless they say otherwise.
_ABROAD: dict[Language, re.Pattern[str]] = {
    "en": re.compile(r"\b(?:China|Chinese|CNY|RMB|yuan)\b"),
    "zh": re.compile(r"欧盟|欧元|欧洲|EUR|€"),
}


Said = tuple[Reading, Passage | None]  # a generator's reply, and the passage that its first marker stands for


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit of a passage and the probability that it is the answer."""

    probability: float
    passage: Passage
    unit: Unit


def headed(unit: Unit) -> str:
    """A unit with what it is about."""
    return f"{unit.subject}: {unit.text}"


def likelihoods(scores: Matrix) -> Matrix:
    """The probability of each of a question's units; they sum to less than 1, the rest is "none of them"."""
    top = max(float(scores.max(initial=0.0)), 0.0)
    raised = np.exp(scores - top)
    return np.asarray(raised / (raised.sum() + math.exp(-top)))


def as_read(prior: Matrix, told: Matrix) -> Matrix:
    """The columns of READ, from each unit's weighted sum of FEATURES and what Ranker.told says of it."""
    return np.column_stack([np.ones(len(prior)), prior, told])


def _repaired(query: Query) -> Query:
    return replace(query, text=query.repaired or query.text)


@dataclass(frozen=True)
class Ranker:
    """Weighs what the passages offer against a question."""

    rarity: Rarity
    subjects: Subjects
    similarity: Similarity
    weights: Matrix  # of FEATURES
    read: Mapping[Language, Matrix] = field(default_factory=dict)  # of READ
    selector: Selector | None = None

    def rank(
        self, query: Query, passages: Sequence[Passage], said: Said | None = None, foreign: Sequence[Passage] = ()
    ) -> list[Candidate]:
        """All units of `passages`, the likeliest first; the probabilities sum to less than 1, the rest is "none of them".

        With what a generator `said`, where there are weights for that. `foreign` passages were found, too, but are in a language
        that is not answered in: if they state what is asked, "none of them" is likelier.
        """
        found = [(passage, unit) for passage in passages for unit in units(passage.chunk)]
        if not found:
            return []
        scores = self.features(query, passages, foreign) @ self.weights
        if said and query.language in self.read:
            scores = as_read(scores, self.told(said, passages)) @ self.read[query.language]
        likely = likelihoods(scores)
        ranked = [Candidate(float(p), *pair) for p, pair in zip(likely, found, strict=True)]
        return sorted(ranked, key=lambda candidate: -candidate.probability)

    def features(self, query: Query, passages: Sequence[Passage], foreign: Sequence[Passage] = ()) -> Matrix:
        """Shape (units of all passages in their order, len(FEATURES)); the question as repaired, where it was."""
        query = _repaired(query)
        best = max((passage.score for passage in passages), default=0.0)
        belief = [math.exp(passage.score - best) for passage in passages]
        rows = [
            row
            for place, passage in enumerate(passages)
            for its in [
                {"rank": 1 / (place + 1), "share": belief[place] / sum(belief), "best": best, "states": 0.0, "elsewhere": 0.0}
            ]
            for row in self._rows(query, passage, its, units(passage.chunk))
        ]
        found = np.array([[row[name] for name in FEATURES] for row in rows], dtype=np.float64).reshape(-1, len(FEATURES))
        own, others = self._logits(query, passages, foreign)
        found[:, FEATURES.index("states")] = own
        found[:, FEATURES.index("elsewhere")] = others.max(initial=-1.0)
        return found

    def elsewhere(self, query: Query, passages: Sequence[Passage], foreign: Sequence[Passage]) -> Candidate | None:
        """The unit of `foreign` passages, found beside `passages`, that states most likely what is asked, by the selector alone.

        Its probability is that any of them does.
        """
        _, logits = self._logits(_repaired(query), passages, foreign)
        found = [(passage, unit) for passage in foreign for unit in units(passage.chunk)]
        if self.selector is None or not found:
            return None
        likely = likelihoods(logits * _STATED)
        return Candidate(float(likely.sum()), *found[int(likely.argmax())])

    def _logits(self, query: Query, passages: Sequence[Passage], foreign: Sequence[Passage]) -> tuple[Scores, Scores]:
        """What the selector makes of their units, divided by _STATED; both read at once."""
        own, others = (tuple(layout(one.chunk) for one in which) for which in (passages, foreign))
        logits = self._stated(query.text, query.context, own + others)
        count = sum(len(one.units) for one in own)
        return logits[:count], logits[count:]

    @functools.cached_property
    def _stated(self) -> Callable[[str, str, tuple[Layout, ...]], Scores]:
        """What the selector makes of a question, its context and the units of passages; a turn asks more than once."""
        selector = self.selector
        if selector is None:
            return lambda _, __, passages: np.zeros(sum(len(passage.units) for passage in passages))
        return functools.lru_cache(maxsize=32)(
            lambda question, before, passages: selector.score(question, passages, before) / _STATED
        )

    def told(self, said: Said, passages: Sequence[Passage]) -> Matrix:
        """What is said of each unit: the columns of READ behind the first two, for the units of all passages in their order."""
        reading, cited = said
        reply = term_set(reading.text)
        rows = []
        for passage in passages:
            names = float(cited is not None and passage.chunk.id == cited.chunk.id)
            for unit in units(passage.chunk):
                own = term_set(unit.text)
                share = self.rarity.coverage(reply, own)
                rows.append((share, self.rarity.coverage(own, reply), names, reading.odds, reading.surety * share))
        return np.array(rows, dtype=np.float64).reshape(-1, len(READ) - 2)

    def asked(self, query: Query) -> frozenset[str]:
        """The terms of the question besides the products it names; all of them if it only names products."""
        named = frozenset().union(*map(term_set, self.subjects.mentioned(query.text)))
        return (term_set(query.text) - named) or term_set(query.text)

    def _rows(self, query: Query, passage: Passage, found: Mapping[str, float], pieces: Sequence[Unit]) -> list[dict[str, float]]:
        """The features of each piece of a passage that was `found` so: rank, share and best."""
        asked = self.asked(query)
        concepts = {term for term in asked if term.startswith("~")}
        wants_number = bool(_ASKS_QUANTITY.search(fold(query.text)))
        shared = {**self._of_passage(query, passage), **found}
        wants_unit = bool(wanted(query.question))
        asks_abroad = bool(_ABROAD[query.language].search(query.text))
        rows = []
        named = self.subjects.mentioned(query.text)
        for unit, cosines in zip(pieces, self._cosines(query, pieces), strict=True):
            spoken_of = self.subjects.mentioned(unit.text)
            headed = term_set(f"{unit.subject}\n{unit.text}")
            states_number = bool(_NUMBER.search(fold(unit.text)))
            rows.append(
                shared
                | cosines
                | {
                    "other": float(bool(spoken_of) and not spoken_of & named),
                    "cov_text": self.rarity.coverage(asked, term_set(unit.text)),
                    "cov_unit": self.rarity.coverage(asked, headed),
                    "concepts": len(concepts & headed) / len(concepts) if concepts else 0.5,
                    "is_whole": float(unit.is_whole),
                    "whole_unit": float(unit.is_whole and wants_unit),
                    "length": math.log2(len(unit.text) / 100),
                    "unit": fits(query.question, unit.text),
                    "abroad": float(bool(_ABROAD[query.language].search(unit.text)) and not asks_abroad),
                    "quantity": (1.0 if states_number else -1.0) if wants_number else 0.0,
                }
            )
        return rows

    def _of_passage(self, query: Query, passage: Passage) -> dict[str, float]:
        chunk = passage.chunk
        named = self.subjects.mentioned(query.text)
        is_faq = chunk.kind is Kind.FAQ
        return {
            "one": 1.0,
            "unseen": self.rarity.unseen(self.asked(query)),
            "dense": passage.scores.get("dense", 0.0),
            "question": max(passage.scores.get("question", 0.0), 0.0),
            "cov_chunk": self.rarity.coverage(self.asked(query), term_set(chunk.search_text)),
            "about": self._about(named, chunk),
            "unknown": float(bool(self.subjects.unknown(query.text))),
            "faq": float(is_faq),
            "product": float(chunk.kind in (Kind.PRODUCT, Kind.ROW)),
            "asked_before": self.likeness(query, (chunk.title, *chunk.aliases)) if is_faq else 0.0,
            "denied": self.likeness(query, chunk.negatives) if is_faq else 0.0,
        }

    def _about(self, named: frozenset[str], chunk: Chunk) -> float:
        if not named:
            return 0.5
        if named & self.subjects.mentioned(" ".join((chunk.title, *chunk.aliases))):
            return 1.0
        return 0.5 if named & self.subjects.mentioned(chunk.search_text) else 0.0

    def _cosines(self, query: Query, pieces: Sequence[Unit]) -> list[dict[str, float]]:
        if not pieces:
            return []
        bare = self.subjects.without
        unit = self.similarity.cosines(query.text, list(map(headed, pieces)))
        asked = self.similarity.cosines(bare(query.question), [bare(piece.text) for piece in pieces])
        return [{"cos_unit": float(a), "cos_asked": float(b)} for a, b in zip(unit, asked, strict=True)]

    def likeness(self, query: Query, questions: Sequence[str]) -> float:
        """0..1: how near the query is to the nearest of `questions`; 0 if there are none."""
        return max(float(self.similarity.cosines(query.text, questions).max()), 0.0) if questions else 0.0

    def alike(self, query: Query, questions: Sequence[str]) -> float:
        """Likeness with the models that either names and without: a name in common makes no two questions the same."""
        bare = self.subjects.without
        unnamed = replace(query, text=bare(query.text))
        return min(self.likeness(query, questions), self.likeness(unnamed, [bare(question) for question in questions]))
