"""Written entries, pages, public sets and gold questions -> lessons -> rows -> LoRA -> an adapter with its card."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from rag.answer.fitted import LANGUAGES
from rag.models.generate import TransformersGenerator
from rag.tune.generator.judge import judged
from rag.tune.generator.lessons import Lesson, written_lessons
from rag.tune.generator.pack import Row, pack
from rag.tune.generator.pages import page_lessons
from rag.tune.generator.public import public_lessons
from rag.tune.generator.train import Plan, adapted, train
from rag.tune.retriever.sources import LICENCES, authored
from rag.tune.sound import Skipped
from rag.types import Language

LONGEST = 1600  # tokens of a row; a longer lesson is left out, and counted in the card: one Chinese lesson in ten
VALIDATED = 24  # lessons of entries that are not learnt from whose loss is watched
JUDGED = 60  # questions of a language that are answered before and after
ROUNDS = 1  # times that each written entry is shown; more of them: in other company and with other figures

_CARD = """---
language: [en, zh]
license: {licence}
library_name: peft
---
# Shoptalk's answers: a LoRA adapter for {base}

Answers a shopper's question from numbered passages in one or two sentences with the passage's number behind, in the passage's own
words, and says that there is no answer where the passages hold none.

{notice}Made by `{command}` (seed {seed}) in {minutes} minutes. Lessons: sha256 `{digest}`.

| on {judged} questions a language about entries that were not learnt from | before | after |
|---|---|---|
{figures}

"answered" is token F1 (characters in Chinese) with the written reply, a declined question counting as 0.

## Data
{data}

{skipped} lessons of more than {longest} tokens were left out, and {faulty} faults of single rows, which the log names by file and
line.

## Plan
{plan}
"""


_NOTICES = {
    "gemma": """\
Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms, and so is this adapter, which
changes what the model says.

""",
}


def tune_generator(
    base: Path,
    shops: dict[Language, str],
    data: Path | None,
    out: Path,
    plan: Plan,
    command: str,
    skipped: Skipped,
    licence: str = "other",
    brought: Sequence[Lesson] = (),
    start: Path | None = None,
) -> dict[str, tuple[float, float]]:
    """Train an adapter for the generator in `base`; it lies in out/adapter. Returns figures before and after.

    `data` is the folder of public sets, None for none; `licence` is that of the base, which adapters share; `brought` are lessons
    of a shop's own and gold questions, all of which are learnt; `start` is an adapter to teach more. Rows that cannot be learnt
    from are logged and counted with those `skipped` before. A killed run goes on from its checkpoint in `out`.
    Raises DataError naming the set that is missing, ModelMissing, ModelFailed.
    """
    started, generator = time.monotonic(), TransformersGenerator(base)
    lessons, held_out = _lessons(plan, data, brought, skipped)
    faulty = len(skipped)
    rows = _rows(generator, lessons, shops, skipped)
    watched = _rows(generator, held_out[:: max(len(held_out) // VALIDATED, 1)], shops)
    model = adapted(generator.load().model, plan, start)
    train(model, rows, watched, plan, out, _curves(out / "curves"))
    model.peft_config["default"].base_model_name_or_path = base.name  # where it lay here tells nobody anything
    model.to(torch.bfloat16).save_pretrained(str(out / "adapter"))
    after = judged(generator, held_out, shops, JUDGED)
    with model.disable_adapter():
        before = judged(generator, held_out, shops, JUDGED)
    figures = {name: (before[name], value) for name, value in after.items()}
    card = _CARD.format(
        base=generator.fingerprint,
        command=command,
        licence=licence,
        notice=_NOTICES.get(licence, ""),
        seed=plan.seed,
        minutes=round((time.monotonic() - started) / 60),
        digest=hashlib.sha256(repr(lessons).encode()).hexdigest(),
        judged=JUDGED,
        figures=_table(figures),
        data=_data(lessons),
        skipped=len(lessons) - len(rows),
        faulty=faulty,
        longest=LONGEST,
        plan=_plan(plan),
    )
    (out / "adapter" / "README.md").write_text(card, encoding="utf-8")
    return figures


def _lessons(plan: Plan, data: Path | None, brought: Sequence[Lesson], skipped: Skipped) -> tuple[list[Lesson], list[Lesson]]:
    """What is learnt, no more of it than the run draws, what is `brought` whole; and lessons of entries that are not."""
    learnt, unseen = authored(skipped)
    lessons = [lesson for language in LANGUAGES for lesson in written_lessons(learnt, language, plan.seed, ROUNDS)]
    lessons += page_lessons(plan.seed, skipped)
    lessons += public_lessons(data, plan.seed, skipped) if data else []
    drawn = max(plan.steps * plan.lessons - len(brought), 0)
    held_out = [lesson for language in LANGUAGES for lesson in written_lessons(unseen, language, plan.seed)]
    return [*brought, *random.Random(plan.seed).sample(lessons, min(len(lessons), drawn))], held_out


def _curves(folder: Path) -> Callable[[int, dict[str, float]], None]:
    """What puts figures into TensorBoard's files there."""
    curves = SummaryWriter(str(folder))

    def write(step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            curves.add_scalar(name, value, step)
        curves.flush()

    return write


def _rows(
    generator: TransformersGenerator, lessons: Sequence[Lesson], shops: dict[Language, str], skipped: Skipped | None = None
) -> list[Row]:
    """Those of at most LONGEST tokens; a shop's own that is longer is `skipped` by its line."""
    rows = []
    for lesson in lessons:
        row = pack(lesson, shops, generator.tokens, generator.ending)
        if len(row.ids) <= LONGEST:
            rows.append(row)
        elif lesson.where and skipped is not None:
            skipped.add(lesson.where, f"{len(row.ids)} tokens, more than {LONGEST}")
    return rows


def _table(figures: dict[str, tuple[float, float]]) -> str:
    return "\n".join(f"| {name} | {old} | {new} |" for name, (old, new) in figures.items())


def _plan(plan: Plan) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(plan).items())


def _data(lessons: Sequence[Lesson]) -> str:
    counted = Counter(lesson.source for lesson in lessons)
    asked = Counter((lesson.source, branch.kind) for lesson in lessons for branch in lesson.branches)
    lines = []
    for source, number in counted.items():
        kinds = ", ".join(f"{count:,} {kind}" for (own, kind), count in sorted(asked.items()) if own == source)
        lines.append(f"- {source} ({LICENCES.get(source, 'brought by the shop')}): {number:,} lessons; {kinds}")
    return "\n".join(lines)
