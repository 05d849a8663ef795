"""Saying that the documents do not hold it: what they hold nearby, and who can help."""

from __future__ import annotations

from rag.answer.evidence import is_official
from rag.answer.parts import Case
from rag.answer.prompt import disarm
from rag.types import Outcome, Refused

_TOPICS = 2
_TITLE = 80  # characters: what is longer is no title but a text, and nothing is stated here
_NEAR = 0.5  # of the threshold: likelier than that, a topic is worth naming


def refuse(case: Case, reason: str = "no_answer") -> Refused:
    """A refusal with at most two nearby topics of the shop's own and the contact; it states nothing else."""
    near = [candidate for candidate in case.candidates if candidate.probability >= _NEAR * case.threshold]
    titles = [" ".join(disarm(one.passage.chunk.title).split()).rstrip("?？") for one in near if is_official(one.passage)]
    text = case.say(reason)
    if topics := [title for title in dict.fromkeys(titles) if 0 < len(title) <= _TITLE][:_TOPICS]:
        comma, space = ("、", "") if case.language == "zh" else ("; ", " ")
        text += space + case.say("nearest", topics=comma.join(topics))
    return Refused(case.close(Outcome.REFUSED, text, "refusal", reason))
