"""Chinese words by their sound: what a row of characters or typed syllables may have been meant to say."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rag.retrieve.lexicon import Vocabulary
from rag.retrieve.syllables import blurred, parts, word_reading
from rag.retrieve.units import Unit

# What slips cost, as natural logarithms. Chosen on the bundled dev questions, garbled and not.
HOMOPHONE, MISSED = 8.0, 8.0  # another character of the same syllable; a character missing, or two that changed places
NEAR = 2.0  # more, for a syllable that only sounds alike
NEAR_TYPED = 3.0  # the same where the syllable itself was typed
RIGHT = 4.0  # more, where what stands there is a word
ACROSS = 1.0  # for a word that goes on behind a space
FOREIGN = -13.0  # log probability below which a word of the language at large is not put in place of characters
RARE = 0.005  # share of a character's readings below which one is not considered
LETTERS = 6  # of the longest syllable
LONGEST = 6  # characters of a word with one that is missing

Trie = dict[Any, Any]  # blurred syllable or number -> Trie; None -> words that end here


class Word(NamedTuple):
    """A word, its reading and how unlikely it is; `fit` to stand in place of other characters."""

    cost: float
    text: str
    reading: tuple[str, ...]
    fit: bool


class Meant(NamedTuple):
    """What may have been meant up to before letter `letter` of unit `unit`, and what it costs."""

    unit: int
    letter: int
    text: str
    cost: float


class Sounds:
    """The words of a vocabulary by sound, and those of the documents by their likely misspellings."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        self._trie: Trie = {}
        self._garbled: dict[str, list[tuple[str, float]]] = defaultdict(list)
        costs = {word: -(words.log(word) or 0.0) for word in words.candidates}
        readings = {word: word_reading(word) for word in costs}
        self._syllables = {syllable for reading in readings.values() for syllable in reading}
        self._readings = _shares(costs, readings)
        for word, cost in costs.items():
            own = word in words.own
            if len(word) == 1:
                for reading, rarity in self._readings.get(word, {}).items():
                    self._add(Word(cost + rarity, word, (reading,), False))
            elif readings[word]:
                self._add(Word(cost, word, readings[word], own or -cost > FOREIGN))
            for garbled in misspelt(word) if own else ():
                self._garbled[garbled].append((word, cost))
        _sort(self._trie)

    def meant(self, units: Sequence[Unit], unit: int, letter: int) -> Iterator[Meant]:
        """Words that may have been meant by what begins here; what stands here is not among them."""
        for word, typed, end, end_letter in self._heard(units, unit, letter, self._trie, ()):
            yield Meant(end, end_letter, word.text, word.cost + self._price(word, typed))
        if units[unit].kind == "han":
            for end, text, meant, cost in self._misspelt(units, unit):
                yield Meant(end, 0, meant, cost + MISSED + (RIGHT if self._words.log(text) else 0.0))

    def _add(self, word: Word) -> None:
        node = self._trie
        for syllable in word.reading:
            node = node.setdefault(blurred(syllable), {})
        node.setdefault(None, []).append(word)

    def _heard(
        self, units: Sequence[Unit], unit: int, letter: int, node: Trie, typed: tuple[Unit, ...]
    ) -> Iterator[tuple[Word, tuple[Unit, ...], int, int]]:
        """Words that sound like the units from here on, with the units they stand for and where they end."""
        if typed and None in node:
            yield from ((word, typed, unit, letter) for word in _worth(node[None], typed))
        if typed and letter == 0 and unit < len(units) and units[unit].kind == "space":
            typed, unit = (*typed[:-1], typed[-1]._replace(kind=f"{typed[-1].kind} ")), unit + 1
        if unit >= len(units):
            return
        for sound, piece, end in self._pieces(units[unit], letter):
            if sound in node:
                to = (unit, end) if end < len(units[unit].text) else (unit + 1, 0)
                yield from self._heard(units, *to, node[sound], (*typed, piece))

    def _pieces(self, here: Unit, letter: int) -> Iterator[tuple[str, Unit, int]]:
        """What may be read next: its sound, what was typed, the letter it ends before."""
        if here.kind == "han":
            yield from ((sound, here, 1) for sound in {blurred(reading) for reading in self._readings.get(here.text, ())})
        elif here.kind == "number":
            yield here.text, here, len(here.text)
        elif here.kind == "latin":
            letter += here.text.startswith("'", letter)
            for end in range(letter + 1, min(letter + LETTERS, len(here.text)) + 1):
                syllable = here.text[letter:end]
                if syllable in self._syllables:
                    yield blurred(syllable), Unit("latin", syllable, syllable), end

    def _price(self, word: Word, typed: tuple[Unit, ...]) -> float:
        price = 0.0
        changed = False
        for piece, character, syllable in zip(typed, parts(word.text), word.reading, strict=True):
            price += ACROSS * piece.kind.endswith(" ")
            if piece.kind.startswith("latin"):
                price += NEAR_TYPED * (piece.text != syllable)
            elif piece.text != character:
                changed = True
                price += HOMOPHONE + NEAR * (syllable not in self._readings.get(piece.text, ()))
        return price + (RIGHT if changed and self._words.log("".join(piece.text for piece in typed)) else 0.0)

    def _misspelt(self, units: Sequence[Unit], unit: int) -> Iterator[tuple[int, str, str, float]]:
        """Words of the documents whose misspelling stands here: where it ends, what stands there, the word, its cost."""
        text = ""
        for end in range(unit, min(unit + LONGEST, len(units))):
            if units[end].kind != "han":
                return
            text += units[end].text
            yield from ((end + 1, text, word, cost) for word, cost in self._garbled.get(text, ()) if word != text)


def misspelt(word: str) -> Iterator[str]:
    """What a Chinese word becomes when two characters change places, or one of three or more is lost."""
    if not 2 <= len(word) <= LONGEST or word[-1].isdigit():
        return
    for at in range(len(word) - 1):
        yield f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}"
    for at in range(len(word) * (len(word) > 2)):
        yield f"{word[:at]}{word[at + 1 :]}"


def _worth(words: Sequence[Word], typed: tuple[Unit, ...]) -> Iterator[Word]:
    """Of words that sound the same, those that may be meant. Typed in letters: no rarer ones than the commonest read just so."""
    if any(piece.kind.startswith("han") for piece in typed):
        stands = "".join(piece.text for piece in typed)
        yield from (word for word in words if word.fit and word.text != stands)
        return
    syllables = tuple(piece.text for piece in typed)
    for word in words:
        yield word
        if word.reading == syllables:
            return


def _shares(costs: Mapping[str, float], readings: Mapping[str, tuple[str, ...]]) -> Mapping[str, Mapping[str, float]]:
    """Character -> reading -> minus the log of its share, counted over the words that hold the character."""
    shares: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for word, reading in readings.items():
        for character, syllable in zip(word, reading, strict=False):
            shares[character][syllable] += math.exp(-costs[word])
    found: dict[str, dict[str, float]] = {}
    for character, counted in shares.items():
        total = sum(counted.values())
        found[character] = {reading: -math.log(share / total) for reading, share in counted.items() if share > RARE * total}
    return found


def _sort(trie: Trie) -> None:
    for key, value in trie.items():
        if key is None:
            value.sort()
        else:
            _sort(value)
