"""The seams: what a part must do to take another's place. Shapes, order and units are part of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.types import Answer, Chunk, Document, History, Passage, Query, Turn

Vectors = NDArray[np.float32]


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


class Generator(Protocol):
    """Messages to text."""

    @property
    def fingerprint(self) -> str:
        """Names model, weights and adapter."""

    def count(self, messages: Sequence[Turn]) -> int:
        """Tokens of the rendered prompt."""

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[str]:
        """Pieces of the reply, greedy unless settings say otherwise; ends soon after `stopped()` is true.

        Raises ModelFailed in the consumer's thread, whatever thread generates.
        """


class Store(Protocol):
    """Chunks and their vectors, one sealed generation."""

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Append; ids must be new."""

    def search(self, vector: Vectors, k: int) -> list[tuple[Chunk, float]]:
        """At most k chunks by falling cosine similarity (-1..1) to `vector`, shape (dimension,)."""

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in the order of their ids."""

    def count(self) -> int:
        """Number of chunks."""

    def close(self) -> None:
        """Release files and connections; the store is unusable afterwards."""


class PassageSource(Protocol):
    """One way to find passages; fusing several is again a PassageSource."""

    def find(self, query: Query, k: int) -> list[Passage]:
        """At most k passages by falling score, no chunk twice."""


class Reader(Protocol):
    """A file to a Document."""

    def read(self, path: Path, id: str) -> Document:
        """Raises Unreadable with the reason."""


class Observer(Protocol):
    """Told of every finished turn, after the shopper has the answer; may not raise into the answer."""

    def observe(self, conversation: str, question: str, history: History, answer: Answer) -> None:
        """Take note of one turn."""
