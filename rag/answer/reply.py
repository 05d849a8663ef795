"""The form of a reply that the prompts ask for: a word that says whether the passages hold the answer, then the answer.

The word comes first and is one token of the default model, so that its probability says how sure the model is of it.
"""

from __future__ import annotations

import re

FOUND = "Found:"
NONE = "None"
_FOUND = re.compile(r"^\W*found\s*[:：]?\s*", re.IGNORECASE)
_NONE = re.compile(r"^\W*(?:none|no answer|没有相关信息)(?:\W|$)", re.IGNORECASE)


def declines(reply: str) -> bool:
    """Whether a reply says that the passages do not hold the answer; so does an empty one."""
    return not reply.strip() or bool(_NONE.match(reply))


def bare(reply: str) -> str:
    """The reply without its first word; models that were not tuned for it leave it out."""
    return _FOUND.sub("", reply)
