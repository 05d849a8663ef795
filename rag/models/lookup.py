"""Prompt-lookup decoding: what a reply copies from its prompt is drafted by looking it up there, and the model only verifies.

One forward pass over a draft costs little more than one over a single token, and yields every token up to the first that the
model would have written otherwise. (A. Saxena, "Prompt Lookup Decoding", 2023, github.com/apoorvumang/prompt-lookup-decoding)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

SHORTEST = 2  # tokens that must agree before what follows them is drafted
LONGEST = 16  # ... and more than these are not told apart


class Lookup:
    """Drafts from one prompt, at most `most` tokens each."""

    def __init__(self, prompt: Sequence[int], most: int) -> None:
        self._prompt = prompt
        self._most = most
        self._ends: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for end in range(SHORTEST, len(prompt)):
            self._ends[tuple(prompt[end - SHORTEST : end])].append(end)

    def draft(self, written: Sequence[int]) -> list[int]:
        """What follows the longest match of the end of `written` in the prompt, the last one of several; empty without any."""
        ends = self._ends.get(tuple(written[-SHORTEST:]), ())
        best = max(ends, key=lambda end: (self._agreeing(end, written), end), default=len(self._prompt))
        return list(self._prompt[best : best + self._most])

    def _agreeing(self, end: int, written: Sequence[int]) -> int:
        """How many tokens before `end` in the prompt are the last written ones."""
        most = min(end, len(written), LONGEST)
        return next((n for n in range(most) if self._prompt[end - 1 - n] != written[-1 - n]), most)
