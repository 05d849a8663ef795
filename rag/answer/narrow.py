"""Rows of a table that the question rules out: it names another row, or an amount that a row's line is not for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from decimal import Decimal

from rag.answer.numerals import digits
from rag.answer.quantities import located, quantities
from rag.answer.rank import Candidate
from rag.language import HAN, fold
from rag.types import Chunk, Kind

_WORD = re.compile(rf"\d+|[^\W\d_{HAN}]+")
_HAN_RUN = re.compile(f"[{HAN}]+")
_UP_TO = re.compile(r"(?:up to|under|below|less than|at most|max\.?|≤|<|不超过|最多)\s*$")
_FROM = re.compile(r"(?:over|above|from|more than|at least|≥|>|超过|至少)\s*$")
_BEHIND = re.compile(r"\s*(?:(?P<up>以[下内]|及以下|or less)|(?P<from>以上|及以上|or more|\+))")
_SIZES = {"small": "s", "medium": "m", "large": "l", "小号": "s", "中号": "m", "大号": "l"}

Bounds = tuple[str, Decimal, Decimal]  # unit, least, most


def narrowed(question: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that are not ruled out, with the likelihoods that they have without the others."""
    named = _named(question, {candidate.passage.chunk.id: candidate.passage.chunk for candidate in candidates}.values())
    tables = {_table(chunk) for chunk in named.values()}
    asked = {quantity.unit: Decimal(quantity.value) for quantity in quantities(question) if quantity.kind == "number"}
    kept = [one for one in candidates if one.passage.chunk.id in named or _table(one.passage.chunk) not in tables]
    kept = _within(asked, kept)
    left = 1 - sum(one.probability for one in candidates) + sum(one.probability for one in kept)
    return [replace(one, probability=one.probability / left) for one in kept] if len(kept) < len(candidates) else list(candidates)


def _table(chunk: Chunk) -> tuple[str, ...]:
    """What tells its table from others; empty for what is no row with a name."""
    return (chunk.document, chunk.title, *chunk.headings[:-1]) if chunk.kind is Kind.ROW and chunk.headings else ()


def _named(question: str, chunks: Collection[Chunk]) -> dict[str, Chunk]:
    """The rows all words of whose names the question has, in any order; a longer name rules out one that is part of it."""
    folded = fold(question)
    said = _words(folded) | {size for word, size in _SIZES.items() if word in folded}
    names = {chunk.id: fold(chunk.headings[-1]) for chunk in chunks if _table(chunk)}
    found = {id for id, name in names.items() if any(map(str.isalpha, name)) and _says(said, folded, name)}
    parts = {
        id
        for id in found
        for other in found
        if names[id] != names[other] and _says(_words(names[other]), names[other], names[id])
    }
    return {chunk.id: chunk for chunk in chunks if chunk.id in found - parts}


def _says(words: frozenset[str], folded: str, name: str) -> bool:
    return _words(name) <= words and all(run in folded for run in _HAN_RUN.findall(name))


def _words(folded: str) -> frozenset[str]:
    """Words and numbers that are not Chinese, in the singular."""
    return frozenset(word.removesuffix("s") if len(word) > 3 else word for word in _WORD.findall(folded))


def _within(asked: dict[str, Decimal], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Without lines of rows that hold up to, or from, another amount than is asked about: of those that hold, the closest."""
    bounds = {i: found for i, one in enumerate(candidates) if (found := _bounds(one)) and found[0] in asked}
    holding = {i: (low, high) for i, (unit, low, high) in bounds.items() if low <= asked[unit] <= high}
    closest: dict[str, Decimal] = defaultdict(lambda: Decimal("Infinity"))
    for i, (_, high) in holding.items():
        id = candidates[i].passage.chunk.id
        closest[id] = min(closest[id], high)
    return [
        one
        for i, one in enumerate(candidates)
        if i not in bounds or (i in holding and holding[i][1] == closest[one.passage.chunk.id])
    ]


def _bounds(candidate: Candidate) -> Bounds | None:
    """What the label of a row's line says of the amounts that it is for: up to 2 kg, 5 kg 以上, 2-5 kg."""
    label, colon, _ = candidate.unit.text.partition(": ")
    if candidate.passage.chunk.kind is not Kind.ROW or not colon:
        return None
    text = digits(fold(label))
    found = [(start, end, one) for start, end, one in located(text) if one.kind == "number" and one.unit]
    if len(found) == 2 and found[0][2].unit == found[1][2].unit:
        low, high = sorted(Decimal(one.value) for *_, one in found)
        return found[0][2].unit, low, high
    if len(found) != 1:
        return None
    start, end, one = found[0]
    behind = _BEHIND.match(text, end)
    amount = Decimal(one.value)
    if _UP_TO.search(text[:start]) or (behind and behind["up"]):
        return one.unit, Decimal(0), amount
    if _FROM.search(text[:start]) or (behind and behind["from"]):
        return one.unit, amount, Decimal("Infinity")
    return None
