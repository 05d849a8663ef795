"""Documents that state different figures for the same thing.

Two sentences contradict each other if each, with the other's figures, would say what the other says (rag.answer.compare), and
neither does as it stands. What they name, and where they stand, must agree: "it takes 3 days" says little by itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rag.answer.align import pair_up, same
from rag.answer.compare import Points, Source, beside, fitted
from rag.answer.statements import Clause, Mark, clauses
from rag.audit.nearness import Readers, near, numbered
from rag.index.sentences import Sentences
from rag.language import detect, statements
from rag.ports import Rows, Vectors
from rag.retrieve.entities import Entities
from rag.types import Chunk, Kind

NEAR = 0.6  # cosine of two sentences
ABOUT = 0.5  # cosine of the passages they stand in
COST = 2.5  # weight of what a sentence with the other's figures may still differ in
SHARED = 0.5  # of the words of each clause, by weight, what the other sentence must say
BRIEF = 2.0  # weight of shared words below which a clause hangs on its passage: "it starts on 1 May"
CLOSE = 0.75  # cosine of the passages of such clauses, unless both name what they are about
KINDS = frozenset({"number", "date", "time", "phone"})
_LISTED = (Kind.PRODUCT, Kind.ROW)
_ASKING = ("?", "？", "吗")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
Unit = tuple[str, str]  # kind and unit of a quantity


@dataclass(frozen=True, slots=True)
class Saying:
    """chunk.text[start:end], a sentence with a figure in it; `about` are the ids of what it names, or else its headings."""

    chunk: Chunk
    place: int  # of its vector
    start: int
    end: int
    clauses: tuple[Clause, ...]
    about: frozenset[str]
    numbers: frozenset[str]  # that are parts of names

    @property
    def text(self) -> str:
        """The sentence."""
        return self.chunk.text[self.start : self.end]

    def unit(self, mark: Mark) -> Unit | None:
        """What a mark measures; None if it is no figure."""
        quantity = mark.quantity
        if quantity is None or quantity.kind not in KINDS or (not quantity.unit and quantity.written in self.numbers):
            return None
        return quantity.kind, quantity.unit

    @property
    def units(self) -> frozenset[Unit]:
        """What its figures measure."""
        return frozenset((kind, unit) for kind, unit, _ in self.figures)

    @property
    def figures(self) -> frozenset[tuple[str, str, str]]:
        """Kind, unit and value of each."""
        marks = [mark for clause in self.clauses for mark in clause]
        return frozenset((*unit, mark.quantity.value) for mark in marks if mark.quantity and (unit := self.unit(mark)))


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sentences that cannot both be right. `later` is the document that answers go by: the one in force since later."""

    one: Saying
    other: Saying
    cost: float  # what they differ in besides the figures; the least is the surest

    @property
    def both(self) -> tuple[Saying, Saying]:
        """The two."""
        return self.one, self.other

    @property
    def later(self) -> str:
        """Empty if both are in force since the same day."""
        since = [saying.chunk.facets.valid_from or date.min for saying in self.both]
        return "" if since[0] == since[1] else (self.one if since[0] > since[1] else self.other).chunk.document


def conflicts(chunks: Sequence[Chunk], vectors: Vectors, sentences: Sentences, entities: Entities, today: date) -> list[Conflict]:
    """The surest first, each two sentences once, wherever they stand; of what has ended before today, none.

    `vectors` are the chunks', in their order, that of their ids.
    """
    found = _distinct(
        (row, saying)
        for row, chunk in enumerate(chunks)
        if (chunk.facets.valid_to or today) >= today
        for saying in sayings(chunk, sentences.places(row), entities)
    )
    rows, told = np.array([row for row, _ in found], np.intp), [saying for _, saying in found]
    readers, about = Readers(chunks), numbered(saying.about or "" for saying in told)
    figures = numbered(saying.figures for saying in told)
    listed = np.array([saying.chunk.kind in _LISTED for saying in told], bool)
    units = _units(told)

    def keep(ones: Rows, others: Rows) -> NDArray[np.bool_]:
        kept = (about[ones] == about[others]) & ((about[ones] > 0) | ~(listed[ones] | listed[others]))
        kept &= (figures[ones] != figures[others]) & ((units[ones] & units[others]) > 0) & readers.meet(rows[ones], rows[others])
        kept[kept] = np.einsum("ij,ij->i", vectors[rows[ones[kept]]], vectors[rows[others[kept]]]) >= ABOUT
        return np.asarray(kept, bool)

    places = np.array([saying.place for saying in told], np.intp)
    judged: dict[frozenset[str], Conflict] = {}
    for one, other in near(sentences.vectors(places), NEAR, keep) if told else []:
        is_close = bool(told[one].about) or float(vectors[rows[one]] @ vectors[rows[other]]) >= CLOSE
        if (cost := differing(told[one], told[other], is_close)) is not None:
            judged.setdefault(frozenset((told[one].text, told[other].text)), Conflict(told[one], told[other], cost))
    return sorted(judged.values(), key=lambda conflict: (conflict.cost, conflict.one.chunk.id, conflict.other.chunk.id))


def sayings(chunk: Chunk, places: Sequence[int], entities: Entities) -> Iterator[Saying]:
    """The sentences of a chunk that state a figure; `places` are those of their vectors."""
    head = chunk.text if chunk.kind is Kind.ROW else " > ".join((chunk.title, *chunk.headings))  # a row's title is its table's
    about = frozenset(entities.ids(head)) | ({chunk.facets.product} - {""})
    for place, text in zip(places, statements(chunk.text, chunk.label), strict=True):
        start = chunk.text.find(text)
        if start < 0 or text.endswith(_ASKING) or text.startswith("#"):
            continue
        named = entities.mentioned(text)
        numbers = frozenset(number for name in named for number in _NUMBER.findall(name))
        about_it = frozenset(id for ids in named.values() for id in ids) or about
        saying = Saying(chunk, place, start, start + len(text), clauses(text), about_it, numbers)
        if saying.units:
            yield saying


def _distinct(found: Iterable[tuple[int, Saying]]) -> list[tuple[int, Saying]]:
    """A sentence that many documents repeat to the same readers is there once, and a second time from another document."""
    kept: dict[tuple[object, ...], list[tuple[int, Saying]]] = defaultdict(list)
    for row, saying in found:
        own = kept[saying.text, saying.about, saying.chunk.facets, saying.chunk.kind in _LISTED]
        if not own or (len(own) == 1 and own[0][1].chunk.document != saying.chunk.document):
            own.append((row, saying))
    return [pair for own in kept.values() for pair in own]


def differing(one: Saying, other: Saying, is_close: bool) -> float | None:
    """What two sentences differ in besides figures, at most COST; None if it is more, or if their figures agree.

    `is_close`: they are known to be about the same thing, so that few words in common are enough.
    """
    weights = fitted()[detect(one.text) or "en"]
    mine, theirs = (Source.of(saying.chunk, saying.start, saying.end) for saying in (one, other))
    costs = [COST + 1]
    for clause, another in product(one.clauses, other.clauses):
        lent, back = _lent(clause, one, another, other), _lent(another, other, clause, one)
        agree = min(_cost(clause, theirs, weights), _cost(another, mine, weights)) <= 0
        if agree or lent == clause or _is_another_case(clause, lent):
            continue
        said, said_back = (*_led(clause, one), lent), (*_led(another, other), back)
        if _is_same_thing(_shared(said, other), _shared(said_back, one), is_close):
            own, others = ([_cost(part, theirs, weights) for part in said], [_cost(part, mine, weights) for part in said_back])
            costs.append(max(*own, *others))
    return round(min(costs), 2) if min(costs) <= COST else None


def _led(clause: Clause, saying: Saying) -> tuple[Clause, ...]:
    """The clause before, if it states no figure: "in the winter sale" says when the rest holds."""
    before = saying.clauses[: saying.clauses.index(clause)][-1:]
    return tuple(lead for lead in before if not any(map(saying.unit, lead)))


def _is_another_case(clause: Clause, lent: Clause) -> bool:
    """Whether figures of each of several units differ: 5 % from 10 pieces, and 8 % from 25."""
    pairs = [(mark.quantity, given.quantity) for mark, given in zip(clause, lent, strict=True) if mark.quantity]
    units = {mark.unit for mark, _ in pairs}
    return len(units) > 1 and units == {mark.unit for mark, given in pairs if mark != given}


def _is_same_thing(shared: tuple[float, float], back: tuple[float, float], is_close: bool) -> bool:
    """Whether each side has enough words in common with the other, by share and by weight."""
    return min(shared[0], back[0]) >= SHARED and (is_close or min(shared[1], back[1]) >= BRIEF)


def _lent(clause: Clause, saying: Saying, another: Clause, other: Saying) -> Clause:
    """The clause with the other's figures: the first of a unit for the first, the second for the second."""
    figures: dict[Unit, list[Mark]] = defaultdict(list)
    for mark in reversed(another):
        if unit := other.unit(mark):
            figures[unit].append(mark)
    lent = []
    for mark in clause:
        unit = saying.unit(mark)
        if (
            unit
            and mark.quantity
            and figures[unit]
            and (given := figures[unit].pop().quantity)
            and not same(mark.quantity, given)
        ):
            mark = replace(mark, value=given.written or given.value, quantity=given)
        lent.append(mark)
    return tuple(lent)


def _shared(said: Sequence[Clause], other: Saying) -> tuple[float, float]:
    """The share, by weight, of the clauses' words that the other sentence says, and their weight."""
    marks = [mark for clause in other.clauses for mark in clause]
    whole = sum(mark.weight for clause in said for mark in clause if mark.kind == "word")
    shared = sum(clause[at].weight for clause in said for at in pair_up(clause, marks) if clause[at].kind == "word")
    return shared / whole if whole else 0.0, shared


def _cost(clause: Clause, source: Source, weights: Points) -> float:
    """Nothing is said besides up to zero; see rag.answer.compare.carries."""
    return float(weights @ beside(clause, source, weights) + weights[0])


def _units(told: Sequence[Saying]) -> NDArray[np.int64]:
    """One bit for each unit of a sentence's figures; some units share one."""
    bits: dict[Unit, int] = {}
    return np.array([sum({1 << bits.setdefault(unit, len(bits) % 62) for unit in saying.units}) for saying in told], np.int64)
