"""Which sentences of a generated answer stand: each must be carried by one passage, and invent nothing. No model involved."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.answer.cite import Supported, locate
from rag.answer.compare import carries
from rag.answer.quantities import unsupported
from rag.answer.rarity import Rarity
from rag.answer.similarity import Similarity
from rag.content import term_set
from rag.language import sentences, words
from rag.types import Passage

MARKER = re.compile(r"\s*[\[【(（]\s*(\d{1,2}(?:\s*[,，、]\s*\d{1,2})*)\s*[\]】)）]")
_FORBIDDEN = re.compile(r"<\s*[/!a-z]|!\[|\]\s*\(|\]\s*:|<\||\|>|\[/?INST\]|javascript:|data:|&#|&[a-z]+;", re.IGNORECASE)
_STOPS = tuple(".。!！")
_SAME = 0.3  # cosine of a sentence and its translation: nineteen in twenty reach it, one in twenty of two that differ
_RECITED = 8  # words of the prompt in a row are a recital (promise D31)
_DECLINES = re.compile(
    r"\bno answer\b|\b(?:not|n't) (?:mention|state|say|specif|provid|contain|includ|hold|find|know)|"
    r"\bno (?:information|mention)\b|\bi (?:do not|don't|cannot|can't) (?:know|find|answer)|"
    r"没有(?:提到|说明|相关)|未(?:提及|提到|说明)|不知道|无法回答",
    re.IGNORECASE,
)


def check(text: str, passages: Sequence[Passage], rarity: Rarity, support: float, prompt: str = "") -> list[Supported]:
    """The sentences that stand, in order, each with its passage and quote.

    None do if the answer declines, recites `prompt` or has markup.

    A sentence stands if one passage holds at least `support` (0..1) of its content by weight and all of its quantities, if the
    quote located there says the same point by point (rag.answer.compare), and if it is no question. The model's own markers
    only decide between passages that carry it.
    """
    if _forbidden(text, prompt):
        return []
    kept: list[Supported] = []
    for sentence, hinted in claims(text):
        if not _states(sentence) or any(sentence == other[0] for other in kept):
            continue
        if found := _carrier(sentence, hinted, passages, rarity, support):
            kept.append((sentence, *found))
    return kept


def translates(text: str, passage: Passage, span: tuple[int, int], similarity: Similarity, prompt: str = "") -> bool:
    """Whether `text` says in another language what passage.chunk.text[span] does, and has no more in it than one sentence.

    Words cannot be compared across languages: its quantities must be there and it must be near in meaning.
    """
    said, chunk = claims(text), passage.chunk
    if _forbidden(text, prompt) or len(said) != 1 or not _states(said[0][0]):
        return False
    quoted = chunk.text[slice(*span)]
    shown = [f"{chunk.title}\n{' '.join(chunk.headings)}\n{quoted}"]
    return not unsupported(said[0][0], shown) and float(similarity.cosines(said[0][0], [f"{chunk.title}: {quoted}"])[0]) >= _SAME


def _forbidden(text: str, prompt: str) -> bool:
    return bool(_DECLINES.search(text) or _FORBIDDEN.search(MARKER.sub("", text)) or _recites(text, prompt))


def _states(sentence: str) -> bool:
    """No question, nothing that only announces, and not cut at "(no."."""
    whole = sentence.count("(") + sentence.count("（") == sentence.count(")") + sentence.count("）")
    return whole and not sentence.endswith(("?", "？", ":", "："))


def claims(text: str) -> list[tuple[str, set[int]]]:
    """Each sentence without its markers, and the numbers of the markers in or right behind it."""
    numbers: list[tuple[int, set[int]]] = []  # position in the bare text, markers there
    bare = ""
    position = 0
    for match in MARKER.finditer(text):
        bare += text[position : match.start()]
        numbers.append((len(bare), {int(number) for number in re.findall(r"\d+", match[1])}))
        position = match.end() + (bare[-1:] in _STOPS and text[match.end() : match.end() + 1] in _STOPS)  # "days. [1]."
    bare += text[position:]
    return [
        (bare[start:end], set().union(*(given for at, given in numbers if start < at <= end)))
        for start, end in sentences(bare)
        if any(character.isalnum() for character in bare[start:end])
    ]


def _carrier(
    sentence: str, hinted: set[int], passages: Sequence[Passage], rarity: Rarity, support: float
) -> tuple[Passage, tuple[int, int]] | None:
    # Numbers are compared as quantities; as words, "4,90" and "4.90" would differ.
    wanted = [term for term in term_set(sentence) if not term[0].isdigit()]
    if not wanted:
        return None
    ranked = []
    for number, passage in enumerate(passages, start=1):
        chunk = passage.chunk
        shown = f"{chunk.title}\n{' '.join(chunk.headings)}\n{chunk.text}"
        covered = rarity.coverage(wanted, term_set(shown))
        if covered >= support and not unsupported(sentence, [shown]):
            ranked.append((covered + 0.1 * (number in hinted), -number, passage))
    for _, _, passage in sorted(ranked, key=lambda item: item[:2], reverse=True):
        where = locate(sentence, passage.chunk, rarity)
        if where and carries(sentence, passage.chunk, *where):
            return passage, where
    return None


def _recites(text: str, prompt: str) -> bool:
    said, given = words(text), " ".join(words(prompt))
    return any(" ".join(said[i : i + _RECITED]) in given for i in range(len(said) - _RECITED + 1)) if prompt else False
