"""Reading comprehension sets: questions that come with the passages to answer them from. The forms they lie in, told apart.

Three forms: SQuAD's JSON (Rajpurkar et al. 2016, 2018; CMRC 2018 and DRCD share it); corpus.jsonl, queries.jsonl and
answers.jsonl, with the passage named in the answers or in qrels.tsv; and JSONL with question, passages and answers in every row.
All accept .gz.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rag.errors import DataError
from rag.evaluate.beir import find, load_set, rows
from rag.language import detect
from rag.types import Chunk, Kind, Language, Passage

SQUAD = "SQuAD's form: data[].paragraphs[] with context and qas[], these with id, question, answers[].text and is_impossible"
ROW = "an object with question, passages (or passage, context, candidate) and answers (or answer; empty where there is none)"


@dataclass(frozen=True, slots=True)
class Exercise:
    """A question, the passages it is to be answered from, and the answers that count; none if the passages hold none."""

    id: str
    language: Language
    question: str
    passages: tuple[Passage, ...]
    answers: tuple[str, ...]

    @property
    def answerable(self) -> bool:
        """The passages hold an answer."""
        return bool(self.answers)


@dataclass(frozen=True, slots=True)
class ComprehensionSet:
    """A set as read; `file` is empty for the form of several files."""

    name: str
    file: str
    exercises: tuple[Exercise, ...]
    blank: int = 0  # questions without a word, left out

    def spread(self, limit: int) -> ComprehensionSet:
        """At most `limit` exercises, evenly spread: neighbours share their passage. 0: all."""
        count = len(self.exercises)
        if not limit or limit >= count:
            return self
        return replace(self, exercises=tuple(self.exercises[place * count // limit] for place in range(limit)))

    @property
    def digest(self) -> str:
        """Names what is asked; 12 hex digits."""
        return hashlib.sha256(repr(self.exercises).encode()).hexdigest()[:12]


def load_comprehension(folder: Path, file: str = "") -> ComprehensionSet:
    """The set in `folder`, or in its one file `file`. Raises DataError for what is in none of the forms, naming the place."""
    if not file and _is_there(folder, "corpus.jsonl") and _is_there(folder, "answers.jsonl"):
        path, found = None, list(_of_corpus(folder))
    else:
        path = find(folder, file.removesuffix(".gz")) if file else _only_file(folder)
        found = list(_of_squad(path) if path.name.removesuffix(".gz").endswith(".json") else _of_rows(path))
    place = path or folder
    asked = tuple(exercise for exercise in found if any(map(str.isalnum, exercise.question)))
    if not asked:
        raise DataError(expected=f"a question in {place}", found="none", remedy="give a set with questions")
    if repeated := [id for id, count in Counter(exercise.id for exercise in found).items() if count > 1]:
        raise DataError(
            expected=f"every question of {place} to have its own id",
            found=f"{len(repeated)} ids given more than once: {', '.join(repeated[:3])}",
            remedy="make the ids differ",
        )
    name = path.name.removesuffix(".gz") if path else ""
    return ComprehensionSet(folder.resolve().name, name, asked, len(found) - len(asked))


def _is_there(folder: Path, name: str) -> bool:
    return (folder / name).is_file() or (folder / f"{name}.gz").is_file()


def _only_file(folder: Path) -> Path:
    """The folder's one .json or .jsonl file."""
    named = sorted(path for path in folder.glob("*") if path.name.removesuffix(".gz").endswith((".json", ".jsonl")))
    if len(named) == 1:
        return named[0]
    raise DataError(
        expected=f"in {folder} one .json file in SQuAD's form or one .jsonl file with question, passages and answers, "
        "or corpus.jsonl, queries.jsonl and answers.jsonl",
        found=", ".join(path.name for path in named) or ("none of them" if folder.is_dir() else "no such folder"),
        remedy="say which of the files with --file" if named else "give the folder of a reading comprehension set",
    )


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)


class _Gold(_Section):
    text: str


class _Asked(_Section):
    id: str
    question: str
    answers: tuple[_Gold, ...] = ()
    is_impossible: bool = False


class _Paragraph(_Section):
    context: str
    qas: tuple[_Asked, ...]


class _Article(_Section):
    title: str = ""
    paragraphs: tuple[_Paragraph, ...]


class _Squad(_Section):
    data: tuple[_Article, ...]


def _of_squad(path: Path) -> Iterator[Exercise]:
    content = path.read_bytes()
    try:
        squad = _Squad.model_validate_json(gzip.decompress(content) if path.suffix == ".gz" else content)
    except ValidationError as error:
        raise DataError(expected=SQUAD, found=_first(path, error), remedy="correct the file") from error
    for article in squad.data:
        for paragraph in article.paragraphs:
            passages = (_passage(paragraph.context, article.title),)
            for asked in paragraph.qas:
                gold = _gold(answer.text for answer in asked.answers)
                if not gold and not asked.is_impossible:
                    raise DataError(
                        expected=f"an answer, or is_impossible, for every question of {path}",
                        found=f"neither for {asked.id}",
                        remedy="give a file with the answers: without them there is nothing to score",
                    )
                yield _exercise(asked.id, asked.question, passages, () if asked.is_impossible else gold)


def _listed(value: Any) -> Any:  # noqa: ANN401 - what a row holds; pydantic judges the result
    """One text as a list of one; the datasets package's {"text": [...]} as its texts."""
    if isinstance(value, Mapping):
        return value.get("text", value)
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Row(_Section):
    id: str = Field("", validation_alias=AliasChoices("id", "_id"))
    lang: Language | None = None
    title: str = ""
    question: str
    passages: Texts = Field(min_length=1, validation_alias=AliasChoices("passages", "passage", "context", "candidate"))
    answers: Texts | None = Field(None, validation_alias=AliasChoices("answers", "answer"))
    is_impossible: bool = False


def _of_rows(path: Path) -> Iterator[Exercise]:
    for where, given in rows(path, ()):
        try:
            row = _Row.model_validate(given)
        except ValidationError as error:
            raise DataError(expected=ROW, found=_first(where, error), remedy="correct the line") from error
        if row.answers is None and not row.is_impossible:
            raise DataError(expected=ROW, found=f"{where}: no answers", remedy="correct the line")
        passages = tuple(_passage(text, row.title) for text in row.passages)
        gold = () if row.is_impossible else _gold(row.answers or ())
        yield _exercise(row.id or where.rsplit(":", 1)[1], row.question, passages, gold, row.lang)


class _Answered(_Section):
    id: str = Field(validation_alias="_id")
    answers: tuple[str, ...]
    context_id: str = ""
    is_impossible: bool = False


def _of_corpus(folder: Path) -> Iterator[Exercise]:
    passages = {
        str(row["_id"]): _passage(str(row["text"]), str(row.get("title") or ""))
        for _, row in rows(find(folder, "corpus.jsonl"), ("_id", "text"))
    }
    questions = {str(row["_id"]): str(row["text"]) for _, row in rows(find(folder, "queries.jsonl"), ("_id", "text"))}
    judged = _is_there(folder, "qrels.tsv")
    relevant = {query.id: sorted(query.relevant) for query in load_set(folder).queries} if judged else {}
    for where, given in rows(find(folder, "answers.jsonl"), ("_id", "answers")):
        try:
            row = _Answered.model_validate(given)
        except ValidationError as error:
            expected = "an object with _id, answers (texts; none if there is none) and, if not in qrels.tsv, context_id"
            raise DataError(expected=expected, found=_first(where, error), remedy="correct the line") from error
        ids = [row.context_id] if row.context_id else relevant.get(row.id, [])
        if row.id not in questions or not ids or not all(id in passages for id in ids):
            raise DataError(
                expected="the question in queries.jsonl, and its passage in corpus.jsonl by context_id or qrels.tsv",
                found=f"{where}: not both for {row.id}",
                remedy="add what is missing or take the line out",
            )
        gold = () if row.is_impossible else _gold(row.answers)
        yield _exercise(row.id, questions[row.id], tuple(passages[id] for id in ids), gold)


def _exercise(
    id: str, question: str, passages: tuple[Passage, ...], answers: tuple[str, ...], language: Language | None = None
) -> Exercise:
    return Exercise(id, language or detect(question) or "en", question, passages, answers)


def _passage(text: str, title: str) -> Passage:
    return Passage(Chunk("", "", "", 0, Kind.PASSAGE, title, (), text), 0.0)


def _gold(answers: Iterator[str] | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(answer for answer in answers if answer.strip()))


def _first(where: Path | str, error: ValidationError) -> str:
    """The first thing that is wrong, and where in the file."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{where}: {f'{place}: ' if place else ''}{first['msg']}"
