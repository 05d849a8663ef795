"""Passages that their own words do not find: no shopper will ever be answered from them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from rag.language import statements
from rag.ports import Progress
from rag.retrieve.search import Search
from rag.types import Chunk, Filter, Kind

SEED = 0


@dataclass(frozen=True, slots=True)
class Unfound:
    """A chunk that is not among what its question finds; `instead` is what comes first, if anything does."""

    chunk: Chunk
    question: str
    instead: Chunk | None


@dataclass(frozen=True, slots=True)
class Finding:
    """How many chunks were looked for, among so many that may be found today, and those that were not among the first `k`."""

    looked: int
    among: int
    k: int
    unfound: tuple[Unfound, ...]


def look(search: Search, chunks: Sequence[Chunk], sample: int, k: int, today: date, progress: Progress) -> Finding:
    """Search for `sample` chunks, always the same ones of an index, as their own readers would. 0 looks for none."""
    allowed = [chunk for chunk in chunks if chunk.facets.in_force(today)]
    chosen = random.Random(SEED).sample(allowed, min(sample, len(allowed)))
    unfound: list[Unfound] = []
    for done, chunk in enumerate(sorted(chosen, key=lambda chunk: chunk.id), start=1):
        question = question_of(chunk)
        _, passages = search.find(question, (), k, Filter(region=chunk.facets.region, audience=chunk.facets.audience))
        if not any(_same(passage.chunk, chunk) for passage in passages):
            unfound.append(Unfound(chunk, question, passages[0].chunk if passages else None))
        progress("search", done, len(chosen))
    return Finding(len(chosen), len(allowed), k, tuple(unfound))


def question_of(chunk: Chunk) -> str:
    """A FAQ's question, a product's name; of others the title with the first sentence that is no heading."""
    if chunk.kind in (Kind.FAQ, Kind.PRODUCT):
        return chunk.title
    said = next((text for text in statements(chunk.text) if not text.startswith("#")), "")
    return " ".join(f"{chunk.title} {said}".replace("|", " ").split())


def _same(found: Chunk, wanted: Chunk) -> bool:
    """A product's entry in another language stands for it."""
    is_product = found.kind is wanted.kind is Kind.PRODUCT and found.facets.product == wanted.facets.product
    return found.id == wanted.id or found.text == wanted.text or (is_product and bool(wanted.facets.product))
