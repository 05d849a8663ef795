"""Files -> Documents -> Chunks -> vectors -> generation N+1 -> sealed -> live."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from rag.errors import CorpusEmpty, ModelFailed, Unreadable
from rag.ingest.apart import ReadFile, TookTooLong, reading_apart
from rag.ingest.report import IngestReport, Postponed, Rejection
from rag.ingest.scan import scan
from rag.language import statements
from rag.ports import Catalog, Counts, Embedder, Library, Progress, Vectors
from rag.types import Chunk, Document, Manifest, Recipe

VERSION = 8  # raise it when reading or chunking makes other chunks of the same file
BATCH = 256  # texts embedded between two commits
WINDOW = 4096  # chunks in memory at once, and no document cut in two
Check = Callable[[Manifest | None, Manifest], None]  # what is live, and what is to be
Read = tuple[Document, Sequence[Chunk], Sequence[str]]  # a document, its chunks, and all texts that need a vector


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


class Steps(Protocol):
    """Who reads, cuts and embeds: this process, or others for it. Both make the same bits."""

    @property
    def windows(self) -> int:
        """How many windows to hand over for embedding at a time."""

    def cut(self, found: Found, recipe: Recipe) -> Iterator[Read | Rejection]:
        """What becomes of every file, in their order. Raises ModelFailed, ClusterFailed."""

    def embed(self, batches: Sequence[Sequence[str]]) -> Iterator[tuple[Sequence[str], Vectors]]:
        """Every batch with its vectors, in any order. Raises ModelFailed, ClusterFailed."""


@dataclass(frozen=True, slots=True)
class LocalSteps:
    """In this process, one after the other; `read` as reading_apart() gives it."""

    embedder: Embedder
    read: ReadFile
    windows: int = 1

    def cut(self, found: Found, recipe: Recipe) -> Iterator[Read | Rejection]:
        """See Steps."""
        for id, path in found.files:
            try:
                yield cut(self.read(path, id), recipe, self.embedder)
            except TookTooLong as error:
                yield Postponed(id, str(error))
            except Unreadable as error:
                yield Rejection(id, str(error))

    def embed(self, batches: Sequence[Sequence[str]]) -> Iterator[tuple[Sequence[str], Vectors]]:
        """See Steps."""
        return ((batch, self.embedder.embed(batch)) for batch in batches)


def unchecked(live: Manifest | None, new: Manifest) -> None:
    """What lets every new generation go live."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress that no one watches."""


def ingest(
    corpus: Path,
    generations: Library,
    catalog: Catalog,
    embedder: Embedder,
    chunking: Chunking,
    progress: Progress = silent,
    check: Check = unchecked,
    steps: Steps | None = None,
) -> IngestReport:
    """Bring the live index up to date with a corpus folder, by LocalSteps unless told otherwise.

    A kill at any instant leaves the old generation live, and what was embedded in the catalogue. Raises CorpusEmpty if no file
    can be read (else they are reported), HomeBusy, ModelFailed, IndexDamaged, and what `check` raises to keep the old one live.
    """
    started = time.monotonic()
    with generations.lock("ingest"), reading_apart() as read:
        generations.prune()  # a dead ingest may have left something
        found = look(corpus)
        recipe = _recipe(embedder, chunking, generations)
        live = generations.live()
        if live and (live.recipe, live.sources) == (recipe, found.sources) and generations.is_sound():
            catalog.prune(generations.kept())
            return _unchanged(live, time.monotonic() - started)
        held, rejected, embedded = fill(found, catalog, recipe, steps or LocalSteps(embedder, read), progress)
        if not held:
            raise _nothing(corpus, rejected)
        with generations.start(recipe) as draft:
            documents = catalog.enlist(draft.number, recipe, held)
            rejected += _rows(catalog.rejected(draft.number))
            draft.write(catalog.path, sum(documents.values()), progress)
            progress("check", 0, 1)
            manifest = draft.seal(found.sources | held, documents, [(one.file, one.reason) for one in rejected])
        check(live, manifest)
        progress("check", 1, 1)
        generations.make_live(manifest)
        counts = catalog.compare(live.number if live else 0, manifest.number)
        generations.prune()
        catalog.prune(generations.kept())
    return _changed(manifest, counts, rejected, embedded, time.monotonic() - started)


def look(corpus: Path) -> Found:
    """Which files there are, and the hash of each."""
    found = scan(corpus)
    files: list[tuple[str, Path]] = []
    rejected = list(found.rejected)
    sources = {rejection.file: rejection.reason for rejection in rejected}
    for path in found.files:
        id = path.relative_to(corpus).as_posix()
        if sources.setdefault(id, digest_of(path)):
            files.append((id, path))
        else:
            sources[id] = "expected a file that can be opened; found none, or one that may not be; check its permissions"
            rejected.append(Rejection(id, sources[id]))
    return Found(tuple(files), sources, tuple(rejected))


def digest_of(path: Path) -> str:
    """sha256 of the file's bytes, hex; empty if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def fill(
    found: Found, catalog: Catalog, recipe: Recipe, steps: Steps, progress: Progress
) -> tuple[dict[str, str], tuple[Rejection, ...], int]:
    """Read, cut and embed what the catalogue does not hold yet, a window of documents at a time.

    Returns sha256 of every document that is held now, what was left out, and how many texts were embedded. Windows and batches
    depend on the files alone, so that an ingest that takes up after a kill embeds in the batches of the dead one.
    """
    known = catalog.known(recipe, found.sources)
    held = {id: found.sources[id] for id, _ in found.files if id in known}
    refused = catalog.refused(recipe, found.sources)
    unread = replace(found, files=tuple((id, path) for id, path in found.files if id not in known | refused.keys()))
    rejected = [*found.rejected, *(Rejection(id, reason) for id, reason in refused.items())]
    count = len(rejected)
    embedded = 0
    windows = _windows(unread, recipe, steps, rejected, progress)
    while group := list(islice(windows, steps.windows)):
        wanted = [[text for _, _, texts in window for text in texts] for window in group]
        embedded += embed_missing(wanted, catalog, recipe, steps, progress)
        for window in group:
            catalog.keep(recipe, window)
            held |= {document.id: document.digest for document, _, _ in window}
    paths = dict(unread.files)
    lasting = [one for one in rejected[count:] if not isinstance(one, Postponed)]
    refused |= {one.file: one.reason for one in lasting if digest_of(paths[one.file]) == found.sources[one.file]}
    catalog.refuse(recipe, found.sources, refused)
    return held, tuple(rejected), embedded


def _windows(unread: Found, recipe: Recipe, steps: Steps, rejected: list[Rejection], progress: Progress) -> Iterator[list[Read]]:
    """Documents with their chunks until there are WINDOW of them, again and again; files that cannot be read go to `rejected`."""
    window: list[Read] = []
    total = len(unread.files)
    for done, made in enumerate(steps.cut(unread, recipe), 1):
        if isinstance(made, Rejection):
            rejected.append(made)
        else:
            window.append(made)
        progress("read", done, total)
        if sum(len(chunks) for _, chunks, _ in window) >= WINDOW or done == total:
            yield window
            window = []


def cut(document: Document, recipe: Recipe, embedder: Embedder) -> Read:
    """A document, its chunks, each once (a repeated paragraph is one chunk), and their texts that need a vector.

    Raises Unreadable if nothing is left of it.
    """
    from rag.ingest.chunk import chunk  # its splitter is slow to import, and unchanged input needs none

    pieces = {piece.id: piece for piece in reversed(chunk(document, embedder.count, recipe.tokens, recipe.overlap))}
    if not pieces:
        raise Unreadable(expected="something to read", found="a document without words", remedy="fill the file or remove it")
    chunks = [pieces[id] for id in sorted(pieces)]
    own = ((c.search_text, *c.questions, *c.negatives, *statements(c.text, c.label)) for c in chunks)
    return document, chunks, list(dict.fromkeys(text for texts in own for text in texts))


def embed_missing(wanted: Sequence[Sequence[str]], catalog: Catalog, recipe: Recipe, steps: Steps, progress: Progress) -> int:
    """Embed what the catalogue does not hold of these windows' texts, batch by batch; returns their number.

    Long texts of a window first: a batch holds texts of like length, so little is padded, and time left is not underestimated.
    """
    due: set[str] = set()
    batches: list[list[str]] = []
    for window in wanted:
        texts = [text for text in catalog.missing(recipe.embedder, window) if text not in due]
        texts.sort(key=lambda text: (-len(text), text))
        batches += [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        due |= set(texts)
    progress("embed", 0, len(due))
    done = 0
    for batch, vectors in steps.embed(batches):
        catalog.put(recipe.embedder, batch, _checked(vectors, len(batch), recipe.dimension))
        done += len(batch)
        progress("embed", done, len(due))
    return done


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


def _rows(rejected: Mapping[str, Sequence[str]]) -> tuple[Rejection, ...]:
    """Rows that were left out of documents, each "<row number>: <reason>"."""
    split = ((id, row.partition(": ")) for id, rows in rejected.items() for row in rows)
    return tuple(Rejection(f"{id}:{number}", reason) for id, (number, _, reason) in split)


def _changed(manifest: Manifest, counts: Counts, rejected: tuple[Rejection, ...], embedded: int, seconds: float) -> IngestReport:
    documents = len(manifest.documents)
    return IngestReport(manifest.number, *counts, documents, rejected, embedded, seconds, changed=True)


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
