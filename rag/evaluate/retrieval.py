"""Retrieval on any BEIR-layout data set, ingested into a home of its own. `python -m rag eval retrieval`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag import build
from rag.evaluate import metrics
from rag.evaluate.answers import silent
from rag.evaluate.beir import BeirQuery, load_set, unpack
from rag.evaluate.metrics import Figure
from rag.evaluate.score import Figures
from rag.evaluate.verdicts import Verdict, expectations, judge, passed
from rag.ports import Progress
from rag.settings import Settings
from rag.types import Chunk, Filter, History, Passage, Query

FOUND = 10
ANYTHING = Filter()
CHUNKS = 50  # a long passage is several chunks, and each passage counts once
Find = Callable[[str, History, int], tuple[Query, list[Passage]]]


@dataclass(frozen=True, slots=True)
class Searcher:
    """Retrieval as it serves, over one opened generation."""

    find: Find
    chunks: Sequence[Chunk]
    system: dict[str, str]


@contextmanager
def searching(settings: Settings, chosen: Filter = ANYTHING) -> Iterator[Searcher]:
    """Search the live generation of `settings.home` the way an answer does, without a generator, where `chosen` says.

    Raises NoIndex, ModelMissing, WrongFilter.
    """
    with build.searching(settings) as (search, generation):
        recipe = generation.manifest.recipe
        system = {"embedder": recipe.embedder, "chunks": str(generation.manifest.count)}
        find = functools.partial(search.find, chosen=search.narrowed(chosen))
        yield Searcher(find, list(generation.store.chunks()), system)


@dataclass(frozen=True)
class RetrievalResult:
    """Figures on one data set; `data` says which, and what was left out."""

    data: Mapping[str, str]
    system: Mapping[str, str]
    figures: Figures
    verdicts: Sequence[Verdict]
    judged: bool

    @property
    def passed(self) -> bool:
        """No verdict is FAIL."""
        return passed(self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "data": dict(self.data),
            "system": dict(self.system),
            "passed": self.passed,
            "judged": self.judged,
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
        }

    def table(self) -> str:
        """For the terminal."""
        from rag.evaluate.tables import retrieval_text

        return retrieval_text(self)


def evaluate_retrieval(
    settings: Settings, folder: Path, limit: int = 0, queries: str = "queries.jsonl", progress: Progress = silent
) -> RetrievalResult:
    """Ingest the corpus of the BEIR-layout `folder` into home/sets/NAME-DIGEST and score retrieval on its queries.

    The second time nothing is embedded. Only queries with a relevant passage are asked (the first `limit`, if given).
    Raises DataError for a set not in the form or with qrels that name missing passages, ModelMissing.
    """
    data = load_set(folder, queries)
    home = settings.home / "sets" / f"{data.name}-{data.digest}"
    if not (home / "corpus" / "corpus.jsonl").is_file():
        unpack(data.corpus, home / "corpus")
    settings = settings.model_copy(update={"home": home, "corpus": home / "corpus"})
    report = build.run_ingest(settings, progress)
    asked = data.queries[: limit or None]
    with searching(settings) as searcher:
        figures = score(searcher.find, asked, progress)
    described = {
        "name": data.name,
        "path": folder.as_posix(),
        "queries": queries,
        "digest": data.digest,
        "questions": str(len(asked)),
        "unjudged": str(data.unjudged),
        "rejected": str(len(report.rejected)),
    }
    whole = not limit and queries == "queries.jsonl"
    verdicts = judge(expectations("retrieval", data.name) if whole else [], {"all": figures})
    return RetrievalResult(described, searcher.system, figures, verdicts, whole)


def score(find: Find, queries: Sequence[BeirQuery], progress: Progress = silent) -> Figures:
    """Recall@1/5/10, MRR@10, nDCG@10 and milliseconds per query, over all queries."""
    find(queries[0].text, queries[0].history, CHUNKS)  # weights load at the first use
    marks: dict[str, list[float]] = {}
    took: list[float] = []
    for done, query in enumerate(queries, start=1):
        started = time.perf_counter()
        _, passages = find(query.text, query.history, CHUNKS)
        took.append((time.perf_counter() - started) * 1000)
        relevances = [entry in query.relevant for entry in entries(passages)]
        total = len(query.relevant)
        for k in (1, 5, 10):
            marks.setdefault(f"recall@{k}", []).append(metrics.recall_at(relevances, total, k))
        marks.setdefault("mrr@10", []).append(metrics.reciprocal_rank(relevances))
        marks.setdefault("ndcg@10", []).append(metrics.ndcg(relevances, total))
        progress("ask", done, len(queries))
    figures: dict[str, Figure] = {name: metrics.mean(values, interval=True) for name, values in marks.items()}
    return figures | {f"latency.p{share}": metrics.percentile(took, share) for share in (50, 95)}


def entries(passages: Sequence[Passage]) -> list[str]:
    """The entries the chunks belong to, best first, each once, at most ten."""
    return list(dict.fromkeys(passage.chunk.entry for passage in passages))[:FOUND]
