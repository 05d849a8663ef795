"""Pages, lessons and sets -> topics -> a trained selector with its card. `python -m rag tune selector`."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from rag.models.embed import SentenceEmbedder
from rag.models.joint import JointEncoder
from rag.models.resolve import BILINGUAL, identity
from rag.models.selector import tokenizer_of
from rag.tune.generator.lessons import own_lessons, written_lessons
from rag.tune.generator.public import public_lessons
from rag.tune.retriever.sources import LICENCES, authored
from rag.tune.selector.topics import PAGES, Topic, lesson_topics, page_topics, with_cosines
from rag.tune.selector.train import Plan, judged, train
from rag.tune.sound import Skipped
from rag.types import Language

LANGUAGES: tuple[Language, ...] = ("en", "zh")
ROUNDS = 3  # sets that each written entry is shown in, in other company and with other figures
JUDGED = 30  # topics of a language and kind
_CARD = """\
---
language: [en, zh]
license: apache-2.0
base_model: sentence-transformers/all-MiniLM-L6-v2
---
# Shoptalk's selector: which sentence states what is asked

The upper layers of {embedder}, taught to read a question and a sentence together, and a head: one logit for a pair, 0 being
what "none of them" is worth. It needs that embedder's word embeddings and first layers, which ship beside it.

Made by `{command}` (seed {seed}) in {minutes} minutes. Digest of what it learnt from (sha256): `{digest}`.

| held out | measure | embedder | selector |
|---|---|---|---|
{figures}

"right": share of the questions with an answer whose likeliest sentence states it. "told": how often, of a question with an answer
and one without, the first has the higher best score. On {judged} topics of each kind at most, none of which was learnt from.

## Data
{data}

Rows left out as faulty: {faulty}. Sets under CC BY-SA ask to be named, and that what is derived from them be shared alike.

## Plan
{plan}

## Limits
English and Chinese, sentences of a shop's documents. A high logit says that a sentence is about what is asked, not that it
is true.
"""


def tune_selector(
    data: Path | None, own: Sequence[Path], out: Path, plan: Plan, command: str
) -> Mapping[str, tuple[dict[str, float], dict[str, float]]]:
    """Train and write out/model with its card; kind of topics held out -> figures before and after.

    Learns from what ships, from the sets under `data` and from a shop's own lessons, if given. A killed run goes on from its
    checkpoint in `out`. Raises DataError for missing sets.
    """
    started, skipped = time.monotonic(), Skipped()
    learnt, unseen = authored(skipped)
    pages, kept = page_topics(plan.seed, skipped)
    embedder = SentenceEmbedder(BILINGUAL, dtype="auto")
    lessons = [one for language in LANGUAGES for one in written_lessons(learnt, language, plan.seed, ROUNDS)]
    lessons += public_lessons(data, plan.seed, skipped) if data else []
    lessons += [lesson for path in own for lesson in own_lessons(path, skipped)]
    topics = with_cosines(pages, embedder.embed) + lesson_topics(lessons)
    watched = {
        f"{kind}, {language}": [topic for topic in found if topic.language == language][:JUDGED]
        for language in LANGUAGES
        for kind, found in (("pages", kept), ("lessons", lesson_topics(written_lessons(unseen, language, plan.seed))))
    }
    model, tokens = JointEncoder.of(BILINGUAL), tokenizer_of(BILINGUAL)
    before = {name: judged(model, tokens, group) for name, group in watched.items() if group}
    train(model, tokens, topics, plan, out)
    figures = {name: (old, judged(model, tokens, watched[name])) for name, old in before.items()}
    write(model, out / "model")
    rows = [
        f"| {name} | {measure} | {old[measure]:.3f} | {new[measure]:.3f} |"
        for name, (old, new) in figures.items()
        for measure in ("right", "told")
    ]
    text = _CARD.format(
        embedder=identity(BILINGUAL),
        command=command,
        seed=plan.seed,
        minutes=round((time.monotonic() - started) / 60),
        digest=hashlib.sha256(repr([(one.sentences, one.asked) for one in topics]).encode()).hexdigest(),
        figures="\n".join(rows),
        judged=JUDGED,
        data=_data(topics),
        faulty=len(skipped),
        plan=", ".join(f"{name} {value}" for name, value in asdict(plan).items()),
    )
    (out / "model" / "README.md").write_text(text, encoding="utf-8")
    return figures


def write(model: JointEncoder, folder: Path) -> None:
    """What was learnt, in bfloat16, and what it was made from."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().to(torch.bfloat16).contiguous() for name, value in model.learnt()}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"embedder": identity(BILINGUAL)}, indent=1) + "\n", encoding="utf-8")


def _data(topics: Sequence[Topic]) -> str:
    """Each source with its licence and how much of it there was."""
    licences = {**LICENCES, PAGES.stem: "Apache-2.0, written for Shoptalk"}
    counted = Counter(topic.source for topic in topics)
    asked: Counter[str] = Counter()
    for topic in topics:
        asked[topic.source] += len(topic.asked)
    return "\n".join(
        f"- {source} ({licences.get(source, 'brought by the shop')}): {number:,} topics, {asked[source]:,} questions"
        for source, number in counted.items()
    )
