"""The vector cache: what a model has embedded once is never embedded again.

It is the source of truth for vectors; the index generations can be rebuilt from it and the corpus. It holds no text: a vector is
found by the embedder's fingerprint and the text's sha256.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from rag.errors import IndexDamaged
from rag.index.codec import text_hash
from rag.ports import Vectors

_TABLE = """CREATE TABLE IF NOT EXISTS vectors (
    embedder TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL, UNIQUE (embedder, text))"""


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

    def prune(self, used: Mapping[str, set[str]]) -> None:
        """Forget all vectors but those of `used`: embedder -> sha256 of texts, hex."""
        rows = [(embedder, bytes.fromhex(text)) for embedder, texts in used.items() for text in texts]
        with self._database:
            self._database.execute(
                "CREATE TEMP TABLE used (embedder TEXT, text BLOB, PRIMARY KEY (embedder, text)) WITHOUT ROWID"
            )
            self._database.executemany("INSERT INTO used VALUES (?, ?)", rows)
            self._database.execute("DELETE FROM vectors WHERE (embedder, text) NOT IN (SELECT embedder, text FROM used)")
            self._database.execute("DROP TABLE used")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or what was deleted would live on in the log

    def count(self) -> int:
        """Vectors held, of all embedders."""
        return int(self._database.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def _find(self, embedder: str, text: str) -> bytes | None:
        query = "SELECT vector FROM vectors WHERE embedder = ? AND text = ?"
        try:
            row = self._database.execute(query, (embedder, _key(text))).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error
        return row[0] if row else None

    def _damaged(self, found: str) -> IndexDamaged:
        return IndexDamaged(
            expected=f"a whole vector cache in {self._path}",
            found=found,
            remedy=f"remove {self._path.name}* there and run `python -m rag ingest`; all is embedded again, nothing else is lost",
        )


def _key(text: str) -> bytes:
    return bytes.fromhex(text_hash(text))
