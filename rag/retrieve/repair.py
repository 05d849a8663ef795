"""A shopper's spelling, repaired by what the shop's documents say: typos, homophones, pinyin; never a code or a number.

What is repaired is searched beside what was typed, so a wrong guess costs little; a good question must stay as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from rag.language import HAN, fold
from rag.retrieve.lattice import Lattice
from rag.retrieve.lexicon import Lexicon
from rag.retrieve.spelling import Spelling
from rag.retrieve.units import Unit, units

NAMED = 5  # chunks that a product's name counts as standing in
LONGEST = 400  # characters; longer texts are not typed in haste, and would take long
_SYLLABLE = "(?:[zcs]h|[b-df-hj-np-tw-z])?[aeiouvü]{1,3}(?:ng|n|r)?"
_TONED = re.compile(rf"(?<![\w-])(?:{_SYLLABLE}[1-5])+(?:{_SYLLABLE}[1-5]?)*(?![\w-])", re.IGNORECASE)  # pinyin with tones
_DIGITS = re.compile(r"\d")
_GAP = re.compile(rf"(?<=[{HAN}]) (?=[{HAN}])")


class Repair:
    """Built once per generation of the index from the words of its documents."""

    def __init__(self, words: Mapping[str, int], names: Iterable[str] = ()) -> None:
        """`words`: folded words of the documents with the number of chunks that hold them; `names`: what products are called."""
        lexicon = Lexicon({**{fold(name): NAMED for name in names}, **words})
        self._spelling = Spelling(lexicon.english)
        self._lattice = Lattice(lexicon)

    def repair(self, text: str) -> str:
        """The text as it was most likely meant; itself when nothing needs repair."""
        if len(text) > LONGEST:
            return text
        toned = _TONED.findall(text)
        if sum(map(str.isdigit, "".join(toned))) > 1:  # one may well be the number of a product
            meant = self._read(_TONED.sub(lambda word: _DIGITS.sub("", word[0]), text))
            if not any(_DIGITS.sub("", word) in meant for word in toned):
                return meant
        return self._read(text)

    def _read(self, text: str) -> str:
        cut = units(text)
        loud = text.isascii() and text.upper() == text
        meant = self._lattice.read(cut, lambda at: self._english(cut, at, loud))
        return text if meant == text else _GAP.sub("", meant)

    def _english(self, cut: Sequence[Unit], at: int, loud: bool) -> tuple[str, float]:
        """What a Latin unit was meant to say, and the log probability of that."""
        word = cut[at].text
        if not cut[at].typed.isascii() or (len(word) > 1 and cut[at].typed.isupper() and not loud):  # a name; an abbreviation
            return word, self._spelling.unknown(word)
        return self._spelling.best(word)
