"""Chunks to the indexes of a generation, and to a generation, without an ingest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.answer.rarity import Rarity
from rag.fakes import HashEmbedder
from rag.index import draft, generation
from rag.index.canary import Examine, find_problems
from rag.index.catalog import Catalog
from rag.index.draft import GenerationDraft
from rag.index.generation import Generations
from rag.index.holders import Holders
from rag.index.lexical import LexicalIndex
from rag.index.questions import Questions
from rag.index.sentences import Sentences
from rag.index.tally import Tally
from rag.index.terms import analyze
from rag.index.writer import write
from rag.ingest.flow import silent
from rag.language import statements
from rag.ports import Progress, Terms, Vectors
from rag.types import Chunk, Document, Facets, Manifest, Recipe

Embed = Callable[[Sequence[str]], Vectors]


def tally_of(terms: Sequence[Terms]) -> Tally:
    tally = Tally()
    tally.add(terms)
    return tally


def lexical_index(chunks: Sequence[Chunk], terms: Sequence[Terms] | None = None) -> LexicalIndex:
    """`terms` are those of each chunk, where they are known already."""
    known = terms if terms is not None else [analyze(chunk.search_text) for chunk in chunks]
    order = sorted(range(len(chunks)), key=lambda row: chunks[row].id)
    return LexicalIndex.of(tally_of([known[row] for row in order]), [chunks[row] for row in order])


def rarity_of(texts: Iterable[str]) -> Rarity:
    found = [analyze(text) for text in texts]
    return Rarity(Holders.of(tally_of(found)).count, len(found))


def question_index(chunks: Sequence[Chunk], embed: Embed) -> Questions:
    ordered = sorted(chunks, key=lambda chunk: chunk.id)
    return Questions.of([(chunk.questions, chunk.negatives) for chunk in ordered], embed, ordered)


def sentence_index(chunks: Sequence[Chunk], embed: Embed) -> Sentences:
    own = [statements(chunk.text, chunk.label) for chunk in sorted(chunks, key=lambda chunk: chunk.id)]
    texts = [text for sentences in own for text in sentences]
    vectors = embed(texts).astype(np.float16) if texts else np.zeros((0, 1), np.float16)
    return Sentences(np.cumsum([0, *(len(sentences) for sentences in own)]), vectors)


def hold(catalog: Catalog, recipe: Recipe, chunks: Sequence[Chunk], embedder: HashEmbedder) -> dict[str, str]:
    """Chunks with their vectors into the catalogue; path -> sha256 of the documents that they make up."""
    files: dict[str, str] = {}
    for id in sorted({chunk.document for chunk in chunks}):
        own = [chunk for chunk in chunks if chunk.document == id]
        texts = [t for c in own for t in (c.search_text, *c.questions, *c.negatives, *statements(c.text, c.label))]
        files[id] = f"{hash(tuple(own)):x}"
        catalog.put(recipe.embedder, texts, embedder.embed(texts))
        catalog.keep(recipe, [(Document(id, id, "", Facets(), files[id]), own, texts)])
    return files


def write_here(folder: Path, catalog: Path, number: int, embedder: str, count: int, progress: Progress) -> None:
    """rag.index.writer.write_apart without its process."""
    with Catalog(catalog) as held:
        write(folder, held, number, embedder, count, progress)


@contextmanager
def canary_here() -> Iterator[Examine]:
    """rag.index.canary.canary without its process."""
    yield lambda folder, count: find_problems(folder)


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writer and canary without their processes; test_index_generation.py is about those."""
    monkeypatch.setattr(generation, "canary", canary_here)
    monkeypatch.setattr(draft, "write_apart", write_here)


def written(generations: Generations, begun: GenerationDraft, recipe: Recipe, chunks: Sequence[Chunk]) -> None:
    """The draft as an ingest leaves it before it is sealed."""
    with Catalog(generations._home / "catalog.sqlite") as catalog:
        documents = catalog.enlist(begun.number, recipe, hold(catalog, recipe, chunks, HashEmbedder(recipe.dimension)))
        begun.write(catalog.path, sum(documents.values()), silent)


def publish(generations: Generations, chunks: Sequence[Chunk], recipe: Recipe) -> Manifest:
    """A generation of these chunks, live."""
    recipe = replace(recipe, place=generations.place, chroma=generations.chroma)
    with generations.lock("ingest"):
        generations.prune()
        with generations.start(recipe) as begun:
            written(generations, begun, recipe, chunks)
            manifest = begun.seal({"d.md": "0"}, {"d.md": len(chunks)}, [("e.md", "empty")])
        generations.make_live(manifest)
        generations.prune()
    return manifest
