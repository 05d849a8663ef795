"""English spelling by a noisy channel: the word that was most likely meant, given how likely it is and what slips it takes.

Kernighan, Church, Gale 1990. Costs are natural logarithms, fitted by hand on the bundled dev questions and public training sets.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping

from rapidfuzz import process
from rapidfuzz.distance import OSA

from rag.retrieve.lexicon import Vocabulary

UNKNOWN = 6.0  # what an unknown word costs, and
UNKNOWN_LETTER = 2.5  # for each of its letters
SWAP, DOUBLE, NEIGHBOUR, VOWEL, GAP, OTHER = 3.5, 4.0, 5.0, 3.5, 5.5, 7.0
FIRST = 2.5  # on top, when the first letter is another: people rarely miss it
SPLIT = 5.0  # a forgotten space
SHORTEST = 3  # letters of a word whose spelling is looked at
LONG = 6  # letters from which on two slips are looked for
COMMON = -11.0  # log probability from which on a word is what it seems
DOUBTS = ((-14.6, 5.0), (-18.0, 1.5))  # (log probability, by how much a likelier word must win over one above it)
UNKNOWN_STEM = -16.0  # log probability up to which a word does not vouch for its inflections
ENDINGS = ("'s", "s", "es", "ed", "ing", "er", "ers", "ly", "ish", "less", "able")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_VOWELS = frozenset("aeiouy")
# What people type in chats, where no slip of the finger explains it.
CHAT: Mapping[str, str] = {
    "u": "you", "r": "are", "ur": "your", "n": "and", "pls": "please", "plz": "please", "thx": "thanks", "tnx": "thanks",
    "wanna": "want to", "gonna": "going to", "gotta": "have to", "lemme": "let me", "gimme": "give me", "wat": "what",
    "wut": "what", "wen": "when", "wer": "where", "hw": "how", "bcoz": "because", "bcuz": "because", "cuz": "because",
    "coz": "because", "abt": "about", "msg": "message", "pic": "picture", "tmrw": "tomorrow", "tmr": "tomorrow", "dat": "that",
    "wud": "would", "cud": "could", "shud": "should", "shld": "should", "wld": "would", "cld": "could", "hv": "have",
    "ppl": "people", "rly": "really", "yr": "your", "mins": "minutes", "hrs": "hours", "thru": "through", "nite": "night",
}  # fmt: skip


def _neighbours() -> dict[str, frozenset[str]]:
    places = {letter: (row, column) for row, letters in enumerate(_ROWS) for column, letter in enumerate(letters)}
    near: dict[str, set[str]] = defaultdict(set)
    for one, (row, column) in places.items():
        for other, (row2, column2) in places.items():
            if one != other and abs(row - row2) <= 1 and -1 <= column2 - column + (row2 - row) * 0.5 <= 1:
                near[one].add(other)
    return {letter: frozenset(others) for letter, others in near.items()}


NEIGHBOURS = _neighbours()


class Spelling:
    """Repairs single words; what was worked out for a word is kept."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        self._lengths: dict[int, list[str]] = defaultdict(list)
        for word in words.candidates:
            self._lengths[len(word)].append(word)
        self.best = functools.lru_cache(maxsize=20_000)(self._best)

    @staticmethod
    def unknown(word: str) -> float:
        """The log probability of a word that is in no list."""
        return -(UNKNOWN + UNKNOWN_LETTER * len(word))

    def _best(self, word: str) -> tuple[str, float]:
        """What was most likely meant by the folded `word`, itself if nothing is likelier, and the log probability of that."""
        kept = self._words.log(word) or self.unknown(word)
        if word in CHAT and word not in self._words.own:
            return CHAT[word], max(kept, self._words.log(CHAT[word]) or kept)
        if len(word) < SHORTEST or kept > COMMON or word in self._words.own or self._inflects(word):
            return word, kept
        needed = kept + next((doubt for log, doubt in DOUBTS if kept > log), 0.0)
        meant, score = max(self._meant(word), key=lambda pair: (pair[1], pair[0]), default=(word, kept))
        return (meant, score) if score > needed else (word, kept)

    def _inflects(self, word: str) -> bool:
        """Whether the word is a form of one that is at least as common as a rare word."""
        stems = (word.removesuffix(ending) for ending in ENDINGS if word.endswith(ending))
        return any(len(stem) >= SHORTEST and (self._words.log(stem) or UNKNOWN_STEM) > UNKNOWN_STEM for stem in stems)

    def _meant(self, word: str) -> Iterator[tuple[str, float]]:
        """Words that a few slips turn into `word`, and two words run together, each with its log probability."""
        slips = 1 if len(word) < LONG else 2
        more = slips if len(word) > SHORTEST else 0  # of three letters, two may have changed places
        for length in range(len(word) - more, len(word) + more + 1):
            near = process.extract(word, self._lengths.get(length, ()), scorer=OSA.distance, score_cutoff=slips, limit=None)
            for meant, _, _ in near:
                yield meant, (self._words.log(meant) or 0.0) - slip_cost(meant, word)
        for at in range(2, len(word) - 1):
            left, right = self._words.log(word[:at]), self._words.log(word[at:])
            if left and right:
                yield f"{word[:at]} {word[at:]}", left + right - SPLIT


def slip_cost(meant: str, typed: str) -> float:
    """The cheapest way from the word that was meant to the one typed: OSA distance with a price for each kind of slip."""
    before: list[float] = []
    row = [0.0]
    for column, letter in enumerate(typed):
        row.append(row[-1] + (DOUBLE if column and typed[column - 1] == letter else GAP + FIRST * (not column)))
    for line, wanted in enumerate(meant, start=1):
        doubled = line > 1 and meant[line - 2] == wanted
        earlier, before, row = before, row, [row[0] + (DOUBLE if doubled else GAP + FIRST * (line == 1))]
        for column, letter in enumerate(typed, start=1):
            first = FIRST if line == 1 and column == 1 else 0.0
            repeated = column > 1 and typed[column - 2] == letter
            costs = [
                before[column - 1] + _swapped_for(wanted, letter) + (first if wanted != letter else 0.0),
                before[column] + (DOUBLE if doubled else GAP) + first,
                row[column - 1] + (DOUBLE if repeated else GAP) + first,
            ]
            if line > 1 and column > 1 and meant[line - 2] == letter and typed[column - 2] == wanted:
                costs.append(earlier[column - 2] + SWAP)
            row.append(min(costs))
    return row[-1]


def _swapped_for(wanted: str, typed: str) -> float:
    if wanted == typed:
        return 0.0
    if typed in NEIGHBOURS.get(wanted, ()):
        return NEIGHBOUR
    return VOWEL if wanted in _VOWELS and typed in _VOWELS else OTHER
