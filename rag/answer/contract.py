"""The JSON that the command line and the service promise: answers out, questions and histories in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rag.errors import DataError, WrongFilter
from rag.types import Answer, Chunk, Filter, History, Role, Turn

_QUESTION = '{"id": "...", "question": "...", "history": [{"role": "user", "text": "..."}]}, one a line'
_HISTORY = '[{"role": "user|assistant", "text": "..."}], oldest first'
# What others call the two, as data sets do.
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "agent": "assistant"}
_FILTER = {field.name for field in fields(Filter)}


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a batch."""

    id: str
    question: str
    history: History = ()
    filter: Filter = Filter()


def as_dict(answer: Answer) -> dict[str, Any]:
    """The answer object. Citation offsets count characters of the text of the passage whose id is `chunk`."""
    return {
        "id": answer.id,
        "outcome": answer.outcome.value,
        "answer": answer.text,
        "citations": [asdict(citation) for citation in answer.citations],
        "passages": [{**source(p.chunk), "score": p.score, "text": p.chunk.text} for p in answer.passages],
        "query": answer.query.text,
        "generation": answer.generation,
        "timings": dict(answer.timings),
        "rung": answer.rung,
        "reason": answer.reason,
        "language": answer.language,
        "failed": answer.failed,
    }


def source(chunk: Chunk) -> dict[str, str]:
    """Where a passage is from; `url` is empty where the document does not say."""
    return {"id": chunk.id, "document": chunk.document, "title": chunk.title, "url": chunk.url}


def read_questions(path: Path) -> list[Question]:
    """Questions in the gold form, one JSON object a line; an id is made from the line number where there is none.

    Raises DataError naming the line.
    """
    questions = []
    for number, line in enumerate(_read(path, _QUESTION).split("\n"), start=1):
        if line.strip():
            questions.append(_question(line, f"{path}:{number}", str(number)))
    return questions


def read_history(path: Path) -> History:
    """A JSON list of messages, oldest first. Raises DataError."""
    try:
        return parse_history(json.loads(_read(path, _HISTORY)), str(path))
    except json.JSONDecodeError as error:
        raise _wrong(_HISTORY, f"{path}:{error.lineno}: {error.msg}") from error


def parse_history(value: object, where: str) -> History:
    """Turns from decoded JSON. Raises DataError naming `where` and the message."""
    if not isinstance(value, list):
        raise _wrong(_HISTORY, f"{where}: {type(value).__name__}")
    turns = []
    for number, message in enumerate(value, start=1):
        role = _ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None or not isinstance(message.get("text"), str):
            raise _wrong(_HISTORY, f"{where}: message {number} is {json.dumps(message, ensure_ascii=False)[:80]}")
        turns.append(Turn(role, message["text"]))
    return tuple(turns)


def parse_filter(value: object, where: str) -> Filter:
    """What to search in, from decoded JSON. Raises WrongFilter naming `where` and the field."""
    known = ", ".join(sorted(_FILTER))
    if not isinstance(value, dict):
        raise WrongFilter(expected=f"{where} to be an object with some of {known}", found=_short(value), remedy="correct it")
    for name, wanted in value.items():
        if name not in _FILTER:
            raise WrongFilter(expected=f"{where} to have fields of {known}", found=_short(name), remedy="remove or rename it")
        if not isinstance(wanted, str):
            raise WrongFilter(expected=f"{where}.{name} to be a text", found=_short(wanted), remedy="put it in quotes")
    return Filter(**value)


def _question(line: str, where: str, number: str) -> Question:
    try:
        item = json.loads(line)
    except json.JSONDecodeError as error:
        raise _wrong(_QUESTION, f"{where}: {error.msg}") from error
    except RecursionError as error:  # "[[[[...": deeper than any question
        raise _wrong(_QUESTION, f"{where}: nested too deeply") from error
    if not isinstance(item, dict) or not isinstance(item.get("question"), str):
        raise _wrong(_QUESTION, f"{where}: {line.strip()[:80]}")
    history = parse_history(item.get("history") or [], where)
    chosen = parse_filter(item.get("filter") or {}, f"{where}: filter")
    return Question(str(item.get("id") or number), item["question"], history, chosen)


def _read(path: Path, form: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(expected=f"UTF-8 text in {path}", found=str(error), remedy="save the file as UTF-8") from error
    except OSError as error:
        raise DataError(expected=f"{form} in {path}", found=str(error), remedy="give the path of such a file") from error


def _short(value: object) -> str:
    """What was found, for an error: short, and free of what a terminal or a log would act on."""
    return json.dumps(value, default=str)[:80]


def _wrong(form: str, found: str) -> DataError:
    return DataError(expected=form, found=found, remedy="correct it")
