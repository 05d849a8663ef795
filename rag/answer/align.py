"""Which marks of a sentence's clause answer to which of its source's, what stands in the place of what, and what is denied."""

from __future__ import annotations

from collections.abc import Sequence

from rag.answer.quantities import Quantity
from rag.answer.statements import Clause, Mark

_ENDS = frozenset({"IF", "BEFORE", "AFTER", "CAN", "NEED"})  # of what a negation before them reaches
_DENIED = 4.0  # weight of the words that a negation reaches


def pair_up(clause: Clause, marks: Sequence[Mark]) -> dict[int, int]:
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
        return same(mark.quantity, other.quantity)
    return mark.kind == other.kind == "word" and (mark.value == other.value or _akin(mark.value, other.value))


def _akin(left: str, right: str) -> bool:
    """Of one family of words: "enrol" and "enrolment"."""
    short, long = sorted((left, right), key=len)
    return len(short) >= 5 and long.startswith(short) and short.isalpha() and short.islower()


def holds(value: str, among: frozenset[str]) -> bool:
    """Whether a word, or one of its family, is among others."""
    return value in among or any(_akin(value, other) for other in among)


def same(left: Quantity, right: Quantity) -> bool:
    """Whether two quantities are equal, with their units where both have one; a working day is no day."""
    if left.kind != right.kind:
        return False
    if left.kind == "date":
        return left.value.split("-")[-2:] == right.value.split("-")[-2:]
    if left.unit and right.unit:
        return left.value == right.value and left.unit == right.unit
    return (left.written or left.value) == (right.written or right.value)


def size(mark: Mark) -> float:
    """How much a mark says: its weight as a word, a number as much as a word, all else nothing."""
    return 1.0 if mark.quantity else mark.weight if mark.kind == "word" else 0.0


def swapped(clause: Clause, marks: Sequence[Mark], pairs: dict[int, int]) -> float:
    """Weight of the foreign words in the place of others: between the same two, before the first or behind the last."""
    kept = set(pairs.values())
    total, foreign, left = 0.0, 0.0, -1
    for index in range(len(clause) + 1):
        if index < len(clause) and index not in pairs:
            foreign += size(clause[index])
            continue
        right = pairs[index] if index < len(clause) else len(marks)
        slot = sum(size(marks[i]) for i in range(left + 1, right) if i not in kept)
        total += min(foreign, slot)
        foreign, left = 0.0, right
    return total


def denied(run: Sequence[Clause]) -> list[set[int]]:
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
            weight += size(mark)
        if weight >= (_DENIED if marks[index].value != "NOT1" else 0.1):
            break
    if not any(size(marks[i]) for i in scope):
        scope |= {i for i in range(index) if marks[i].kind in ("word", "quantity")}
    return scope
