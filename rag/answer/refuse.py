"""Saying that the documents do not hold it: what they hold nearby, and who can help."""

from __future__ import annotations

from rag.answer.parts import Case
from rag.types import Outcome, Refused

_TOPICS = 2
_NEAR = 0.5  # of the threshold: likelier than that, a topic is worth naming


def refuse(case: Case, reason: str = "no_answer") -> Refused:
    """A refusal with at most two nearby topics and the contact; it states nothing else."""
    near = [candidate for candidate in case.candidates if candidate.probability >= _NEAR * case.threshold]
    titles = [candidate.passage.chunk.title for candidate in near if candidate.passage.chunk.title]
    text = case.say(reason)
    if topics := list(dict.fromkeys(titles))[:_TOPICS]:
        comma, space = ("、", "") if case.language == "zh" else ("; ", " ")
        text += space + case.say("nearest", topics=comma.join(topics))
    return Refused(case.close(Outcome.REFUSED, text, "refusal", reason))
