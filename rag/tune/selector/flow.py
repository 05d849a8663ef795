"""Pages, lessons and sets -> topics -> a trained selector with its card. `python -m rag tune selector`."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file

from rag.models.embed import SentenceEmbedder
from rag.models.joint import JointEncoder
from rag.models.packed import pack, unpack
from rag.models.resolve import BILINGUAL, SELECTOR, checked, identity
from rag.models.selector import KEPT, LEARNT, Tokens, read
from rag.tune.generator.lessons import own_lessons, written_lessons
from rag.tune.generator.public import public_lessons
from rag.tune.retriever.sources import LICENCES, authored
from rag.tune.selector.topics import GOLD, HELD_OUT, PAGES, Topic, lesson_topics, page_topics, with_neighbours
from rag.tune.selector.train import Plan, judged, train
from rag.tune.sound import Skipped
from rag.types import Language

LANGUAGES: tuple[Language, ...] = ("en", "zh")
PUBLIC = 1500  # lessons of each public set, at most
ROUNDS = 3  # sets that each written entry is shown in, in other company and with other figures
JUDGED = 30  # topics of a language and kind
_CARD = """\
---
language: [en, zh]
license: mit
base_model: intfloat/multilingual-e5-small
---
# Shoptalk's selector: which sentence states what is asked

{start}, taught to read a question and a passage together: one logit for each of its sentences, 0 being what "none of them" is
worth. The embeddings and the lower half of the layers stay as the encoder has them (`kept.safetensors`); `model.safetensors`
holds the upper half and the head, in 8 bits.

Made by `{command}` (seed {seed}) in {minutes} minutes. Digest of what it learnt from (sha256): `{digest}`.

| held out | measure | before | after |
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
    data: Path | None, own: Sequence[Path], gold: Sequence[Topic], encoder: Path | None, out: Path, plan: Plan, command: str
) -> Mapping[str, tuple[dict[str, float], dict[str, float]]]:
    """Train and write out/model with its card; kind of topics held out -> figures before and after.

    Goes on from the selector that ships, or starts from the folder of a BERT `encoder`. Learns from what ships and, if given, the
    sets under `data`, a shop's `own` lessons and `gold` questions (rag.tune.selector.asked). A killed run goes on
    from its checkpoint in `out`. Raises DataError for missing sets, ModelMissing, ValueError for an encoder that lacks weights.
    """
    started, skipped = time.monotonic(), Skipped()
    start = checked(encoder, "--encoder") if encoder else SELECTOR
    model, tokens = _begun(encoder) if encoder else read(start), Tokens(start)
    topics, unseen = _topics(data, own, plan.seed, skipped)
    topics += [topic for place, topic in enumerate(gold) if place % HELD_OUT]
    unseen |= {f"gold, {language}": [topic for topic in gold[::HELD_OUT] if topic.language == language] for language in LANGUAGES}
    before = {name: judged(model, tokens, group) for name, group in unseen.items() if group}
    train(model, tokens, topics, plan, out)
    figures = {name: (old, judged(model, tokens, unseen[name])) for name, old in before.items()}
    write(model, start, out / "model")
    rows = [
        f"| {name} | {measure} | {old[measure]:.3f} | {new[measure]:.3f} |"
        for name, (old, new) in figures.items()
        for measure in ("right", "told")
    ]
    text = _CARD.format(
        start=identity(start),
        command=command,
        seed=plan.seed,
        minutes=round((time.monotonic() - started) / 60),
        digest=hashlib.sha256(repr([(one.passages, one.asked) for one in topics]).encode()).hexdigest(),
        figures="\n".join(rows),
        judged=JUDGED,
        data=_data(topics),
        faulty=len(skipped),
        plan=", ".join(f"{name} {value}" for name, value in asdict(plan).items()),
    )
    (out / "model" / "README.md").write_text(text, encoding="utf-8")
    return figures


def _begun(encoder: Path) -> JointEncoder:
    """Untaught, with the weights that stay as they will be on disk."""
    model = JointEncoder.of(encoder)
    model.load_state_dict(unpack(pack(dict(model.kept()))), strict=False)
    return model


def _topics(data: Path | None, own: Sequence[Path], seed: int, skipped: Skipped) -> tuple[list[Topic], dict[str, list[Topic]]]:
    """What is learnt from, and by kind what is held out."""
    learnt, unseen = authored(skipped)
    pages, kept = page_topics(skipped)
    lessons = [one for language in LANGUAGES for one in written_lessons(learnt, language, seed, ROUNDS)]
    lessons += public_lessons(data, seed, skipped, PUBLIC) if data else []
    lessons += [lesson for path in own for lesson in own_lessons(path, skipped)]
    embedder = SentenceEmbedder(BILINGUAL, dtype="auto")
    watched = {
        f"{kind}, {language}": [topic for topic in found if topic.language == language][:JUDGED]
        for language in LANGUAGES
        for kind, found in (("pages", kept), ("lessons", lesson_topics(written_lessons(unseen, language, seed))))
    }
    return with_neighbours(pages, embedder.embed, seed) + lesson_topics(lessons), watched


def write(model: JointEncoder, start: Path, folder: Path) -> None:
    """The whole model, packed, with the configuration and the tokenizer of what it was made from."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(pack(dict(model.kept())), folder / KEPT)
    save_file(pack(dict(model.learnt())), folder / LEARNT)
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(start / name, folder / name)


def _data(topics: Sequence[Topic]) -> str:
    """Each source with its licence and how much of it there was."""
    licences = {**LICENCES, PAGES.stem: "Apache-2.0, written for Shoptalk", GOLD: "of the shop whose documents they ask about"}
    counted = Counter(topic.source for topic in topics)
    asked: Counter[str] = Counter()
    for topic in topics:
        asked[topic.source] += len(topic.asked)
    return "\n".join(
        f"- {source} ({licences.get(source, 'brought by the shop')}): {number:,} topics, {asked[source]:,} questions"
        for source, number in counted.items()
    )
