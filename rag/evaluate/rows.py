"""One row per gold question: what the shopper would have seen, kept so that metrics can be recomputed without asking again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rag.types import Answer, Passage, Query

FAILED = "failed"  # the turn raised; not one of types.Outcome, because it is no answer
DECLINING = ("refused", "handed_over", "clarification")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Found(_Frozen):
    """A passage as found."""

    id: str
    document: str
    entry: str = ""
    text: str
    score: float


class Cited(_Frozen):
    """A citation as shown."""

    n: int
    document: str
    chunk: str
    quote: str
    start: int
    end: int


class Row(_Frozen):
    """The outcome of one question. `found` are the ten best passages, `passages` those the answer was made from."""

    id: str
    fingerprint: str
    outcome: str
    text: str
    rung: str = ""
    reason: str = ""
    query: str = ""
    citations: tuple[Cited, ...] = ()
    passages: tuple[Found, ...] = ()
    found: tuple[Found, ...] = ()
    evidence: float | None = None  # of the best passage: what the threshold refuse_below is compared with
    first_ms: float | None = None  # until the first word stood on the page
    total_ms: float | None = None

    @property
    def failed(self) -> bool:
        """The turn raised instead of ending."""
        return self.outcome == FAILED

    @property
    def declined(self) -> bool:
        """No claim was made: refused, handed over, asked back, or a set phrase such as a greeting."""
        return self.outcome in DECLINING or self.rung == "smalltalk"

    @property
    def answered(self) -> bool:
        """A claim was made, right or wrong."""
        return not self.declined and not self.failed


def as_found(passages: Iterable[Passage]) -> tuple[Found, ...]:
    """The passages in the form rows keep."""
    return tuple(
        Found(id=p.chunk.id, document=p.chunk.document, entry=p.chunk.entry, text=p.chunk.text, score=p.score) for p in passages
    )


def row_of(
    id: str, fingerprint: str, answer: Answer, found: Sequence[Passage], evidence: float | None, first_ms: float, total_ms: float
) -> Row:
    """The row of a finished turn."""
    citations = tuple(
        Cited(n=c.n, document=c.document, chunk=c.chunk, quote=c.quote, start=c.start, end=c.end) for c in answer.citations
    )
    return Row(
        id=id,
        fingerprint=fingerprint,
        outcome=answer.outcome.value,
        text=answer.text,
        rung=answer.rung,
        reason=answer.reason,
        query=answer.query.text,
        citations=citations,
        passages=as_found(answer.passages),
        found=as_found(found),
        evidence=evidence,
        first_ms=first_ms,
        total_ms=total_ms,
    )


def failed_row(id: str, fingerprint: str, reason: str, query: Query, found: Sequence[Passage]) -> Row:
    """The row of a turn that raised."""
    return Row(id=id, fingerprint=fingerprint, outcome=FAILED, text="", reason=reason, query=query.text, found=as_found(found))


class RowFile:
    """Rows appended to a JSONL file as they come, so that a run that was cut off goes on where it stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, fingerprints: dict[str, str]) -> dict[str, Row]:
        """Id -> row, for the ids whose fingerprint still holds; failed turns are asked again.

        Other rows are dropped from the file, and so is a last line that was cut off.
        """
        kept: dict[str, Row] = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8").split("\n"):
                row = _parse(line)
                if row and not row.failed and fingerprints.get(row.id) == row.fingerprint:
                    kept[row.id] = row
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text("".join(map(_line, kept.values())), encoding="utf-8")
        partial.replace(self._path)
        return kept

    def append(self, row: Row) -> None:
        """Write one row through to the file."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(_line(row))


def _line(row: Row) -> str:
    return json.dumps(row.model_dump(), ensure_ascii=False) + "\n"


def _parse(line: str) -> Row | None:
    try:
        return Row.model_validate_json(line) if line.strip() else None
    except ValidationError:  # the line a crash cut off; its question is asked again
        return None
