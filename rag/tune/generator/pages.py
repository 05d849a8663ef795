"""Lessons from the pages that the selector learns from: many kinds of shop, one of neighbouring sentences to copy, or none."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rag.answer.reply import NONE
from rag.language import detect
from rag.tune.generator.lessons import Branch, Lesson, found, passage_of, query_of
from rag.tune.selector.topics import PAGES, Topic, garbled, page_topics
from rag.tune.sound import Skipped
from rag.types import Passage

SHOWN = (5, 6, 7, 8)  # lines of a page, in one passage or two
ASKED = 6  # questions of a lesson
LEFT_OPEN = 2  # ... of which so many, at most, are about what is not shown
STRANGE = 0.5  # of the lessons have a few lines of another page


def page_lessons(seed: int, skipped: Skipped) -> list[Lesson]:
    """One lesson of each page that is learnt from; lines of the file that are no pages are `skipped`."""
    learnt, _ = page_topics(skipped)
    dice = random.Random(seed)
    return [lesson for topic in learnt if (lesson := _lesson(topic, learnt, dice)).branches]


def _lesson(topic: Topic, others: Sequence[Topic], dice: random.Random) -> Lesson:
    """Some of the page's lines, with questions that they answer and some that they leave open."""
    page = topic.passages[0]
    shown = sorted(dice.sample(range(len(page.pieces)), min(dice.choice(SHOWN), len(page.pieces))))
    at = dice.randrange(2, len(shown) - 1) if len(shown) > 4 and dice.random() < 0.5 else len(shown)
    parts = [(topic, part) for part in (shown[:at], shown[at:]) if part]
    if dice.random() < STRANGE:
        other = dice.choice([one for one in others if one.language == topic.language])
        start = dice.randrange(max(len(other.passages[0].pieces) - 2, 1))
        parts.append((other, list(range(start, min(start + 3, len(other.passages[0].pieces))))))
    dice.shuffle(parts)
    passages = tuple(_passage(owner, lines, dice) for owner, lines in parts)
    marker = {line: number for number, (owner, lines) in enumerate(parts, start=1) if owner is topic for line in lines}
    branches = list(_branches(topic, marker, dice))
    return Lesson(passages, tuple(dice.sample(branches, len(branches))), PAGES.stem)


def _passage(topic: Topic, lines: Sequence[int], dice: random.Random) -> Passage:
    """These lines of a page, each a line or one behind the other."""
    page = topic.passages[0]
    between = "\n" if dice.random() < 0.5 else " " if topic.language == "en" else ""
    return passage_of(between.join(page.pieces[line] for line in lines), page.subject)


def _branches(topic: Topic, marker: dict[int, int], dice: random.Random) -> Iterator[Branch]:
    """Questions in the page's language; the reply is the line itself, with its passage's number."""
    own = [one for one in topic.asked if detect(one.question) in (None, topic.language)]
    held = [one for one in own if one.right & set(marker)]
    left_open = [one for one in own if not one.right & set(marker)]
    least = min(LEFT_OPEN, len(left_open))
    for one in (*dice.sample(held, min(ASKED - least, len(held))), *dice.sample(left_open, least)):
        line = min(one.right & set(marker), default=-1)
        reply = found(topic.passages[0].pieces[line], marker[line]) if line >= 0 else NONE
        query = query_of(garbled(one.question, dice), topic.language)
        yield Branch(query, (), reply, "answer" if line >= 0 else "missing")
