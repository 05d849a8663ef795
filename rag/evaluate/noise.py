"""Retrieval on gold questions as shoppers garble them, by type of noise, with and without repair. `python -m rag eval noise`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.evaluate import metrics
from rag.evaluate.answers import on_the_day, silent
from rag.evaluate.finding import Search, figures, search_all
from rag.evaluate.garble import NOISES, garble
from rag.evaluate.gold import Question, digest, load_gold
from rag.evaluate.retrieval import Find, searching
from rag.evaluate.score import Figures
from rag.evaluate.verdicts import Verdict, expectations, judge, passed
from rag.ports import Progress
from rag.settings import Settings
from rag.types import History, Passage, Query

TEMPLATE = Path(__file__).with_name("noise.html")
ASKED = ("single", "dialogue")  # kinds of questions that are garbled: those that nobody has garbled yet
CLEAN = {"en": "clean, en", "zh": "clean, zh"}
COLUMNS = {
    "recall@1": "R@1",
    "recall@5": "R@5",
    "mrr@10": "MRR@10",
    "ndcg@10": "nDCG@10",
    "unrepaired.recall@5": "R@5 without repair",
    "changed": "repaired",
    "latency.p50": "p50 ms",
}


@dataclass(frozen=True)
class NoiseResult:
    """Figures by type of noise and language, clean ones first; `examples` show a garbled question and its repair."""

    data: Mapping[str, str]
    system: Mapping[str, str]
    groups: Mapping[str, Figures]
    examples: Mapping[str, tuple[str, str]]
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
            "groups": {
                name: {measure: asdict(figure) for measure, figure in group.items()} for name, group in self.groups.items()
            },
            "examples": {name: {"typed": typed, "repaired": repaired} for name, (typed, repaired) in self.examples.items()},
        }

    def table(self) -> str:
        """For the terminal."""
        from rag.evaluate.tables import noise_text

        return noise_text(self)

    def page(self) -> str:
        """One self-contained HTML page; every text from the questions is escaped."""
        from jinja2 import Environment, StrictUndefined

        from rag.evaluate.tables import conclusion, shown

        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        return template.render(result=self, columns=COLUMNS, shown=shown, conclusion=conclusion(self.verdicts, self.judged))


def evaluate_noise(settings: Settings, gold: Path, seed: int = 0, limit: int = 0, progress: Progress = silent) -> NoiseResult:
    """Search the live index for every answerable plain question, as it is and with each type of noise.

    The first `limit` of each language, if given. Raises DataError for gold not in the form or without such a question, NoIndex,
    ModelMissing.
    """
    whole = [item for item in load_gold(gold) if item.answerable and item.kind in ASKED]
    items = [item for language in CLEAN for item in [item for item in whole if item.lang == language][: limit or None]]
    if not items:
        raise DataError(
            expected=f"answerable questions of kind {' or '.join(ASKED)} in {gold}", found="none", remedy="name other gold"
        )
    asked = garbled(items, seed)
    settings = on_the_day(settings, gold)
    bare = settings.model_copy(update={"retrieve": settings.retrieve.model_copy(update={"repair": False})})
    searches, repaired, system = _search(settings, asked, progress)
    plain, _, _ = _search(bare, asked, progress)
    groups: dict[str, Figures] = {}
    for name in asked:
        groups[name] = figures(searches[name])
        groups[name]["unrepaired.recall@5"] = figures(plain[name])["recall@5"]
        groups[name]["changed"] = metrics.mean([float(bool(text)) for text in repaired[name]])
    examples = {name: pair for name in asked if (pair := _example(asked[name], repaired[name]))}
    data = {"path": gold.as_posix(), "digest": digest(gold), "questions": str(len(items)), "seed": str(seed)}
    judged = not limit and not seed
    verdicts = judge(expectations("noise", gold.resolve().stem) if judged else [], groups)
    return NoiseResult(data, system, groups, examples, verdicts, judged)


def garbled(items: Sequence[Question], seed: int) -> dict[str, list[Question]]:
    """The questions by language, then by type of noise those that it changes; what went before in a conversation stays."""
    groups = {name: [item for item in items if item.lang == language] for language, name in CLEAN.items()}
    for name, (language, _) in NOISES.items():
        texts = {item.id: garble(item.question, name, f"{seed} {item.id}") for item in items if item.lang == language}
        changed = [item for item in items if texts.get(item.id, item.question) != item.question]
        groups[name] = [item.model_copy(update={"question": texts[item.id]}) for item in changed]
    return {name: group for name, group in groups.items() if group}


def _search(
    settings: Settings, asked: Mapping[str, Sequence[Question]], progress: Progress
) -> tuple[dict[str, list[Search]], dict[str, list[str]], Mapping[str, str]]:
    """The searches of each group, what each question was repaired to ("" if it stayed), and what searched."""
    searches: dict[str, list[Search]] = {}
    repaired: dict[str, list[str]] = {}
    stage = "search, repairing" if settings.retrieve.repair else "search as typed"
    with searching(settings) as searcher:
        for place, (name, items) in enumerate(asked.items(), start=1):
            noted: list[str] = []
            searches[name] = search_all(_noting(searcher.find, noted), items, searcher.chunks)
            repaired[name] = noted[1:]  # the first search only loads the weights
            progress(stage, place, len(asked))
    return searches, repaired, searcher.system


def _noting(find: Find, noted: list[str]) -> Find:
    def wrapped(question: str, history: History, k: int) -> tuple[Query, list[Passage]]:
        query, passages = find(question, history, k)
        noted.append(query.repaired)
        return query, passages

    return wrapped


def _example(items: Sequence[Question], repaired: Sequence[str]) -> tuple[str, str] | None:
    """The first question that was repaired, of those without a history, whose query is the question alone."""
    pairs = zip(items, repaired, strict=True)
    return next(((item.question, text) for item, text in pairs if text and not item.history), None)
