"""Documents that state different figures: the later one wins, else both are named; what only looks alike is no conflict."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from answering import CHUNKS, LAMP, RETURNS, chunk, make_parts
from indexing import rarity_of

from rag.answer.conflict import disagree, standing
from rag.answer.flow import answer, collect
from rag.answer.rank import Candidate
from rag.answer.units import units
from rag.types import Answer, Chunk, Facets, Kind, Passage

RARITY = rarity_of(item.search_text for item in CHUNKS)
LABEL = "A return label costs 4.90 EUR."
QUESTION = "What does a return label cost?"


def page(text: str, id: str = "policies/other.md#1", **facets: object) -> Chunk:
    return chunk(id, text, "Labels", facets=Facets("en", **facets))  # type: ignore[arg-type]


def candidate(item: Chunk, text: str) -> Candidate:
    return Candidate(0.5, Passage(item, 1.0), next(unit for unit in units(item) if unit.text == text))


def against(other: Chunk, text: str) -> bool:
    one, two = candidate(RETURNS, LABEL), candidate(other, text)
    assert disagree(one, two, RARITY) == disagree(two, one, RARITY)
    return disagree(one, two, RARITY)


def ask(question: str, *chunks: Chunk) -> Answer:
    return collect(answer(question, (), make_parts(chunks=chunks)))


def test_the_same_with_another_figure_is_a_conflict() -> None:
    assert against(page("A return label costs 7 EUR."), "A return label costs 7 EUR.")
    assert against(page("For a return, the label costs 7.50 EUR."), "For a return, the label costs 7.50 EUR.")


@pytest.mark.parametrize(
    "text",
    [
        "A return label costs 4,90 €.",  # the same figure
        "A return label is valid for 30 days.",  # another unit
        "A gift box costs 7 EUR.",  # another thing
        "A return label costs 4.90 EUR, an insured one 7 EUR.",  # the same figure and one more
        "A return label is free of charge.",  # no figure
    ],
)
def test_what_is_compatible_is_none(text: str) -> None:
    assert not against(page(text), text)


@pytest.mark.parametrize("facets", [{"region": "CN"}, {"audience": "business"}, {"trust": "community"}, {"product": "PB-HL210"}])
def test_what_holds_for_others_is_none(facets: dict[str, str]) -> None:
    assert not against(page("A return label costs 7 EUR.", **facets), "A return label costs 7 EUR.")


def test_a_document_does_not_contradict_itself_and_rows_are_of_different_things() -> None:
    same = page("A return label costs 7 EUR.", id=f"{RETURNS.document}#2")
    assert not against(same, "A return label costs 7 EUR.")
    other = replace(
        LAMP, id="catalogue/other.jsonl#1", document="catalogue/other.jsonl", text=LAMP.text.replace("49.90", "39.90")
    )
    assert other.kind is Kind.PRODUCT
    assert not disagree(candidate(LAMP, "Price: 49.90 EUR"), candidate(other, "Price: 39.90 EUR"), RARITY)


def test_a_paragraph_falls_with_a_sentence_that_is_out_of_date() -> None:
    older = replace(RETURNS, facets=Facets("en", valid_from=date(2025, 1, 1)))
    later = page("A return label costs 7 EUR.", valid_from=date(2026, 1, 1))
    candidates = [Candidate(0.1, Passage(item, 1.0), unit) for item in (older, later) for unit in units(item)]
    assert any(one.unit.is_whole and LABEL in one.unit.text for one in candidates)
    left = [one.unit.text for one in standing(candidates, RARITY)]
    assert later.text in left and len(left) == 3 and not any(LABEL in text for text in left)


def test_both_are_named_with_their_sources() -> None:
    given = ask(QUESTION, RETURNS, page("A return label costs 7 EUR."))
    first, second = given.citations
    assert given.text == f"{first.quote} [1] Another document of ours says: {second.quote} [2]"
    assert {first.quote, second.quote} == {LABEL, "A return label costs 7 EUR."} and first.document != second.document


@pytest.mark.parametrize(("since", "told"), [(date(2026, 1, 1), "A return label costs 7 EUR."), (None, LABEL)])
def test_the_one_in_force_since_later_wins(since: date | None, told: str) -> None:
    older = replace(RETURNS, facets=Facets("en", valid_from=date(2025, 1, 1)))
    given = ask(QUESTION, older, page("A return label costs 7 EUR.", valid_from=since))
    assert given.text == f"{told} [1]"
