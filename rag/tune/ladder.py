"""The answer ladder on examples: what it would say under given weights and thresholds, and which of them earn most.

Everything is cross-validated: an example is judged by weights, and by thresholds, that were fitted without its fold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rag.answer.faq import is_it
from rag.answer.fit import Matrix, fit
from rag.answer.fitted import Thresholds
from rag.answer.rank import likelihoods
from rag.retrieve.confidence import signals
from rag.tune.examples import Example, Near

PENALTIES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)
FOLDS = 10
_LIGHT = 0.003  # penalty of a regression on few features
_EDGE = 1e-6  # likelihoods are kept as far from 0 and 1, so that they have odds


@dataclass(frozen=True, slots=True)
class Tally:
    """How a ladder fared on `n` questions."""

    right: int
    wrong: int
    n: int

    @classmethod
    def of(cls, verdicts: Iterable[int]) -> Tally:
        """+1 right, 0 declined, -1 wrong."""
        given = list(verdicts)
        return cls(given.count(1), given.count(-1), len(given))

    @property
    def score(self) -> float:
        """Mean of +1 for what is right, 0 for what is declined, -1 for what is wrong."""
        return (self.right - self.wrong) / self.n

    @property
    def coverage(self) -> float:
        """Share of the questions that are answered."""
        return (self.right + self.wrong) / self.n

    @property
    def accuracy(self) -> float:
        """Share of the answers that are right; 0 for no answers."""
        return self.right / max(self.right + self.wrong, 1)


def folds(examples: Sequence[Example]) -> list[int]:
    """0..FOLDS-1 for each; what belongs together is in one fold, and each kind of question is spread over all of them."""
    groups = dict.fromkeys(example.group for example in sorted(examples, key=lambda one: (one.item.kind, one.group)))
    number = {group: place % FOLDS for place, group in enumerate(groups)}
    return [number[example.group] for example in examples]


def held_out_scores(examples: Sequence[Example], penalty: float) -> list[Matrix]:
    """Of each example the weighted sums of its units, by weights fitted on the other folds."""
    number = folds(examples)
    found: list[Matrix] = [np.zeros(0)] * len(examples)
    for fold in sorted(set(number)):
        weights = fit([(one.features, one.right) for one, its in zip(examples, number, strict=True) if its != fold], penalty)
        for place, example in enumerate(examples):
            if number[place] == fold:
                found[place] = example.features @ weights
    return found


def held_out(examples: Sequence[Example], penalty: float) -> list[Matrix]:
    """... and the likelihoods that they give."""
    return [likelihoods(scores) for scores in held_out_scores(examples, penalty)]


def surprise(examples: Sequence[Example], likely: Sequence[Matrix]) -> float:
    """Mean negative log likelihood of what is right: a unit that is, or none of them."""
    given = [
        float(found[one.right].sum()) if one.right.any() else 1 - float(found.sum())
        for one, found in zip(examples, likely, strict=True)
    ]
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def heard(example: Example, likely: Matrix, threshold: float) -> int | None:
    """The place of the unit that is quoted if any is, by the rule of rag.answer.evidence.heard; None where there is no unit."""
    if not len(likely):
        return None
    official = np.where(example.official, likely, -1.0)
    return int(official.argmax() if official.max() >= threshold else likely.argmax())


def verdict(example: Example, likely: Matrix, thresholds: Thresholds) -> int:
    """What the ladder's answer is worth: +1 right, 0 declined, -1 wrong."""
    own = float(likely[example.own].sum()) if example.own is not None else 0.0
    if is_it(example.likeness, own, thresholds):
        return 1 if example.vetted else -1
    best = heard(example, likely, thresholds.refuse_below)
    if best is None or likely[best] < max(thresholds.quote, thresholds.refuse_below):
        return 0
    return 1 if example.said_right(best, likely) else -1


def level(cases: Sequence[tuple[float, bool]], cost: float) -> float:
    """The score from which answering earns: where a logistic regression on (score, right) gives right odds of `cost` to 1.

    Smoother than the threshold that happened to earn most, which on two hundred questions is decided by one or two of them.
    Infinity where nothing earns, minus infinity where everything does or nothing tells right from wrong.
    """
    right = sum(good for _, good in cases) / len(cases)
    constant, slope = fit([(np.array([[1.0, score]]), [good]) for score, good in cases], 1e-4)
    if slope <= 0 or right in (0, 1):
        return -math.inf if right * (1 + cost) >= cost else math.inf
    return float((math.log(cost) - constant) / slope)


def thresholds(examples: Sequence[Example], likely: Sequence[Matrix], cost: float, near: Sequence[Near] = ()) -> Thresholds:
    """Those under which a wrong answer, which costs `cost`, is made up for by right ones, which earn 1.

    `near` are cases of likeness to a vetted question, and whether its answer is right.
    """
    best = [(one, found, heard(one, found, 0.0)) for one, found in zip(examples, likely, strict=True)]
    answerable = [(_odds(found[place]), one.said_right(place, found)) for one, found, place in best if place is not None]
    quote = level(answerable, cost) if answerable else math.inf
    faq = level(near, cost) if near else math.inf
    likelihood = 1 / (1 + math.exp(-quote)) if quote > -50 else 0.0
    return Thresholds(likelihood, likelihood, min(max(faq, 0.01), 1.0), likelihood)


def told_by_scores(examples: Sequence[Example]) -> tuple[Matrix, float]:
    """Weights of rag.retrieve.confidence.SIGNALS, and how well they tell what holds the answer from what does not, held out.

    That is the probability that of two questions, one with its answer found and one without, the first has more confidence.
    """
    seen = [(np.array([signals(one.passages)]), [one.held]) for one in examples if one.passages]
    number = folds([one for one in examples if one.passages])
    given: dict[bool, list[float]] = {True: [], False: []}
    for fold in sorted(set(number)):
        weights = fit([case for case, its in zip(seen, number, strict=True) if its != fold], _LIGHT)
        for (features, right), its in zip(seen, number, strict=True):
            if its == fold:
                given[right[0]].append(float(features[0] @ weights))
    pairs = [(held > lacking) + (held == lacking) / 2 for held in given[True] for lacking in given[False]]
    return fit(seen, _LIGHT), float(np.mean(pairs)) if pairs else math.nan


def _odds(likelihood: float) -> float:
    kept = min(max(float(likelihood), _EDGE), 1 - _EDGE)
    return math.log(kept / (1 - kept))
