"""Test doubles that ship with the product: deterministic, instant, no models and no files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rag.language import words
from rag.ports import Mask, Vectors
from rag.types import Chunk, Piece, Turn


class HashEmbedder:
    """A bag of hashed words: texts that share words are near, everything else is nearly orthogonal."""

    def __init__(self, dimension: int = 64, window: int = 256) -> None:
        self.dimension = dimension
        self.window = window
        self.fingerprint = f"hash-{dimension}"
        self.embedded: list[str] = []  # every text ever asked for, so tests can count calls

    def count(self, text: str) -> int:
        """Words stand for tokens."""
        return len(words(text)) + 2

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension), unit rows."""
        self.embedded += texts
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in words(text) or [""]:
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
                row += np.random.default_rng(seed).standard_normal(self.dimension).astype(np.float32)
            row /= np.linalg.norm(row)
        return rows

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """A word's vector is the same wherever it stands."""
        return [self.embed(words(text)) for text in texts]


class MemoryStore:
    """The Store port over a list."""

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._vectors: list[Vectors] = []

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Append; a known id raises ValueError."""
        known = {chunk.id for chunk in self._chunks}
        if repeated := known & {chunk.id for chunk in chunks}:
            raise ValueError(f"ids already stored: {sorted(repeated)}")
        self._chunks += chunks
        self._vectors += list(vectors)

    def search(self, vector: Vectors, k: int, mask: Mask | None = None) -> list[tuple[Chunk, float]]:
        """Exact cosine search."""
        chunks = list(self.chunks())
        found = zip(chunks, self.cosines(vector, [chunk.id for chunk in chunks]), strict=True)
        allowed = [pair for row, pair in enumerate(found) if mask is None or mask[row]]
        return sorted(allowed, key=lambda pair: -pair[1])[:k]

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> list[float]:
        """In the order of `ids`."""
        rows = {chunk.id: row for chunk, row in zip(self._chunks, self._vectors, strict=True)}
        return [float(rows[id] @ vector) for id in ids]

    def chunks(self) -> Iterator[Chunk]:
        """All chunks by id."""
        return iter(sorted(self._chunks, key=lambda chunk: chunk.id))

    def vectors(self) -> Vectors:
        """In the order of chunks()."""
        rows = {chunk.id: row for chunk, row in zip(self._chunks, self._vectors, strict=True)}
        return np.stack([rows[chunk.id] for chunk in self.chunks()])

    def count(self) -> int:
        """Number of chunks."""
        return len(self._chunks)

    def close(self) -> None:
        """Nothing to release."""


class ScriptedGenerator:
    """Replies from a script, in order; an exception in the script is raised midway through its reply's place."""

    fingerprint = "scripted"

    def __init__(self, replies: Sequence[str | Exception] = ()) -> None:
        self._replies = list(replies)
        self.prompts: list[list[Turn]] = []

    def load(self) -> None:
        """Nothing to load."""

    def count(self, messages: Sequence[Turn]) -> int:
        """Words stand for tokens."""
        return sum(len(words(message.text)) for message in messages)

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """The next scripted reply in pieces of a few characters, each of them certain; after the script, that there is none."""
        self.prompts.append(list(messages))
        reply = self._replies.pop(0) if self._replies else "None"
        if isinstance(reply, Exception):
            raise reply
        for start in range(0, len(reply), 4):
            if stopped():
                return
            yield Piece(reply[start : start + 4], 0.0)
