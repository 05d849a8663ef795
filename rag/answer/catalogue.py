"""The facts that tables state of a thing by name: a product's or a row's lines "label: value", and where each stands."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from rag.language import HAN, fold
from rag.types import Chunk, Filter, Kind, Language

Named = Callable[[str], Mapping[str, tuple[str, ...]]]  # a text -> each name in it, and the ids of what it may mean

_FACT = re.compile(r"(?m)^([^:：\n]{1,40})[:：][ \t]*(\S[^\n]*?)[.。]?$")
_ASIDE = re.compile(r"\s*\([^)]*\)")
_TOKEN = re.compile(rf"[{HAN}]|\d+|[^\W\d_{HAN}]+")
_KIND = re.compile(r".*\d[^\W\d_]*\s+(?P<kind>\D{2,})")  # what follows the number of a name: Ember 400 Headlamp


@dataclass(frozen=True, slots=True)
class Fact:
    """chunk.text[start:end] states `value` under `label`; neither has the full stop."""

    label: str
    value: str
    start: int
    end: int

    @property
    def key(self) -> str:
        """The folded label without what it says in brackets: Stock (EU) and Stock (China) are both "stock"."""
        return _ASIDE.sub("", fold(self.label)).strip()


@dataclass(frozen=True, slots=True)
class Record:
    """What the catalogue states of one thing in one language."""

    id: str
    chunk: Chunk
    name: str

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The lines of the chunk that state something."""
        return _facts(self.chunk.text)

    @property
    def words(self) -> frozenset[str]:
        """The folded words and Chinese characters of its names and of what says its kind: they ask for nothing."""
        kind = (fact.value for fact in self.facts if fact.key in ("category", "类别"))
        table = (self.chunk.title, *self.chunk.headings) if self.chunk.kind is Kind.ROW else ()  # Tents
        return frozenset(_TOKEN.findall(fold(" ".join((self.name, *self.chunk.aliases, *kind, *table)))))


@dataclass(frozen=True)
class Catalogue:
    """The records of one generation, by id and language. `products` and `rows` find their names in a text."""

    records: Mapping[str, Mapping[str, Record]] = field(default_factory=dict)
    products: Named = lambda text: {}
    rows: Callable[[str], Mapping[str, str]] = lambda text: {}

    @classmethod
    def of(cls, chunks: Iterable[Chunk], products: Named, rows: Callable[[str], Mapping[str, str]]) -> Catalogue:
        """Those of an index."""
        records: dict[str, dict[str, Record]] = defaultdict(dict)
        for chunk in chunks:
            if chunk.facets.trust != "official":
                continue
            if chunk.kind is Kind.PRODUCT and chunk.facets.product:
                id = chunk.facets.product
                records[id].setdefault(chunk.facets.language, Record(id, chunk, chunk.title))
            elif chunk.kind is Kind.ROW and (name := _row_name(chunk)):
                records[chunk.id][chunk.facets.language] = Record(chunk.id, chunk, name)
        return cls(records, products, rows)

    def mentioned(self, text: str) -> dict[str, tuple[str, ...]]:
        """Names in the text -> ids of the records that each may mean, if any."""
        named = dict(self.products(text)) or {name: (id,) for name, id in self.rows(text).items()}
        found = {name: tuple(id for id in ids if id in self.records) for name, ids in named.items()}
        return {name: ids for name, ids in found.items() if ids}

    def record(self, id: str, language: Language, chosen: Filter, day: date) -> Record | None:
        """What is said of it in this language, or else in another; None if that is filtered out or not in force."""
        known = self.records[id]
        record = known.get(language) or known.get("") or next(iter(known.values()))
        facets = record.chunk.facets
        wanted = ((chosen.region, facets.region), (chosen.audience, facets.audience), (chosen.product, facets.product))
        passes = all(not own or not other or own.casefold() == other.casefold() for own, other in wanted)
        return record if passes and facets.in_force(day) else None

    def of_kind(self, text: str) -> tuple[tuple[str, ...], str]:
        """The ids of what is of the kind that the folded text speaks of, the longest in it, and the text without its name."""
        found = [kind for kind in self._kinds if re.search(_called(kind), text)]
        if not found:
            return (), text
        kind = max(found, key=len)
        return self._kinds[kind], re.sub(_called(kind), " ", text)

    @functools.cached_property
    def _kinds(self) -> Mapping[str, tuple[str, ...]]:
        """What products are, folded and in the singular, "headlamp", 头灯 -> ids of those that are."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for id, known in self.records.items():
            for record in known.values():
                if record.chunk.kind is Kind.PRODUCT and (match := _KIND.fullmatch(_ASIDE.sub("", fold(record.name)))):
                    found[match["kind"].strip()][id] = None
        return {kind: tuple(ids) for kind, ids in found.items()}


def _called(kind: str) -> str:
    """A pattern for what products are, in the singular or plural."""
    return rf"(?<![a-z]){re.escape(kind)}s?(?![a-z])"


def product_names(chunks: Iterable[Chunk]) -> frozenset[str]:
    """What the catalogue calls its products, in every language."""
    return frozenset(name for chunk in chunks if chunk.kind is Kind.PRODUCT for name in (chunk.title, *chunk.aliases))


def row_names(chunks: Iterable[Chunk]) -> dict[str, str]:
    """What rows are called -> the id of the chunk; a name that several rows share means none of them."""
    named = [(name, chunk.id) for chunk in chunks if chunk.kind is Kind.ROW and (name := _row_name(chunk))]
    times = Counter(fold(name) for name, _ in named)
    return {name: id for name, id in named if times[fold(name)] == 1 and any(map(str.isalpha, name))}


def _row_name(chunk: Chunk) -> str:
    """What a row is called: its heading, or else what its first line says."""
    first = _FACT.match(chunk.text)
    return chunk.headings[-1] if chunk.headings else first[2] if first else ""


def without(folded: str, names: Iterable[str]) -> str:
    """The folded text with a space for each of the names, however their parts are joined, and for the article before it."""
    for name in sorted(names, key=len, reverse=True):
        pattern = r"[\W_]*".join(map(re.escape, _TOKEN.findall(fold(name))))
        folded = re.sub(rf"(?:\b(?:the|an?|my|your|our) )?{pattern}(?!\d)", " ", folded)
    return folded


@functools.lru_cache(maxsize=4096)
def _facts(text: str) -> tuple[Fact, ...]:
    return tuple(Fact(match[1].strip(), match[2], match.start(), match.end()) for match in _FACT.finditer(text))
