"""A question that leaves open which product or region it is about, where that decides the answer, is asked back. Rules only.

What the shopper chooses then is put in front of the question by rag.retrieve.rewrite.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import get_args

from rag.answer.asked import places_in, read
from rag.answer.catalogue import Record, without
from rag.answer.dimensions import wanted
from rag.answer.fact import meant, standing
from rag.answer.faq import nearest
from rag.answer.parts import Case, Reply
from rag.answer.quantities import Quantity, quantities
from rag.answer.rank import Candidate
from rag.language import fold
from rag.types import Language, Outcome, Token
from rag.wording import holes

_LANGUAGES: tuple[Language, ...] = get_args(Language)
_MOST = 4  # options that are named
_CLOSE = 0.5  # of the best candidate's probability: from there on another region's answer is as good
_NAMED = ("EU", "CN", "UK", "US")  # regions that the wording has a name for; others are called by their code


def clarify(case: Case) -> Generator[Token, None, Reply | None]:
    """The question back, with two to four options; None if the question is plain, or every option has the same answer."""
    yield from ()
    return case.clock.timed("clarify", _ask_back, case)


def _ask_back(case: Case) -> Reply | None:
    if _is_choice(case):
        _stay(case, _places(case))
        return None
    vetted = nearest(case)
    region = vetted[1].chunk.facets.region if vetted and vetted[0] >= case.thresholds.faq else None
    key, options = "which_one", _products(case) if region is None else []
    if not options and region != "":
        key, options = "which_place", _regions(case)
    if not options:
        return None
    comma, last = case.say("list_comma"), case.say("list_or")
    return Reply(case.say(key, options=f"{comma.join(options[:-1])}{last}{options[-1]}"), (), Outcome.CLARIFICATION)


def _is_choice(case: Case) -> bool:
    """Whether the shopper was asked back about a region just now: then nothing is asked back again."""
    latest = case.history[-1].text if case.history and case.history[-1].role == "assistant" else ""
    return any(holes("which_place", language, latest) is not None for language in _LANGUAGES)


def _places(case: Case) -> set[str]:
    """The regions that the question names, in words or by the code that documents have for them."""
    text = fold(case.query.text)
    codes = {candidate.passage.chunk.facets.region for candidate in case.candidates} - {""}
    return places_in(text) | {code for code in codes if re.search(rf"(?<![a-z]){re.escape(fold(code))}(?![a-z])", text)}


def _stay(case: Case, places: set[str]) -> None:
    """Leave out what holds in other regions only than the one chosen, unless nothing else is there."""
    kept = [candidate for candidate in case.candidates if candidate.passage.chunk.facets.region in ("", *places)]
    if len(places) == 1 and kept:
        case.candidates = tuple(kept)
        case.usable = tuple(passage for passage in case.usable if passage.chunk.facets.region in ("", *places))


def _products(case: Case) -> list[str]:
    """Names of the products that the question may mean, if they differ in what it asks for."""
    text = "" if case.query.carried else meant(case)
    catalogue = case.parts.catalogue
    names = catalogue.mentioned(text)
    if len(names) > 1:
        return []
    ids, bare = (next(iter(names.values())), without(text, names)) if names else catalogue.of_kind(text)
    records = [record for id in ids if (record := standing(case, id))]
    asked = [(record, found) for record in records if (found := read(bare, record.facts, record.words))]
    answers = {frozenset(quantities(fact.value) for fact in found.facts) for _, found in asked}
    if len(asked) < 2 or len(answers) < 2 or len({found.key for _, found in asked}) > 1:
        return []
    return _listed(case, [record for record, _ in asked])


def _listed(case: Case, records: Sequence[Record]) -> list[str]:
    """Their names, those that the search found first; of many, some and "another one"."""
    found = {passage.chunk.id: rank for rank, passage in enumerate(case.passages)}
    names = [record.name for record in sorted(records, key=lambda record: found.get(record.chunk.id, len(found)))]
    return names if len(names) <= _MOST else [*names[: _MOST - 1], case.say("or_another")]


def _regions(case: Case) -> list[str]:
    """The regions whose likely answers differ in the amount asked for, if the question names none."""
    units, text = wanted(case.query.question), fold(case.query.text)
    if not units or not case.answerable or _places(case) or case.query.filter.region or case.parts.catalogue.mentioned(text):
        return []
    best: dict[str, Candidate] = {}
    for candidate in case.candidates:
        facets = candidate.passage.chunk.facets
        if facets.language in ("", case.language) and _amounts(candidate, units):
            best.setdefault(facets.region, candidate)
    close = [region for region, other in best.items() if other.probability >= _CLOSE * case.candidates[0].probability]
    if len(close) < 2 or "" in close or len({_amounts(best[region], units) for region in close}) < len(close):
        return []
    return [case.say(f"region_{region.lower()}") if region in _NAMED else region for region in close[:_MOST]]


def _amounts(candidate: Candidate, units: frozenset[str]) -> frozenset[Quantity]:
    """The quantities of a candidate in the units asked for."""
    return frozenset(quantity for quantity in quantities(candidate.unit.text) if quantity.unit in units)
