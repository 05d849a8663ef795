"""Which intent a question has, or none of them: a vote of the nearest utterances. `python -m rag eval intents`.

The threshold below which a question is out of scope is fitted on the training utterances alone, by cross-validation. In scope
are the utterances held out. Out of scope are the same utterances with their whole intent left out, which are near, and general
questions of another domain, which are far; without a file of those, the far ones are taken to be refused at any threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag import loading
from rag.errors import DataError
from rag.evaluate.answers import silent
from rag.evaluate.beir import find, rows
from rag.evaluate.metrics import Figure, mean
from rag.evaluate.public import IntentSet, intent_sets
from rag.ports import Progress, Vectors
from rag.settings import Settings

OUT = "NO_NODES_DETECTED"  # HINT3's label of what is out of scope
NEIGHBOURS = 5
SHARPNESS = 10.0  # a neighbour that is nearer by 0.1 in cosine has e times the vote
AGREEMENT = 0.5  # power of the winner's share of the vote in the score
FOLDS, ROUNDS = 3, 20  # of cross-validation; with 5 rounds the threshold still moves with the seed
SEED = 20240101
IN_SCOPE, NEAR, FAR = 0.5, 0.25, 0.25  # of the questions that the threshold is fitted for


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence and the intent it is labelled with."""

    text: str
    intent: str


@dataclass(frozen=True)
class IntentResult:
    """Figures of one data set, and what others published on it, if the set is known."""

    name: str
    threshold: float
    figures: dict[str, Figure]
    known: IntentSet | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "threshold": self.threshold,
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
            "peers": self.known.peers if self.known else {},
            "goal": self.known.goal if self.known else None,
        }

    def table(self) -> str:
        """For the terminal."""
        from rag.evaluate.tables import intents_text

        return intents_text(self)


class Voter:
    """Intents by the nearest of known utterances, given as unit vectors."""

    def __init__(self, vectors: Vectors, intents: Sequence[str]) -> None:
        """`vectors` has one row an utterance, `intents` its label."""
        self.intents = np.array(sorted(set(intents)))
        self._of = np.searchsorted(self.intents, np.array(intents))
        self._vectors = vectors

    def similarities(self, vectors: Vectors) -> NDArray[np.float32]:
        """Cosine of every row to every utterance."""
        found: NDArray[np.float32] = vectors @ self._vectors.T
        return found

    def vote(self, similarities: NDArray[np.float32]) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
        """The intent of every row, and its score: the winner's best cosine times the root of its share of the vote."""
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :NEIGHBOURS]
        near = np.take_along_axis(similarities, order, axis=1).astype(np.float64)
        weight = np.exp(SHARPNESS * (near - near[:, :1]))
        belongs = self._of[order][:, :, None] == np.arange(len(self.intents))
        votes = (weight[:, :, None] * belongs).sum(axis=1)
        winner = votes.argmax(axis=1)
        rows = np.arange(len(similarities))
        best = np.where(belongs[rows, :, winner], near, -1.0).max(axis=1)
        share = votes[rows, winner] / weight.sum(axis=1)
        return self.intents[winner], np.maximum(best, 0.0) * share**AGREEMENT


def fit_threshold(vectors: Vectors, intents: Sequence[str], far: Vectors | None = None) -> float:
    """The score below which a question is out of scope, from training utterances and far questions alone (see the module).

    Raises DataError if there are fewer than two intents: then nothing can be left out.
    """
    if len(set(intents)) < 2:
        raise DataError(expected="utterances of two intents or more", found="one", remedy="give more training utterances")
    voter, labels = Voter(vectors, intents), np.array(intents)
    own = voter.similarities(vectors)
    same = labels[:, None] == labels
    random = np.random.default_rng(SEED)
    right: list[NDArray[np.bool_]] = []
    held: list[NDArray[np.float64]] = []
    near: list[NDArray[np.float64]] = []
    for _ in range(ROUNDS):
        fold = random.permutation(len(labels)) % min(FOLDS, len(labels))
        known = fold[:, None] != fold
        guessed, scores = voter.vote(np.where(known, own, np.float32(-1)))
        right.append(guessed == labels)
        held.append(scores)
        near.append(voter.vote(np.where(known & ~same, own, np.float32(-1)))[1])
    distant = voter.vote(voter.similarities(far))[1] if far is not None and len(far) else np.zeros(1)
    return _best(np.concatenate(held), np.concatenate(right), np.concatenate(near), distant)


def _best(held: NDArray[np.float64], right: NDArray[np.bool_], near: NDArray[np.float64], far: NDArray[np.float64]) -> float:
    """The threshold with the highest accuracy expected on IN_SCOPE, NEAR and FAR questions; the lowest of several."""
    thresholds = np.arange(0.0, 1.0, 0.005)
    found = [IN_SCOPE * (right & (held >= t)).mean() + NEAR * (near < t).mean() + FAR * (far < t).mean() for t in thresholds]
    return float(thresholds[int(np.argmax(found))])


def evaluate_intents(
    settings: Settings,
    folder: Path,
    train: str = "v1_train.jsonl",
    test: str = "v1_test.jsonl",
    far: Path | None = None,
    out: str = OUT,
    progress: Progress = silent,
) -> IntentResult:
    """Fit on the utterances of `train`, score those of `test`; `far` holds general questions of another domain.

    Raises DataError for a file that is missing, empty or not in the form, ModelMissing, ModelFailed.
    """
    known, asked = read(find(folder, train)), read(find(folder, test))
    known = [utterance for utterance in known if utterance.intent != out]
    if not known:
        raise DataError(expected=f"an utterance with an intent in {folder / train}", found="none", remedy="check the labels")
    others = read(far, labelled=False) if far else []
    embedder = loading.build_embedder(settings)
    texts = [utterance.text for utterance in (*known, *asked, *others)]
    progress("embed", 0, len(texts))
    vectors = embedder.embed(texts)
    progress("embed", len(texts), len(texts))
    learnt, queries, distant = np.split(vectors, [len(known), len(known) + len(asked)])
    intents = [utterance.intent for utterance in known]
    threshold = fit_threshold(learnt, intents, distant)
    voter = Voter(learnt, intents)
    guessed, scores = voter.vote(voter.similarities(queries))
    given = [intent if score >= threshold else out for intent, score in zip(guessed.tolist(), scores.tolist(), strict=True)]
    name = folder.resolve().name
    chosen = next((known for known in intent_sets() if known.name == name), None)
    return IntentResult(name, threshold, score([utterance.intent for utterance in asked], given, out), chosen)


def score(wanted: Sequence[str], given: Sequence[str], out: str = OUT) -> dict[str, Figure]:
    """Accuracy over all, over the questions in scope, and the share of those out of scope that were told so."""
    right = [one == other for one, other in zip(wanted, given, strict=True)]
    inside = [hit for hit, intent in zip(right, wanted, strict=True) if intent != out]
    outside = [hit for hit, intent in zip(right, wanted, strict=True) if intent == out]
    groups = {"accuracy": right, "accuracy in scope": inside, "recall out of scope": outside}
    return {name: mean(values, interval=True) for name, values in groups.items() if values}


def read(file: Path, labelled: bool = True) -> list[Utterance]:
    """One object a line with text (or sentence) and, if `labelled`, intent (or label). Raises DataError naming file:line."""
    found: list[Utterance] = []
    for where, row in rows(file, ()):
        text, intent = row.get("text", row.get("sentence")), row.get("intent", row.get("label"))
        if not isinstance(text, str) or (labelled and not isinstance(intent, str)):
            expected = "an object with text (or sentence)" + (" and intent (or label)" if labelled else "")
            raise DataError(expected=expected, found=f"{where}: {str(row)[:80]}", remedy="correct the line")
        found.append(Utterance(text, str(intent)))
    if not found:
        raise DataError(expected=f"one question a line in {file}", found="an empty file", remedy="give a file with questions")
    return found
