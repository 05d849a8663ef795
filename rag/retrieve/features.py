"""What is known of each candidate, one number a feature, and the weights that make one score of them.

A query has up to three forms: its text, the text with its spelling repaired, and the text with the last exchange behind it. A
form that a query does not have counts as its text, so that weights mean the same with and without it. A "part" is a score as a
part of the best one for that form: on public sets (StackFAQ, MT-RAG ClapNQ, CMRC 2018, DRCD) this found as much as z-scores and
min-max scaling, and clearly more than reciprocal ranks, which throw away how far ahead the best passage is.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from rag.errors import SettingsError
from rag.types import Language

Column = NDArray[np.float64]  # one entry a candidate
Weights = NDArray[np.float64]  # one entry a feature, in the order of FEATURES

FILE = Path(__file__).with_name("weights.toml")
FORMS = {"text": "", "repaired": "repaired_", "context": "context_"}  # form of the query -> prefix of its features
SIGNALS = (  # of each form
    "dense",  # cosine to the chunk, 0..1
    "dense_part",
    "lexical_part",  # BM25
    "lexical_share",  # BM25 as a share of the most that the query's known words could score together, 0..1
    "coverage",  # share of the query's known words, by rarity, that the chunk holds
    "question",  # best cosine to a question that the chunk answers; 0 for none
    "sentence",  # best cosine to a sentence of the chunk; 0 for none
)
OWN = (
    "against",  # by how much a question that the chunk does not answer is nearer to the query's text than those it does
    "product",  # 1: about a product that the question names
    "product_carried",  # 1: about one that the latest earlier turn with a name names, 1/2: the one before, ...
    "other_product",  # 1: about products, but none of those named or carried, while there are some
    "entity",  # the same for other subjects with a name: see entities.py
    "entity_carried",
    "other_entity",
    "language",  # 1: in the question's language, or in none
    "title",  # 1: the question holds the chunk's title
    "faq",  # 1: a FAQ entry
)
FEATURES = tuple(f"{prefix}{signal}" for prefix in FORMS.values() for signal in SIGNALS) + OWN


@dataclass(frozen=True, slots=True)
class Signals:
    """One form of the query against every candidate."""

    cosine: Column  # -1..1
    bm25: Column  # 0..
    share: Column  # 0..1
    coverage: Column  # 0..1
    question: Column  # -1..1
    sentence: Column  # -1..1

    def columns(self) -> list[Column]:
        """In the order of SIGNALS."""
        return [
            np.maximum(self.cosine, 0.0),
            _part(self.cosine),
            _part(self.bm25),
            self.share,
            self.coverage,
            np.maximum(self.question, 0.0),
            np.maximum(self.sentence, 0.0),
        ]


def matrix(forms: Mapping[str, Signals], own: Mapping[str, Column]) -> NDArray[np.float64]:
    """Shape (candidates, features): `forms` are some of FORMS, "text" among them; `own` are all of OWN."""
    columns = {form: signals.columns() for form, signals in forms.items()}
    of_forms = [column for form in FORMS for column in columns.get(form, columns["text"])]
    return np.stack([*of_forms, *(own[name] for name in OWN)], axis=1)


@functools.lru_cache(maxsize=8)
def fitted(path: Path = FILE) -> Mapping[Language, Weights]:
    """The weights in a file of one table a language; what it leaves out weighs nothing. Raises SettingsError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(expected=f"weights in {path}", found=str(error), remedy="correct retrieve.weights") from error
    languages = get_args(Language)
    if missing := [language for language in languages if not isinstance(tables.get(language), dict)]:
        raise SettingsError(
            expected=f"tables [en] and [zh] in {path}", found=f"no [{missing[0]}]", remedy="fit the weights again"
        )
    for language in languages:
        for name, weight in tables[language].items():
            if name not in FEATURES or not isinstance(weight, int | float):
                raise SettingsError(
                    expected=f"a number for some of {', '.join(FEATURES)}",
                    found=f"{name} = {weight!r} in [{language}] of {path}",
                    remedy="fit the weights again",
                )
    return {language: np.array([float(tables[language].get(name, 0.0)) for name in FEATURES]) for language in languages}


def _part(scores: Column) -> Column:
    """Scores as parts of the best one, 0..1; what is below 0 counts as nothing."""
    best = scores.max(initial=0.0)
    return np.maximum(scores, 0.0) / best if best > 0 else np.zeros(len(scores))
