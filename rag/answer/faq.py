"""A question that the shop has answered before gets the vetted answer, word for word."""

from __future__ import annotations

from collections.abc import Generator

from rag.answer.cite import cite
from rag.answer.parts import Case, Reply
from rag.types import Chunk, Kind, Token


def faq(case: Case) -> Generator[Token, None, Reply | None]:
    """The answer of the FAQ whose question or similar question is nearest, if near enough and no negative question is nearer."""
    yield from ()
    near = [(likeness, passage) for passage in case.usable if (likeness := _likeness(case, passage.chunk))]
    if not near:
        return None
    likeness, passage = max(near, key=lambda pair: pair[0])
    if likeness < case.parts.policy.faq_threshold(case.language):
        return None
    start = passage.chunk.text.rfind(passage.chunk.answer)
    return cite([(passage.chunk.answer, passage, (start, start + len(passage.chunk.answer)))])


def _likeness(case: Case, chunk: Chunk) -> float:
    """0..1; 0 for what is no FAQ, denies the question, or is about other products than the question names."""
    if chunk.kind is not Kind.FAQ or not chunk.answer:
        return 0.0
    ranker, query = case.parts.ranker, case.query
    if ranker.subjects.mentioned(query.text) - ranker.subjects.mentioned(chunk.search_text) or ranker.subjects.unknown(
        query.text
    ):
        return 0.0
    likeness = ranker.likeness(query, (chunk.title, *chunk.aliases))
    return likeness if likeness > ranker.likeness(query, chunk.negatives) else 0.0
