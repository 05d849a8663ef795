"""When to decline: how often what is accepted is wrong (risk) against how much is accepted (coverage), by falling score.

El-Yaniv, Wiener 2010; area under the curve as Geifman, El-Yaniv 2017. A judged question is a score and whether accepting it would
be right. For retrieval: the score of its best passage, and whether a passage that holds the answer was found; a question that the
documents do not answer is never right to accept. For answers: the evidence, and whether the answer given is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.errors import DataError
from rag.evaluate.score import Case, Marks, holds

TOP = 5  # passages that an answer is made from, so that an answer found further down is as good as not found


@dataclass(frozen=True, slots=True)
class Judged:
    """One question: the score that is compared with the threshold, and whether accepting it would be right."""

    score: float
    right: bool


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold brings: `coverage` is the share of questions accepted, `risk` the share of those that are wrong; 0..1."""

    threshold: float
    coverage: float
    risk: float


def curve(judged: Sequence[Judged], asked: int = 0) -> list[Point]:
    """One point a distinct score, as the threshold falls; a question is accepted at or above it. Raises DataError for none.

    Coverage is a share of the `asked` questions; 0: of those judged. More are asked than judged where some can never be accepted.
    """
    if not judged:
        raise DataError(expected="judged questions", found="none", remedy="ask at least one question")
    ranked = sorted(judged, key=lambda question: -question.score)
    points: list[Point] = []
    wrong = 0
    for count, question in enumerate(ranked, start=1):
        wrong += not question.right
        if count == len(ranked) or ranked[count].score != question.score:  # equal scores are accepted together
            points.append(Point(question.score, count / (asked or len(ranked)), wrong / count))
    return points


def area(points: Sequence[Point]) -> float:
    """Area under the risk-coverage curve (AURC), 0..1, lower is better: each point's risk over the coverage that it adds."""
    before = [0.0, *(point.coverage for point in points[:-1])]
    return sum(point.risk * (point.coverage - start) for point, start in zip(points, before, strict=True))


def answers(cases: Sequence[Case], all_marks: Sequence[Marks]) -> list[Judged]:
    """The questions that were answered; only those can be answered at a stricter threshold."""
    pairs = zip(cases, all_marks, strict=True)
    return [Judged(case.row.evidence or 0.0, mark["score"] >= 0) for case, mark in pairs if case.row.answered]


def retrieval(cases: Sequence[Case]) -> dict[str, list[Judged]]:
    """Language -> how retrieval fared on its questions: the evidence, and whether one of the first passages holds the answer.

    Turns that failed and turns without evidence, such as greetings, are left out.
    """
    found: dict[str, list[Judged]] = {}
    for case in cases:
        if case.row.evidence is not None and not case.row.failed:
            right = case.item.answerable and any(holds(passage, case.item) for passage in case.row.found[:TOP])
            found.setdefault(case.item.lang, []).append(Judged(case.row.evidence, right))
    return found
