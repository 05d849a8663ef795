"""Which products a text names: by id, by full name, or as people shorten it."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from rag.language import HAN, fold
from rag.types import Chunk, Kind

_TOKEN = re.compile(rf"[{HAN}]|\d+|[^\W\d_{HAN}]+")
_NUMBERED = re.compile(rf"(?:[^\W\d_]|[{HAN} ])+?(?=\s*\d)")
_SHORT = re.compile(r"\D*[^\W\d]\D*\d+(?![\w-])")

Phrase = tuple[str, ...]


class Products:
    """The products of a shop. Spaces, hyphens, case and traditional characters make no difference to their names."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` maps what the catalogue calls a product, its id included, to the id."""
        brand = _brand(names)
        phrases: dict[Phrase, tuple[str, str]] = {}
        for name, id in sorted(names.items()):
            for form in _forms(name, brand):
                phrases.setdefault(_tokens(form), (form, id))
        self._starting: dict[str, list[tuple[Phrase, str, str]]] = {}
        for phrase in sorted(phrases, key=len, reverse=True):
            if phrase:
                self._starting.setdefault(phrase[0], []).append((phrase, *phrases[phrase]))

    @classmethod
    def families(cls, chunks: Iterable[Chunk]) -> dict[str, set[str]]:
        """What is left of products' names without brand, number and what follows, and the ids it may mean: Ember of Ember 400."""
        entries = [chunk for chunk in chunks if chunk.kind is Kind.PRODUCT and chunk.facets.product]
        brand = _brand([name for chunk in entries for name in (chunk.title, *chunk.aliases)])
        found: dict[str, set[str]] = {}
        for chunk in entries:
            for name in (chunk.title, *chunk.aliases):
                if numbered := _NUMBERED.match(name.removeprefix(f"{brand} ")):
                    found.setdefault(numbered[0].strip(), set()).add(chunk.facets.product)
        return found

    @classmethod
    def of(cls, chunks: Iterable[Chunk]) -> Products:
        """Those that an index has a product entry for."""
        entries = [chunk for chunk in chunks if chunk.kind is Kind.PRODUCT and chunk.facets.product]
        return cls({name: c.facets.product for c in entries for name in (c.title, *c.aliases, c.facets.product)})

    def mentioned(self, text: str) -> dict[str, str]:
        """Name -> id of the products that `text` names, in order; the longest name wins where several fit."""
        tokens, found, at = _tokens(text), dict[str, str](), 0
        while at < len(tokens):
            for phrase, name, id in self._starting.get(tokens[at], ()):
                if tokens[at : at + len(phrase)] == phrase:
                    found[name] = id
                    at += len(phrase) - 1
                    break
            at += 1
        return found

    def about(self, chunk: Chunk) -> set[str]:
        """Ids of the products that a chunk is about: its page's, and those in its title."""
        return {chunk.facets.product, *self.mentioned(chunk.title).values()} - {""}


@functools.lru_cache(maxsize=10_000)
def _tokens(text: str) -> Phrase:
    return tuple(_TOKEN.findall(fold(text)))


def _brand(names: Iterable[str]) -> str:
    """The word that most names of several words begin with; empty if there is none."""
    firsts = [name.split()[0] for name in names if " " in name and name.isascii()]
    [(word, times)] = Counter(firsts).most_common(1) or [("", 0)]
    return word if 2 * times > len(firsts) > 1 else ""


def _forms(name: str, brand: str) -> Iterator[str]:
    """The name, without the brand, and only as far as its number: Acme Ember 400 Headlamp, Ember 400 Headlamp, Ember 400."""
    plain = name.removeprefix(f"{brand} ")
    if short := _SHORT.match(plain):
        yield short[0]
    yield plain
    yield name
