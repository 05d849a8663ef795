"""The vectors of every chunk's sentences: a chunk of many facts is as near to a question as the one that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.index.manifest import damaged
from rag.ports import Rows, Vectors

STARTS, VECTORS = "starts.npy", "vectors.npy"
BATCH = 4096  # sentences whose vectors are in memory in full precision at once
Half = NDArray[np.float16]


class Sentences:
    """Best match by sentence. Half precision on disk, read as it is needed: a tenth of a per mille of a cosine, half the room."""

    def __init__(self, starts: NDArray[np.int64], vectors: Half) -> None:
        """Sentences of chunk i, in the order of ids, are vectors[starts[i]:starts[i + 1]], shape (sentences, dimension)."""
        self._starts, self._vectors = starts, vectors

    @classmethod
    def load(cls, folder: Path) -> Sentences:
        """What write() wrote. Raises IndexDamaged."""
        try:
            starts = np.load(folder / STARTS)
            return cls(starts, np.load(folder / VECTORS, mmap_mode="r" if starts[-1] else None))
        except (OSError, ValueError, IndexError) as error:
            raise damaged(folder, [repr(error)]) from error

    @staticmethod
    def write(folder: Path, counts: Sequence[int], vectors: Iterable[Vectors], dimension: int) -> None:
        """From the number of sentences of every chunk, in the order of ids, and all their vectors, batch by batch."""
        folder.mkdir(parents=True, exist_ok=True)
        starts = np.cumsum([0, *counts])
        np.save(folder / STARTS, starts)
        header = {"descr": "<f2", "fortran_order": False, "shape": (int(starts[-1]), dimension)}
        with (folder / VECTORS).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for batch in vectors:
                file.write(batch.astype("<f2").tobytes())

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
