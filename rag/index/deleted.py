"""Proof of deletion: no file of a home holds a phrase of what was removed, and no index a word or a vector of it.

Of a removed text the catalogue keeps fingerprints of a few phrases, nothing that can be read. They are looked for in every file,
as text runs through it. Lexicon and vectors are compared the other way round: they hold nothing but what the catalogue lists.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rag.index.catalog import Catalog
from rag.index.lexical import LexicalIndex
from rag.index.manifest import LEXICAL, load_ledger
from rag.index.phrases import phrases

SKIPPED = "models"  # folder of a home: weights, which hold nothing of the shop
_RUN = re.compile(rb"(?:[\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3}){12,}")


def left_behind(home: Path, catalog: Catalog, kept: Mapping[int, Path], asked: Iterable[str] = ()) -> list[str]:
    """Where something of removed or edited texts is left, a sentence each.

    `kept` are the generations with their folders, the live one first. What those before it hold for a rollback is no finding
    in their own files and in the catalogue, nor what shoppers themselves said (`asked`) anywhere.
    """
    live, *earlier = kept
    said = _phrases(catalog, [live]).union(*map(phrases, asked))
    before = _phrases(catalog, earlier) - said
    removed = catalog.removed() - said - before
    may_hold = [kept[number] for number in earlier]
    problems = [problem for number, folder in kept.items() for problem in _more_than_listed(catalog, number, folder)]
    if unlisted := catalog.unlisted():
        problems.append(f"{catalog.path.name} holds {unlisted} vectors of text that was removed")
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        name = path.relative_to(home)
        if name.parts[0] == SKIPPED:
            continue
        known = path.name.startswith(catalog.path.name) or any(path.is_relative_to(one) for one in may_hold)
        if count := len(held_in(path) & (removed if known else removed | before)):
            problems.append(f"{name} holds {count} phrases of text that was removed")
    return problems


def gone(catalog: Catalog, generations: Sequence[int]) -> Callable[[str], bool]:
    """Whether a text says something that was removed, and that these generations do not say."""
    removed = catalog.removed() - _phrases(catalog, generations)
    return lambda text: not removed.isdisjoint(phrases(text))


def _phrases(catalog: Catalog, generations: Sequence[int]) -> set[bytes]:
    pages = (page for number in generations for page in catalog.pages(number))
    return {phrase for page in pages for chunk, encoded in page for phrase in phrases(f"{chunk.text}\n{encoded}")}


def _more_than_listed(catalog: Catalog, number: int, folder: Path) -> list[str]:
    """What a generation holds beyond what the catalogue lists for it."""
    chunks = [chunk for page in catalog.pages(number) for chunk, _ in page]
    listed = catalog.terms([chunk.search_text for chunk in chunks])
    known = {word for terms in listed for word in terms.words.split()}
    problems = []
    if words := LexicalIndex.load(folder / LEXICAL, chunks).words.keys() - known:
        problems.append(f"the lexicon of {folder.name} holds {len(words)} words of text that was removed")
    if extra := load_ledger(folder).keys() - {chunk.id for chunk in chunks}:
        problems.append(f"{folder.name} holds {len(extra)} chunks that were removed")
    return problems


def held_in(path: Path) -> set[bytes]:
    """Fingerprints of all phrases in a file, whatever its format, where its text is not packed."""
    if not path.stat().st_size:
        return set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return {phrase for run in _RUN.finditer(data) for phrase in phrases(run.group().decode("utf-8", "replace"))}
