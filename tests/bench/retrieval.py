"""How long retrieval takes, as a shop grows: `make bench` prints the table and writes results.md beside this file.

A corpus of any size is made by recombining the sentences of the bundled one. Its vectors are random, since a matrix product takes
no longer over true ones; the question's own vector comes from the real embedder. Everything else is what serves: the rewrite by
rules, the exact scan, BM25, the questions' vectors, the fusion. Chroma alone is left out: it is read once, at the start.

Wall clock is what a shopper waits and depends on what else the machine does; CPU time, over all threads, does not.
"""

from __future__ import annotations

import functools
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rag import build, loading
from rag.evaluate.facts import read_all
from rag.evaluate.gold import Question, load_gold
from rag.evaluate.metrics import percentile
from rag.index.chroma import ChromaStore
from rag.index.codec import encode
from rag.index.holders import Holders
from rag.index.opened import Generation
from rag.index.terms import analyze
from rag.ingest.chunk import chunk as cut
from rag.language import sentences
from rag.ports import Embedder, Terms, Vectors
from rag.settings import Settings
from rag.types import Chunk, Filter, Kind, Manifest, Recipe
from tests.indexing import lexical_index, question_index, sentence_index, tally_of

CORPUS = Path(__file__).parents[2] / "corpus"
RESULTS = Path(__file__).with_name("results.md")
SIZES = (1_000, 10_000, 100_000)
QUERIES, ROUNDS = 40, 2
ADDED = 10  # chunks of a changed document
FILTER = Filter(region="EU")
LIMITS = {10_000: 60.0, 100_000: 120.0}  # ms at the median, on two cores
FILTERED = 1.2  # times what an unfiltered search takes
K = 5


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of every search of one kind: wall clock and CPU."""

    wall: list[float]
    cpu: list[float]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one size of corpus costs."""

    chunks: int
    plain: Took
    filtered: Took
    embed: Took  # the part of it that the question's vector takes
    add: float  # s: new terms of ADDED chunks and the lexical index over all, of which the rest is known
    rebuild: float  # s: the same if the terms of no chunk were known, extrapolated from a sample

    @property
    def ratio(self) -> float:
        """Filtered against unfiltered, CPU time at the median."""
        return percentile(self.filtered.cpu, 50).value / max(percentile(self.plain.cpu, 50).value, 1e-9)


class Pages:
    """A collection that holds rows in memory, and its client: the two things that ChromaStore asks Chroma for."""

    def __init__(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        self._chunks, self._vectors = chunks, vectors

    def count(self) -> int:
        return len(self._chunks)

    def get(self, include: Sequence[str], limit: int, offset: int) -> dict[str, Any]:
        page = self._chunks[offset : offset + limit]
        return {
            "embeddings": self._vectors[offset : offset + limit],
            "metadatas": [{"chunk": encode(chunk), "text": chunk.text} for chunk in page],
        }

    def get_max_batch_size(self) -> int:
        return len(self._chunks)

    def close(self) -> None:
        pass


def bundled(count: Callable[[str], int]) -> list[Chunk]:
    """The chunks of the bundled corpus; `count` gives the tokens of a text."""
    documents, _ = read_all(CORPUS / "shop")
    return [piece for document in documents for piece in cut(document, count, 160, 0)]


def grow(base: Sequence[Chunk], size: int) -> Iterator[Chunk]:
    """`size` chunks: those of `base` first, then as many of the same lengths with sentences drawn from all of one language."""
    drawn = random.Random(size)
    pool: dict[str, list[str]] = {}
    for chunk in base:
        pool.setdefault(chunk.facets.language, []).extend(chunk.text[start:end] for start, end in sentences(chunk.text))
    for number in range(size):
        chunk = base[number % len(base)]
        if number >= len(base):
            length = len(list(sentences(chunk.text)))
            text = "\n".join(drawn.choices(pool[chunk.facets.language], k=max(1, length)))
            faq = chunk.kind is Kind.FAQ  # a new question each; a shop does not sell its products a hundred times
            title = f"{chunk.title} {number}" if faq else chunk.title
            kind = Kind.FAQ if faq else Kind.PAGE
            chunk = replace(chunk, kind=kind, title=title, text=text, answer="", aliases=(), negatives=())
        yield replace(chunk, id=f"{chunk.document}#{number:012x}", entry=str(number))


@functools.cache
def _piece(text: str) -> Terms:
    return analyze(text)


def terms(chunk: Chunk) -> Terms:
    """The chunk's terms, line by line: a corpus of recombined sentences is analysed in the time of the sentences."""
    found = [_piece(line) for line in chunk.search_text.split("\n")]
    words = {word for own in found for word in own.words.split()}
    return Terms(np.concatenate([own.hashes for own in found]), " ".join(words), np.concatenate([own.content for own in found]))


def unit(count: int, dimension: int) -> Vectors:
    """Random unit vectors, the same every time."""
    rows = np.random.default_rng(count).standard_normal((count, dimension), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def generation(chunks: Sequence[Chunk], found: Sequence[Terms], dimension: int) -> Generation:
    """An opened generation over `chunks`."""
    pages: Any = Pages(chunks, unit(len(chunks), dimension))
    store = ChromaStore(pages, pages, len(chunks))
    store.load()
    questions = question_index(list(store.chunks()), lambda texts: unit(len(texts), dimension))
    recipe = Recipe("bench", dimension, 160, 0, 0, "", "")
    manifest = Manifest(1, 0, "", recipe, {}, {}, (), len(chunks), "", {})
    sentences = sentence_index(list(store.chunks()), lambda texts: unit(len(texts), dimension))
    return Generation(1, manifest, store, lexical_index(chunks, found), Holders.of(tally_of(found)), questions, sentences)


def timed(work: Callable[[], object], took: Took) -> None:
    """Do the work and note what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    took.cpu.append((time.process_time() - cpu) * 1000)
    took.wall.append((time.perf_counter() - wall) * 1000)


def measure(size: int, base: Sequence[Chunk], asked: Sequence[Question], settings: Settings, embedder: Embedder) -> Measured:
    """Search a corpus of `size` chunks for every question, filtered and not in turn, so that both meet the same noise."""
    chunks = list(grow(base, size))
    found = [terms(chunk) for chunk in chunks]
    search = build.build_search(settings, generation(chunks, found, embedder.dimension), embedder)
    plain, filtered, embed = Took([], []), Took([], []), Took([], [])
    for item in asked[:3]:
        search.find(item.question, item.turns, K, FILTER)
    for _ in range(ROUNDS):
        for item in asked:
            timed(lambda item=item: search.find(item.question, item.turns, K), plain)  # type: ignore[misc]
            timed(lambda item=item: search.find(item.question, item.turns, K, FILTER), filtered)  # type: ignore[misc]
            timed(lambda item=item: embedder.embed([item.question]), embed)  # type: ignore[misc]
    fresh, sample = Took([], []), Took([], [])
    timed(lambda: lexical_index(chunks, [*found[:-ADDED], *(analyze(chunk.search_text) for chunk in chunks[-ADDED:])]), fresh)
    few = chunks[:: max(1, size // 200)]
    timed(lambda: [analyze(chunk.search_text) for chunk in few], sample)
    add = fresh.cpu[0] / 1000
    return Measured(size, plain, filtered, embed, add, add + sample.cpu[0] / 1000 * size / len(few))


def table(rows: Sequence[Measured]) -> str:
    """The results as Markdown, each goal with what came of it."""
    lines = [
        "# Retrieval as a shop grows",
        "",
        f"`make bench` on {os.cpu_count()} cores ({platform.machine()}), {len(rows[0].plain.wall)} searches a row, load "
        f"{os.getloadavg()[0]:.1f} at the end. Rewrite by rules, embed, search, fuse; milliseconds.",
        "",
        "| chunks | p50 | p95 | p50 CPU | p95 CPU | embed CPU | filtered / unfiltered | BM25: add 10 chunks, s | / all anew |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [percentile(values, share).value for values in (row.plain.wall, row.plain.cpu) for share in (50, 95)]
        shown = " | ".join(f"{value:.1f}" for value in (*cells, percentile(row.embed.cpu, 50).value))
        lines.append(f"| {row.chunks:,} | {shown} | {row.ratio:.2f} | {row.add:.2f} | {row.add / row.rebuild:.2f} |")
    lines.append("")
    for row in rows:
        if limit := LIMITS.get(row.chunks):
            p50, cpu = (percentile(values, 50).value for values in (row.plain.wall, row.plain.cpu))
            state = "met" if p50 <= limit else "missed"
            lines.append(f"- {row.chunks:,} chunks: p50 at most {limit:.0f} ms: {state} ({p50:.1f}; CPU {cpu:.1f}).")
    worst = max(row.ratio for row in rows)
    lines.append(f"- Filtered at most {FILTERED} times unfiltered: {'met' if worst <= FILTERED else 'missed'} ({worst:.2f}).")
    return "\n".join(lines) + "\n"


def questions() -> list[Question]:
    """Gold dev questions of every kind and both languages, first and later turns."""
    items = [item for item in load_gold(CORPUS / "gold" / "dev") if item.answerable]
    return random.Random(QUERIES).sample(items, QUERIES)


def main(sizes: Sequence[int] = SIZES) -> None:
    """Measure every size, print the table, write it down."""
    settings = Settings()
    embedder = loading.build_embedder(settings)
    base = bundled(embedder.count)
    rows = []
    for size in sizes:
        sys.stderr.write(f"{size:,} chunks ...\n")
        rows.append(measure(size, base, questions(), settings, embedder))
    text = table(rows)
    RESULTS.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
