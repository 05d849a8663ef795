"""Gold questions -> the same answer() as every shopper's -> rows -> result. `python -m rag eval answers`."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import rag
from rag.answer.fitted import NAME as FITTED
from rag.assistant import Assistant
from rag.errors import ShoptalkError
from rag.evaluate.baselines import BestSentence, always_refuse
from rag.evaluate.gold import Question, about, digest, load_gold
from rag.evaluate.result import EvaluationResult, conclude
from rag.evaluate.rows import Row, RowFile, failed_row, row_of
from rag.ports import Progress
from rag.settings import Settings
from rag.types import Answer, Done, Event, HandOver, History, Passage, Query, Refused, Token

FOUND = 10  # passages that retrieval is scored on
APART = {"home", "corpus", "database_url", "serve", "shop"}  # settings that change no answer, or are in the index's digest


def silent(stage: str, done: int, total: int) -> None:
    """The progress of a run that nobody watches."""


class Subject(Protocol):
    """What is measured: rag.assistant.Assistant, or a stand-in."""

    def answer(self, question: str, history: History = ()) -> Iterator[Event]:
        """The events of one turn."""

    def find(self, question: str, history: History = (), k: int = FOUND) -> tuple[Query, list[Passage]]:
        """Retrieval alone."""

    def evidence(self, answer: Answer) -> float:
        """How strongly the answer's passages speak to its question."""


def evaluate_answers(
    settings: Settings, gold: Path, out: Path, limit: int = 0, progress: Progress = silent, learnt: Path | None = None
) -> EvaluationResult:
    """Ask every gold question (the first `limit`, if given) and write `out` (JSON) and the report page beside it (.html).

    `learnt` are gold questions that models learnt from (see conclude). Rows are kept beside `out` (.rows.jsonl); a run that was
    cut off goes on there. Nothing is recorded among the shoppers' conversations. Raises DataError for gold not in the form,
    NoIndex, ModelMissing; a metric that raises ends the run.
    """
    items = load_gold(gold)[: limit or None]
    settings = on_the_day(settings, gold)
    with tempfile.TemporaryDirectory() as aside:
        assistant = Assistant(settings.model_copy(update={"database_url": f"sqlite:///{aside}/record.sqlite"}))
        try:
            key = fingerprint(settings, assistant.generation.manifest.digest, assistant.describe()["generator"])
            chunks = list(assistant.generation.store.chunks())
            rows = Asker(assistant, key, assistant.warm_up, progress).ask_all(items, RowFile(out.with_suffix(".rows.jsonl")))
            system = assistant.describe()
        finally:
            assistant.close()
    sentence = BestSentence(chunks)
    baselines = {"best sentence": [sentence.answer(item) for item in items], "always refuse": always_refuse(items)}
    data = {
        "name": gold.resolve().stem,
        "path": gold.as_posix(),
        "digest": digest(gold),
        "questions": str(len(items)),
        "today": str(settings.answer.today or date.today()),
    }
    result = conclude(data, system, items, rows, baselines, chunks, not limit, load_gold(learnt) if learnt else ())
    result.write(out)
    return result


def on_the_day(settings: Settings, gold: Path) -> Settings:
    """The settings with the day that the gold set was written for, unless they name one: offers end, rules change."""
    today = about(gold).today
    if settings.answer.today or not today:
        return settings
    return settings.model_copy(update={"answer": settings.answer.model_copy(update={"today": today})})


def fingerprint(settings: Settings, index: str, generator: str) -> str:
    """Names all that an answer depends on besides the question: code, what is fitted, settings, index, generator."""
    code = hashlib.sha256()
    root = Path(rag.__file__).parent
    for path in sorted(path for path in root.rglob("*") if path.suffix in (".py", ".toml", ".md")):
        if not {"evaluate", "tune"} & set(path.relative_to(root).parts):
            code.update(path.read_bytes())
    own = settings.home / FITTED
    code.update(own.read_bytes() if own.is_file() else b"")
    for path in sorted(Path(settings.answer.prompt).expanduser().glob("*.md")):  # a shop's own prompt
        code.update(path.read_bytes())
    chosen = settings.model_dump_json(exclude=APART)  # the API key is hashed with the rest, never written
    return hashlib.sha256("\0".join((code.hexdigest(), chosen, index, generator)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks `subject`; `key` names everything an answer depends on besides the question."""

    subject: Subject
    key: str
    warm_up: Callable[[], object] = lambda: None
    progress: Progress = silent

    def ask_all(self, items: Sequence[Question], file: RowFile) -> list[Row]:
        """One row per question, in order. Questions that `file` holds a row for under the same key are not asked again."""
        keys = {item.id: self._key(item) for item in items}
        kept = file.load(keys)
        if len(kept) < len(items):
            self.warm_up()
        rows: list[Row] = []
        for item in items:
            if item.id not in kept:
                kept[item.id] = self.ask(item)
                file.append(kept[item.id])
            rows.append(kept[item.id])
            self.progress("ask", len(rows), len(items))
        return rows

    def ask(self, item: Question) -> Row:
        """The row of one question: what was said, and the ten best passages. A turn that fails is a row too, counted apart."""
        key = self._key(item)
        query, found = self.subject.find(item.question, item.turns, FOUND)
        started = time.perf_counter()
        first = 0.0
        answer: Answer | None = None
        try:
            for event in self.subject.answer(item.question, item.turns):
                if not first and isinstance(event, Token | Done | Refused | HandOver):
                    first = (time.perf_counter() - started) * 1000
                if isinstance(event, Done | Refused | HandOver):
                    answer = event.answer
        except ShoptalkError as error:
            return failed_row(item.id, key, str(error), query, found)
        if answer is None:
            return failed_row(item.id, key, "the turn ended without an answer", query, found)
        if answer.failed:  # the shopper was answered, but not by what is measured here
            return failed_row(item.id, key, f"the rung {answer.failed!r} failed", query, found)
        total = (time.perf_counter() - started) * 1000
        return row_of(item.id, key, answer, found, self.subject.evidence(answer), first, total)

    def _key(self, item: Question) -> str:
        asked = item.model_dump_json(include={"question", "history"})
        return hashlib.sha256(f"{self.key}\0{asked}".encode()).hexdigest()[:16]
