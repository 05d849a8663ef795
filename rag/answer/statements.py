"""A text as clauses of marks: what is said, negated, restricted and measured, however it is worded, in English and Chinese.

Words become stems (Chinese: characters), phrases of one meaning one mark, numbers with their units one quantity each; words
that say nothing are dropped. The phrases are in the file beside this one.
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from Stemmer import Stemmer

from rag.answer.numerals import digits
from rag.answer.quantities import Quantity, located
from rag.language import HAN, fold

FILE = Path(__file__).with_suffix(".toml")
SCOPES = frozenset({"ONLY", "EVERY", "BOTH", "SOME", "EVEN", "ALSO", "IF", "BEFORE", "AFTER"})
MODALS = frozenset({"CAN", "NEED"})  # said or left out, they change nothing that NOT does not change
_BOUNDS = frozenset({"LE", "GE", "UNTIL", "ABOUT", "BEFORE", "AFTER"})
_MARK = re.compile(rf"⟦([^⟧]*)⟧|([{HAN}])|([^\W_{HAN}]+(?:'[a-z]+)?)|([,;!?，；。！？]|\.(?=\s|$)|\n|[但却])")
_EDGES = frozenset({"的", "that", "which", "who"})  # a negation reaches no further
_PARTICLE = re.compile(r"^\s*(?:yes|no|sure|certainly|是的?|对|好的|可以|能|会|不(?:可以|能|会|行|是)?|没有)\s*[,.!，。！]\s*")
_BREAKS = frozenset({"but", "whereas", "while"})
_REACH = 2  # marks between a bound and its quantity
_LISTED = 3  # words of one item of a list


@dataclass(frozen=True, slots=True)
class Mark:
    """`kind` is "word", "not", "except", "scope", "edge" or "quantity"; `bounds` are those of a quantity: LE, GE, UNTIL ..."""

    kind: str
    value: str
    quantity: Quantity | None = None
    bounds: frozenset[str] = frozenset()

    @property
    def weight(self) -> float:
        """Of a word: a Chinese character is half of one; modals weigh nothing."""
        return 0.0 if self.value in MODALS else 0.5 if re.match(f"[{HAN}]", self.value) else 1.0


_YES = re.compile(r"^\s*(?:yes|sure|certainly|是的?|对|可以|能|会|好的)\s*[,.!，。！]")
_NO = re.compile(r"^\s*(?:no|不(?:可以|能|会|行|是)?|没有)\s*[,.!，。！]")
Clause = tuple[Mark, ...]


@functools.lru_cache(maxsize=4096)
def clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of a text that say something, in order."""
    folded = _PARTICLE.sub("", digits(text, lenient=True))
    measured, found = _with_quantities(folded)
    for pattern, marks in _phrases():
        measured = pattern.sub(marks, measured)
    pieces: list[list[Mark]] = [[]]
    for mark in _marks(measured, found):
        if mark is None:
            pieces.append([])
        else:
            pieces[-1].append(mark)
    parted = [part for piece in _joined(pieces) for part in _parted(piece)]
    return tuple(_bound(part) for part in parted if any(mark.kind in ("word", "quantity") for mark in part))


def answer(text: str) -> str:
    """Whether the text begins with "yes" or with "no"; empty if with neither."""
    folded = fold(text)
    return "yes" if _YES.match(folded) else "no" if _NO.match(folded) else ""


def _with_quantities(text: str) -> tuple[str, list[Quantity]]:
    found: list[Quantity] = []
    pieces: list[str] = []
    position = 0
    for start, end, quantity in located(text):
        pieces += [text[position:start], f" ⟦#{len(found)}⟧ "]
        found.append(quantity)
        position = end
    return "".join([*pieces, text[position:]]), found


def _marks(text: str, found: list[Quantity]) -> list[Mark | None]:
    """In the order of the text; None between clauses."""
    stem = Stemmer("english").stemWord
    marks: list[Mark | None] = []
    for phrase, character, word, _ in _MARK.findall(text):
        if phrase:
            marks += [_phrase(name, found) for name in phrase.split()]
        elif character in _EDGES or word in _EDGES:
            marks.append(Mark("edge", character or word))
        elif word in _BREAKS:
            marks.append(None)
        elif word == "and":
            marks.append(Mark("edge", word))
        elif character:
            marks += [Mark("word", character)] if character not in _empty() else []
        elif word:
            marks += [Mark("word", stem(word.removesuffix("'s")))] if word not in _empty() else []
        else:
            marks.append(None)
    return marks


def _phrase(name: str, found: list[Quantity]) -> Mark:
    if name.startswith("#"):
        quantity = found[int(name[1:])]
        return Mark("quantity", quantity.written or quantity.value, quantity)
    bare = name.strip("<>")
    if bare in ("NOT", "NOT1"):
        return Mark("not", name)
    if bare == "EXCEPT":
        return Mark("not" if name.endswith(">") else "except", name)
    return Mark("scope", name) if bare in SCOPES | _BOUNDS else Mark("word", name)


def _joined(pieces: list[list[Mark]]) -> list[list[Mark]]:
    """Items of a list belong to the clause before them."""
    joined: list[list[Mark]] = []
    for piece in pieces:
        goes_on = len(piece) <= _LISTED and all(mark.kind in ("word", "edge") and mark.value not in MODALS for mark in piece)
        if goes_on and joined and any(m.kind == "word" for m in joined[-1]) and not any(m.value == "IF" for m in joined[-1]):
            joined[-1] += piece
        else:
            joined.append(list(piece))
    return joined


def _parted(piece: list[Mark]) -> list[list[Mark]]:
    """Parts with a number each, where "and" joins what is measured apart: "22 pages in black and 16 in colour"."""
    parts: list[list[Mark]] = [[]]
    for index, mark in enumerate(piece):
        if mark == Mark("edge", "and"):
            if any(m.quantity for m in parts[-1]) and any(m.quantity for m in piece[index:]):
                parts.append([])
        else:
            parts[-1].append(mark)
    return parts


def _bound(piece: list[Mark]) -> Clause:
    """Bounds become a part of their quantity; those without one stay as what restricts the clause, or say nothing."""
    bounds: dict[int, set[str]] = {}
    kept: list[int] = []
    for index, mark in enumerate(piece):
        bare = mark.value.strip("<>")
        if mark.kind == "scope" and bare in _BOUNDS:
            at = _measured(piece, index, mark.value)
            if at is not None:
                bounds.setdefault(at, set()).add(bare)
                continue
            if bare not in SCOPES:
                continue
        kept.append(index)
    return tuple(_finished(piece[index], frozenset(bounds.get(index, ()))) for index in kept)


def _measured(piece: list[Mark], index: int, name: str) -> int | None:
    right = [i for i in range(index + 1, min(index + 2 + _REACH, len(piece))) if piece[i].kind == "quantity"][:1]
    left = [i for i in range(index - 1, max(index - 2 - _REACH, -1), -1) if piece[i].kind == "quantity"][:1]
    order = left + right if name.startswith("<") else right + left if name.endswith(">") else right
    return order[0] if order else None


def _finished(mark: Mark, bounds: frozenset[str]) -> Mark:
    return Mark(mark.kind, mark.value.strip("<>"), mark.quantity, bounds)


@functools.lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=1)
def _phrases() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile("|".join(patterns)), f" ⟦{marks}⟧ " if marks else " ")
        for language in ("en", "zh")
        for marks, patterns in _tables()[language].items()
    ]


@functools.lru_cache(maxsize=1)
def _empty() -> frozenset[str]:
    texts: dict[str, str] = tomllib.loads(FILE.read_text(encoding="utf-8"))["empty"]
    return frozenset([*texts["en"].split(), *texts["zh"]])
