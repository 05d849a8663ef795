"""A generation being written: what the catalogue lists in, a sealed folder out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rag.index.canary import Examine
from rag.index.codec import digest
from rag.index.manifest import SCHEMA, damaged, hash_files, load_ledger, save_manifest, sync_tree
from rag.index.writer import write_apart
from rag.ports import Progress
from rag.types import Manifest, Recipe


class GenerationDraft:
    """A generation being written; see ports.Draft."""

    def __init__(self, folder: Path, number: int, previous: int, recipe: Recipe, examine: Examine) -> None:
        """`examine` is of a process that has read nothing yet; see rag.index.canary."""
        self.number = number
        self._folder, self._previous, self._recipe, self._examine = folder, previous, recipe, examine

    def write(self, catalog: Path, count: int, progress: Progress) -> None:
        """Write what the catalogue lists, `count` chunks, in a process of its own. Raises HomeError if that fails."""
        write_apart(self._folder, catalog, self.number, self._recipe.embedder, count, progress)

    def seal(self, sources: Mapping[str, str], documents: Mapping[str, int], rejected: Sequence[tuple[str, str]]) -> Manifest:
        """Prove in a fresh process that all that was written can be read and found. Raises IndexDamaged if not."""
        ledger = load_ledger(self._folder)
        if problems := self._examine(self._folder, len(ledger)):
            raise damaged(self._folder, problems)
        sync_tree(self._folder)
        manifest = Manifest(
            number=self.number,
            previous=self._previous,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            recipe=self._recipe,
            sources=dict(sources),
            documents=dict(documents),
            rejected=tuple(rejected),
            count=len(ledger),
            digest=digest(ledger),
            files=hash_files(self._folder),
            schema=SCHEMA,
        )
        save_manifest(self._folder, manifest)
        return manifest
