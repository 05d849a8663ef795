"""The likeliest sentence, word for word: what is said when nothing better can be trusted."""

from __future__ import annotations

from collections.abc import Generator

from rag.answer.cite import Supported, cite
from rag.answer.conflict import rival
from rag.answer.evidence import is_official
from rag.answer.parts import Case, Reply
from rag.answer.units import Unit
from rag.types import Kind, Language, Passage, Token
from rag.wording import say


def quote(case: Case) -> Generator[Token, None, Reply | None]:
    """The best candidate, if it is likely enough."""
    yield from ()
    if not case.answerable:
        return None
    best = case.candidates[0]
    if not case.told and best.probability < case.thresholds.quote:
        return None
    return cite([quoted(best.passage, best.unit, case.language), *contradicted(case)])


def contradicted(case: Case) -> list[Supported]:
    """What another document says against the best candidate, if one does."""
    other = rival(case.candidates[0], case.candidates, case.parts.rarity)
    if other is None:
        return []
    text, passage, span = quoted(other.passage, other.unit, case.language)
    return [(case.say("conflict", quote=text), passage, span)]


def quoted(passage: Passage, unit: Unit, language: Language) -> Supported:
    """A unit of a passage, verbatim; a line of a table is named after its subject, a customer's words as such."""
    text = unit.text
    if passage.chunk.kind in (Kind.PRODUCT, Kind.ROW):
        name = passage.chunk.headings[-1] if passage.chunk.headings else passage.chunk.title
        text = f"{name}{'：' if language == 'zh' else ': '}{text}"
    if not is_official(passage):
        text = say("community", language, quote=text)
    return text, passage, (unit.start, unit.end)
