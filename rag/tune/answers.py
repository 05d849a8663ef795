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
from rag.tune.ladder import PENALTIES, Tally, folds, held_out_scores, surprise, thresholds, told_by_scores, verdict
from rag.types import Language

FEWEST = 20  # questions a language that are worth fitting on
GAIN = 0.02  # of the score, cross-validated, for which every question is read: it takes a second or two


@dataclass(frozen=True, slots=True)
class Tuned:
    """What is fitted for one language; the ladder as it was and as it is now, on the same questions."""

    read: Matrix | None  # of rag.answer.rank.READ; None where no generator reads, or what it says does not pay
    thresholds: Thresholds
    found: Mapping[str, float]  # weights of rag.retrieve.confidence.SIGNALS
    before: Tally  # by weights that may have been fitted on these very questions
    after: Tally  # cross-validated, without a generator
    told: Tally | None  # ... and with it
    auc: float  # of `found`, cross-validated
    settled: int  # questions that end before the ladder, such as attacks


@dataclass(frozen=True, slots=True)
class AnswersTuned:
    """What was fitted, and where it lies."""

    fitted: Fitted
    penalty: float  # that the weights were fitted with
    languages: Mapping[Language, Tuned]
    file: Path

    def table(self) -> str:
        """For the terminal."""
        from rag.evaluate.tables import render
        from rag.tune.tables import answers_table

        return render([self.fitted.questions, answers_table(self), f"weights and thresholds are in {self.file}"])


def tune_answers(
    settings: Settings, gold: Sequence[Path], out: Path | None = None, limit: int = 0, progress: Progress = silent
) -> AnswersTuned:
    """Fit on the questions of all `gold` sets (`limit` of them, from all over, if given) and write `out`, or the home's own file.

    Raises DataError for gold not in the form or with too few questions of a language, NoIndex, ModelMissing, ModelFailed.
    """
    items = [item for one in gold for item in load_gold(one)]
    items = items[:: max(1, len(items) // limit)][:limit] if limit else items
    settings = on_the_day(settings, gold[0])
    collected = collect(settings, items, progress)
    now = collected.fitted
    sets = ", ".join(f"{one.as_posix()} (digest {digest(one)})" for one in gold)
    name = f"{sets}, {len(items)} questions"
    cost = settings.answer.wrong_cost
    _check(collected, sets)
    examples = collected.examples
    trial = cross_validated(examples, cost, collected.similar)
    languages: dict[Language, Tuned] = {}
    for language in LANGUAGES:
        languages[language] = _tuned(collected, language, trial, now.chosen(settings.answer)[language], cost)
        progress("fit", len(languages), len(LANGUAGES))
    fitted = Fitted(
        now.embedder,
        fit([(one.features, one.right) for one in examples], trial.penalty),
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
    return AnswersTuned(fitted, trial.penalty, languages, file)


@dataclass(frozen=True, slots=True)
class Trial:
    """Examples cross-validated: one set of weights for both languages, since few questions teach it."""

    penalty: float  # under which what is right surprises least
    scores: Sequence[Matrix]  # of each example, the weighted sums of its units as new questions get them
    verdicts: Sequence[int]  # ... and what the ladder's answer is worth
    thresholds: Mapping[Language, Thresholds]


def cross_validated(examples: Sequence[Example], cost: float, similar: Mapping[Language, Sequence[Near]]) -> Trial:
    """The best penalty, and how the ladder fares with it."""
    tried = {penalty: held_out_scores(examples, penalty) for penalty in PENALTIES}
    likely = {penalty: list(map(likelihoods, scores)) for penalty, scores in tried.items()}
    penalty = min(PENALTIES, key=lambda one: surprise(examples, likely[one]))
    chosen = _thresholds(examples, likely[penalty], cost, similar)
    return Trial(penalty, tried[penalty], _verdicts(examples, likely[penalty], cost, similar), chosen)


def _tuned(collected: Collected, language: Language, trial: Trial, before: Thresholds, cost: float) -> Tuned:
    """What is fitted for one language, beside the ladder as it was."""
    asked = [place for place, example in enumerate(collected.examples) if example.language == language]
    mine = [collected.examples[place] for place in asked]
    after, chosen = Tally.of(trial.verdicts[place] for place in asked), trial.thresholds[language]
    weights, told = None, None
    pairs = [(collected.examples[place], trial.scores[place]) for place in asked]
    if seen := [read for one, prior in pairs if (read := one.as_read(prior))]:
        second = cross_validated(seen, cost, collected.similar)
        chosen = replace(chosen, read=second.thresholds[language].read)
        weights = fit([(one.features, one.right) for one in seen], second.penalty)
        told = Tally.of([*second.verdicts, *[0] * (len(mine) - len(seen))])
        weights = weights if told.score >= after.score + GAIN else None
    found, auc = told_by_scores(mine)
    return Tuned(
        weights,
        chosen,
        dict(zip(SIGNALS, map(float, found), strict=True)),
        Tally.of(verdict(one, likelihoods(one.features @ collected.fitted.weights), before) for one in mine),
        after,
        told,
        auc,
        sum(item.lang == language for item in collected.settled),
    )


def _check(collected: Collected, gold: str) -> None:
    """Raises DataError for too few questions of a language in `gold`."""
    for language in LANGUAGES:
        mine = [example for example in collected.examples if example.language == language]
        held = sum(bool(example.right.any()) for example in mine)
        if len(mine) < FEWEST or not held:
            raise DataError(
                expected=f"at least {FEWEST} questions in {language}, some of them with their answer found, in {gold}",
                found=f"{len(mine)}, {held} with it",
                remedy="add questions or ingest the documents that answer them",
            )


def _thresholds(
    examples: Sequence[Example], likely: Sequence[Matrix], cost: float, similar: Mapping[Language, Sequence[Near]]
) -> dict[Language, Thresholds]:
    """From all examples, but for the likeness to a vetted question, which the languages have their own of."""
    own = {language: [one for one in examples if one.language == language] for language in LANGUAGES}
    near = {
        language: [*similar.get(language, ()), *((one.likeness, one.vetted) for one in mine if one.likeness > 0)]
        for language, mine in own.items()
    }
    return {language: thresholds(examples, likely, cost, near[language]) for language in LANGUAGES}


def _verdicts(
    examples: Sequence[Example], likely: Sequence[Matrix], cost: float, similar: Mapping[Language, Sequence[Near]]
) -> list[int]:
    """What each is worth; `likely` were fitted without its fold, and so are the thresholds."""
    number = folds(examples)
    worth: dict[int, int] = {}
    for fold in set(number):
        others = [place for place, its in enumerate(number) if its != fold]
        chosen = _thresholds([examples[place] for place in others], [likely[place] for place in others], cost, similar)
        for place in set(range(len(examples))) - set(others):
            worth[place] = verdict(examples[place], likely[place], chosen[examples[place].language])
    return [worth[place] for place in range(len(examples))]
