from __future__ import annotations

from datetime import date

from rag.retrieve.expiring import expiring
from rag.retrieve.explain import terms_table
from rag.types import Chunk, Facets, Kind

TODAY = date(2026, 5, 10)


def chunk(id: str, valid_from: date | None = None, valid_to: date | None = None, document: str = "promo.md") -> Chunk:
    return Chunk(
        id, document, "", 0, Kind.PAGE, document.title(), (), "", facets=Facets(valid_from=valid_from, valid_to=valid_to)
    )


SHOP = [
    chunk("1", None, TODAY, "last-day.md"),
    chunk("2", date(2026, 1, 1), date(2026, 5, 20)),
    chunk("3", date(2026, 1, 1), date(2026, 5, 20)),
    chunk("4", None, date(2026, 5, 9), "yesterday.md"),
    chunk("5", None, date(2025, 5, 10), "old.md"),
    chunk("6", date(2026, 5, 12), None, "soon.md"),
    chunk("7", date(2026, 9, 1), date(2026, 9, 2), "autumn.md"),
    chunk("8", date(2026, 1, 1), None, "rules.md"),
    chunk("9", None, None, "faq.md"),
]


def test_what_ends_next_what_has_ended_and_what_begins() -> None:
    found = [(term.state, term.document, term.days, term.chunks) for term in expiring(SHOP, TODAY)]
    assert found == [
        ("ends", "last-day.md", 0, 1),
        ("ends", "promo.md", 10, 2),
        ("ended", "yesterday.md", -1, 1),
        ("ended", "old.md", -365, 1),
        ("begins", "soon.md", 2, 1),
        ("begins", "autumn.md", 114, 1),
    ]


def test_within_so_many_days_of_today() -> None:
    assert [term.document for term in expiring(SHOP, TODAY, 10)] == ["last-day.md", "promo.md", "yesterday.md", "soon.md"]
    assert [term.document for term in expiring(SHOP, TODAY, 0)] == ["last-day.md"]


def test_the_forms_of_a_report() -> None:
    terms = expiring(SHOP[:2], TODAY)
    assert terms[0].as_dict() == {
        "state": "ends",
        "document": "last-day.md",
        "title": "Last-Day.Md",
        "valid_from": None,
        "valid_to": "2026-05-10",
        "days": 0,
        "chunks": 1,
    }
    [when, *_] = terms_table(terms).columns
    assert list(when.cells) == ["today is the last day", "in 10 days"]
