"""Weights and thresholds of the answer ladder, fitted on gold questions for the embedder in use. `python -m rag tune answers`.

gold --the ladder, up to where it decides--> examples --cross-validated--> penalty, thresholds
                                                    --all of them--> weights
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rag.answer.fit import Matrix, fit
from rag.answer.fitted import LANGUAGES, NAME, Fitted, Thresholds
from rag.answer.rank import likelihoods
from rag.errors import DataError
from rag.evaluate.answers import on_the_day, silent
from rag.evaluate.gold import digest, load_gold
from rag.index.manifest import write_atomically
from rag.ports import Progress
from rag.retrieve.confidence import SIGNALS
from rag.settings import Settings
from rag.tune.examples import Collected, Example, Near, collect
from rag.tune.ladder import PENALTIES, Tally, folds, held_out, held_out_scores, surprise, thresholds, told_by_scores, verdict
from rag.types import Language

FEWEST = 20  # questions a language that are worth fitting on
GAIN = 0.02  # of the score, cross-validated, for which every question is read: it takes a second or two


@dataclass(frozen=True, slots=True)
class Tuned:
    """One language, fitted: the ladder as it was and as it is now, on the same questions."""

    weights: Matrix  # of rag.answer.rank.FEATURES
    read: Matrix | None  # of rag.answer.rank.READ; None where no generator reads, or what it says does not pay
    thresholds: Thresholds
    found: Mapping[str, float]  # weights of rag.retrieve.confidence.SIGNALS
    penalty: float  # that the weights were fitted with
    before: Tally  # by weights that may have been fitted on these very questions
    after: Tally  # cross-validated, without a generator
    told: Tally | None  # ... and with it
    auc: float  # of `found`, cross-validated
    settled: int  # questions that end before the ladder, such as attacks


@dataclass(frozen=True, slots=True)
class AnswersTuned:
    """What was fitted, and where it lies."""

    fitted: Fitted
    languages: Mapping[Language, Tuned]
    file: Path

    def table(self) -> str:
        """For the terminal."""
        from rag.evaluate.tables import render
        from rag.tune.tables import answers_table

        return render([self.fitted.questions, answers_table(self), f"weights and thresholds are in {self.file}"])


def tune_answers(
    settings: Settings, gold: Path, out: Path | None = None, limit: int = 0, progress: Progress = silent
) -> AnswersTuned:
    """Fit on the gold questions (`limit` of them, from all over the set, if given) and write `out`, or the home's own file.

    Raises DataError for gold not in the form or with too few questions of a language, NoIndex, ModelMissing, ModelFailed.
    """
    items = load_gold(gold)
    items = items[:: max(1, len(items) // limit)][:limit] if limit else items
    settings = on_the_day(settings, gold)
    collected = collect(settings, items, progress)
    now = collected.fitted
    name = f"{gold.as_posix()} (digest {digest(gold)}, {len(items)} questions)"
    cost = settings.answer.wrong_cost
    before = now.chosen(settings.answer)
    languages: dict[Language, Tuned] = {}
    for language in LANGUAGES:
        languages[language] = tuned(collected, language, before[language], cost, gold)
        progress("fit", len(languages), len(LANGUAGES))
    fitted = Fitted(
        now.embedder,
        {language: found.weights for language, found in languages.items()},
        {language: found.thresholds for language, found in languages.items()},
        {language: found.found for language, found in languages.items()},
        cost,
        name,
        now.generator,
        {language: found.read for language, found in languages.items() if found.read is not None},
        now.selector,
    )
    file = out or settings.home / NAME
    write_atomically(file, fitted.as_toml())
    return AnswersTuned(fitted, languages, file)


def tuned(collected: Collected, language: Language, before: Thresholds, cost: float, gold: Path) -> Tuned:
    """One language fitted, beside the ladder as it was. Raises DataError for too few questions in `gold`."""
    mine = [example for example in collected.examples if example.language == language]
    held = sum(bool(example.right.any()) for example in mine)
    if len(mine) < FEWEST or not held:
        raise DataError(
            expected=f"at least {FEWEST} questions in {language}, some of them with their answer found, in {gold}",
            found=f"{len(mine)}, {held} with it",
            remedy="add questions or ingest the documents that answer them",
        )
    old = collected.fitted.weights[language]
    similar = collected.similar[language]
    penalty, after, chosen = cross_validated(mine, cost, similar)
    weights, told = None, None
    priors = held_out_scores(mine, penalty)  # as new questions get them: on its own questions a fit is too sure of itself
    if seen := [read for one, prior in zip(mine, priors, strict=True) if (read := one.as_read(prior))]:
        second, _, limits = cross_validated(seen, cost, similar)
        chosen = replace(chosen, read=limits.read)
        weights = fit([(one.features, one.right) for one in seen], second)
        told = Tally.of([*_verdicts(seen, second, cost, similar), *[0] * (len(mine) - len(seen))])
        weights = weights if told.score >= after.score + GAIN else None
    found, auc = told_by_scores(mine)
    return Tuned(
        fit([(one.features, one.right) for one in mine], penalty),
        weights,
        chosen,
        dict(zip(SIGNALS, map(float, found), strict=True)),
        penalty,
        Tally.of(verdict(one, likelihoods(one.features @ old), before) for one in mine),
        after,
        told,
        auc,
        sum(item.lang == language for item in collected.settled),
    )


def cross_validated(examples: Sequence[Example], cost: float, similar: Sequence[Near] = ()) -> tuple[float, Tally, Thresholds]:
    """The penalty under which what is right surprises least, how the ladder fares with it, and the thresholds it needs."""
    tried = {penalty: held_out(examples, penalty) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda one: surprise(examples, tried[one]))
    return penalty, Tally.of(_verdicts(examples, penalty, cost, similar)), thresholds(examples, tried[penalty], cost, similar)


def _verdicts(examples: Sequence[Example], penalty: float, cost: float, similar: Sequence[Near]) -> list[int]:
    """What each is worth, by weights and thresholds that were fitted without its fold."""
    pairs = list(zip(examples, held_out(examples, penalty), folds(examples), strict=True))
    verdicts: list[int] = []
    for fold in sorted({number for _, _, number in pairs}):
        others = [(example, likely) for example, likely, number in pairs if number != fold]
        chosen = thresholds([example for example, _ in others], [likely for _, likely in others], cost, similar)
        verdicts += [verdict(example, likely, chosen) for example, likely, number in pairs if number == fold]
    return verdicts
