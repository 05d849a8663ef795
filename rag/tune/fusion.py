"""Weights of retrieval's features, fitted on questions whose passages are known. `python -m rag tune fusion`.

questions --rewrite, candidates--> features and which passages are right --conditional logit--> weights.toml

Gold dev questions, plain and with noise, teach what the shop's questions need; sets in the BEIR layout that may be trained on
keep the weights from leaning on the shop. A weight may not have the sign that makes no sense: no passage is worse for being near.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rag import build
from rag.answer.fit import Likelihood
from rag.evaluate.answers import on_the_day
from rag.evaluate.beir import load_set, unpack
from rag.evaluate.garble import NOISES, garble
from rag.evaluate.gold import Question, load_gold
from rag.evaluate.metrics import holds
from rag.language import fold
from rag.ports import Progress
from rag.retrieve.features import FEATURES, FILE, Weights, fitted
from rag.retrieve.fuse import FusedSource
from rag.retrieve.search import Search
from rag.settings import Settings
from rag.tune.sets import grounded, written
from rag.types import Chunk, Language, Query

PENALTIES = (0.0003, 0.001, 0.003, 0.01)
FOLDS = 5
WORSE = ("against", "other_product", "other_entity")  # features that can only speak against a passage
# Features that no training set has, and those that mean the same for what it does have.
TIED = {"entity": "product", "entity_carried": "product_carried", "other_entity": "other_product"}
Wanted = Question | frozenset[str]  # a gold question with its quotes, or ids of a set's passages
OF_A_SET = 200  # questions taken from a public set, so that none outweighs the shop's


@dataclass(frozen=True, slots=True)
class Example:
    """One question: its candidates' features, shape (n, FEATURES), and which of them are right; "plain" or the set's name."""

    language: Language
    group: str  # variants of one question share it: they are learnt from or measured on together
    source: str
    features: NDArray[np.float64]
    right: NDArray[np.bool_]


def of_gold(settings: Settings, gold: Path, progress: Progress) -> list[Example]:
    """The answerable gold questions, as they are and with noise, against the live index. Raises NoIndex, DataError."""
    items = [item for item in load_gold(gold) if item.answerable]
    with build.searching(on_the_day(settings, gold)) as (search, _):
        examples = []
        for done, item in enumerate(items, start=1):
            for source, question in _variants(item):
                query = search.rewrite(question, item.turns)
                group = item.dialogue or item.variants_of or item.id
                examples.append(_example(search, query, item.lang, (group, source), item))
            progress("gold", done, len(items))
    return examples


def of_set(settings: Settings, folder: Path, language: Language, progress: Progress) -> list[Example]:
    """Questions of a set in the BEIR layout, or of grounded conversations, ingested into a home of its own. Raises DataError."""
    if not (folder / "qrels.tsv").is_file() and any(folder.glob("answers.jsonl*")):
        folder = grounded(folder, settings.home / "grounded" / folder.name)
    data = load_set(folder)
    home = settings.home / "sets" / f"{data.name}-{data.digest}"
    if not (home / "corpus" / "corpus.jsonl").is_file():
        unpack(data.corpus, home / "corpus")
    apart = settings.model_copy(update={"home": home, "corpus": home / "corpus"})
    build.run_ingest(apart, progress)
    step = max(len(data.queries) // OF_A_SET, 1)
    examples = []
    with build.searching(apart) as (search, _):
        for done, asked in enumerate(data.queries[::step][:OF_A_SET], start=1):
            query = search.rewrite(asked.text, asked.history)
            names = (f"{data.name}/{asked.id}", data.name)
            examples.append(_example(search, query, language, names, asked.relevant))
            progress(data.name, done, OF_A_SET)
    return examples


def _variants(item: Question) -> Iterator[tuple[str, str]]:
    yield "plain", item.question
    if item.kind in ("single", "dialogue"):
        for noise in (name for name, (language, _) in NOISES.items() if language == item.lang):
            garbled = garble(item.question, noise, "fit")
            if fold(garbled) != fold(item.question):  # script and width are folded away before anything is searched
                yield noise, garbled


def _example(search: Search, query: Query, language: Language, names: tuple[str, str], wanted: Wanted) -> Example:
    """`names` are the group and the source."""
    if not isinstance(search.source, FusedSource):
        raise TypeError("expected a search without a reranker, whose weights are not what is fitted")
    pool = search.source.candidates(query)
    right = np.array([_is_right(chunk, wanted) for chunk in pool.chunks], dtype=np.bool_)
    return Example(language, *names, pool.features, right)


def _is_right(chunk: Chunk, wanted: Wanted) -> bool:
    if isinstance(wanted, frozenset):
        return chunk.entry in wanted
    return holds(chunk.text, [source.quote for source in wanted.sources if source.entry in ("", chunk.entry)])


def fit(examples: Sequence[Example], penalty: float, start: Weights | None = None) -> Weights:
    """The weights, one a feature, under which right passages are likeliest. At least one example has a right candidate.

    Minimises the mean negative log likelihood of the conditional logit (McFadden 1974) plus `penalty` / 2 * |w - start|^2 by
    L-BFGS-B, each weight on its side of zero: the same examples always give the same weights.
    """
    usable = [(_tied(example.features), list(example.right)) for example in examples if example.right.any()]
    likelihood = Likelihood.of(usable, declining=False)
    center = np.zeros(len(FEATURES)) if start is None else start

    def loss(weights: Weights) -> tuple[float, Weights]:
        away = weights - center
        value = likelihood.loss(weights) + penalty / 2 * float(away @ away)
        return value, likelihood.gradient(weights) + penalty * away

    sides = [(-np.inf, 0.0) if name in WORSE else (0.0, np.inf) for name in FEATURES]
    first = np.clip(center, [low for low, _ in sides], [high for _, high in sides])
    weights: Weights = minimize(loss, first, jac=True, bounds=sides, method="L-BFGS-B", options={"maxiter": 500}).x
    for name, like in TIED.items():
        weights[FEATURES.index(name)] = weights[FEATURES.index(like)]
    return weights


def recall(examples: Sequence[Example], weights: Weights, k: int = 5) -> float:
    """Share of the examples with a right passage among the k best; one whose candidates lack it counts as missed."""
    hits = [example.right[np.argsort(-(example.features @ weights), kind="stable")[:k]].any() for example in examples]
    return float(np.mean(hits)) if hits else 0.0


def held_out(examples: Sequence[Example], penalty: float, shared: Weights) -> dict[str, float]:
    """Source -> recall@5 of weights that never saw the group that they rank."""
    groups = sorted({example.group for example in examples})
    hits: dict[str, list[float]] = {}
    for number in range(FOLDS):
        out = set(groups[number::FOLDS])
        weights = fit([example for example in examples if example.group not in out], penalty, shared)
        for example in (example for example in examples if example.group in out):
            hits.setdefault(example.source, []).append(recall([example], weights))
    return {source: float(np.mean(hits[source])) for source in sorted(hits)}


def tune_fusion(
    settings: Settings, gold: Path, sets: Mapping[Path, Language], out: Path = FILE, progress: Progress = lambda *_: None
) -> list[dict[str, object]]:
    """Fit both languages and write the weights to `out`; rows for a table: language, source, recall@5.

    Each language starts from weights fitted on both, which is what its own examples may move it away from.
    """
    settings = settings.model_copy(update={"models": settings.models.model_copy(update={"reranker": ""})})
    examples = of_gold(settings, gold, progress)
    faqs: dict[Path, Language] = {written(settings.home / f"written_{own}", own): own for own in get_args(Language)}
    for folder, language in {**faqs, **sets}.items():
        examples += of_set(settings, folder, language, progress)
    shared = fit(examples, PENALTIES[1])
    before, chosen, rows = fitted(out) if out.is_file() else fitted(), {}, []
    for language in get_args(Language):
        own = [example for example in examples if example.language == language]
        validated = {penalty: held_out(own, penalty, shared) for penalty in PENALTIES}
        best = max(PENALTIES, key=lambda penalty: (np.mean(list(validated[penalty].values())), penalty))  # sources count alike
        chosen[language] = fit(own, best, shared)
        for source, validation in validated[best].items():
            of_source = [example for example in own if example.source == source]
            rows.append(
                {
                    "language": language,
                    "source": source,
                    "n": len(of_source),
                    "before": recall(of_source, before[language]),
                    "after": recall(of_source, chosen[language]),
                    "cross-validated": validation,
                    "among the candidates": float(np.mean([example.right.any() for example in of_source])),
                }
            )
    write(chosen, out)
    return rows


def write(weights: Mapping[Language, Weights], path: Path) -> None:
    """The weights as TOML, three digits, those that are nothing left out."""
    lines = ["# Weights of the features in features.py by the question's language, fitted by `python -m rag tune fusion`."]
    for language, values in weights.items():
        lines += ["", f"[{language}]"]
        lines += [f"{name} = {value:.3f}" for name, value in zip(FEATURES, values, strict=True) if abs(value) >= 0.0005]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _tied(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tied features count as what they are tied to."""
    joined = features.copy()
    for name, like in TIED.items():
        joined[:, FEATURES.index(like)] += joined[:, FEATURES.index(name)]
        joined[:, FEATURES.index(name)] = 0.0
    return joined
