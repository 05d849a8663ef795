"""Files -> Documents -> Chunks -> vectors -> generation N+1 -> sealed -> live."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.errors import CorpusEmpty, ModelFailed, Unreadable
from rag.ingest.apart import reading_apart
from rag.ingest.report import IngestReport, Rejection
from rag.ingest.scan import scan
from rag.language import statements
from rag.ports import Draft, Embedder, Library, Progress, VectorCache, Vectors
from rag.types import Chunk, Document, Manifest, Recipe

log = logging.getLogger(__name__)
VERSION = 4  # raise it when reading or chunking makes other chunks of the same file
BATCH = 256  # texts embedded, or chunks written, between two commits


@dataclass(frozen=True, slots=True)
class Chunking:
    """Sizes in tokens of the embedder."""

    tokens: int
    overlap: int


@dataclass(frozen=True, slots=True)
class Found:
    """A corpus folder before anything is read: the files, and what identifies them all."""

    files: tuple[tuple[str, Path], ...]  # (path below the corpus, path)
    sources: dict[str, str]  # sha256 of every file's bytes, or why it will not be opened
    rejected: tuple[Rejection, ...]


def silent(stage: str, done: int, total: int) -> None:
    """Progress that no one watches."""


def ingest(
    corpus: Path, generations: Library, catalog: VectorCache, embedder: Embedder, chunking: Chunking, progress: Progress = silent
) -> IngestReport:
    """Bring the live index up to date with a corpus folder.

    A kill at any instant leaves the old generation live, and what was embedded stays embedded. Files that cannot be read are
    reported and left out. Raises CorpusEmpty if none can be (the old generation stays), HomeBusy, ModelFailed, IndexDamaged.
    """
    started = time.monotonic()
    with generations.lock("ingest"):
        if generations.prune():  # a dead ingest left something
            catalog.prune(generations.used())
        found = look(corpus)
        recipe = _recipe(embedder, chunking, generations)
        live = generations.live()
        if live and (live.recipe, live.sources) == (recipe, found.sources) and generations.is_sound():
            return _unchanged(live, time.monotonic() - started)
        documents, rejected = read_all(found, progress)
        chunks, counts = chunk_all(documents, embedder, chunking, progress)
        if not chunks:
            raise _nothing(corpus, rejected)
        embedded = embed_missing(chunks, catalog, embedder, progress)
        with generations.start(recipe, len(chunks), catalog) as draft:
            write(chunks, draft, catalog, embedder.fingerprint, progress)
            progress("check", 0, len(chunks))
            manifest = draft.seal(found.sources, counts, [(rejection.file, rejection.reason) for rejection in rejected])
        progress("check", len(chunks), len(chunks))
        added, unchanged, removed = generations.make_live(manifest)
        catalog.prune(generations.used())
        generations.prune()  # last: what it leaves undone tells the next ingest to forget vectors, too
    seconds = time.monotonic() - started
    return IngestReport(manifest.number, added, unchanged, removed, len(documents), rejected, embedded, seconds, changed=True)


def look(corpus: Path) -> Found:
    """Which files there are, and the hash of each."""
    found = scan(corpus)
    files: list[tuple[str, Path]] = []
    rejected = list(found.rejected)
    sources = {rejection.file: rejection.reason for rejection in rejected}
    for path in found.files:
        id = path.relative_to(corpus).as_posix()
        try:
            with path.open("rb") as file:
                sources[id] = hashlib.file_digest(file, "sha256").hexdigest()
            files.append((id, path))
        except OSError as error:
            sources[id] = f"expected a file that can be opened; found {error.strerror}; check its permissions"
            rejected.append(Rejection(id, sources[id]))
    return Found(tuple(files), sources, tuple(rejected))


def read_all(found: Found, progress: Progress) -> tuple[list[Document], tuple[Rejection, ...]]:
    """The documents that can be read, and everything that was left out."""
    documents: list[Document] = []
    rejected = list(found.rejected)
    with reading_apart() as read:
        for done, (id, path) in enumerate(found.files, 1):
            try:
                document = read(path, id)
                _check_same(document, found.sources[id])
            except Unreadable as error:
                rejected.append(Rejection(id, str(error)))
            else:
                documents.append(document)
                rejected += [
                    Rejection(f"{id}:{row}", reason) for row, _, reason in (r.partition(": ") for r in document.rejected)
                ]
            progress("read", done, len(found.files))
    return documents, tuple(rejected)


def _check_same(document: Document, source: str) -> None:
    if document.digest != source:
        raise Unreadable(
            expected="a file that stays as it is while it is read",
            found="other content than a moment before",
            remedy="ingest again when it is written",
        )


def chunk_all(
    documents: Sequence[Document], embedder: Embedder, chunking: Chunking, progress: Progress
) -> tuple[list[Chunk], dict[str, int]]:
    """All chunks in the order of their ids, each id once (a repeated paragraph is one chunk); chunks a document."""
    from rag.ingest.chunk import chunk  # its splitter is slow to import, and unchanged input needs none

    chunks: dict[str, Chunk] = {}
    counts: dict[str, int] = {}
    for done, document in enumerate(documents, 1):
        own = {piece.id: piece for piece in reversed(chunk(document, embedder.count, chunking.tokens, chunking.overlap))}
        counts[document.id] = len(own)
        chunks |= own
        progress("chunk", done, len(documents))
    return sorted(chunks.values(), key=lambda piece: piece.id), counts


def embed_missing(chunks: Sequence[Chunk], catalog: VectorCache, embedder: Embedder, progress: Progress) -> int:
    """Embed what the catalog does not hold of chunks, questions and sentences, batch by batch; returns the number of texts.

    Long texts first: a batch holds texts of like length, so little is padded, and the time left is not underestimated. The order
    depends on the texts alone, so that an ingest that takes up after a kill forms the batches the dead one would have formed.
    """
    own = ((*piece.questions, *piece.negatives, *statements(piece.text, piece.label)) for piece in chunks)
    wanted = (text for piece, texts in zip(chunks, own, strict=True) for text in (piece.search_text, *texts))
    texts = catalog.missing(embedder.fingerprint, wanted)
    texts.sort(key=lambda text: (-len(text), text))
    progress("embed", 0, len(texts))
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        catalog.put(embedder.fingerprint, batch, _checked(embedder.embed(batch), len(batch), embedder.dimension))
        progress("embed", min(start + BATCH, len(texts)), len(texts))
    return len(texts)


def write(chunks: Sequence[Chunk], draft: Draft, catalog: VectorCache, fingerprint: str, progress: Progress) -> None:
    """All chunks with their vectors into the draft."""
    for start in range(0, len(chunks), BATCH):
        batch = chunks[start : start + BATCH]
        draft.add(batch, catalog.get(fingerprint, [piece.search_text for piece in batch]))
        progress("write", min(start + BATCH, len(chunks)), len(chunks))


def _recipe(embedder: Embedder, chunking: Chunking, generations: Library) -> Recipe:
    sizes = chunking.tokens, chunking.overlap
    return Recipe(embedder.fingerprint, embedder.dimension, *sizes, VERSION, generations.place, generations.chroma)


def _checked(vectors: Vectors, count: int, dimension: int) -> Vectors:
    """Every later score relies on the Embedder contract, and a bad vector would be cached, so it is checked once, here."""
    if vectors.shape != (count, dimension):
        raise _unfit(f"shape {(count, dimension)}", f"shape {vectors.shape}")
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.allclose(lengths, 1, atol=1e-3):  # false for NaN, too
        raise _unfit("unit length", f"lengths from {lengths.min()} to {lengths.max()}")
    return vectors


def _unfit(expected: str, found: str) -> ModelFailed:
    return ModelFailed(
        expected=f"vectors of {expected}", found=found, remedy="use an embedding model that normalizes its vectors"
    )


def _unchanged(live: Manifest, seconds: float) -> IngestReport:
    rejected = tuple(Rejection(file, reason) for file, reason in live.rejected)
    return IngestReport(live.number, 0, live.count, 0, len(live.documents), rejected, 0, seconds, changed=False)


def _nothing(corpus: Path, rejected: Sequence[Rejection]) -> CorpusEmpty:
    reasons = "; ".join(f"{rejection.file}: {rejection.reason}" for rejection in rejected[:3])
    return CorpusEmpty(
        expected=f"at least one file with text under {corpus}",
        found=f"{len(rejected)} files that were left out ({reasons})" if rejected else "none",
        remedy="put documents there, or name another folder with --corpus; the live index stays as it is",
    )
