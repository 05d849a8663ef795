"""A generator that hands everything on to another one: what listens to it or remembers what it said builds on this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rag.ports import Generator
from rag.types import Piece, Turn


class Relay:
    """The Generator port over another one."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    @property
    def fingerprint(self) -> str:
        """That of the other."""
        return self._generator.fingerprint

    def load(self) -> object:
        """The other's weights."""
        return self._generator.load()

    def count(self, messages: Sequence[Turn]) -> int:
        """Tokens of the rendered prompt."""
        return self._generator.count(messages)

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """The other's pieces."""
        return self._generator.stream(messages, max_tokens, stopped)
