"""Gold questions as lessons of the selector: each over passages that the live index finds for it, as in serving.

What makes lessons of pages is that every line is a neighbour of another; here it is what a search really brings, most of it
beside the point, and what the last exchange leaves out of a follow-up.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag import build, keeping, loading
from rag.answer.cite import cite
from rag.answer.parts import Case
from rag.answer.quote import quoted
from rag.answer.units import Unit, layout, units
from rag.errors import DataError
from rag.evaluate.answers import on_the_day
from rag.evaluate.balance import LEAK
from rag.evaluate.gold import Question, gold_files, load_gold
from rag.evaluate.metrics import squeeze
from rag.evaluate.rows import as_found
from rag.evaluate.score import holds
from rag.ports import Progress
from rag.settings import Settings
from rag.tune.examples import is_right, searched
from rag.tune.selector.topics import GOLD, Asked, Topic
from rag.types import Chunk, Passage

MEASURING = ("dev", "fit", "test", "plain")  # folders of questions that settings are chosen on, fitted on and measured with


def gold_topics(settings: Settings, gold: Path, seed: int, progress: Progress) -> list[Topic]:
    """A topic a question, but those that end before anything is searched. Raises DataError, NoIndex, ModelMissing,
    ModelFailed.
    """
    dice, topics = random.Random(seed), []
    with asking(settings, gold, progress) as (cases, chunks):
        for item, case in cases:
            case.passages = with_answer(item, case.passages, chunks, dice)
            asked = Asked(case.query.repaired or case.query.text, frozenset(_right(item, case)), before=case.query.context)
            shown = tuple(layout(passage.chunk) for passage in case.passages)
            topics.append(Topic(shown, (asked,), GOLD, item.lang))
    return topics


@contextlib.contextmanager
def asking(settings: Settings, gold: Path, progress: Progress) -> Iterator[tuple[Iterator[tuple[Question, Case]], list[Chunk]]]:
    """Questions to learn from, each with what the live index finds for it, and the chunks of the index.

    No selector ranks them: the one that ships has learnt from these questions. Raises DataError for a set to measure with,
    NoIndex, ModelMissing, ModelFailed.
    """
    if measured := [file for file in gold_files(gold.resolve()) if file.parent.name in MEASURING]:
        raise DataError(
            expected="questions to learn from", found=f"{measured[0]}, a set to measure with", remedy="name another folder"
        )
    settings, items = on_the_day(settings, gold), load_gold(gold)
    embedder = loading.build_embedder(settings)
    generation = keeping.build_generations(settings).open(embedder.fingerprint)

    def cases() -> Iterator[tuple[Question, Case]]:
        for done, item in enumerate(items, start=1):
            if case := searched(item, parts, search, parts.passages):
                yield item, case
            progress("ask", done, len(items))

    try:
        search = build.build_search(settings, generation, embedder, loading.build_reranker(settings, embedder))
        parts = build.build_parts(settings, generation, search, embedder, loading.build_generator(settings), None)
        yield cases(), list(generation.store.chunks())
    finally:
        generation.store.close()


def with_answer(item: Question, found: tuple[Passage, ...], chunks: Sequence[Chunk], dice: random.Random) -> tuple[Passage, ...]:
    """What was found; where none of it holds the answer, a passage that does stands in any one's place."""
    if not item.answerable or any(holds(one, item) for one in as_found(found)):
        return found
    held = next((chunk for chunk in chunks if holds(as_found([Passage(chunk, 0.0)])[0], item)), None)
    if held is None:
        return found
    place = dice.randrange(max(len(found), 1))
    return (*found[:place], Passage(held, 0.0), *found[place + 1 :])


def _right(item: Question, case: Case) -> Iterator[int]:
    """The places of the units that state the answer."""
    pairs = [(passage, unit) for passage in case.passages for unit in units(passage.chunk)]
    return (place for place, pair in enumerate(pairs) if states_answer(item, case, *pair))


def states_answer(item: Question, case: Case, passage: Passage, unit: Unit) -> bool:
    """Whether a unit of a passage holds a gold quote or a part of it, or would be right if quoted."""
    text = squeeze(unit.text)
    is_quote = any(quote in text or (len(text) >= LEAK and text in quote) for quote in map(squeeze, item.quotes))
    if is_quote and holds(as_found([passage])[0], item):
        return True
    return is_right(item, case, cite([quoted(passage, unit, case.language)]))
