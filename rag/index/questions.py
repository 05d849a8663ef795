"""Search by question: the vectors of questions that a chunk answers, and of those it must not be taken to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.index.manifest import damaged
from rag.index.ranking import best_rows
from rag.ports import Mask, Vectors
from rag.types import Chunk

TEXTS, VECTORS, LINKS = "texts.json", "vectors.npy", "links.npz"
SIDES = "positive", "negative"
Numbers = NDArray[np.int64]


class Links(NamedTuple):
    """Which questions belong to which chunks: those of rows[i] are texts[starts[i]:starts[i + 1]]."""

    rows: Numbers  # of chunks in the order of their ids, rising; only chunks with a question
    starts: Numbers  # one more than rows
    texts: Numbers  # rows of the vectors

    @classmethod
    def of(cls, questions: Iterable[Sequence[str]], numbers: dict[str, int]) -> Links:
        """From the questions of every chunk, in the order of their ids."""
        held = [(row, [numbers[text] for text in texts]) for row, texts in enumerate(questions) if texts]
        ends = np.cumsum([0, *(len(texts) for _, texts in held)])
        return cls(np.array([row for row, _ in held], int), ends, np.array(list(chain.from_iterable(t for _, t in held)), int))


class Questions:
    """The questions of a generation's chunks. Each text has one vector, however many chunks it points to."""

    def __init__(self, chunks: Sequence[Chunk], texts: Sequence[str], vectors: Vectors, positive: Links, negative: Links) -> None:
        """`chunks` in the order of their ids; `vectors` of shape (len(texts), dimension)."""
        self._chunks, self._texts, self._vectors = chunks, texts, vectors
        self._positive, self._negative = positive, negative
        self._row = {chunk.id: row for row, chunk in enumerate(chunks)}
        self._asked = int(positive.texts.max(initial=-1)) + 1  # vectors that find() compares; those only negative come last

    @classmethod
    def of(
        cls,
        asked: Sequence[tuple[Sequence[str], Sequence[str]]],
        embedded: Callable[[Sequence[str]], Vectors],
        chunks: Sequence[Chunk] = (),
    ) -> Questions:
        """From the questions and negative ones of every chunk, in the order of their ids; without the chunks, only to save."""
        texts = list(dict.fromkeys(chain(*(own for own, _ in asked), *(denied for _, denied in asked))))
        numbers = {text: number for number, text in enumerate(texts)}
        positive = Links.of((own for own, _ in asked), numbers)
        negative = Links.of((denied for _, denied in asked), numbers)
        return cls(chunks, texts, embedded(texts) if texts else np.zeros((0, 1), np.float32), positive, negative)

    @classmethod
    def load(cls, folder: Path, chunks: Sequence[Chunk]) -> Questions:
        """What save() wrote; `chunks` are those it was built from, in the order of their ids."""
        texts = _load_texts(folder)
        with np.load(folder / LINKS) as saved:
            positive, negative = (Links(*(saved[f"{side}_{name}"] for name in Links._fields)) for side in SIDES)
        return cls(chunks, texts, np.load(folder / VECTORS), positive, negative)

    def save(self, folder: Path) -> None:
        """Write texts, vectors and which row they belong to, not the chunks."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TEXTS).write_text(json.dumps(self._texts, ensure_ascii=False), encoding="utf-8")
        np.save(folder / VECTORS, self._vectors)
        sides = zip(SIDES, (self._positive, self._negative), strict=True)
        np.savez(
            folder / LINKS, **{f"{side}_{name}": values for side, links in sides for name, values in links._asdict().items()}
        )

    def find(self, vector: Vectors, k: int, mask: Mask | None = None) -> list[tuple[Chunk, float, str]]:
        """At most k chunks by falling cosine (-1..1) of their best question to `vector`, shape (dimension,), with that question.

        Ties by chunk id. Where there is a mask, shape (chunks,) in the order of their ids, only chunks for which it is True.
        """
        rows, starts, texts = self._positive
        if not len(rows):
            return []
        scores = (self._vectors[: self._asked] @ vector)[texts]
        best = np.maximum.reduceat(scores, starts[:-1])
        found: list[tuple[Chunk, float, str]] = []
        for place in best_rows(best, k, None if mask is None else mask[rows]):
            nearest = starts[place] + scores[starts[place] : starts[place + 1]].argmax()
            found.append((self._chunks[rows[place]], float(best[place]), self._texts[texts[nearest]]))
        return found

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> list[float]:
        """The best cosine (-1..1) of each chunk's questions to `vector`, in the order of `ids`; -1.0 where it has none."""
        return self._best(self._positive, vector, ids)

    def against(self, vector: Vectors, ids: Sequence[str]) -> list[float]:
        """The best cosine (-1..1) of each chunk's negative questions to `vector`; -1.0 where it has none."""
        return self._best(self._negative, vector, ids)

    def _best(self, links: Links, vector: Vectors, ids: Sequence[str]) -> list[float]:
        found = [-1.0] * len(ids)
        wanted = np.array([self._row[id] for id in ids], int)
        places = np.searchsorted(links.rows, wanted)
        for position, (row, place) in enumerate(zip(wanted, places, strict=True)):
            if place < len(links.rows) and links.rows[place] == row:
                own = links.texts[links.starts[place] : links.starts[place + 1]]
                found[position] = float((self._vectors[own] @ vector).max())
        return found


def _load_texts(folder: Path) -> list[str]:
    """The texts that save() wrote. Raises IndexDamaged."""
    try:
        found: list[str] = json.loads((folder / TEXTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(folder, [f"{TEXTS}: {error!r}"]) from error
    return found
