"""The JSON that the command line and the service promise: answers out, questions and histories in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.types import Answer, History, Turn

_QUESTION = '{"id": "...", "question": "...", "history": [{"role": "user", "text": "..."}]}, one a line'
_HISTORY = '[{"role": "user|assistant", "text": "..."}], oldest first'
_ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a batch."""

    id: str
    question: str
    history: History = ()


def as_dict(answer: Answer) -> dict[str, Any]:
    """The answer object. Citation offsets count characters of the text of the passage whose id is `chunk`."""
    return {
        "id": answer.id,
        "outcome": answer.outcome.value,
        "answer": answer.text,
        "citations": [asdict(citation) for citation in answer.citations],
        "passages": [
            {"id": p.chunk.id, "document": p.chunk.document, "score": p.score, "text": p.chunk.text} for p in answer.passages
        ],
        "query": answer.query.text,
        "generation": answer.generation,
        "timings": dict(answer.timings),
        "rung": answer.rung,
        "reason": answer.reason,
        "language": answer.language,
    }


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
        if not isinstance(message, dict) or message.get("role") not in _ROLES or not isinstance(message.get("text"), str):
            raise _wrong(_HISTORY, f"{where}: message {number} is {json.dumps(message, ensure_ascii=False)[:80]}")
        turns.append(Turn(message["role"], message["text"]))
    return tuple(turns)


def _question(line: str, where: str, number: str) -> Question:
    try:
        item = json.loads(line)
    except json.JSONDecodeError as error:
        raise _wrong(_QUESTION, f"{where}: {error.msg}") from error
    except RecursionError as error:  # "[[[[...": deeper than any question
        raise _wrong(_QUESTION, f"{where}: nested too deeply") from error
    if not isinstance(item, dict) or not isinstance(item.get("question"), str):
        raise _wrong(_QUESTION, f"{where}: {line.strip()[:80]}")
    return Question(str(item.get("id") or number), item["question"], parse_history(item.get("history") or [], where))


def _read(path: Path, form: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(expected=f"UTF-8 text in {path}", found=str(error), remedy="save the file as UTF-8") from error
    except OSError as error:
        raise DataError(expected=f"{form} in {path}", found=str(error), remedy="give the path of such a file") from error


def _wrong(form: str, found: str) -> DataError:
    return DataError(expected=form, found=found, remedy="correct it")
