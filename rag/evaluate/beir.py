"""Data sets in the BEIR layout (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels.tsv; .gz accepted."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.types import History, Turn

ROLES = {"user": "user", "assistant": "assistant", "agent": "assistant", "bot": "assistant", "system": "assistant"}


@dataclass(frozen=True, slots=True)
class BeirQuery:
    """A question of the set; `relevant` are ids of passages."""

    id: str
    text: str
    history: History
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True)
class BeirSet:
    """A data set: its corpus stays a file, for the ingest to read."""

    name: str
    digest: str  # of the corpus, first 12 hex digits
    corpus: Path
    queries: tuple[BeirQuery, ...]  # those with at least one relevant passage
    unjudged: int  # queries without a relevant passage: nothing to score


def load_set(folder: Path, queries: str = "queries.jsonl") -> BeirSet:
    """Read a data set and check that it hangs together. Raises DataError naming file:line, or the passages qrels lack."""
    corpus = find(folder, "corpus.jsonl")
    qrels = _qrels(find(folder, "qrels.tsv"))
    ids = {str(row["_id"]) for _, row in rows(corpus, ("_id", "text"))}
    if missing := sorted({passage for relevant in qrels.values() for passage in relevant} - ids):
        shown = ", ".join(missing[:3])
        raise DataError(
            expected=f"every passage of qrels.tsv in {corpus}",
            found=f"{len(missing)} that are not there: {shown}{' ...' if len(missing) > 3 else ''}",
            remedy="add them to the corpus or take them out of qrels.tsv",
        )
    asked = [
        BeirQuery(str(row["_id"]), str(row["text"]), _history(row, where), frozenset(qrels.get(str(row["_id"]), ())))
        for where, row in rows(find(folder, queries), ("_id", "text"))
    ]
    if unknown := sorted(qrels.keys() - {query.id for query in asked}) if queries == "queries.jsonl" else []:
        raise DataError(
            expected=f"every query of qrels.tsv in {folder / queries}",
            found=f"{len(unknown)} that are not there: {', '.join(unknown[:3])}",
            remedy="add them to the queries or take them out of qrels.tsv",
        )
    judged = tuple(query for query in asked if query.relevant)
    if not judged:
        raise DataError(
            expected=f"a query with a relevant passage in {folder}", found="none", remedy="check the ids in qrels.tsv"
        )
    return BeirSet(folder.resolve().name, _digest(corpus), corpus, judged, len(asked) - len(judged))


def unpack(corpus: Path, folder: Path) -> None:
    """Write the corpus alone into `folder` as corpus.jsonl, so that nothing else of the set is ingested."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "corpus.jsonl"
    with _open(corpus) as source, target.with_suffix(".partial").open("wb") as sink:
        shutil.copyfileobj(source, sink)
    target.with_suffix(".partial").replace(target)


def find(folder: Path, name: str) -> Path:
    """The file, plain or .gz. Raises DataError if neither is there."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        expected=f"{name} (or .gz) in {folder}",
        found=f"no {name}" if folder.is_dir() else "no such folder",
        remedy="give the folder of a data set (corpus.jsonl, queries.jsonl and qrels.tsv for retrieval)",
    )


def _open(path: Path) -> Any:  # noqa: ANN401 - two unrelated stream types, both binary
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _digest(path: Path) -> str:
    with _open(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    with _open(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                text = line.decode("utf-8-sig").strip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(expected="UTF-8", found=f"{path}:{number}: {error}", remedy="save the file as UTF-8") from error
            if text.strip():
                yield f"{path}:{number}", text


def rows(path: Path, keys: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file:line, object) of every line that is not blank. Raises DataError for one that lacks a key of `keys`."""
    for where, line in _lines(path):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(expected="one JSON object a line", found=f"{where}: {error}", remedy="correct the line") from error
        if not isinstance(row, dict) or not all(key in row for key in keys):
            raise DataError(
                expected=f"an object with {', '.join(keys) or 'keys and values'}",
                found=f"{where}: {line[:80]}",
                remedy="correct the line",
            )
        yield where, row


def _history(row: dict[str, Any], where: str) -> History:
    turns: list[Turn] = []
    for turn in row.get("history") or ():
        role = ROLES.get(str(turn.get("role", ""))) if isinstance(turn, dict) else None
        if role is None or "text" not in turn:
            raise DataError(
                expected=f"history as [{{role, text}}] with a role of {', '.join(ROLES)}",
                found=f"{where}: {json.dumps(turn, ensure_ascii=False)[:80]}",
                remedy="correct the line",
            )
        turns.append(Turn("user" if role == "user" else "assistant", str(turn["text"])))
    return tuple(turns)


def _qrels(path: Path) -> dict[str, set[str]]:
    """Query id -> ids of relevant passages: columns query, passage, score, or TREC's query, 0, passage, score."""
    found: dict[str, set[str]] = {}
    for number, (where, line) in enumerate(_lines(path)):
        columns = line.split("\t")
        if len(columns) == 4:
            columns = [columns[0], *columns[2:]]
        if len(columns) == 3 and number == 0 and not _is_number(columns[2]):
            continue  # the header
        if len(columns) != 3 or not _is_number(columns[2]):
            raise DataError(
                expected="query, passage, score (or query, 0, passage, score) between tabs",
                found=f"{where}: {line[:80]!r}",
                remedy="correct the line",
            )
        if float(columns[2]) > 0:
            found.setdefault(columns[0], set()).add(columns[1])
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
