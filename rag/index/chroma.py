"""The door to Chroma: one collection is one generation, in a folder or on a server.

Answers do not wait for Chroma. Opening reads all chunks and vectors once into memory, and search is a matrix product over them:
with 100,000 chunks of 384 dimensions that is 15 ms of one core, it misses nothing, and it gives the same order every time, while
an HNSW graph is approximate and built by several threads, so that two builds of the same data differ. Above EXACT_LIMIT chunks
memory and time speak for the graph, and Chroma answers.

The space is inner product, not cosine: on unit vectors the two rank alike, but Chroma stores a cosine space's vectors normalized
once more, which changes their last bits, and then no digest could tell damage from rounding.

Texts are kept as metadata, not as Chroma's documents: it indexes those by every three letters, for a search that nobody asks for
here, and that took half the time of writing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import chromadb
import httpx
import numpy as np
from chromadb.config import Settings
from chromadb.errors import NotFoundError

from rag.errors import HomeError
from rag.index.codec import Ledger, decode, encode, seal
from rag.index.ranking import best_rows
from rag.ports import Mask, Vectors
from rag.types import Chunk

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

EXACT_LIMIT = 200_000  # chunks
BATCH = 5_000  # rows written in one call, at most: twice as fast as a thousand, and no more than SQLite takes
SENT = 500  # rows sent to a server in one call
CARE = ((20_000, 40), (EXACT_LIMIT, 100))  # up to so many chunks, neighbours looked at for each that joins the graph
THOROUGH = 200  # ... and where answers come from it
PAGE = 5_000  # rows read in one call
FEW = 2_000  # chunks that a mask lets pass and that are compared one by one rather than looked for in the graph
_SHARED = threading.Lock()  # clients of one folder share a core, and chromadb counts them without one


class ChromaStore:
    """A Store in one Chroma collection, written once and then only read."""

    def __init__(self, client: ClientAPI, collection: Any, batch: int = BATCH) -> None:  # noqa: ANN401 - chromadb is not typed for us
        """`batch` rows are written in one call."""
        self._client = client
        self._collection = collection
        self._batch = min(batch, client.get_max_batch_size())
        self._chunks: list[Chunk] = []
        self._matrix: Vectors | None = None
        self._row: dict[str, int] = {}

    @classmethod
    def create(cls, folder: Path, place: str, name: str, count: int) -> ChromaStore:
        """An empty collection that will hold exactly `count` chunks, at least one.

        Chroma writes its HNSW files, and lets go of its log, after the batch with which `sync_threshold` rows are there; it has
        no flush. What is left is read at every opening, and with every batch. So each batch has that many, the last included.
        """
        batch = batch_of(count)
        least = (count - 1) % batch + 1  # rows of the last
        careful = next((care for most, care in CARE if count <= most), THOROUGH)
        hnsw = {"space": "ip", "sync_threshold": least, "ef_construction": careful}
        with ExitStack() as opened:
            client = _connect(folder, place)
            opened.callback(_disconnect, client)
            collection = client.create_collection(name, embedding_function=None, configuration={"hnsw": hnsw})
            store = cls(client, collection, SENT if place else batch)
            opened.pop_all()
        return store

    @classmethod
    def open(cls, folder: Path, place: str, name: str) -> ChromaStore:
        """The collection as it was written; nothing is read yet. Raises chromadb's errors."""
        with ExitStack() as opened:
            client = _connect(folder, place)
            opened.callback(_disconnect, client)
            collection = client.get_collection(name, embedding_function=None)
            store = cls(client, collection)
            opened.pop_all()
        return store

    @staticmethod
    def remove(folder: Path, place: str, name: str) -> None:
        """Delete a collection of a server, if it is there; a folder's goes with the folder."""
        client = _connect(folder, place)
        try:
            client.delete_collection(name)
        except NotFoundError:
            pass  # the ingest died before it was made, or while it was removed
        finally:
            _disconnect(client)

    def add(self, chunks: Sequence[Chunk], vectors: Vectors, encoded: Sequence[str] = ()) -> None:
        """Append batch_of() chunks, or all of them.

        Ids must be new (Chroma would ignore known ones in silence, the seal's check would not). `encoded` is the JSON of each
        chunk, where it is at hand.
        """
        encoded = encoded or [encode(chunk) for chunk in chunks]
        for start in range(0, len(chunks), self._batch):
            batch = chunks[start : start + self._batch]
            with _answering():
                self._collection.add(
                    ids=[chunk.id for chunk in batch],
                    embeddings=vectors[start : start + self._batch],
                    metadatas=[
                        {"chunk": json, "text": chunk.text}
                        for json, chunk in zip(encoded[start : start + self._batch], batch, strict=True)
                    ],
                )

    def rows(self) -> Iterator[tuple[list[Chunk], Vectors, Ledger]]:
        """Everything as Chroma holds it, page by page: chunks, their vectors, shape (page, dimension), and their hashes."""
        for offset in range(0, self._collection.count(), PAGE):
            page = self._collection.get(include=["embeddings", "metadatas"], limit=PAGE, offset=offset)
            encoded = [metadata["chunk"] for metadata in page["metadatas"]]
            chunks = [decode(metadata["chunk"], metadata["text"]) for metadata in page["metadatas"]]
            vectors = page["embeddings"].astype(np.float32)
            rows = zip(chunks, vectors, encoded, strict=True)
            yield chunks, vectors, {chunk.id: seal(chunk, vector, json) for chunk, vector, json in rows}

    def load(self) -> Ledger:
        """Read all chunks and vectors into memory and hash them; up to EXACT_LIMIT chunks Chroma is then let go."""
        chunks: list[Chunk] = []
        pages: list[Vectors] = []
        ledger: Ledger = {}
        for page, vectors, seals in self.rows():
            chunks += page
            pages.append(vectors)
            ledger |= seals
        order = sorted(range(len(chunks)), key=lambda row: chunks[row].id)
        self._chunks = [chunks[row] for row in order]
        self._row = {chunk.id: row for row, chunk in enumerate(self._chunks)}
        if len(chunks) <= EXACT_LIMIT:
            self._matrix = np.concatenate(pages)[order] if pages else np.zeros((0, 1), np.float32)
            self.close()
        return ledger

    def search(self, vector: Vectors, k: int, mask: Mask | None = None) -> list[tuple[Chunk, float]]:
        """At most k chunks by falling cosine similarity (-1..1) to `vector`, shape (dimension,); ties by id. Needs load().

        Where there is a mask, shape (count,) in the order of chunks(), only chunks for which it is True.
        """
        if self._matrix is None:
            return self._search_graph(vector, k, mask)
        scores = self._matrix @ vector
        return [(self._chunks[row], float(scores[row])) for row in best_rows(scores, k, mask)]

    def _search_graph(self, vector: Vectors, k: int, mask: Mask | None) -> list[tuple[Chunk, float]]:
        """By Chroma; it knows nothing of the mask, so more is fetched until k pass. A few that may pass are all compared."""
        allowed = self.count() if mask is None else int(np.count_nonzero(mask))
        if mask is not None and allowed <= FEW:
            chunks = [self._chunks[row] for row in np.flatnonzero(mask)]
            scores = self.cosines(vector, [chunk.id for chunk in chunks])
            return sorted(zip(chunks, scores, strict=True), key=lambda pair: -pair[1])[:k]
        fetch = k * self.count() // allowed
        while True:
            found = [(self._row[id], score) for id, score in self.nearest(vector[None], min(fetch, self.count()))[0]]
            passed = [(self._chunks[row], score) for row, score in found if mask is None or mask[row]]
            if len(passed) >= min(k, allowed) or fetch >= self.count():
                return passed[:k]
            fetch *= 2

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> list[float]:
        """Cosine similarity (-1..1) of these chunks to `vector`, shape (dimension,), in the order of `ids`. Needs load()."""
        if not ids:
            return []
        if self._matrix is not None:
            return [float(score) for score in self._matrix[[self._row[id] for id in ids]] @ vector]
        got = self._collection.get(ids=list(ids), include=["embeddings"])
        scores = dict(zip(got["ids"], got["embeddings"].astype(np.float32) @ vector, strict=True))
        return [float(scores[id]) for id in ids]

    def nearest(self, vectors: Vectors, k: int) -> list[list[tuple[str, float]]]:
        """By Chroma's own graph: for each row of `vectors`, (id, cosine) of about the k nearest chunks."""
        found = self._collection.query(query_embeddings=vectors, n_results=k, include=["distances"])
        rows = zip(found["ids"], found["distances"], strict=True)
        return [[(id, 1 - float(distance)) for id, distance in zip(*row, strict=True)] for row in rows]

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in the order of their ids. Needs load()."""
        return iter(self._chunks)

    def vectors(self) -> Vectors:
        """Shape (count, dimension): all vectors, in the order of chunks(); a large index's are read from Chroma. Needs load()."""
        if self._matrix is not None:
            return self._matrix
        pages = [([self._row[chunk.id] for chunk in chunks], vectors) for chunks, vectors, _ in self.rows()]
        matrix = np.empty((len(self._chunks), pages[0][1].shape[1]), np.float32)
        for rows, vectors in pages:
            matrix[rows] = vectors
        return matrix

    def count(self) -> int:
        """Number of chunks."""
        return len(self._chunks) or int(self._collection.count())

    def close(self) -> None:
        """Release files and connections; what load() read into memory stays."""
        _disconnect(self._client)


def batch_of(count: int) -> int:
    """How many of `count` rows to write at a time, so that no batch is much smaller than another."""
    return -(-count // -(-count // BATCH))


def _connect(folder: Path, place: str) -> ClientAPI:
    settings = Settings(anonymized_telemetry=False, _env_file=None)  # a shop's own .env is not Chroma's business
    if not place:
        with _SHARED:
            return chromadb.PersistentClient(str(folder.resolve()), settings)
    url = urlsplit(place)
    secure = url.scheme == "https"
    try:
        return chromadb.HttpClient(url.hostname or "", url.port or (443 if secure else 80), secure, settings=settings)
    except ValueError as error:  # what chromadb raises when no one answers
        raise HomeError(
            expected=f"a Chroma server at {place}", found=str(error), remedy="start it, or correct index.chroma_url"
        ) from error


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise HomeError(
            expected="the Chroma server to answer",
            found=f"that it went away ({error})",
            remedy="start it and ingest again; the live index stays as it is",
        ) from error


def _disconnect(client: ClientAPI) -> None:
    with _SHARED:
        client.close()
