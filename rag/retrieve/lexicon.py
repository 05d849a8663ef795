"""How likely a word is: in this shop's documents and in the language at large, English and Chinese."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping

from rag.language import HAN

OWN = 0.5  # share of a word's probability that the shop's documents decide; the rest is the language at large
COMMON = 1e-6  # share of all text from which on a word of the language at large may be what was meant
LONGEST = 8  # characters of a Chinese word
_LATIN = re.compile(r"[a-z]+(?:'[a-z]+)?")
_CHINESE = re.compile(rf"[{HAN}]{{1,{LONGEST}}}")
_NAME = re.compile(rf"(?P<name>[{HAN}]{{1,{LONGEST}}})\s?(?P<number>\d{{1,5}})(?!\d)")


class Vocabulary:
    """The words of one language: `own` are those of the documents, `candidates` all that may be what was meant."""

    def __init__(self, general: Mapping[str, float], own: Mapping[str, int], form: re.Pattern[str]) -> None:
        """`general`: share of all text by word; `own`: number of chunks by word; `form`: what a candidate looks like."""
        self._general = general
        self.own = own
        self._unit = OWN / max(sum(own.values()), 1)
        self.candidates = sorted({*own, *(word for word, share in general.items() if share >= COMMON and form.fullmatch(word))})

    def log(self, word: str) -> float | None:
        """Log probability; None for a word that nothing holds."""
        share = (1 - OWN) * self._general.get(word, 0.0) + self._unit * self.own.get(word, 0)
        return math.log(share) if share else None


class Lexicon:
    """Both languages. A Chinese product name stands with its number, "余烬400", besides without."""

    def __init__(self, words: Mapping[str, int]) -> None:
        """`words`: folded words and product names of the documents with the number of chunks that hold them."""
        english: dict[str, int] = {}
        chinese: dict[str, int] = {}
        for entry, count in words.items():
            for word in _words(entry):
                kept = english if word.isascii() else chinese
                kept[word] = max(kept.get(word, 0), count)
        self.english = Vocabulary(_general("en"), english, _LATIN)
        self.chinese = Vocabulary(_general("zh"), chinese, _CHINESE)


def _words(entry: str) -> Iterator[str]:
    """The words of a word or name: "pinebeck ember 400 headlamp", "余烬 400 头灯" -> 余烬400, 余烬, 头灯."""
    for name in _NAME.finditer(entry):
        yield name["name"] + name["number"]
    yield from (part for part in entry.split() if _LATIN.fullmatch(part) or _CHINESE.fullmatch(part))


@functools.lru_cache(maxsize=2)
def _general(language: str) -> Mapping[str, float]:
    from wordfreq import get_frequency_dict

    shares: Mapping[str, float] = get_frequency_dict(language, "large")
    return shares
