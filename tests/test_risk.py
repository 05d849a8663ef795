"""Risk and coverage by hand."""

from __future__ import annotations

import pytest

from rag.errors import DataError
from rag.evaluate.gold import Question, Source
from rag.evaluate.plots import retrieval_risk
from rag.evaluate.risk import Judged, Point, answers, area, curve, retrieval
from rag.evaluate.rows import Found, Row
from rag.evaluate.score import Case

JUDGED = [Judged(0.9, True), Judged(0.8, True), Judged(0.5, False), Judged(0.7, False)]


def test_the_curve_by_hand() -> None:
    assert curve(JUDGED) == [Point(0.9, 0.25, 0), Point(0.8, 0.5, 0), Point(0.7, 0.75, 1 / 3), Point(0.5, 1.0, 0.5)]


def test_equal_scores_are_accepted_together() -> None:
    assert curve([Judged(0.5, True), Judged(0.5, False), Judged(0.4, True)]) == [Point(0.5, 2 / 3, 0.5), Point(0.4, 1.0, 1 / 3)]


def test_what_can_never_be_accepted_lowers_the_coverage_alone() -> None:
    assert curve(JUDGED, asked=8) == [Point(0.9, 1 / 8, 0), Point(0.8, 2 / 8, 0), Point(0.7, 3 / 8, 1 / 3), Point(0.5, 0.5, 0.5)]


def test_the_area_by_hand() -> None:
    assert area(curve(JUDGED)) == pytest.approx(0.25 * (0 + 0 + 1 / 3 + 1 / 2))
    best_order = [Judged(0.9 - 0.1 * i, right) for i, right in enumerate((True, True, False, False))]
    worst_order = [Judged(0.9 - 0.1 * i, right) for i, right in enumerate((False, False, True, True))]
    assert area(curve(best_order)) < area(curve(worst_order))
    assert area(curve([Judged(0.3, True)])) == 0 and area(curve([Judged(0.3, False)])) == 1


def test_no_questions_make_no_curve() -> None:
    with pytest.raises(DataError, match="expected judged questions; found none"):
        curve([])


def case(id: str, lang: str, answerable: bool, found: list[str], **row: object) -> Case:
    given = {"id": id, "lang": lang, "question": "?", "kind": "single" if answerable else "off_topic", "answerable": answerable}
    sources = [Source(document="a.md", quote="gold")] if answerable else []
    item = Question.model_validate({**given, "answer": "x" if answerable else "", "sources": sources})
    passages = tuple(Found(id=str(i), document="a.md", text=text, score=1.0) for i, text in enumerate(found))
    filled = {"id": id, "fingerprint": "", "outcome": "answered", "text": "", "found": passages, "evidence": 0.5}
    return Case(item, Row.model_validate(filled | row), 1)


def test_retrieval_is_judged_by_what_the_first_passages_hold() -> None:
    cases = [
        case("1", "en", True, ["gold"]),
        case("2", "en", True, ["x"] * 5 + ["gold"], evidence=0.4),
        case("3", "zh", False, ["gold"]),
        case("4", "zh", True, ["gold"], outcome="failed"),
        case("5", "zh", True, ["gold"], evidence=None),
    ]
    assert retrieval(cases) == {"en": [Judged(0.5, True), Judged(0.4, False)], "zh": [Judged(0.5, False)]}


def test_answers_are_judged_by_their_score() -> None:
    cases = [
        case("1", "en", True, [], evidence=0.9),
        case("2", "en", True, [], evidence=None),
        case("3", "en", True, [], outcome="refused"),
        case("4", "en", True, [], outcome="failed"),
    ]
    all_marks = [{"score": 1.0}, {"score": -1.0}, {"score": 0.0}, {"score": 0.0}]
    assert answers(cases, all_marks) == [Judged(0.9, True), Judged(0.0, False)]


def test_the_plot_names_each_language_and_its_area() -> None:
    drawn = retrieval_risk({"en": curve(JUDGED), "zh": curve([Judged(0.3, True)])})
    assert drawn.startswith("<svg") and "en: area 0.208" in drawn and "zh: area 0.000" in drawn
