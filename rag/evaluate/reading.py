"""Replies to a reading comprehension set -> figures by language, as table and JSON, beside what others published."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from rag.answer.check import MARKER
from rag.answer.quantities import unsupported
from rag.evaluate.comprehension import ComprehensionSet, Exercise
from rag.evaluate.metrics import answer_f1, characters, mean, percentile, squad_words
from rag.evaluate.public import FILE
from rag.evaluate.rows import Row
from rag.evaluate.score import Figures, Marks
from rag.evaluate.tables import beside, heading, render
from rag.types import Language

# measure -> what it says, in the order of the table. F1 is of words in English, of characters in Chinese.
MEASURES = {
    "F1 where answered": "with the nearest gold answer, over answerable questions that were answered",
    "F1": "... over all answerable questions, a declined one counts 0",
    "exact match": "answerable questions whose reply is a gold answer, case, punctuation and articles aside",
    "contains an answer": "answerable questions whose reply has a gold answer in it, word by word",
    "SQuAD 2.0 F1": "F1 over all questions, where an unanswerable one counts 1 if it was declined, else 0",
    "declined rightly": "questions without an answer in the passages that were declined",
    "declined wrongly": "questions with one that were declined",
    "number not held": "answers given with a number, date or code that the passages do not state",
    "seconds, p50": "of a question, prompt and reply: median",
    "seconds, p95": "... 95th percentile",
}


class PublishedReader(BaseModel):
    """What others published on a file of a set: peers are system -> measure -> value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    file: str = ""  # empty for the form of several files
    lang: Language
    says: str
    peers: dict[str, dict[str, float]]


@functools.cache
def published_readers() -> tuple[PublishedReader, ...]:
    """Those of public.toml, in its order."""
    return tuple(PublishedReader.model_validate(row) for row in tomllib.loads(FILE.read_text(encoding="utf-8"))["reader"])


@dataclass(frozen=True, slots=True)
class Replies:
    """What one system said, one row an exercise in the set's order. `generator` is its fingerprint."""

    system: str
    generator: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class ReaderResult:
    """Figures by system and language, and the rows that they are means of."""

    data: Mapping[str, str]  # name, path, digest, questions, blank
    chosen: ComprehensionSet
    replies: Sequence[Replies]
    figures: Mapping[str, Mapping[str, Figures]]  # system -> language -> measure -> figure
    known: PublishedReader | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; rows with what was asked, said and marked."""
        return {
            "data": dict(self.data),
            "measures": MEASURES,
            "peers": self.known.peers if self.known else {},
            "systems": {
                given.system: {
                    "generator": given.generator,
                    "languages": {
                        language: {measure: asdict(figure) for measure, figure in found.items()}
                        for language, found in self.figures[given.system].items()
                    },
                    "rows": [
                        {
                            **row.model_dump(include={"id", "outcome", "text"}),
                            "question": exercise.question,
                            "answers": exercise.answers,
                            "marks": dict(marks(exercise, row)),
                        }
                        for exercise, row in zip(self.chosen.exercises, given.rows, strict=True)
                    ],
                }
                for given in self.replies
            },
        }

    def table(self) -> str:
        """For the terminal: one row a language and measure, one column a system."""
        languages = dict.fromkeys(exercise.language for exercise in self.chosen.exercises)
        overall = {
            system: {f"{language}  {measure}": figure for language, found in groups.items() for measure, figure in found.items()}
            for system, groups in self.figures.items()
        }
        if self.known:
            overall |= {
                f"{name} *": {f"{self.known.lang}  {measure}": mean([value]) for measure, value in peer.items()}
                for name, peer in self.known.peers.items()
            }
        left_out = f"; {self.chosen.blank} blank ones left out" if self.chosen.blank else ""
        generators = "; ".join(f"{given.system}: {given.generator}" for given in self.replies if given.generator)
        legend = "\n".join(f"{measure}: {says}" for measure, says in MEASURES.items())
        return render(
            [
                f"{heading(self.data)}{left_out}; {generators}",
                beside(overall, [f"{language}  {measure}" for language in languages for measure in MEASURES]),
                f"n: of {self.replies[0].system}\n{legend}",
                f"* {self.known.says}" if self.known else "",
            ]
        )


def conclude(folder: Path, chosen: ComprehensionSet, replies: Sequence[Replies]) -> ReaderResult:
    """Score the replies."""
    path = (folder / chosen.file).as_posix()
    data = {
        "name": chosen.name,
        "path": path,
        "digest": chosen.digest,
        "questions": str(len(chosen.exercises)),
        "blank": str(chosen.blank),
    }
    languages = dict.fromkeys(exercise.language for exercise in chosen.exercises)
    found: dict[str, dict[str, Figures]] = {}
    for given in replies:
        pairs = list(zip(chosen.exercises, given.rows, strict=True))
        found[given.system] = {
            language: figures([marks(exercise, row) for exercise, row in pairs if exercise.language == language])
            for language in languages
        }
    known = next((known for known in published_readers() if (known.name, known.file) == (chosen.name, chosen.file)), None)
    return ReaderResult(data, chosen, replies, found, known)


def marks(exercise: Exercise, row: Row) -> Marks:
    """What one reply is worth under each measure that applies to it."""
    said = MARKER.sub("", row.text).strip() if row.answered else ""
    found: dict[str, float] = {}
    if row.total_ms is not None:
        found["seconds"] = row.total_ms / 1000
    if row.answered:
        held = [f"{passage.chunk.title}\n{passage.chunk.text}" for passage in exercise.passages]
        found["number not held"] = bool(unsupported(said, held))
    if not exercise.answerable:
        return found | {"declined rightly": not row.answered, "SQuAD 2.0 F1": not row.answered}
    f1 = max(answer_f1(said, gold, exercise.language) for gold in exercise.answers) if row.answered else 0.0
    if row.answered:
        found["F1 where answered"] = f1
    cut = characters if exercise.language == "zh" else squad_words
    given, golds = cut(said), [tokens for gold in exercise.answers if (tokens := cut(gold))]
    return found | {
        "F1": f1,
        "SQuAD 2.0 F1": f1,
        "exact match": given in golds,
        "contains an answer": any(f" {' '.join(gold)} " in f" {' '.join(given)} " for gold in golds),
        "declined wrongly": not row.answered,
    }


def figures(all_marks: Sequence[Marks]) -> Figures:
    """The mean of every measure over the replies it applies to, with its interval; percentiles of the seconds."""
    found: Figures = {}
    for measure in MEASURES:
        name, _, share = measure.partition(", p")
        values = [row[name] for row in all_marks if name in row]
        if values:
            found[measure] = percentile(values, float(share)) if share else mean(values, interval=True)
    if "declined rightly" not in found:
        found.pop("SQuAD 2.0 F1", None)  # the same as F1
    return found
