"""What can be quoted from a chunk: whole sentences, table lines and vetted answers, as spans of its text."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from rag.language import sentences
from rag.types import Chunk, Kind

_HEADING = re.compile(r"#{1,6}\s|[|:\s-]+$")
_BULLET = re.compile(r"(?:[-*+•>]\s+|\d{1,2}[.)、]\s*|#{1,6}\s+)+")
_VETTED = 400  # characters; a longer vetted answer is quoted by sentence


@dataclass(frozen=True, slots=True)
class Unit:
    """chunk.text[start:end], and what must be read with it to know what it is about."""

    start: int
    end: int
    text: str
    subject: str


@functools.lru_cache(maxsize=4096)
def units(chunk: Chunk) -> tuple[Unit, ...]:
    """The quotable pieces of a chunk in their order; none for a chunk of headings only."""
    first, last = 0, len(chunk.text)
    if chunk.kind is Kind.FAQ and chunk.answer and (at := chunk.text.rfind(chunk.answer)) >= 0:
        first, last = at, at + len(chunk.answer)
        if len(chunk.answer) <= _VETTED:
            return (Unit(first, last, chunk.answer, chunk.title),)
    subject = " > ".join(dict.fromkeys((chunk.title, *chunk.headings)))
    found = []
    for start, end in sentences(chunk.text[first:last]):
        start, end = start + first, end + first
        if _HEADING.match(chunk.text[start:end]):
            continue
        if bullet := _BULLET.match(chunk.text, start, end):
            start = bullet.end()
        if any(character.isalnum() for character in chunk.text[start:end]):
            found.append(Unit(start, end, chunk.text[start:end], subject))
    return tuple(found)
