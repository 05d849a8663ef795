"""What only a document in the other language states, said in the shopper's: one sentence of the generator's, checked."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from rag.answer.check import claims, translates
from rag.answer.cite import cite
from rag.answer.evidence import is_official
from rag.answer.generate import build_prompt, drafts
from rag.answer.guard import gives_instructions
from rag.answer.parts import Case, Reply
from rag.answer.prompt import Excerpt, disarm
from rag.answer.rank import Candidate
from rag.answer.reply import reading
from rag.answer.units import units
from rag.language import detect
from rag.types import Token

STATED = 0.5  # likelihood, by the selector, that the documents in the other language state it
ODDS = 0.0  # natural log of the generator's odds that they do


def across(case: Case) -> Generator[Token, None, Reply | None]:
    """One sentence, shown when it is whole; None if nothing is stated there, the generator declines, or the check fails."""
    yield from ()
    found = case.elsewhere
    if found is None or found.probability < STATED or not is_official(found.passage) or case.answerable:
        return None
    if case.language not in case.parts.policy.generate_languages:
        return None
    with contextlib.closing(drafts(case, lambda: build_prompt(case, [_around(found)]))) as read:
        for prompt, text, pieces in read:
            said, span = reading(text, pieces), (found.unit.start, found.unit.end)
            sentence = next((one for one, _ in claims(said.text)), "")
            similarity, rules = case.parts.ranker.similarity, prompt.messages[0].text
            if said.odds < ODDS or not case.clock.timed("check", translates, sentence, found.passage, span, similarity, rules):
                return None
            if detect(sentence) != case.language or gives_instructions(sentence) or disarm(sentence) != sentence:
                return None
            return cite([(sentence, found.passage, span)])
    return None


def _around(found: Candidate) -> Excerpt:
    """The sentence with its neighbours."""
    pieces = [unit for unit in units(found.passage.chunk) if not unit.is_whole]
    near = [place for place, unit in enumerate(pieces) if unit.start < found.unit.end and found.unit.start < unit.end]
    shown = pieces[max(near[0] - 1, 0) : near[-1] + 2] if near else [found.unit]
    return found.passage, " ".join(unit.text for unit in shown)
