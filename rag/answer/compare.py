"""A sentence against the passage that it was written from, point by point: what it adds, turns, swaps, restricts or lets go.

Each clause of the sentence is laid beside the clause of the passage that it differs from least, or beside up to three
neighbouring ones of one sentence; what it differs in are its points, weighted and summed.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from rag.answer.quantities import Quantity
from rag.answer.statements import Clause, Mark, clauses
from rag.language import detect, sentences
from rag.types import Chunk, Language

Points = NDArray[np.float64]
POINTS = (
    "one",
    "new",  # words, by weight, that the passage does not hold
    "new_quantity",  # numbers with a unit that it does not hold
    "before",  # words that it holds before the clause: what "it" stands for
    "after",  # ... only behind it
    "swapped",  # what the clause does not hold in the place of what it does
    "far_quantity",  # numbers that another clause holds
    "turned",  # negations that the other side lacks
    "loose",  # negations whose clause is used but for what they deny
    "reversed",  # before for after, at most for at least
    "bound_added",
    "bound_dropped",
    "only_added",
    "every_added",
    "both_added",
    "some_added",
    "even_added",
    "also_added",
    "if_added",
    "order_added",  # before, after
    "only_dropped",
    "some_dropped",
    "if_dropped",
    "order_dropped",
    "merged",  # clauses beyond the first
    "merged_dropped",  # words of merged clauses that are let go
    "gap",  # words let go between those that are kept
    "crossed",  # neighbours that stand the other way round in the passage
)
_AT = {name: index for index, name in enumerate(POINTS)}
WEIGHTS = Path(__file__).with_suffix(".toml")
_MOST_MERGED = 3
_SCOPE_POINTS = {"ONLY": "only", "EVERY": "every", "BOTH": "both", "SOME": "some", "EVEN": "even", "ALSO": "also", "IF": "if"}
_ENDS = frozenset({"IF", "BEFORE", "AFTER", "CAN", "NEED"})  # of what a negation before them reaches
_DENIED = 4.0  # weight of the words that a negation reaches


@dataclass(frozen=True, slots=True)
class Source:
    """The clauses of the quoted sentences, sentence by sentence, and the words and numbers of what stands around them."""

    quoted: tuple[tuple[Clause, ...], ...]
    before: frozenset[str]
    after: frozenset[str]
    numbers: tuple[Quantity, ...]  # of the whole passage

    @classmethod
    def of(cls, chunk: Chunk, start: int, end: int) -> Source:
        """chunk.text[start:end] is quoted; title and headings stand before it."""
        heads = [*clauses(chunk.title), *(clause for heading in chunk.headings for clause in clauses(heading))]
        before, inside, after = [chunk.text[slice(*part)] for part in ((0, start), (start, end), (end, None))]
        quoted = tuple(clauses(inside[slice(*span)]) for span in sentences(inside))
        lead, trail = _clauses(before), _clauses(after)
        every = [*heads, *lead, *(clause for group in quoted for clause in group), *trail]
        numbers = tuple(mark.quantity for clause in every for mark in clause if mark.quantity)
        return cls(quoted, _words([*heads, *lead]), _words(trail), numbers)


def points(sentence: str, source: Source, weights: Points) -> Points:
    """Shape (len(POINTS),): the sum over the clauses of the sentence, each beside the clauses that cost least by `weights`."""
    total = np.zeros(len(POINTS))
    total[0] = 1.0
    for clause in clauses(sentence):
        beside = [_points(clause, run, source, before, after) for run, before, after in _runs(source)]
        if beside:
            total += min(beside, key=lambda one: float(weights @ one))
    return total


def carries(sentence: str, chunk: Chunk, start: int, end: int) -> bool:
    """Whether chunk.text[start:end], read where it stands, says what the sentence says."""
    weights = fitted()[detect(sentence) or "en"]
    return float(weights @ points(sentence, Source.of(chunk, start, end), weights)) <= 0


@functools.lru_cache(maxsize=1)
def fitted() -> dict[Language, Points]:
    """The weights of POINTS by language; a sum above zero is held back."""
    tables = tomllib.loads(WEIGHTS.read_text(encoding="utf-8"))
    return {language: np.array([float(tables[language][name]) for name in POINTS]) for language in get_args(Language)}


def _clauses(text: str) -> list[Clause]:
    return [clause for span in sentences(text) for clause in clauses(text[slice(*span)])]


def _words(among: Iterable[Clause]) -> frozenset[str]:
    return frozenset(mark.value for clause in among for mark in clause if mark.kind == "word")


def _runs(source: Source) -> Iterable[tuple[tuple[Clause, ...], frozenset[str], frozenset[str]]]:
    """Clauses that stand together in one sentence, with the words before and behind them."""
    flat = [clause for group in source.quoted for clause in group]
    first = 0
    for group in source.quoted:
        for start in range(len(group)):
            for end in range(start + 1, min(start + _MOST_MERGED, len(group)) + 1):
                before = source.before | _words(flat[: first + start])
                yield group[start:end], before, source.after | _words(flat[first + end :])
        first += len(group)


def _points(clause: Clause, run: Sequence[Clause], source: Source, before: frozenset[str], after: frozenset[str]) -> Points:
    found = np.zeros(len(POINTS))
    marks = [mark for part in run for mark in part]
    pairs = _pairs(clause, marks)
    for index, mark in enumerate(clause):
        if index in pairs:
            continue
        if mark.kind == "word":
            name = "before" if _holds(mark.value, before) else "after" if _holds(mark.value, after) else "new"
            found[_AT[name]] += mark.weight
        elif mark.quantity:
            found[_AT["far_quantity" if any(_same(mark.quantity, q) for q in source.numbers) else "new_quantity"]] += 1
    kept = set(pairs.values())
    found[_AT["swapped"]] = _swapped(clause, marks, pairs)
    _count_negations(found, clause, run, marks, pairs)
    _count_bounds(found, clause, marks, pairs)
    _count_scopes(found, clause, marks)
    inside = [i for i in range(min(kept, default=0), max(kept, default=0)) if i not in kept]
    found[_AT["gap"]] = sum(marks[i].weight for i in inside if marks[i].kind == "word")
    found[_AT["merged"]] = len(run) - 1
    if len(run) > 1:
        let_go = [mark for i, mark in enumerate(marks) if i not in kept and mark.value not in {m.value for m in clause}]
        found[_AT["merged_dropped"]] = sum(map(_size, let_go))
    order = [pairs[index] for index in sorted(pairs)]
    found[_AT["crossed"]] = sum(left > right for left, right in zip(order, order[1:], strict=False))
    return found


def _pairs(clause: Clause, marks: Sequence[Mark]) -> dict[int, int]:
    """Index in the clause -> index of the same word or quantity in `marks`, the next one behind the last pair if there is one."""
    pairs: dict[int, int] = {}
    last = -1
    for index, mark in enumerate(clause):
        if mark.kind not in ("word", "quantity"):
            continue
        at = [i for i, other in enumerate(marks) if _equal(mark, other)]
        fresh = [i for i in at if i not in pairs.values()] or at
        if fresh:
            last = pairs[index] = next((i for i in fresh if i > last), fresh[-1])
    return pairs


def _equal(mark: Mark, other: Mark) -> bool:
    if mark.quantity and other.quantity:
        return _same(mark.quantity, other.quantity)
    return mark.kind == other.kind == "word" and (mark.value == other.value or _akin(mark.value, other.value))


def _akin(left: str, right: str) -> bool:
    """Of one family of words: "enrol" and "enrolment"."""
    short, long = sorted((left, right), key=len)
    return len(short) >= 5 and long.startswith(short) and short.isalpha() and short.islower()


def _holds(value: str, among: frozenset[str]) -> bool:
    return value in among or any(_akin(value, other) for other in among)


def _same(left: Quantity, right: Quantity) -> bool:
    if left.kind != right.kind:
        return False
    if left.kind == "date":
        return left.value.split("-")[-2:] == right.value.split("-")[-2:]
    if left.unit and right.unit:
        return left.value == right.value and left.unit == right.unit
    return (left.written or left.value) == (right.written or right.value)


def _size(mark: Mark) -> float:
    return 1.0 if mark.quantity else mark.weight if mark.kind == "word" else 0.0


def _swapped(clause: Clause, marks: Sequence[Mark], pairs: dict[int, int]) -> float:
    """Weight of the foreign words that stand where the passage has others: between the same two, before the first, after the last."""
    kept = set(pairs.values())
    total, foreign, left = 0.0, 0.0, -1
    for index in range(len(clause) + 1):
        if index < len(clause) and index not in pairs:
            foreign += _size(clause[index])
            continue
        right = pairs[index] if index < len(clause) else len(marks)
        slot = sum(_size(marks[i]) for i in range(left + 1, right) if i not in kept)
        total += min(foreign, slot)
        foreign, left = 0.0, right
    return total


def _denied(run: Sequence[Clause]) -> list[set[int]]:
    """For each negation the indices, in all marks of the run, of what it denies in its clause."""
    scopes: list[set[int]] = []
    offset = 0
    for marks in run:
        for index, mark in enumerate(marks):
            if mark.kind in ("not", "except"):
                scopes.append({offset + i for i in _reached(marks, index)})
        offset += len(marks)
    return scopes


def _reached(marks: Clause, index: int) -> set[int]:
    """What follows, up to a weight, or to where another thought begins; what precedes if nothing follows."""
    scope, weight = set(), 0.0
    for i in range(index + 1, len(marks) if marks[index].kind == "not" else 0):
        mark = marks[i]
        if i > index + 1 and (mark.kind in ("not", "edge") or mark.value in _ENDS):
            break
        if mark.kind in ("word", "quantity"):
            scope.add(i)
            weight += _size(mark)
        if weight >= (_DENIED if marks[index].value != "NOT1" else 0.1):
            break
    if not any(_size(marks[i]) for i in scope):
        scope |= {i for i in range(index) if marks[i].kind in ("word", "quantity")}
    return scope


def _count_negations(found: Points, clause: Clause, run: Sequence[Clause], marks: Sequence[Mark], pairs: dict[int, int]) -> None:
    """Negations of both sides are paired by what they deny; one that is left over turns what is said."""
    said = [{pairs[i] for i in scope if i in pairs} for scope in _denied([clause])]
    stated = _denied(run)
    free = set(range(len(said)))
    taken = set(pairs.values())
    foreign = found[_AT["before"]] + found[_AT["after"]] + found[_AT["new"]] > 0
    for scope in stated:
        match = max((i for i in free if said[i] & scope), key=lambda i: len(said[i] & scope), default=None)
        if match is not None:
            free.remove(match)
        elif any(_size(marks[i]) for i in scope & taken):
            found[_AT["turned"]] += 1
        elif foreign and taken:
            found[_AT["loose"]] += 1
    found[_AT["turned"]] += len(free)


def _directions(bounds: frozenset[str]) -> set[str]:
    near = {"LE" if bound == "UNTIL" else bound for bound in bounds & {"LE", "GE", "UNTIL"}}
    return near or {{"BEFORE": "LE", "AFTER": "GE"}[bound] for bound in bounds & {"BEFORE", "AFTER"}}


def _count_bounds(found: Points, clause: Clause, marks: Sequence[Mark], pairs: dict[int, int]) -> None:
    for left, right in pairs.items():
        if not clause[left].quantity:
            continue
        here, there = _directions(clause[left].bounds), _directions(marks[right].bounds)
        if here and there and not here & there:
            found[_AT["reversed"]] += 1
        elif here and not there:
            found[_AT["bound_added"]] += 1
        elif there and not here:
            found[_AT["bound_dropped"]] += 1


def _count_scopes(found: Points, clause: Clause, marks: Sequence[Mark]) -> None:
    here, there = (_scopes(side) for side in (clause, marks))
    for scope, name in _SCOPE_POINTS.items():
        if scope in here and scope not in there:
            found[_AT[f"{name}_added"]] += 1
        elif scope in there and scope not in here and f"{name}_dropped" in _AT:
            found[_AT[f"{name}_dropped"]] += 1
    ordered, given = here & {"BEFORE", "AFTER"}, there & {"BEFORE", "AFTER"}
    if ordered and given and not ordered & given:
        found[_AT["reversed"]] += 1
    elif ordered and not given:
        found[_AT["order_added"]] += 1
    elif given and not ordered:
        found[_AT["order_dropped"]] += 1


def _scopes(marks: Sequence[Mark]) -> set[str]:
    return {mark.value for mark in marks if mark.kind == "scope"} | {bound for mark in marks for bound in mark.bounds}
