"""Chinese that was typed by sound: wrong characters that sound right, and pinyin in Latin letters, to the words meant.

All ways to read a text as words are a lattice; Viterbi's algorithm finds the likeliest. A Chinese character stands for itself
or, at a price, for one that sounds like it; a Latin word is English, or a row of syllables. Costs are natural logarithms.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rag.retrieve.lexicon import LONGEST, Lexicon
from rag.retrieve.sounds import Sounds
from rag.retrieve.units import Unit

UNKNOWN = -18.0  # log probability of a character that no word list has
# What was read last: nothing yet, Chinese characters, pinyin, English.
NOTHING, HAN, PINYIN, LATIN = range(4)
BEGIN = {NOTHING: 2.5, HAN: 6.0, PINYIN: 0.0, LATIN: 6.0}  # what it costs to go on in pinyin
LEAVE = 6.0  # what it costs to go on in English after pinyin

English = Callable[[int], tuple[str, float]]  # number of a Latin unit -> what was meant, its log probability


class Place(NamedTuple):
    """Before letter `letter` of unit `unit`, `state` read last."""

    unit: int
    letter: int
    state: int


class Step(NamedTuple):
    """To `to` at `cost`, writing `text`, or what was typed if None."""

    to: Place
    cost: float
    text: str | None


class Lattice:
    """Reads texts as the likeliest words of a lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._words = lexicon.chinese
        self._sounds = Sounds(lexicon.chinese)

    def read(self, units: Sequence[Unit], english: English) -> str:
        """The text that was most likely meant."""
        place = Place(0, 0, NOTHING)
        costs: dict[Place, float] = {place: 0.0}
        ways: dict[Place, tuple[Place, str | None]] = {}
        ahead = [place]
        ends: list[Place] = []
        while ahead:
            place = heapq.heappop(ahead)  # in the order of the text, so that all ways to it are known
            if place.unit == len(units):
                ends.append(place)
                continue
            for step in self._steps(units, place, english):
                cost = costs[place] + step.cost
                if step.to not in costs:
                    heapq.heappush(ahead, step.to)
                if cost < costs.get(step.to, cost + 1):
                    costs[step.to], ways[step.to] = cost, (place, step.text)
        return _written(units, ways, min(ends, key=lambda end: costs[end]))

    def _steps(self, units: Sequence[Unit], place: Place, english: English) -> Iterator[Step]:
        unit, letter, state = place
        kind = units[unit].kind
        if kind == "han":
            yield from self._standing(units, unit)
        elif kind == "latin":
            if letter == 0:
                text, log = english(unit)
                same = text == units[unit].text
                yield Step(Place(unit + 1, 0, LATIN), LEAVE * (state == PINYIN) - log, None if same else text)
        else:
            yield Step(Place(unit + 1, 0, state), 0.0, None)
            return
        begin, after = (BEGIN[state], PINYIN) if kind == "latin" else (0.0, HAN)
        for meant in self._sounds.meant(units, unit, letter):
            yield Step(Place(meant.unit, meant.letter, after), begin + meant.cost, meant.text)

    def _standing(self, units: Sequence[Unit], unit: int) -> Iterator[Step]:
        """The words that stand here as they should."""
        text = ""
        for end in range(unit, min(unit + LONGEST, len(units))):
            if units[end].kind != "han":
                if units[end].kind == "number" and (log := self._words.log(text + units[end].text)):
                    yield Step(Place(end + 1, 0, HAN), -log, None)
                return
            text += units[end].text
            log = self._words.log(text)
            if log or end == unit:
                yield Step(Place(end + 1, 0, HAN), -(log or UNKNOWN), None)


def _written(units: Sequence[Unit], ways: dict[Place, tuple[Place, str | None]], place: Place) -> str:
    pieces: list[str] = []
    while place in ways:
        before, text = ways[place]
        pieces.append("".join(unit.typed for unit in units[before.unit : place.unit]) if text is None else text)
        place = before
    return "".join(reversed(pieces))
