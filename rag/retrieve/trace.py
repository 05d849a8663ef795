"""What a search looked at, and why it kept or dropped it: data, made only when asked for, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from rag.types import Passage, Query

# Reason of a drop -> in words. The fields of Filter are reasons, too.
REASONS = {
    "expired": "expired on {value}",
    "not yet": "not in force before {value}",
    "language": "filter: its language is {value}",
    "region": "filter: its region is {value}",
    "product": "filter: it is about {value}",
    "audience": "filter: its audience is {value}",
    "negative": "nearer to a question it does not answer: {value!r}",
    "twin": "gives its place to the same product in the question's language, {value}",
    "rank": "below the first {value}",
    "rerank": "reranked away, was number {value}",
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A key of REASONS and what fills it."""

    reason: str
    value: str

    def __str__(self) -> str:
        return REASONS[self.reason].format(value=self.value)


@dataclass(frozen=True, slots=True)
class Considered:
    """One candidate. What the filter or the day bars has no features and a score of 0, because it never competes."""

    passage: Passage
    features: Mapping[str, float] = field(default_factory=dict)  # rag.retrieve.features.FEATURES, those that are not 0
    parts: Mapping[str, float] = field(default_factory=dict)  # what each feature adds to the score, where it adds anything
    question: str = ""  # the nearest of the questions that the chunk answers
    negative: str = ""  # the nearest of those that it does not, where that is nearer
    dropped: Dropped | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One search: the query and its forms, what it speaks of, and the candidates, kept ones first, by falling score."""

    query: Query
    forms: Mapping[str, str]  # rag.retrieve.features.FORMS -> what was searched
    named: Mapping[str, tuple[str, ...]]  # name in the question -> ids of what it may mean
    day: date
    considered: tuple[Considered, ...]
    confidence: float | None = None  # how likely a kept passage holds the answer, 0..1; None: not fitted for this embedder

    @property
    def kept(self) -> list[Passage]:
        """What is found, best first."""
        return [one.passage for one in self.considered if not one.dropped]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "question": self.query.question,
            "language": self.query.language,
            "forms": dict(self.forms),
            "named": {name: list(ids) for name, ids in self.named.items()},
            "carried": [list(ids) for ids in self.query.carried],
            "filter": asdict(self.query.filter),
            "day": self.day.isoformat(),
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "considered": [_candidate(rank, one) for rank, one in enumerate(self.considered, start=1)],
        }


def found(rank: int, passage: Passage) -> dict[str, Any]:
    """The JSON form of one passage of a result list."""
    chunk = passage.chunk
    return {
        "rank": rank,
        "id": chunk.id,
        "document": chunk.document,
        "title": chunk.title,
        "score": round(passage.score, 4),
        "scores": _rounded(passage.scores),
        "text": chunk.text,
    }


def _candidate(rank: int, one: Considered) -> dict[str, Any]:
    dropped = {"reason": one.dropped.reason, "value": one.dropped.value, "why": str(one.dropped)} if one.dropped else None
    return {
        **found(rank, one.passage),
        "features": _rounded(one.features),
        "parts": _rounded(one.parts),
        "question": one.question,
        "negative": one.negative,
        "dropped": dropped,
    }


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(number, 4) for name, number in numbers.items()}
