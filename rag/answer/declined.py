"""Whether a reply is the set phrase by which the generator says that the passages do not hold the answer."""

from __future__ import annotations

import re

from rag.language import simplify

_BEFORE = r"(?:[\[【(（]\s*\d+\s*[\]】)）]|[\W_])*"  # quotes, list signs, markers
_AFTER = r"[^\S\n]*(?:[.。!！:：;；\"”*]|[\[【(（]\s*\d|\n|$)"
# In capitals, as the prompt writes it, the phrase counts whatever follows. Otherwise it must be a sentence of its own:
# "None of the lamps is waterproof" and "No answer is given by phone" are answers.
_PHRASE = re.compile(
    rf"{_BEFORE}(?:NO[\s_-]*ANSWER\b|NONE\b(?!\s+of\b)|(?i:no[\s_-]*answer|none){_AFTER}|没有\s*相关\s*(?:的\s*)?信息)"
)


def declines(reply: str) -> bool:
    """True for a reply that starts with NO ANSWER, NONE or 没有相关信息; case, punctuation and markers aside."""
    return bool(_PHRASE.match(simplify(reply)))
