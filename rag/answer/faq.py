"""A question that the shop has answered before gets the vetted answer, word for word."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from rag.answer.cite import cite
from rag.answer.parts import Case, Reply
from rag.types import Kind, Token


def faq(case: Case) -> Generator[Token, None, Reply | None]:
    """The answer of the FAQ whose question or similar question is nearest, if near enough and no negative question is nearer."""
    yield from ()
    threshold = case.parts.policy.faq_threshold(case.language)
    best = None
    for passage in case.usable:
        chunk = passage.chunk
        if chunk.kind is not Kind.FAQ or not chunk.answer:
            continue
        near = nearest(case, (chunk.title, *chunk.aliases))
        if near >= threshold and near > nearest(case, chunk.negatives) and (best is None or near > best[0]):
            best = near, passage
    if best is None:
        return None
    start = best[1].chunk.text.rfind(best[1].chunk.answer)
    return cite([(best[1].chunk.answer, best[1], (start, start + len(best[1].chunk.answer)))])


def nearest(case: Case, questions: Sequence[str]) -> float:
    """Similarity (0..1) of the query to the nearest of `questions`; 0 if there are none."""
    if not questions:
        return 0.0
    similarity = case.parts.similarity
    words = [similarity.overlap(case.query.text, question) for question in questions]
    if case.language == "zh":
        return max(words)
    return max(float(cosine) for cosine in similarity.cosines(case.query.text, questions))
