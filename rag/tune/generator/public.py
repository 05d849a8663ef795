"""Lessons from public sets that may be trained on: other domains, short answers, questions that a passage leaves open."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from rag.answer.reply import NONE
from rag.evaluate.beir import find, rows
from rag.language import simplify, words
from rag.tune.generator.lessons import Branch, Lesson, found, passage_of, query_of
from rag.types import Language

LONGEST = {"en": 900, "zh": 260}  # characters of a passage: longer ones cost more tokens than they teach
MOST = 5  # questions of a lesson
LESSONS = 250  # of a set: what a shop is asked is learnt from the written entries, the rest is for breadth
_OPINION = re.compile(r"^(?:yes|no|yep|nope|yeah|absolutely|of course|i |we |my |sure)\b", re.IGNORECASE)

Asked = tuple[str, str]  # question, reply; no reply where the passage does not hold it


def public_lessons(folder: Path, seed: int) -> list[Lesson]:
    """Lessons of the sets under `folder`. Raises DataError naming the set that is missing."""
    dice = random.Random(seed)
    sets = (list(_squad(folder, dice)), list(_policies(folder, dice)), list(_evidence(folder, dice)))
    return [lesson for lessons in sets for lesson in dice.sample(lessons, min(len(lessons), LESSONS))]


def _squad(folder: Path, dice: random.Random) -> Iterable[Lesson]:
    """Chinese reading comprehension, a third of the questions without an answer."""
    place = folder / "zh_squad2_dev"
    passages = {str(row["_id"]): row for _, row in rows(find(place, "corpus.jsonl"), ("_id", "text"))}
    questions = {str(row["_id"]): str(row["text"]) for _, row in rows(find(place, "queries.jsonl"), ("_id", "text"))}
    asked: dict[str, list[Asked]] = defaultdict(list)
    for _, row in rows(find(place, "answers.jsonl"), ("_id", "context_id", "answers")):
        if not row.get("in_xquad_context"):
            reply = simplify(row["answers"][0]) if row["answers"] else ""
            asked[str(row["context_id"])].append((simplify(questions[str(row["_id"])]), reply))
    for id in sorted(asked):
        text = simplify(passages[id]["text"])
        if len(text) <= LONGEST["zh"]:
            yield from _lesson(text, simplify(passages[id].get("title", "")), asked[id], "zh", "zh_squad2_dev", dice)


def _policies(folder: Path, dice: random.Random) -> Iterable[Lesson]:
    """English privacy policies."""
    asked: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for _, row in rows(find(folder / "policyqa", "dev.jsonl"), ("title", "question", "context", "answers")):
        best = max(row["answers"], key=len)
        if 12 <= len(best) <= 160 and len(row["context"]) <= LONGEST["en"]:
            asked[(row["title"], row["context"])].append((row["question"], best))
    for title, text in sorted(asked):
        yield from _lesson(text, title, asked[(title, text)], "en", "policyqa", dice)


def _evidence(folder: Path, dice: random.Random) -> Iterable[Lesson]:
    """English product questions, three sentences of evidence a lesson; opinions and replies that add words are left out."""
    path = folder / "amazon_hetpqa_gen" / "train.jsonl"
    kept = []
    for _, row in rows(path, ("question", "candidate", "answer")):
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


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!")) else ".")
