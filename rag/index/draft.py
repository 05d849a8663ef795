"""A generation being written: chunks and vectors in, a sealed folder out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rag.index.canary import examine
from rag.index.codec import Ledger, digest, seal
from rag.index.lexical import LexicalIndex
from rag.index.manifest import LEXICAL, QUESTIONS, SCHEMA, SENTENCES, damaged, hash_files, save_ledger, save_manifest, sync_tree
from rag.index.questions import Questions
from rag.index.sentences import Sentences
from rag.ports import Terms, VectorCache, Vectors
from rag.types import Chunk, Manifest, Recipe

if TYPE_CHECKING:
    from rag.index.chroma import ChromaStore


class GenerationDraft:
    """A generation being written; see ports.Draft."""

    def __init__(self, folder: Path, number: int, previous: int, recipe: Recipe, store: ChromaStore, cache: VectorCache) -> None:
        self._folder, self._number, self._previous = folder, number, previous
        self._recipe, self._store, self._cache = recipe, store, cache
        self._chunks: list[Chunk] = []
        self._terms: list[Terms] = []
        self._ledger: Ledger = {}

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Append; ids must be new."""
        self._store.add(chunks, vectors)
        self._chunks += chunks
        self._terms += self._cache.terms([chunk.search_text for chunk in chunks])
        self._ledger |= {chunk.id: seal(chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)}

    def seal(self, sources: Mapping[str, str], documents: Mapping[str, int], rejected: Sequence[tuple[str, str]]) -> Manifest:
        """Prove in a fresh process that all that was added can be read and found. Raises IndexDamaged if not."""
        self._store.close()
        LexicalIndex.build(self._chunks, self._terms).save(self._folder / LEXICAL)
        embedded = partial(self._cache.get, self._recipe.embedder)
        Questions.build(self._chunks, embedded).save(self._folder / QUESTIONS)
        Sentences.build(self._chunks, embedded).save(self._folder / SENTENCES)
        save_ledger(self._folder, self._ledger)
        if problems := examine(self._folder, len(self._chunks)):
            raise damaged(self._folder, problems)
        sync_tree(self._folder)
        manifest = Manifest(
            number=self._number,
            previous=self._previous,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            recipe=self._recipe,
            sources=dict(sources),
            documents=dict(documents),
            rejected=tuple(rejected),
            count=len(self._ledger),
            digest=digest(self._ledger),
            files=hash_files(self._folder),
            schema=SCHEMA,
        )
        save_manifest(self._folder, manifest)
        return manifest
