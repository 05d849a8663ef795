"""What the reranker learns from: questions, each with its answer and the passages that the embedder takes for it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rag.errors import DataError
from rag.ports import Vectors

Pair = tuple[str, str, str]  # question, passage that answers it, group: see rag.tune.retriever.sources
Embed = Callable[[Sequence[str]], Vectors]
ALIKE = 0.9  # cosine of two passages from which one is taken to say what the other does
POOL = 20  # the nearest passages that wrong ones are drawn from
HELD_OUT = 10  # one passage in so many, with all its questions, is never trained on


@dataclass(frozen=True, slots=True)
class Ranking:
    """One question: the passage that answers it first, then wrong ones; the embedder's cosine of each."""

    question: str
    texts: tuple[str, ...]
    cosines: tuple[float, ...]

    @property
    def is_held_out(self) -> bool:
        """Decided by the answer's text alone, so that it is the same in every run."""
        return hashlib.sha256(self.texts[0].encode()).digest()[0] % HELD_OUT == 0


def chosen(pairs: Iterable[Pair], most: int) -> list[Pair]:
    """At most `most` pairs of question and passage, as even a share of each set as there is.

    Those of intents ("set=intent") are no answers.
    """
    sets: dict[str, list[Pair]] = {}
    for pair in dict.fromkeys(pairs):
        if "/" in pair[2] or "=" not in pair[2]:
            sets.setdefault(pair[2].partition("/")[0], []).append(pair)
    taken: list[Pair] = []
    for left, (_, rows) in zip(range(len(sets), 0, -1), sorted(sets.items(), key=lambda item: len(item[1])), strict=True):
        taken += rows[: (most - len(taken)) // left]
    return taken


def mined(pairs: Sequence[Pair], embed: Embed, wrong: int, seed: int) -> list[Ranking]:
    """One list a pair, `wrong` passages each, drawn from those nearest to the question in all of `pairs`.

    What answers the same question in another pair, or says nearly the same as the answer, is not wrong. Raises DataError for
    too few passages.
    """
    questions = list(dict.fromkeys(question for question, _, _ in pairs))
    passages = list(dict.fromkeys(passage for _, passage, _ in pairs))
    place = {passage: number for number, passage in enumerate(passages)}
    right: dict[str, set[int]] = {}
    for question, passage, _ in pairs:
        right.setdefault(question, set()).add(place[passage])
    asked, vectors = dict(zip(questions, embed(questions), strict=True)), embed(passages)
    draw = random.Random(seed)
    lists: list[Ranking] = []
    for question, passage, _ in pairs:
        cosines, own = vectors @ asked[question], place[passage]
        allowed = (vectors @ vectors[own]) < ALIKE
        allowed[list(right[question])] = False
        near = [int(row) for row in np.argsort(-cosines, kind="stable")[: POOL * 3] if allowed[row]][:POOL]
        if len(near) >= wrong:
            rows = [own, *sorted(draw.sample(near, wrong), key=near.index)]
            lists.append(Ranking(question, tuple(passages[row] for row in rows), tuple(float(cosines[row]) for row in rows)))
    if not lists:
        raise DataError(
            expected=f"more than {wrong} unlike passages", found=str(len(passages)), remedy="name more data with --data"
        )
    return lists
