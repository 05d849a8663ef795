"""A fact of the catalogue as a sentence in the shopper's language, whatever language the catalogue has it in."""

from __future__ import annotations

import re

from rag.answer.asked import Asked
from rag.answer.catalogue import Record
from rag.language import detect, fold
from rag.measures import UNITS
from rag.types import Language
from rag.wording import say

_MEASURE = re.compile(r"(\d+(?:[.,]\d+)*)\s*(\D+)")
_CODE = re.compile(r"[A-Za-z]{1,4}[- ]?[A-Z0-9]{1,5}")  # IPX6, USB-C: the same in any language


def in_language(record: Record, asked: Asked, language: Language) -> str | None:
    """The sentence; None if the record is in the other language and what it says cannot safely be put into this one."""
    own = record.chunk.facets.language in ("", language)
    name = record.name if own else next((alias for alias in record.chunk.aliases if detect(alias) == language), record.name)
    shown: list[str] = []
    label = ""
    for fact in asked.facts:
        value = fact.value if own else _translated(fact.value, language)
        title = fact.label if own else _label(asked, language)
        if not value or not title:
            return None
        shown.append(value if title == label else say("fact_value", language, label=title, value=value))
        label = title
    return say("fact", language, product=name, facts=("；" if language == "zh" else "; ").join(shown))


def _label(asked: Asked, language: Language) -> str:
    """What the attribute is mostly called in this language, for labels without an aside such as (EU); empty if unknown."""
    labels = asked.attribute.labels if asked.attribute and len(asked.facts) == 1 else ()
    found = next((label for label in labels if label.isascii() == (language == "en")), "")
    return found[:1].upper() + found[1:]


def _translated(value: str, language: Language) -> str:
    """A measure with the unit's name in this language, or a code as it is; empty for anything else."""
    if _CODE.fullmatch(value):
        return value
    match = _MEASURE.fullmatch(value)
    unit = UNITS.get(fold(match[2]).strip()) if match else None
    if not match or not unit:
        return ""
    names = [name for name, known in UNITS.items() if known == unit and name.isascii() == (language == "en")]
    singular = len(names) > 1 and match[1] == "1" and names[0] == f"{names[1]}s"
    return f"{match[1]} {names[1] if singular else names[0]}" if names else ""
