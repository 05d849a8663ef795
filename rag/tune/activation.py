"""New models go live only if they make nothing worse: fitted, asked the gold questions beside the present ones, compared.

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
from rag.models.resolve import LIVE_ADAPTER, LIVE_SELECTOR
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
# Setting of models -> the folder in the home, a file that such a model has, and the command that makes it.
MADE = {
    "adapter": (LIVE_ADAPTER, "adapter_config.json", "tune generator"),
    "selector": (LIVE_SELECTOR, "kept.safetensors", "tune selector"),
}
TOLERANCE = 0.02  # by which a watched figure may be worse: on 180 questions a language, three or four of them


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one language under the present models and under the new ones."""

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


def try_models(
    settings: Settings,
    new: Mapping[str, Path],
    fit: Sequence[Path],
    gold: Path,
    out: Path,
    tolerance: float = TOLERANCE,
    progress: Progress = silent,
) -> tuple[Sequence[Change], bool]:
    """Compare `new` models (folders by their setting, as in MADE) with what is live on `gold`, thresholds fitted on `fit`; make
    them live if nothing got worse.

    Raises DataError if `gold` is one of `fit`, or no model is there, NoIndex, ModelFailed.
    """
    if gold.resolve() in {one.resolve() for one in fit}:
        raise DataError(expected="other questions to judge by than to fit on", found=str(gold), remedy="give two sets")
    if not new:
        raise DataError(expected="an adapter or a selector to try", found="neither", remedy="name the folder of one, or of both")
    for name, folder in new.items():
        _, file, command = MADE[name]
        if not (folder / file).is_file():
            raise DataError(expected=f"the files of {name} in {folder}", found=f"no {file}", remedy=f"run `{command}` first")
    trial = _trial(settings, new, out / "home")
    before = evaluate_answers(settings, gold, out / "before.json", progress=progress)
    tune_answers(trial, fit, progress=progress)
    after = evaluate_answers(trial, gold, out / "after.json", progress=progress)
    changes = compare(before, after)
    is_better = not any(change.is_worse(tolerance) for change in changes)
    if is_better:
        _make_live(settings.home, new, trial.home / NAME)
    return changes, is_better


def _trial(settings: Settings, new: Mapping[str, Path], home: Path) -> Settings:
    """The settings with the new models, in a home whose entries are links to the real one's, but for what is fitted."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    own = {NAME, *(MADE[name][0] for name in new)}
    for entry in settings.home.iterdir():
        if entry.name not in own and entry.resolve() not in home.resolve().parents:
            (home / entry.name).symlink_to(entry.resolve(), target_is_directory=entry.is_dir())
    models = {name: str(folder) for name, folder in new.items()}
    return settings.model_copy(update={"home": home, "models": settings.models.model_copy(update=models)})


def _make_live(home: Path, new: Mapping[str, Path], fitted: Path) -> None:
    """The models first, then what is fitted for them: in between, its weights are for others and are not used."""
    for name, folder in new.items():
        live = home / MADE[name][0]
        copy = live.with_name(f"{live.name}.new")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        shutil.rmtree(live, ignore_errors=True)
        copy.replace(live)
    shutil.copyfile(fitted, home / f"{NAME}.new")
    (home / f"{NAME}.new").replace(home / NAME)
