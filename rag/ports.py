"""The seams: what a part must do to take another's place. Shapes, order and units are part of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag.types import Answer, Chunk, Document, History, Manifest, Passage, Piece, Query, Recipe, Turn

Vectors = NDArray[np.float32]
TermHashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]  # one entry a chunk, in the order of Store.chunks(); True: may be found
Rows = NDArray[np.intp]  # of chunks, in the order of Store.chunks()
Scores = NDArray[np.float64]
Progress = Callable[[str, int, int], None]  # stage, done, total


class Embedder(Protocol):
    """Texts to vectors."""

    @property
    def fingerprint(self) -> str:
        """Names model, weights and pooling; vectors of different fingerprints never share an index."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def window(self) -> int:
        """Tokens of a text that count; the rest is cut off."""

    def count(self, text: str) -> int:
        """Tokens of `text`, special tokens included, uncut."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension), rows in the order given, unit length. Raises ModelFailed."""


@runtime_checkable
class TokenEmbedder(Embedder, Protocol):
    """An embedder that tells the vectors of a text's tokens, too."""

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """One array a text in the order given: shape (tokens, width), rows of unit length. Raises ModelFailed."""


class Reranker(Protocol):
    """How well a text answers a question."""

    @property
    def fingerprint(self) -> str:
        """Names model, weights and what it reads of a text."""

    def load(self) -> object:
        """Bring the weights into memory now instead of at the first question. Raises ModelFailed."""

    def score(self, query: str, texts: Sequence[str]) -> Scores:
        """Shape (len(texts),), finite, in the order given; higher is better, within one call. Raises ModelFailed."""


class Layout(NamedTuple):
    """A passage as the selector reads it: `pieces` one behind the other, under `subject`."""

    subject: str
    pieces: tuple[str, ...]
    units: tuple[tuple[int, int], ...]  # what can be chosen, each as its first piece and the one behind its last


class Selector(Protocol):
    """Whether a unit of a passage states what is asked."""

    @property
    def fingerprint(self) -> str:
        """Names model and weights."""

    def load(self) -> object:
        """Bring the weights into memory now instead of at the first question. Raises ModelFailed."""

    def score(self, question: str, passages: Sequence[Layout], before: str = "") -> Scores:
        """Shape (units of all passages in their order,), finite: the logit that a unit states it, against none that does.

        `before` is what was said just before the question. Unlike a reranker's it compares across questions. Raises ModelFailed.
        """


class Generator(Protocol):
    """Messages to text."""

    @property
    def fingerprint(self) -> str:
        """Names model, weights and adapter."""

    def load(self) -> object:
        """Bring the weights into memory now instead of at the first question. Raises ModelFailed."""

    def count(self, messages: Sequence[Turn]) -> int:
        """Tokens of the rendered prompt."""

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """Pieces of the reply, greedy unless settings say otherwise; ends soon after `stopped()` is true.

        Raises ModelFailed in the consumer's thread, whatever thread generates.
        """


class Store(Protocol):
    """Chunks and their vectors, one sealed generation."""

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Append; ids must be new."""

    def search(self, vector: Vectors, k: int, mask: Mask | None = None) -> list[tuple[Chunk, float]]:
        """At most k chunks by falling cosine similarity (-1..1) to `vector`, shape (dimension,); only those `mask` lets pass."""

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> list[float]:
        """Cosine similarity (-1..1) of known chunks to `vector`, shape (dimension,), in the order of `ids`."""

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in the order of their ids."""

    def vectors(self) -> Vectors:
        """Shape (count, dimension): all vectors, in the order of chunks()."""

    def count(self) -> int:
        """Number of chunks."""

    def close(self) -> None:
        """Release files and connections; the store is unusable afterwards."""


class Terms(NamedTuple):
    """A text as a lexical index counts it."""

    hashes: TermHashes  # one a term, as often as it occurs
    words: str  # its folded words, each once, sorted, a space between them
    content: TermHashes  # one a content term (rag.content), each once


class Counts(NamedTuple):
    """Chunks of a generation against those of the one before."""

    added: int
    unchanged: int
    removed: int


class Catalog(Protocol):
    """The truth about what a home holds: documents, chunks, vectors and which generation holds what. It survives a kill."""

    @property
    def path(self) -> Path:
        """The file, for processes that write a generation from it."""

    def known(self, recipe: Recipe, files: Mapping[str, str]) -> set[str]:
        """Of these files, path -> sha256, those whose document is held, cut by this recipe."""

    def keep(self, recipe: Recipe, read: Iterable[tuple[Document, Sequence[Chunk], Iterable[str]]]) -> None:
        """Hold documents, each with its chunks and with all texts that need a vector; all of the call or none."""

    def refused(self, recipe: Recipe, files: Mapping[str, str]) -> dict[str, str]:
        """Of these files, path -> sha256, those that could not be read by this recipe, and why."""

    def refuse(self, recipe: Recipe, files: Mapping[str, str], reasons: Mapping[str, str]) -> None:
        """Note these reasons, path -> why, instead of all that were noted before."""

    def enlist(self, generation: int, recipe: Recipe, files: Mapping[str, str]) -> dict[str, int]:
        """Note that a generation holds the documents of these files; returns the number of chunks of each."""

    def rejected(self, generation: int) -> dict[str, list[str]]:
        """Rows that were left out of a generation's documents, each "<row number>: <reason>", by document."""

    def compare(self, old: int, new: int) -> Counts:
        """How many chunks of generation `new` are not in `old`, are in both, and are in `old` alone."""

    def missing(self, embedder: str, texts: Iterable[str]) -> list[str]:
        """The texts without a vector, each once, in the order given."""

    def put(self, embedder: str, texts: Sequence[str], vectors: Vectors) -> None:
        """Keep one vector a text; all or none of the call is kept."""

    def prune(self, generations: Iterable[int]) -> None:
        """Forget all but what these generations hold."""


class Draft(Protocol):
    """A generation being written; invisible until it is sealed and made live."""

    @property
    def number(self) -> int:
        """The generation's number, under which the catalogue lists what it will hold."""

    def write(self, catalog: Path, count: int, progress: Progress) -> None:
        """Write what the catalogue lists, `count` chunks, in a process of its own. Raises HomeError if that fails."""

    def seal(self, sources: Mapping[str, str], documents: Mapping[str, int], rejected: Sequence[tuple[str, str]]) -> Manifest:
        """Prove in a fresh process that all that was written can be read and found. Raises IndexDamaged if not."""


class Library(Protocol):
    """The index generations of a home. start(), make_live() and prune() need the lock."""

    @property
    def place(self) -> str:
        """Empty for files under the home, else the URL of the Chroma server."""

    @property
    def chroma(self) -> str:
        """Version of chromadb."""

    def lock(self, purpose: str) -> AbstractContextManager[None]:
        """Own the home for a while. Raises HomeBusy at once if another process does."""

    def live(self) -> Manifest | None:
        """What is live; None if nothing is, or if its manifest cannot be read. Cheap."""

    def is_sound(self) -> bool:
        """Whether the live generation's files are those that were sealed, and no one found it damaged since."""

    def start(self, recipe: Recipe) -> AbstractContextManager[Draft]:
        """A block that writes and seals a draft."""

    def make_live(self, manifest: Manifest) -> None:
        """Move the pointer."""

    def prune(self) -> int:
        """Remove what dead ingests left, and generations beyond those kept; returns how many."""

    def kept(self) -> list[int]:
        """Numbers of the live generation and those before it that stay, newest first."""


class PassageSource(Protocol):
    """One way to find passages; fusing several is again a PassageSource."""

    def find(self, query: Query, k: int) -> list[Passage]:
        """At most k passages by falling score, no chunk twice: all are in force today, and pass the query's filter."""


class WordSearch(Protocol):
    """All chunks of a generation by their words."""

    def find(self, query: Query, k: int, mask: Mask | None = None) -> list[Passage]:
        """At most k passages by falling BM25 (0..) that share a word with the query's text; only those `mask` lets pass."""

    def match(self, text: str, rows: Rows) -> tuple[Scores, Scores, Scores]:
        """Of these chunks: BM25 (0..), that as a share of the most it could be for `text` (0..1), and coverage (0..1).

        Coverage is the share of the known words of `text`, weighed by rarity, that a chunk holds.
        """


class QuestionSearch(Protocol):
    """The questions that point to a chunk, and those that point away from it, by meaning."""

    def find(self, vector: Vectors, k: int, mask: Mask | None = None) -> list[tuple[Chunk, float, str]]:
        """At most k chunks by falling cosine of their best question, with that question; only those `mask` lets pass."""

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> list[float]:
        """Best cosine of a chunk's own questions, -1 where it has none, in the order of `ids`."""

    def against(self, vector: Vectors, ids: Sequence[str]) -> list[float]:
        """Best cosine of a chunk's negative questions, -1 where it has none, in the order of `ids`."""


class SentenceSearch(Protocol):
    """The sentences of chunks, by meaning."""

    def cosines(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Shape (len(vectors), len(rows)): best cosine of each chunk's sentences to each vector, -1 for a chunk without any."""


class Reader(Protocol):
    """A file to a Document."""

    def read(self, path: Path, id: str) -> Document:
        """Raises Unreadable with the reason."""


class Observer(Protocol):
    """Told of every finished turn, after the shopper has the answer; may not raise into the answer."""

    def observe(self, conversation: str, question: str, history: History, answer: Answer) -> None:
        """Take note of one turn."""
