"""A fact of the catalogue, said by a template: one attribute of one product, or of two side by side. No model, no search."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from datetime import date
from decimal import Decimal

from rag.answer.asked import LESS, LONGEST, Asked, place_of, places_in, read
from rag.answer.catalogue import Fact, Record, without
from rag.answer.cite import Supported, cite
from rag.answer.parts import Case, Reply
from rag.answer.quantities import quantities
from rag.answer.render import in_language
from rag.language import fold
from rag.types import Passage, Token

_LISTS = re.compile(r"\b(?:what|which|list|accessor\w+)\b|什么|哪|啥")
_FITTING = {"compatible with", "适配产品", "accessories", "可选配件"}


def fact(case: Case) -> Generator[Token, None, Reply | None]:
    """What the catalogue states, where the question names one product or two and asks for one attribute and nothing else."""
    yield from ()
    return case.clock.timed("fact", _answer, case)


def standing(case: Case, id: str) -> Record | None:
    """The record as it holds for this question: in force today, and not filtered out."""
    return case.parts.catalogue.record(id, case.language, case.query.filter, case.parts.policy.today or date.today())


def meant(case: Case) -> str:
    """The question to read, folded: as it was meant, not as it was spelt; empty if it names a model that the shop has not."""
    texts = (case.query.repaired or case.query.text, case.query.text)
    unknown = any(case.parts.ranker.subjects.unknown(text) for text in texts)
    return "" if unknown or len(texts[0]) > LONGEST else fold(texts[0])


def _answer(case: Case) -> Reply | None:
    text = meant(case)
    catalogue = case.parts.catalogue
    names = catalogue.mentioned(text)
    ids, bare = list(dict.fromkeys(id for meanings in names.values() for id in meanings)), without(text, names)
    if not names:  # a shop's only spotting scope needs no name
        (*ids,), bare = catalogue.of_kind(text)
    if len(ids) not in ((1, 2) if names else (1,)) or any(len(meanings) > 1 for meanings in names.values()):
        return None
    records = [record for id in ids if (record := standing(case, id))]
    if len(records) < len(ids) or not _is_meant(case, ids):
        return None
    return _state(case, records[0], bare) if len(records) == 1 else _compare(case, records, bare)


def _is_meant(case: Case, ids: Sequence[str]) -> bool:
    """Whether these are asked about for sure: the question names them, or they are all that the conversation has named."""
    known = case.parts.catalogue
    carried = {id for turn in case.query.carried for id in turn if id in known.records}
    return set(ids) == carried if carried and not known.mentioned(case.query.question) else True


def _state(case: Case, record: Record, bare: str) -> Reply | None:
    asked = read(bare, _here(case, record.facts, bare), record.words)
    if asked and asked.key in _FITTING and not _LISTS.search(bare):
        return None  # what else it fits does not tell whether it fits what is meant
    stated = asked and in_language(record, asked, case.language)
    return _reply(case, [(record, asked, stated)]) if asked and stated else None


def _compare(case: Case, records: Sequence[Record], bare: str) -> Reply | None:
    first, second = records
    words = first.words | second.words
    shared = {fact.key for fact in first.facts} & {fact.key for fact in second.facts}
    sides = []
    for record in records:
        facts = [fact for fact in _here(case, record.facts, bare) if fact.key in shared]
        if asked := read(bare, facts, words, comparing=True):
            sides.append((record, asked, in_language(record, asked, case.language)))
    if len(sides) < 2 or sides[0][1].key in _FITTING:
        return _fit(case, records, bare)
    if len(case.parts.catalogue.mentioned(case.query.question)) < 2 and not sides[0][1].direction:
        return None  # earlier turns name two, and nothing says that both are meant
    verdict = _verdict(case, [(record, asked) for record, asked, _ in sides])
    if verdict is None or not all(stated for *_, stated in sides):
        return None
    reply = _reply(case, [(record, asked, stated or "") for record, asked, stated in sides])
    return Reply(f"{verdict} {reply.text}".strip(), reply.citations)


def _fit(case: Case, records: Sequence[Record], bare: str) -> Reply | None:
    """Whether one goes with the other, where either says so; that neither does proves nothing."""
    words = records[0].words | records[1].words
    for record, other in (records, records[::-1]):
        facts = [fact for fact in record.facts if fact.key in _FITTING]
        asked = read(bare, facts, words, comparing=True)
        listed = asked and case.parts.catalogue.mentioned(asked.facts[0].value)
        if asked and not asked.direction and listed and any(other.id in ids for ids in listed.values()):
            reply = _reply(case, [(record, asked, in_language(record, asked, case.language) or "")])
            return Reply(f"{case.say('fits')} {reply.text}", reply.citations)
    return None


def _here(case: Case, facts: Sequence[Fact], bare: str) -> list[Fact]:
    """Without prices and stocks of other regions than the one that the shop or the shopper chose, or names.

    Where none is, without those of regions where shoppers of the language do not live, if there are others.
    """
    if region := case.query.filter.region.upper():
        return [fact for fact in facts if place_of(fact) in ("", region)]
    if places_in(bare):
        return list(facts)
    near = [fact for fact in facts if (place := place_of(fact)) == "" or (place == "CN") == (case.language == "zh")]
    known = {fact.key for fact in near}
    return [fact for fact in facts if fact in near or fact.key not in known]


def _verdict(case: Case, sides: Sequence[tuple[Record, Asked]]) -> str | None:
    """Which of two is less, or more; empty if that is not asked; None if it is, but their values do not tell."""
    (first, asked), (second, other) = sides
    if not asked.direction:
        return ""
    own, others = _values(asked), _values(other)
    if not own or own.keys() != others.keys():
        return None
    signs = {(own[unit] > others[unit]) - (own[unit] < others[unit]) for unit in own}
    if len(signs) > 1:
        return None
    [sign] = signs
    if not sign:
        return case.say("equal")
    less, more = asked.attribute.verdict if asked.attribute else ("lower", "higher")
    return case.say(less if asked.direction == LESS else more, product=(first if sign == asked.direction else second).name)


def _values(asked: Asked) -> dict[str, Decimal]:
    """Unit -> amount; empty if a fact states none, or more than one."""
    found: dict[str, Decimal] = {}
    for fact in asked.facts:
        amounts = [quantity for quantity in quantities(fact.value) if quantity.kind == "number" and quantity.unit]
        if len(amounts) != 1 or amounts[0].unit in found:
            return {}
        found[amounts[0].unit] = Decimal(amounts[0].value)
    return found


def _reply(case: Case, stated: Sequence[tuple[Record, Asked, str]]) -> Reply:
    """Each sentence with the lines it stands on; a chunk that the search did not find joins what was found."""
    supported: list[Supported] = []
    for record, asked, sentence in stated:
        passage = _passage(case, record)
        supported.append((sentence, passage, (asked.facts[0].start, asked.facts[-1].end)))
    return cite(supported)


def _passage(case: Case, record: Record) -> Passage:
    found = next((passage for passage in case.passages if passage.chunk.id == record.chunk.id), None)
    if not found:
        found = Passage(record.chunk, min((passage.score for passage in case.passages), default=0.0))
        case.passages = (*case.passages, found)
    return found
