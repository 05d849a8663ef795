"""What says the same: a sentence and the paragraph that holds it, two documents in other words; not what has another figure."""

from __future__ import annotations

import numpy as np
from answering import RETURNS, chunk, make_parts

from rag.answer.agreement import agreement, together, united
from rag.answer.units import units
from rag.types import Chunk, Kind, Passage, Query


def agree(*chunks: Chunk) -> list[list[int]]:
    found = [(Passage(item, 1.0), unit) for item in chunks for unit in units(item)]
    made = agreement(found)
    assert np.array_equal(made, made.T) and made.diagonal().all()
    return [np.flatnonzero(row).tolist() for row in made]


def test_a_sentence_agrees_with_the_paragraph_that_holds_it() -> None:
    page = chunk("a.md#1", "It is red. Its lid is steel.", "Kettle")
    assert [unit.text for unit in units(page)] == ["It is red.", "It is red. Its lid is steel.", "Its lid is steel."]
    assert agree(page) == [[0, 1], [0, 1, 2], [1, 2]]


def test_two_documents_agree_in_other_words_and_not_with_another_figure() -> None:
    page = chunk("a.md#1", "A return label costs 4.90 EUR.", "Labels")
    assert agree(page, chunk("b.md#1", "For a return, the label costs 4,90 €.", "Returns")) == [[0, 1], [0, 1]]
    assert agree(page, chunk("b.md#1", "For a return, the label costs 7 EUR.", "Returns")) == [[0], [1]]
    assert agree(page, chunk("b.md#1", "A gift box is free of charge.", "Returns")) == [[0], [1]]


def test_of_what_says_the_same_the_likeliest_speaks_for_all() -> None:
    agree = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)  # a paragraph between its two sentences
    assert together(agree, np.array([0.4, 0.2, 0.1])).round(6).tolist() == [0.7, 0.7, 0.7]
    assert together(np.eye(2, dtype=bool), np.array([0.4, 0.2])).tolist() == [0.4, 0.2]
    assert together(np.zeros((0, 0), dtype=bool), np.zeros(0)).tolist() == []


def test_rows_of_two_products_agree_in_nothing() -> None:
    one, two = (chunk(f"p.jsonl#{name}", f"{name}\nWeight: 86 g", name, Kind.PRODUCT) for name in ("Ember", "Beacon"))
    assert agree(one, two) == [[0], [1]]


def test_what_is_said_twice_is_as_likely_as_both_together() -> None:
    ranker = make_parts().ranker
    query = Query("What does a return label cost?", "What does a return label cost?", "en")
    again = chunk("b.md#1", RETURNS.text, "Returns")
    once, twice = (
        united(ranker.rank(query, [Passage(item, 1.0) for item in chunks])) for chunks in ([RETURNS], [RETURNS, again])
    )
    assert once[0].unit.text == twice[0].unit.text == "A return label costs 4.90 EUR."
    assert twice[0].probability > once[0].probability and 1.5 * twice[0].share < twice[0].probability
    assert sum(candidate.share for candidate in twice) < 1 and united([]) == []
