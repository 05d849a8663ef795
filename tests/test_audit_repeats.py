from __future__ import annotations

from typing import Any

import pytest

from rag.audit.repeats import repeats
from rag.fakes import HashEmbedder
from rag.types import Chunk, Facets, Kind

TEXT = "You can exchange a lamp for another colour within 7 days. You pay for sending it back, we pay for the new one."
REWORDED = "A lamp can be swapped for another colour within 7 days. Sending it back is on you, the new one on us."


def page(document: str, text: str = TEXT, kind: Kind = Kind.PAGE, **facets: Any) -> Chunk:
    return Chunk(f"{document}#1", document, "", 0, kind, "Exchange", (), text, facets=Facets(**{"language": "en", **facets}))


def groups(*chunks: Chunk) -> list[set[str]]:
    vectors = HashEmbedder(512).embed([chunk.search_text for chunk in chunks])
    return [{chunk.document for chunk in repeat.chunks} for repeat in repeats(chunks, vectors)]


def test_the_same_in_several_documents_is_one_group() -> None:
    nearly = TEXT.replace("colour", "color")
    assert groups(page("a.md"), page("b.md", nearly), page("c.md"), page("d.md", "We sell tents.")) == [{"a.md", "b.md", "c.md"}]


def test_larger_groups_come_first() -> None:
    other = "Our store in Arnhem is open on every working day and has a workshop for bicycles."
    found = groups(page("a.md"), page("b.md"), page("x.md", other), page("y.md", other), page("z.md", other))
    assert found == [{"x.md", "y.md", "z.md"}, {"a.md", "b.md"}]


@pytest.mark.parametrize(
    "other",
    [
        page("a.md"),  # the same document
        page("b.md", REWORDED),
        page("b.md", TEXT.replace("7", "14")),  # that is a contradiction
        page("b.md", language="zh"),
        page("b.md", region="CN"),
        page("b.md", audience="business"),
        page("b.md", trust="community"),
    ],
)
def test_what_is_no_repeat(other: Chunk) -> None:
    assert not groups(page("a.md", region="EU", audience="customer"), other)


def test_rows_of_different_things_are_none() -> None:
    row = "Ember {} Headlamp\nMaterial: aluminium\nColour: black\nWaterproofing: IPX6\nCharging: over USB-C"
    ember, other = (page(f"{n}.csv", row.format(n), Kind.ROW) for n in (300, 400))
    assert not groups(ember, other)
    assert groups(ember, page("copy.csv", row.format(300), Kind.ROW)) == [{"300.csv", "copy.csv"}]
