"""What documents are about, by name: products, and titles that several passages share, such as a hotel's, a film's, a town's.

A title counts as a name when more than one passage stands under it, it is short and no question, and the documents hardly
use its words for anything else: "Returns" is the title of a page and a word of every other page, "Kohinoor" is a name. People
leave out "the" and what kind of thing it is ("the Gonville" for GONVILLE HOTEL), write "&", and mistype.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from rag.language import HAN, fold, words
from rag.ports import Rows, Scores
from rag.retrieve.products import Products
from rag.types import Chunk, Kind

Phrase = tuple[str, ...]

LONGEST = 8  # words of a title that can be a name
KIND = 3  # names that must end in the same words for these to say what kind of thing it is
OWN = 0.5  # share of the passages with a name's rarest word that must stand under the name
EVERYDAY = 3e-5  # share of all that is said and written from which a word alone is no short form: "worth" for WORTH HOUSE
TYPO = 5  # letters from which a word may have a slip of the finger; from 8 letters, two
_TOKEN = re.compile(rf"[{HAN}]|\d+|[^\W\d_{HAN}]+")
_HAN = re.compile(f"[{HAN}]")
_QUESTION = re.compile(
    r"[?？!！。]|^(?:how|what|when|where|which|who|why|can|could|do|does|did|is|are|will|would|should|may|i|my|we)\b|"
    r"吗|呢|怎么|怎样|如何|什么|多少|多久|能否|是否|可以"
)
_TITLED = (Kind.PAGE, Kind.PASSAGE, Kind.ROW)  # a FAQ's title is its question, a product's is among the products
KINDS = ("product", "entity")  # an entity is what a title names
NONE = np.zeros(0, dtype=np.intp)


class Titles:
    """Names that are titles. Case, "the", "&", a final s and what kind of thing it is make no difference."""

    def __init__(self, titles: Mapping[str, int], words: Mapping[str, int]) -> None:
        """`titles` -> passages under it; `words`: folded words of the documents -> passages that hold them."""
        self._words = words
        names = {title: phrase for title in sorted(titles) if 0 < len(phrase := _tokens(title)) <= LONGEST}
        kinds = _kinds(names.values())
        named: Counter[str] = Counter()
        for title, phrase in names.items():
            named.update(dict.fromkeys(phrase, titles[title]))
        full: dict[Phrase, list[str]] = defaultdict(list)
        short: dict[Phrase, list[str]] = defaultdict(list)
        for title, phrase in names.items():
            if len(_words_of(phrase)) > 1 or self._is_rare(phrase, max(named[word] for word in phrase)):
                full[phrase].append(title)
            for form in _shortened(phrase, kinds):
                if self._is_rare(form, titles[title]) and not _is_everyday(form):
                    short[form].append(title)
            if phrase[-2:] in kinds and not _HAN.match(phrase[-1]):
                short[(*phrase[:-2], "".join(phrase[-2:]))].append(title)  # guesthouse for guest house
        self._starting: dict[str, list[tuple[Phrase, tuple[str, ...]]]] = defaultdict(list)
        for phrase, meant in sorted({**short, **full}.items(), key=lambda pair: -len(pair[0])):
            self._starting[phrase[0]].append((phrase, tuple(meant)))
        self._spelled: dict[str, list[str]] = defaultdict(list)
        for word in sorted({word for phrase in (*full, *short) for word in phrase if len(word) >= TYPO - 1}):
            self._spelled[word[0]].append(word)
        self._correct = functools.lru_cache(maxsize=10_000)(self._nearest)

    def mentioned(self, text: str) -> dict[str, tuple[str, ...]]:
        """What is written in the text, corrected -> the titles it may mean, in order; the longest name wins."""
        if not self._starting:
            return {}
        found: dict[str, tuple[str, ...]] = {}
        tokens = tuple(self._correct(token) for token in _tokens(text))
        at = 0
        while at < len(tokens):
            for phrase, titles in self._starting.get(tokens[at], ()):
                if tokens[at : at + len(phrase)] == phrase:
                    found[titles[0] if len(titles) == 1 else " ".join(phrase)] = titles
                    at += len(phrase) - 1
                    break
            at += 1
        return found

    def _is_rare(self, phrase: Phrase, passages: int) -> bool:
        """Whether the documents use the phrase's rarest word mostly under this name."""
        rarest = min(max(self._words.get(word, 0), self._words.get(f"{word}s", 0)) for word in _words_of(phrase))
        return rarest * OWN <= passages

    def _nearest(self, word: str) -> str:
        """The word of a name that was meant by a word that no document has."""
        if len(word) < TYPO or word in self._words or f"{word}s" in self._words or word in self._spelled.get(word[0], ()):
            return word
        slips = 1 if len(word) < 8 else 2
        best = process.extractOne(word, self._spelled.get(word[0], ()), scorer=OSA.distance, score_cutoff=slips)
        return str(best[0]) if best else word


class Entities:
    """All that can be spoken of by name, and the chunks about each. Ids are those of products, and titles."""

    def __init__(
        self,
        products: Products,
        titles: Titles,
        rows: Mapping[str, Rows],
        catalogue: Iterable[str] = (),
        families: tuple[Titles, Mapping[str, tuple[str, ...]]] | None = None,
    ) -> None:
        """`rows`: id -> the chunks about it, ascending; `catalogue`: the ids that are products'; `families`: see families()."""
        self._products, self._titles, self._rows = products, titles, rows
        self._families, self._members = families or (Titles({}, {}), {})
        self._catalogue = frozenset(catalogue)
        self._some = {kind: self.rows(id for id in rows if (id in self._catalogue) == (kind == "product")) for kind in KINDS}

    @classmethod
    def of(cls, chunks: Sequence[Chunk], words: Mapping[str, int]) -> Entities:
        """Those of an index: its chunks in the order of Store.chunks(), its words -> chunks that hold them."""
        products = Products.of(chunks)
        by_title: dict[str, list[int]] = defaultdict(list)
        under: Counter[str] = Counter()
        rows: dict[str, set[int]] = defaultdict(set)
        for row, chunk in enumerate(chunks):
            by_title[chunk.title].append(row)
            under[chunk.title] += chunk.kind in _TITLED
            if chunk.facets.product:
                rows[chunk.facets.product].add(row)
        names = {title: count for title, count in under.items() if count > 1 and _is_name(title)}
        titles = Titles({title: count for title, count in names.items() if not products.mentioned(title)}, words)
        catalogue = set(rows)
        for title, own in by_title.items():
            for id in products.mentioned(title).values():
                rows[id].update(own)
                catalogue.add(id)
            for meant in titles.mentioned(title).values():
                for id in meant:
                    rows[id].update(own)
        about = {id: np.array(sorted(own), dtype=np.intp) for id, own in rows.items()}
        return cls(products, titles, about, catalogue, families(chunks, about, words))

    def mentioned(self, text: str) -> dict[str, tuple[str, ...]]:
        """Names in the text as the documents write them -> ids of what each may mean."""
        products: dict[str, tuple[str, ...]] = {name: (id,) for name, id in self._products.mentioned(text).items()}
        known = {id for ids in products.values() for id in ids}
        for family in self._families.mentioned(text):
            if not known & set(self._members.get(family, ())):  # "Ember" of "Ember 400" says no more
                products |= {family: self._members[family]} if family in self._members else {}
        return products | self._titles.mentioned(text)

    def ids(self, text: str) -> tuple[str, ...]:
        """Ids of all that the text names, each once."""
        return tuple(dict.fromkeys(id for meant in self.mentioned(text).values() for id in meant))

    def spelled(self, text: str) -> list[str]:
        """Product names of the text that it spells in another way than the catalogue: "swift360" for "Swift 360"."""
        return [name for name in self._products.mentioned(text) if name.casefold() not in text.casefold()]

    def rows(self, ids: Iterable[str]) -> Rows:
        """The chunks about any of these, ascending."""
        found = [self._rows[id] for id in ids if id in self._rows]
        return np.unique(np.concatenate(found)) if found else NONE

    def columns(self, named: Sequence[str], carried: Sequence[Sequence[str]], rows: Rows) -> dict[str, Scores]:
        """For these chunks, by kind: `kind` 1 about something named, `kind`_carried 1 / (1 + turns that name something since).

        `other_kind`: 1 about some of the kind, but none of those, while there are some.
        """
        columns: dict[str, Scores] = {}
        for kind in KINDS:
            own = self._about(named, kind, rows)
            before = np.zeros(len(rows))
            for age, ids in enumerate(carried, start=1):
                before = np.maximum(before, self._about(ids, kind, rows) / age)
            spoken = any((id in self._catalogue) == (kind == "product") for ids in (named, *carried) for id in ids)
            other = np.isin(rows, self._some[kind]) & (own == 0) & (before == 0) if spoken else np.zeros(len(rows))
            columns |= {kind: own, f"{kind}_carried": before, f"other_{kind}": other.astype(np.float64)}
        return columns

    def _about(self, ids: Iterable[str], kind: str, rows: Rows) -> Scores:
        chosen = self.rows(id for id in ids if (id in self._catalogue) == (kind == "product"))
        return np.isin(rows, chosen).astype(np.float64) if len(chosen) else np.zeros(len(rows))


def families(
    chunks: Iterable[Chunk], rows: Mapping[str, Rows], words: Mapping[str, int]
) -> tuple[Titles, dict[str, tuple[str, ...]]]:
    """What people say for a product without its number, "the Marmot" for "Marmot 1", and the products that it may mean.

    As with titles, the documents must hardly use the word for anything else, and it must not be an everyday word.
    """
    spoken_of = Products.families(chunks).items()
    members = {
        name: ids
        for name, ids in spoken_of
        if len(name) > 1 and not _is_everyday(_tokens(name)) and not _is_everyday_chinese(name)
    }
    spoken = {name: len(np.unique(np.concatenate([rows.get(id, NONE) for id in ids]))) for name, ids in members.items()}
    return Titles(spoken, words), {name: tuple(sorted(ids)) for name, ids in members.items()}


@functools.lru_cache(maxsize=10_000)
def _tokens(text: str) -> Phrase:
    found = _TOKEN.findall(re.sub(r"['’`]", "", fold(text).replace("&", " and ")))
    return tuple(token[:-1] if len(token) > 3 and token.endswith("s") else token for token in found if token != "the")


def _words_of(phrase: Phrase) -> list[str]:
    """The phrase's words: Chinese characters are cut into words again."""
    text = "".join(phrase) if all(_HAN.match(token) for token in phrase) else ""
    return words(text) if text else list(phrase)


def _is_name(title: str) -> bool:
    folded = fold(title).strip()
    letters = sum(character.isalpha() for character in folded)
    return 1 < letters <= 60 and not _QUESTION.search(folded)


def _is_everyday(form: Phrase) -> bool:
    if len(form) > 1:
        return False
    from wordfreq import word_frequency  # its lists take a while to read, and few shops need them

    return len(form[0]) == 1 or max(word_frequency(form[0], "en"), word_frequency(f"{form[0]}s", "en")) >= EVERYDAY


def _is_everyday_chinese(text: str) -> bool:
    """Whether all of it is a word that people say every day: a camera is no family of products."""
    from wordfreq import word_frequency

    return bool(_HAN.match(text)) and word_frequency(text, "zh") >= EVERYDAY / 3


def _endings(phrase: Phrase) -> list[Phrase]:
    """Its last one, two and three words, if more remain."""
    lengths = [len(word) if _HAN.match(word) else 1 for word in reversed(_words_of(phrase)[-3:])]
    return [phrase[-length:] for length in accumulate(lengths) if length < len(phrase)]


def _kinds(names: Iterable[Phrase]) -> frozenset[Phrase]:
    """Endings of many names: hotel, bed and breakfast."""
    endings = Counter(ending for phrase in names for ending in _endings(phrase))
    return frozenset(ending for ending, times in endings.items() if times >= KIND)


def _shortened(phrase: Phrase, kinds: frozenset[Phrase]) -> set[Phrase]:
    """The name without its kind: RESTAURANT ALIMENTUM, GONVILLE HOTEL."""
    cut = {phrase[: -len(ending)] for ending in _endings(phrase) if ending in kinds}
    return cut | ({phrase[1:]} if len(phrase) > 1 and phrase[:1] in kinds else set())


NOTHING = Entities(Products({}), Titles({}, {}), {})
