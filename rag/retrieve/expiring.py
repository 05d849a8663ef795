"""What the documents say only for a time: what ends next, what has ended, what is not yet in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from rag.types import Chunk

State = Literal["ends", "ended", "begins"]


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a document that holds for a time only; `days` from today to its last day, or to its first if that is to come."""

    state: State
    document: str
    title: str
    valid_from: date | None
    valid_to: date | None  # inclusive
    days: int  # negative if it has ended
    chunks: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        dates = {
            name: day.isoformat() if day else None for name, day in (("valid_from", self.valid_from), ("valid_to", self.valid_to))
        }
        return {**asdict(self), **dates}


def expiring(chunks: Iterable[Chunk], today: date, within: int | None = None) -> list[Term]:
    """One Term a document, title and period that ends, has ended or is yet to begin.

    With `within`, only what does so in at most that many days, or did in the last that many. In the order of State; what ends or
    begins next comes first, and what ended last.
    """
    counts: dict[tuple[str, str, date | None, date | None], int] = {}
    for chunk in chunks:
        facets = chunk.facets
        if facets.valid_to or (facets.valid_from and facets.valid_from > today):
            key = (chunk.document, chunk.title, facets.valid_from, facets.valid_to)
            counts[key] = counts.get(key, 0) + 1
    terms = [_term(*key, count, today) for key, count in counts.items()]
    order = ("ends", "ended", "begins")
    near = [term for term in terms if within is None or abs(term.days) <= within]
    return sorted(near, key=lambda term: (order.index(term.state), abs(term.days), term.document, term.title))


def _term(document: str, title: str, valid_from: date | None, valid_to: date | None, count: int, today: date) -> Term:
    if valid_from and valid_from > today:
        return Term("begins", document, title, valid_from, valid_to, (valid_from - today).days, count)
    days = ((valid_to or today) - today).days
    return Term("ended" if days < 0 else "ends", document, title, valid_from, valid_to, days, count)
