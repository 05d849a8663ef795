"""A text cut into what spelling repair looks at, and what it must leave alone: links, addresses, codes, prices, numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

from rag.language import HAN, fold
from rag.retrieve.syllables import plain

_WORD = rf"[^\W\d_{HAN}]+(?:['’][^\W\d_{HAN}]+)*"
_UNIT = re.compile(
    rf"(?P<fixed>(?:https?://|www\.)[^\s{HAN}]+"  # links
    rf"|[^\s{HAN}@]+@[^\s{HAN}@]+"  # addresses, handles
    r"|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?![a-z])"  # hosts, file names
    r"|(?=[a-z/._-]*\d)[a-z0-9]+(?:[-./_][a-z0-9]+)+"  # codes in parts, dates, versions
    r"|[a-z0-9]*_\w*"  # names of fields
    r"|[a-z]{1,3}\d[a-z0-9]*|\d+[a-z]+[a-z0-9]*|[a-z]+\d+[a-z][a-z0-9]*)"  # codes in one, quantities with their unit
    rf"|(?P<han>[{HAN}])|(?P<latin>{_WORD})|(?P<number>\d+)|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)


class Unit(NamedTuple):
    """`kind`: han (one character), latin (a word), number, space, fixed (never touched), other. `text` has no accents."""

    kind: str
    text: str  # folded
    typed: str


def units(text: str) -> list[Unit]:
    """The text in units: what they have as `typed` is the text."""
    found = [(match.lastgroup or "other", match[0]) for match in _UNIT.finditer(text)]
    folded = fold(text)
    if len(folded) != len(text):  # ligatures and the like
        return [Unit(kind, _bare(kind, fold(typed)), typed) for kind, typed in found]
    at, cut = 0, list[Unit]()
    for kind, typed in found:
        cut.append(Unit(kind, _bare(kind, folded[at : at + len(typed)]), typed))
        at += len(typed)
    return cut


def _bare(kind: str, folded: str) -> str:
    return plain(folded) if kind == "latin" and not folded.isascii() else folded
