"""Lessons from public sets that may be trained on: other domains, short answers, questions that a passage leaves open."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from rag.answer.reply import NONE
from rag.evaluate.beir import find
from rag.language import simplify, words
from rag.tune.generator.lessons import Branch, Lesson, found, passage_of, query_of
from rag.tune.sound import Skipped, invented, missing, sound_rows
from rag.types import Language

LONGEST = {"en": 900, "zh": 260}  # characters of a passage: longer ones cost more tokens than they teach
MOST = 5  # questions of a lesson
LESSONS = 250  # of a set: what a shop is asked is learnt from the written entries, the rest is for breadth
_OPINION = re.compile(r"^(?:yes|no|yep|nope|yeah|absolutely|of course|i |we |my |sure)\b", re.IGNORECASE)

Asked = tuple[str, str]  # question, reply; no reply where the passage does not hold it


def public_lessons(folder: Path, seed: int, skipped: Skipped | None = None, most: int = LESSONS) -> list[Lesson]:
    """At most `most` lessons of each set under `folder`; rows that cannot be used are `skipped`.

    Raises DataError naming the set that is missing or has no row that can be used.
    """
    dice, skipped = random.Random(seed), Skipped() if skipped is None else skipped
    sets = (list(_squad(folder, dice, skipped)), list(_policies(folder, dice, skipped)), list(_evidence(folder, dice, skipped)))
    return [lesson for lessons in sets for lesson in dice.sample(lessons, min(len(lessons), most))]


def _squad(folder: Path, dice: random.Random, skipped: Skipped) -> Iterable[Lesson]:
    """Chinese reading comprehension, a third of the questions without an answer."""
    place = folder / "zh_squad2_dev"
    passages = {str(row["_id"]): row for _, row in sound_rows(find(place, "corpus.jsonl"), ("_id", "text"), skipped)}
    asking = sound_rows(find(place, "queries.jsonl"), ("_id", "text"), skipped)
    questions = {str(row["_id"]): str(row["text"]) for _, row in asking}
    asked: dict[str, list[Asked]] = defaultdict(list)
    for where, row in sound_rows(find(place, "answers.jsonl"), ("_id", "context_id", "answers"), skipped):
        question, passage = questions.get(str(row["_id"]), ""), passages.get(str(row["context_id"]), {})
        if not question.strip() or missing(passage, ("text",)):
            skipped.add(where, "no question or passage of these ids")
        elif row["answers"] != [] and not _told(row["answers"][:1], passage["text"], where, skipped):
            continue
        elif not row.get("in_xquad_context"):
            asked[str(row["context_id"])].append((simplify(question), simplify(row["answers"][0]) if row["answers"] else ""))
    for id in sorted(asked):
        text = simplify(passages[id]["text"])
        if len(text) <= LONGEST["zh"]:
            yield from _lesson(text, simplify(passages[id].get("title", "")), asked[id], "zh", "zh_squad2_dev", dice)


def _policies(folder: Path, dice: random.Random, skipped: Skipped) -> Iterable[Lesson]:
    """English privacy policies."""
    asked: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    keys = ("title", "question", "context", "answers")
    for where, row in sound_rows(find(folder / "policyqa", "dev.jsonl"), keys, skipped):
        if empty := missing(row, keys[:3]):
            skipped.add(where, f"nothing usable under {empty!r}")
            continue
        if not _told(row["answers"], row["context"], where, skipped):
            continue
        best = max(row["answers"], key=len)
        if 12 <= len(best) <= 160 and len(row["context"]) <= LONGEST["en"]:
            asked[(row["title"], row["context"])].append((row["question"], best))
    for title, text in sorted(asked):
        yield from _lesson(text, title, asked[(title, text)], "en", "policyqa", dice)


def _evidence(folder: Path, dice: random.Random, skipped: Skipped) -> Iterable[Lesson]:
    """English product questions, three sentences of evidence a lesson; opinions and replies that add words are left out."""
    keys, kept = ("question", "candidate", "answer"), []
    for where, row in sound_rows(find(folder / "amazon_hetpqa_gen", "train.jsonl"), keys, skipped):
        if empty := missing(row, keys):
            skipped.add(where, f"nothing usable under {empty!r}")
            continue
        if not _told([row["answer"]], row["candidate"], where, skipped):
            continue
        known = set(words(row["candidate"]))
        said = words(row["answer"])
        told = sum(word in known for word in said) / max(len(said), 1)
        if told >= 0.8 and len(said) > 3 and not _OPINION.match(row["answer"]) and len(row["candidate"]) < 400:
            kept.append(row)
    dice.shuffle(kept)
    for start in range(0, len(kept) - 3, 3):
        group, absent = kept[start : start + 3], kept[(start + 3) % len(kept)]
        shown = [passage_of(row["candidate"], "") for row in group]
        branches = [
            Branch(query_of(row["question"], "en"), (), found(_sentence(row["answer"]), number), "answer")
            for number, row in enumerate(group, start=1)
        ]
        branches.append(Branch(query_of(absent["question"], "en"), (), NONE, "missing"))
        yield Lesson(tuple(shown), tuple(branches), "amazon_hetpqa_gen")


def _lesson(
    text: str, title: str, asked: Sequence[Asked], language: Language, source: str, dice: random.Random
) -> Iterable[Lesson]:
    """One passage and at most MOST questions, a third of them without an answer."""
    held = [pair for pair in asked if pair[1]]
    left_open = [pair for pair in asked if not pair[1]]
    chosen = dice.sample(held, min(len(held), MOST - 1))
    chosen += dice.sample(left_open, min(len(left_open), max(1, len(chosen) // 2)))
    branches = [
        Branch(query_of(question, language), (), found(reply, 1) if reply else NONE, "answer" if reply else "missing")
        for question, reply in dice.sample(chosen, len(chosen))
    ]
    if branches:
        yield Lesson((passage_of(text, title),), tuple(branches), source)


def _told(replies: object, text: str, where: str, skipped: Skipped) -> bool:
    """Whether these are replies that state no figure that the text lacks; else the row is skipped."""
    if not (isinstance(replies, list) and replies and all(isinstance(one, str) and one.strip() for one in replies)):
        skipped.add(where, "no answer")
    elif figures := invented(" ".join(replies), text):
        skipped.add(where, f"the answer states {', '.join(figures)}, the passage does not")
    else:
        return True
    return False


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!")) else ".")
