"""A new adapter goes live only if it makes nothing worse: fitted, asked the gold questions beside the present one, compared.

The trial runs in a home of its own whose index is that of the real one, so that shoppers notice nothing until the last step.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.answer.fitted import NAME
from rag.errors import DataError
from rag.evaluate.answers import evaluate_answers, silent
from rag.evaluate.result import EvaluationResult
from rag.evaluate.score import LOWER_IS_BETTER
from rag.models.resolve import ACTIVATED
from rag.ports import Progress
from rag.settings import Settings
from rag.tune.answers import tune_answers

WATCHED = (
    "score",
    "answers.right",
    "answers.wrong",
    "refusals.recall",
    "answers.numbers_exact",
    "citations.verbatim",
    "citations.supporting",
)
TOLERANCE = 0.02  # by which a watched figure may be worse: on 180 questions a language, three or four of them


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one language under the present adapter and under the new one."""

    metric: str
    language: str
    before: float
    after: float

    def is_worse(self, tolerance: float) -> bool:
        """By more than the tolerance."""
        lost = self.after - self.before if self.metric in LOWER_IS_BETTER else self.before - self.after
        return lost > tolerance


def compare(before: EvaluationResult, after: EvaluationResult) -> list[Change]:
    """The watched figures that both have."""
    return [
        Change(metric, language, old[metric].value, new[metric].value)
        for language, old in before.languages.items()
        for new in [after.languages[language]]
        for metric in WATCHED
        if metric in old and metric in new
    ]


def try_adapter(
    settings: Settings, adapter: Path, fit: Path, gold: Path, out: Path, tolerance: float = TOLERANCE, progress: Progress = silent
) -> tuple[Sequence[Change], bool]:
    """Compare the adapter with what is live on `gold`, thresholds fitted on `fit`; make it live if nothing got worse.

    Raises DataError if `fit` and `gold` are the same, or the adapter is not there, NoIndex, ModelFailed.
    """
    if fit.resolve() == gold.resolve():
        raise DataError(expected="other questions to judge by than to fit on", found=str(gold), remedy="give two sets")
    if not (adapter / "adapter_config.json").is_file():
        raise DataError(expected=f"an adapter in {adapter}", found="no adapter_config.json", remedy="run `tune generator` first")
    trial = _trial(settings, adapter, out / "home")
    before = evaluate_answers(settings, gold, out / "before.json", progress=progress)
    tune_answers(trial, fit, progress=progress)
    after = evaluate_answers(trial, gold, out / "after.json", progress=progress)
    changes = compare(before, after)
    is_better = not any(change.is_worse(tolerance) for change in changes)
    if is_better:
        _make_live(settings.home, adapter, trial.home / NAME)
    return changes, is_better


def _trial(settings: Settings, adapter: Path, home: Path) -> Settings:
    """The settings with the adapter, in a home whose entries are links to the real one's, but for what is fitted."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for entry in settings.home.iterdir():
        if entry.name not in (NAME, ACTIVATED) and entry.resolve() not in home.resolve().parents:
            (home / entry.name).symlink_to(entry.resolve(), target_is_directory=entry.is_dir())
    models: Mapping[str, str] = {"adapter": str(adapter)}
    return settings.model_copy(update={"home": home, "models": settings.models.model_copy(update=models)})


def _make_live(home: Path, adapter: Path, fitted: Path) -> None:
    """The adapter first, then what is fitted for it: in between, its weights are for another and are not used."""
    new, live = home / f"{ACTIVATED}.new", home / ACTIVATED
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(adapter, new)
    shutil.rmtree(live, ignore_errors=True)
    new.replace(live)
    shutil.copyfile(fitted, home / f"{NAME}.new")
    (home / f"{NAME}.new").replace(home / NAME)
