"""The vector cache: what a model has embedded once is never embedded again, and what was cut into words once is not cut again.

It is the source of truth for vectors; the index generations can be rebuilt from it and the corpus. A vector is found by the
embedder's fingerprint and the text's sha256, the terms by the text's sha256. Of the text itself it holds the set of its words.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from rag.errors import IndexDamaged
from rag.index.codec import text_hash
from rag.index.terms import VERSION, analyze
from rag.ports import Terms, Vectors

_TABLE = """CREATE TABLE IF NOT EXISTS vectors (
    embedder TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL, UNIQUE (embedder, text))"""
_TERMS_TABLE = """CREATE TABLE IF NOT EXISTS terms (
    text BLOB PRIMARY KEY, version INTEGER NOT NULL, hashes BLOB NOT NULL, words TEXT NOT NULL)"""


class Catalog:
    """A VectorCache in one SQLite file, for one thread. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises IndexDamaged if it is not a vector cache."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        try:
            self._database = sqlite3.connect(path, timeout=30)
            self._database.execute("PRAGMA journal_mode=WAL")  # a commit is one append, and a kill leaves whole commits
            self._database.execute("PRAGMA synchronous=NORMAL")  # power loss may cost the last batches, never the file
            self._database.execute("PRAGMA secure_delete=ON")  # a vector says much about its text; deleted means gone
            self._database.execute(_TABLE)
            self._database.execute(_TERMS_TABLE)
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.close()

    def missing(self, embedder: str, texts: Iterable[str]) -> list[str]:
        """The texts without a vector, each once, in the order given."""
        return [text for text in dict.fromkeys(texts) if self._find(embedder, text) is None]

    def put(self, embedder: str, texts: Sequence[str], vectors: Vectors) -> None:
        """Keep one vector a text, shape (len(texts), dimension); all or none of the call is kept."""
        rows = [(embedder, _key(text), vector.astype("<f4").tobytes()) for text, vector in zip(texts, vectors, strict=True)]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def get(self, embedder: str, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension). Raises IndexDamaged if one is missing."""
        found = [self._find(embedder, text) for text in texts]
        if None in found:
            raise self._damaged(f"no vector of {embedder} for {texts[found.index(None)]!r:.80}")
        return np.stack([np.frombuffer(vector, dtype="<f4") for vector in found if vector is not None]).astype(np.float32)

    def terms(self, texts: Sequence[str]) -> list[Terms]:
        """The terms of each text; those of new ones are worked out and kept, all of a call or none."""
        known = {text: self._find_terms(text) for text in dict.fromkeys(texts)}
        new = {text: analyze(text) for text, found in known.items() if found is None}
        rows = [(_key(text), VERSION, found.hashes.astype("<u8").tobytes(), found.words) for text, found in new.items()]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO terms VALUES (?, ?, ?, ?)", rows)
        return [known[text] or new[text] for text in texts]

    def prune(self, used: Mapping[str, set[str]]) -> None:
        """Forget all but what belongs to `used`: embedder -> sha256 of texts, hex."""
        rows = [(embedder, bytes.fromhex(text)) for embedder, texts in used.items() for text in texts]
        with self._database:
            self._database.execute(
                "CREATE TEMP TABLE used (embedder TEXT, text BLOB, PRIMARY KEY (embedder, text)) WITHOUT ROWID"
            )
            self._database.executemany("INSERT INTO used VALUES (?, ?)", rows)
            self._database.execute("DELETE FROM vectors WHERE (embedder, text) NOT IN (SELECT embedder, text FROM used)")
            self._database.execute("DELETE FROM terms WHERE text NOT IN (SELECT text FROM used)")
            self._database.execute("DROP TABLE used")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or what was deleted would live on in the log

    def count(self) -> int:
        """Vectors held, of all embedders."""
        return int(self._database.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def _find(self, embedder: str, text: str) -> bytes | None:
        row = self._row("SELECT vector FROM vectors WHERE embedder = ? AND text = ?", (embedder, _key(text)))
        return row[0] if row else None

    def _find_terms(self, text: str) -> Terms | None:
        row = self._row("SELECT hashes, words FROM terms WHERE text = ? AND version = ?", (_key(text), VERSION))
        return Terms(np.frombuffer(row[0], "<u8").astype(np.uint64), row[1]) if row else None

    def _row(self, query: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error
        return row

    def _damaged(self, found: str) -> IndexDamaged:
        return IndexDamaged(
            expected=f"a whole vector cache in {self._path}",
            found=found,
            remedy=f"remove {self._path.name}* there and run `python -m rag ingest`; all is embedded again, nothing else is lost",
        )


def _key(text: str) -> bytes:
    return bytes.fromhex(text_hash(text))
