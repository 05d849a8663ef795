"""What can be quoted from a chunk: whole sentences, table lines and vetted answers, as spans of its text."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.language import sentences
from rag.ports import Layout
from rag.types import Chunk, Kind

_LINE = re.compile(r"[^\n]+")
_HEADING = re.compile(r"#{1,6}\s|[|:\s-]+$")
_BULLET = re.compile(r"(?:[-*+•>]\s+|\d{1,2}[.)、](?!\d)\s*|#{1,6}\s+)+")
_ITEM = r"[ \t]*(?:[-*+•][ \t]+|\d{1,2}[.)、](?!\d)[ \t]*)\S.*"
_LIST = re.compile(rf"(?m)(?:^[^\n#|]*[:：]\n+)?^{_ITEM}(?:\n+{_ITEM})+")
_LONGEST = 500  # characters that are quoted as one
_PARAGRAPH = 240  # ... of a paragraph


@dataclass(frozen=True, slots=True)
class Unit:
    """chunk.text[start:end], and what must be read with it to know what it is about."""

    start: int
    end: int
    text: str
    subject: str
    is_whole: bool = False  # a list, a paragraph or a vetted answer, whose parts are units as well


@functools.lru_cache(maxsize=4096)
def units(chunk: Chunk) -> tuple[Unit, ...]:
    """The quotable pieces of a chunk in their order: sentences, lines, and lists whole; none for headings alone."""
    first, last = 0, len(chunk.text)
    if chunk.kind is Kind.FAQ and chunk.answer and (at := chunk.text.rfind(chunk.answer)) >= 0:
        first, last = at, at + len(chunk.answer)
    subject = " > ".join(dict.fromkeys((chunk.title, *chunk.headings)))
    names_itself = chunk.kind in (Kind.PRODUCT, Kind.ROW) and chunk.text.startswith(chunk.title)
    name = f": {chunk.headings[-1]}" if chunk.kind is Kind.ROW and chunk.headings else "\n"
    found = (span for span in _sentences(chunk.text, first, last) if not chunk.text[slice(*span)].endswith(name))
    spans = [(*span, False) for span in found if span[0] or not names_itself]
    spans += [(*span, True) for span in (*_lists(chunk.text, first, last), *_paragraphs(chunk.text, first, last))]
    if (first, last) != (0, len(chunk.text)) and last - first <= _LONGEST and (first, last, False) not in spans:
        spans.append((first, last, True))  # a vetted answer
    return tuple(Unit(start, end, chunk.text[start:end], subject, is_whole) for start, end, is_whole in sorted(set(spans)))


@functools.lru_cache(maxsize=4096)
def layout(chunk: Chunk) -> Layout:
    """What the selector reads of a chunk, its units(chunk) in order: what is whole is a run of sentences, read once."""
    pieces = [unit for unit in units(chunk) if not unit.is_whole]
    texts = [unit.text for unit in pieces]
    runs: list[tuple[int, int]] = []
    for unit in units(chunk):
        held = [place for place, piece in enumerate(pieces) if unit.start <= piece.start and piece.end <= unit.end]
        if not held:
            texts.append(unit.text)
            held = [len(texts) - 1]
        runs.append((held[0], held[-1] + 1))
    return Layout(pieces[0].subject if pieces else "", tuple(texts), tuple(runs))


def _sentences(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    for start, end in sentences(text[first:last]):
        start, end = start + first, end + first
        if _HEADING.match(text[start:end]) or text[end - 1] in ":：":
            continue
        if bullet := _BULLET.match(text, start, end):
            start = bullet.end()
        if any(character.isalnum() for character in text[start:end]):
            yield start, end


def _lists(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Lists of at least two items, with the line that announces them: steps are read together or not at all."""
    for match in _LIST.finditer(text, first, last):
        if match.end() - match.start() <= _LONGEST:
            yield match.start(), match.end()


def _paragraphs(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Short lines of two or three sentences: a symptom with its cause and its cure."""
    for match in _LINE.finditer(text, first, last):
        spans = list(_sentences(text, match.start(), match.end()))
        if 2 <= len(spans) <= 3 and spans[-1][1] - spans[0][0] <= _PARAGRAPH:
            yield spans[0][0], spans[-1][1]
