"""Saying that the documents do not hold it: what they hold nearby, and who can help."""

from __future__ import annotations

from rag.answer.cite import cite
from rag.answer.evidence import is_official
from rag.answer.parts import Case, Reply
from rag.answer.prompt import disarm
from rag.types import Outcome, Refused

_TOPICS = 2
_TITLE = 80  # characters: what is longer is no title but a text, and nothing is stated here
_STATED = 0.5  # likelihood, by the selector, from which a sentence in another language is shown
_NEAR = 0.5  # of the threshold: likelier than that, a topic is worth naming


def refuse(case: Case, reason: str = "no_answer") -> Refused:
    """A refusal with the contact, at most two nearby topics of the shop's own, and what it says in another language alone."""
    near = [candidate for candidate in case.candidates if candidate.probability >= _NEAR * case.threshold]
    titles = [" ".join(disarm(one.passage.chunk.title).split()).rstrip("?？") for one in near if is_official(one.passage)]
    text, space = case.say(reason), "" if case.language == "zh" else " "
    if topics := [title for title in dict.fromkeys(titles) if 0 < len(title) <= _TITLE][:_TOPICS]:
        comma = "、" if case.language == "zh" else "; "
        text += space + case.say("nearest", topics=comma.join(topics))
    quoted = _elsewhere(case, text + space)
    return Refused(
        case.close(Outcome.REFUSED, quoted.text if quoted else text, "refusal", reason, quoted.citations if quoted else ())
    )


def _elsewhere(case: Case, text: str) -> Reply | None:
    """The text and behind it, word for word, what the shop's own documents state in another language alone, if they do."""
    found = case.elsewhere
    if found is None or found.probability < _STATED or not is_official(found.passage):
        return None
    return cite([(text + case.say("elsewhere", quote=found.unit.text), found.passage, (found.unit.start, found.unit.end))])
