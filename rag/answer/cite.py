"""Sentences and the passages that carry them -> text with markers [1]..[m], and a verbatim quote for each."""

from __future__ import annotations

from collections.abc import Sequence

from rag.answer.parts import Reply
from rag.answer.quantities import unsupported
from rag.answer.rarity import Rarity
from rag.answer.units import units
from rag.content import term_set
from rag.types import Chunk, Citation, Passage

Supported = tuple[str, Passage, tuple[int, int]]  # a sentence without markers, what carries it, the span of its quote


def cite(sentences: Sequence[Supported]) -> Reply:
    """Number the distinct quotes in the order of their first use; a run of sentences with one quote gets one marker."""
    numbers: dict[tuple[str, int, int], int] = {}
    citations: list[Citation] = []
    pieces: list[str] = []
    for index, (sentence, passage, (start, end)) in enumerate(sentences):
        chunk = passage.chunk
        key = chunk.id, start, end
        if key not in numbers:
            numbers[key] = len(numbers) + 1
            citations.append(Citation(numbers[key], chunk.document, chunk.id, chunk.text[start:end], start, end))
        following = sentences[index + 1] if index + 1 < len(sentences) else None
        same = following is not None and (following[1].chunk.id, *following[2]) == key
        pieces.append(sentence if same else f"{sentence} [{numbers[key]}]")
    return Reply(" ".join(pieces), tuple(citations))


def locate(sentence: str, chunk: Chunk, rarity: Rarity) -> tuple[int, int] | None:
    """The span of the unit, or of up to three neighbouring ones, that states the sentence's quantities and most of its words.

    None if no such run states all of its quantities.
    """
    wanted = term_set(sentence)
    best: tuple[float, int, int] | None = None
    pieces = [
        unit for unit in units(chunk) if not unit.is_whole and not unit.text.endswith(("?", "？"))
    ]  # a question states nothing
    for first in range(len(pieces)):
        for last in range(first, min(first + 3, len(pieces))):
            start, end = pieces[first].start, pieces[last].end
            text = chunk.text[start:end]
            if unsupported(sentence, [text, pieces[first].subject]):
                continue
            # Longer runs must earn their length: a quote is to be read at a glance.
            score = rarity.coverage(wanted, term_set(text)) - 0.1 * (last - first)
            if best is None or score > best[0]:
                best = score, start, end
    return best[1:] if best else None
