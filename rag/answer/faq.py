"""A question that the shop has answered before gets the vetted answer, word for word."""

from __future__ import annotations

from collections.abc import Generator

from rag.answer.cite import cite
from rag.answer.dimensions import fits, wanted
from rag.answer.evidence import is_official, usable
from rag.answer.fitted import Thresholds
from rag.answer.parts import Case, Reply
from rag.types import Chunk, Kind, Passage, Token

SAME = 0.85  # likeness from which a question is taken for the vetted one without a second opinion


def faq(case: Case) -> Generator[Token, None, Reply | None]:
    """The answer of the nearest FAQ, if near enough and, unless it is nearly the same question, likely by its sentences, too."""
    yield from ()
    if not (found := nearest(case)):
        return None
    likeness, passage = found
    own = sum(candidate.probability for candidate in case.candidates if candidate.passage.chunk.id == passage.chunk.id)
    return vetted(passage) if is_it(likeness, own, case.thresholds) else None


def at_once(case: Case) -> Reply | None:
    """The answer where the question is nearly a vetted one of the shop's own that holds everywhere: nothing else is looked at.

    The rungs would come to the same after weighing every sentence, which takes most of a turn.
    """
    case.usable = tuple(usable(case.passages, case.language))
    likeness, passage = nearest(case) or (0.0, None)
    if passage is None or likeness < max(SAME, case.thresholds.faq) or not is_official(passage) or passage.chunk.facets.region:
        return None
    return vetted(passage)


def is_it(likeness: float, likelihood: float, thresholds: Thresholds) -> bool:
    """Whether the nearest vetted question is the one asked; `likelihood` is that of all units of its answer together."""
    return likeness >= thresholds.faq and (likeness >= SAME or likelihood >= thresholds.quote)


def nearest(case: Case) -> tuple[float, Passage] | None:
    """The FAQ whose question or similar question is nearest, and how near, 0..1; not one whose negative question is nearer."""
    near = [(likeness, passage) for passage in case.usable if (likeness := _likeness(case, passage.chunk))]
    return max(near, key=lambda pair: pair[0]) if near else None


def vetted(passage: Passage) -> Reply:
    """A FAQ's answer, cited."""
    start = passage.chunk.text.rfind(passage.chunk.answer)
    return cite([(passage.chunk.answer, passage, (start, start + len(passage.chunk.answer)))])


def _likeness(case: Case, chunk: Chunk) -> float:
    """0..1; 0 for what is no FAQ, denies the question, is about other products than it names, or lacks the amount it asks for."""
    if chunk.kind is not Kind.FAQ or not chunk.answer:
        return 0.0
    ranker, query = case.parts.ranker, case.query
    if ranker.subjects.mentioned(query.text) - ranker.subjects.mentioned(chunk.search_text) or ranker.subjects.unknown(
        query.text
    ):
        return 0.0
    asked = (chunk.title, *chunk.aliases)
    amount = wanted(query.question)
    if fits(query.question, chunk.answer) < 0 and not any(amount & wanted(question) for question in asked):
        return 0.0  # how long it runs does not tell what it weighs; "free" tells what a thing costs
    likeness = ranker.alike(query, asked)
    return likeness if likeness > ranker.likeness(query, chunk.negatives) else 0.0
