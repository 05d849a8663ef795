"""How likely a passage that was found holds the answer, told from the scores of the best ones: nothing more is embedded.

A logistic regression by language, fitted for one embedder and its retrieval weights by `python -m rag tune answers`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rag.types import Passage

FIRST = 5  # passages that are looked at
SIGNALS = (
    "one",  # the constant
    "score",  # fused, of the best passage
    "lead",  # ... less the mean of the others
    "dense",  # best cosine
    "question",  # best cosine to a question that a passage answers; 0 for none
)


def signals(passages: Sequence[Passage]) -> list[float]:
    """One value for each of SIGNALS, from passages as they were found, best first; there is at least one."""
    first = passages[:FIRST]
    score, *others = [passage.score for passage in first]
    lead = score - sum(others) / len(others) if others else 0.0
    best = {name: max(passage.scores.get(name, 0.0) for passage in first) for name in ("dense", "question")}
    return [1.0, score, lead, best["dense"], best["question"]]


def confidence(passages: Sequence[Passage], weights: Mapping[str, float]) -> float:
    """0..1; 0 for no passages. `weights` are of SIGNALS; one that is not there weighs nothing."""
    if not passages:
        return 0.0
    odds = sum(weights.get(name, 0.0) * value for name, value in zip(SIGNALS, signals(passages), strict=True))
    return 1 / (1 + math.exp(-max(min(odds, 50.0), -50.0)))
