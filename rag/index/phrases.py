"""A text's phrases as fingerprints: they tell whether something was said, and cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

from rag.language import HAN
from rag.types import Chunk

WORDS, CHARACTERS = 4, 8  # of a phrase: of words, and of one with Chinese in it
FEW = 8  # phrases of each kind that stand for a text
_UNIT = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")
_HAN = re.compile(f"[{HAN}]")


def phrases(text: str) -> set[bytes]:
    """All phrases of a text, none across lines; 8 bytes each."""
    return {_fingerprint(words) for words in _phrases(text)}


def rarest(chunk: Chunk) -> set[bytes]:
    """A few phrases of all that a chunk says: the longest, for long words are rare ones, and some from end to end."""
    said = chunk.title, *chunk.headings, chunk.text, *chunk.aliases, *chunk.negatives, chunk.answer, *chunk.tags
    found = list(dict.fromkeys(_phrases("\n".join(said))))
    longest = sorted(found, key=lambda words: (-len(words), words))[:FEW]
    return {_fingerprint(words) for words in (*longest, *found[:: -(-len(found) // FEW) or 1])}


def _phrases(text: str) -> Iterator[str]:
    for line in text.casefold().splitlines():
        units = _UNIT.findall(line)
        for start in range(len(units) - WORDS + 1):
            words = units[start : start + WORDS]
            if _HAN.search("".join(words)):
                words = units[start : start + CHARACTERS]
            if len(words) in (WORDS, CHARACTERS):
                yield " ".join(words)


def _fingerprint(words: str) -> bytes:
    return blake2b(words.encode("utf-8", "replace"), digest_size=8).digest()
