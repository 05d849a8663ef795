"""What an ingest did, and what it could not use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rejection:
    """Something that was left out. `file` is the path below the corpus folder, with ":row" if only one row is lost and with
    ":hidden text" if only that is.
    """

    file: str
    reason: str  # expected, found, what to do


@dataclass(frozen=True, slots=True)
class Postponed(Rejection):
    """What another try may read: it took too long, on a machine that may have been busy."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The outcome of one ingest. `added`, `unchanged` and `removed` count chunks; `embedded` counts texts."""

    generation: int
    added: int
    unchanged: int
    removed: int
    documents: int
    rejected: tuple[Rejection, ...]
    embedded: int
    seconds: float
    changed: bool  # a new generation went live

    def as_dict(self) -> dict[str, Any]:
        """The form of `python -m rag ingest --json`."""
        return asdict(self)
