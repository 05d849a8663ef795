"""The gold form: one question with its right answer and the words that prove it, one JSON object a line."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from rag.errors import DataError
from rag.types import History, Turn

NOISY = ("typo", "pinyin", "traditional", "mixed")
FIX = "correct the line (the form is in corpus/gold/README.md)"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Kind = Literal[
    "single",
    "dialogue",
    "typo",
    "pinyin",
    "traditional",
    "mixed",
    "cross",
    "neighbour",
    "missing_attribute",
    "false_premise",
    "expired",
    "off_topic",
    "attack",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
GROUPS = ("all", "all but cross", "en, all but cross", "zh, all but cross", "first turns", "later turns") + tuple(
    f"{language}, {kind}" for kind in KINDS for language in ("en", "zh")
)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(_Strict):
    """A place that by itself holds the answer: `quote` is verbatim in the document.

    `entry` names the row of a table (Entry.key) where the quote alone does not, as in "Weight: 92 g."
    """

    document: Text
    quote: Text
    entry: str = ""


class Message(_Strict):
    """One turn before the question."""

    role: Literal["user", "assistant"]
    text: Text


class Question(_Strict):
    """One gold question. `sources` are alternatives: each holds the answer without the others."""

    id: Text
    lang: Literal["en", "zh"]
    history: list[Message] = []
    question: Text
    answer: str
    answerable: bool
    sources: list[Source]
    kind: Kind
    variants_of: str = ""  # the id of the plain question that this one garbles
    dialogue: str = ""  # names the conversation that this turn is part of

    @model_validator(mode="after")
    def _agrees(self) -> Question:
        if self.answerable and not (self.answer.strip() and self.sources):
            raise ValueError("an answerable question needs an answer and at least one source")
        if not self.answerable and (self.answer.strip() or self.sources):
            raise ValueError("an unanswerable question has an empty answer and no sources")
        return self

    @property
    def turns(self) -> History:
        """The history in the form answer() takes."""
        return tuple(Turn(message.role, message.text) for message in self.history)

    @property
    def quotes(self) -> list[str]:
        """The words that prove the answer."""
        return [source.quote for source in self.sources]


def groups_of(item: Question) -> set[str]:
    """Those of GROUPS that a question counts in; a "cross" question, whose document is in the other language, stands apart."""
    names = {"all", f"{item.lang}, {item.kind}", "later turns" if item.history else "first turns"}
    return names | ({"all but cross", f"{item.lang}, all but cross"} if item.kind != "cross" else set())


@dataclass(frozen=True, slots=True)
class Located:
    """A gold question and the line it was read from."""

    item: Question
    where: str  # file:line


def gold_files(path: Path) -> list[Path]:
    """The .jsonl file itself or all below a folder, sorted. Raises DataError if there is none."""
    files = [path] if path.is_file() else sorted(path.rglob("*.jsonl"))
    if not files:
        found = "an empty folder" if path.is_dir() else "nothing there"
        raise DataError(
            expected=f"gold questions (.jsonl) at {path}", found=found, remedy="give a .jsonl file or a folder of them"
        )
    return files


def locate_gold(path: Path) -> list[Located]:
    """Read and check every question. Raises DataError naming file:line for the first wrong line or repeated id."""
    seen: dict[str, str] = {}
    located = [question for file in gold_files(path) for question in _read(file)]
    for question in located:
        if question.item.id in seen:
            first = seen[question.item.id]
            raise DataError(
                expected=f"each id once ({first} has it first)",
                found=f"{question.where}: {question.item.id} again",
                remedy="give one of them another id",
            )
        seen[question.item.id] = question.where
    return located


def load_gold(path: Path) -> list[Question]:
    """The questions of a file or folder, in the order of files and lines. Raises DataError as locate_gold does."""
    return [question.item for question in locate_gold(path)]


def digest(path: Path) -> str:
    """Names the exact data set: sha256 over the files' names and bytes, first 12 hex digits."""
    summary = hashlib.sha256()
    for file in gold_files(path):
        summary.update(file.name.encode() + b"\0" + file.read_bytes())
    return summary.hexdigest()[:12]


class About(BaseModel):
    """gold.toml, beside the gold files or one folder up: what holds for the whole set. Everything is optional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    today: date | None = None  # the day the questions are asked on
    minimum: dict[str, float] = {}  # how many questions of what sort there must be, all sets of the folder together


def about(gold: Path) -> About:
    """What gold.toml says about a gold file or folder. Raises DataError if it is not in the form."""
    folder = gold if gold.is_dir() else gold.parent
    for file in (folder / "gold.toml", folder.resolve().parent / "gold.toml"):
        if file.is_file():
            try:
                return About.model_validate(tomllib.loads(read_text(file)))
            except (ValidationError, tomllib.TOMLDecodeError) as error:
                raise DataError(expected=f"today and minimum in {file}", found=str(error), remedy="correct the file") from error
    return About()


def read_text(file: Path) -> str:
    """A text file's content. Raises DataError if it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(expected=f"UTF-8 text in {file}", found=str(error), remedy="save the file as UTF-8") from error


def _read(file: Path) -> Iterator[Located]:
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            yield Located(Question.model_validate_json(line), where)
        except ValidationError as error:
            raise DataError(expected=_expected(error), found=f"{where}: {_found(error)}", remedy=FIX) from error


def _expected(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _found(error: ValidationError) -> str:
    shown = json.dumps(error.errors()[0]["input"], ensure_ascii=False, default=str)
    return shown if len(shown) <= 120 else shown[:117] + "..."
