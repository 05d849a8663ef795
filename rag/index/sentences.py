"""The vectors of every chunk's sentences: a chunk of many facts is as near to a question as the one that answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.index.codec import text_hash
from rag.index.manifest import damaged
from rag.language import statements
from rag.ports import Rows, Vectors
from rag.types import Chunk

STARTS, VECTORS, HASHES = "starts.npy", "vectors.npy", "hashes.npy"
BATCH = 4096  # sentences whose vectors are in memory in full precision at once
Half = NDArray[np.float16]


class Sentences:
    """Best match by sentence. Half precision on disk, read as it is needed: a tenth of a per mille of a cosine, half the room."""

    def __init__(self, starts: NDArray[np.int64], vectors: Half, hashes: NDArray[np.bytes_]) -> None:
        """Sentences of chunk i, in the order of ids, are vectors[starts[i]:starts[i + 1]], shape (sentences, dimension)."""
        self._starts, self._vectors, self._hashes = starts, vectors, hashes

    @classmethod
    def build(cls, chunks: Iterable[Chunk], embedded: Callable[[Sequence[str]], Vectors]) -> Sentences:
        """`embedded` gives the vectors of texts, shape (len(texts), dimension); it is not asked for none."""
        own = [statements(chunk.text, chunk.label) for chunk in sorted(chunks, key=lambda chunk: chunk.id)]
        texts = [text for sentences in own for text in sentences]
        pages = [embedded(texts[start : start + BATCH]).astype(np.float16) for start in range(0, len(texts), BATCH)]
        vectors = np.concatenate(pages) if pages else np.zeros((0, 1), np.float16)
        starts = np.cumsum([0, *(len(sentences) for sentences in own)])
        return cls(starts, vectors, np.array([text_hash(text) for text in texts], dtype="S64"))

    @classmethod
    def load(cls, folder: Path) -> Sentences:
        """What save() wrote. Raises IndexDamaged."""
        try:
            starts, hashes = np.load(folder / STARTS), np.load(folder / HASHES)
            return cls(starts, np.load(folder / VECTORS, mmap_mode="r" if len(hashes) else None), hashes)
        except (OSError, ValueError) as error:
            raise damaged(folder, [repr(error)]) from error

    def save(self, folder: Path) -> None:
        """Write vectors, what they belong to, and hashes of their texts; the texts are the chunks'."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in ((STARTS, self._starts), (VECTORS, self._vectors), (HASHES, self._hashes)):
            np.save(folder / name, values)

    def cosines(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Shape (len(vectors), len(rows)): the best cosine (-1..1) of each chunk's sentences to each of `vectors`.

        `rows` are of chunks in the order of their ids; -1 for a chunk without a sentence.
        """
        counts = self._starts[rows + 1] - self._starts[rows]
        best = np.full((len(vectors), len(rows)), -1.0, np.float32)
        held = counts > 0
        if held.any():
            firsts = np.cumsum(counts[held]) - counts[held]
            wanted = np.repeat(self._starts[rows[held]] - firsts, counts[held]) + np.arange(counts.sum())
            scores = vectors @ self._vectors[wanted].astype(np.float32).T
            best[:, held] = np.maximum.reduceat(scores, firsts, axis=1)
        return best

    def places(self, row: int) -> range:
        """Where the sentences of a chunk are, in the order of rag.language.statements; `row` as in cosines()."""
        return range(int(self._starts[row]), int(self._starts[row + 1]))

    def vectors(self, places: Rows) -> Vectors:
        """Shape (len(places), dimension): of the sentences in these places."""
        return self._vectors[places].astype(np.float32)

    def hashes(self) -> Iterator[str]:
        """sha256 of every sentence, hex."""
        return (hash.decode() for hash in self._hashes)
