from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from rag.audit.unfound import look, question_of
from rag.types import Chunk, Facets, Filter, History, Kind, Passage, Query

TODAY = date(2026, 11, 24)


def page(id: str, text: str = "A lamp is bright.", **facets: Any) -> Chunk:
    return Chunk(id, id.split("#")[0], "", 0, Kind.PAGE, "Lamps", (), text, facets=Facets(**facets))


class Finds:
    """A search that always finds the same, best first."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks, self.asked = chunks, list[tuple[str, Filter]]()

    def find(self, question: str, history: History, k: int, chosen: Filter) -> tuple[Query, list[Passage]]:
        self.asked.append((question, chosen))
        return Query(question, question, "en"), [Passage(chunk, 1.0) for chunk in self.chunks[:k]]


def unfound(search: Finds, chunks: Sequence[Chunk], sample: int = 9, k: int = 2) -> list[str]:
    found = look(search, chunks, sample, k, TODAY, lambda stage, done, total: None)  # type: ignore[arg-type]
    return [one.chunk.id for one in found.unfound]


SHOP = [page(f"{name}.md#1", f"Lamp {name} is bright.") for name in "abc"]


def test_what_comes_behind_the_first_k_is_out_of_reach() -> None:
    assert unfound(Finds(SHOP), SHOP) == ["c.md#1"]
    assert unfound(Finds(SHOP), SHOP, k=3) == []
    finding = look(Finds([]), SHOP, 9, 2, TODAY, lambda stage, done, total: None)  # type: ignore[arg-type]
    assert [one.instead for one in finding.unfound] == [None] * 3 and (finding.looked, finding.among) == (3, 3)


def test_what_is_out_of_force_is_not_looked_for() -> None:
    over, coming = page("d.md#1", valid_to=date(2026, 11, 23)), page("e.md#1", valid_from=date(2026, 11, 25))
    search = Finds([])
    assert unfound(search, [over, coming]) == [] and search.asked == []


def test_readers_of_a_region_search_in_it() -> None:
    search = Finds([])
    unfound(search, [page("d.md#1", region="CN", audience="business")])
    assert search.asked == [("Lamps A lamp is bright.", Filter(region="CN", audience="business"))]


def test_a_sample_is_the_same_each_time() -> None:
    many = [page(f"{number:03}.md#1") for number in range(100)]
    first, second = unfound(Finds([]), many, sample=7), unfound(Finds([]), many, sample=7)
    assert first == second and len(set(first)) == 7 and unfound(Finds([]), many, sample=0) == []


def test_the_same_text_elsewhere_and_a_products_other_language_stand_for_it() -> None:
    lamp = replace(page("catalogue.csv#1", "Ember", product="HL1"), kind=Kind.PRODUCT)
    twin = replace(lamp, id="catalogue.csv#2", text="余烬")
    assert unfound(Finds([twin]), [lamp]) == []
    assert unfound(Finds([replace(SHOP[0], id="copy.md#1")]), SHOP[:1]) == []
    assert unfound(Finds([replace(twin, facets=Facets(product="HL2"))]), [lamp]) == [lamp.id]


@pytest.mark.parametrize(
    ("kind", "text", "asked"),
    [
        (Kind.FAQ, "Lamps\nAll are bright.", "Lamps"),
        (Kind.PRODUCT, "Lamps\nPrice: 5 EUR", "Lamps"),
        (Kind.PAGE, "# Bright\n\nAll are bright. Some are dim.", "Lamps All are bright."),
        (Kind.PAGE, "| Model | Weight |\n|---|---|", "Lamps Model Weight"),
        (Kind.PAGE, "# Bright", "Lamps"),
    ],
)
def test_what_a_chunk_is_asked_by(kind: Kind, text: str, asked: str) -> None:
    assert question_of(replace(page("a.md#1", text), kind=kind)) == asked
