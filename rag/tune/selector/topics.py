"""What the selector learns from: sentences that stand together, and questions of which one of them, or none, states the answer.

Pages are written for this: their sentences are neighbours in meaning, their questions share few words with what answers them,
and some only sound as if the page answered them. Lessons of the generator (rag.tune.generator.lessons) add breadth.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.answer.rank import headed
from rag.answer.reply import bare, declines
from rag.answer.units import units
from rag.language import detect, simplify, words
from rag.ports import Vectors
from rag.tune.generator.lessons import Branch, Lesson
from rag.tune.sound import Skipped, missing, sound_rows
from rag.types import Language

PAGES = Path(__file__).with_name("pages.jsonl")
HELD_OUT = 14  # one page of so many is never learnt from
PIECES = 0.35  # of the lines of a page begin a piece of two or three as well, as a paragraph is quoted whole
ABSENT = 0.25  # of the questions that a topic answers are asked without their answer there
NAMED = 0.4  # of a page's questions name it, beside sentences of other pages that only the name tells from an answer
FAR, AWAY = 12, 3  # the nearest sentences of other pages that are kept for a question, and how many of them are shown
NEAREST, OTHERS = 3, 2  # wrong sentences beside the right one: the nearest to the question, and any
CLEAR, VAGUE = 0.5, 0.34  # share of a reply's words in what states it; from which on it may state a part of it
_SORT = re.compile(r"^(?:policy|product|guide|manual|faq|page|商品详情|活动)\b[ :：]*", re.IGNORECASE)
_END = re.compile(r"[,:：，|（(>]| - | — |'s ")
_LAST = re.compile(r"\[(\d+)\]\s*$")  # the marker of a lesson's reply; others may stand in what it copies
_QUOTES = "'‘’“” 《》"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a topic's sentences, by their places."""

    question: str
    right: frozenset[int]  # that state the answer; none where it is not there
    vague: frozenset[int] = frozenset()  # that may state part of it, and are no examples


@dataclass(frozen=True, slots=True)
class Topic:
    """Sentences as rag.answer.rank shows them to the selector, each behind what it is about."""

    sentences: tuple[str, ...]
    asked: tuple[Asked, ...]
    source: str
    language: Language  # of the sentences
    name: str = ""  # what a page is about
    cosines: NDArray[np.float32] | None = None  # (asked, sentences), of the embedder
    away: tuple[tuple[str, ...], ...] = ()  # for each question, the nearest sentences of other topics


@dataclass(frozen=True, slots=True)
class Choice:
    """A question and the sentences to choose from; with `right` empty none is to be chosen."""

    question: str
    sentences: tuple[str, ...]
    right: tuple[int, ...]


def page_topics(seed: int, skipped: Skipped, path: Path = PAGES) -> tuple[list[Topic], list[Topic]]:
    """The pages to learn from, and those held out; lines that are no pages are `skipped`."""
    learnt: list[Topic] = []
    unseen: list[Topic] = []
    for where, row in sound_rows(path, ("lang", "title", "lines", "asked", "open", "other"), skipped):
        if faulty := _fault(row):
            skipped.add(where, faulty)
            continue
        is_held_out = hashlib.sha256(row["title"].encode()).digest()[0] % HELD_OUT == 0
        dice = None if is_held_out else random.Random(f"{seed}/{where.rpartition(':')[2]}")
        (unseen if is_held_out else learnt).append(_page(row, dice))
    return learnt, unseen


def _fault(row: dict[str, Any]) -> str:
    """Why it is no page; empty if it is."""
    lines = row["lines"]
    if missing(row, ("title",)) or row["lang"] not in ("en", "zh"):
        return "no title, or no lang of en or zh"
    if not (isinstance(lines, list) and len(lines) > 2 and all(isinstance(one, str) and one.strip() for one in lines)):
        return "fewer than three lines, or one without text"
    try:
        pairs = [(int(line), str(question)) for line, question in (*row["asked"], *row["other"])]
    except (TypeError, ValueError):
        return "asked or other is no list of [line, question]"
    said = [question for _, question in pairs] + [str(question) for question in row["open"]]
    if not all(0 <= line < len(lines) for line, _ in pairs) or not all(question.strip() for question in said):
        return "a question without text, or about a line that is not there"
    return ""


def _page(row: dict[str, Any], dice: random.Random | None) -> Topic:
    """With pieces of several lines among its sentences, unless they are left out (no `dice`)."""
    lines = [line.strip() for line in row["lines"]]
    spans = [(number, number + 1) for number in range(len(lines))]
    for first in range(len(lines) - 1) if dice else ():
        if dice and dice.random() < PIECES:
            spans.append((first, min(first + dice.choice((2, 3)), len(lines))))
    between = " " if row["lang"] == "en" else ""
    sentences = tuple(f"{row['title']}: {between.join(lines[first:last])}" for first, last in spans)
    asked = [
        Asked(question, frozenset(place for place, (first, last) in enumerate(spans) if first <= line < last))
        for line, question in (*row["asked"], *row["other"])
    ]
    asked += [Asked(question, frozenset()) for question in row["open"]]
    return Topic(sentences, tuple(asked), "pages", row["lang"], _name(row["title"], row["lang"]))


def _name(title: str, language: Language) -> str:
    """The subject of a title, as a question would be told apart by it: "Kettle 3" of "Product: Kettle 3, in red"."""
    bare = _SORT.sub("", title).strip(_QUOTES)
    parts = _END.split(bare)[0].strip(_QUOTES).split()
    return " ".join(parts[:2] if language == "zh" else parts[:4])


def lesson_topics(lessons: Iterable[Lesson]) -> list[Topic]:
    """The units of a lesson's passages with its questions; of a reply in another language all units of its passage are right."""
    return [topic for lesson in lessons if (topic := _topic(lesson)) and topic.asked]


def _topic(lesson: Lesson) -> Topic | None:
    found = [(number, unit) for number, passage in enumerate(lesson.passages, start=1) for unit in units(passage.chunk)]
    if not found:
        return None
    own = [(number, set(words(simplify(unit.text)))) for number, unit in found]
    language = detect(" ".join(unit.text for _, unit in found)) or "en"
    asked = [one for branch in lesson.branches if (one := _asked(branch, own, language))]
    return Topic(tuple(headed(unit) for _, unit in found), tuple(asked), lesson.source, language)


def _asked(branch: Branch, own: Sequence[tuple[int, set[str]]], language: Language) -> Asked | None:
    """None where no unit states the reply clearly, though they are in its language."""
    question = " ".join((*(turn.text for turn in branch.history[:1]), branch.query.text))
    if declines(branch.reply):
        return Asked(question, frozenset())
    marker = _LAST.search(branch.reply)
    number = int(marker[1]) if marker else 1
    said = set(words(simplify(bare(_LAST.sub("", branch.reply)))))
    shares = [len(said & known) / max(len(said), 1) if place == number else 0.0 for place, known in own]
    best = max(shares)
    if best >= CLEAR:
        right = {place for place, share in enumerate(shares) if share >= best - 0.1}
        return Asked(question, frozenset(right), frozenset(p for p, s in enumerate(shares) if s > VAGUE) - right)
    if branch.query.language == language:
        return None
    return Asked(question, frozenset(place for place, (passage, _) in enumerate(own) if passage == number))


def with_cosines(topics: Sequence[Topic], embed: Callable[[Sequence[str]], Vectors]) -> list[Topic]:
    """Each with the embedder's cosines, so that the sentences that it takes for the answer are drawn, here and elsewhere."""
    made: list[Topic] = []
    for language in dict.fromkeys(topic.language for topic in topics):
        own = [topic for topic in topics if topic.language == language]
        texts = [text for topic in own for text in topic.sentences]
        owner = np.repeat(np.arange(len(own)), [len(topic.sentences) for topic in own])
        sentences = embed(texts)
        questions = iter(embed([one.question for topic in own for one in topic.asked]))
        for number, topic in enumerate(own):
            cosines = np.array([next(questions) for _ in topic.asked]) @ sentences.T
            elsewhere = np.where(owner == number, -np.inf, cosines)
            away = [np.argsort(-row, kind="stable")[: min(FAR, len(texts) - len(topic.sentences))] for row in elsewhere]
            shown = tuple(tuple(texts[place] for place in places) for places in away)
            made.append(replace(topic, cosines=cosines[:, owner == number], away=shown))
    return made


def drawn(topic: Topic, dice: random.Random, most: int = 8) -> Iterator[Choice]:
    """At most `most` of its questions, each with at most two right sentences, and wrong ones."""
    for place in dice.sample(range(len(topic.asked)), min(most, len(topic.asked))):
        one = topic.asked[place]
        wrong = [number for number in range(len(topic.sentences)) if number not in one.right | one.vague]
        if topic.cosines is not None:
            cosines = topic.cosines[place]
            wrong.sort(key=lambda number: -cosines[number])
            wrong = wrong[:NEAREST] + dice.sample(wrong[NEAREST:], min(OTHERS, len(wrong[NEAREST:])))
        elif len(wrong) > NEAREST + OTHERS:
            wrong = dice.sample(wrong, NEAREST + OTHERS)
        right = dice.sample(sorted(one.right), min(2, len(one.right)))
        if wrong and dice.random() < ABSENT:
            right = []
        sentences = [topic.sentences[number] for number in (*right, *wrong)]
        question = one.question
        if topic.away and topic.name and dice.random() < NAMED:
            question = f"{topic.name}: {question}" if dice.random() < 0.7 else f"{question} {topic.name}"
            sentences += dice.sample(topic.away[place], min(AWAY, len(topic.away[place])))
        if sentences:
            yield Choice(garbled(question, dice), tuple(sentences), tuple(range(len(right))))


def garbled(question: str, dice: random.Random) -> str:
    """Now and then in small letters, without its mark, or with a slip of the keys."""
    if dice.random() < 0.25:
        question = question.lower()
    if dice.random() < 0.25:
        question = question.rstrip("?？.。!！")
    if not question.isascii() or len(question) < 8 or dice.random() > 0.12:
        return question
    typed = list(question)
    for _ in range(max(1, len(typed) // 15)):
        at, kind = dice.randrange(len(typed) - 1), dice.random()
        if kind < 0.4:
            typed[at], typed[at + 1] = typed[at + 1], typed[at]
        else:
            typed[at] = "" if kind < 0.7 else dice.choice("abcdefghijklmnopqrstuvwxyz")
    return "".join(typed)
