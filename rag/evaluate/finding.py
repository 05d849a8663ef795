"""Retrieval alone on gold questions: is a passage that holds the answer among the first? `python -m rag eval gold`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.evaluate import metrics
from rag.evaluate.answers import on_the_day, silent
from rag.evaluate.gold import GROUPS, KINDS, Question, digest, groups_of, load_gold
from rag.evaluate.retrieval import FOUND, Find, searching
from rag.evaluate.rows import Found, as_found
from rag.evaluate.score import Figures, holds, relevant_chunks
from rag.ports import Progress
from rag.settings import Settings
from rag.types import Chunk, Filter

MEASURES = ("reachable", "recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10")


@dataclass(frozen=True, slots=True)
class Search:
    """One gold question and the ten best passages found for it. `relevant` counts the index's passages that hold its answer."""

    item: Question
    query: str  # what was searched
    found: tuple[Found, ...]
    relevant: int
    milliseconds: float

    @property
    def rank(self) -> int:
        """Rank of the first passage that holds the answer, from 1; 0 if none is among the ten."""
        return next((rank for rank, passage in enumerate(self.found, start=1) if holds(passage, self.item)), 0)

    def marks(self) -> dict[str, float]:
        """What the search is worth under each of MEASURES, 0..1."""
        relevances = [holds(passage, self.item) for passage in self.found]
        recalls = {f"recall@{k}": float(any(relevances[:k])) for k in (1, 5, 10)}
        order = {"mrr@10": metrics.reciprocal_rank(relevances)}
        order["ndcg@10"] = metrics.ndcg(relevances, max(self.relevant, sum(relevances), 1))
        return {"reachable": float(self.relevant > 0), **recalls, **order}


@dataclass(frozen=True)
class GoldResult:
    """Figures by group: all, language, first and later turns, kind and language."""

    data: dict[str, str]
    system: dict[str, str]
    searches: Sequence[Search]

    @property
    def groups(self) -> dict[str, Figures]:
        """Group -> measure -> figure; a group without a question is left out."""
        found = {name: [search for search in self.searches if name in groups_of(search.item)] for name in GROUPS}
        return {name: figures(searches) for name, searches in found.items() if searches}

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, with the rank of every question."""
        return {
            "data": self.data,
            "system": self.system,
            "groups": {name: {measure: asdict(f) for measure, f in group.items()} for name, group in self.groups.items()},
            "rows": [
                {"id": s.item.id, "kind": s.item.kind, "query": s.query, "rank": s.rank, "found": [p.id for p in s.found]}
                for s in self.searches
            ],
        }

    def table(self) -> str:
        """For the terminal."""
        from rag.evaluate.tables import gold_text

        return gold_text(self)


def evaluate_gold(
    settings: Settings,
    gold: Path,
    kinds: Collection[str] = (),
    limit: int = 0,
    progress: Progress = silent,
    documents: str = "",
) -> GoldResult:
    """Search the live index for every answerable gold question, of these kinds only if any are named.

    With `documents`, a language, as if the shop had no others. Nothing is generated. Raises DataError for gold not in the form or
    without such a question, NoIndex, ModelMissing, WrongFilter.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise DataError(expected=f"kinds of {', '.join(KINDS)}", found=", ".join(unknown), remedy="correct --kind")
    items = [item for item in load_gold(gold) if item.answerable and (not kinds or item.kind in kinds)][: limit or None]
    if not items:
        asked = f" of kind {', '.join(kinds)}" if kinds else ""
        raise DataError(expected=f"an answerable question{asked} in {gold}", found="none", remedy="name other gold or kinds")
    with searching(on_the_day(settings, gold), Filter(language=documents)) as searcher:
        searches = search_all(searcher.find, items, searcher.chunks, progress)
        system = searcher.system
    data = {"path": gold.as_posix(), "digest": digest(gold), "questions": str(len(items)), "documents": documents or "all"}
    return GoldResult(data, system, searches)


def search_all(find: Find, items: Sequence[Question], chunks: Iterable[Chunk], progress: Progress = silent) -> list[Search]:
    """One search a question, in order; `chunks` are all of the index."""
    relevant = relevant_chunks(items, chunks)
    find(items[0].question, (), FOUND)  # weights load at the first use
    searches: list[Search] = []
    for item in items:
        started = time.perf_counter()
        query, passages = find(item.question, item.turns, FOUND)
        took = (time.perf_counter() - started) * 1000
        searches.append(Search(item, query.text, as_found(passages), relevant[item.id], took))
        progress("ask", len(searches), len(items))
    return searches


def figures(searches: Sequence[Search]) -> Figures:
    """The mean of every measure with its interval, and the milliseconds of the median search."""
    marked = [search.marks() for search in searches]
    means: Figures = {name: metrics.mean([mark[name] for mark in marked], interval=True) for name in MEASURES}
    return means | {"latency.p50": metrics.percentile([search.milliseconds for search in searches], 50)}
