"""A row of a FAQ table -> a vetted question and answer."""

from __future__ import annotations

import hashlib
import unicodedata

from rag.errors import Unreadable
from rag.ingest.metadata import facets
from rag.ingest.readers.cells import items, text
from rag.ingest.readers.content import Record
from rag.types import Entry, Kind

_FACETS = ("language", "region", "audience", "trust", "product", "valid_from", "valid_to")


def read(record: Record) -> list[Entry]:
    """One entry. Raises Unreadable when question or answer is missing, or a facet is not what it should be."""
    question, answer = text(record.fields.get("question")), text(record.fields.get("answer"))
    for name, value in (("a question", question), ("an answer", answer)):
        if not value:
            raise Unreadable(
                expected=name,
                found=f"an empty cell ({(question or answer)[:60]!r})" if question or answer else "an empty cell",
                remedy="fill it in or delete the row",
            )
    stated = {name: text(record.fields.get(name)) for name in _FACETS}
    where = facets(stated, f"{question}\n{answer}")
    same = "\0".join((_folded(question), where.language, where.region, str(where.valid_from), str(where.valid_to)))
    similar = tuple(other for other in items(record.fields.get("similar_questions")) if other != question)
    return [
        Entry(
            key=hashlib.sha256(same.encode()).hexdigest()[:12],
            kind=Kind.FAQ,
            title=question,
            text=f"{question}\n{answer}",
            answer=answer,
            aliases=similar,
            negatives=items(record.fields.get("negative_questions")),
            tags=items(record.fields.get("tags")),
            facets=where,
        )
    ]


def _folded(question: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", question).casefold().rstrip(" ?!.。").split())
