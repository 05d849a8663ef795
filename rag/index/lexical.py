"""Search by words: BM25 over the terms of all chunks, of which a query reads only its own."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.index.ranking import best_rows
from rag.index.tally import Tally
from rag.index.terms import hash_terms, tokens
from rag.ports import Mask, Rows, Scores, TermHashes
from rag.types import Chunk, Passage, Query

K1, B = 1.5, 0.75  # of BM25: how soon a repeated term stops to count, how much long texts are held back
WORDS = "words.json"
PART_BITS = 4  # terms are sorted in so many powers of two parts, or sorting would be what takes most memory


class Postings(NamedTuple):
    """Which chunks hold a term, and what that is worth: those of terms[i] are rows and weights [starts[i]:starts[i + 1]]."""

    terms: TermHashes  # rising
    starts: NDArray[np.int64]  # one more than terms
    rows: NDArray[np.int32]  # of chunks in the order of their ids, rising within a term
    weights: NDArray[np.float32]  # BM25 of the term in that chunk


class LexicalIndex:
    """A PassageSource over all chunks of a generation.

    Scores are Lucene's BM25 (Kamphuis et al. 2020, "Which BM25 do you mean?"). A saved index is mapped, not read: opening costs
    nothing, and memory holds what queries have asked for.
    """

    def __init__(self, postings: Postings, chunks: Sequence[Chunk], words: Path | Mapping[str, int]) -> None:
        self._postings, self._chunks, self._words = postings, chunks, words

    @classmethod
    def of(cls, tally: Tally, chunks: Sequence[Chunk] = ()) -> LexicalIndex:
        """From the terms of every chunk, in the order of their ids; without the chunks it can only be saved."""
        return cls(_weigh(*tally.hashes()), chunks, tally.words)

    @classmethod
    def load(cls, folder: Path, chunks: Sequence[Chunk]) -> LexicalIndex:
        """What save() wrote; `chunks` are those it was built from, in the order of their ids."""
        mapped = (np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in Postings._fields)
        return cls(Postings(*mapped), chunks, folder / WORDS)

    def save(self, folder: Path) -> None:
        """Write the postings and words, not the chunks."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in self._postings._asdict().items():
            np.save(folder / f"{name}.npy", values)
        (folder / WORDS).write_text(json.dumps(dict(sorted(self.words.items())), ensure_ascii=False), encoding="utf-8")

    @functools.cached_property
    def words(self) -> Mapping[str, int]:
        """The folded words of the corpus as rag.language.words cuts them -> number of chunks that hold each."""
        if isinstance(self._words, Path):
            found: dict[str, int] = json.loads(self._words.read_text(encoding="utf-8"))
            return found
        return self._words

    def find(self, query: Query, k: int, mask: Mask | None = None) -> list[Passage]:
        """At most k passages by falling BM25 (0..), ties by chunk id; none that shares no word with the query.

        Where there is a mask, shape (chunks,) in the order of their ids, only chunks for which it is True.
        """
        scores = np.zeros(len(self._chunks), np.float32)
        for own, times in Counter(self._slices(query.text)).items():
            scores[self._postings.rows[own.start : own.stop]] += times * self._postings.weights[own.start : own.stop]
        best = best_rows(scores, k, scores > 0 if mask is None else mask & (scores > 0))
        return [Passage(self._chunks[row], float(scores[row]), {"lexical": float(scores[row])}) for row in best]

    def match(self, text: str, rows: Rows) -> tuple[Scores, Scores, Scores]:
        """Of the chunks in `rows`: BM25 (0..), that as a share of the most it could be (0..1), and coverage (0..1).

        Coverage is the share of the terms of `text` that a chunk holds, weighed by rarity. Terms no chunk holds do not count.
        """
        scores, held, most, all_held = np.zeros(len(rows)), np.zeros(len(rows)), 0.0, 0.0
        for own, times in Counter(self._slices(text)).items():
            holders = self._postings.rows[own.start : own.stop]
            rarity = float(_rarity(np.array(len(holders)), len(self._chunks)))
            places = np.minimum(np.searchsorted(holders, rows), len(holders) - 1)
            holds = holders[places] == rows
            scores += times * np.where(holds, self._postings.weights[own.start : own.stop][places], 0)
            held += rarity * holds
            most += times * rarity
            all_held += rarity
        return scores, scores / (most or 1), held / (all_held or 1)

    def _slices(self, text: str) -> list[range]:
        """Where the postings of each term of `text` lie that any chunk holds."""
        terms, starts = self._postings.terms, self._postings.starts
        asked = hash_terms(tokens(text))
        places = np.searchsorted(terms, asked)
        known = places[(places < len(terms)) & (terms[np.minimum(places, len(terms) - 1)] == asked)] if len(terms) else ()
        return [range(starts[place], starts[place + 1]) for place in known]


def _rarity(holders: NDArray[np.int64], count: int) -> Scores:
    """Lucene's inverse document frequency (0..) of terms that so many of `count` texts hold."""
    return np.log1p((count - holders + 0.5) / (holders + 0.5))


def _weigh(terms: TermHashes, lengths: NDArray[np.int64]) -> Postings:
    """Count the terms of all texts, and weigh them; lengths[i] of them are of text i."""
    rows = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    lengths = np.maximum(lengths, 1)  # a text without terms, so that the mean is never 0
    norm = K1 * (1 - B + B * lengths / lengths.mean())
    top = terms >> np.uint64(64 - PART_BITS)
    parts = [_weigh_part(terms[top == part], rows[top == part], norm) for part in range(2**PART_BITS)]
    vocabulary, holders, held, weights = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Postings(vocabulary, np.append(0, np.cumsum(holders)), held, weights)


def _weigh_part(terms: TermHashes, rows: NDArray[np.int32], norm: Scores) -> tuple[NDArray[Any], ...]:
    """Some terms, each in its row: the vocabulary, in how many chunks each is, in which, and its weights there."""
    order = np.argsort(terms, kind="stable")
    terms, rows = terms[order], rows[order]
    new = np.ones(len(terms), np.bool_)
    new[1:] = (terms[1:] != terms[:-1]) | (rows[1:] != rows[:-1])
    first = np.flatnonzero(new)
    counts = np.diff(first, append=len(terms))  # of a term in a chunk
    terms, rows = terms[first], rows[first]
    vocabulary, holders = np.unique(terms, return_counts=True)
    weights = np.repeat(_rarity(holders, len(norm)), holders) * counts / (counts + norm[rows])
    return vocabulary, holders, rows, weights.astype(np.float32)
