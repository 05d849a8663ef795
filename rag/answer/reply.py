"""The form of a reply that the prompts ask for: a word that says whether the passages hold the answer, then the answer.

The word comes first and is one token of the default model, so that its probability says how sure the model is of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.language import simplify
from rag.types import Piece

FOUND = "Found:"
NONE = "None"
_FOUND = re.compile(r"^\W*found\s*[:：]?\s*", re.IGNORECASE)
_BEFORE = r"(?:[\[【(（]\s*\d+\s*[\]】)）]|[\W_])*"  # quotes, list signs, markers
_AFTER = r"[^\S\n]*(?:[.。!！:：;；\"”*]|[\[【(（]\s*\d|\n|$)"
# In capitals, as the prompt writes it, the phrase counts whatever follows. Otherwise it must be a sentence of its own:
# "None of the lamps is waterproof" and "No answer is given by phone" are answers.
_PHRASE = re.compile(
    rf"{_BEFORE}(?:NO[\s_-]*ANSWER\b|NONE\b(?!\s+of\b)|(?i:no[\s_-]*answer|none){_AFTER}|没有\s*相关\s*(?:的\s*)?信息)"
)
_MARKER = re.compile(r"\[(\d{1,2})\]")
_EDGE = 1e-4  # probabilities are kept as far from 0 and 1, so that they have odds


@dataclass(frozen=True, slots=True)
class Reading:
    """What a generator makes of the passages it was shown."""

    text: str  # its reply without the first word; empty where it declines
    marker: int  # number of the passage that it names first; 0 for none
    odds: float  # natural log of the odds that the passages hold the answer, by the probability of the first word
    surety: float  # mean natural log of the probabilities of the rest; 0 for nothing or where the server does not tell


def declines(reply: str) -> bool:
    """Whether a reply says that the passages do not hold the answer, in any of the usual set phrases; so does an empty one."""
    return not reply.strip() or bool(_PHRASE.match(simplify(reply)))


def bare(reply: str) -> str:
    """The reply without its first word; models that were not tuned for it leave it out."""
    return _FOUND.sub("", reply)


def reading(reply: str, pieces: Sequence[Piece]) -> Reading:
    """What a reply that came in these pieces says; the first of them is the word that decides."""
    known = [piece.logprob for piece in pieces if not math.isnan(piece.logprob)]
    first = min(max(math.exp(known[0]) if known else 0.5, _EDGE), 1 - _EDGE)
    odds = math.log(first / (1 - first))
    if declines(reply):
        return Reading("", 0, -odds, 0.0)
    marker = _MARKER.search(reply)
    rest = known[1:]
    return Reading(bare(reply), int(marker[1]) if marker else 0, odds, sum(rest) / len(rest) if rest else 0.0)
