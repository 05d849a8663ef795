"""What a question asks of a catalogue: one attribute and nothing else, however it is put. Rules only, from asked.toml.

names taken out --patterns, the longest first--> what is asked for, where, how two are compared --plain words--> nothing left
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.answer.catalogue import Fact
from rag.answer.dimensions import fits
from rag.answer.quantities import quantities
from rag.language import HAN, fold

FILE = Path(__file__).with_suffix(".toml")
LONGEST = 200  # characters of a question; what is longer tells a story, and asks more than one thing
_STOPS = re.compile(r"[?!。,;:…~\"“”()\[\]、《》<>]|\.(?!\d)|--+|\s-\s")
_CLAUSE = re.compile(r"[?!。;…,]+|\.(?!\d)\.*|\n|\s-+\s|: ")
_AROUND_HAN = re.compile(rf"\s+(?=[{HAN}])|(?<=[{HAN}])\s+")
_LEFT = re.compile(rf"[{HAN}]|[^\s{HAN}]+")
LESS, MORE = -1, 1


@dataclass(frozen=True, slots=True)
class Attribute:
    """A table of asked.toml. `verdict` are the keys of the wording for less and more."""

    name: str
    labels: tuple[str, ...]
    verdict: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """The facts asked for, all of one label; `direction`: LESS or MORE for comparing, 0 where none is said."""

    facts: tuple[Fact, ...]
    attribute: Attribute | None
    direction: int = 0
    place: str = ""

    @property
    def key(self) -> str:
        """The label that the facts share."""
        return self.facts[0].key


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of a question and what it stands for: labels asked for, a direction, or a place."""

    start: int
    end: int
    keys: frozenset[str] = frozenset()
    attribute: Attribute | None = None
    direction: int = 0
    place: str = ""


def read(bare: str, facts: Sequence[Fact], words: Collection[str], comparing: bool = False) -> Asked | None:
    """What folded text without names asks of `facts`; None unless that is one attribute that they have, and nothing else.

    `words` are the products' own; with `comparing` the words that put two things side by side are no more than that. What is
    told before the question ("the cat sheds a lot, how ...") is passed over if it states no amount and no condition.
    """
    if asked := _read(bare, facts, words, comparing):
        return asked
    *told, last = [clause for clause in _CLAUSE.split(bare.rstrip("?!。. ")) if clause.strip()] or [""]
    if not told or comparing or "?" in " ".join(told) or not all(_is_told(clause, facts) for clause in told):
        return None
    return _read(last, facts, words, comparing)


def _is_told(clause: str, facts: Sequence[Fact]) -> bool:
    """Whether a clause neither asks for any of the facts nor sets a condition on them."""
    text = _tidy(clause)
    asks = any(span.keys for span in _spans(text, facts, comparing=False))
    return not (asks or _tables().condition.search(text) or quantities(text, lenient=True))


def _read(bare: str, facts: Sequence[Fact], words: Collection[str], comparing: bool) -> Asked | None:
    text = _tidy(bare)
    spans = _longest(_spans(text, facts, comparing))
    keys = [span.keys for span in spans if span.keys or not (span.direction or span.place)]
    places = {span.place for span in spans if span.place}
    directions = {span.direction for span in spans if span.direction}
    if not keys or any(len(found) != 1 for found in keys) or len(set(keys)) != 1 or len(places) > 1 or len(directions) > 1:
        return None
    left = _AROUND_HAN.sub("", _cut(text, spans))
    found = _in_place([fact for fact in facts if fact.key in keys[0]], *places)
    if not found or not _says_nothing(left, words, comparing) or fits(left, " ".join(fact.value for fact in found)) < 0:
        return None
    attribute = next((span.attribute for span in spans if span.attribute), None)
    return Asked(tuple(found), attribute, *directions or (0,), *places)


def _tidy(text: str) -> str:
    """Without marks, and without spaces around Chinese characters."""
    return _AROUND_HAN.sub("", " ".join(_STOPS.sub(" ", text).split()))


def places_in(text: str) -> set[str]:
    """The regions that folded text speaks of."""
    return {place for place, (pattern, _) in _tables().places.items() if pattern.search(text)}


def place_of(fact: Fact) -> str:
    """The region that a price or stock is for, by its label or currency; empty if it says none."""
    label, units = fold(fact.label), {quantity.unit for quantity in quantities(fact.value)}
    found = (name for name, (pattern, currencies) in _tables().places.items() if pattern.search(label) or currencies & units)
    return next(found, "")


_Patterns = tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class _Tables:
    attributes: tuple[tuple[Attribute, _Patterns, _Patterns, _Patterns], ...]  # asked, less, more
    less: _Patterns
    more: _Patterns
    plain: _Patterns
    compare: _Patterns
    condition: re.Pattern[str]
    places: dict[str, tuple[re.Pattern[str], frozenset[str]]]


@functools.lru_cache(maxsize=1)
def _tables() -> _Tables:
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    attributes = []
    for name, table in tables["attribute"].items():
        less, more = table.get("verdict", ("lower", "higher"))
        asked = [*table["en"], *table["zh"]]
        attribute = Attribute(name, tuple(table["labels"]), (less, more))
        attributes.append((attribute, _each(asked), _each(table.get("less", ())), _each(table.get("more", ()))))
    compare, plain, condition = tables["compare"], tables["plain"], tables["condition"]
    return _Tables(
        tuple(attributes),
        _each(compare["less"]),
        _each(compare["more"]),
        _each([*plain["en"], *plain["zh"]]),
        _each([*compare["en"], *compare["zh"]]),
        _any([*condition["en"], *condition["zh"]]),
        {name: (_any([*table["en"], *table["zh"]]), frozenset(table["units"])) for name, table in tables["place"].items()},
    )


def _each(patterns: Iterable[str]) -> _Patterns:
    """One by one, since of alternatives the first would win and not the longest."""
    return tuple(_any([pattern]) for pattern in patterns)


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    """Any of the patterns; Latin letters at its ends begin and end words."""
    joined = "|".join(patterns) or "(?!)"
    return re.compile(rf"(?<![a-z0-9](?=[a-z0-9]))(?:{joined})(?!(?<=[a-z0-9])[a-z0-9])")


def _spans(text: str, facts: Sequence[Fact], comparing: bool) -> list[_Span]:
    tables, keys = _tables(), {fact.key for fact in facts}
    found = []
    for key in [key for key in keys if _tidy(key) in text]:
        known = next((attribute for attribute, *_ in tables.attributes if key in attribute.labels), None)
        found += [_Span(*match.span(), frozenset({key}), known) for match in _any([re.escape(_tidy(key))]).finditer(text)]
    for attribute, asked, less, more in tables.attributes:
        own = frozenset(keys & set(attribute.labels))
        ways = ((asked, 0), (less, LESS), (more, MORE)) if comparing else ((asked, 0),)
        for patterns, direction in ways:
            found += [_Span(*span, own, attribute, direction) for span in _found(patterns, text)]
    for patterns, direction in ((tables.less, LESS), (tables.more, MORE)) if comparing else ():
        found += [_Span(*span, direction=direction) for span in _found(patterns, text)]
    for place, (pattern, _) in tables.places.items():
        found += [_Span(*match.span(), place=place) for match in pattern.finditer(text)]
    return found


def _found(patterns: _Patterns, text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for pattern in patterns for match in pattern.finditer(text))


def _longest(spans: Iterable[_Span]) -> list[_Span]:
    """Spans that do not overlap, longer ones first; those of one stretch are one, with the labels of all."""
    merged: dict[tuple[int, int], _Span] = {}
    for span in spans:
        other = merged.get((span.start, span.end), span)
        merged[span.start, span.end] = _Span(
            span.start,
            span.end,
            span.keys | other.keys,
            other.attribute if other.keys else span.attribute,
            span.direction or other.direction,
            span.place or other.place,
        )
    chosen: list[_Span] = []
    for span in sorted(merged.values(), key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or other.end <= span.start for other in chosen):
            chosen.append(span)
    return chosen


def _cut(text: str, spans: Iterable[_Span]) -> str:
    for span in spans:
        text = text[: span.start] + " " * (span.end - span.start) + text[span.end :]
    return " ".join(text.split())


def _in_place(facts: Sequence[Fact], place: str = "") -> list[Fact]:
    return [fact for fact in facts if place_of(fact) == place] if place else list(facts)


def _says_nothing(left: str, words: Collection[str], comparing: bool) -> bool:
    patterns = _tables().plain + (_tables().compare if comparing else ())
    rest = _LEFT.findall(_cut(left, _longest(_Span(*span) for span in _found(patterns, left))))
    return all(word in words or f"{word}s" in words or word.removesuffix("s") in words for word in rest)
