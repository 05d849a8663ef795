"""A sealed generation read into memory, and what it was made of."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import HomeError
from rag.index.codec import Ledger, digest
from rag.index.holders import Holders
from rag.index.lexical import LexicalIndex
from rag.index.manifest import CHROMA, CONTENT, LEXICAL, QUESTIONS, SENTENCES, damaged, load_where
from rag.index.questions import Questions
from rag.index.sentences import Sentences
from rag.types import Manifest

if TYPE_CHECKING:
    from rag.index.chroma import ChromaStore


@dataclass(frozen=True, slots=True)
class Generation:
    """An opened generation: all that answering needs is in memory."""

    number: int
    manifest: Manifest
    store: ChromaStore
    lexical: LexicalIndex
    content: Holders
    questions: Questions
    sentences: Sentences


def read_generation(folder: Path, manifest: Manifest) -> Generation:
    """Read what the manifest describes. Raises IndexDamaged if what Chroma holds does not add up to its digest."""
    ledger, store = _read_store(folder)
    if len(ledger) != manifest.count or digest(ledger) != manifest.digest:
        store.close()
        found = f"{len(ledger)} of {manifest.count} chunks" if len(ledger) != manifest.count else "altered chunks"
        raise damaged(folder, [f"{found} in {CHROMA}"])
    chunks = list(store.chunks())
    lexical, questions = LexicalIndex.load(folder / LEXICAL, chunks), Questions.load(folder / QUESTIONS, chunks)
    content, sentences = Holders.load(folder / CONTENT), Sentences.load(folder / SENTENCES)
    return Generation(manifest.number, manifest, store, lexical, content, questions, sentences)


def _read_store(folder: Path) -> tuple[Ledger, ChromaStore]:
    """What Chroma holds, hashed and in memory."""
    from rag.index.chroma import ChromaStore

    place, name = load_where(folder)
    try:
        with ExitStack() as opened:
            store = ChromaStore.open(folder / CHROMA, place, name)
            opened.callback(store.close)
            ledger = store.load()
            opened.pop_all()  # a large index goes on being read from Chroma
        return ledger, store
    except HomeError:
        raise
    except Exception as error:
        raise damaged(folder, [f"{CHROMA} cannot be read: {error!r}"]) from error
