"""One live generation -> all that its owner should know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from rag.audit.conflicts import Conflict, Saying, conflicts
from rag.audit.intake import Intake, intake
from rag.audit.repeats import Repeat, repeats
from rag.audit.unfound import Finding, look
from rag.evaluate.gate import Changes
from rag.index.opened import Generation
from rag.ports import Progress
from rag.retrieve.expiring import Term, expiring
from rag.retrieve.search import Search
from rag.types import Chunk


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found out of one generation on `day`; what ends or begins does so in at most `within` days, or did as lately."""

    day: date
    within: int
    intake: Intake
    repeats: tuple[Repeat, ...]
    conflicts: tuple[Conflict, ...]
    terms: tuple[Term, ...]
    finding: Finding
    gold: Changes

    @property
    def is_clean(self) -> bool:
        """Whether every file could be read, and no two documents contradict each other."""
        return not self.conflicts and not any(one.is_file for one in self.intake.refused)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "day": self.day.isoformat(),
            "clean": self.is_clean,
            **asdict(self.intake),
            "repeats": [[_held(chunk) for chunk in repeat.chunks] for repeat in self.repeats],
            "conflicts": [
                {"one": _said(conflict.one), "other": _said(conflict.other), "later": conflict.later, "cost": conflict.cost}
                for conflict in self.conflicts
            ],
            "gold": asdict(self.gold),
            "within": self.within,
            "terms": [term.as_dict() for term in self.terms],
            "finding": {
                **{name: getattr(self.finding, name) for name in ("looked", "among", "k")},
                "unfound": [
                    {**_held(one.chunk), "question": one.question, "instead": _held(one.instead) if one.instead else None}
                    for one in self.finding.unfound
                ],
            },
        }


def audit(
    search: Search, generation: Generation, gold: Changes, day: date, sample: int, k: int, within: int, progress: Progress
) -> Audit:
    """Look for `sample` chunks among the first `k` of a search; the rest is looked at whole. Raises ModelFailed."""
    chunks, vectors = list(generation.store.chunks()), generation.store.vectors()
    progress("compare", 0, 2)
    double = repeats(chunks, vectors)
    progress("compare", 1, 2)
    contrary = conflicts(chunks, vectors, generation.sentences, search.source.entities, day)
    progress("compare", 2, 2)
    return Audit(
        day,
        within,
        intake(generation.manifest, chunks),
        tuple(double),
        tuple(contrary),
        tuple(expiring(chunks, day, within)),
        look(search, chunks, sample, k, day, progress),
        gold,
    )


def _held(chunk: Chunk) -> Mapping[str, str]:
    return {"id": chunk.id, "document": chunk.document, "title": chunk.title, "text": chunk.text}


def _said(saying: Saying) -> Mapping[str, str]:
    return {"chunk": saying.chunk.id, "document": saying.chunk.document, "title": saying.chunk.title, "quote": saying.text}
