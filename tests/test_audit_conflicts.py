"""Documents that state different figures for the same thing: planted ones are found, what only looks alike is not."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.audit.conflicts import Conflict, conflicts
from rag.index.sentences import Sentences
from rag.language import statements
from rag.ports import Embedder, Vectors
from rag.retrieve.entities import Entities
from rag.settings import Settings
from rag.types import Chunk, Facets, Kind

PLANTED = list(csv.DictReader((Path(__file__).parent / "planted.csv").open(encoding="utf-8", newline="")))
TODAY = date(2026, 11, 24)
NAMES = {"PB-HL210": ("Ember 400 Headlamp", "余烬 400 头灯"), "PB-LL360": ("Swift 360 Lantern", "雨燕 360 营地灯")}
SHOP = [
    Chunk(
        f"catalogue.csv#{id}{language}", "catalogue.csv", id, 0, Kind.PRODUCT, name, (), name, facets=Facets(language, product=id)
    )
    for id, names in NAMES.items()
    for language, name in zip(("en", "zh"), names, strict=True)
]


class Near:
    """An embedder to which all texts mean the same, so that only words and figures decide."""

    fingerprint, dimension, window = "near", 4, 256

    def count(self, text: str) -> int:
        return len(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.full((len(texts), 4), 0.5, np.float32)


def page(text: str, document: str = "one.md", title: str = "Shop", **facets: Any) -> Chunk:
    return Chunk(f"{document}#1", document, "", 0, Kind.PAGE, title, (), text, facets=Facets(**{"language": "en", **facets}))


def found(*chunks: Chunk, embedder: Embedder | None = None, today: date = TODAY) -> list[Conflict]:
    embedder = embedder or Near()
    held = sorted([*chunks, *SHOP], key=lambda chunk: chunk.id)
    vectors = embedder.embed([chunk.search_text for chunk in held])
    said = [statements(chunk.text, chunk.label) for chunk in held]
    starts = np.cumsum([0, *map(len, said)])
    sentences = Sentences(starts, embedder.embed([text for own in said for text in own]).astype(np.float16))
    return conflicts(held, vectors, sentences, Entities.of(held, {}), today)


def planted(row: dict[str, str]) -> list[Chunk]:
    pair = []
    for side in ("", "other_"):
        facets: dict[str, Any] = {"language": row["language"]}
        for name, value in (facet.split("=") for facet in row[f"{side}facets"].split("|") if facet):
            facets[name] = date.fromisoformat(value) if name.startswith("valid") else value
        pair.append(page(row[f"{side}text"], f"{side or 'one'}.md", row[f"{side}title"], **facets))
    return pair


def tally(embedder: Embedder) -> Counter[tuple[str, str, bool]]:
    """(set, truth, whether a conflict was found) -> pairs."""
    return Counter((row["set"], row["truth"], bool(found(*planted(row), embedder=embedder))) for row in PLANTED)


@pytest.mark.model
def test_planted_conflicts_are_found_and_lookalikes_are_not() -> None:
    from rag.loading import build_embedder

    counts = tally(build_embedder(Settings()))
    assert counts["tuned", "conflict", True] >= 40 and counts["unseen", "conflict", True] >= 16
    assert counts["tuned", "none", True] == 0 and counts["unseen", "none", True] <= 2


def test_words_and_figures_alone_tell_most_of_them() -> None:
    counts = tally(Near())
    assert sum(counts[name, "conflict", True] for name in ("tuned", "unseen")) >= 56
    assert sum(counts[name, "none", True] for name in ("tuned", "unseen")) <= 2


LABEL = "A return label costs 4.90 EUR for every parcel."
DEARER = LABEL.replace("4.90", "7")


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ({}, {}, 1),
        ({"region": "EU"}, {}, 1),  # an empty facet means all
        ({"region": "EU"}, {"region": "eu"}, 1),
        ({"region": "EU"}, {"region": "CN"}, 0),
        ({"audience": "customer"}, {"audience": "business"}, 0),
        ({"trust": "community"}, {}, 0),
        ({"language": "zh"}, {}, 0),
        ({"product": "PB-HL210"}, {"product": "PB-LL360"}, 0),
        ({"valid_to": date(2026, 12, 31)}, {"valid_from": date(2027, 1, 1)}, 0),
        ({"valid_to": date(2026, 12, 31)}, {"valid_from": date(2026, 12, 31)}, 1),
        ({"valid_to": date(2026, 11, 23)}, {}, 0),  # what is over misleads nobody
        ({"valid_to": date(2026, 11, 24)}, {}, 1),
    ],
)
def test_only_the_same_readers_at_the_same_time_are_misled(mine: dict[str, Any], theirs: dict[str, Any], expected: int) -> None:
    assert len(found(page(LABEL, **mine), page(DEARER, "two.md", **theirs))) == expected


def test_a_document_does_not_contradict_itself() -> None:
    assert not found(page(LABEL), replace(page(DEARER), id="one.md#2"))


def test_what_many_documents_repeat_is_told_once() -> None:
    many = [page(LABEL, f"{number}.md") for number in range(9)]
    [conflict] = found(*many, page(DEARER, "other.md"))
    assert {saying.text for saying in conflict.both} == {LABEL, DEARER}
    in_one_of_them = replace(page(DEARER, "0.md"), id="0.md#2")
    [conflict] = found(*many, in_one_of_them)
    assert {saying.chunk.document for saying in conflict.both} == {"0.md", "1.md"}


def test_the_one_in_force_since_later_is_told() -> None:
    [undecided] = found(page(LABEL), page(DEARER, "two.md"))
    [decided] = found(page(LABEL, valid_from=date(2026, 1, 1)), page(DEARER, "two.md"))
    assert (undecided.later, decided.later) == ("", "one.md")
    assert {decided.one.text, decided.other.text} == {LABEL, DEARER}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Phone us on 0800 123 4567 at any time.", "At any time, phone us on 0800 765 4321.", 1),
        ("The shop in Arnhem opens at 9:00.", "The shop in Arnhem opens at 10 am.", 1),
        ("Express costs 12 EUR. Standard delivery costs 5 EUR.", "Standard delivery costs 6 EUR. Express costs 12 EUR.", 1),
        ("The price is 20 EUR, delivery takes 2 days.", "The price is 20 EUR, delivery takes 4 days.", 1),
        ("You get 5 % off from 10 pieces.", "You get 8 % off from 25 pieces.", 0),  # another case
        ("You can return it within 30 days.", "You can return it within 30 days, faulty items within 60 days.", 0),  # agrees
        ("In winter, the store opens at 9:00.", "In summer, the store opens at 8:00.", 0),
        ("The Ember 400 fits every helmet we sell.", "The Swift 360 fits every helmet we sell.", 0),  # parts of names
        ("Is the label 4.90 EUR for a parcel?", "Is the label 7 EUR for a parcel?", 0),
        ("# Labels for 4.90 EUR", "# Labels for 7 EUR", 0),
    ],
)
def test_what_is_compared_with_what(one: str, other: str, expected: int) -> None:
    assert len(found(page(one), page(other, "two.md"))) == expected


def test_rows_are_compared_only_where_they_name_the_same_thing() -> None:
    rows = [
        Chunk(f"{document}#1", document, "1", 0, Kind.ROW, "Prices", (), f"Size: M\nWeight: {weight} g", facets=Facets("en"))
        for document, weight in (("one.csv", 80), ("two.csv", 95))
    ]
    assert not found(*rows)
    named = [replace(row, facets=Facets("en", product="PB-HL210")) for row in rows]
    assert len(found(*named)) == 1


def test_an_index_without_figures_has_none() -> None:
    assert not found(page("We like lamps."), page("We like lanterns.", "two.md"))
