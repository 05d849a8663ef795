"""Numbered index generations and the one pointer that says which is live.

index/CURRENT           "gen-0007": moved by one rename, last of all
index/LAST              the highest number there has been, so that a number means one generation for ever
index/gen-0007/chroma/         vectors, texts, metadata
              /lexical/        BM25
              /content/        in how many chunks a content term occurs
              /questions/      vectors of the questions that chunks answer
              /sentences/      vectors of the chunks' sentences
              /ledger.json     hashes of every chunk
              /where.json      which Chroma place and collection
              /manifest.json   the seal: written when the rest was proven whole, never changed
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from rag.errors import HomeError, IndexDamaged, NoIndex
from rag.index.canary import canary
from rag.index.codec import digest
from rag.index.draft import GenerationDraft
from rag.index.lock import home_lock, reading, removing
from rag.index.manifest import (
    CHROMA,
    DAMAGED,
    LEDGER,
    MANIFEST,
    REBUILD,
    changed_files,
    check_fit,
    damaged,
    load_ledger,
    load_manifest,
    load_where,
    save_where,
    sync_tree,
    write_atomically,
)
from rag.index.opened import Generation, read_generation
from rag.types import Manifest, Recipe

log = logging.getLogger(__name__)
POINTER, LAST, _PREFIX = "CURRENT", "LAST", "gen-"


class Generations:
    """The index generations of a home; see ports.Library. Making one of these touches nothing."""

    def __init__(self, home: Path, chroma_url: str = "", keep: int = 2) -> None:
        self._home, self._index, self._keep = home, home / "index", keep
        self._place = chroma_url
        self._known: Manifest | None = None

    @property
    def place(self) -> str:
        """Empty for files under the home, else the URL of the Chroma server."""
        return self._place

    @property
    def chroma(self) -> str:
        """Version of chromadb."""
        return version("chromadb")

    def lock(self, purpose: str) -> AbstractContextManager[None]:
        """Own the home for a while. Raises HomeBusy at once if another process does."""
        return home_lock(self._home, purpose)

    def live(self) -> Manifest | None:
        """What is live; None if nothing is, or if its manifest cannot be read. Cheap: one small file is read."""
        number = self._pointer()
        if number is None:
            return None
        if self._known is None or self._known.number != number:
            try:
                self._known = load_manifest(self._folder(number))
            except HomeError as error:
                log.warning("generation %d cannot be used: %s", number, error)
                return None
        return self._known

    def open(self, fingerprint: str, number: int | None = None) -> Generation:
        """The live generation, or the one of that number, for the embedder with this fingerprint.

        Raises NoIndex, IndexMismatch, IndexDamaged. Files are compared with the seal before Chroma's native code reads them; what
        was read is compared with the manifest's digest.
        """
        chosen = self._pointer() if number is None else number
        if chosen is None:
            raise self._none()
        folder = self._folder(chosen)
        try:
            with reading(folder):
                return self._open(folder, load_manifest(folder), fingerprint)
        except IndexDamaged:
            if number is None and self._pointer() != chosen:  # an ingest moved on and removed it while it was being read
                return self.open(fingerprint)
            self._remember_damage(folder)
            raise

    def is_sound(self) -> bool:
        """Whether the live generation's files are those that were sealed, and no one found it damaged since."""
        manifest = self.live()
        if manifest is None:
            return False
        folder = self._folder(manifest.number)
        return not (folder / DAMAGED).exists() and not self._broken_files(folder, manifest)

    def verify(self) -> list[str]:
        """Check everything about the live generation; what is wrong with it, one sentence each. Raises NoIndex."""
        number = self._pointer()
        if number is None:
            raise self._none()
        problems = self._problems(number)
        if problems:
            self._remember_damage(self._folder(number))
        return problems

    def rollback(self) -> int:
        """Make the generation before the live one live again; returns its number. Raises HomeError if there is none."""
        with self.lock("rollback"):
            number = self._pointer()
            before = [kept for kept in self.kept() if number is not None and kept < number]
            if not before:
                raise HomeError(
                    expected=f"a generation before the live one in {self._index}",
                    found="none",
                    remedy=f"{REBUILD} on the corpus you want, or keep more (index.keep)",
                )
            target = max(before)
            if problems := self._problems(target):
                raise damaged(self._folder(target), problems)
            self._point_to(target)
            return target

    @contextmanager
    def start(self, recipe: Recipe) -> Iterator[GenerationDraft]:
        """A block that writes and seals a draft."""
        previous = self._pointer() or 0
        number = max([previous, self._number_in(LAST) or 0, *self._numbers()]) + 1
        folder = self._folder(number)
        folder.mkdir(parents=True)
        write_atomically(self._index / LAST, f"{folder.name}\n")
        # a server may serve several homes, so the number alone would not be a name
        name = f"shoptalk-{folder.name}" if not self._place else f"shoptalk-{folder.name}-{secrets.token_hex(4)}"
        save_where(folder, self._place, name)
        with reading(folder), canary() as examine:
            yield GenerationDraft(folder, number, previous, recipe, examine)

    def make_live(self, manifest: Manifest) -> None:
        """Move the pointer."""
        self._point_to(manifest.number)

    def prune(self, keep: int = 0) -> int:
        """Remove what dead ingests left, and generations beyond those kept, or beyond `keep`; returns how many."""
        kept = self.kept()[: keep or None]
        surplus = [self._folder(number) for number in self._numbers() if number not in kept]
        for folder in surplus:
            with removing(folder) as free:
                if free:
                    _remove(folder)
        return len(surplus)

    def copy_live(self, home: Path) -> int:
        """Copy the live generation into another home, where it is live; returns its number. Raises NoIndex."""
        number = next(iter(self.folders()))
        copied = Generations(home)
        with reading(self._folder(number)):
            shutil.copytree(self._folder(number), copied._folder(number))
        sync_tree(copied._folder(number))
        copied._point_to(number)
        return number

    def folders(self) -> dict[int, Path]:
        """Where the kept generations lie, the live one first. Raises NoIndex."""
        if not (kept := self.kept()):
            raise self._none()
        return {number: self._folder(number) for number in kept}

    def _none(self) -> NoIndex:
        return NoIndex(expected=f"a live index in {self._index}", found="none", remedy=REBUILD)

    def _open(self, folder: Path, manifest: Manifest, fingerprint: str) -> Generation:
        check_fit(manifest, fingerprint, self.place, self.chroma)
        if problems := self._broken_files(folder, manifest):
            raise damaged(folder, problems)
        return read_generation(folder, manifest)

    def _problems(self, number: int) -> list[str]:
        folder = self._folder(number)
        try:
            with reading(folder):
                manifest = load_manifest(folder)
                if problems := self._broken_files(folder, manifest):
                    return problems  # Chroma must not read what it would trust
                if digest(load_ledger(folder)) != manifest.digest:
                    return [f"{folder / LEDGER} does not add up to the manifest's digest"]
                with canary() as examine:
                    return examine(folder, manifest.count)
        except HomeError as error:
            return [str(error)]

    def _broken_files(self, folder: Path, manifest: Manifest) -> list[str]:
        problems = changed_files(folder, manifest.files)
        if not manifest.recipe.place and not (folder / CHROMA / "chroma.sqlite3").is_file():
            problems.append(f"{folder / CHROMA / 'chroma.sqlite3'} is missing")
        return problems

    def kept(self) -> list[int]:
        """Numbers of the live generation and those before it that stay, newest first."""
        number = self._pointer()
        if number is None:
            return []
        kept: list[int] = []
        sealed = {n for n in self._numbers() if (self._folder(n) / MANIFEST).exists()}
        try:
            while len(kept) < self._keep and (number in sealed or not kept):
                kept.append(number)
                number = load_manifest(self._folder(number)).previous
        except HomeError:  # its past is unknown, so nothing that is whole may go
            return sorted({*kept, *sealed}, reverse=True)
        return kept

    def _remember_damage(self, folder: Path) -> None:
        """Chroma's own file may differ from the seal without harm, so whoever finds real damage tells the next ingest."""
        with suppress(OSError):  # a read-only home is told by the exception alone
            (folder / DAMAGED).touch()

    def _pointer(self) -> int | None:
        """The live generation's number, None if there is none; 0, which none has, if the pointer's file is damaged."""
        return self._number_in(POINTER)

    def _number_in(self, file: str) -> int | None:
        try:
            name = (self._index / file).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        number = name.removeprefix(_PREFIX)
        return int(number) if number.isascii() and number.isdigit() else 0

    def _point_to(self, number: int) -> None:
        write_atomically(self._index / POINTER, f"{self._folder(number).name}\n")

    def _folder(self, number: int) -> Path:
        return self._index / f"{_PREFIX}{number:04d}"

    def _numbers(self) -> list[int]:
        names = [path.name.removeprefix(_PREFIX) for path in self._index.glob(f"{_PREFIX}*")]
        return sorted(int(name) for name in names if name.isdigit())


def _remove(folder: Path) -> None:
    (folder / MANIFEST).unlink(missing_ok=True)  # first, so that what is left after a kill is not taken for whole
    try:
        place, name = load_where(folder)
        if place:
            from rag.index.chroma import ChromaStore

            ChromaStore.remove(folder / CHROMA, place, name)
    except HomeError as error:  # a server that is gone must not stop every later ingest
        log.warning("vectors of %s may be left behind: %s", folder.name, error)
    shutil.rmtree(folder)
