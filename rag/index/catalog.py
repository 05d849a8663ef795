"""The catalogue: the truth about what a home holds, in one SQLite file. Generations can always be made from it again.

documents   every file that was read: path, sha256 of its bytes, how it was cut, what it says about itself
chunks      its pieces: the text, and all else as JSON (validity, trust, headings, ...)
members     which documents each generation holds
refused     files that cannot be read, and why: they are not tried again while they stay as they are
texts       sha256 of every text of a document that has a vector: what is searched, questions, sentences
vectors     by the embedder's fingerprint and the text's sha256: what was embedded once is never embedded again
analyses    by the text's sha256: what was cut into words once is not cut again
removed     fingerprints of phrases of what is no longer held; see rag.index.deleted
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from rag.errors import IndexDamaged
from rag.index.codec import decode, encode, text_hash
from rag.index.lock import writing
from rag.index.phrases import rarest
from rag.index.terms import VERSION, analyze
from rag.ports import Counts, Terms, Vectors
from rag.types import Chunk, Document, Recipe

PAGE = 5_000  # chunks read in one go
ASKED = 500  # texts looked up in one query
_TABLES = """
CREATE TABLE IF NOT EXISTS documents (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL, digest TEXT NOT NULL, cut TEXT NOT NULL, embedder TEXT NOT NULL,
    title TEXT NOT NULL, facets TEXT NOT NULL, rejected TEXT NOT NULL, UNIQUE (id, digest, cut));
CREATE TABLE IF NOT EXISTS chunks (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, id TEXT NOT NULL, encoded TEXT NOT NULL, text TEXT NOT NULL,
    UNIQUE (document, id));
CREATE TABLE IF NOT EXISTS members (
    generation INTEGER NOT NULL, document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    PRIMARY KEY (generation, document)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS membership ON members (document);
CREATE TABLE IF NOT EXISTS texts (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, text BLOB NOT NULL,
    PRIMARY KEY (document, text)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (embedder TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL, UNIQUE (embedder, text));
CREATE TABLE IF NOT EXISTS refused (id TEXT PRIMARY KEY, digest TEXT NOT NULL, cut TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS removed (phrase BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS analyses (
    text BLOB PRIMARY KEY, version INTEGER NOT NULL, hashes BLOB NOT NULL, words TEXT NOT NULL, content BLOB NOT NULL);
DROP TABLE IF EXISTS terms;
"""
_UNUSED = "text NOT IN (SELECT text FROM texts)"
_OF_GENERATION = "FROM members JOIN chunks USING (document) WHERE generation = ?"


class Catalog:
    """The catalogue of a home, for one thread; several processes may have it open. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises IndexDamaged if it is not a catalogue."""
        self.path = path
        with self._reading():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=30)
            self._database.execute("PRAGMA journal_mode=WAL")  # a commit is one append, and a kill leaves whole commits
            self._database.execute("PRAGMA synchronous=NORMAL")  # power loss may cost the last batches, never the file
            self._database.execute("PRAGMA secure_delete=ON")  # deleted means gone
            self._database.execute("PRAGMA foreign_keys=ON")
            self._database.executescript(_TABLES)

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.close()

    def known(self, recipe: Recipe, files: Mapping[str, str]) -> set[str]:
        """Of these files, path -> sha256, those whose document is held, cut by this recipe."""
        with self._reading():
            held = self._database.execute("SELECT id, digest FROM documents WHERE cut = ?", (_cut(recipe),))
            return {id for id, digest in held if files.get(id) == digest}

    def keep(self, recipe: Recipe, read: Iterable[tuple[Document, Sequence[Chunk], Iterable[str]]]) -> None:
        """Hold documents, each with its chunks and with all texts that need a vector; all of the call or none."""
        with self._database:
            for document, chunks, texts in read:
                facets = json.dumps(asdict(document.facets), ensure_ascii=False, default=date.isoformat)
                named = document.id, document.digest, _cut(recipe)
                self._database.execute("DELETE FROM documents WHERE (id, digest, cut) = (?, ?, ?)", named)
                row = (*named, recipe.embedder, document.title, facets, json.dumps(document.rejected, ensure_ascii=False))
                key = self._database.execute("INSERT INTO documents VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row).lastrowid
                pieces = [(key, chunk.id, encode(chunk), chunk.text) for chunk in chunks]
                self._database.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?)", pieces)
                hashes = {_key(text) for text in texts}
                self._database.executemany("INSERT INTO texts VALUES (?, ?)", [(key, hash) for hash in hashes])

    def refused(self, recipe: Recipe, files: Mapping[str, str]) -> dict[str, str]:
        """Of these files, path -> sha256, those that could not be read by this recipe, and why."""
        with self._reading():
            rows = self._database.execute("SELECT id, digest, reason FROM refused WHERE cut = ?", (_cut(recipe),))
            return {id: reason for id, digest, reason in rows if files.get(id) == digest}

    def refuse(self, recipe: Recipe, files: Mapping[str, str], reasons: Mapping[str, str]) -> None:
        """Note these reasons, path -> why, instead of all that were noted before."""
        rows = [(id, files[id], _cut(recipe), reason) for id, reason in reasons.items()]
        with self._database:
            self._database.execute("DELETE FROM refused")
            self._database.executemany("INSERT INTO refused VALUES (?, ?, ?, ?)", rows)

    def enlist(self, generation: int, recipe: Recipe, files: Mapping[str, str]) -> dict[str, int]:
        """Note that a generation holds the documents of these files; returns the number of chunks of each."""
        with self._database:
            self._database.execute("DELETE FROM members WHERE generation = ?", (generation,))
            self._database.executemany(
                "INSERT INTO members SELECT ?, key FROM documents WHERE (id, digest, cut) = (?, ?, ?)",
                [(generation, id, digest, _cut(recipe)) for id, digest in files.items()],
            )
        counted = "SELECT documents.id, count(chunks.id) FROM members JOIN documents ON key = members.document"
        rows = self._database.execute(
            f"{counted} LEFT JOIN chunks USING (document) WHERE generation = ? GROUP BY key", (generation,)
        )
        return dict(rows.fetchall())

    def rejected(self, generation: int) -> dict[str, list[str]]:
        """Rows that were left out of a generation's documents, each "<row number>: <reason>", by document."""
        query = "SELECT id, rejected FROM members JOIN documents ON key = document WHERE generation = ? AND rejected != '[]'"
        return {id: json.loads(rows) for id, rows in self._database.execute(query, (generation,))}

    def pages(self, generation: int, size: int = PAGE) -> Iterator[list[tuple[Chunk, str]]]:
        """A generation's chunks by rising id, `size` at a time, each with its JSON."""
        with self._reading():
            rows = self._database.execute(f"SELECT encoded, text {_OF_GENERATION} ORDER BY chunks.id", (generation,))
            while page := rows.fetchmany(size):
                yield [(decode(encoded, text), encoded) for encoded, text in page]

    def compare(self, old: int, new: int) -> Counts:
        """How many chunks of generation `new` are not in `old`, are in both, and are in `old` alone."""
        with self._reading():
            same = f"SELECT chunks.id, encoded, text {_OF_GENERATION}"
            both = self._database.execute(f"SELECT count(*) FROM ({same} INTERSECT {same})", (old, new)).fetchone()[0]
            sizes = [self._database.execute(f"SELECT count(*) {_OF_GENERATION}", (n,)).fetchone()[0] for n in (new, old)]
        return Counts(sizes[0] - both, both, sizes[1] - both)

    def missing(self, embedder: str, texts: Iterable[str]) -> list[str]:
        """The texts without a vector, each once, in the order given."""
        wanted = list(dict.fromkeys(texts))
        held = self._vectors(embedder, wanted, "NULL")
        return [text for text in wanted if _key(text) not in held]

    def put(self, embedder: str, texts: Sequence[str], vectors: Vectors) -> None:
        """Keep one vector a text, shape (len(texts), dimension); all or none of the call is kept."""
        rows = [(embedder, _key(text), vector.astype("<f4").tobytes()) for text, vector in zip(texts, vectors, strict=True)]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def get(self, embedder: str, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension). Raises IndexDamaged if one is missing."""
        held = self._vectors(embedder, texts, "vector")
        if missing := next((text for text in texts if _key(text) not in held), None):
            raise self._damaged(f"no vector of {embedder} for {missing!r:.80}")
        return np.stack([np.frombuffer(held[_key(text)][0], dtype="<f4") for text in texts]).astype(np.float32)

    def terms(self, texts: Sequence[str]) -> list[Terms]:
        """The terms of each text; those of new ones are worked out and kept, all of a call or none."""
        wanted = list(dict.fromkeys(texts))
        held = self._rows("SELECT text, hashes, words, content FROM analyses WHERE version = ? AND", (VERSION,), wanted)
        known = {
            text: Terms(np.frombuffer(row[0], "<u8"), row[1], np.frombuffer(row[2], "<u8"))
            for text in wanted
            if (row := held.get(_key(text)))
        }
        new = {text: analyze(text) for text in wanted if text not in known}
        rows = [
            (_key(text), VERSION, found.hashes.astype("<u8").tobytes(), found.words, found.content.astype("<u8").tobytes())
            for text, found in new.items()
        ]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO analyses VALUES (?, ?, ?, ?, ?)", rows)
        return [known.get(text) or new[text] for text in texts]

    def prune(self, generations: Iterable[int]) -> None:
        """Forget all but what these generations hold."""
        kept = json.dumps(sorted(generations))
        surplus = {
            "members": "generation NOT IN (SELECT value FROM json_each(:kept))",
            "documents": "key NOT IN (SELECT document FROM members)",
            "vectors": _UNUSED + " OR embedder NOT IN (SELECT embedder FROM documents)",
            "analyses": _UNUSED,
        }
        found = (self._row(f"SELECT 1 FROM {table} WHERE {which}", {"kept": kept}) for table, which in surplus.items())
        if not any(found):
            return
        with self._database:
            self._database.execute(f"DELETE FROM members WHERE {surplus['members']}", {"kept": kept})
            gone = f"SELECT encoded, text FROM chunks WHERE document IN (SELECT key FROM documents WHERE {surplus['documents']})"
            said = {phrase for row in self._database.execute(gone) for phrase in rarest(decode(*row))}
            self._database.executemany("INSERT OR IGNORE INTO removed VALUES (?)", [(phrase,) for phrase in said])
            for table, which in surplus.items():
                self._database.execute(f"DELETE FROM {table} WHERE {which}", {"kept": kept})
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or what was deleted would live on in the log

    def removed(self) -> set[bytes]:
        """Fingerprints of phrases of texts that were removed; some may be said again."""
        return {phrase for (phrase,) in self._database.execute("SELECT phrase FROM removed")}

    def unlisted(self) -> int:
        """Vectors of texts that no document has."""
        return int(self._database.execute(f"SELECT count(*) FROM vectors WHERE {_UNUSED}").fetchone()[0])

    def compact(self) -> None:
        """Write the file anew without what was deleted."""
        self._database.execute("VACUUM")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def count(self) -> int:
        """Vectors held, of all embedders."""
        return int(self._database.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def _vectors(self, embedder: str, texts: Sequence[str], column: str) -> dict[bytes, tuple[Any, ...]]:
        return self._rows(f"SELECT text, {column} FROM vectors WHERE embedder = ? AND", (embedder,), texts)

    def _rows(self, query: str, values: tuple[object, ...], texts: Sequence[str]) -> dict[bytes, tuple[Any, ...]]:
        """Key of a text -> the other columns, of those that are held."""
        found: dict[bytes, tuple[Any, ...]] = {}
        with self._reading():
            for start in range(0, len(texts), ASKED):
                keys = [_key(text) for text in texts[start : start + ASKED]]
                rows = self._database.execute(f"{query} text IN ({', '.join('?' * len(keys))})", (*values, *keys))
                found |= {key: rest for key, *rest in rows}
        return found

    def _row(self, query: str, values: tuple[object, ...] | dict[str, object]) -> tuple[Any, ...] | None:
        with self._reading():
            row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        return row

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with writing(self.path.parent):  # the disk may be what is wrong
                yield
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, found: str) -> IndexDamaged:
        return IndexDamaged(
            expected=f"a whole catalogue in {self.path}",
            found=found,
            remedy=f"remove {self.path.name}* there and run `python -m rag ingest`, which reads and embeds all again",
        )


def _cut(recipe: Recipe) -> str:
    return f"{recipe.version} {recipe.tokens} {recipe.overlap} {recipe.embedder}"


def _key(text: str) -> bytes:
    return bytes.fromhex(text_hash(text))
