"""Keys and values of recent prompts, so that what a new prompt shares with one of them is not computed again.

Prompts begin alike: the same instructions, and often the same passages as the turn before. Keys and values of a token depend
on the tokens before it alone, so those of the longest common beginning can be taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

MOST_BYTES = 256 * 2**20  # kept in all; the default model takes 23 KB a token, twice as much in float32

Layer = tuple[Any, Any]  # tensors of keys and values, each of shape (1, heads, tokens, width)


class Prefix(NamedTuple):
    """Tokens, and the keys and values of each of the model's layers for them."""

    tokens: list[int]
    layers: list[Layer]


class PrefixCache:
    """At most `most` prompts, and MOST_BYTES; the one unused for longest goes first. Its owner's lock guards it.

    Tensors are handed in and out without a copy: a transformers.DynamicCache never writes into one, it makes a longer one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Prefix] = []  # latest use last

    def longest(self, prompt: Sequence[int]) -> Prefix:
        """The longest known beginning of `prompt`, never the whole of it: the last token's scores are still to be computed."""
        best = max(self._kept, key=lambda prefix: shared(prefix.tokens, prompt), default=Prefix([], []))
        length = min(shared(best.tokens, prompt), len(prompt) - 1)
        if length <= 0:
            return Prefix([], [])
        self._kept.sort(key=lambda prefix: prefix is best)
        return Prefix(best.tokens[:length], [(keys[..., :length, :], values[..., :length, :]) for keys, values in best.layers])

    def keep(self, tokens: Sequence[int], layers: Sequence[Layer]) -> None:
        """Remember a prompt in the place of those that it begins with."""
        self._kept = [prefix for prefix in self._kept if shared(prefix.tokens, tokens) < len(prefix.tokens)]
        self._kept.append(Prefix(list(tokens), list(layers)))
        while len(self._kept) > self._most or sum(map(_bytes, self._kept)) > MOST_BYTES:
            self._kept.pop(0)


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _bytes(prefix: Prefix) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in prefix.layers)
