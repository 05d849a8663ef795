"""What answer() is handed, and the case it works on: one question on its way down the ladder."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ParamSpec, TypeVar

from rag.answer.aside import Aside
from rag.answer.catalogue import Catalogue
from rag.answer.conflict import standing
from rag.answer.evidence import foreign, heard, usable
from rag.answer.examples import FaqExamples
from rag.answer.fitted import Fitted, Thresholds, shipped
from rag.answer.narrow import narrowed
from rag.answer.prompt import TUNED
from rag.answer.rank import Candidate, Ranker, Said
from rag.answer.rarity import Rarity
from rag.answer.similarity import Similarity
from rag.answer.subjects import Subjects
from rag.ports import Embedder, Generator, PassageSource, Selector
from rag.settings import AnswerSettings
from rag.types import Answer, Citation, History, Language, Outcome, Passage, Query
from rag.wording import say

P = ParamSpec("P")
T = TypeVar("T")
GENERATING = 0.9  # of the deadline: what is left is for saying something without the generator


@dataclass(frozen=True)
class Parts:
    """Ready parts of one index generation, put together by rag/build.py."""

    source: PassageSource
    rewrite: Callable[[str, History], Query]
    embedder: Embedder
    generator: Generator
    rarity: Rarity  # of terms, over the generation's chunks
    generation: int
    policy: AnswerSettings
    passages: int  # how many are retrieved
    contacts: Mapping[Language, str]
    shops: Mapping[Language, str]
    names: frozenset[str] = frozenset()  # of products, in any language
    fitted: Fitted = field(default_factory=shipped)
    catalogue: Catalogue = field(default_factory=Catalogue)
    prompt: Path = TUNED  # folder of the prompt's files
    selector: Selector | None = None
    examples: FaqExamples | None = None  # for a prompt that nothing was tuned for

    @cached_property
    def ranker(self) -> Ranker:
        """Weighs candidates; it remembers vectors, so it lives as long as the parts."""
        fitted = self.fitted
        return Ranker(self.rarity, Subjects(self.names), Similarity(self.embedder), fitted.weights, fitted.read, self.selector)

    @cached_property
    def aside(self) -> Aside:
        """Where the generator works; it remembers a generator that hangs, so it lives as long as the parts."""
        return Aside()

    @cached_property
    def thresholds(self) -> Mapping[Language, Thresholds]:
        """From where on the rungs answer."""
        return self.fitted.chosen(self.policy)


class Clock:
    """Milliseconds by stage, and the deadline of one answer."""

    def __init__(self, seconds: float) -> None:
        self._start = time.monotonic()
        self._seconds = seconds
        self.timings: dict[str, float] = {}

    def elapsed(self) -> float:
        """Milliseconds since the question came in."""
        return (time.monotonic() - self._start) * 1000

    def over(self) -> bool:
        """Whether the deadline is so near that generating must end."""
        return self.elapsed() > GENERATING * self._seconds * 1000

    def timed(self, stage: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` and add its time to `stage`."""
        started = self.elapsed()
        try:
            return work(*args, **kwargs)
        finally:
            self.add(stage, self.elapsed() - started)

    def add(self, stage: str, milliseconds: float) -> None:
        """Add to a stage's time."""
        self.timings[stage] = self.timings.get(stage, 0.0) + milliseconds

    def first_token(self) -> None:
        """The shopper sees the first words now; later calls change nothing."""
        self.timings.setdefault("first_token", self.elapsed())


@dataclass(frozen=True, slots=True)
class Reply:
    """What a rung came up with: text with markers [1]..[m], and the citation of each."""

    text: str
    citations: tuple[Citation, ...]
    outcome: Outcome = Outcome.ANSWERED


@dataclass(slots=True)
class Case:
    """One question being answered: what was found; what of it may be answered from and its units, both by likelihood."""

    query: Query
    history: History
    parts: Parts
    clock: Clock
    stopped: Callable[[], bool]
    spoken: bool = True  # whether the question is in a language of ours
    note: str = ""  # said before the answer, e.g. that the question was cut
    passages: tuple[Passage, ...] = ()
    usable: tuple[Passage, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    elsewhere: Candidate | None = None  # what states it most likely among the passages in another language
    said: Said | None = None  # what the generator makes of the passages, once it was asked
    failed: str = ""  # the rung that a failing part cost this turn
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def language(self) -> Language:
        """The language to answer in."""
        return self.query.language

    def weigh(self, said: Said | None = None) -> None:
        """Sort out what may be answered from, and rank its units; again when a generator has `said` what it makes of them."""
        self.said = said
        found = usable(self.passages, self.language)
        others = foreign(self.passages, self.language)
        ranked = narrowed(self.query.text, self.parts.ranker.rank(self.query, found, said, others))
        ranked = heard(ranked, self.threshold)
        self.candidates = tuple(standing(ranked, self.parts.rarity))
        self.elsewhere = self.parts.ranker.elsewhere(self.query, found, others)
        self.usable = tuple({candidate.passage.chunk.id: candidate.passage for candidate in self.candidates}.values())

    @property
    def told(self) -> bool:
        """Whether the likelihoods rest on what the generator said."""
        return self.said is not None and self.language in self.parts.fitted.read

    @property
    def threshold(self) -> float:
        """The likelihood below which nothing is said but what is vetted."""
        return self.thresholds.read if self.told else self.thresholds.refuse_below

    @property
    def answerable(self) -> bool:
        """Whether the likeliest unit is likely enough to say anything."""
        return bool(self.candidates) and self.candidates[0].probability >= self.threshold

    @property
    def thresholds(self) -> Thresholds:
        """Those of the question's language."""
        return self.parts.thresholds[self.language]

    def say(self, key: str, **holes: object) -> str:
        """A sentence of the wording catalogue; the contact is there for those that name it."""
        return say(key, self.language, contact=self.parts.contacts[self.language], **holes)  # type: ignore[arg-type]

    def halted(self) -> bool:
        """Whether to stop generating: the shopper stopped it, or the deadline is near."""
        return self.stopped() or self.clock.over()

    def close(self, outcome: Outcome, text: str, rung: str, reason: str = "", citations: tuple[Citation, ...] = ()) -> Answer:
        """The finished answer, with the note in front and the timings complete."""
        self.clock.first_token()
        self.clock.timings["total"] = self.clock.elapsed()
        return Answer(
            id=self.id,
            outcome=outcome,
            text=f"{self.note}{text}",
            rung=rung,
            language=self.language,
            query=self.query,
            generation=self.parts.generation,
            citations=citations,
            passages=self.passages,
            reason=reason,
            failed=self.failed,
            timings={stage: round(milliseconds, 1) for stage, milliseconds in self.clock.timings.items()},
        )
