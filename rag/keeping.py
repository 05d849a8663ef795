"""From settings to what lies under the home: the index generations, the catalogue, the record; and what keeps them in order."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from rag.settings import Settings

if TYPE_CHECKING:
    from rag.index.generation import Generations
    from rag.record.store import Recorder

CATALOG = "catalog.sqlite"  # below the home


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
    return removed, forgotten
