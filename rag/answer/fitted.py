"""What is fitted on gold questions for one embedder and selector, as a TOML file: when to answer, and with what.

The file beside this one comes with Shoptalk, for the default embedder. `python -m rag tune answers` writes another into a home,
where it counts as long as these are the models in use.
"""

from __future__ import annotations

import functools
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rag.answer.fit import Matrix
from rag.answer.rank import FEATURES, READ
from rag.errors import SettingsError
from rag.settings import AnswerSettings
from rag.types import Language

log = logging.getLogger(__name__)
SHIPPED = Path(__file__).with_name("weights.toml")
NAME = "fitted.toml"  # of a home's own file
LANGUAGES: tuple[Language, ...] = get_args(Language)
_HEAD = """\
# Fitted by `python -m rag tune answers` on {questions}; the meaning of each weight is in rag/answer/rank.py.
embedder = "{embedder}"
selector = "{selector}"
generator = "{generator}"  # that the weights "read" are for
wrong_cost = {wrong_cost}  # of a wrong answer, where a right one earns 1 and declining nothing
"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on the rungs of the ladder answer, 0..1."""

    refuse_below: float  # likelihood of the best unit below which nothing is said but what is vetted
    quote: float  # ... from which it is quoted
    faq: float  # likeness to a vetted question from which its answer is given
    read: float  # likelihood of the best unit, once a generator has read the passages, from which there is an answer


# Of models that nothing was fitted for: rather too high than too low.
CAUTIOUS: Mapping[Language, Thresholds] = {
    "en": Thresholds(0.4, 0.4, 0.9, 0.4),
    "zh": Thresholds(0.4, 0.4, 0.9, 0.4),
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights of rag.answer.rank.FEATURES; by language thresholds, and weights of rag.retrieve.confidence.SIGNALS, in `found`.

    `read` are weights of rag.answer.rank.READ, for what the `generator` with that fingerprint makes of the passages.
    """

    embedder: str  # fingerprint
    weights: Matrix
    thresholds: Mapping[Language, Thresholds]
    found: Mapping[Language, Mapping[str, float]] = field(default_factory=dict)
    wrong_cost: float = 1.0
    questions: str = ""  # what it was fitted on
    generator: str = ""  # fingerprint
    read: Mapping[Language, Matrix] = field(default_factory=dict)
    selector: str = ""  # fingerprint; empty: none

    def is_for(self, embedder: str, selector: str = "") -> bool:
        """Whether these are the models it was fitted for; in what type of number they compute changes too little to matter."""
        return _model(embedder) == _model(self.embedder) and _model(selector) == _model(self.selector)

    def for_generator(self, fingerprint: str) -> Fitted:
        """This; without weights for what a generator says unless it is the one that they were fitted for."""
        return self if fingerprint == self.generator else replace(self, read={})

    def for_models(self, embedder: str, selector: str = "") -> Fitted:
        """This; for models that it was not fitted for with cautious thresholds, and without confidence in passages."""
        if self.is_for(embedder, selector):
            return self
        own = f"{self.embedder} and {self.selector or 'no selector'}"
        log.info(
            "thresholds are fitted for %s, not %s and %s: run `python -m rag tune answers`", own, embedder, selector or "none"
        )
        return replace(self, thresholds=CAUTIOUS, found={}, read={})

    def chosen(self, policy: AnswerSettings) -> dict[Language, Thresholds]:
        """The thresholds, those that are set by hand first; a hand-set refuse_below is that of quotes and of reading, too."""
        return {language: _chosen(policy, language, self.thresholds[language]) for language in LANGUAGES}

    def as_toml(self) -> str:
        """The file's text: the same numbers make the same bytes."""
        head = _HEAD.format(
            questions=self.questions,
            embedder=self.embedder,
            selector=self.selector,
            generator=self.generator,
            wrong_cost=self.wrong_cost,
        )
        tables = [
            _table(f"{language}.thresholds", asdict(self.thresholds[language]))
            + (_table(f"{language}.found", self.found[language]) if language in self.found else "")
            + (_table(f"{language}.read", dict(zip(READ, self.read[language], strict=True))) if language in self.read else "")
            for language in LANGUAGES
        ]
        return head + _table("weights", dict(zip(FEATURES, self.weights, strict=True))) + "".join(tables)


def _model(fingerprint: str) -> str:
    """Without the name of the folder, which comes first, and the type of number, which comes last: weights count."""
    plain = fingerprint.rpartition("/")[0] or fingerprint
    return plain.partition("@")[2] or plain


def _table(name: str, values: Mapping[str, float]) -> str:
    return f"\n[{name}]\n" + "".join(f"{key} = {value:.3f}\n" for key, value in values.items())


def _chosen(policy: AnswerSettings, language: Language, fitted: Thresholds) -> Thresholds:
    refuse, quote, vetted = policy.by_hand(language)
    return Thresholds(
        fitted.refuse_below if refuse is None else refuse,
        quote if quote is not None else fitted.quote if refuse is None else refuse,
        fitted.faq if vetted is None else vetted,
        fitted.read if refuse is None else refuse,
    )


def fitted(home: Path, embedder: str, selector: str = "") -> Fitted:
    """The home's own if it is for these models, else what comes with Shoptalk. Raises SettingsError as read_fitted does."""
    own = home / NAME
    if own.is_file() and (found := read_fitted(own)).is_for(embedder, selector):
        return found
    return shipped().for_models(embedder, selector)


def found_weights(home: Path, embedder: str) -> Mapping[Language, Mapping[str, float]]:
    """Those of Fitted.found for this embedder, whatever the selector, which passages are found without; empty if there are none.

    Raises SettingsError as read_fitted does.
    """
    own = home / NAME
    candidates = [read_fitted(own)] if own.is_file() else []
    return next((one.found for one in (*candidates, shipped()) if one.is_for(embedder, one.selector)), {})


@functools.lru_cache(maxsize=1)
def shipped() -> Fitted:
    """What comes with Shoptalk."""
    return read_fitted(SHIPPED)


def read_fitted(file: Path) -> Fitted:
    """Raises SettingsError naming what is missing or wrong."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        return Fitted(
            str(tables["embedder"]),
            np.array([float(tables["weights"][name]) for name in FEATURES]),
            {language: _thresholds(tables[language]["thresholds"]) for language in LANGUAGES},
            {language: _numbers(tables[language]["found"]) for language in LANGUAGES if "found" in tables[language]},
            float(tables["wrong_cost"]),
            generator=str(tables.get("generator", "")),
            read={
                language: np.array([float(tables[language]["read"][name]) for name in READ])
                for language in LANGUAGES
                if "read" in tables[language]
            },
            selector=str(tables.get("selector", "")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            expected=f"an embedder, weights, and thresholds of {' and '.join(LANGUAGES)}, in {file}",
            found=repr(error),
            remedy="fit again with `python -m rag tune answers`, or remove the file",
        ) from error


def _numbers(table: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in table.items()}


def _thresholds(table: Mapping[str, Any]) -> Thresholds:
    return Thresholds(**{one.name: float(table[one.name]) for one in fields(Thresholds)})
