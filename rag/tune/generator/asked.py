"""Lessons from gold questions: each over the sentences that serving would show the generator for it.

What they teach is what a search really brings: ten sentences about the same thing, of which one answers, or none. The reply is
the gold answer where the checks of serving would let it pass, else the sentence itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from rag.answer.check import claims
from rag.answer.evidence import usable
from rag.answer.generate import build_prompt, excerpts, stands, states
from rag.answer.parts import Case
from rag.answer.prompt import Excerpt
from rag.answer.rank import Candidate
from rag.answer.reply import NONE
from rag.answer.units import units
from rag.evaluate.gold import Question
from rag.ports import Progress
from rag.settings import Settings
from rag.tune.generator.lessons import Branch, Lesson, found, passage_of, query_of
from rag.tune.selector.asked import asking, states_answer, with_answer
from rag.types import Chunk, Passage

SOURCE = "gold questions"
SHOWN = (5, 6, 8, 10)  # sentences; serving shows the last number of them
ABSENT = 0.5  # of the answers that are not among those shown stay away, so that "none" is learnt where the search failed


def gold_lessons(settings: Settings, gold: Path, seed: int, progress: Progress) -> list[Lesson]:
    """A lesson a question, but those that end before anything is searched.

    Raises DataError for a set to measure with, NoIndex, ModelMissing, ModelFailed.
    """
    dice = random.Random(seed)
    with asking(settings, gold, progress) as (cases, chunks):
        return [lesson for item, case in cases if (lesson := _lesson(item, case, chunks, dice))]


def _lesson(item: Question, case: Case, chunks: Sequence[Chunk], dice: random.Random) -> Lesson | None:
    if dice.random() > ABSENT or item.kind == "cross":
        case.passages = with_answer(item, case.passages, chunks, dice)
    case.usable = tuple(usable(case.passages, case.language))
    if item.kind == "cross":
        return _foreign(item, case, dice)
    case.weigh()
    sentences = [one for one in case.candidates if not one.unit.is_whole]
    right = [one for one in sentences if states_answer(item, case, one.passage, one.unit)]
    sentences = sentences[: dice.choice(SHOWN)]
    if right and right[0] not in sentences and dice.random() > ABSENT:
        sentences[-1] = right[0]
    case.candidates = tuple(sentences)
    shown = excerpts(case)
    if not shown:
        return None
    held = [one for one in right if one in sentences]
    return _asked(item, case, shown, _reply(item, case, held) if held else NONE)


def _reply(item: Question, case: Case, right: Sequence[Candidate]) -> str:
    """The gold answer if a passage that is right carries all of it, else what the likeliest says word for word."""
    prompt = build_prompt(case, excerpts(case))
    numbers = {passage.chunk.id: number for number, passage in enumerate(prompt.passages, start=1)}
    standing = stands(case, item.answer, prompt)
    if len(standing) == len(claims(item.answer)) and any(states(one, other) for one in standing[:1] for other in right):
        return found(item.answer, numbers[standing[0][1].chunk.id])
    return found(right[0].unit.text, numbers[right[0].passage.chunk.id])


def _foreign(item: Question, case: Case, dice: random.Random) -> Lesson | None:
    """The sentence in the other language that answers, with its neighbours; the reply is in the question's."""
    pairs = [(passage, unit) for passage in case.passages for unit in units(passage.chunk) if not unit.is_whole]
    right = next((place for place, pair in enumerate(pairs) if states_answer(item, case, *pair)), None)
    if right is None:
        return None
    passage, around = pairs[right][0], dice.choice((0, 1, 2))
    near = [unit.text for other, unit in pairs[max(right - around, 0) : right + around + 1] if other is passage]
    return _asked(item, case, [(passage, " ".join(near))], found(item.answer, 1))


def _asked(item: Question, case: Case, shown: Sequence[Excerpt], reply: str) -> Lesson:
    passages = tuple(_passage(passage, text) for passage, text in shown)
    kind = "missing" if reply == NONE else "follow-up" if item.history else "answer"
    return Lesson(passages, (Branch(query_of(item.question, case.language), item.turns, reply, kind),), SOURCE)


def _passage(passage: Passage, text: str) -> Passage:
    """So much of it as the prompt shows, under the same title."""
    chunk = passage.chunk
    return passage_of(text, " > ".join(dict.fromkeys((chunk.title, *chunk.headings))), chunk.kind)
