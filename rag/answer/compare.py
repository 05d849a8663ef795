"""A sentence against the passage that it was written from, point by point: what it adds, turns, swaps, restricts or lets go.

Each clause of the sentence is laid beside the clause of the passage that it differs from least, or beside up to three
neighbouring ones of one sentence; what it differs in are its points, weighted and summed.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from rag.answer.align import denied, holds, pair_up, same, size, swapped
from rag.answer.quantities import Quantity
from rag.answer.statements import Clause, Mark, answer, clauses
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
    "crossed_number",  # ... of which one is a number
)
_AT = {name: index for index, name in enumerate(POINTS)}
WEIGHTS = Path(__file__).with_suffix(".toml")
_ASKING = ("?", "？", "吗")
_MOST_MERGED = 3
_SCOPE_POINTS = {"ONLY": "only", "EVERY": "every", "BOTH": "both", "SOME": "some", "EVEN": "even", "ALSO": "also", "IF": "if"}


@dataclass(frozen=True, slots=True)
class Source:
    """The clauses of the quoted sentences, sentence by sentence, and the words and numbers of what stands around them."""

    quoted: tuple[tuple[Clause, ...], ...]
    before: frozenset[str]
    after: frozenset[str]
    numbers: tuple[Quantity, ...]  # of the whole passage
    answers: frozenset[str]  # yes, no: what quoted sentences begin with

    @classmethod
    def of(cls, chunk: Chunk, start: int, end: int) -> Source:
        """chunk.text[start:end] is quoted; title and headings stand before it."""
        heads = [*clauses(chunk.title), *(clause for heading in chunk.headings for clause in clauses(heading))]
        before, inside, after = [chunk.text[slice(*part)] for part in ((0, start), (start, end), (end, None))]
        said = [inside[slice(*span)] for span in sentences(inside)]
        asked = [clause for text in said if text.endswith(_ASKING) for clause in clauses(text)]
        quoted = tuple(clauses(text) for text in said if not text.endswith(_ASKING))
        lead, trail = [*_clauses(before), *asked], _clauses(after)
        answers = frozenset(answer(text) for text in (*[before[slice(*span)] for span in sentences(before)][-1:], *said)) - {""}
        every = [*heads, *lead, *(clause for group in quoted for clause in group), *trail]
        numbers = tuple(mark.quantity for clause in every for mark in clause if mark.quantity)
        return cls(quoted, _words([*heads, *lead]), _words(trail), numbers, answers)


def points(sentence: str, source: Source, weights: Points) -> Points:
    """Shape (len(POINTS),): the sum over the clauses of the sentence, each beside the clauses that cost least by `weights`."""
    total = np.zeros(len(POINTS))
    total[0] = 1.0
    total[_AT["turned"]] += bool(source.answers and answer(sentence) and answer(sentence) not in source.answers)
    for clause in clauses(sentence):
        total += beside(clause, source, weights)
    return total


def beside(clause: Clause, source: Source, weights: Points) -> Points:
    """Shape (len(POINTS),): of one clause, beside the clauses that cost least; zeros if nothing is quoted."""
    found = [_points(clause, run, source, before, after) for run, before, after in _runs(source)]
    return min(found, key=lambda one: float(weights @ one), default=np.zeros(len(POINTS)))


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
    pairs = pair_up(clause, marks)
    _count_foreign(found, clause, pairs, source, before, after)
    found[_AT["swapped"]] = swapped(clause, marks, pairs)
    _count_negations(found, clause, run, marks, pairs)
    _count_bounds(found, clause, marks, pairs)
    _count_scopes(found, clause, marks)
    _count_let_go(found, clause, marks, set(pairs.values()))
    if len(run) == 1:
        found[_AT["merged_dropped"]] = 0.0
    found[_AT["merged"]] = len(run) - 1
    for left, right in pairwise(pairs[index] for index in sorted(pairs)):
        if left > right:
            found[_AT["crossed_number" if marks[left].quantity or marks[right].quantity else "crossed"]] += 1
    return found


def _count_foreign(
    found: Points, clause: Clause, pairs: dict[int, int], source: Source, before: frozenset[str], after: frozenset[str]
) -> None:
    for index, mark in enumerate(clause):
        if index in pairs:
            continue
        if mark.kind == "word":
            name = "before" if holds(mark.value, before) else "after" if holds(mark.value, after) else "new"
            found[_AT[name]] += mark.weight
        elif mark.quantity:
            known = any(same(mark.quantity, other) for other in source.numbers)
            found[_AT["far_quantity" if known else "new_quantity"]] += 1


def _count_let_go(found: Points, clause: Clause, marks: Sequence[Mark], kept: set[int]) -> None:
    inside = [i for i in range(min(kept, default=0), max(kept, default=0)) if i not in kept]
    found[_AT["gap"]] = sum(marks[i].weight for i in inside if marks[i].kind == "word")
    said = {mark.value for mark in clause}
    found[_AT["merged_dropped"]] = sum(size(mark) for i, mark in enumerate(marks) if i not in kept and mark.value not in said)


def _count_negations(found: Points, clause: Clause, run: Sequence[Clause], marks: Sequence[Mark], pairs: dict[int, int]) -> None:
    """Negations of both sides are paired by what they deny; one that is left over turns what is said."""
    said = [{pairs[i] for i in scope if i in pairs} for scope in denied([clause])]
    stated = denied(run)
    free = set(range(len(said)))
    taken = set(pairs.values())
    foreign = found[_AT["before"]] + found[_AT["after"]] + found[_AT["new"]] > 0
    for scope in stated:
        match = max((i for i in free if said[i] & scope), key=lambda i: len(said[i] & scope), default=None)
        if match is not None:
            free.remove(match)
        elif any(size(marks[i]) for i in scope & taken):
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
