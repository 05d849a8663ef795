"""Gold questions, asked of the live index up to the point where the ladder decides, with the right decision beside each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag import build
from rag.answer.evidence import is_official, usable
from rag.answer.faq import nearest, vetted
from rag.answer.fit import Matrix
from rag.answer.fitted import Fitted
from rag.answer.guard import guard, open_case
from rag.answer.parts import Case, Reply
from rag.answer.quote import quoted
from rag.answer.smalltalk import talk
from rag.answer.units import units
from rag.evaluate import score
from rag.evaluate.gold import Question
from rag.evaluate.rows import Row, as_found
from rag.ports import Progress
from rag.settings import Settings
from rag.types import Filter, Language, Outcome, Passage

ANYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Example:
    """One question at the ladder. Units are those of the passages that may be answered from, in their order."""

    item: Question
    language: Language  # that the ladder takes it to be asked in
    passages: tuple[Passage, ...]  # as found
    features: Matrix  # (units, rag.answer.rank.FEATURES)
    right: NDArray[np.bool_]  # of each unit, were it quoted
    official: NDArray[np.bool_]  # of each unit
    likeness: float  # to the nearest vetted question; 0 if there is none
    vetted: bool  # whether its answer is right
    held: bool = False  # whether one of the passages holds the answer

    @property
    def group(self) -> str:
        """What must not be learnt from and measured on at once: the turns of a conversation, the ways to garble a question."""
        return self.item.dialogue or self.item.variants_of or self.item.id


def collect(settings: Settings, items: Sequence[Question], progress: Progress) -> tuple[list[Example], list[Question], Fitted]:
    """An example a question that comes as far as the ladder, the questions that end before it, and what is fitted so far.

    Raises NoIndex, ModelMissing, ModelFailed.
    """
    embedder = build.build_embedder(settings)
    reranker = build.build_reranker(settings, embedder)
    generation = build.build_generations(settings).open(embedder.fingerprint)
    try:
        search = build.build_search(settings, generation, embedder, reranker)
        parts = build.build_parts(settings, generation, search, embedder, build.build_generator(settings))
        found, settled = [], []
        for done, item in enumerate(items, start=1):
            case = open_case(item.question, item.turns, parts, lambda: False)
            if guard(case) or talk(case):
                settled.append(item)
            else:
                case.query = replace(parts.rewrite(case.query.question, item.turns), filter=search.narrowed(ANYTHING))
                case.passages = tuple(parts.source.find(case.query, parts.passages))
                found.append(example(item, case))
            progress("ask", done, len(items))
        return found, settled, replace(parts.fitted, embedder=embedder.fingerprint)
    finally:
        generation.store.close()


def example(item: Question, case: Case) -> Example:
    """What the ladder sees of a question whose passages were found."""
    found = usable(case.passages, case.language)
    case.usable = tuple(found)
    pairs = [(passage, unit) for passage in found for unit in units(passage.chunk)]
    near = nearest(case)
    return Example(
        item,
        case.language,
        case.passages,
        case.parts.ranker.features(case.query, found),
        np.array([_is_right(item, case, quoted(passage, unit, case.language)) for passage, unit in pairs], dtype=np.bool_),
        np.array([is_official(passage) for passage, _ in pairs], dtype=np.bool_),
        near[0] if near else 0.0,
        near is not None and _is_right(item, case, vetted(near[1])),
        item.answerable and any(score.holds(passage, item) for passage in as_found(case.passages)),
    )


def _is_right(item: Question, case: Case, reply: Reply) -> bool:
    """The evaluation's verdict on a reply."""
    row = Row(id=item.id, fingerprint="", outcome=Outcome.ANSWERED.value, text=reply.text, passages=as_found(case.passages))
    return item.answerable and score.is_right(score.Case(item, row, 0))
