"""Gold questions, asked of the live index up to the point where the ladder decides, with the right decision beside each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag import build, keeping, loading
from rag.answer.cite import cite
from rag.answer.evidence import foreign, is_official, usable
from rag.answer.faq import nearest, vetted
from rag.answer.fit import Matrix
from rag.answer.fitted import LANGUAGES, Fitted
from rag.answer.generate import AGREED, HOPELESS, build_prompt, excerpts, is_full, replies, said, stands, states, worth_reading
from rag.answer.guard import guard, open_case
from rag.answer.parts import Case, Parts, Reply
from rag.answer.quote import quoted
from rag.answer.rank import Candidate, as_read
from rag.answer.smalltalk import talk
from rag.answer.units import units
from rag.evaluate import score
from rag.evaluate.gold import Question
from rag.evaluate.rows import Row, as_found
from rag.ports import Progress
from rag.retrieve.search import Search
from rag.settings import Settings
from rag.tune.remembered import Remembered
from rag.types import Chunk, Filter, Kind, Language, Outcome, Passage

ANYTHING = Filter()
REPLIES = "replies.jsonl"  # of the generator, in the home: fitting again asks it nothing that it was asked before
Near = tuple[float, bool]  # likeness to the nearest vetted question, and whether its answer is right


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
    own: NDArray[np.bool_] | None = None  # of each unit: the nearest vetted question's passage holds it
    held: bool = False  # whether one of the passages holds the answer
    told: Matrix | None = None  # what rag.answer.rank.Ranker.told says of each unit; None where no generator read
    reply: NDArray[np.bool_] | None = None  # of each unit: it carries the generator's reply
    shortest: int = 0  # place of the shortest that does
    reply_right: bool = False
    full: NDArray[np.bool_] | None = None  # of each unit: the reply is_full() beside it

    def said_right(self, best: int, likely: Matrix) -> bool:
        """Whether what is said is right, `best` being the likeliest unit: the unit itself or the reply, as in serving."""
        if self.reply is not None and self.full is not None and self.reply[best] and self.full[best]:
            if likely[self.shortest] >= AGREED * likely[best]:
                return self.reply_right
        return bool(self.right[best])

    def as_read(self, prior: Matrix) -> Example | None:
        """With the columns of rag.answer.rank.READ, `prior` being its units' weighted sums; None where no generator read."""
        return None if self.told is None else replace(self, features=as_read(prior, self.told))

    @property
    def group(self) -> str:
        """What must not be learnt from and measured on at once: the turns of a conversation, the ways to garble a question."""
        return self.item.dialogue or self.item.variants_of or self.item.id


@dataclass(frozen=True, slots=True)
class Collected:
    """What there is to fit on."""

    examples: Sequence[Example]  # of the questions that come as far as the ladder
    settled: Sequence[Question]  # those that end before it
    similar: Mapping[Language, Sequence[Near]]  # vetted questions, each asked as if it were not there
    fitted: Fitted  # so far


def collect(settings: Settings, items: Sequence[Question], progress: Progress) -> Collected:
    """Ask the live index. Raises NoIndex, ModelMissing, ModelFailed."""
    embedder = loading.build_embedder(settings)
    reranker = loading.build_reranker(settings, embedder)
    generation = keeping.build_generations(settings).open(embedder.fingerprint)
    try:
        search = build.build_search(settings, generation, embedder, reranker)
        generator = Remembered(loading.build_generator(settings), settings.home / REPLIES)
        selector = loading.build_selector(settings)
        parts = build.build_parts(settings, generation, search, embedder, generator, selector)
        found, settled = [], []
        for done, item in enumerate(items, start=1):
            if case := searched(item, parts, search, parts.passages):
                found.append(example(item, case))
            else:
                settled.append(item)
            progress("ask", done, len(items))
        entries = [chunk for chunk in generation.store.chunks() if chunk.kind is Kind.FAQ and chunk.answer]
        similar = {language: similar_questions(parts, entries, language, found) for language in LANGUAGES}
        fitted = replace(
            parts.fitted,
            embedder=embedder.fingerprint,
            selector=selector.fingerprint if selector else "",
            generator=generator.fingerprint,
        )
        return Collected(found, settled, similar, fitted)
    finally:
        generation.store.close()


def searched(item: Question, parts: Parts, search: Search, count: int) -> Case | None:
    """The case of a question with so many passages found, as in serving; None if it ends before anything is searched."""
    case = open_case(item.question, item.turns, parts, lambda: False)
    if guard(case) or talk(case):
        return None
    case.query = replace(parts.rewrite(case.query.question, item.turns), filter=search.narrowed(ANYTHING))
    case.passages = tuple(parts.source.find(case.query, count))
    return case


def similar_questions(parts: Parts, vetted: Sequence[Chunk], language: Language, examples: Sequence[Example]) -> list[Near]:
    """Questions that the shop has vetted, each asked as if its entry did not have it: the nearest, and if that answers the same.

    Shoppers often ask a vetted question nearly word for word, gold questions are made not to: as many are taken as there are
    gold questions with a vetted one near.
    """
    entries = [chunk for chunk in vetted if chunk.facets.language in ("", language)]
    asked = [(entry, question) for entry in entries if entry.aliases for question in (entry.title, *entry.aliases)]
    most = sum(example.likeness > 0 for example in examples if example.language == language)
    found: list[Near] = []
    for entry, question in asked[:: max(1, len(asked) // max(most, 1))][:most]:
        title, *aliases = (other for other in (entry.title, *entry.aliases) if other != question)
        rest = replace(entry, title=title, aliases=tuple(aliases))
        case = open_case(question, (), parts, lambda: False)
        case.usable = tuple(Passage(rest if other is entry else other, 0.0) for other in entries)
        if near := nearest(case):
            found.append((near[0], near[1].chunk.answer == entry.answer))
    return found


def example(item: Question, case: Case) -> Example:
    """What the ladder sees of a question whose passages were found."""
    found = usable(case.passages, case.language)
    case.usable = tuple(found)
    pairs = [(passage, unit) for passage in found for unit in units(passage.chunk)]
    near = nearest(case)
    given = Example(
        item,
        case.language,
        case.passages,
        case.parts.ranker.features(case.query, found, foreign(case.passages, case.language)),
        np.array([is_right(item, case, cite([quoted(passage, unit, case.language)])) for passage, unit in pairs], dtype=np.bool_),
        np.array([is_official(passage) for passage, _ in pairs], dtype=np.bool_),
        near[0] if near else 0.0,
        near is not None and is_right(item, case, vetted(near[1])),
        np.array([near is not None and near[1].chunk.id == passage.chunk.id for passage, _ in pairs], dtype=np.bool_),
        item.answerable and any(score.holds(passage, item) for passage in as_found(case.passages)),
    )
    return _read(given, item, case, [Candidate(0.0, *pair) for pair in pairs])


def _read(given: Example, item: Question, case: Case, candidates: Sequence[Candidate]) -> Example:
    """With what the generator makes of the passages, if it is worth asking."""
    case.weigh()
    if not worth_reading(case, HOPELESS):
        return given
    prompt = build_prompt(case, excerpts(case))
    text, pieces = next(replies(case, prompt))
    if not text.strip():
        return given  # as in serving: it is as if it had not been asked
    told = said(text, pieces, prompt)
    standing = stands(case, text, prompt) if told[0].text else []
    carrying = [place for place, candidate in enumerate(candidates) if standing and states(standing[0], candidate)]
    return replace(
        given,
        told=case.parts.ranker.told(told, usable(case.passages, case.language)),
        reply=np.isin(np.arange(len(candidates)), carrying),
        shortest=min(carrying, key=lambda place: len(candidates[place].unit.text), default=0),
        reply_right=bool(standing) and is_right(item, case, cite(standing)),
        full=np.array(
            [bool(standing) and is_full(standing[0][0], told[0].surety, one.unit.text, case.parts.rarity) for one in candidates]
        ),
    )


def is_right(item: Question, case: Case, reply: Reply) -> bool:
    """The evaluation's verdict on a reply."""
    row = Row(id=item.id, fingerprint="", outcome=Outcome.ANSWERED.value, text=reply.text, passages=as_found(case.passages))
    return item.answerable and score.is_right(score.Case(item, row, 0))
