"""A generator that is asked nothing twice: its replies lie in a file, so that what is fitted to them can be fitted again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rag.evaluate.relay import Relay
from rag.ports import Generator
from rag.types import Piece, Turn


class Remembered(Relay):
    """The Generator port over another one."""

    def __init__(self, generator: Generator, file: Path) -> None:
        super().__init__(generator)
        self._file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        self._known: dict[str, list[Piece]] = {}
        for line in lines:
            if line.endswith("]]"):  # a killed run may leave half a line
                key, pieces = json.loads(line)
                self._known[key] = [Piece(*piece) for piece in pieces]

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """The pieces that the other gave, or gives now; they are kept when its reply has ended, not when it was stopped."""
        asked = repr((self.fingerprint, max_tokens, list(messages)))
        key = hashlib.sha256(asked.encode()).hexdigest()[:24]
        if key not in self._known:
            pieces = list(self._generator.stream(messages, max_tokens, stopped))
            if stopped():
                yield from pieces
                return
            self._known[key] = pieces
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, pieces]) + "\n")
        yield from self._known[key]
