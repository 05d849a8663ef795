"""The likeliest sentence, word for word: what is said when nothing better can be trusted."""

from __future__ import annotations

from collections.abc import Generator

from rag.answer.cite import cite
from rag.answer.evidence import is_official
from rag.answer.parts import Case, Reply
from rag.types import Kind, Token


def quote(case: Case) -> Generator[Token, None, Reply | None]:
    """The best candidate, verbatim and cited; a line of a table is named after its subject, a customer's words as such."""
    yield from ()
    if not case.answerable:
        return None
    best = case.candidates[0]
    if best.probability < case.parts.policy.quote_threshold(case.language):
        return None
    text = best.unit.text
    if best.passage.chunk.kind in (Kind.PRODUCT, Kind.ROW):
        text = f"{best.passage.chunk.title}{'：' if case.language == 'zh' else ': '}{text}"
    if not is_official(best.passage):
        text = case.say("community", quote=text)
    return cite([(text, best.passage, (best.unit.start, best.unit.end))])
