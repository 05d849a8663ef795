"""From settings to what lies under the home: the index generations, the catalogue, the record; and what keeps them in order."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import DataError
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.index.generation import Generations
    from rag.record.store import Recorder

# Below the home; the last two are what the gold questions found when the live generation was checked, and which changed.
CATALOG, INDEX, LOCK, GOLD_FOUND, GOLD_CHANGED = "catalog.sqlite", "index", "lock", "gold-found.json", "gold-changed.json"


def build_generations(settings: Settings) -> Generations:
    """The index generations under the home."""
    from rag.index.generation import Generations

    return Generations(settings.home, settings.index.chroma_url, settings.index.keep)


def build_recorder(settings: Settings) -> Recorder:
    """The record of turns and votes."""
    from rag.answer.contract import as_dict
    from rag.record.store import Recorder

    settings.home.mkdir(parents=True, exist_ok=True)
    return Recorder(settings.database_url or f"sqlite:///{settings.home / 'record.sqlite'}", as_dict)


def backup(settings: Settings, target: Path) -> int:
    """Copy the home into a new folder while it is served, the live generation alone; returns the generation's number.

    The copy is a home: SHOPTALK_HOME=target answers as this one did. What lies elsewhere is not copied: a record in another
    database, and vectors on a Chroma server, which an ingest after restoring writes anew from the catalogue. Raises DataError
    if `target` holds something already, NoIndex, HomeBusy.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(expected=f"a new folder at {target}", found="something there", remedy="name another one")
    generations = build_generations(settings)
    with generations.lock("backup"):
        number = generations.copy_live(target)
        for path in sorted(settings.home.glob("*")):
            if path.suffix == ".sqlite":
                with closing(sqlite3.connect(path)) as held, closing(sqlite3.connect(target / path.name)) as copy:
                    held.backup(copy)
                (target / path.name).chmod(path.stat().st_mode)
            elif path.is_dir() and path.name != INDEX:
                shutil.copytree(path, target / path.name)
            elif path.is_file() and ".sqlite" not in path.name and path.name != LOCK:
                shutil.copy2(path, target / path.name)
    return number


def left_behind(settings: Settings) -> list[str]:
    """Where something of removed or edited documents is left, a sentence each. Raises NoIndex."""
    from rag.index.catalog import Catalog
    from rag.index.deleted import left_behind as found

    generations = build_generations(settings)
    folders = generations.folders()
    with generations.lock("verify"), Catalog(settings.home / CATALOG) as catalog, closing(build_recorder(settings)) as recorder:
        asked = (text for turn in recorder.turns() for text in (turn.question, turn.answer["query"]))
        return found(settings.home, catalog, folders, asked)


def purge(settings: Settings) -> tuple[int, int]:
    """Remove what is kept for a rollback and what recorded answers say of removed documents, from the files, too.

    Returns how many generations were removed, and how many recorded turns lost a text. Raises HomeBusy, NoIndex.
    """
    from rag.index.catalog import Catalog
    from rag.index.deleted import gone

    generations = build_generations(settings)
    recorder = build_recorder(settings)
    with generations.lock("purge"), Catalog(settings.home / CATALOG) as catalog, closing(recorder):
        removed = generations.prune(keep=1)
        catalog.prune(generations.kept()[:1])
        forgotten = recorder.forget(gone(catalog, generations.kept()[:1]))
        catalog.compact()
        (settings.home / GOLD_CHANGED).unlink(missing_ok=True)  # it tells what was answered before
    return removed, forgotten
