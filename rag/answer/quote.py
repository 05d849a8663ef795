"""The best supporting sentence, word for word: what is said when nothing better can be trusted."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from rag.answer.cite import cite
from rag.answer.evidence import is_official
from rag.answer.parts import Case, Reply
from rag.answer.terms import term_set
from rag.answer.units import Unit, units
from rag.types import Kind, Passage, Token


@dataclass(frozen=True, slots=True)
class Scored:
    """A unit of a passage and how well it answers, about 0..1."""

    score: float
    passage: Passage
    unit: Unit


def score_units(case: Case, passages: Sequence[Passage]) -> list[Scored]:
    """Every unit of `passages`, best first."""
    found = [(passage, unit) for passage in passages for unit in units(passage.chunk)]
    if not found:
        return []
    gauge, rarity, query = case.parts.gauge, case.parts.rarity, case.query
    wanted = gauge.asked(query)
    strength = {passage.chunk.id: gauge.evidence(query, passage) for passage in passages}
    words = np.array([rarity.coverage(wanted, term_set(f"{unit.subject}\n{unit.text}")) for _, unit in found])
    scores = words
    if query.language == "en":
        meaning = case.parts.similarity.cosines(query.text, [f"{unit.subject}: {unit.text}" for _, unit in found])
        scores = (words + np.maximum(meaning, 0)) / 2
    scored = [Scored(float(score) + strength[p.chunk.id] / 2, p, u) for score, (p, u) in zip(scores, found, strict=True)]
    return sorted(scored, key=lambda item: -item.score)


def quote(case: Case) -> Generator[Token, None, Reply | None]:
    """The best unit of all passages, verbatim and cited; a line of a table is named after its subject."""
    yield from ()
    scored = score_units(case, case.usable)
    if not scored or scored[0].score < case.parts.policy.quote_threshold(case.language):
        return None
    best = scored[0]
    text = best.unit.text
    if best.passage.chunk.kind in (Kind.PRODUCT, Kind.ROW):
        text = f"{best.passage.chunk.title}: {text}"
    if not is_official(best.passage):
        text = case.say("community", quote=text)
    return cite([(text, best.passage, (best.unit.start, best.unit.end))])
